/*
 * Virtio over PCI, modern devices only (virtio 1.2, section 4.1). Interrupts by MSI-X, one vector
 * for each queue; without it, or with `msix=0` on the command line, by the line that firmware or
 * osvm-vmm wrote into the configuration space.
 */
#include "drivers/virtio_private.h"
#include "sdk/apic.h"
#include "sdk/boot.h"
#include "sdk/cpu.h"
#include "sdk/io.h"
#include "sdk/pci.h"

/* 4.1.2: vendor, and device ids of modern devices. */
#define VENDOR         0x1af4
#define DEVICE_ID_BASE 0x1040
#define DEVICE_ID_LAST 0x107f
#define DEVICES        32
#define FUNCTIONS      8
#define MULTIFUNCTION  0x80
#define NO_FUNCTION    0xffff

/* 4.1.4: struct virtio_pci_cap. */
#define CAP_TYPE       3
#define CAP_BAR        4
#define CAP_OFFSET     8
#define CAP_LENGTH     12
#define CAP_MULTIPLIER 16
#define CAP_COMMON     1
#define CAP_NOTIFY     2
#define CAP_ISR        3
#define CAP_DEVICE     4

/* PCI 3.0, section 6.8.2. */
#define MSIX_CONTROL      2
#define MSIX_TABLE        4
#define MSIX_ENABLE       0x8000
#define MSIX_COUNT_MASK   0x07ff
#define MSIX_BAR_MASK     7
#define MSIX_ENTRY_SIZE   16
#define MSI_ADDRESS_BASE  UINT32_C(0xfee00000)
#define MSI_ADDRESS_SHIFT 12

#define LINE_NONE 0xff

static struct pci_function place_of(const struct virtio_dev *dev)
{
    return (struct pci_function){.device = dev->pci.device, .function = dev->pci.function};
}

static uint8_t status(const struct virtio_dev *dev)
{
    return mmio_read8(dev->pci.common + VIRTIO_PCI_DEVICE_STATUS);
}

static void set_status(const struct virtio_dev *dev, uint8_t value)
{
    mmio_write8(dev->pci.common + VIRTIO_PCI_DEVICE_STATUS, value);
}

static uint64_t features(const struct virtio_dev *dev)
{
    uint64_t low;

    mmio_write32(dev->pci.common + VIRTIO_PCI_DEVICE_FEATURE_SELECT, 0);
    low = mmio_read32(dev->pci.common + VIRTIO_PCI_DEVICE_FEATURE);
    mmio_write32(dev->pci.common + VIRTIO_PCI_DEVICE_FEATURE_SELECT, 1);
    return low | (uint64_t)mmio_read32(dev->pci.common + VIRTIO_PCI_DEVICE_FEATURE) << 32;
}

static void set_features(const struct virtio_dev *dev, uint64_t value)
{
    mmio_write32(dev->pci.common + VIRTIO_PCI_DRIVER_FEATURE_SELECT, 0);
    mmio_write32(dev->pci.common + VIRTIO_PCI_DRIVER_FEATURE, (uint32_t)value);
    mmio_write32(dev->pci.common + VIRTIO_PCI_DRIVER_FEATURE_SELECT, 1);
    mmio_write32(dev->pci.common + VIRTIO_PCI_DRIVER_FEATURE, (uint32_t)(value >> 32));
}

static void select_queue(const struct virtio_dev *dev, unsigned queue)
{
    mmio_write16(dev->pci.common + VIRTIO_PCI_QUEUE_SELECT, (uint16_t)queue);
}

static uint16_t queue_size_max(const struct virtio_dev *dev, unsigned queue)
{
    select_queue(dev, queue);
    return mmio_read16(dev->pci.common + VIRTIO_PCI_QUEUE_SIZE);
}

static void set_address(const struct virtio_dev *dev, unsigned reg, uint64_t address)
{
    mmio_write32(dev->pci.common + reg, (uint32_t)address);
    mmio_write32(dev->pci.common + reg + 4, (uint32_t)(address >> 32));
}

static void queue_place(struct virtio_dev *dev, unsigned queue, uint16_t size, uint64_t desc,
                        uint64_t avail, uint64_t used)
{
    select_queue(dev, queue);
    mmio_write16(dev->pci.common + VIRTIO_PCI_QUEUE_SIZE, size);
    set_address(dev, VIRTIO_PCI_QUEUE_DESC, desc);
    set_address(dev, VIRTIO_PCI_QUEUE_DRIVER, avail);
    set_address(dev, VIRTIO_PCI_QUEUE_DEVICE, used);
    dev->queues[queue].notify =
        dev->pci.notify + (uint64_t)mmio_read16(dev->pci.common + VIRTIO_PCI_QUEUE_NOTIFY_OFF) *
                              dev->pci.notify_multiplier;
    mmio_write16(dev->pci.common + VIRTIO_PCI_QUEUE_ENABLE, 1);
}

static bool queue_ready(const struct virtio_dev *dev, unsigned queue)
{
    select_queue(dev, queue);
    return mmio_read16(dev->pci.common + VIRTIO_PCI_QUEUE_ENABLE) == 1;
}

static void notify(const struct virtio_dev *dev, unsigned queue)
{
    mmio_write16(dev->queues[queue].notify, (uint16_t)queue);
}

static uint8_t generation(const struct virtio_dev *dev)
{
    return mmio_read8(dev->pci.common + VIRTIO_PCI_CONFIG_GENERATION);
}

static uint64_t config(const struct virtio_dev *dev)
{
    return dev->pci.config;
}

/* One entry of the table: a vector of this CPU's APIC, not masked. */
static void msix_route(const struct virtio_dev *dev, unsigned entry, unsigned vector)
{
    uint64_t at = dev->pci.msix + entry * MSIX_ENTRY_SIZE;

    mmio_write32(at, MSI_ADDRESS_BASE | apic_id() << MSI_ADDRESS_SHIFT);
    mmio_write32(at + 4, 0);
    mmio_write32(at + 8, vector);
    mmio_write32(at + 12, 0);
}

static void msix_enable(const struct virtio_dev *dev, bool on)
{
    unsigned at = dev->pci.msix_capability + MSIX_CONTROL;
    uint16_t control = pci_read16(place_of(dev), at);

    pci_write16(place_of(dev), at, on ? control | MSIX_ENABLE : control & (uint16_t)~MSIX_ENABLE);
}

/* Entry 0 for the configuration, entry n + 1 for queue n. */
static bool msix_on(struct virtio_dev *dev)
{
    if (dev->pci.msix == 0 || dev->pci.msix_count < dev->queue_count + 1 ||
        boot_option_number("msix", 1) == 0)
        return false;
    msix_enable(dev, true);
    dev->config_vector = virtio_vector_take(dev);
    msix_route(dev, 0, dev->config_vector);
    mmio_write16(dev->pci.common + VIRTIO_PCI_MSIX_CONFIG, 0);
    for (unsigned i = 0; i < dev->queue_count; i++) {
        struct virtio_queue *q = &dev->queues[i];

        q->vector = virtio_vector_take(dev);
        if (q->vector == 0)
            return false;
        msix_route(dev, i + 1, q->vector);
        select_queue(dev, i);
        mmio_write16(dev->pci.common + VIRTIO_PCI_QUEUE_MSIX_VECTOR, (uint16_t)(i + 1));
        if (mmio_read16(dev->pci.common + VIRTIO_PCI_QUEUE_MSIX_VECTOR) != i + 1)
            return false; /* VIRTIO_PCI_NO_VECTOR: it cannot, 4.1.5.1.2 */
    }
    return true;
}

static bool interrupts_on(struct virtio_dev *dev)
{
    dev->pci.msix_on = msix_on(dev);
    if (dev->pci.msix_on)
        return true;
    virtio_vectors_release(dev);
    for (unsigned i = 0; i < dev->queue_count; i++)
        dev->queues[i].vector = 0;
    if (dev->pci.msix_capability)
        msix_enable(dev, false);
    if (dev->gsi == UINT32_MAX)
        return false;
    return virtio_line_take(dev, IOAPIC_LEVEL | IOAPIC_LOW);
}

/* 4.1.4.5: to read the ISR status takes the interrupt back. */
static RING0_CODE uint32_t interrupt_cause(const struct virtio_dev *dev)
{
    return mmio_read8(dev->pci.isr);
}

const struct virtio_transport virtio_pci_transport = {
    .name = "pci",
    .status = status,
    .set_status = set_status,
    .features = features,
    .set_features = set_features,
    .queue_size_max = queue_size_max,
    .queue_place = queue_place,
    .queue_ready = queue_ready,
    .notify = notify,
    .generation = generation,
    .config = config,
    .interrupts_on = interrupts_on,
    .interrupt_cause = interrupt_cause,
};

/* Find the device's structures. The first capability of each kind counts: 4.1.4. */
static void find_structures(struct virtio_dev *dev)
{
    struct pci_function at = place_of(dev);

    for (unsigned cap = 0; (cap = pci_capability(at, PCI_CAP_VENDOR, cap));) {
        uint64_t base = pci_bar(at, pci_read8(at, cap + CAP_BAR));
        uint64_t address = base ? base + pci_read32(at, cap + CAP_OFFSET) : 0;
        uint8_t type = pci_read8(at, cap + CAP_TYPE);

        if (type == CAP_COMMON && !dev->pci.common) {
            dev->pci.common = address;
        } else if (type == CAP_NOTIFY && !dev->pci.notify) {
            dev->pci.notify = address;
            dev->pci.notify_multiplier = pci_read32(at, cap + CAP_MULTIPLIER);
        } else if (type == CAP_ISR && !dev->pci.isr) {
            dev->pci.isr = address;
        } else if (type == CAP_DEVICE && !dev->pci.config) {
            dev->pci.config = address;
            dev->pci.config_length = pci_read32(at, cap + CAP_LENGTH);
        }
    }
}

static void find_msix(struct virtio_dev *dev)
{
    struct pci_function at = place_of(dev);
    unsigned cap = pci_capability(at, PCI_CAP_MSIX, 0);
    uint32_t table;
    uint64_t base;

    if (!cap)
        return;
    table = pci_read32(at, cap + MSIX_TABLE);
    base = pci_bar(at, table & MSIX_BAR_MASK);
    dev->pci.msix_capability = (uint16_t)cap;
    dev->pci.msix_count = (pci_read16(at, cap + MSIX_CONTROL) & MSIX_COUNT_MASK) + 1;
    dev->pci.msix = base ? base + (table & ~(uint32_t)MSIX_BAR_MASK) : 0;
}

static unsigned look(struct pci_function at, struct virtio_dev *ret_device)
{
    struct virtio_dev dev = {.transport = &virtio_pci_transport};
    uint16_t id = pci_read16(at, PCI_DEVICE_ID);
    uint8_t line = pci_read8(at, PCI_INTERRUPT_LINE);

    if (pci_read16(at, PCI_VENDOR_ID) != VENDOR || id <= DEVICE_ID_BASE || id > DEVICE_ID_LAST)
        return 0;
    dev.id = id - DEVICE_ID_BASE;
    dev.pci.device = at.device;
    dev.pci.function = at.function;
    dev.gsi = pci_read8(at, PCI_INTERRUPT_PIN) && line != LINE_NONE ? line : UINT32_MAX;
    find_structures(&dev);
    find_msix(&dev);
    pci_write16(at, PCI_COMMAND,
                pci_read16(at, PCI_COMMAND) | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    if (!dev.pci.common || !dev.pci.notify || !dev.pci.isr)
        return 0;
    *ret_device = dev;
    return 1;
}

unsigned virtio_pci_scan(struct virtio_dev *ret_devices, unsigned max)
{
    unsigned count = 0;

    if (!pci_present()) /* 64 accesses less, where each may leave the guest */
        return 0;
    for (unsigned device = 0; device < DEVICES; device++)
        for (unsigned function = 0; function < FUNCTIONS && count < max; function++) {
            struct pci_function at = {.device = (uint8_t)device, .function = (uint8_t)function};

            if (pci_read16(at, PCI_VENDOR_ID) == NO_FUNCTION) {
                if (function == 0)
                    break;
                continue;
            }
            count += look(at, &ret_devices[count]);
            if (function == 0 && !(pci_read8(at, PCI_HEADER_TYPE) & MULTIFUNCTION))
                break;
        }
    return count;
}

/*
 * Virtio-mmio version 2 (virtio 1.2, section 4.2).
 *
 * Where the devices are is in the DSDT's byte code. It is not interpreted: each device with the
 * string "LNRO0005" is found by that, and behind it its resources by their own first bytes
 * (ACPI 6.5, sections 6.4.3.4, Memory32Fixed, and 6.4.3.6, Extended Interrupt). That much all who
 * announce such devices have in common, osvm-vmm and QEMU among them.
 */
#include "drivers/virtio_private.h"
#include "sdk/acpi.h"
#include "sdk/boot.h"
#include "sdk/cpu.h"
#include "sdk/io.h"
#include "sdk/string.h"

#define HID               "LNRO0005"
#define HID_LENGTH        8
#define DEVICE_CODE_MAX   128 /* its resources begin within so many bytes behind its HID */
#define MEMORY32_SIZE     12
#define MEMORY32_BASE     4
#define INTERRUPT_SIZE    9
#define INTERRUPT_GSI     5
#define MMIO_VERSION      2
#define QUEUE_ADDRESS_GAP 4 /* from a LOW register to its HIGH one */

static uint32_t get(const struct virtio_dev *dev, unsigned reg)
{
    return mmio_read32(dev->mmio + reg);
}

static void set(const struct virtio_dev *dev, unsigned reg, uint32_t value)
{
    mmio_write32(dev->mmio + reg, value);
}

static uint8_t status(const struct virtio_dev *dev)
{
    return (uint8_t)get(dev, VIRTIO_MMIO_STATUS);
}

static void set_status(const struct virtio_dev *dev, uint8_t value)
{
    set(dev, VIRTIO_MMIO_STATUS, value);
}

static uint64_t features(const struct virtio_dev *dev)
{
    uint64_t low;

    set(dev, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
    low = get(dev, VIRTIO_MMIO_DEVICE_FEATURES);
    set(dev, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
    return low | (uint64_t)get(dev, VIRTIO_MMIO_DEVICE_FEATURES) << 32;
}

static void set_features(const struct virtio_dev *dev, uint64_t value)
{
    set(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
    set(dev, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)value);
    set(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
    set(dev, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(value >> 32));
}

static uint16_t queue_size_max(const struct virtio_dev *dev, unsigned queue)
{
    set(dev, VIRTIO_MMIO_QUEUE_SEL, queue);
    return (uint16_t)get(dev, VIRTIO_MMIO_QUEUE_NUM_MAX);
}

static void set_address(const struct virtio_dev *dev, unsigned low, uint64_t address)
{
    set(dev, low, (uint32_t)address);
    set(dev, low + QUEUE_ADDRESS_GAP, (uint32_t)(address >> 32));
}

static void queue_place(struct virtio_dev *dev, unsigned queue, uint16_t size, uint64_t desc,
                        uint64_t avail, uint64_t used)
{
    set(dev, VIRTIO_MMIO_QUEUE_SEL, queue);
    set(dev, VIRTIO_MMIO_QUEUE_NUM, size);
    set_address(dev, VIRTIO_MMIO_QUEUE_DESC_LOW, desc);
    set_address(dev, VIRTIO_MMIO_QUEUE_AVAIL_LOW, avail);
    set_address(dev, VIRTIO_MMIO_QUEUE_USED_LOW, used);
    set(dev, VIRTIO_MMIO_QUEUE_READY, 1);
}

static bool queue_ready(const struct virtio_dev *dev, unsigned queue)
{
    set(dev, VIRTIO_MMIO_QUEUE_SEL, queue);
    return get(dev, VIRTIO_MMIO_QUEUE_READY) & 1;
}

static void notify(const struct virtio_dev *dev, unsigned queue)
{
    set(dev, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

static uint8_t generation(const struct virtio_dev *dev)
{
    return (uint8_t)get(dev, VIRTIO_MMIO_CONFIG_GENERATION);
}

static uint64_t config(const struct virtio_dev *dev)
{
    return dev->mmio + VIRTIO_MMIO_CONFIG;
}

static bool interrupts_on(struct virtio_dev *dev)
{
    if (dev->gsi == UINT32_MAX)
        return false;
    return virtio_line_take(dev, 0);
}

static RING0_CODE uint32_t interrupt_cause(const struct virtio_dev *dev)
{
    uint32_t cause = mmio_read32(dev->mmio + VIRTIO_MMIO_INTERRUPT_STATUS);

    if (cause)
        mmio_write32(dev->mmio + VIRTIO_MMIO_INTERRUPT_ACK, cause);
    return cause;
}

const struct virtio_transport virtio_mmio_transport = {
    .name = "mmio",
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

/* A device at this address, unless there is none (id 0) or it is of another version. */
static unsigned look(uint64_t base, uint32_t gsi, struct virtio_dev *ret_device)
{
    struct virtio_dev dev = {.transport = &virtio_mmio_transport, .mmio = base, .gsi = gsi};

    if (get(&dev, VIRTIO_MMIO_MAGIC) != VIRTIO_MMIO_MAGIC_VALUE ||
        get(&dev, VIRTIO_MMIO_VERSION) != MMIO_VERSION)
        return 0;
    dev.id = get(&dev, VIRTIO_MMIO_DEVICE_ID);
    if (dev.id == 0)
        return 0;
    *ret_device = dev;
    return 1;
}

static uint32_t read32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

/* Find bytes in [at, end); or NULL. */
static const uint8_t *find(const uint8_t *at, const uint8_t *end, const void *bytes, size_t length)
{
    for (; (size_t)(end - at) >= length; at++)
        if (memcmp(at, bytes, length) == 0)
            return at;
    return NULL;
}

static unsigned scan_dsdt(struct virtio_dev *ret_devices, unsigned max)
{
    static const uint8_t memory32[] = {0x86, 9, 0}, interrupt[] = {0x89, 6, 0};
    const struct acpi_header *dsdt = acpi_find("DSDT");
    const uint8_t *at = (const uint8_t *)dsdt, *end;
    unsigned count = 0;

    if (!dsdt)
        return 0;
    end = at + dsdt->length;
    while (count < max && (at = find(at, end, HID, HID_LENGTH))) {
        const uint8_t *limit, *memory, *line;

        at += HID_LENGTH;
        limit = end - at < DEVICE_CODE_MAX ? end : at + DEVICE_CODE_MAX;
        memory = find(at, limit, memory32, sizeof(memory32));
        if (!memory || limit - memory < MEMORY32_SIZE)
            continue;
        line = find(memory + MEMORY32_SIZE, limit, interrupt, sizeof(interrupt));
        count +=
            look(read32(memory + MEMORY32_BASE),
                 line && limit - line >= INTERRUPT_SIZE ? read32(line + INTERRUPT_GSI) : UINT32_MAX,
                 &ret_devices[count]);
    }
    return count;
}

/* Words virtio_mmio.device=SIZE@ADDRESS:GSI, as Linux has them. */
static unsigned scan_cmdline(struct virtio_dev *ret_devices, unsigned max)
{
    static const char word[] = "virtio_mmio.device=";
    const char *at = boot_info()->cmdline;
    unsigned count = 0;

    while (count < max && (at = strstr(at, word))) {
        char *next;
        uint64_t base;

        at += sizeof(word) - 1;
        while (*at && *at != ' ' && *at != '@')
            at++;
        if (*at != '@')
            continue;
        base = strtoul(at + 1, &next, 0);
        if (*next != ':')
            continue;
        count += look(base, (uint32_t)strtoul(next + 1, NULL, 0), &ret_devices[count]);
    }
    return count;
}

/* By address, so that the order is that of the machine's slots whatever the table's is. */
static void sort(struct virtio_dev *devices, unsigned count)
{
    for (unsigned i = 1; i < count; i++)
        for (unsigned j = i; j > 0 && devices[j - 1].mmio > devices[j].mmio; j--) {
            struct virtio_dev other = devices[j];

            devices[j] = devices[j - 1];
            devices[j - 1] = other;
        }
}

unsigned virtio_mmio_scan(struct virtio_dev *ret_devices, unsigned max)
{
    unsigned count = boot_option_number("acpi", 1) ? scan_dsdt(ret_devices, max) : 0;

    if (count == 0)
        count = scan_cmdline(ret_devices, max);
    sort(ret_devices, count);
    return count;
}

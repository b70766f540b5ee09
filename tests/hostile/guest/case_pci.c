/* Configuration space and BAR of virtio-pci. Any victim on that transport. */
#include "hostile.h"
#include "sdk/io.h"
#include "sdk/pci.h"
#include "sdk/report.h"
#include "sdk/string.h"

#define CONFIG_SIZE     256
#define BAR_SIZE        0x8000u
#define PORT_ADDRESS    0xcf8
#define PORT_DATA       0xcfc
#define CAP_PCI_CFG     5
#define MSIX_TABLE_SIZE 16

static bool is_pci(void)
{
    if (!victim()->pci.common)
        report(false, "the victim is on pci");
    return victim()->pci.common != 0;
}

static struct pci_function place(void)
{
    return (struct pci_function){victim()->pci.device, victim()->pci.function};
}

static uint64_t common(unsigned offset)
{
    return victim()->pci.common + offset;
}

/* The lowest address of the device's structures: the BAR's base. */
static uint64_t bar_base(void)
{
    const struct virtio_pci_place *p = &victim()->pci;
    uint64_t addresses[] = {p->common, p->notify, p->isr, p->config, p->msix}, low = p->common;

    for (unsigned i = 0; i < 5; i++)
        if (addresses[i] && addresses[i] < low)
            low = addresses[i];
    return low;
}

static uint32_t saved[CONFIG_SIZE / 4];

static void save_config(void)
{
    for (unsigned i = 0; i < CONFIG_SIZE / 4; i++)
        saved[i] = pci_read32(place(), 4 * i);
}

/* Decoding last, so that the BARs lie right before they answer. */
static void restore_config(void)
{
    for (unsigned i = PCI_BAR0 / 4; i < CONFIG_SIZE / 4; i++)
        pci_write32(place(), 4 * i, saved[i]);
    pci_write32(place(), PCI_COMMAND, saved[PCI_COMMAND / 4] & 0xffff);
}

static void config_read(void)
{
    if (!is_pci())
        return;
    victim_start(UINT64_MAX);
    for (unsigned function = 0; function < 8; function++)
        for (unsigned offset = 0; offset < CONFIG_SIZE; offset++) {
            struct pci_function at = {victim()->pci.device, (uint8_t)function};

            pci_read8(at, offset);
            if (offset % 4 != 3)
                pci_read16(at, offset);
            pci_read32(at, offset & ~3u);
        }
    expect_whole();
}

static void config_write(uint32_t value)
{
    if (!is_pci())
        return;
    victim_start(UINT64_MAX);
    save_config();
    for (unsigned offset = 0; offset < CONFIG_SIZE; offset += 4)
        pci_write32(place(), offset, value ? value : (uint32_t)next_random());
    report(pci_read32(place(), 0) == saved[0], "vendor and device stay what they are");
    restore_config();
}

static void config_write_ones(void)
{
    config_write(UINT32_MAX);
}

static void config_write_random(void)
{
    for (unsigned i = 0; i < 20; i++)
        config_write(0);
}

/* Bytes and words at every offset. */
static void config_write_odd(void)
{
    if (!is_pci())
        return;
    victim_start(UINT64_MAX);
    save_config();
    for (unsigned offset = 0; offset < CONFIG_SIZE; offset++) {
        port_out32(PORT_ADDRESS,
                   0x80000000u | (uint32_t)victim()->pci.device << 11 | (offset & 0xfc));
        port_out8((uint16_t)(PORT_DATA + offset % 4), 0xff);
        port_out16((uint16_t)(PORT_DATA + offset % 4), 0xffff);
        port_out32((uint16_t)(PORT_DATA + offset % 4), 0xffffffff);
    }
    restore_config();
    report(true, "bytes and words at every offset went by");
}

/* The address port at odd sizes and offsets, addresses without the enable bit, all buses. */
static void config_address_wild(void)
{
    unsigned there = 0;

    if (!is_pci())
        return;
    victim_start(UINT64_MAX);
    for (unsigned i = 0; i < 4; i++) {
        if (i >= 2) { /* the second byte is the reset register too */
            port_out8((uint16_t)(PORT_ADDRESS + i), 0xff);
            port_out16((uint16_t)(PORT_ADDRESS + i), 0xffff);
        }
        port_in8((uint16_t)(PORT_ADDRESS + i));
        port_in16((uint16_t)(PORT_ADDRESS + i));
        port_in32((uint16_t)(PORT_ADDRESS + i));
        port_in32((uint16_t)(PORT_DATA + i));
    }
    port_out32(PORT_ADDRESS, 0);
    port_out32(PORT_DATA, UINT32_MAX);
    for (unsigned bus = 1; bus < 256; bus++) {
        port_out32(PORT_ADDRESS, 0x80000000u | bus << 16 | (uint32_t)victim()->pci.device << 11);
        there += port_in32(PORT_DATA) != UINT32_MAX;
        port_out32(PORT_DATA, UINT32_MAX);
    }
    report(there == 0, "on other buses there is nothing");
    expect_whole();
}

/* The BAR over RAM, the APICs, the top of memory, other devices; and the device used meanwhile. */
static void bar_moved(void)
{
    static const uint32_t places[] = {0,          0x00100000, 0x000e0000, 0xfec00000, 0xfee00000,
                                      0xfffff000, 0xc0000000, 0xd0000000, 0xffff8000, 0x7fff8000};

    if (!is_pci())
        return;
    victim_start(UINT64_MAX);
    save_config();
    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        for (unsigned bar = 0; bar < 6; bar++)
            pci_write32(place(), PCI_BAR0 + 4 * bar, places[i]);
        victim()->transport->notify(victim(), victim_kind()->queue);
        mmio_read32(common(0));
        for (unsigned bar = 0; bar < 6; bar++)
            pci_write32(place(), PCI_BAR0 + 4 * bar, bar % 2 ? UINT32_MAX : places[i]);
        mmio_read32(common(0));
    }
    restore_config();
    report(true, "BARs everywhere went by");
}

/* Onto another device's. */
static void bar_over_another(void)
{
    struct virtio_dev *other = NULL;

    if (!is_pci())
        return;
    for (unsigned i = 0; (other = virtio_device_at(i)) && other == victim(); i++)
        ;
    victim_start(UINT64_MAX);
    save_config();
    if (other && other->pci.common) {
        struct pci_function at = {other->pci.device, other->pci.function};

        for (unsigned bar = 0; bar < 6; bar++)
            pci_write32(place(), PCI_BAR0 + 4 * bar, pci_read32(at, PCI_BAR0 + 4 * bar));
        mmio_read32(other->pci.common);
        victim()->transport->notify(victim(), victim_kind()->queue);
    }
    restore_config();
    report(true, "a BAR over another device's went by");
}

/* Moved to and fro while it runs: notifications go where it is. */
static void bar_storm(void)
{
    if (!is_pci())
        return;
    victim_start(UINT64_MAX);
    save_config();
    for (unsigned i = 0; i < 200; i++) {
        pci_write32(place(), PCI_BAR0, 0xe0000000 + i % 64 * BAR_SIZE);
        pci_write32(place(), PCI_BAR0, saved[PCI_BAR0 / 4]);
        victim()->transport->notify(victim(), victim_kind()->queue);
    }
    restore_config();
    expect_whole();
}

/* Memory decoding off: it answers nothing, and comes back. */
static void decoding_off(void)
{
    uint16_t command;

    if (!is_pci())
        return;
    victim_start(UINT64_MAX);
    command = pci_read16(place(), PCI_COMMAND);
    for (unsigned i = 0; i < 100; i++) {
        pci_write16(place(), PCI_COMMAND, 0);
        victim()->transport->notify(victim(), victim_kind()->queue);
        if (i == 0)
            report(mmio_read32(common(0)) == UINT32_MAX, "with decoding off nothing answers");
        pci_write16(place(), PCI_COMMAND, (uint16_t)next_random() & 0x7ff);
        pci_write16(place(), PCI_COMMAND, command);
    }
    expect_whole();
}

static void access(uint64_t at, unsigned width, bool write)
{
    uint64_t value = next_random();

    switch (width) {
    case 1:
        write ? mmio_write8(at, (uint8_t)value) : (void)mmio_read8(at);
        break;
    case 2:
        write ? mmio_write16(at, (uint16_t)value) : (void)mmio_read16(at);
        break;
    case 4:
        write ? mmio_write32(at, (uint32_t)value) : (void)mmio_read32(at);
        break;
    default:
        write ? mmio_write64(at, value) : (void)mmio_read64(at);
        break;
    }
}

/* Each part of the BAR by each width: its beginning throughout, the rest here and there. */
static void sweep(bool write)
{
    for (unsigned width = 1; width <= 8; width *= 2)
        for (unsigned offset = 0; offset + width <= BAR_SIZE;
             offset += offset % 4096 < 80 ? 1 : 251)
            access(bar_base() + offset, width, write);
}

static void bar_read(void)
{
    if (!is_pci())
        return;
    victim_start(UINT64_MAX);
    sweep(false);
    expect_whole();
}

static void bar_write(void)
{
    if (!is_pci())
        return;
    for (unsigned round = 0; round < 3; round++) {
        victim_start(UINT64_MAX);
        sweep(true);
    }
    report(true, "writes of every size everywhere went by");
}

static void common_read_only(void)
{
    uint16_t queues;
    uint32_t features;

    if (!is_pci())
        return;
    victim_start(UINT64_MAX);
    queues = mmio_read16(common(VIRTIO_PCI_NUM_QUEUES));
    mmio_write32(common(VIRTIO_PCI_DEVICE_FEATURE_SELECT), 0);
    features = mmio_read32(common(VIRTIO_PCI_DEVICE_FEATURE));
    mmio_write16(common(VIRTIO_PCI_NUM_QUEUES), UINT16_MAX);
    mmio_write32(common(VIRTIO_PCI_DEVICE_FEATURE), ~features);
    mmio_write8(common(VIRTIO_PCI_CONFIG_GENERATION), 0xff);
    mmio_write16(common(VIRTIO_PCI_QUEUE_NOTIFY_OFF), UINT16_MAX);
    mmio_write8(victim()->pci.isr, 0xff);
    report(mmio_read16(common(VIRTIO_PCI_NUM_QUEUES)) == queues &&
               mmio_read32(common(VIRTIO_PCI_DEVICE_FEATURE)) == features,
           "what is read only keeps its value");
    expect_whole();
}

static void queue_select_wild(void)
{
    static const uint16_t queues[] = {7, 8, 9, 255, 256, 32768, 65535};
    unsigned wrong = 0;

    if (!is_pci())
        return;
    victim_start(UINT64_MAX);
    for (unsigned i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
        mmio_write16(common(VIRTIO_PCI_QUEUE_SELECT), queues[i]);
        wrong += mmio_read16(common(VIRTIO_PCI_QUEUE_SIZE)) != 0;
        for (unsigned offset = VIRTIO_PCI_QUEUE_SIZE; offset < 0x40; offset += 2)
            mmio_write16(common(offset), UINT16_MAX);
        wrong += mmio_read16(common(VIRTIO_PCI_QUEUE_ENABLE)) == 1;
    }
    report(wrong == 0, "queues that are not there have no size and no state");
    expect_whole();
}

/* Vectors that are not there; entries that lead anywhere; enabled, masked, disabled meanwhile. */
static void msix_wild(void)
{
    unsigned control = victim()->pci.msix_capability + 2u, wrong = 0;
    struct virtio_queue *q;

    if (!is_pci() || !victim()->pci.msix)
        return;
    q = victim_start(UINT64_MAX);
    save_config();
    for (unsigned i = 0; i < 200; i++) {
        uint16_t vector = (uint16_t)(i < 16 ? 0xffff - i : next_random());

        mmio_write16(common(VIRTIO_PCI_QUEUE_SELECT), (uint16_t)(i % 4));
        mmio_write16(common(VIRTIO_PCI_QUEUE_MSIX_VECTOR), vector);
        if (vector >= victim()->pci.msix_count)
            wrong += mmio_read16(common(VIRTIO_PCI_QUEUE_MSIX_VECTOR)) != VIRTIO_PCI_NO_VECTOR &&
                     i % 4 < victim()->queue_count;
        mmio_write16(common(VIRTIO_PCI_MSIX_CONFIG), vector);
        pci_write16(place(), control, (uint16_t)next_random());
        for (unsigned word = 0; word < 4; word++)
            mmio_write32(victim()->pci.msix + i % 32 * MSIX_TABLE_SIZE + 4 * word,
                         (uint32_t)next_random());
        offer_index(q, 0);
    }
    report(wrong == 0, "a vector that is not there is none");
    for (unsigned i = 0; i < victim()->pci.msix_count; i++)
        mmio_write32(victim()->pci.msix + i * MSIX_TABLE_SIZE + 12, 1);
    restore_config();
}

/* A message to memory, to the I/O APIC, to no CPU, of a kind that is no interrupt for us. */
static void msix_addresses(void)
{
    static const uint64_t addresses[] = {
        0,          0x100000,           0xfec00000,         0xfee00000, 0xfeeff000,
        0xfee0100c, 0xffffffff00000000, 0xfffffffffee00000, 0xfffffffc};
    static const uint32_t data[] = {0, 0x10, 0x4000, 0x0400, 0x0500, 0x0200, 0x0700, UINT32_MAX};
    struct virtio_queue *q;

    if (!is_pci() || !victim()->pci.msix)
        return;
    q = victim_start(UINT64_MAX);
    for (unsigned a = 0; a < sizeof(addresses) / sizeof(addresses[0]); a++)
        for (unsigned d = 0; d < sizeof(data) / sizeof(data[0]); d++) {
            /* Interrupts that this CPU would obey: INIT (5) and start-up (6) spare it nothing. */
            if (addresses[a] == 0xfee00000 && (data[d] == 0x0500 || data[d] == 0x0200 ||
                                               data[d] == 0x0400 || data[d] == UINT32_MAX))
                continue;
            for (unsigned entry = 0; entry < victim()->pci.msix_count; entry++) {
                uint64_t at = victim()->pci.msix + entry * MSIX_TABLE_SIZE;

                mmio_write32(at, (uint32_t)addresses[a]);
                mmio_write32(at + 4, (uint32_t)(addresses[a] >> 32));
                mmio_write32(at + 8, data[d]);
                mmio_write32(at + 12, 0);
            }
            q->avail->flags = 0;
            describe(q, 0, (uintptr_t)scratch, 64, victim_kind()->direction, 0);
            offer(q, 0);
            settle(q, (uint16_t)(q->next_avail - 1));
        }
    report(true, "messages to everywhere went by");
}

/* 4.1.4.9: the window in configuration space through which the BARs can be reached. */
static void window_wild(void)
{
    static const uint32_t lengths[] = {0, 1, 2, 3, 4, 5, 8, 0x80000000, UINT32_MAX};
    static const uint32_t offsets[] = {0, 1, 2, 3, 20, 0xfff, 0x3000, 0x7ffd, 0x8000, UINT32_MAX};
    unsigned cap;

    if (!is_pci())
        return;
    victim_start(UINT64_MAX);
    for (cap = pci_capability(place(), PCI_CAP_VENDOR, 0);
         cap && pci_read8(place(), cap + 3) != CAP_PCI_CFG;
         cap = pci_capability(place(), PCI_CAP_VENDOR, cap))
        ;
    if (!report(cap != 0, "it has a window"))
        return;
    for (unsigned bar = 0; bar < 256; bar += bar < 8 ? 1 : 31)
        for (unsigned l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++)
            for (unsigned o = 0; o < sizeof(offsets) / sizeof(offsets[0]); o++) {
                pci_write32(place(), cap + 4, bar);
                pci_write32(place(), cap + 8, offsets[o]);
                pci_write32(place(), cap + 12, lengths[l]);
                pci_read32(place(), cap + 16);
                if (offsets[o] != 20) /* the status: a reset would be no nonsense */
                    pci_write32(place(), cap + 16, (uint32_t)next_random());
            }
    report(true, "a window to everywhere went by");
}

static void notify_wild(void)
{
    if (!is_pci())
        return;
    victim_start(UINT64_MAX);
    for (unsigned offset = 0; offset < 4096; offset += offset < 64 ? 1 : 61) {
        mmio_write8(victim()->pci.notify + offset, (uint8_t)offset);
        mmio_write16(victim()->pci.notify + offset, (uint16_t)next_random());
        mmio_write32(victim()->pci.notify + offset, (uint32_t)next_random());
    }
    expect_whole();
}

const struct hostile_case pci_cases[] = {
    {"pci-config-read", config_read},
    {"pci-config-write-ones", config_write_ones},
    {"pci-config-write-random", config_write_random},
    {"pci-config-write-odd", config_write_odd},
    {"pci-config-address-wild", config_address_wild},
    {"pci-bar-moved", bar_moved},
    {"pci-bar-over-another", bar_over_another},
    {"pci-bar-storm", bar_storm},
    {"pci-decoding-off", decoding_off},
    {"pci-bar-read", bar_read},
    {"pci-bar-write", bar_write},
    {"pci-common-read-only", common_read_only},
    {"pci-queue-select-wild", queue_select_wild},
    {"pci-msix-wild", msix_wild},
    {"pci-msix-addresses", msix_addresses},
    {"pci-window-wild", window_wild},
    {"pci-notify-wild", notify_wild},
    {0},
};

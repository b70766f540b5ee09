/*
 * The devices that a Hermit kernel drives, found and driven as it does it: the network by PCI, in
 * exactly the shape that its own hypervisor has; and virtio-mmio devices at fixed places.
 * Boot arguments: pci=1 for the network; rng=N for a source of random numbers that is the Nth
 * device of virtio-mmio, net=1 for the network as the first of them.
 */
#include "hermit.h"

#define FEATURES_WITH_TAP (1 << 0 | 1 << 1 | 1 << 3 | 1 << 5 | 1 << 16)

/* ---- PCI by ports. ---- */

static uint32_t pci_read(unsigned device, unsigned at)
{
    out32(0xcf8, 0x80000000U | device << 11 | at);
    return in32(0xcfc);
}

static void pci_write(unsigned device, unsigned at, uint32_t value)
{
    out32(0xcf8, 0x80000000U | device << 11 | at);
    out32(0xcfc, value);
}

/* Where the parts of the device are. */
struct device {
    volatile uint8_t *common, *isr, *config, *notify; /* notify: of queue 0 */
    uint32_t multiplier;
    bool mmio;
    unsigned irq;
};

static uint32_t read32(volatile uint8_t *at)
{
    return *(volatile uint32_t *)(uintptr_t)at;
}

static void write32(volatile uint8_t *at, uint32_t value)
{
    *(volatile uint32_t *)(uintptr_t)at = value;
}

static uint16_t read16(volatile uint8_t *at)
{
    return *(volatile uint16_t *)(uintptr_t)at;
}

static void write16(volatile uint8_t *at, uint16_t value)
{
    *(volatile uint16_t *)(uintptr_t)at = value;
}

static void write64(volatile uint8_t *at, uint64_t value)
{
    write32(at, (uint32_t)value);
    write32(at + 4, (uint32_t)(value >> 32));
}

static void check_identity(void)
{
    uint32_t low;

    report_equal(pci_read(0, 0), 0x10411af4, "PCI: bus 0, device 0 is 1af4:1041");
    report_equal(pci_read(0, 8) >> 8, 0x020000, "PCI: the class of a network");
    report_equal(pci_read(0, 0x10), 0xfe00000c, "BAR 0: at 0xfe000000, 64 bits, prefetchable");
    report_equal(pci_read(0, 0x14), 0, "BAR 0: below 4 GiB");
    report_equal(pci_read(0, 0x3c) & 0xffff, 0x010b, "INTA on line 11");
    report_equal(pci_read(1, 0), 0xffffffff, "PCI: nothing at device 1");
    pci_write(0, 0x10, 0xffffffff);
    low = pci_read(0, 0x10);
    pci_write(0, 0x10, 0xfe00000c);
    report_equal(low, 0xffe0000c, "BAR 0: 2 MiB");
    report_equal(pci_read(0, 4) >> 16 & 0x10, 0x10, "there are capabilities");
}

/* In this order, and no others. */
static void check_capabilities(struct device *device)
{
    static const uint8_t types[] = {1, 2, 3, 4};
    volatile uint8_t *places[5] = {NULL};
    unsigned at = pci_read(0, 0x34) & 0xff, count = 0;
    bool good = true;

    for (; at && count < 8; at = pci_read(0, at) >> 8 & 0xff, count++) {
        uint32_t head = pci_read(0, at);
        unsigned type = head >> 24;

        good &= (head & 0xff) == 9 && count < 4 && type == types[count & 3];
        good &= (pci_read(0, at + 4) & 0xff) == 0; /* BAR 0 */
        if (type < 5)
            places[type] = (volatile uint8_t *)(uint64_t)(0xfe000000 + pci_read(0, at + 8));
        if (type == 2)
            device->multiplier = pci_read(0, at + 16);
    }
    report(good && count == 4, "common, notify, ISR, device: these capabilities and no others");
    report_equal(device->multiplier, 4, "the notify multiplier");
    device->common = places[1];
    device->notify = places[2];
    device->isr = places[3];
    device->config = places[4];
}

/* ---- Rings, polled. ---- */

#define QUEUE_SIZE 8

struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

struct queue {
    struct descriptor descriptors[QUEUE_SIZE];
    volatile uint16_t available[2 + QUEUE_SIZE + 1];
    volatile struct {
        uint16_t flags, index;
        struct {
            uint32_t id, length;
        } ring[QUEUE_SIZE];
    } used;
} __attribute__((aligned(4096)));

static struct queue queues[2];
static uint8_t buffers[2][2048];

/* One buffer, the only one of its queue. */
static void give(struct device *device, unsigned number, uint32_t length, bool writable)
{
    struct queue *q = &queues[number];

    q->descriptors[0] = (struct descriptor){(uint64_t)buffers[number], length, writable * 2, 0};
    q->available[2 + q->available[1] % QUEUE_SIZE] = 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    q->available[1]++;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (device->mmio)
        write32(device->common + 0x50, number);
    else
        write16(device->notify + number * device->multiplier, (uint16_t)number);
}

static bool await_used(unsigned number)
{
    struct queue *q = &queues[number];

    for (unsigned i = 0; i < 3000000; i++) { /* seconds, in an emulated ring 0 */
        if (__atomic_load_n(&q->used.index, __ATOMIC_SEQ_CST) == q->available[1])
            return true;
        __asm__ volatile("pause");
    }
    return false;
}

static void set_up_queue_pci(struct device *device, unsigned number)
{
    struct queue *q = &queues[number];

    write16(device->common + 0x16, (uint16_t)number);
    report_equal(read16(device->common + 0x18), 256, "a queue of 256");
    write16(device->common + 0x18, QUEUE_SIZE);
    write64(device->common + 0x20, (uint64_t)q->descriptors);
    write64(device->common + 0x28, (uint64_t)q->available);
    write64(device->common + 0x30, (uint64_t)&q->used);
    report_equal(read16(device->common + 0x1e), number, "its notification's offset");
    report_equal(read16(device->common + 0x1a), 0xffff, "it has no message");
    write16(device->common + 0x1c, 1);
}

static void set_up_pci(struct device *device)
{
    volatile uint8_t *c = device->common;

    c[0x14] = 0;
    c[0x14] = 1;
    c[0x14] = 3;
    write32(c, 0);
    report_equal(read32(c + 4), FEATURES_WITH_TAP, "features: MAC, STATUS, MTU and checksums");
    write32(c, 1);
    report_equal(read32(c + 4), 1, "features: VERSION_1");
    write32(c + 8, 0);
    write32(c + 0xc, 1 << 5 | 1 << 16 | 1 << 3);
    write32(c + 8, 1);
    write32(c + 0xc, 1);
    c[0x14] = 11;
    report_equal(c[0x14], 11, "features: taken");
    report_equal(read16(c + 0x12), 2, "two queues");
    set_up_queue_pci(device, 0);
    set_up_queue_pci(device, 1);
    c[0x14] = 15;
    report_equal(read16(device->config + 6), 1, "the link is up");
    report_equal(read16(device->config + 10), 1500, "the MTU");
    report((device->config[0] & 3) == 2, "a MAC address of its own");
}

/* ---- Interrupts: seen in the local APIC's request register, and never taken. ---- */

#define IOAPIC     UINT64_C(0xfec00000)
#define LOCAL_APIC UINT64_C(0xfee00000)
#define VECTOR     0x41

static void listen(unsigned pin)
{
    map_large_page(IOAPIC);
    map_large_page(LOCAL_APIC);
    write32((volatile uint8_t *)LOCAL_APIC + 0xf0, 0x1ff);
    write32((volatile uint8_t *)IOAPIC, 0x10 + 2 * pin);
    write32((volatile uint8_t *)IOAPIC + 0x10, VECTOR);
    write32((volatile uint8_t *)IOAPIC, 0x11 + 2 * pin);
    write32((volatile uint8_t *)IOAPIC + 0x10, 0);
}

static bool interrupted(void)
{
    volatile uint8_t *at = (volatile uint8_t *)LOCAL_APIC + 0x200 + VECTOR / 32 * 0x10;

    for (unsigned i = 0; i < 100000; i++)
        if (read32(at) >> VECTOR % 32 & 1)
            return true;
    return false;
}

/* ---- The network: who has 10.77.0.1? ---- */

#define HEADER 12

static void copy(uint8_t *to, const volatile uint8_t *from, unsigned len)
{
    for (unsigned i = 0; i < len; i++)
        to[i] = from[i];
}

static uint32_t build_arp(const volatile uint8_t *mac)
{
    static const uint8_t fixed[] = {8, 6, 0, 1, 8, 0, 6, 4, 0, 1};
    static const uint8_t own[] = {10, 77, 0, 2}, host[] = {10, 77, 0, 1};
    uint8_t *frame = buffers[1] + HEADER;

    for (unsigned i = 0; i < 6; i++)
        frame[i] = 0xff;
    copy(frame + 6, mac, 6);
    copy(frame + 12, fixed, sizeof(fixed));
    copy(frame + 22, mac, 6);
    copy(frame + 28, own, 4);
    copy(frame + 38, host, 4);
    return HEADER + 60;
}

/* Whatever else arrives before it is dropped. */
static bool await_arp_answer(struct device *device)
{
    for (unsigned tries = 0; tries < 20; tries++) {
        const uint8_t *frame = buffers[0] + HEADER;

        if (!await_used(0))
            return false;
        if (frame[12] == 8 && frame[13] == 6 && frame[21] == 2 && frame[28] == 10 && frame[31] == 1)
            return true;
        give(device, 0, sizeof(buffers[0]), true);
    }
    return false;
}

static void exchange(struct device *device)
{
    give(device, 0, sizeof(buffers[0]), true);
    give(device, 1, build_arp(device->config), false);
    report(await_used(1), "a frame is sent");
    report(await_arp_answer(device), "the host answers");
    report(interrupted(), "there was an interrupt");
}

static void check_net_pci(void)
{
    struct device device = {.irq = 11};

    check_identity();
    check_capabilities(&device);
    map_large_page(0xfe000000);
    listen(device.irq);
    set_up_pci(&device);
    exchange(&device);
    report_equal(*device.isr & 1, 1, "the ISR register says so");
    report_equal(*device.isr, 0, "reading it clears it");
}

/* ---- virtio-mmio. ---- */

#define MMIO UINT64_C(0xfeb00000)

static void set_up_mmio(struct device *device, unsigned queue_count, uint32_t features)
{
    volatile uint8_t *c = device->common;

    write32(c + 0x70, 0);
    write32(c + 0x70, 3);
    write32(c + 0x24, 0);
    write32(c + 0x20, features);
    write32(c + 0x24, 1);
    write32(c + 0x20, 1);
    write32(c + 0x70, 11);
    report_equal(read32(c + 0x70), 11, "mmio: features are taken");
    for (unsigned i = 0; i < queue_count; i++) {
        write32(c + 0x30, i);
        write32(c + 0x38, QUEUE_SIZE);
        write64(c + 0x80, (uint64_t)queues[i].descriptors);
        write64(c + 0x90, (uint64_t)queues[i].available);
        write64(c + 0xa0, (uint64_t)&queues[i].used);
        write32(c + 0x44, 1);
    }
    write32(c + 0x70, 15);
}

static struct device find_mmio(unsigned number, uint32_t id)
{
    struct device device = {
        .common = (volatile uint8_t *)(MMIO + number * 0x200),
        .mmio = true,
        .irq = 5 + number,
    };

    map_large_page(MMIO);
    report_equal(read32(device.common), 0x74726976, "mmio: the magic");
    report_equal(read32(device.common + 4), 2, "mmio: version 2");
    report_equal(read32(device.common + 8), id, "mmio: the device");
    device.config = device.common + 0x100;
    listen(device.irq);
    return device;
}

static void check_net_mmio(void)
{
    struct device device = find_mmio(0, 1);

    set_up_mmio(&device, 2, 1 << 5 | 1 << 16 | 1 << 3);
    exchange(&device);
}

static void check_rng_mmio(unsigned number)
{
    struct device device = find_mmio(number, 4);
    uint64_t any = 0;

    set_up_mmio(&device, 1, 0);
    give(&device, 0, 64, true);
    report(await_used(0), "random bytes come");
    for (unsigned i = 0; i < 8; i++)
        any |= ((const uint64_t *)(uintptr_t)buffers[0])[i];
    report(any != 0, "they are random");
    report(interrupted(), "there was an interrupt");
    report_equal(read32((volatile uint8_t *)(MMIO + (number + 1) * 0x200)), 0xffffffff,
                 "mmio: nothing behind it");
}

void hermit_main(const struct boot_info *info, uint64_t cpu)
{
    uint64_t pci = bootargs_number(info, "pci"), rng = bootargs_number(info, "rng");

    if (cpu != 0)
        return;
    report_equal(info->has_pci, pci, "whether there is PCI");
    if (pci)
        check_net_pci();
    else if (bootargs_number(info, "net"))
        check_net_mmio();
    else
        check_rng_mmio((unsigned)rng);
    report_end();
}

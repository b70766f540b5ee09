/* Queues of impossible sizes at impossible places. Any victim; through the transport's registers.
 */
#include "hostile.h"
#include "sdk/io.h"
#include "sdk/memory.h"
#include "sdk/report.h"
#include "sdk/string.h"

#define HOLE UINT64_C(0xc0000000)
#define SIZE 16

static uint8_t area[3 * 65536] __attribute__((aligned(65536)));

struct place {
    uint64_t desc, avail, used;
    uint32_t size;
};

static const struct place good = {(uintptr_t)area, (uintptr_t)area + 0x1000,
                                  (uintptr_t)area + 0x2000, SIZE};

/* Up to FEATURES_OK, and then all queues but the one that is attacked. */
static struct virtio_dev *begin(void)
{
    struct virtio_dev *dev = victim();
    const struct victim_kind *kind = victim_kind();

    memset(area, 0, sizeof(area));
    report(virtio_begin(dev, UINT64_MAX) && virtio_queues_create(dev, kind->queue_count),
           "the victim takes features and queues");
    /* Once more from the beginning, with the others only. */
    dev->transport->set_status(dev, 0);
    dev->transport->set_status(dev, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    dev->transport->set_features(dev, dev->features);
    dev->transport->set_status(dev, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
                                        VIRTIO_STATUS_FEATURES_OK);
    for (unsigned i = 0; i < kind->queue_count; i++) {
        struct virtio_queue *q = &dev->queues[i];

        if (i != kind->queue)
            dev->transport->queue_place(dev, i, q->size, (uintptr_t)q->desc, (uintptr_t)q->avail,
                                        (uintptr_t)q->used);
    }
    return dev;
}

/* queue_place() takes sizes of 16 bits; mmio's register has 32. */
static void place(struct virtio_dev *dev, const struct place *p)
{
    unsigned queue = victim_kind()->queue;

    if (p->size > UINT16_MAX && dev->mmio) {
        mmio_write32(dev->mmio + VIRTIO_MMIO_QUEUE_SEL, queue);
        mmio_write32(dev->mmio + VIRTIO_MMIO_QUEUE_NUM, p->size);
        mmio_write32(dev->mmio + VIRTIO_MMIO_QUEUE_READY, 1);
        return;
    }
    dev->transport->queue_place(dev, queue, (uint16_t)p->size, p->desc, p->avail, p->used);
}

static void start(struct virtio_dev *dev)
{
    dev->transport->set_status(dev, virtio_status(dev) | VIRTIO_STATUS_DRIVER_OK);
    dev->transport->notify(dev, victim_kind()->queue);
}

/* A queue that cannot be. The transport may refuse to enable it, and then there is no queue for
 * the device to trip over; else the device must say that it needs a reset. */
static void impossible(struct place p)
{
    struct virtio_dev *dev = begin();
    bool ready;

    place(dev, &p);
    ready = dev->transport->queue_ready(dev, victim_kind()->queue);
    start(dev);
    if (ready)
        expect_break();
    else
        report(true, "the transport does not take it");
}

static void of_size(uint32_t size)
{
    struct place p = good;

    p.size = size;
    impossible(p);
}

static void size_0(void)
{
    struct virtio_dev *dev = begin();
    struct place p = good;

    /* On pci a size of 0 says that there is no queue; it need not be an error. */
    p.size = 0;
    place(dev, &p);
    start(dev);
    if (dev->mmio)
        expect_break();
}

static void size_3(void)
{
    of_size(3);
}

static void size_65535(void)
{
    of_size(65535);
}

static void size_32768(void)
{
    of_size(32768);
}

static void size_over_max(void)
{
    of_size(2u * victim()->transport->queue_size_max(victim(), victim_kind()->queue));
}

/* 0 in the lower 16 bits. */
static void size_17_bits(void)
{
    if (victim()->mmio)
        of_size(0x10000);
    else
        report_skip("a size of 17 bits: the register has 16");
}

static void desc_at(uint64_t address)
{
    struct place p = good;

    p.desc = address;
    impossible(p);
}

static void avail_at(uint64_t address)
{
    struct place p = good;

    p.avail = address;
    impossible(p);
}

static void used_at(uint64_t address)
{
    struct place p = good;

    p.used = address;
    impossible(p);
}

static void desc_outside(void)
{
    desc_at(ram_end());
}

static void desc_over_end(void)
{
    desc_at(ram_end() - 16 * SIZE + 16);
}

static void desc_misaligned(void)
{
    desc_at(good.desc + 8);
}

static void desc_wraps(void)
{
    desc_at(UINT64_MAX - 15);
}

static void avail_outside(void)
{
    avail_at(HOLE);
}

/* All but used_event inside. */
static void avail_over_end(void)
{
    avail_at(ram_end() - 4 - 2 * SIZE);
}

static void avail_misaligned(void)
{
    avail_at(good.avail + 1);
}

static void avail_wraps(void)
{
    avail_at(UINT64_MAX - 1);
}

static void used_outside(void)
{
    used_at(UINT64_C(1) << 32);
}

static void used_over_end(void)
{
    used_at(ram_end() - 4 - 8 * SIZE);
}

static void used_misaligned(void)
{
    used_at(good.used + 2);
}

static void used_wraps(void)
{
    used_at(UINT64_MAX - 3);
}

static void used_is_registers(void)
{
    used_at(victim()->mmio ? victim()->mmio : victim()->pci.common);
}

/* Rings on one another, all inside memory: the device may read its own writing as the driver's
 * wishes, and must end somewhere. */
static void together(uint64_t avail, uint64_t used)
{
    struct virtio_dev *dev = begin();
    volatile uint16_t *words = (volatile uint16_t *)(uintptr_t)avail;
    struct virtq_desc *desc = (struct virtq_desc *)(void *)area;
    struct place p = good;

    p.avail = avail;
    p.used = used;
    place(dev, &p);
    for (unsigned i = 0; i < SIZE; i++)
        desc[i] = (struct virtq_desc){
            .address = (uintptr_t)scratch, .length = 64, .flags = victim_kind()->direction};
    start(dev);
    for (unsigned i = 1; i < 200; i++) {
        words[1] = (uint16_t)i;
        dev->transport->notify(dev, victim_kind()->queue);
    }
    virtio_queue_wait(&dev->queues[victim_kind()->queue], 20000);
    report(true, "rings on one another went by");
}

static void used_is_avail(void)
{
    together(good.avail, good.avail);
}

static void all_the_same(void)
{
    together(good.desc, good.desc);
}

static void used_is_desc(void)
{
    together(good.avail, good.desc);
}

static void used_shifted(void)
{
    together(good.avail, good.avail + 4);
}

/* Places are not taken while the queue is ready: it works where it was placed first. */
static void moved_while_ready(void)
{
    struct virtio_dev *dev = begin();
    struct place p = good, other = {ram_end(), ram_end() + 4096, ram_end() + 8192, 3};

    place(dev, &p);
    place(dev, &other);
    start(dev);
    expect_whole();
}

static void moved_while_running(void)
{
    struct virtio_dev *dev = begin();
    struct place p = good, other = {UINT64_MAX - 15, UINT64_MAX - 1, UINT64_MAX - 3, 65535};

    place(dev, &p);
    start(dev);
    place(dev, &other);
    dev->transport->notify(dev, victim_kind()->queue);
    expect_whole();
}

static void unready_while_running(void)
{
    struct virtio_dev *dev = begin();
    struct place p = good;
    volatile struct virtq_avail *avail = (struct virtq_avail *)(void *)(area + 0x1000);

    place(dev, &p);
    start(dev);
    if (dev->mmio) {
        mmio_write32(dev->mmio + VIRTIO_MMIO_QUEUE_SEL, victim_kind()->queue);
        mmio_write32(dev->mmio + VIRTIO_MMIO_QUEUE_READY, 0);
    } else {
        mmio_write16(dev->pci.common + VIRTIO_PCI_QUEUE_SELECT, (uint16_t)victim_kind()->queue);
        mmio_write16(dev->pci.common + VIRTIO_PCI_QUEUE_ENABLE, 0);
    }
    avail->idx = 1;
    dev->transport->notify(dev, victim_kind()->queue);
    virtio_queue_wait(&dev->queues[victim_kind()->queue], 20000);
    report(true, "a queue taken away while it runs went by");
}

/* DRIVER_OK with the victim's queue not set up at all, and notifications for it. */
static void missing(void)
{
    struct virtio_dev *dev = begin();

    start(dev);
    for (unsigned i = 0; i < 100; i++)
        dev->transport->notify(dev, victim_kind()->queue);
    report(true, "a queue that was never set up went by");
}

const struct hostile_case place_cases[] = {
    {"size-0", size_0},
    {"size-3", size_3},
    {"size-65535", size_65535},
    {"size-32768", size_32768},
    {"size-over-max", size_over_max},
    {"size-17-bits", size_17_bits},
    {"desc-outside", desc_outside},
    {"desc-over-end", desc_over_end},
    {"desc-misaligned", desc_misaligned},
    {"desc-wraps", desc_wraps},
    {"avail-outside", avail_outside},
    {"avail-over-end", avail_over_end},
    {"avail-misaligned", avail_misaligned},
    {"avail-wraps", avail_wraps},
    {"used-outside", used_outside},
    {"used-over-end", used_over_end},
    {"used-misaligned", used_misaligned},
    {"used-wraps", used_wraps},
    {"used-is-registers", used_is_registers},
    {"used-is-avail", used_is_avail},
    {"used-is-desc", used_is_desc},
    {"used-shifted", used_shifted},
    {"rings-all-the-same", all_the_same},
    {"moved-while-ready", moved_while_ready},
    {"moved-while-running", moved_while_running},
    {"unready-while-running", unready_while_running},
    {"queue-missing", missing},
    {0},
};

/* Status, features, notifications and resets at the wrong time. Any victim. */
#include "hostile.h"
#include "sdk/io.h"
#include "sdk/report.h"
#include "sdk/string.h"
#include "sdk/time.h"

#define SETTING_UP (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER)

static uint8_t status(void)
{
    return virtio_status(victim());
}

static void set_status(uint8_t value)
{
    victim()->transport->set_status(victim(), value);
}

static void notify_number(unsigned queue)
{
    struct virtio_dev *dev = victim();

    if (dev->mmio)
        mmio_write32(dev->mmio + VIRTIO_MMIO_QUEUE_NOTIFY, queue);
    else
        mmio_write16(dev->pci.notify, (uint16_t)queue);
}

static void features_unknown(void)
{
    struct virtio_dev *dev = victim();

    set_status(0);
    set_status(SETTING_UP);
    dev->transport->set_features(dev, UINT64_MAX);
    set_status(SETTING_UP | VIRTIO_STATUS_FEATURES_OK);
    report(!(status() & VIRTIO_STATUS_FEATURES_OK), "features that were not offered are refused");
}

static void features_no_version(void)
{
    struct virtio_dev *dev = victim();

    set_status(0);
    set_status(SETTING_UP);
    dev->transport->set_features(dev, 0);
    set_status(SETTING_UP | VIRTIO_STATUS_FEATURES_OK);
    report(!(status() & VIRTIO_STATUS_FEATURES_OK), "a driver from before virtio 1 is refused");
}

/* Features after FEATURES_OK are not taken: what they would allow is still nonsense. */
static void features_late(void)
{
    static struct virtq_desc table;
    struct virtio_queue *q = victim_start(~VIRTIO_F_INDIRECT_DESC);

    victim()->transport->set_features(victim(), victim()->offered);
    table = (struct virtq_desc){
        .address = (uintptr_t)scratch, .length = 64, .flags = victim_kind()->direction};
    describe(q, 0, (uintptr_t)&table, sizeof(table), VIRTQ_DESC_F_INDIRECT, 0);
    offer(q, 0);
    expect_break();
}

static void driver_ok_early(void)
{
    struct virtio_dev *dev = victim();

    set_status(0);
    set_status(SETTING_UP | VIRTIO_STATUS_DRIVER_OK);
    dev->transport->notify(dev, victim_kind()->queue);
    report(!(status() & VIRTIO_STATUS_DRIVER_OK), "DRIVER_OK without FEATURES_OK is refused");
}

static void driver_ok_at_once(void)
{
    set_status(0);
    set_status(SETTING_UP | VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK);
    victim()->transport->notify(victim(), victim_kind()->queue);
    report(!(status() & VIRTIO_STATUS_DRIVER_OK), "all bits in one step, without VERSION_1, too");
}

static void driver_ok_twice(void)
{
    victim_start(UINT64_MAX);
    for (unsigned i = 0; i < 100; i++)
        set_status(status() | VIRTIO_STATUS_DRIVER_OK);
    expect_whole();
}

static void status_all_values(void)
{
    for (unsigned round = 0; round < 4; round++)
        for (unsigned i = 1; i < 256; i++) {
            set_status((uint8_t)(i * (2 * round + 1)));
            victim()->transport->notify(victim(), victim_kind()->queue);
        }
    set_status(0);
    report(status() == 0, "a reset clears whatever was written");
}

static void status_cleared(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    set_status(VIRTIO_STATUS_ACKNOWLEDGE);
    set_status(VIRTIO_STATUS_FAILED);
    offer_index(q, 0);
    set_status(status() & (uint8_t)~VIRTIO_STATUS_FEATURES_OK);
    report(true, "bits taken back one by one went by");
}

/* A driver cannot take back NEEDS_RESET but by a reset. */
static void needs_reset_cleared(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    offer(q, UINT16_MAX);
    expect_break();
    set_status(SETTING_UP | VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK);
    report(status() & VIRTIO_STATUS_NEEDS_RESET, "it still needs a reset");
    describe(q, 0, (uintptr_t)scratch, 64, victim_kind()->direction, 0);
    offer(q, 0);
    delay_us(20000);
    report(q->used->idx == 0, "and does nothing");
}

/* Of its own accord a driver may not set it either, and must not stop the device with it. */
static void needs_reset_set(void)
{
    victim_start(UINT64_MAX);
    set_status(status() | VIRTIO_STATUS_NEEDS_RESET);
    expect_whole();
}

/* Broken again and again: each time one line of log at most, and no more than the limit. */
static void break_storm(void)
{
    for (unsigned i = 0; i < 500; i++) {
        struct virtio_queue *q = victim_start(UINT64_MAX);

        offer(q, UINT16_MAX);
        for (unsigned n = 0; n < 20; n++)
            victim()->transport->notify(victim(), victim_kind()->queue);
    }
    expect_break();
}

static void notify_early(void)
{
    struct virtio_dev *dev = victim();

    set_status(0);
    for (unsigned i = 0; i < 4; i++) {
        dev->transport->notify(dev, victim_kind()->queue);
        set_status(i == 0 ? VIRTIO_STATUS_ACKNOWLEDGE : SETTING_UP);
    }
    virtio_begin(dev, UINT64_MAX);
    virtio_queues_create(dev, victim_kind()->queue_count);
    offer_index(&dev->queues[victim_kind()->queue], 0);
    virtio_start(dev);
    expect_whole();
}

/* A request that is there before DRIVER_OK is not touched before DRIVER_OK. */
static void request_early(void)
{
    struct virtio_dev *dev = victim();
    struct virtio_queue *q = &dev->queues[victim_kind()->queue];

    virtio_begin(dev, UINT64_MAX);
    virtio_queues_create(dev, victim_kind()->queue_count);
    describe(q, 0, (uintptr_t)scratch, 64, victim_kind()->direction, 0);
    offer(q, 0);
    delay_us(20000);
    report(q->used->idx == 0 && !(status() & VIRTIO_STATUS_NEEDS_RESET),
           "it is left alone before DRIVER_OK");
}

static void notify_no_queue(void)
{
    victim_start(UINT64_MAX);
    for (unsigned i = 0; i < 70000; i += i < 300 ? 1 : 997)
        notify_number(i);
    notify_number(UINT32_MAX);
    notify_number(0x80000000);
    notify_number(0x10000);
    expect_whole();
}

static void notify_flood(void)
{
    uint64_t end;

    victim_start(UINT64_MAX);
    end = time_us() + 1000000;
    while (time_us() < end)
        for (unsigned i = 0; i < 100; i++)
            victim()->transport->notify(victim(), victim_kind()->queue);
    expect_whole();
}

/* With the queue full all the time: the device never finds an end, but others have their turn. */
static void request_flood(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);
    uint64_t end = time_us() + 1000000;

    for (unsigned i = 0; i < q->size; i++) {
        describe(q, i, (uintptr_t)scratch, 64, victim_kind()->direction, 0);
        q->avail->ring[i] = (uint16_t)i;
    }
    while (time_us() < end)
        offer_index(q, (uint16_t)(q->used->idx + q->size));
    report(true, "a queue that is always full went by");
}

static void reset_storm(void)
{
    for (unsigned i = 0; i < 5000; i++)
        set_status(0);
    report(status() == 0, "thousands of resets leave it reset");
}

static void start_storm(void)
{
    for (unsigned i = 0; i < 200; i++)
        victim_start(UINT64_MAX);
    expect_whole();
}

/* After a reset nothing of memory is touched any more. Each round fills the queue with writable
 * buffers, resets at once, paints, and looks whether the paint stayed. */
static void reset_in_flight(void)
{
    unsigned spoilt = 0;

    for (unsigned round = 0; round < 100; round++) {
        struct virtio_queue *q = victim_start(UINT64_MAX);
        unsigned chains = q->size / 2u;

        /* A read of the disk where that is the victim; else buffers in its own direction. */
        memset(scratch, 0, 16);
        for (unsigned i = 0; i < chains; i++) {
            uint64_t data = (uintptr_t)scratch + 4096 + (i % 14) * 4096;

            if (victim_kind()->id == VIRTIO_ID_BLOCK) {
                describe(q, 2 * i, (uintptr_t)scratch, 16, VIRTQ_DESC_F_NEXT, 2 * i + 1);
                describe(q, 2 * i + 1, data, 513, VIRTQ_DESC_F_WRITE, 0);
            } else {
                describe(q, 2 * i, data, 512, victim_kind()->direction, 0);
            }
            q->avail->ring[i] = (uint16_t)(2 * i);
        }
        offer_index(q, (uint16_t)chains);
        if (round & 1)
            delay_us(next_random() % 200);
        set_status(0);
        memset(scratch + 4096, 0xa5, sizeof(scratch) - 4096);
        delay_us(500);
        for (unsigned i = 4096; i < sizeof(scratch); i++)
            if (scratch[i] != 0xa5) {
                spoilt++;
                break;
            }
    }
    report(spoilt == 0, "after a reset memory stays as it is (%u of 100 rounds spoilt)", spoilt);
}

/* Rings that are freed and used for something else must not be written after a reset either. */
static void ring_after_reset(void)
{
    unsigned spoilt = 0;

    for (unsigned round = 0; round < 100; round++) {
        struct virtio_queue *q = victim_start(UINT64_MAX);
        volatile uint16_t *idx = &q->used->idx;

        for (unsigned i = 0; i < q->size; i++) {
            describe(q, i, (uintptr_t)scratch, 64, victim_kind()->direction, 0);
            q->avail->ring[i] = (uint16_t)i;
        }
        offer_index(q, q->size);
        set_status(0);
        *idx = 0x5a5a;
        offer_index(q, 0x1234);
        delay_us(500);
        spoilt += *idx != 0x5a5a;
    }
    report(spoilt == 0, "nor is the used ring written (%u of 100 rounds spoilt)", spoilt);
}

const struct hostile_case setup_cases[] = {
    {"features-unknown", features_unknown},
    {"features-no-version", features_no_version},
    {"features-late", features_late},
    {"driver-ok-early", driver_ok_early},
    {"driver-ok-at-once", driver_ok_at_once},
    {"driver-ok-twice", driver_ok_twice},
    {"status-all-values", status_all_values},
    {"status-cleared", status_cleared},
    {"needs-reset-cleared", needs_reset_cleared},
    {"needs-reset-set", needs_reset_set},
    {"break-storm", break_storm},
    {"notify-early", notify_early},
    {"request-early", request_early},
    {"notify-no-queue", notify_no_queue},
    {"notify-flood", notify_flood},
    {"request-flood", request_flood},
    {"reset-storm", reset_storm},
    {"start-storm", start_storm},
    {"reset-in-flight", reset_in_flight},
    {"ring-after-reset", ring_after_reset},
    {0},
};

/* Pages that are none, and lists that are no lists. Victim: balloon. */
#include "hostile.h"
#include "sdk/balloon.h"
#include "sdk/memory.h"
#include "sdk/report.h"

static uint32_t *const list = (uint32_t *)(void *)scratch;

static void send(unsigned queue, uint32_t length)
{
    struct virtio_queue *q;

    victim_start(BALLOON_F_STATS | BALLOON_F_REPORTING | VIRTIO_F_INDIRECT_DESC);
    q = &victim()->queues[queue];
    describe(q, 0, (uintptr_t)scratch, length, 0, 0);
    offer(q, 0);
    settle(q, 0);
    report((virtio_status(victim()) & VIRTIO_STATUS_NEEDS_RESET) || q->used->idx == 1,
           "queue %u has an answer", queue);
}

static void both(uint32_t length)
{
    send(0, length);
    send(1, length);
}

static void pages_outside(void)
{
    list[0] = (uint32_t)(ram_end() / PAGE_SIZE);
    list[1] = 0xc0000;
    list[2] = 0xd0000;
    list[3] = 0xfee00;
    list[4] = 0x100000;
    list[5] = 0x80000000;
    list[6] = UINT32_MAX;
    list[7] = UINT32_MAX - 1;
    both(32);
}

/* Runs that begin inside and end outside, upwards and downwards. */
static void pages_over_end(void)
{
    uint32_t last = (uint32_t)(ram_end() / PAGE_SIZE) - 1;

    for (unsigned i = 0; i < 8; i++) {
        list[i] = last - 3 + i;
        list[8 + i] = last + 4 - i;
    }
    both(64);
}

static void pages_repeated(void)
{
    for (unsigned i = 0; i < 4096; i++)
        list[i] = (uint32_t)((uintptr_t)scratch / PAGE_SIZE) + 15;
    both(16384);
}

static void list_odd(void)
{
    list[0] = (uint32_t)((uintptr_t)scratch / PAGE_SIZE) + 15;
    for (uint32_t length = 0; length < 8; length++)
        send(0, length);
}

/* The list's own page, and the ring's. */
static void pages_own(void)
{
    struct virtio_queue *q = victim_start_apart(VIRTIO_F_INDIRECT_DESC);

    list[0] = (uint32_t)((uintptr_t)scratch / PAGE_SIZE);
    list[1] = (uint32_t)((uintptr_t)q->desc / PAGE_SIZE);
    list[2] = (uint32_t)((uintptr_t)q->desc / PAGE_SIZE) + 1;
    describe(q, 0, (uintptr_t)scratch, 12, 0, 0);
    offer(q, 0);
    for (unsigned i = 0; i < 100; i++)
        victim()->transport->notify(victim(), 0);
    report(true, "a ring given away went by");
}

static void list_writable(void)
{
    struct virtio_queue *q = victim_start(VIRTIO_F_INDIRECT_DESC);

    describe(q, 0, (uintptr_t)scratch, 64, VIRTQ_DESC_F_WRITE, 0);
    offer(q, 0);
    settle(q, 0);
    report((virtio_status(victim()) & VIRTIO_STATUS_NEEDS_RESET) || q->used->idx == 1,
           "a list that cannot be read has an answer");
}

/* As long as all memory: random numbers, none of which are this program's. */
static void list_huge(void)
{
    struct virtio_queue *q = victim_start(VIRTIO_F_INDIRECT_DESC);

    for (unsigned i = 0; i < sizeof(scratch) / 4; i++)
        list[i] = 0x100000 + (uint32_t)next_random() % 0x10000;
    for (unsigned i = 0; i < 100; i++)
        describe(q, i, (uintptr_t)scratch, sizeof(scratch), i < 99 ? VIRTQ_DESC_F_NEXT : 0, i + 1);
    offer(q, 0);
    settle(q, 0);
    report(true, "a list without end went by");
}

static void config_written(void)
{
    uint32_t target;

    victim_start(UINT64_MAX);
    target = virtio_config32(victim(), BALLOON_CONFIG_TARGET);
    for (unsigned i = 0; i < 1000; i++) {
        virtio_config_write32(victim(), BALLOON_CONFIG_TARGET, (uint32_t)next_random());
        virtio_config_write32(victim(), BALLOON_CONFIG_ACTUAL, (uint32_t)next_random());
        virtio_config_write8(victim(), (unsigned)(next_random() % 64), 0xff);
    }
    report(virtio_config32(victim(), BALLOON_CONFIG_TARGET) == target,
           "the target is the host's to say");
    expect_whole();
}

/* Statistics: odd lengths, unknown tags, more than one buffer at once. */
static void statistics(void)
{
    struct balloon balloon;

    if (!balloon_open(&balloon, BALLOON_F_STATS | VIRTIO_F_INDIRECT_DESC) || !balloon.stats) {
        report_skip("it has no statistics");
        return;
    }
    for (unsigned i = 0; i < sizeof(scratch); i++)
        scratch[i] = (uint8_t)next_random();
    for (uint32_t i = 0; i < 32; i++) {
        describe(balloon.stats, i, (uintptr_t)scratch, i * 7, 0, 0);
        offer(balloon.stats, i);
    }
    describe(balloon.stats, 32, (uintptr_t)scratch, sizeof(scratch), 0, 0);
    offer(balloon.stats, 32);
    report(true, "statistics of noise went by");
    virtio_stop(balloon.dev);
}

/* What is reported free: ranges of odd places and lengths, readable ones, and the ring's own. */
static void reporting(void)
{
    struct balloon balloon;
    struct virtio_queue *q;

    if (!balloon_open(&balloon, BALLOON_F_REPORTING | VIRTIO_F_INDIRECT_DESC) ||
        !balloon.reporting) {
        report_skip("it has no reporting");
        return;
    }
    q = balloon.reporting;
    describe(q, 0, (uintptr_t)scratch + 1, 1, VIRTQ_DESC_F_WRITE, 0);
    describe(q, 1, (uintptr_t)scratch + 4095, 4098, VIRTQ_DESC_F_WRITE, 0);
    describe(q, 2, (uintptr_t)scratch, 4096, 0, 0);
    for (unsigned i = 0; i < 3; i++)
        offer(q, i);
    settle(q, 2);
    describe(q, 3, ram_end() - 4096, 8192, VIRTQ_DESC_F_WRITE, 0);
    offer(q, 3);
    expect_break();
    virtio_stop(balloon.dev);
}

const struct hostile_case balloon_cases[] = {
    {"balloon-pages-outside", pages_outside},
    {"balloon-pages-over-end", pages_over_end},
    {"balloon-pages-repeated", pages_repeated},
    {"balloon-pages-own", pages_own},
    {"balloon-list-odd", list_odd},
    {"balloon-list-writable", list_writable},
    {"balloon-list-huge", list_huge},
    {"balloon-config-written", config_written},
    {"balloon-statistics", statistics},
    {"balloon-reporting", reporting},
    {0},
};

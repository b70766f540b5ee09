/* Memory and registers that a second CPU changes while the device looks. Any victim; two CPUs. */
#include "hostile.h"
#include "sdk/io.h"
#include "sdk/report.h"
#include "sdk/smp.h"
#include "sdk/string.h"
#include "sdk/time.h"

#define RACE_US 1000000

static volatile uint32_t stop;

/* One CPU does this until told otherwise, the other notifies. */
static void race(void (*change)(void *argument), void *argument, struct virtio_queue *q)
{
    uint64_t end = time_us() + RACE_US;

    if (smp_start() < 2) {
        report(false, "there is a second CPU");
        return;
    }
    stop = 0;
    smp_run(1, change, argument);
    while (time_us() < end) {
        for (unsigned i = 0; i < 16; i++) {
            if ((uint16_t)(q->next_avail - q->used->idx) < q->size)
                offer(q, next_random() % q->size);
            else
                q->dev->transport->notify(q->dev, q->index);
        }
        if (virtio_status(victim()) & VIRTIO_STATUS_NEEDS_RESET)
            victim_restart_in_place(victim());
    }
    stop = 1;
    smp_wait(1);
    report(true, "a second of it went by");
}

/* With up to 4 KiB added they do not wrap, and with the longest length that fits memory they stay
 * in scratch: what is written there is no other of this program's. */
static const uint64_t addresses[] = {
    (uintptr_t)scratch, UINT64_MAX - 0xfff, UINT64_C(0xc0000000),
    UINT64_C(1) << 32,  0x1000000000000000,
};

static const uint32_t lengths[] = {0, 1, 16, 512, 4096, 0xf000, 0x7fffffff, UINT32_MAX};

/* Its own generator: the other CPU uses the common one. */
static uint32_t step(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static void change_descriptors(void *argument)
{
    struct virtio_queue *q = argument;
    uint32_t state = 1;

    while (!stop) {
        volatile struct virtq_desc *desc = q->desc;
        unsigned i = step(&state) % q->size;

        desc[i].address = addresses[step(&state) % 5] + (step(&state) & 0xfff);
        desc[i].length = lengths[step(&state) % 8];
        desc[i].flags = (uint16_t)(step(&state) & 7);
        desc[i].next = (uint16_t)(step(&state) % (q->size + 1u));
    }
}

static void descriptors(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    race(change_descriptors, q, q);
}

/* One descriptor, good and bad by turns, so that what was checked may differ from what is used. */
static void change_one(void *argument)
{
    struct virtio_queue *q = argument;

    while (!stop) {
        volatile struct virtq_desc *desc = q->desc;

        for (unsigned i = 0; i < 4; i++) {
            desc[i].address = (uintptr_t)scratch;
            desc[i].length = 64;
            desc[i].flags = victim_kind()->direction;
            desc[i].length = UINT32_MAX;
            desc[i].address = UINT64_MAX - 63;
            desc[i].length = 64;
            desc[i].flags = victim_kind()->direction | VIRTQ_DESC_F_INDIRECT;
        }
    }
}

static void one_descriptor(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    race(change_one, q, q);
}

static void change_index(void *argument)
{
    struct virtio_queue *q = argument;
    uint32_t state = 2;

    while (!stop) {
        struct virtq_avail *avail = q->avail;

        avail->ring[step(&state) % q->size] = (uint16_t)step(&state);
        avail->idx = (uint16_t)step(&state);
        avail->flags = (uint16_t)step(&state);
    }
}

static void indices(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    for (unsigned i = 0; i < q->size; i++)
        describe(q, i, (uintptr_t)scratch, 64, victim_kind()->direction, 0);
    race(change_index, q, q);
}

static struct virtq_desc table[64];

static void change_table(void *argument)
{
    volatile struct virtq_desc *desc = table;
    uint32_t state = 3;

    (void)argument;
    while (!stop) {
        unsigned i = step(&state) % 64;

        desc[i].address = addresses[step(&state) % 5];
        desc[i].length = lengths[step(&state) % 8];
        desc[i].flags = (uint16_t)(step(&state) & 7);
        desc[i].next = (uint16_t)(step(&state) % 66);
    }
}

static void indirect_table(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    for (unsigned i = 0; i < q->size; i++)
        describe(q, i, (uintptr_t)table, sizeof(table), VIRTQ_DESC_F_INDIRECT, 0);
    race(change_table, q, q);
}

/* Requests whose contents change: headers, lists, packets. */
static void change_contents(void *argument)
{
    uint32_t state = 4;

    (void)argument;
    while (!stop)
        for (unsigned i = 0; i < 64; i += 4)
            *(volatile uint32_t *)(volatile void *)(scratch + i) = step(&state) % 32;
}

static void contents(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    if (q->size < 4) {
        report_skip("the queue is too short for it");
        return;
    }
    for (unsigned i = 0; i + 1 < q->size; i += 2) {
        describe(q, i, (uintptr_t)scratch, 64, VIRTQ_DESC_F_NEXT, i + 1);
        describe(q, i + 1, (uintptr_t)scratch + 4096, 513, VIRTQ_DESC_F_WRITE, 0);
    }
    race(change_contents, NULL, q);
}

/* Resets and set-ups by one CPU while the other notifies. */
static void reset_over_and_over(void *argument)
{
    struct virtio_dev *dev = argument;

    while (!stop)
        victim_restart_in_place(dev);
}

static void resets(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);
    uint64_t end;

    for (unsigned i = 0; i < q->size; i++)
        describe(q, i, (uintptr_t)scratch, 64, victim_kind()->direction, 0);
    if (smp_start() < 2) {
        report(false, "there is a second CPU");
        return;
    }
    stop = 0;
    end = time_us() + RACE_US;
    smp_run(1, reset_over_and_over, victim());
    while (time_us() < end)
        offer(q, next_random() % q->size);
    stop = 1;
    smp_wait(1);
    report(true, "a second of it went by");
}

/* Both CPUs in the configuration. */
static void read_config(void *argument)
{
    struct virtio_dev *dev = argument;
    uint32_t state = 5;

    while (!stop) {
        uint64_t at = dev->transport->config(dev) + step(&state) % 64;

        if (!dev->transport->config(dev))
            return;
        mmio_read8(at);
        mmio_write8(at, (uint8_t)step(&state));
    }
}

static void configuration(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    for (unsigned i = 0; i < q->size; i++)
        describe(q, i, (uintptr_t)scratch, 64, victim_kind()->direction, 0);
    race(read_config, victim(), q);
}

const struct hostile_case race_cases[] = {
    {"race-descriptors", descriptors},
    {"race-one-descriptor", one_descriptor},
    {"race-indices", indices},
    {"race-indirect-table", indirect_table},
    {"race-contents", contents},
    {"race-resets", resets},
    {"race-configuration", configuration},
    {0},
};

/* Buffers for random bytes that make no sense. Victim: rng. */
#include "hostile.h"
#include "sdk/report.h"

/* Nothing to write into: an answer of no bytes, or a reset. */
static void readable_only(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    describe(q, 0, (uintptr_t)scratch, 64, 0, 0);
    scratch[0] = 0x11;
    offer(q, 0);
    settle(q, 0);
    report((virtio_status(victim()) & VIRTIO_STATUS_NEEDS_RESET) ||
               (q->used->idx == 1 && q->used->ring[0].length == 0),
           "a buffer that cannot be written has an answer of no bytes");
}

static void readable_untouched(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);
    bool same = true;

    for (unsigned i = 0; i < 64; i++)
        scratch[i] = (uint8_t)i;
    describe(q, 0, (uintptr_t)scratch, 64, VIRTQ_DESC_F_NEXT, 1);
    describe(q, 1, (uintptr_t)scratch + 4096, 64, VIRTQ_DESC_F_WRITE, 0);
    offer(q, 0);
    settle(q, 0);
    for (unsigned i = 0; i < 64; i++)
        same = same && scratch[i] == (uint8_t)i;
    report(same, "what is only readable is not written");
}

/* Half of all memory: some of it, or all, but the machine goes on. */
static void huge(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    describe(q, 0, ram_end() / 2, (uint32_t)(ram_end() / 4), VIRTQ_DESC_F_WRITE, 0);
    offer(q, 0);
    settle(q, 0);
    report(q->used->idx == 1 && q->used->ring[0].length <= ram_end() / 4, "a huge one is answered");
}

/* The queue full of large ones, again and again. */
static void greedy(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    for (unsigned i = 0; i < q->size; i++) {
        describe(q, i, (uintptr_t)scratch, sizeof(scratch), VIRTQ_DESC_F_WRITE, 0);
        q->avail->ring[i] = (uint16_t)i;
    }
    for (unsigned round = 0; round < 50; round++)
        offer_index(q, (uint16_t)(q->used->idx + q->size));
    settle(q, q->used->idx);
    report(true, "greed went by");
}

const struct hostile_case rng_cases[] = {
    {"rng-readable-only", readable_only},
    {"rng-readable-untouched", readable_untouched},
    {"rng-huge", huge},
    {"rng-greedy", greedy},
    {0},
};

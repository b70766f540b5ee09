/* Descriptors, chains and indices that make no sense. Any victim. */
#include "hostile.h"
#include "sdk/report.h"

#define HOLE     UINT64_C(0xc0000000)
#define LAPIC    UINT64_C(0xfee00000)
#define FOUR_GIB (UINT64_C(1) << 32)

/* One descriptor alone, in the direction that the victim wants. */
static void one(uint64_t address, uint32_t length)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    describe(q, 0, address, length, victim_kind()->direction, 0);
    offer(q, 0);
}

static void one_breaks(uint64_t address, uint32_t length)
{
    one(address, length);
    expect_break();
}

static void loop_of(unsigned length)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    for (unsigned i = 0; i < length; i++)
        describe(q, i, (uintptr_t)scratch, 16, victim_kind()->direction | VIRTQ_DESC_F_NEXT,
                 (i + 1) % length);
    offer(q, 0);
    expect_break();
}

static void loop_self(void)
{
    loop_of(1);
}

static void loop_two(void)
{
    loop_of(2);
}

static void loop_all(void)
{
    loop_of(victim_start(UINT64_MAX)->size);
}

/* A loop of nothing: no bytes, so only the count of descriptors can end it. */
static void loop_empty(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    describe(q, 0, (uintptr_t)scratch, 0, victim_kind()->direction | VIRTQ_DESC_F_NEXT, 0);
    offer(q, 0);
    expect_break();
}

static void next_to(unsigned next)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    describe(q, 0, (uintptr_t)scratch, 16, victim_kind()->direction | VIRTQ_DESC_F_NEXT, next);
    offer(q, 0);
    expect_break();
}

static void next_outside(void)
{
    next_to(victim_start(UINT64_MAX)->size);
}

static void next_last(void)
{
    next_to(UINT16_MAX);
}

/* Good memory, if only just: what the victim makes of one byte is its own affair. */
static void address_last_byte(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    describe(q, 0, ram_end() - 1, 1, victim_kind()->direction, 0);
    offer(q, 0);
    settle(q, 0);
    if (victim_kind()->id == VIRTIO_ID_RNG)
        report(q->used->idx == 1, "the last byte of RAM is as good as any");
}

static void address_after_ram(void)
{
    one_breaks(ram_end(), 1);
}

static void address_over_end(void)
{
    one_breaks(ram_end() - 1, 2);
}

static void address_over_end_far(void)
{
    one_breaks(ram_end() - 4096, UINT32_MAX);
}

static void address_hole(void)
{
    one_breaks(HOLE, 16);
}

static void address_lapic(void)
{
    one_breaks(LAPIC, 16);
}

/* Its own registers. */
static void address_registers(void)
{
    one_breaks(victim()->mmio ? victim()->mmio : victim()->pci.common, 16);
}

static void address_4g(void)
{
    one_breaks(FOUR_GIB, 16);
}

static void address_below_4g(void)
{
    one_breaks(FOUR_GIB - 1, 2);
}

static void address_last(void)
{
    one_breaks(UINT64_MAX, 1);
}

static void address_wraps(void)
{
    one_breaks(UINT64_MAX - 15, 64);
}

/* To just where it is good again, were the sum made in 64 bits. */
static void address_wraps_to_ram(void)
{
    one_breaks(UINT64_MAX - 0xff, 0x100 + 0x100000);
}

static void address_sign(void)
{
    one_breaks(UINT64_C(1) << 63 | (uintptr_t)scratch, 16);
}

static void address_bit_32(void)
{
    one_breaks(FOUR_GIB | (uintptr_t)scratch, 16);
}

static void length_max(void)
{
    one_breaks((uintptr_t)scratch, UINT32_MAX);
}

static void length_ram(void)
{
    one_breaks(4096, (uint32_t)ram_end());
}

/* Each is good; together they are more than 2^32 bytes. */
static void length_sum_wraps(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);
    uint32_t part = (uint32_t)ram_end() - 0x200000;
    unsigned count = (unsigned)(FOUR_GIB / part) + 1;

    if (count > q->size) {
        report_skip("the queue is too short for it");
        return;
    }
    for (unsigned i = 0; i < count; i++)
        describe(q, i, 0x200000, part,
                 victim_kind()->direction | (i + 1 < count ? VIRTQ_DESC_F_NEXT : 0u), i + 1);
    offer(q, 0);
    expect_break();
}

static void length_zero(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    describe(q, 0, (uintptr_t)scratch, 0, victim_kind()->direction, 0);
    offer(q, 0);
    settle(q, 0);
}

/* An address is of no account where no byte is there. Not nonsense enough to break for all. */
static void length_zero_outside(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    describe(q, 0, UINT64_MAX, 0, victim_kind()->direction, 0);
    offer(q, 0);
    settle(q, 0);
}

static void length_zero_whole_queue(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    for (unsigned i = 0; i < q->size; i++)
        describe(q, i, (uintptr_t)scratch, 0,
                 victim_kind()->direction | (i + 1u < q->size ? VIRTQ_DESC_F_NEXT : 0u), i + 1);
    offer(q, 0);
    settle(q, 0);
}

static void writable_first(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    describe(q, 0, (uintptr_t)scratch, 16, VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_NEXT, 1);
    describe(q, 1, (uintptr_t)scratch + 64, 16, 0, 0);
    offer(q, 0);
    expect_break();
}

static void flags_all(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    describe(q, 0, (uintptr_t)scratch, 16, UINT16_MAX, 0);
    offer(q, 0);
    expect_break(); /* INDIRECT with NEXT */
}

/* Reserved bits alone are ignored: 2.7.5. */
static void flags_reserved(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    describe(q, 0, (uintptr_t)scratch, 64, victim_kind()->direction | 0xfff8u, 0);
    offer(q, 0);
    settle(q, 0);
}

static void head_of(unsigned head)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    offer(q, head);
    expect_break();
}

static void head_outside(void)
{
    head_of(victim_start(UINT64_MAX)->size);
}

static void head_last(void)
{
    head_of(UINT16_MAX);
}

static void index_at(unsigned idx)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    for (unsigned i = 0; i < q->size; i++)
        describe(q, i, (uintptr_t)scratch, 16, victim_kind()->direction, 0);
    offer_index(q, (uint16_t)idx);
    expect_break();
}

static void index_jumps(void)
{
    index_at(victim_start(UINT64_MAX)->size + 1u);
}

static void index_far(void)
{
    index_at(0x8000);
}

static void index_back(void)
{
    index_at(UINT16_MAX);
}

/* Forward by one, and back to where it was: nothing, or 65535 chains, by when the device looks. */
static void index_to_and_fro(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    describe(q, 0, (uintptr_t)scratch, 16, victim_kind()->direction, 0);
    for (unsigned i = 0; i < 1000; i++) {
        offer_index(q, 1);
        offer_index(q, 0);
    }
    settle(q, 0);
}

/* One chain, as often as the ring has room, all at once. */
static void head_repeated(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    describe(q, 0, (uintptr_t)scratch, 64, victim_kind()->direction, 0);
    for (unsigned i = 0; i < q->size; i++)
        q->avail->ring[i] = 0;
    offer_index(q, q->size);
    settle(q, 0);
}

/* Chains that have a part in common. */
static void chains_shared(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);
    unsigned last = q->size - 1u;

    for (unsigned i = 0; i < last; i++) {
        describe(q, i, (uintptr_t)scratch, 16, victim_kind()->direction | VIRTQ_DESC_F_NEXT, last);
        q->avail->ring[i] = (uint16_t)i;
    }
    describe(q, last, (uintptr_t)scratch, 64, victim_kind()->direction, 0);
    offer_index(q, (uint16_t)last);
    settle(q, 0);
}

/* A buffer that is the ring itself. */
static void buffer_is_ring(void)
{
    struct virtio_queue *q = victim_start_apart(UINT64_MAX);

    describe(q, 0, (uintptr_t)q->desc, 8192, victim_kind()->direction, 0);
    offer(q, 0);
    settle(q, 0);
}

/* Used_event and the flags wander while it works. */
static void event_wild(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    describe(q, 0, (uintptr_t)scratch, 64, victim_kind()->direction, 0);
    for (unsigned i = 0; i < 2000; i++) {
        q->avail->ring[q->size] = (uint16_t)next_random();
        q->avail->flags = (uint16_t)next_random();
        q->used->flags = (uint16_t)next_random();
        q->used->idx = (uint16_t)next_random();
        offer(q, 0);
    }
    settle(q, q->used->idx);
}

const struct hostile_case ring_cases[] = {
    {"loop-self", loop_self},
    {"loop-two", loop_two},
    {"loop-all", loop_all},
    {"loop-empty", loop_empty},
    {"next-outside", next_outside},
    {"next-last", next_last},
    {"address-last-byte", address_last_byte},
    {"address-after-ram", address_after_ram},
    {"address-over-end", address_over_end},
    {"address-over-end-far", address_over_end_far},
    {"address-hole", address_hole},
    {"address-lapic", address_lapic},
    {"address-registers", address_registers},
    {"address-4g", address_4g},
    {"address-below-4g", address_below_4g},
    {"address-last", address_last},
    {"address-wraps", address_wraps},
    {"address-wraps-to-ram", address_wraps_to_ram},
    {"address-sign", address_sign},
    {"address-bit-32", address_bit_32},
    {"length-max", length_max},
    {"length-ram", length_ram},
    {"length-sum-wraps", length_sum_wraps},
    {"length-zero", length_zero},
    {"length-zero-outside", length_zero_outside},
    {"length-zero-whole-queue", length_zero_whole_queue},
    {"writable-first", writable_first},
    {"flags-all", flags_all},
    {"flags-reserved", flags_reserved},
    {"head-outside", head_outside},
    {"head-last", head_last},
    {"head-repeated", head_repeated},
    {"index-jumps", index_jumps},
    {"index-far", index_far},
    {"index-back", index_back},
    {"index-to-and-fro", index_to_and_fro},
    {"chains-shared", chains_shared},
    {"buffer-is-ring", buffer_is_ring},
    {"event-wild", event_wild},
    {0},
};

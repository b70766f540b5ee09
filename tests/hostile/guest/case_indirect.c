/* Indirect tables that make no sense. Any victim. */
#include "hostile.h"
#include "sdk/report.h"

#define ENTRY ((uint32_t)sizeof(struct virtq_desc))

static struct virtq_desc table[1024];

static void entry(unsigned index, uint64_t address, uint32_t length, unsigned flags, unsigned next)
{
    table[index] = (struct virtq_desc){
        .address = address, .length = length, .flags = (uint16_t)flags, .next = (uint16_t)next};
}

/* A descriptor of the ring that names a table. */
static struct virtio_queue *name_table(uint64_t address, uint32_t length, unsigned more_flags)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    describe(q, 0, address, length, VIRTQ_DESC_F_INDIRECT | more_flags, 1);
    describe(q, 1, (uintptr_t)scratch, 16, victim_kind()->direction, 0);
    offer(q, 0);
    return q;
}

static void name_breaks(uint64_t address, uint32_t length, unsigned more_flags)
{
    entry(0, (uintptr_t)scratch, 16, victim_kind()->direction, 0);
    name_table(address, length, more_flags);
    expect_break();
}

static void not_agreed(void)
{
    struct virtio_queue *q = victim_start(~VIRTIO_F_INDIRECT_DESC);

    entry(0, (uintptr_t)scratch, 16, victim_kind()->direction, 0);
    describe(q, 0, (uintptr_t)table, ENTRY, VIRTQ_DESC_F_INDIRECT, 0);
    offer(q, 0);
    expect_break();
}

static void in_indirect(void)
{
    entry(0, (uintptr_t)&table[1], ENTRY, VIRTQ_DESC_F_INDIRECT, 0);
    entry(1, (uintptr_t)scratch, 16, victim_kind()->direction, 0);
    name_table((uintptr_t)table, 2 * ENTRY, 0);
    expect_break();
}

/* A table that names itself. */
static void names_itself(void)
{
    entry(0, (uintptr_t)table, ENTRY, VIRTQ_DESC_F_INDIRECT, 0);
    name_table((uintptr_t)table, ENTRY, 0);
    expect_break();
}

static void with_next(void)
{
    name_breaks((uintptr_t)table, ENTRY, VIRTQ_DESC_F_NEXT);
}

/* As the end of a chain it is good: 2.7.5.3.1 forbids NEXT beside it only. But not in the middle of
 * writable ones with a readable one in the table. */
static void after_writable(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    entry(0, (uintptr_t)scratch, 16, 0, 0);
    describe(q, 0, (uintptr_t)scratch + 64, 16, VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_NEXT, 1);
    describe(q, 1, (uintptr_t)table, ENTRY, VIRTQ_DESC_F_INDIRECT, 0);
    offer(q, 0);
    expect_break();
}

static void length_0(void)
{
    name_breaks((uintptr_t)table, 0, 0);
}

static void length_15(void)
{
    name_breaks((uintptr_t)table, ENTRY - 1, 0);
}

static void length_17(void)
{
    name_breaks((uintptr_t)table, ENTRY + 1, 0);
}

static void length_huge(void)
{
    name_breaks((uintptr_t)table, UINT32_MAX & ~(ENTRY - 1), 0);
}

static void length_max(void)
{
    name_breaks((uintptr_t)table, UINT32_MAX, 0);
}

static void outside(void)
{
    name_breaks(ram_end(), ENTRY, 0);
}

static void over_end(void)
{
    name_breaks(ram_end() - ENTRY, 2 * ENTRY, 0);
}

static void wraps(void)
{
    name_breaks(UINT64_MAX - ENTRY + 1, 2 * ENTRY, 0);
}

static void is_the_ring(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    describe(q, 0, (uintptr_t)q->desc, ENTRY * q->size, VIRTQ_DESC_F_INDIRECT, 0);
    offer(q, 0);
    expect_break();
}

static void loop(void)
{
    entry(0, (uintptr_t)scratch, 16, victim_kind()->direction | VIRTQ_DESC_F_NEXT, 1);
    entry(1, (uintptr_t)scratch, 16, victim_kind()->direction | VIRTQ_DESC_F_NEXT, 0);
    name_table((uintptr_t)table, 2 * ENTRY, 0);
    expect_break();
}

static void next_outside(void)
{
    entry(0, (uintptr_t)scratch, 16, victim_kind()->direction | VIRTQ_DESC_F_NEXT, 2);
    entry(2, (uintptr_t)scratch, 16, victim_kind()->direction, 0);
    name_table((uintptr_t)table, 2 * ENTRY, 0);
    expect_break();
}

/* 2.7.5.3.1: a chain is no longer than its queue, wherever its descriptors are. */
static void longer_than_queue(void)
{
    unsigned count = victim_start(UINT64_MAX)->size + 1u;

    if (count > sizeof(table) / sizeof(table[0])) {
        report_skip("the queue is longer than the table");
        return;
    }
    for (unsigned i = 0; i < count; i++)
        entry(i, (uintptr_t)scratch, 1,
              victim_kind()->direction | (i + 1 < count ? VIRTQ_DESC_F_NEXT : 0u), i + 1);
    name_table((uintptr_t)table, count * ENTRY, 0);
    expect_break();
}

static void buffer_outside(void)
{
    entry(0, ram_end(), 16, victim_kind()->direction, 0);
    name_table((uintptr_t)table, ENTRY, 0);
    expect_break();
}

static void writable_first(void)
{
    entry(0, (uintptr_t)scratch, 16, VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_NEXT, 1);
    entry(1, (uintptr_t)scratch + 64, 16, 0, 0);
    name_table((uintptr_t)table, 2 * ENTRY, 0);
    expect_break();
}

/* 2.7.5.3.2: the device ignores WRITE in a descriptor that names a table. */
static void write_flag(void)
{
    struct virtio_queue *q;

    entry(0, (uintptr_t)scratch, 64, victim_kind()->direction, 0);
    q = name_table((uintptr_t)table, ENTRY, VIRTQ_DESC_F_WRITE);
    settle(q, 0);
    if (victim_kind()->id == VIRTIO_ID_RNG)
        report(q->used->idx == 1, "the flag is ignored");
}

const struct hostile_case indirect_cases[] = {
    {"indirect-not-agreed", not_agreed},
    {"indirect-in-indirect", in_indirect},
    {"indirect-names-itself", names_itself},
    {"indirect-with-next", with_next},
    {"indirect-after-writable", after_writable},
    {"indirect-length-0", length_0},
    {"indirect-length-15", length_15},
    {"indirect-length-17", length_17},
    {"indirect-length-huge", length_huge},
    {"indirect-length-max", length_max},
    {"indirect-outside", outside},
    {"indirect-over-end", over_end},
    {"indirect-wraps", wraps},
    {"indirect-is-the-ring", is_the_ring},
    {"indirect-loop", loop},
    {"indirect-next-outside", next_outside},
    {"indirect-longer-than-queue", longer_than_queue},
    {"indirect-buffer-outside", buffer_outside},
    {"indirect-writable-first", writable_first},
    {"indirect-write-flag", write_flag},
    {0},
};

/* virtio/virtqueue.h: split rings, by the book and against it. */
#include "unit.h"

#include <errno.h>

#include "base/bytes.h"
#include "guest/layout.h"
#include "virtio/virtqueue.h"

#define MEMORY_SIZE (1 * MIB)
#define QUEUE_SIZE  8
#define DESC        0x1000
#define AVAIL       0x2000
#define USED        0x3000
#define TABLE       0x4000 /* of indirect descriptors */
#define BUFFER      0x10000

#define NEXT     1
#define WRITE    2
#define INDIRECT 4

struct fixture {
    struct guest_memory *mem;
    struct virtqueue vq;
    struct virtq_chain chain;
};

static void put16(struct fixture *f, uint64_t gpa, uint16_t value)
{
    uint8_t raw[2];

    store_le16(raw, value);
    assert_int_equal(guest_memory_write(f->mem, gpa, raw, sizeof(raw)), 0);
}

static uint16_t get16(struct fixture *f, uint64_t gpa)
{
    uint8_t raw[2];

    assert_int_equal(guest_memory_read(f->mem, gpa, raw, sizeof(raw)), 0);
    return load_le16(raw);
}

struct desc {
    uint64_t gpa;
    uint32_t len;
    uint16_t flags, next;
};

static void put_desc(struct fixture *f, uint64_t table, unsigned index, const struct desc *d)
{
    uint8_t raw[16];

    store_le64(raw, d->gpa);
    store_le32(raw + 8, d->len);
    store_le16(raw + 12, d->flags);
    store_le16(raw + 14, d->next);
    assert_int_equal(guest_memory_write(f->mem, table + index * 16, raw, sizeof(raw)), 0);
}

static void make_available(struct fixture *f, uint16_t head)
{
    uint16_t idx = get16(f, AVAIL + 2);

    put16(f, AVAIL + 4 + 2 * (idx % QUEUE_SIZE), head);
    put16(f, AVAIL + 2, (uint16_t)(idx + 1));
}

static struct fixture *build(bool indirect, bool event_idx)
{
    struct guest_memory_options options = {.size = MEMORY_SIZE};
    struct fixture *f = test_calloc(1, sizeof(*f));

    assert_int_equal(guest_memory_create(&options, &f->mem, NULL), 0);
    f->vq = (struct virtqueue){
        .size_max = 256,
        .size = QUEUE_SIZE,
        .ready = true,
        .desc_gpa = DESC,
        .avail_gpa = AVAIL,
        .used_gpa = USED,
    };
    assert_int_equal(virtqueue_start(&f->vq, f->mem, indirect, event_idx), 0);
    return f;
}

static void destroy(struct fixture *f)
{
    guest_memory_destroy(f->mem);
    test_free(f);
}

/* ---- Starting. ---- */

struct start_row {
    const char *name;
    uint32_t size;
    uint64_t desc, avail, used;
    int result;
};

static const struct start_row starts[] = {
    {"as it should be", 8, DESC, AVAIL, USED, 0},
    {"largest size", 256, DESC, 0x8000, 0xa000, 0},
    {"size 1", 1, DESC, AVAIL, USED, 0},
    {"size 0", 0, DESC, AVAIL, USED, -EPROTO},
    {"size 3", 3, DESC, AVAIL, USED, -EPROTO},
    {"size over the most", 512, DESC, AVAIL, USED, -EPROTO},
    {"size 32768", 32768, DESC, AVAIL, USED, -EPROTO},
    {"size 65535", 65535, DESC, AVAIL, USED, -EPROTO},
    {"descriptors not aligned", 8, DESC + 8, AVAIL, USED, -EPROTO},
    {"available ring not aligned", 8, DESC, AVAIL + 1, USED, -EPROTO},
    {"used ring not aligned", 8, DESC, AVAIL, USED + 2, -EPROTO},
    {"descriptors end with memory", 8, MEMORY_SIZE - 128, AVAIL, USED, 0},
    {"descriptors past memory", 8, MEMORY_SIZE - 112, AVAIL, USED, -EPROTO},
    {"available ring ends with memory", 8, DESC, MEMORY_SIZE - 22, USED, 0},
    {"available ring past memory", 8, DESC, MEMORY_SIZE - 20, USED, -EPROTO},
    {"used ring ends with memory", 8, DESC, AVAIL, MEMORY_SIZE - 72, 0},
    {"used ring past memory", 8, DESC, AVAIL, MEMORY_SIZE - 68, -EPROTO},
    {"descriptors nowhere", 8, UINT64_C(0xfffffffffffffff0), AVAIL, USED, -EPROTO},
    {"used ring nowhere", 8, DESC, AVAIL, UINT64_C(1) << 63, -EPROTO},
};

static void test_start(void **state)
{
    const struct start_row *row = *state;
    struct fixture *f = build(true, true);
    struct virtqueue vq = {
        .size_max = 256,
        .size = (uint16_t)row->size,
        .desc_gpa = row->desc,
        .avail_gpa = row->avail,
        .used_gpa = row->used,
    };

    assert_int_equal(virtqueue_start(&vq, f->mem, true, true), row->result);
    destroy(f);
}

/* ---- Chains. ---- */

struct chain_row {
    const char *name;
    struct desc ring[QUEUE_SIZE];
    struct desc table[12];
    uint16_t head;
    bool no_indirect;
    int result;
    unsigned readable, writable;
    uint32_t readable_len, writable_len;
};

#define R(len_)            \
    {                      \
        BUFFER, len_, 0, 0 \
    }
#define RN(len_, n)           \
    {                         \
        BUFFER, len_, NEXT, n \
    }
#define W(len_)                \
    {                          \
        BUFFER, len_, WRITE, 0 \
    }
#define WN(len_, n)                   \
    {                                 \
        BUFFER, len_, NEXT | WRITE, n \
    }
#define I(len_)                  \
    {                            \
        TABLE, len_, INDIRECT, 0 \
    }
#define AT(gpa_, len_)   \
    {                    \
        gpa_, len_, 0, 0 \
    }

static const struct chain_row chains[] = {
    {"one readable", {R(10)}, {{0}}, 0, false, 1, 1, 0, 10, 0},
    {"one writable", {W(10)}, {{0}}, 0, false, 1, 0, 1, 0, 10},
    {"readable, then writable", {RN(1, 2), {0}, W(2)}, {{0}}, 0, false, 1, 1, 1, 1, 2},
    {"two and two", {RN(1, 1), RN(2, 2), WN(3, 3), W(4)}, {{0}}, 0, false, 1, 2, 2, 3, 7},
    {"as long as the queue",
     {RN(1, 1), RN(1, 2), RN(1, 3), RN(1, 4), RN(1, 5), RN(1, 6), RN(1, 7), R(1)},
     {{0}},
     0,
     false,
     1,
     8,
     0,
     8,
     0},
    {"a loop of one", {RN(1, 0)}, {{0}}, 0, false, -EPROTO, 0, 0, 0, 0},
    {"a loop of two", {RN(1, 1), RN(1, 0)}, {{0}}, 0, false, -EPROTO, 0, 0, 0, 0},
    {"a loop of empty ones", {RN(0, 0)}, {{0}}, 0, false, -EPROTO, 0, 0, 0, 0},
    {"next past the table", {RN(1, 8)}, {{0}}, 0, false, -EPROTO, 0, 0, 0, 0},
    {"next far past the table", {RN(1, 65535)}, {{0}}, 0, false, -EPROTO, 0, 0, 0, 0},
    {"head past the table", {R(1)}, {{0}}, 8, false, -EPROTO, 0, 0, 0, 0},
    {"writable before readable", {WN(1, 1), R(1)}, {{0}}, 0, false, -EPROTO, 0, 0, 0, 0},
    {"an empty descriptor is left out", {RN(0, 1), W(5)}, {{0}}, 0, false, 1, 0, 1, 0, 5},
    {"nothing but an empty descriptor", {R(0)}, {{0}}, 0, false, 1, 0, 0, 0, 0},
    {"the last byte of memory", {AT(MEMORY_SIZE - 1, 1)}, {{0}}, 0, false, 1, 1, 0, 1, 0},
    {"one byte past memory", {AT(MEMORY_SIZE - 1, 2)}, {{0}}, 0, false, -EPROTO, 0, 0, 0, 0},
    {"begins past memory", {AT(MEMORY_SIZE, 1)}, {{0}}, 0, false, -EPROTO, 0, 0, 0, 0},
    {"in the hole", {AT(LAYOUT_LAPIC_BASE, 4)}, {{0}}, 0, false, -EPROTO, 0, 0, 0, 0},
    {"above 4 GiB, where there is none", {AT(4 * GIB, 1)}, {{0}}, 0, false, -EPROTO, 0, 0, 0, 0},
    {"wraps round", {AT(UINT64_MAX, 2)}, {{0}}, 0, false, -EPROTO, 0, 0, 0, 0},
    {"all of memory", {AT(0, MEMORY_SIZE)}, {{0}}, 0, false, 1, 1, 0, MEMORY_SIZE, 0},
    {"4 GiB long", {AT(0, UINT32_MAX)}, {{0}}, 0, false, -EPROTO, 0, 0, 0, 0},
    {"indirect", {I(32)}, {RN(3, 1), W(4)}, 0, false, 1, 1, 1, 3, 4},
    {"indirect behind a readable one", {RN(5, 1), I(16)}, {W(4)}, 0, false, 1, 1, 1, 5, 4},
    {"indirect as long as the queue",
     {I(128)},
     {RN(1, 1), RN(1, 2), RN(1, 3), RN(1, 4), RN(1, 5), RN(1, 6), RN(1, 7), R(1)},
     0,
     false,
     1,
     8,
     0,
     8,
     0},
    {"indirect longer than the queue",
     {I(144)},
     {RN(1, 1), RN(1, 2), RN(1, 3), RN(1, 4), RN(1, 5), RN(1, 6), RN(1, 7), RN(1, 8), R(1)},
     0,
     false,
     -EPROTO,
     0,
     0,
     0,
     0},
    {"indirect in indirect", {I(32)}, {I(16), R(1)}, 0, false, -EPROTO, 0, 0, 0, 0},
    {"indirect with a next one",
     {{TABLE, 16, INDIRECT | NEXT, 1}, R(1)},
     {R(1)},
     0,
     false,
     -EPROTO,
     0,
     0,
     0,
     0},
    {"indirect of no length", {I(0)}, {{0}}, 0, false, -EPROTO, 0, 0, 0, 0},
    {"indirect of half a descriptor", {I(24)}, {R(1)}, 0, false, -EPROTO, 0, 0, 0, 0},
    {"indirect table past memory",
     {{MEMORY_SIZE - 16, 32, INDIRECT, 0}},
     {{0}},
     0,
     false,
     -EPROTO,
     0,
     0,
     0,
     0},
    {"indirect, next past its table", {I(16)}, {RN(1, 1), R(1)}, 0, false, -EPROTO, 0, 0, 0, 0},
    {"indirect, a loop", {I(32)}, {RN(1, 1), RN(1, 0)}, 0, false, -EPROTO, 0, 0, 0, 0},
    {"indirect without the feature", {I(16)}, {R(1)}, 0, true, -EPROTO, 0, 0, 0, 0},
};

static void test_chain(void **state)
{
    const struct chain_row *row = *state;
    struct fixture *f = build(!row->no_indirect, false);

    for (unsigned i = 0; i < ARRAY_SIZE(row->ring); i++)
        put_desc(f, DESC, i, &row->ring[i]);
    for (unsigned i = 0; i < ARRAY_SIZE(row->table); i++)
        put_desc(f, TABLE, i, &row->table[i]);
    make_available(f, row->head);
    assert_int_equal(virtqueue_pop(&f->vq, &f->chain), row->result);
    if (row->result == 1) {
        assert_int_equal(f->chain.head, row->head);
        assert_int_equal(f->chain.readable_count, row->readable);
        assert_int_equal(f->chain.writable_count, row->writable);
        assert_int_equal(f->chain.readable_len, row->readable_len);
        assert_int_equal(f->chain.writable_len, row->writable_len);
    }
    destroy(f);
}

/* ---- The rings' indices. ---- */

static void test_nothing(void **state)
{
    struct fixture *f = build(false, false);

    (void)state;
    assert_int_equal(virtqueue_pop(&f->vq, &f->chain), 0);
    destroy(f);
}

static void test_index_jumps(void **state)
{
    struct fixture *f = build(false, false);

    (void)state;
    put16(f, AVAIL + 2, QUEUE_SIZE + 1);
    assert_int_equal(virtqueue_pop(&f->vq, &f->chain), -EPROTO);
    put16(f, AVAIL + 2, 0xffff);
    assert_int_equal(virtqueue_pop(&f->vq, &f->chain), -EPROTO);
    destroy(f);
}

/* Both indices run over 16 bits, with everything in order. */
static void test_wrap(void **state)
{
    const struct desc d = W(16);
    struct fixture *f = build(false, false);

    (void)state;
    for (unsigned i = 0; i < QUEUE_SIZE; i++)
        put_desc(f, DESC, i, &d);
    for (unsigned i = 0; i < 70000; i++) {
        uint8_t entry[8];

        make_available(f, (uint16_t)(i % QUEUE_SIZE));
        assert_int_equal(virtqueue_pop(&f->vq, &f->chain), 1);
        assert_int_equal(f->chain.head, i % QUEUE_SIZE);
        assert_int_equal(virtqueue_pop(&f->vq, &f->chain), 0);
        virtqueue_push(&f->vq, f->chain.head, i);
        assert_true(virtqueue_publish(&f->vq));
        assert_int_equal(get16(f, USED + 2), (uint16_t)(i + 1));
        guest_memory_read(f->mem, USED + 4 + 8 * (i % QUEUE_SIZE), entry, sizeof(entry));
        assert_int_equal(load_le32(entry), i % QUEUE_SIZE);
        assert_int_equal(load_le32(entry + 4), i);
    }
    destroy(f);
}

static void test_unpop(void **state)
{
    const struct desc d = W(16);
    struct fixture *f = build(false, false);

    (void)state;
    put_desc(f, DESC, 3, &d);
    make_available(f, 3);
    assert_int_equal(virtqueue_pop(&f->vq, &f->chain), 1);
    virtqueue_unpop(&f->vq);
    assert_int_equal(virtqueue_pop(&f->vq, &f->chain), 1);
    assert_int_equal(f->chain.head, 3);
    destroy(f);
}

/* ---- When the driver is to be told, and when it is to tell. ---- */

static void test_no_interrupt_flag(void **state)
{
    struct fixture *f = build(false, false);

    (void)state;
    virtqueue_push(&f->vq, 0, 0);
    assert_true(virtqueue_publish(&f->vq));
    assert_false(virtqueue_publish(&f->vq)); /* nothing new */
    put16(f, AVAIL, 1);
    virtqueue_push(&f->vq, 0, 0);
    assert_false(virtqueue_publish(&f->vq));
    put16(f, AVAIL, 0);
    assert_false(virtqueue_publish(&f->vq)); /* that one is over */
    destroy(f);
}

struct event_row {
    const char *name;
    uint16_t used_event;
    unsigned before, now; /* how many are put, the former being told already */
    bool interrupt;
};

static const struct event_row events[] = {
    {"event at the next", 0, 0, 1, true},        {"event behind", 0, 1, 1, false},
    {"event further on", 5, 0, 1, false},        {"event inside a batch", 3, 2, 4, true},
    {"event at a batch's end", 5, 2, 4, true},   {"event just past a batch", 6, 2, 4, false},
    {"event at a batch's start", 2, 2, 4, true}, {"event before a batch", 1, 2, 4, false},
};

static void test_event(void **state)
{
    const struct event_row *row = *state;
    struct fixture *f = build(false, true);

    for (unsigned i = 0; i < row->before; i++)
        virtqueue_push(&f->vq, 0, 0);
    virtqueue_publish(&f->vq);
    put16(f, AVAIL + 4 + 2 * QUEUE_SIZE, row->used_event);
    for (unsigned i = 0; i < row->now; i++)
        virtqueue_push(&f->vq, 0, 0);
    assert_int_equal(virtqueue_publish(&f->vq), row->interrupt);
    destroy(f);
}

static void test_listen(void **state)
{
    struct fixture *f = build(false, false);

    (void)state;
    virtqueue_quiet(&f->vq);
    assert_int_equal(get16(f, USED), 1);
    assert_false(virtqueue_listen(&f->vq));
    assert_int_equal(get16(f, USED), 0);
    make_available(f, 0);
    assert_true(virtqueue_listen(&f->vq)); /* it came in between */
    destroy(f);
}

static void test_listen_event(void **state)
{
    const struct desc d = R(1);
    struct fixture *f = build(false, true);

    (void)state;
    put_desc(f, DESC, 0, &d);
    make_available(f, 0);
    assert_int_equal(virtqueue_pop(&f->vq, &f->chain), 1);
    virtqueue_quiet(&f->vq);
    assert_int_equal(get16(f, USED), 0); /* no flag with EVENT_IDX */
    assert_false(virtqueue_listen(&f->vq));
    assert_int_equal(get16(f, USED + 4 + 8 * QUEUE_SIZE), 1);
    destroy(f);
}

/* ---- Copying. ---- */

static void test_copy(void **state)
{
    const struct desc ring[] = {
        {BUFFER, 3, NEXT, 1},
        {BUFFER + 100, 4, NEXT, 2},
        {BUFFER + 200, 2, NEXT | WRITE, 3},
        {BUFFER + 300, 5, WRITE, 0},
    };
    struct fixture *f = build(false, false);
    char text[16] = {0};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(ring); i++)
        put_desc(f, DESC, i, &ring[i]);
    guest_memory_write(f->mem, BUFFER, "abc", 3);
    guest_memory_write(f->mem, BUFFER + 100, "defg", 4);
    make_available(f, 0);
    assert_int_equal(virtqueue_pop(&f->vq, &f->chain), 1);
    assert_int_equal(virtq_copy_from(&f->chain, 0, text, 7), 7);
    assert_string_equal(text, "abcdefg");
    memset(text, 0, sizeof(text));
    assert_int_equal(virtq_copy_from(&f->chain, 2, text, 16), 5);
    assert_string_equal(text, "cdefg");
    assert_int_equal(virtq_copy_from(&f->chain, 7, text, 1), 0);
    assert_int_equal(virtq_copy_from(&f->chain, UINT32_MAX, text, 1), 0);
    assert_int_equal(virtq_copy_to(&f->chain, 1, "12345678", 8), 6);
    guest_memory_read(f->mem, BUFFER + 200, text, 2);
    assert_int_equal(text[1], '1');
    guest_memory_read(f->mem, BUFFER + 300, text, 6);
    assert_memory_equal(text, "23456\0", 6);
    destroy(f);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, starts, test_start);
    unit_add_rows(&unit, chains, test_chain);
    unit_add_rows(&unit, events, test_event);
    unit_add(&unit, "nothing available", test_nothing, NULL);
    unit_add(&unit, "the available index jumps", test_index_jumps, NULL);
    unit_add(&unit, "indices wrap", test_wrap, NULL);
    unit_add(&unit, "a chain is given back", test_unpop, NULL);
    unit_add(&unit, "the driver wants no interrupt", test_no_interrupt_flag, NULL);
    unit_add(&unit, "quiet and listen by flags", test_listen, NULL);
    unit_add(&unit, "quiet and listen by event index", test_listen_event, NULL);
    unit_add(&unit, "copying across buffers", test_copy, NULL);
    return unit_run(&unit, "virtqueue");
}

/* guest/memory.h: sizes, the checked span, the memory map. */
#include "unit.h"

#include <errno.h>

#include "guest/layout.h"
#include "guest/memory.h"

#define PAGE 4096

/* Make memory of `size`; a host that has not that much skips the test. */
static struct guest_memory *memory_of(uint64_t size)
{
    struct guest_memory_options options = {.size = size};
    struct guest_memory *mem = NULL;
    struct error err = {""};
    int r = guest_memory_create(&options, &mem, &err);

    if (r == -ENOMEM)
        skip();
    assert_int_equal(r, 0);
    return mem;
}

struct refusal_row {
    const char *name;
    uint64_t size;
    bool hugepages;
    int result;
    const char *words; /* some of what is said */
};

static const struct refusal_row refusals[] = {
    {"nothing", 0, false, -EINVAL, "not 0"},
    {"one byte", 1, false, -EINVAL, "not a multiple"},
    {"a page and a byte", PAGE + 1, false, -EINVAL, "not a multiple"},
    {"half a huge page", MIB, true, -EINVAL, "not a multiple"},
    {"more than any host", UINT64_C(1) << 60, false, -ENOMEM, "more than this host"},
    {"the largest aligned size", ~UINT64_C(0xfff), false, -ENOMEM, "more than this host"},
};

static void test_refusal(void **state)
{
    const struct refusal_row *row = *state;
    struct guest_memory_options options = {.size = row->size, .hugepages = row->hugepages};
    struct guest_memory *mem = NULL;
    struct error err = {""};

    assert_int_equal(guest_memory_create(&options, &mem, &err), row->result);
    assert_null(mem);
    assert_non_null(strstr(err.text, row->words));
}

/* Where a span begins and how long it is, in memory of 3 GiB + 1 MiB. */
struct span_row {
    const char *name;
    uint64_t gpa, len;
    int result;
};

#define SPAN_SIZE (3 * GIB + MIB)
#define HIGH_END  (LAYOUT_HIGH_RAM_BASE + MIB)

static const struct span_row spans[] = {
    {"the first byte", 0, 1, 0},
    {"nothing at the start", 0, 0, 0},
    {"all of the low region", 0, 3 * GIB, 0},
    {"one more than the low region", 0, 3 * GIB + 1, -EFAULT},
    {"the last byte of the low region", 3 * GIB - 1, 1, 0},
    {"over the end of the low region", 3 * GIB - 1, 2, -EFAULT},
    {"nothing at the end of the low region", 3 * GIB, 0, -EFAULT},
    {"in the hole", 3 * GIB, 1, -EFAULT},
    {"the last byte of the hole", 4 * GIB - 1, 1, -EFAULT},
    {"out of the hole into the high region", 4 * GIB - 1, 2, -EFAULT},
    {"across the hole", 3 * GIB - 1, GIB + 2, -EFAULT},
    {"from the start to the end, hole and all", 0, HIGH_END, -EFAULT},
    {"the first byte of the high region", 4 * GIB, 1, 0},
    {"nothing at the start of the high region", 4 * GIB, 0, 0},
    {"all of the high region", 4 * GIB, MIB, 0},
    {"one more than the high region", 4 * GIB, MIB + 1, -EFAULT},
    {"the last byte of all", HIGH_END - 1, 1, 0},
    {"over the end of all", HIGH_END - 1, 2, -EFAULT},
    {"nothing at the end of all", HIGH_END, 0, -EFAULT},
    {"the last address there is", UINT64_MAX, 1, -EFAULT},
    {"nothing at the last address there is", UINT64_MAX, 0, -EFAULT},
    {"wraps round to the start", UINT64_MAX - 9, 11, -EFAULT},
    {"a length that wraps from the start", 0, UINT64_MAX, -EFAULT},
    {"a length that wraps from 1", 1, UINT64_MAX, -EFAULT},
    {"a length that wraps from the high region", 4 * GIB, UINT64_MAX - 4 * GIB + 2, -EFAULT},
};

static void test_span(void **state)
{
    const struct span_row *row = *state;
    struct guest_memory *mem = memory_of(SPAN_SIZE);
    void *untouched = mem, *host = untouched;

    assert_int_equal(guest_memory_span(mem, row->gpa, row->len, &host), row->result);
    if (row->result == 0)
        assert_ptr_not_equal(host, untouched);
    else
        assert_ptr_equal(host, untouched);
    guest_memory_destroy(mem);
}

static void test_regions_are_apart(void **state)
{
    struct guest_memory *mem = memory_of(SPAN_SIZE);
    const uint8_t low = 0x11, high = 0x22;
    uint8_t byte = 0;

    (void)state;
    assert_int_equal(guest_memory_write(mem, 3 * GIB - 1, &low, 1), 0);
    assert_int_equal(guest_memory_write(mem, 4 * GIB, &high, 1), 0);
    assert_int_equal(guest_memory_read(mem, 3 * GIB - 1, &byte, 1), 0);
    assert_int_equal(byte, low);
    assert_int_equal(guest_memory_read(mem, 4 * GIB, &byte, 1), 0);
    assert_int_equal(byte, high);
    guest_memory_destroy(mem);
}

static void test_copy(void **state)
{
    struct guest_memory *mem = memory_of(2 * MIB);
    char buf[8] = "";

    (void)state;
    assert_int_equal(guest_memory_read(mem, 0x1000, buf, 8), 0);
    assert_memory_equal(buf, "\0\0\0\0\0\0\0\0", 8); /* it begins as zeroes */
    assert_int_equal(guest_memory_write(mem, 0x1ffe, "abcd", 4), 0);
    assert_int_equal(guest_memory_read(mem, 0x1ffd, buf, 6), 0);
    assert_memory_equal(buf, "\0abcd\0", 6);
    assert_int_equal(guest_memory_zero(mem, 0x1fff, 2), 0);
    assert_int_equal(guest_memory_read(mem, 0x1ffd, buf, 6), 0);
    assert_memory_equal(buf, "\0a\0\0d\0", 6);
    guest_memory_destroy(mem);
}

static void test_copy_outside(void **state)
{
    struct guest_memory *mem = memory_of(2 * MIB);
    char buf[8] = "before";

    (void)state;
    assert_int_equal(guest_memory_read(mem, 2 * MIB - 4, buf, 8), -EFAULT);
    assert_string_equal(buf, "before");
    assert_int_equal(guest_memory_write(mem, 2 * MIB - 4, "abcdefgh", 8), -EFAULT);
    assert_int_equal(guest_memory_read(mem, 2 * MIB - 4, buf, 4), 0);
    assert_memory_equal(buf, "\0\0\0\0", 4); /* nothing of it was written */
    assert_int_equal(guest_memory_zero(mem, 2 * MIB - 4, 8), -EFAULT);
    guest_memory_destroy(mem);
}

static void test_resident(void **state)
{
    struct guest_memory *mem = memory_of(64 * MIB);

    (void)state;
    assert_int_equal(guest_memory_resident(mem), 0);
    assert_int_equal(guest_memory_write(mem, 0x5000, "x", 1), 0);
    assert_in_range(guest_memory_resident(mem), 1, 2 * MIB);
    guest_memory_destroy(mem);
}

static void test_prefault(void **state)
{
    struct guest_memory_options options = {.size = 2 * MIB, .prefault = true};
    struct guest_memory *mem = NULL;

    (void)state;
    assert_int_equal(guest_memory_create(&options, &mem, NULL), 0);
    assert_int_equal(guest_memory_resident(mem), 2 * MIB);
    guest_memory_destroy(mem);
}

static void test_destroy_null(void **state)
{
    (void)state;
    guest_memory_destroy(NULL);
}

struct map_row {
    const char *name;
    uint64_t size;
    size_t regions, count;
    struct memory_map_entry entries[4];
};

#define LOW_ENTRIES                                                       \
    {0, LAYOUT_LOW_RAM_TOP, MEMORY_MAP_RAM},                              \
    {                                                                     \
        LAYOUT_LOW_RAM_TOP, MIB - LAYOUT_LOW_RAM_TOP, MEMORY_MAP_RESERVED \
    }

static const struct map_row maps[] = {
    {"map of 2 MiB", 2 * MIB, 1, 3, {LOW_ENTRIES, {MIB, MIB, MEMORY_MAP_RAM}}},
    {"map of 64 MiB", 64 * MIB, 1, 3, {LOW_ENTRIES, {MIB, 63 * MIB, MEMORY_MAP_RAM}}},
    {"map of 3 GiB", 3 * GIB, 1, 3, {LOW_ENTRIES, {MIB, 3 * GIB - MIB, MEMORY_MAP_RAM}}},
    {"map of 3 GiB and a page",
     3 * GIB + PAGE,
     2,
     4,
     {LOW_ENTRIES, {MIB, 3 * GIB - MIB, MEMORY_MAP_RAM}, {4 * GIB, PAGE, MEMORY_MAP_RAM}}},
    {"map of 5 GiB",
     5 * GIB,
     2,
     4,
     {LOW_ENTRIES, {MIB, 3 * GIB - MIB, MEMORY_MAP_RAM}, {4 * GIB, 2 * GIB, MEMORY_MAP_RAM}}},
};

static void test_map(void **state)
{
    const struct map_row *row = *state;
    struct guest_memory *mem = memory_of(row->size);
    struct memory_map_entry entries[MEMORY_MAP_MAX_ENTRIES];
    const struct guest_region *regions;
    size_t region_count;

    assert_int_equal(guest_memory_size(mem), row->size);
    regions = guest_memory_regions(mem, &region_count);
    assert_int_equal(region_count, row->regions);
    assert_int_equal(regions[0].gpa, 0);
    assert_int_equal(guest_memory_map(mem, entries), row->count);
    for (size_t i = 0; i < row->count; i++) {
        assert_int_equal(entries[i].gpa, row->entries[i].gpa);
        assert_int_equal(entries[i].size, row->entries[i].size);
        assert_int_equal(entries[i].type, row->entries[i].type);
    }
    guest_memory_destroy(mem);
}

/* Memory that begins elsewhere, or with a hole that does. */
struct place_row {
    const char *name;
    uint64_t base, hole, size;
    struct guest_region regions[2]; /* without host; size 0: none */
    const char *refused;            /* NULL: it can be had */
};

static const struct place_row places[] = {
    {"at 2 MiB", 2 * MIB, 0, 4 * MIB, {{2 * MIB, 4 * MIB, NULL}}, NULL},
    {"at 4 GiB", 4 * GIB, 0, 5 * GIB, {{4 * GIB, 5 * GIB, NULL}}, NULL},
    {"at 64 GiB", 64 * GIB, 0, 4 * MIB, {{64 * GIB, 4 * MIB, NULL}}, NULL},
    {"up to the hole", 2 * GIB, 0, GIB, {{2 * GIB, GIB, NULL}}, NULL},
    {"over the hole", 2 * GIB, 0, GIB + PAGE, {{2 * GIB, GIB, NULL}, {4 * GIB, PAGE, NULL}}, NULL},
    {"right below the hole",
     3 * GIB - 2 * MIB,
     0,
     4 * MIB,
     {{3 * GIB - 2 * MIB, 2 * MIB, NULL}, {4 * GIB, 2 * MIB, NULL}},
     NULL},
    {"a hole from 3.25 GiB on",
     0,
     LAYOUT_HERMIT_HOLE,
     4 * GIB,
     {{0, LAYOUT_HERMIT_HOLE, NULL}, {4 * GIB, 4 * GIB - LAYOUT_HERMIT_HOLE, NULL}},
     NULL},
    {"at the hole", 3 * GIB, 0, 2 * MIB, {{0}}, "0xc0000000 to 4 GiB is the devices'"},
    {"in the hole", 4 * GIB - 2 * MIB, 0, 2 * MIB, {{0}}, "is the devices'"},
    {"at 1 MiB", MIB, 0, 2 * MIB, {{0}}, "not a multiple of 2 MiB"},
    {"a hole above 4 GiB", 0, 5 * GIB, 2 * MIB, {{0}}, "the devices' hole cannot begin"},
    {"a hole that is not aligned", 0, GIB + PAGE, 2 * MIB, {{0}}, "the devices' hole cannot begin"},
    {"over the last address", -(uint64_t)(2 * MIB), 0, 4 * MIB, {{0}}, "it would not end"},
    {"at the last address", -(uint64_t)(4 * GIB), 0, 2 * MIB, {{0}}, "it would not end"},
};

static void test_place(void **state)
{
    const struct place_row *row = *state;
    struct guest_memory_options options = {.size = row->size, .base = row->base, .hole = row->hole};
    struct guest_memory *mem = NULL;
    const struct guest_region *regions;
    struct error err = {""};
    size_t count;
    int r = guest_memory_create(&options, &mem, &err);

    if (r == -ENOMEM)
        skip();
    assert_int_equal(r, row->refused ? -EINVAL : 0);
    if (row->refused) {
        assert_non_null(strstr(err.text, row->refused));
        return;
    }
    assert_int_equal(guest_memory_size(mem), row->size);
    regions = guest_memory_regions(mem, &count);
    assert_int_equal(count, row->regions[1].size ? 2 : 1);
    for (size_t i = 0; i < count; i++) {
        const uint8_t mark = (uint8_t)(0x55 + i);
        void *host;

        assert_int_equal(regions[i].gpa, row->regions[i].gpa);
        assert_int_equal(regions[i].size, row->regions[i].size);
        assert_int_equal(guest_memory_write(mem, regions[i].gpa, &mark, 1), 0);
        assert_int_equal(*regions[i].host, mark);
        if (regions[i].gpa)
            assert_int_equal(guest_memory_span(mem, regions[i].gpa - 1, 1, &host), -EFAULT);
        assert_int_equal(guest_memory_span(mem, regions[i].gpa + regions[i].size, 0, &host),
                         -EFAULT);
    }
    guest_memory_destroy(mem);
}

/* Of memory that does not begin at 0 all is RAM. */
static void test_map_elsewhere(void **state)
{
    struct guest_memory_options options = {.size = 2 * GIB, .base = 2 * GIB};
    struct memory_map_entry entries[MEMORY_MAP_MAX_ENTRIES];
    struct guest_memory *mem;

    (void)state;
    if (guest_memory_create(&options, &mem, NULL) < 0)
        skip();
    assert_int_equal(guest_memory_map(mem, entries), 2);
    assert_int_equal(entries[0].gpa, 2 * GIB);
    assert_int_equal(entries[0].size, GIB);
    assert_int_equal(entries[0].type, MEMORY_MAP_RAM);
    assert_int_equal(entries[1].gpa, 4 * GIB);
    assert_int_equal(entries[1].size, GIB);
    assert_int_equal(entries[1].type, MEMORY_MAP_RAM);
    guest_memory_destroy(mem);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, refusals, test_refusal);
    unit_add_rows(&unit, spans, test_span);
    unit_add_rows(&unit, maps, test_map);
    unit_add_rows(&unit, places, test_place);
    unit_add(&unit, "map of memory that begins elsewhere", test_map_elsewhere, NULL);
    unit_add(&unit, "the regions do not overlap on the host", test_regions_are_apart, NULL);
    unit_add(&unit, "read, write and zero", test_copy, NULL);
    unit_add(&unit, "what reaches outside does nothing", test_copy_outside, NULL);
    unit_add(&unit, "only what was touched is resident", test_resident, NULL);
    unit_add(&unit, "prefault backs every page", test_prefault, NULL);
    unit_add(&unit, "no memory to destroy", test_destroy_null, NULL);
    return unit_run(&unit, "memory");
}

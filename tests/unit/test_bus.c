/* guest/bus.h: sorted ranges, straddling and unclaimed accesses. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#include "guest/bus.h"

/* A device that tells in a trace what it is asked, and reads as its base + offset of each byte. */
struct spy {
    struct bus_range range;
    char *trace;
};

#define TRACE_SIZE 256

static void trace(struct spy *spy, char what, uint64_t offset, unsigned len)
{
    size_t used = strlen(spy->trace);

    snprintf(spy->trace + used, TRACE_SIZE - used, "%s%c%u+%u ", spy->range.name, what,
             (unsigned)offset, len);
}

static void spy_read(struct bus_range *range, uint64_t offset, void *data, unsigned len)
{
    struct spy *spy = container_of(range, struct spy, range);
    uint8_t *bytes = data;

    for (unsigned i = 0; i < len; i++)
        bytes[i] = (uint8_t)(range->base + offset + i);
    trace(spy, 'r', offset, len);
}

static void spy_write(struct bus_range *range, uint64_t offset, const void *data, unsigned len)
{
    struct spy *spy = container_of(range, struct spy, range);
    const uint8_t *bytes = data;

    for (unsigned i = 0; i < len; i++)
        assert_int_equal(bytes[i], (uint8_t)(range->base + offset + i));
    trace(spy, 'w', offset, len);
}

static const struct bus_ops spy_ops = {.read = spy_read, .write = spy_write};

/* A: 0x10-0x17, B: 0x18-0x19 right behind it, C: 0x20-0x23; added out of order. */
struct fixture {
    struct bus bus;
    struct spy a, b, c;
    char trace[TRACE_SIZE];
};

static struct spy new_spy(struct fixture *f, const char *name, uint64_t base, uint64_t size)
{
    return (struct spy){.range = {.base = base, .size = size, .ops = &spy_ops, .name = name},
                        .trace = f->trace};
}

static void build(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->a = new_spy(f, "a", 0x10, 8);
    f->b = new_spy(f, "b", 0x18, 2);
    f->c = new_spy(f, "c", 0x20, 4);
    assert_int_equal(bus_add(&f->bus, &f->c.range), 0);
    assert_int_equal(bus_add(&f->bus, &f->a.range), 0);
    assert_int_equal(bus_add(&f->bus, &f->b.range), 0);
}

struct add_row {
    const char *name;
    uint64_t base, size;
    int result;
};

static const struct add_row adds[] = {
    {"before all", 0x00, 0x10, 0},
    {"in a gap", 0x1a, 6, 0},
    {"behind all", 0x24, 1, 0},
    {"the last address there is", UINT64_MAX, 1, 0},
    {"up to the last address there is", 0x24, UINT64_MAX - 0x23, 0},
    {"empty", 0x40, 0, -EINVAL},
    {"wraps by one", UINT64_MAX, 2, -EINVAL},
    {"wraps round everything", 0x40, UINT64_MAX, -EINVAL},
    {"the same again", 0x10, 8, -EEXIST},
    {"inside another", 0x11, 2, -EEXIST},
    {"over the start of another", 0x0f, 2, -EEXIST},
    {"over the end of another", 0x23, 2, -EEXIST},
    {"round another", 0x1f, 6, -EEXIST},
    {"round all", 0, UINT64_MAX, -EEXIST},
    {"one too long for a gap", 0x1a, 7, -EEXIST},
};

static void test_add(void **state)
{
    const struct add_row *row = *state;
    struct fixture f;
    struct spy d;

    build(&f);
    d = new_spy(&f, "d", row->base, row->size);
    assert_int_equal(bus_add(&f.bus, &d.range), row->result);
    assert_int_equal(f.bus.count, row->result == 0 ? 4 : 3);
    for (size_t i = 1; i < f.bus.count; i++)
        assert_true(f.bus.ranges[i - 1]->base < f.bus.ranges[i]->base);
}

static void test_full(void **state)
{
    struct bus bus = {.count = 0};
    struct bus_range ranges[BUS_MAX_RANGES + 1];

    (void)state;
    for (size_t i = 0; i <= BUS_MAX_RANGES; i++) {
        ranges[i] = (struct bus_range){.base = 1000 - i, .size = 1, .ops = &spy_ops};
        assert_int_equal(bus_add(&bus, &ranges[i]), i < BUS_MAX_RANGES ? 0 : -ENOSPC);
    }
}

struct access_row {
    const char *name;
    uint64_t address;
    unsigned len;
    const char *read_trace, *write_trace;
    uint64_t value; /* what a read gives */
    uint64_t unclaimed;
};

static const struct access_row accesses[] = {
    {"the first byte", 0x10, 1, "ar0+1 ", "aw0+1 ", 0x10, 0},
    {"the last byte", 0x17, 1, "ar7+1 ", "aw7+1 ", 0x17, 0},
    {"a whole range", 0x10, 8, "ar0+8 ", "aw0+8 ", 0x1716151413121110, 0},
    {"a word inside", 0x12, 2, "ar2+2 ", "aw2+2 ", 0x1312, 0},
    {"unaligned inside", 0x13, 4, "ar3+4 ", "aw3+4 ", 0x16151413, 0},
    {"from one range into the next", 0x17, 2, "ar7+1 br0+1 ", "aw7+1 bw0+1 ", 0x1817, 0},
    {"off the end of a range", 0x19, 2, "br1+1 ", "bw1+1 ", 0xff19, 1},
    {"into the start of a range", 0x1e, 4, "cr0+1 cr1+1 ", "cw0+1 cw1+1 ", 0x2120ffff, 1},
    {"round a range", 0x16, 8, "ar6+1 ar7+1 br0+1 br1+1 ", "aw6+1 aw7+1 bw0+1 bw1+1 ",
     0xffffffff19181716, 1},
    {"nothing there", 0x30, 4, "", "", 0xffffffff, 1},
    {"nothing there, a byte", 0x30, 1, "", "", 0xff, 1},
    {"before all", 0x00, 8, "", "", UINT64_MAX, 1},
    {"the last address there is", UINT64_MAX, 1, "", "", 0xff, 1},
};

static void test_read(void **state)
{
    const struct access_row *row = *state;
    struct fixture f;
    uint64_t value = 0;

    build(&f);
    bus_read(&f.bus, row->address, &value, row->len);
    assert_string_equal(f.trace, row->read_trace);
    assert_int_equal(value, row->value);
    assert_int_equal(f.bus.unclaimed, row->unclaimed);
}

static void test_write(void **state)
{
    const struct access_row *row = *state;
    struct fixture f;
    uint8_t data[8];

    build(&f);
    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(row->address + i);
    bus_write(&f.bus, row->address, data, row->len);
    assert_string_equal(f.trace, row->write_trace);
    assert_int_equal(f.bus.unclaimed, row->unclaimed);
}

static void test_empty_bus(void **state)
{
    struct bus bus = {.count = 0};
    uint32_t value = 0;

    (void)state;
    bus_read(&bus, 0x3f8, &value, 4);
    bus_write(&bus, 0x3f8, &value, 4);
    assert_int_equal(value, UINT32_MAX);
    assert_int_equal(bus.unclaimed, 2);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, adds, test_add);
    unit_add(&unit, "a full bus", test_full, NULL);
    unit_add_rows(&unit, accesses, test_read);
    unit_add_rows(&unit, accesses, test_write);
    unit_add(&unit, "an empty bus", test_empty_bus, NULL);
    return unit_run(&unit, "bus");
}

/* guest/board/rtc.h: the calendar in each format, setting it, the memory sizes. */
#include "unit.h"

#include <time.h>

#include "guest/board/rtc.h"

/* The host's clock, as the tests set it. */
static int64_t host_seconds;

static int64_t fake_now(void)
{
    return host_seconds;
}

static void build(struct rtc *rtc, int64_t seconds)
{
    host_seconds = seconds;
    rtc_init(rtc, 64 * MIB, 0);
    rtc->now = fake_now;
}

static uint8_t get(struct rtc *rtc, uint8_t index)
{
    uint8_t value = 0x77;

    rtc->range.ops->write(&rtc->range, 0, &index, 1);
    rtc->range.ops->read(&rtc->range, 1, &value, 1);
    return value;
}

static void set(struct rtc *rtc, uint8_t index, uint8_t value)
{
    rtc->range.ops->write(&rtc->range, 0, &index, 1);
    rtc->range.ops->write(&rtc->range, 1, &value, 1);
}

enum { SECONDS = 0, MINUTES = 2, HOURS = 4, WEEKDAY = 6, DAY, MONTH, YEAR, A, B, C, D };
#define CENTURY 0x32
#define FIELDS  8

static const uint8_t field_index[FIELDS] = {SECONDS, MINUTES, HOURS, WEEKDAY,
                                            DAY,     MONTH,   YEAR,  CENTURY};

/* 24 hours BCD is 0x02, 24 hours binary 0x06, 12 hours BCD 0x00, 12 hours binary 0x04. */
struct time_row {
    const char *name;
    int64_t seconds;
    uint8_t format;
    uint8_t fields[FIELDS]; /* in the order of field_index */
};

static const struct time_row times[] = {
    {"the epoch, a Thursday", 0, 0x02, {0, 0, 0, 5, 0x01, 0x01, 0x70, 0x19}},
    {"the last second of 1999", 946684799, 0x02, {0x59, 0x59, 0x23, 6, 0x31, 0x12, 0x99, 0x19}},
    {"the first second of 2000", 946684800, 0x02, {0, 0, 0, 7, 0x01, 0x01, 0x00, 0x20}},
    {"29 February 2000", 951782400, 0x02, {0, 0, 0, 3, 0x29, 0x02, 0x00, 0x20}},
    {"29 February 2024", 1709164800, 0x02, {0, 0, 0, 5, 0x29, 0x02, 0x24, 0x20}},
    {"1 March 2023 follows 28 February", 1677628800, 0x02, {0, 0, 0, 4, 1, 3, 0x23, 0x20}},
    {"28 February 2100, no leap year", 4107456000, 0x02, {0, 0, 0, 1, 0x28, 2, 0, 0x21}},
    {"1 March 2100 follows it", 4107542400, 0x02, {0, 0, 0, 2, 1, 3, 0, 0x21}},
    {"binary", 946684799, 0x06, {59, 59, 23, 6, 31, 12, 99, 19}},
    {"12 hours: midnight is 12 AM", 0, 0x00, {0, 0, 0x12, 5, 1, 1, 0x70, 0x19}},
    {"12 hours: 1 AM", 3600, 0x00, {0, 0, 0x01, 5, 1, 1, 0x70, 0x19}},
    {"12 hours: noon is 12 PM", 43200, 0x00, {0, 0, 0x92, 5, 1, 1, 0x70, 0x19}},
    {"12 hours: 11 PM", 82800, 0x00, {0, 0, 0x91, 5, 1, 1, 0x70, 0x19}},
    {"12 hours binary: 11 PM", 82800, 0x04, {0, 0, 0x8b, 5, 1, 1, 70, 19}},
};

static void test_read_time(void **state)
{
    const struct time_row *row = *state;
    struct rtc rtc;

    build(&rtc, row->seconds);
    set(&rtc, B, row->format);
    for (unsigned i = 0; i < FIELDS; i++)
        assert_int_equal(get(&rtc, field_index[i]), row->fields[i]);
    rtc_destroy(&rtc);
}

/* Set the row's time the way drivers do, on a host whose clock says something else. */
static void test_set_time(void **state)
{
    const struct time_row *row = *state;
    struct rtc rtc;

    build(&rtc, 1700000000);
    set(&rtc, B, row->format | 0x80);
    for (unsigned i = 0; i < FIELDS; i++)
        set(&rtc, field_index[i], row->fields[i]);
    set(&rtc, B, row->format);
    assert_int_equal(rtc.offset_s, row->seconds - 1700000000);
    for (unsigned i = 0; i < FIELDS; i++)
        assert_int_equal(get(&rtc, field_index[i]), row->fields[i]);
    rtc_destroy(&rtc);
}

/* Every day of 400 years against libc, which knows the calendar by other means. */
static void test_calendar(void **state)
{
    struct rtc rtc;

    (void)state;
    build(&rtc, 0);
    set(&rtc, B, 0x06);
    for (int64_t day = -25567; day < 120531; day++) { /* 1900 to 2299 */
        time_t seconds = day * 86400 + 12345;
        struct tm tm;

        host_seconds = seconds;
        gmtime_r(&seconds, &tm);
        assert_int_equal(get(&rtc, DAY), tm.tm_mday);
        assert_int_equal(get(&rtc, MONTH), tm.tm_mon + 1);
        assert_int_equal(get(&rtc, YEAR), tm.tm_year % 100);
        assert_int_equal(get(&rtc, CENTURY), (tm.tm_year + 1900) / 100);
        assert_int_equal(get(&rtc, WEEKDAY), tm.tm_wday + 1);
        set(&rtc, DAY, (uint8_t)tm.tm_mday); /* there and back is the same day */
        assert_int_equal(rtc.offset_s, 0);
    }
    rtc_destroy(&rtc);
}

static void test_stands_while_set(void **state)
{
    struct rtc rtc;

    (void)state;
    build(&rtc, 10);
    set(&rtc, B, 0x82);
    host_seconds = 20;
    assert_int_equal(get(&rtc, SECONDS), 0x10);
    set(&rtc, B, 0x02);
    assert_int_equal(get(&rtc, SECONDS), 0x10);
    host_seconds = 25;
    assert_int_equal(get(&rtc, SECONDS), 0x15);
    rtc_destroy(&rtc);
}

static void test_set_one_field(void **state)
{
    struct rtc rtc;

    (void)state;
    build(&rtc, 10);
    set(&rtc, MINUTES, 0x30);
    assert_int_equal(rtc.offset_s, 1800);
    host_seconds = 70;
    assert_int_equal(get(&rtc, MINUTES), 0x31);
    assert_int_equal(get(&rtc, SECONDS), 0x10);
    rtc_destroy(&rtc);
}

/* Whatever a guest puts in, the device answers and stays within its numbers. */
static void test_nonsense(void **state)
{
    static const uint8_t values[] = {0x00, 0x7f, 0x80, 0x99, 0xaa, 0xff};
    struct rtc rtc;

    (void)state;
    for (unsigned format = 0; format < 8; format++) {
        for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
            build(&rtc, 1700000000);
            set(&rtc, B, (uint8_t)(0x80 | format));
            for (unsigned i = 0; i < FIELDS; i++)
                set(&rtc, field_index[i], values[v]);
            set(&rtc, B, (uint8_t)format);
            for (unsigned i = 0; i < FIELDS; i++)
                get(&rtc, field_index[i]);
            set(&rtc, B, 0x06);
            assert_in_range(get(&rtc, SECONDS), 0, 59);
            assert_in_range(get(&rtc, HOURS), 0, 23);
            assert_in_range(get(&rtc, MONTH), 1, 12);
            assert_in_range(get(&rtc, DAY), 1, 31);
            assert_in_range(get(&rtc, WEEKDAY), 1, 7);
            rtc_destroy(&rtc);
        }
    }
}

/* Write, then read: what a register keeps. */
struct register_row {
    const char *name;
    uint8_t index, start, write, after;
};

static const struct register_row registers[] = {
    {"A: update in progress is never seen or set", A, 0x26, 0xff, 0x7f},
    {"B: starts in 24 hours, BCD", B, 0x02, 0x06, 0x06},
    {"C: no interrupt, read-only", C, 0x00, 0xff, 0x00},
    {"D: valid, read-only", D, 0x80, 0x00, 0x80},
    {"an alarm is kept", 1, 0x00, 0x55, 0x55},
    {"memory is kept", 0x40, 0x00, 0xa5, 0xa5},
    {"the last byte is kept", 0x7f, 0x00, 0x5a, 0x5a},
    {"bit 7 of the index is the NMI's", 0x80 | 0x40, 0x00, 0x11, 0x11},
};

static void test_register(void **state)
{
    const struct register_row *row = *state;
    struct rtc rtc;

    build(&rtc, 0);
    assert_int_equal(get(&rtc, row->index), row->start);
    set(&rtc, row->index, row->write);
    assert_int_equal(get(&rtc, row->index & 0x7f), row->after);
    rtc_destroy(&rtc);
}

static void test_ports(void **state)
{
    const uint8_t both[2] = {0x40, 0xa5}; /* outw: the index, then the data */
    uint8_t data[2];
    struct rtc rtc;

    (void)state;
    build(&rtc, 0);
    rtc.range.ops->write(&rtc.range, 0, both, 2);
    rtc.range.ops->read(&rtc.range, 0, data, 2);
    assert_int_equal(data[0], 0xff);
    assert_int_equal(data[1], 0xa5);
    rtc_destroy(&rtc);
}

static void test_host_clock(void **state)
{
    struct rtc rtc;
    time_t before = time(NULL);

    (void)state;
    rtc_init(&rtc, 64 * MIB, 0);
    assert_in_range(rtc.now(), before, before + 60);
    rtc_destroy(&rtc);
}

struct size_row {
    const char *name;
    uint64_t low, high;
    unsigned base_kib, extended_kib, above_16m, above_4g;
};

static const struct size_row sizes[] = {
    {"no memory", 0, 0, 0, 0, 0, 0},
    {"512 KiB", 512 * KIB, 0, 512, 0, 0, 0},
    {"2 MiB", 2 * MIB, 0, 640, 1024, 0, 0},
    {"16 MiB", 16 * MIB, 0, 640, 15 * 1024, 0, 0},
    {"64 MiB", 64 * MIB, 0, 640, 63 * 1024, 48 * 16, 0},
    {"256 MiB is more than KiB can say", 256 * MIB, 0, 640, 0xffff, 240 * 16, 0},
    {"3 GiB and 5 GiB", 3 * GIB, 5 * GIB, 640, 0xffff, 0xbf00, 0x14000},
    {"more than three bytes can say", 3 * GIB, UINT64_C(1) << 50, 640, 0xffff, 0xbf00, 0xffffff},
};

static void test_sizes(void **state)
{
    const struct size_row *row = *state;
    struct rtc rtc;

    rtc_init(&rtc, row->low, row->high);
    assert_int_equal(get(&rtc, 0x15) | get(&rtc, 0x16) << 8, row->base_kib);
    assert_int_equal(get(&rtc, 0x17) | get(&rtc, 0x18) << 8, row->extended_kib);
    assert_int_equal(get(&rtc, 0x30) | get(&rtc, 0x31) << 8, row->extended_kib);
    assert_int_equal(get(&rtc, 0x34) | get(&rtc, 0x35) << 8, row->above_16m);
    assert_int_equal(get(&rtc, 0x5b) | get(&rtc, 0x5c) << 8 | get(&rtc, 0x5d) << 16, row->above_4g);
    rtc_destroy(&rtc);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, times, test_read_time);
    unit_add_rows(&unit, times, test_set_time);
    unit_add(&unit, "400 years day by day", test_calendar, NULL);
    unit_add(&unit, "the clock stands while it is set", test_stands_while_set, NULL);
    unit_add(&unit, "one field set while it runs", test_set_one_field, NULL);
    unit_add(&unit, "nonsense in every format", test_nonsense, NULL);
    unit_add_rows(&unit, registers, test_register);
    unit_add(&unit, "index and data in one access", test_ports, NULL);
    unit_add(&unit, "the host's clock", test_host_clock, NULL);
    unit_add_rows(&unit, sizes, test_sizes);
    return unit_run(&unit, "rtc");
}

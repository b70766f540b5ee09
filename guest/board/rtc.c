#include "guest/board/rtc.h"

#include <stdbool.h>

#include "base/clock.h"
#include "base/util.h"
#include "guest/layout.h"

/* MC146818 data sheet (Motorola, 1984), figures 9 and 11 to 14. */
enum {
    CMOS_SECONDS = 0x00,
    CMOS_MINUTES = 0x02,
    CMOS_HOURS = 0x04,
    CMOS_WEEKDAY = 0x06, /* 1 is Sunday */
    CMOS_DAY = 0x07,
    CMOS_MONTH = 0x08,
    CMOS_YEAR = 0x09,
    CMOS_A = 0x0a,
    CMOS_B = 0x0b,
    CMOS_C = 0x0c,
    CMOS_D = 0x0d,
    /* A PC's, not the chip's: where IBM's BIOS and the FADT (its CENTURY field) look. */
    CMOS_BASE_KIB = 0x15,
    CMOS_EXTENDED_KIB = 0x17, /* memory above 1 MiB, KiB */
    CMOS_EXTENDED_KIB_2 = 0x30,
    CMOS_CENTURY = 0x32,
    CMOS_ABOVE_16M = 0x34, /* units of 64 KiB */
    CMOS_ABOVE_4G = 0x5b,  /* units of 64 KiB, three bytes; QEMU's and SeaBIOS's */
};

#define A_UPDATE_IN_PROGRESS 0x80
#define A_32768_HZ_1024_HZ   0x26 /* what a BIOS sets */
#define B_24_HOURS           0x02
#define B_BINARY             0x04
#define B_SET                0x80 /* the clock stands, for the guest to set it */
#define D_VALID_RAM_AND_TIME 0x80
#define HOURS_PM             0x80 /* in 12-hour mode */
#define INDEX_MASK           0x7f /* bit 7 gates the NMI of a PC */

#define BASE_MEMORY_KIB 640
#define CMOS_MAX        0xffff
#define UNIT_64_KIB     (64 * KIB)
#define SECONDS_A_DAY   86400
#define DAYS_400_YEARS  146097

struct date {
    int64_t year;
    int64_t month, day; /* from 1 */
};

/*
 * The Gregorian calendar, counted from 1 March of the year 0, where the leap day ends a year.
 * Own code, because libc's gmtime_r() opens the time-zone file, which the jail forbids.
 */
static int64_t days_from_date(const struct date *date)
{
    int64_t year = date->year - (date->month <= 2);
    int64_t month = (date->month + 9) % 12; /* March is 0 */

    return year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + date->day - 1;
}

static struct date date_from_days(int64_t days)
{
    int64_t era = days / DAYS_400_YEARS, of_era = days % DAYS_400_YEARS;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (year * 365 + year / 4 - year / 100);
    int64_t month = (of_year * 5 + 2) / 153;

    return (struct date){
        .year = era * 400 + year + (month >= 10),
        .month = month < 10 ? month + 3 : month - 9,
        .day = of_year - (month * 153 + 2) / 5 + 1,
    };
}

static int64_t epoch_days(void)
{
    return days_from_date(&(struct date){.year = 1970, .month = 1, .day = 1});
}

static uint8_t encode(const struct rtc *rtc, int64_t value)
{
    if (rtc->cmos[CMOS_B] & B_BINARY)
        return (uint8_t)value;
    return (uint8_t)((value / 10 % 10) << 4 | value % 10);
}

static int64_t decode(const struct rtc *rtc, uint8_t value)
{
    if (rtc->cmos[CMOS_B] & B_BINARY)
        return value;
    return (value >> 4) * 10 + (value & 0x0f);
}

static uint8_t encode_hours(const struct rtc *rtc, int64_t hours)
{
    if (rtc->cmos[CMOS_B] & B_24_HOURS)
        return encode(rtc, hours);
    return encode(rtc, hours % 12 ? hours % 12 : 12) | (hours >= 12 ? HOURS_PM : 0);
}

static int64_t decode_hours(const struct rtc *rtc, uint8_t value)
{
    if (rtc->cmos[CMOS_B] & B_24_HOURS)
        return decode(rtc, value);
    return decode(rtc, value & ~HOURS_PM) % 12 + (value & HOURS_PM ? 12 : 0);
}

/* Put the time of now into the registers. */
static void load_time(struct rtc *rtc)
{
    int64_t since_year_0 = rtc->now() + rtc->offset_s + epoch_days() * SECONDS_A_DAY;
    int64_t seconds = since_year_0 < 0 ? 0 : since_year_0;
    int64_t of_day = seconds % SECONDS_A_DAY, days = seconds / SECONDS_A_DAY;
    struct date date = date_from_days(days);

    rtc->cmos[CMOS_SECONDS] = encode(rtc, of_day % 60);
    rtc->cmos[CMOS_MINUTES] = encode(rtc, of_day / 60 % 60);
    rtc->cmos[CMOS_HOURS] = encode_hours(rtc, of_day / 3600);
    rtc->cmos[CMOS_WEEKDAY] = encode(rtc, (days + 3) % 7 + 1); /* 1 March 0000 was a Wednesday */
    rtc->cmos[CMOS_DAY] = encode(rtc, date.day);
    rtc->cmos[CMOS_MONTH] = encode(rtc, date.month);
    rtc->cmos[CMOS_YEAR] = encode(rtc, date.year % 100);
    rtc->cmos[CMOS_CENTURY] = encode(rtc, date.year / 100);
}

/*
 * Take the time in the registers as the time of now. They hold what the guest likes: a month 0 or
 * a day 99 only makes an odd offset, as bytes cannot make a large one.
 */
static void store_time(struct rtc *rtc)
{
    struct date date = {
        .year = decode(rtc, rtc->cmos[CMOS_CENTURY]) * 100 + decode(rtc, rtc->cmos[CMOS_YEAR]),
        .month = decode(rtc, rtc->cmos[CMOS_MONTH]),
        .day = decode(rtc, rtc->cmos[CMOS_DAY]),
    };
    int64_t seconds = (days_from_date(&date) - epoch_days()) * SECONDS_A_DAY +
                      decode_hours(rtc, rtc->cmos[CMOS_HOURS]) * 3600 +
                      decode(rtc, rtc->cmos[CMOS_MINUTES]) * 60 +
                      decode(rtc, rtc->cmos[CMOS_SECONDS]);

    rtc->offset_s = seconds - rtc->now();
}

static bool is_time(uint8_t index)
{
    switch (index) {
    case CMOS_SECONDS:
    case CMOS_MINUTES:
    case CMOS_HOURS:
    case CMOS_WEEKDAY:
    case CMOS_DAY:
    case CMOS_MONTH:
    case CMOS_YEAR:
    case CMOS_CENTURY:
        return true;
    default:
        return false;
    }
}

static uint8_t read_cmos(struct rtc *rtc)
{
    if (is_time(rtc->index) && !(rtc->cmos[CMOS_B] & B_SET))
        load_time(rtc);
    return rtc->cmos[rtc->index];
}

static void write_b(struct rtc *rtc, uint8_t value)
{
    bool was_set = rtc->cmos[CMOS_B] & B_SET;

    if (!was_set && (value & B_SET))
        load_time(rtc); /* in the old format: the chip does not convert what it holds */
    rtc->cmos[CMOS_B] = value;
    if (was_set && !(value & B_SET))
        store_time(rtc);
}

static void write_cmos(struct rtc *rtc, uint8_t value)
{
    bool running = !(rtc->cmos[CMOS_B] & B_SET);

    switch (rtc->index) {
    case CMOS_A:
        rtc->cmos[CMOS_A] = value & ~A_UPDATE_IN_PROGRESS;
        return;
    case CMOS_B:
        write_b(rtc, value);
        return;
    case CMOS_C: /* both are read-only */
    case CMOS_D:
        return;
    default:
        break;
    }
    if (is_time(rtc->index) && running) {
        load_time(rtc);
        rtc->cmos[rtc->index] = value;
        store_time(rtc);
    } else {
        rtc->cmos[rtc->index] = value;
    }
}

static void rtc_read(struct bus_range *range, uint64_t offset, void *data, unsigned len)
{
    struct rtc *rtc = container_of(range, struct rtc, range);
    uint8_t *bytes = data;

    pthread_mutex_lock(&rtc->lock);
    for (unsigned i = 0; i < len; i++)
        bytes[i] = offset + i == 0 ? 0xff : read_cmos(rtc); /* a PC's index port is write-only */
    pthread_mutex_unlock(&rtc->lock);
}

static void rtc_write(struct bus_range *range, uint64_t offset, const void *data, unsigned len)
{
    struct rtc *rtc = container_of(range, struct rtc, range);
    const uint8_t *bytes = data;

    pthread_mutex_lock(&rtc->lock);
    for (unsigned i = 0; i < len; i++) {
        if (offset + i == 0)
            rtc->index = bytes[i] & INDEX_MASK;
        else
            write_cmos(rtc, bytes[i]);
    }
    pthread_mutex_unlock(&rtc->lock);
}

static const struct bus_ops rtc_ops = {.read = rtc_read, .write = rtc_write};

static int64_t host_now(void)
{
    return (int64_t)(clock_realtime_ns() / NS_PER_SEC);
}

/* Store the number of whole units in [from, size), at most `max`, in `bytes` bytes from index on.
 */
static void store_units(struct rtc *rtc, unsigned index, unsigned bytes, uint64_t size,
                        uint64_t from, uint64_t unit, uint64_t max)
{
    uint64_t count = size > from ? min_u64((size - from) / unit, max) : 0;

    for (unsigned i = 0; i < bytes; i++)
        rtc->cmos[index + i] = (uint8_t)(count >> (8 * i));
}

void rtc_init(struct rtc *rtc, uint64_t low_ram, uint64_t high_ram)
{
    *rtc = (struct rtc){
        .range = {.base = PORT_CMOS, .size = 2, .ops = &rtc_ops, .name = "rtc"},
        .now = host_now,
        .cmos =
            {
                [CMOS_A] = A_32768_HZ_1024_HZ,
                [CMOS_B] = B_24_HOURS,
                [CMOS_D] = D_VALID_RAM_AND_TIME,
            },
    };
    pthread_mutex_init(&rtc->lock, NULL);
    store_units(rtc, CMOS_BASE_KIB, 2, low_ram, 0, KIB, BASE_MEMORY_KIB);
    store_units(rtc, CMOS_EXTENDED_KIB, 2, low_ram, MIB, KIB, CMOS_MAX);
    store_units(rtc, CMOS_EXTENDED_KIB_2, 2, low_ram, MIB, KIB, CMOS_MAX);
    store_units(rtc, CMOS_ABOVE_16M, 2, low_ram, 16 * MIB, UNIT_64_KIB, CMOS_MAX);
    store_units(rtc, CMOS_ABOVE_4G, 3, high_ram, 0, UNIT_64_KIB, 0xffffff);
}

void rtc_destroy(struct rtc *rtc)
{
    pthread_mutex_destroy(&rtc->lock);
}

/* The CMOS clock: within a minute of the host's (`now=SECONDS`), in UTC, and it goes on. */
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/io.h"
#include "sdk/report.h"
#include "sdk/time.h"

/* MC146818: registers, and the PC's century byte. */
#define SECONDS    0x00
#define MINUTES    0x02
#define HOURS      0x04
#define DAY        0x07
#define MONTH      0x08
#define YEAR       0x09
#define STATUS_A   0x0a
#define STATUS_B   0x0b
#define STATUS_D   0x0d
#define CENTURY    0x32
#define UPDATING   0x80
#define BINARY     0x04
#define HOURS_24   0x02
#define BATTERY_OK 0x80
#define SCRATCH    0x40

#define TOLERANCE_S 60

static uint8_t cmos(uint8_t index)
{
    port_out8(0x70, index);
    return port_in8(0x71);
}

static unsigned field(uint8_t index)
{
    uint8_t value = cmos(index);

    return cmos(STATUS_B) & BINARY ? value : (value >> 4) * 10u + (value & 15);
}

/* Days since 1970-01-01 of a date in the Gregorian calendar. */
static uint64_t days(unsigned year, unsigned month, unsigned day)
{
    static const uint16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    uint64_t n = (uint64_t)(year - 1970) * 365 + (year - 1969) / 4 - (year - 1901) / 100 +
                 (year - 1601) / 400 + before[month - 1] + day - 1;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return n + (leap && month > 2);
}

static uint64_t read_clock(void)
{
    unsigned month = field(MONTH);

    while (cmos(STATUS_A) & UPDATING)
        cpu_pause();
    if (month < 1 || month > 12)
        return 0;
    return days(field(CENTURY) * 100 + field(YEAR), month, field(DAY)) * 86400 +
           field(HOURS) * 3600 + field(MINUTES) * 60 + field(SECONDS);
}

int main(void)
{
    uint64_t host = boot_option_number("now", 0), first = read_clock(), second;
    uint64_t apart = first > host ? first - host : host - first;
    uint64_t end = time_us() + 3000000;

    report(cmos(STATUS_B) & HOURS_24, "it counts 24 hours");
    report(cmos(STATUS_D) & BATTERY_OK, "its battery is good");
    report(apart <= TOLERANCE_S, "it tells the host's time (%lu, host %lu)", first, host);
    do
        second = read_clock();
    while (second == first && time_us() < end);
    report(second > first && second - first <= 3, "it goes on");
    port_out8(0x70, SCRATCH);
    port_out8(0x71, 0x5a);
    report(cmos(SCRATCH) == 0x5a, "its memory holds a byte");
    return report_summary();
}

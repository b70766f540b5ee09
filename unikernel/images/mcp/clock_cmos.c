/* The time by the CMOS clock, in UTC (Motorola MC146818, and the PC's century byte). */
#include "sdk/io.h"
#include "sdk/time.h"
#include "tools.h"

#define PORT_INDEX 0x70
#define PORT_DATA  0x71

#define SECONDS  0x00
#define MINUTES  0x02
#define HOURS    0x04
#define DAY      0x07
#define MONTH    0x08
#define YEAR     0x09
#define STATUS_A 0x0a
#define STATUS_B 0x0b
#define CENTURY  0x32
#define UPDATING 0x80
#define BINARY   0x04

#define UPDATE_LIMIT_US 10000
#define TRIES           10

static uint8_t cmos(uint8_t index)
{
    port_out8(PORT_INDEX, index);
    return port_in8(PORT_DATA);
}

static int64_t field(uint8_t index, bool binary)
{
    uint8_t value = cmos(index);

    return binary ? value : (value >> 4) * 10 + (value & 15);
}

static int64_t read_once(void)
{
    bool binary = cmos(STATUS_B) & BINARY;
    int64_t year = field(CENTURY, binary) * 100 + field(YEAR, binary);
    int64_t month = field(MONTH, binary), day = field(DAY, binary);

    /* Days in years that begin in March, so that the leap day is the last of its year. */
    month = month > 2 ? month - 3 : month + 9;
    year -= month >= 10; /* January and February are the year's last */
    day += 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 - 719469;
    return ((day * 24 + field(HOURS, binary)) * 60 + field(MINUTES, binary)) * 60 +
           field(SECONDS, binary);
}

int64_t clock_now(void)
{
    for (unsigned i = 0; i < TRIES; i++) {
        uint64_t end = time_us() + UPDATE_LIMIT_US;
        int64_t first;

        while ((cmos(STATUS_A) & UPDATING) && time_us() < end)
            cpu_pause();
        first = read_once();
        if (first == read_once()) /* not in the middle of a change */
            return first > 0 ? first : 0;
    }
    return 0;
}

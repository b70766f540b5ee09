/* Time. */
#include "sdk/time.h"

#include "sdk/cpu.h"
#include "sdk/io.h"

#define LEAF_TIMING 0x40000010 /* EAX: the TSC's frequency, kHz */

/* Intel 8254 (231164) and the PC's port 0x61: bit 0 gates channel 2, bit 5 is its output. */
#define PIT_HZ               1193182
#define PORT_PIT_CHANNEL2    0x42
#define PORT_PIT_CONTROL     0x43
#define PIT_CHANNEL2_MODE0   0xb0
#define PORT_SYSTEM_CONTROL  0x61
#define SYSTEM_CONTROL_GATE2 0x01
#define SYSTEM_CONTROL_OUT2  0x20

#define CALIBRATION_US    10000
#define CALIBRATION_TRIES 5

/* A machine without channel 2 shows its output set at once, and so a clock that no CPU has: then
 * this one is assumed, which is good enough for time limits. */
#define SLOWEST_KHZ 100000
#define ASSUMED_KHZ 2000000

/* Start channel 2 and wait for its output; say between which readings of the TSC each happened. */
static void pit_run(uint32_t microseconds, uint64_t ret_start[2], uint64_t ret_end[2])
{
    uint32_t count = (uint32_t)((uint64_t)PIT_HZ * microseconds / 1000000);
    uint8_t control = port_in8(PORT_SYSTEM_CONTROL) & 0xfc; /* gate and speaker off */

    port_out8(PORT_SYSTEM_CONTROL, control);
    port_out8(PORT_PIT_CONTROL, PIT_CHANNEL2_MODE0);
    port_out8(PORT_PIT_CHANNEL2, (uint8_t)count);
    port_out8(PORT_PIT_CHANNEL2, (uint8_t)(count >> 8));
    ret_start[0] = tsc_read();
    port_out8(PORT_SYSTEM_CONTROL, control | SYSTEM_CONTROL_GATE2);
    ret_start[1] = ret_end[1] = tsc_read();
    do {
        ret_end[0] = ret_end[1];
        ret_end[1] = tsc_read();
    } while (!(port_in8(PORT_SYSTEM_CONTROL) & SYSTEM_CONTROL_OUT2));
    ret_end[1] = tsc_read();
}

uint64_t pit_spin_us(uint32_t microseconds)
{
    uint64_t start[2], end[2];

    pit_run(microseconds, start, end);
    return end[1] - start[0];
}

/* Of several measurements the one with the narrowest bounds: a virtual CPU may lose its host's CPU
 * at either end. */
static uint64_t measure_khz(void)
{
    uint64_t best = UINT64_MAX, khz = 0;

    for (unsigned i = 0; i < CALIBRATION_TRIES; i++) {
        uint64_t start[2], end[2], shortest, longest;

        pit_run(CALIBRATION_US, start, end);
        longest = end[1] - start[0];
        shortest = end[0] > start[1] ? end[0] - start[1] : 0;
        if (longest - shortest >= best)
            continue;
        best = longest - shortest;
        khz = (longest + shortest) / 2 / (CALIBRATION_US / 1000);
        if (best < longest / 100)
            break;
    }
    return khz < SLOWEST_KHZ ? ASSUMED_KHZ : khz;
}

uint64_t tsc_khz(void)
{
    static uint64_t khz;

    if (khz == 0 && (cpuid(1, 0).ecx >> 31)) {
        uint32_t top = cpuid(0x40000000, 0).eax;

        if (top >= LEAF_TIMING && top < 0x40010000)
            khz = cpuid(LEAF_TIMING, 0).eax;
    }
    if (khz == 0)
        khz = measure_khz();
    return khz;
}

uint64_t time_us(void)
{
    uint64_t ticks = tsc_read(), khz = tsc_khz();

    /* In two parts, so that the product does not overflow. */
    return ticks / khz * 1000 + ticks % khz * 1000 / khz;
}

void delay_us(uint64_t microseconds)
{
    uint64_t end = time_us() + microseconds;

    while (time_us() < end)
        cpu_pause();
}

bool wait_word(const volatile uint32_t *word, uint32_t value, uint64_t microseconds)
{
    uint64_t end = time_us() + microseconds;

    while (*word < value) {
        if (time_us() >= end)
            return *word >= value;
        cpu_pause();
    }
    return true;
}

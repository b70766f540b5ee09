/* Time by the time-stamp counter. */
#ifndef SDK_TIME_H
#define SDK_TIME_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The counter's frequency, kHz: what CPUID leaf 0x40000010 says, else measured against channel 2
 * of the PIT (10 ms, once), else assumed to be 2 GHz.
 */
uint64_t tsc_khz(void);

/* Microseconds since the counter was 0. */
uint64_t time_us(void);

void delay_us(uint64_t microseconds);

/**
 * Wait, with `pause`, until *word is at least value.
 * Returns whether it was within so many microseconds.
 */
bool wait_word(const volatile uint32_t *word, uint32_t value, uint64_t microseconds);

/* Spin for microseconds by PIT channel 2 (at most 54,000). Returns the TSC's ticks meanwhile. */
uint64_t pit_spin_us(uint32_t microseconds);

#endif

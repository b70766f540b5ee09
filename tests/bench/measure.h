/* What the benchmarks share: processes timed by the first byte that they write, and medians of
 * interleaved rounds. Whatever goes wrong ends the benchmark with a line that says it. */
#ifndef OSVM_TESTS_BENCH_MEASURE_H
#define OSVM_TESTS_BENCH_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MAX_ROUNDS 1000

/* A process with its standard output on a pipe. */
struct child {
    pid_t pid;
    int output;
};

/* Say what went wrong, with errno, and exit. */
void die(const char *what) __attribute__((noreturn));

struct child spawn(char *const argv[]);

/* The first byte of its output is to be an 'x'. */
void expect_byte(const struct child *child, const char *who);

/* Wait for its end: with status 0, or 128 + expected_signal where that is not 0. */
void reap(struct child *child, const char *who, int expected_signal);

/**
 * Run two commands alternately, `rounds` times (at most MAX_ROUNDS).
 * Gives the medians for each, microseconds: exec to the first byte, exec to the end.
 */
void compare(char *const a[], char *const b[], unsigned rounds, double ret_first_us[2],
             double ret_end_us[2]);

/* The median of times in nanoseconds, as microseconds; they are put in order. */
double median_us(uint64_t *values, size_t count);

/* One line of the table. */
void row(const char *what, const char *figure, const char *goal, bool met);

/* A line with a ratio; goal 0: told for comparison. */
void ratio_row(const char *what, double subject, double base, const char *base_name, double goal);

#endif

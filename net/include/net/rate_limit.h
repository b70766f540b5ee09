/*
 * A rate limit by two token buckets, of bytes and of operations. It only counts; who is told to
 * wait arms a timer of its own.
 *
 * A bucket starts full. A burst on top of it is spent first and never refills. What is larger than
 * the whole bucket passes when the bucket is full and leaves it in debt, so that the rate holds in
 * the long run. Refill is exact to the nanosecond: nothing is rounded away between calls.
 */
#ifndef OSVM_NET_RATE_LIMIT_H
#define OSVM_NET_RATE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct rate_bucket_options {
    uint64_t size;      /* tokens; 0: no limit */
    uint64_t refill_ns; /* time in which an empty bucket fills up; 0: no limit */
    uint64_t burst;     /* extra tokens at the start */
};

struct rate_bucket {
    uint64_t size, refill_ns, burst_left;
    /* Tokens times refill_ns, so that refilling is whole numbers; may be negative (a debt). */
    __int128 level;
    uint64_t last_ns;
};

struct rate_limit {
    struct rate_bucket bytes, operations;
};

void rate_limit_init(struct rate_limit *limit, const struct rate_bucket_options *bytes,
                     const struct rate_bucket_options *operations, uint64_t now_ns);

/* Whether there is anything to limit. */
bool rate_limit_is_set(const struct rate_limit *limit);

/**
 * Ask to do one operation of so many bytes now.
 *
 * @now_ns  CLOCK_MONOTONIC, never less than before
 * Returns 0, with the tokens taken; or how many nanoseconds to wait before it is worth asking
 * again, with nothing taken. Not thread-safe: the owner has a lock.
 */
uint64_t rate_limit_take(struct rate_limit *limit, uint64_t bytes, uint64_t now_ns);

/* Give back what was taken for an operation that then did not happen. */
void rate_limit_give_back(struct rate_limit *limit, uint64_t bytes);

#endif

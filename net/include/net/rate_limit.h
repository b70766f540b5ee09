/*
 * A rate limit by two token buckets, of bytes and of operations. It only counts; who is told to
 * wait arms a timer of its own.
 *
 * A bucket starts full. A burst on top of it is spent first and never refills. What is larger than
 * the whole bucket passes when the bucket is full and leaves it in debt, so that the rate holds in
 * the long run. Refill is exact to the nanosecond: nothing is rounded away between calls.
 *
 * Two ways to use it, which do not mix on one limit:
 *   rate_limit_take()                        where the size is known before (and give back);
 *   rate_limit_wait(), rate_limit_charge()   where it is known after: go on while no bucket is
 *                                            empty, and charge what was done.
 *
 * Not thread-safe: the owner has a lock.
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
    uint64_t burst_taken; /* of the last take, so that it can be given back */
    /* Tokens times refill_ns, so that refilling is whole numbers; may be negative (a debt). */
    __int128 level;
    uint64_t last_ns;
};

struct rate_limit {
    struct rate_bucket bytes, operations;
};

/**
 * The bucket for a plain rate, where nobody has asked for a size: it holds what comes in 40 ms
 * (at least one token), so that a late timer costs nothing and a second sees at most 4 % too much.
 *
 * @per_second  tokens; 0: no limit
 */
struct rate_bucket_options rate_bucket_per_second(uint64_t per_second);

void rate_limit_init(struct rate_limit *limit, const struct rate_bucket_options *bytes,
                     const struct rate_bucket_options *operations, uint64_t now_ns);

/* New buckets for a limit that is in use. */
struct rate_limit_change {
    bool has_bytes, has_operations; /* a bucket that is not given stays as it is */
    struct rate_bucket_options bytes, operations;
};

/* A new bucket starts full, with its burst; debts of the old one are forgotten. */
void rate_limit_apply(struct rate_limit *limit, const struct rate_limit_change *change,
                      uint64_t now_ns);

/* Whether there is anything to limit. */
bool rate_limit_is_set(const struct rate_limit *limit);

/**
 * Ask to do one operation of so many bytes now.
 *
 * @now_ns  CLOCK_MONOTONIC, never less than before
 * Returns 0, with the tokens taken; or how many nanoseconds to wait before it is worth asking
 * again, with nothing taken.
 */
uint64_t rate_limit_take(struct rate_limit *limit, uint64_t bytes, uint64_t now_ns);

/* Give back what the last take took, for an operation that then did not happen. */
void rate_limit_give_back(struct rate_limit *limit, uint64_t bytes);

/**
 * Ask whether an operation of unknown size may be done now; it is charged afterwards.
 *
 * Returns 0; or how many nanoseconds to wait. After such a wait a bucket holds a sixteenth of what
 * it can hold, so that there are few waits even at a high rate.
 */
uint64_t rate_limit_wait(struct rate_limit *limit, uint64_t now_ns);

/* Charge one operation of so many bytes, into debt where need be. */
void rate_limit_charge(struct rate_limit *limit, uint64_t bytes);

#endif

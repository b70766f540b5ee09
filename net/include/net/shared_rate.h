/*
 * One rate limit for several devices together, each on a thread of its own: all the network cards
 * of a machine, in one direction. A bucket of bytes, as in net/rate_limit.h, with a lock.
 */
#ifndef OSVM_NET_SHARED_RATE_H
#define OSVM_NET_SHARED_RATE_H

#include <pthread.h>
#include <stdint.h>

#include "net/rate_limit.h"

struct shared_rate {
    pthread_mutex_t lock;
    struct rate_limit limit;
};

/* @bytes_per_second  not 0 */
void shared_rate_init(struct shared_rate *rate, uint64_t bytes_per_second, uint64_t now_ns);
void shared_rate_destroy(struct shared_rate *rate);

/**
 * Ask whether to go on; what is done is charged afterwards.
 *
 * @rate    NULL: there is no limit
 * @now_ns  CLOCK_MONOTONIC
 * Returns 0, or how many nanoseconds to wait before it is worth asking again. Any thread.
 */
uint64_t shared_rate_wait(struct shared_rate *rate, uint64_t now_ns);

/* Charge so many bytes, into debt where need be. NULL: does nothing. Any thread. */
void shared_rate_charge(struct shared_rate *rate, uint64_t bytes);

#endif

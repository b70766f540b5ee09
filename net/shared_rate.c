#include "net/shared_rate.h"

#include <stddef.h>

#include "base/util.h"

void shared_rate_init(struct shared_rate *rate, uint64_t bytes_per_second, uint64_t now_ns)
{
    const struct rate_bucket_options bytes = rate_bucket_per_second(bytes_per_second), none = {0};

    pthread_mutex_init(&rate->lock, NULL);
    rate_limit_init(&rate->limit, &bytes, &none, now_ns);
}

void shared_rate_destroy(struct shared_rate *rate)
{
    pthread_mutex_destroy(&rate->lock);
}

uint64_t shared_rate_wait(struct shared_rate *rate, uint64_t now_ns)
{
    uint64_t wait_ns;

    if (!rate)
        return 0;
    pthread_mutex_lock(&rate->lock);
    /* Two threads may come with their times in the other order; the bucket knows none before. */
    wait_ns = rate_limit_wait(&rate->limit, max_u64(now_ns, rate->limit.bytes.last_ns));
    pthread_mutex_unlock(&rate->lock);
    return wait_ns;
}

void shared_rate_charge(struct shared_rate *rate, uint64_t bytes)
{
    if (!rate)
        return;
    pthread_mutex_lock(&rate->lock);
    rate_limit_charge(&rate->limit, bytes);
    pthread_mutex_unlock(&rate->lock);
}

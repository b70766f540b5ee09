#include "net/rate_limit.h"

static void bucket_init(struct rate_bucket *bucket, const struct rate_bucket_options *options,
                        uint64_t now_ns)
{
    bool limited = options->size > 0 && options->refill_ns > 0;

    *bucket = (struct rate_bucket){
        .size = limited ? options->size : 0,
        .refill_ns = limited ? options->refill_ns : 0,
        .burst_left = limited ? options->burst : 0,
        .last_ns = now_ns,
    };
    bucket->level = (__int128)bucket->size * bucket->refill_ns;
}

static __int128 bucket_full(const struct rate_bucket *bucket)
{
    return (__int128)bucket->size * bucket->refill_ns;
}

/* `size` tokens come in refill_ns, so in units of tokens times refill_ns, `size` come in each ns.
 */
static void bucket_refill(struct rate_bucket *bucket, uint64_t now_ns)
{
    __int128 full = bucket_full(bucket);

    bucket->level += (__int128)bucket->size * (now_ns - bucket->last_ns);
    if (bucket->level > full)
        bucket->level = full;
    bucket->last_ns = now_ns;
}

/* How long until `tokens` may be taken; 0: now. */
static uint64_t bucket_wait(struct rate_bucket *bucket, uint64_t tokens, uint64_t now_ns)
{
    __int128 wanted, missing;

    if (bucket->size == 0)
        return 0;
    bucket_refill(bucket, now_ns);
    if (tokens <= bucket->burst_left)
        return 0;
    wanted = (__int128)(tokens - bucket->burst_left) * bucket->refill_ns;
    if (wanted > bucket_full(bucket))
        wanted = bucket_full(bucket); /* it will go into debt */
    missing = wanted - bucket->level;
    if (missing <= 0)
        return 0;
    missing = (missing + bucket->size - 1) / bucket->size;
    return missing > UINT64_MAX ? UINT64_MAX : (uint64_t)missing;
}

static void bucket_take(struct rate_bucket *bucket, uint64_t tokens)
{
    uint64_t of_burst = tokens < bucket->burst_left ? tokens : bucket->burst_left;

    if (bucket->size == 0)
        return;
    bucket->burst_left -= of_burst;
    bucket->level -= (__int128)(tokens - of_burst) * bucket->refill_ns;
}

static void bucket_give_back(struct rate_bucket *bucket, uint64_t tokens)
{
    bucket->level += (__int128)tokens * bucket->refill_ns;
    if (bucket->level > bucket_full(bucket))
        bucket->level = bucket_full(bucket);
}

void rate_limit_init(struct rate_limit *limit, const struct rate_bucket_options *bytes,
                     const struct rate_bucket_options *operations, uint64_t now_ns)
{
    bucket_init(&limit->bytes, bytes, now_ns);
    bucket_init(&limit->operations, operations, now_ns);
}

bool rate_limit_is_set(const struct rate_limit *limit)
{
    return limit->bytes.size > 0 || limit->operations.size > 0;
}

uint64_t rate_limit_take(struct rate_limit *limit, uint64_t bytes, uint64_t now_ns)
{
    uint64_t for_bytes = bucket_wait(&limit->bytes, bytes, now_ns);
    uint64_t for_operation = bucket_wait(&limit->operations, 1, now_ns);
    uint64_t wait = for_bytes > for_operation ? for_bytes : for_operation;

    if (wait > 0)
        return wait;
    bucket_take(&limit->bytes, bytes);
    bucket_take(&limit->operations, 1);
    return 0;
}

void rate_limit_give_back(struct rate_limit *limit, uint64_t bytes)
{
    bucket_give_back(&limit->bytes, bytes);
    bucket_give_back(&limit->operations, 1);
}

#include "net/rate_limit.h"

#include "base/clock.h"
#include "base/util.h"

/* What a bucket for a plain rate holds: the tokens of 1 s / 25. */
#define BUCKETS_PER_SEC 25

/* More tokens or nanoseconds than anybody means; their products must fit 128 bits. */
#define BUCKET_MAX (UINT64_C(1) << 56)

/* The part of a bucket that is worth waiting for. */
#define WAKE_PARTS 16

struct rate_bucket_options rate_bucket_per_second(uint64_t per_second)
{
    uint64_t size = max_u64(per_second / BUCKETS_PER_SEC, 1);

    if (per_second == 0)
        return (struct rate_bucket_options){0};
    return (struct rate_bucket_options){
        .size = size,
        .refill_ns = max_u64((uint64_t)((__int128)size * NS_PER_SEC / per_second), 1),
    };
}

static void bucket_init(struct rate_bucket *bucket, const struct rate_bucket_options *options,
                        uint64_t now_ns)
{
    bool limited = options->size > 0 && options->refill_ns > 0;

    *bucket = (struct rate_bucket){
        .size = limited ? min_u64(options->size, BUCKET_MAX) : 0,
        .refill_ns = limited ? min_u64(options->refill_ns, BUCKET_MAX) : 0,
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

/* How long until the level is there; 0: now. */
static uint64_t bucket_time_to(const struct rate_bucket *bucket, __int128 level)
{
    __int128 missing = level - bucket->level;

    if (missing <= 0)
        return 0;
    missing = (missing + bucket->size - 1) / bucket->size;
    return missing > UINT64_MAX ? UINT64_MAX : (uint64_t)missing;
}

/* How long until `tokens` may be taken; 0: now. */
static uint64_t bucket_wait(struct rate_bucket *bucket, uint64_t tokens, uint64_t now_ns)
{
    __int128 wanted;

    if (bucket->size == 0)
        return 0;
    bucket_refill(bucket, now_ns);
    if (tokens <= bucket->burst_left)
        return 0;
    wanted = (__int128)(tokens - bucket->burst_left) * bucket->refill_ns;
    if (wanted > bucket_full(bucket))
        wanted = bucket_full(bucket); /* it will go into debt */
    return bucket_time_to(bucket, wanted);
}

/* How long until it is worth going on; 0: there is a token now. */
static uint64_t bucket_wait_some(struct rate_bucket *bucket, uint64_t now_ns)
{
    if (bucket_wait(bucket, 1, now_ns) == 0)
        return 0;
    return bucket_time_to(bucket,
                          (__int128)max_u64(bucket->size / WAKE_PARTS, 1) * bucket->refill_ns);
}

static void bucket_take(struct rate_bucket *bucket, uint64_t tokens)
{
    if (bucket->size == 0)
        return;
    bucket->burst_taken = min_u64(tokens, bucket->burst_left);
    bucket->burst_left -= bucket->burst_taken;
    bucket->level -= (__int128)(tokens - bucket->burst_taken) * bucket->refill_ns;
}

static void bucket_give_back(struct rate_bucket *bucket, uint64_t tokens)
{
    uint64_t to_burst = min_u64(tokens, bucket->burst_taken);

    bucket->burst_left += to_burst;
    bucket->burst_taken = 0;
    bucket->level += (__int128)(tokens - to_burst) * bucket->refill_ns;
    if (bucket->level > bucket_full(bucket))
        bucket->level = bucket_full(bucket);
}

void rate_limit_init(struct rate_limit *limit, const struct rate_bucket_options *bytes,
                     const struct rate_bucket_options *operations, uint64_t now_ns)
{
    bucket_init(&limit->bytes, bytes, now_ns);
    bucket_init(&limit->operations, operations, now_ns);
}

void rate_limit_apply(struct rate_limit *limit, const struct rate_limit_change *change,
                      uint64_t now_ns)
{
    if (change->has_bytes)
        bucket_init(&limit->bytes, &change->bytes, now_ns);
    if (change->has_operations)
        bucket_init(&limit->operations, &change->operations, now_ns);
}

bool rate_limit_is_set(const struct rate_limit *limit)
{
    return limit->bytes.size > 0 || limit->operations.size > 0;
}

uint64_t rate_limit_take(struct rate_limit *limit, uint64_t bytes, uint64_t now_ns)
{
    uint64_t for_bytes = bucket_wait(&limit->bytes, bytes, now_ns);
    uint64_t for_operation = bucket_wait(&limit->operations, 1, now_ns);
    uint64_t wait = max_u64(for_bytes, for_operation);

    if (wait > 0)
        return wait;
    rate_limit_charge(limit, bytes);
    return 0;
}

void rate_limit_give_back(struct rate_limit *limit, uint64_t bytes)
{
    bucket_give_back(&limit->bytes, bytes);
    bucket_give_back(&limit->operations, 1);
}

uint64_t rate_limit_wait(struct rate_limit *limit, uint64_t now_ns)
{
    return max_u64(bucket_wait_some(&limit->bytes, now_ns),
                   bucket_wait_some(&limit->operations, now_ns));
}

void rate_limit_charge(struct rate_limit *limit, uint64_t bytes)
{
    bucket_take(&limit->bytes, bytes);
    bucket_take(&limit->operations, 1);
}

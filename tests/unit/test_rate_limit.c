/* net/rate_limit.h: the rate that comes out, by a clock that we move. */
#include "unit.h"

#include "base/clock.h"
#include "net/rate_limit.h"

/* Any start will do; it is not 0, as the host's is not. */
#define START_NS (UINT64_C(12345678901234))

static const struct rate_bucket_options unlimited = {0};

/* A sender that always has something, for SECONDS; late by up to `late_ns` at each wake-up. */
#define SECONDS 20

struct rate_row {
    const char *name;
    uint64_t per_second; /* bytes, or packets with size 0 */
    uint64_t size;       /* of each packet, bytes */
    uint64_t late_ns;
};

static const struct rate_row rate_rows[] = {
    {"1 KB/s of 100 bytes", 1000, 100, 0},
    {"1 KB/s of 1500 bytes, in debt", 1000, 1500, 0},
    {"100 KB/s of 1500 bytes", 100000, 1500, 50 * NS_PER_US},
    {"10 MB/s of 1500 bytes", 10000000, 1500, 2 * NS_PER_MS},
    {"10 MB/s of 64 KiB", 10000000, 65536, 2 * NS_PER_MS},
    {"1 GB/s of 1500 bytes", 1000000000, 1500, 5 * NS_PER_MS},
    {"10 GB/s of 64 KiB", UINT64_C(10000000000), 65536, 5 * NS_PER_MS},
    {"1 packet/s", 1, 0, NS_PER_MS},
    {"7 packets/s", 7, 0, NS_PER_MS},
    {"999 packets/s", 999, 0, NS_PER_MS},
    {"1000000 packets/s", 1000000, 0, 2 * NS_PER_MS},
};

static void assert_rate(double done, const struct rate_row *row)
{
    double wanted = (double)row->per_second * SECONDS;
    double part = row->size > 0 ? (double)row->size : 1;

    /* Within 5 %, or one packet where that is more. */
    assert_true(done <= wanted * 1.05 + part);
    assert_true(done >= wanted * 0.95 - part);
}

static struct rate_limit limit_of(const struct rate_row *row)
{
    struct rate_bucket_options options = rate_bucket_per_second(row->per_second);
    struct rate_limit limit;

    rate_limit_init(&limit, row->size ? &options : &unlimited, row->size ? &unlimited : &options,
                    START_NS);
    return limit;
}

/* One packet or the wait for it. Returns the time after it. */
static uint64_t next_ns(uint64_t now_ns, uint64_t wait_ns, const struct rate_row *row)
{
    return now_ns + wait_ns + (wait_ns ? row->late_ns : 0);
}

static void test_take(void **state)
{
    const struct rate_row *row = *state;
    struct rate_limit limit = limit_of(row);
    uint64_t now_ns = START_NS;
    double done = 0;

    while (now_ns < START_NS + SECONDS * NS_PER_SEC) {
        uint64_t wait_ns = rate_limit_take(&limit, row->size, now_ns);

        if (wait_ns == 0)
            done += row->size ? (double)row->size : 1;
        now_ns = next_ns(now_ns, wait_ns, row);
    }
    assert_rate(done, row);
}

static void test_wait_and_charge(void **state)
{
    const struct rate_row *row = *state;
    struct rate_limit limit = limit_of(row);
    uint64_t now_ns = START_NS, waits = 0;
    double done = 0;

    while (now_ns < START_NS + SECONDS * NS_PER_SEC) {
        uint64_t wait_ns = rate_limit_wait(&limit, now_ns);

        if (wait_ns == 0) {
            rate_limit_charge(&limit, row->size);
            done += row->size ? (double)row->size : 1;
        }
        waits += wait_ns > 0;
        now_ns = next_ns(now_ns, wait_ns, row);
    }
    assert_rate(done, row);
    assert_true(waits <= SECONDS * 1000); /* it sleeps in pieces that are worth it */
}

static void test_per_second(void **state)
{
    struct rate_bucket_options options;

    (void)state;
    options = rate_bucket_per_second(0);
    assert_int_equal(options.size, 0);
    options = rate_bucket_per_second(1);
    assert_int_equal(options.size, 1);
    assert_int_equal(options.refill_ns, NS_PER_SEC);
    options = rate_bucket_per_second(1000000);
    assert_int_equal(options.size, 40000);
    assert_int_equal(options.refill_ns, 40 * NS_PER_MS);
    options = rate_bucket_per_second(UINT64_MAX);
    assert_true(options.size > 0 && options.refill_ns > 0);
}

static void test_unlimited(void **state)
{
    static const struct rate_bucket_options halves[] = {{.size = 1}, {.refill_ns = 1}};
    struct rate_limit limit;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(halves); i++) {
        rate_limit_init(&limit, &halves[i], &unlimited, START_NS);
        assert_false(rate_limit_is_set(&limit));
        assert_int_equal(rate_limit_take(&limit, UINT64_MAX, START_NS), 0);
        rate_limit_give_back(&limit, UINT64_MAX);
        assert_int_equal(rate_limit_wait(&limit, START_NS), 0);
        rate_limit_charge(&limit, UINT64_MAX);
        assert_int_equal(rate_limit_wait(&limit, START_NS), 0);
    }
}

static struct rate_limit bytes_limit(uint64_t size, uint64_t refill_ns, uint64_t burst)
{
    const struct rate_bucket_options options = {size, refill_ns, burst};
    struct rate_limit limit;

    rate_limit_init(&limit, &options, &unlimited, START_NS);
    return limit;
}

static void test_burst_once(void **state)
{
    struct rate_limit limit = bytes_limit(1000, NS_PER_SEC, 500);

    (void)state;
    assert_int_equal(rate_limit_take(&limit, 1500, START_NS), 0);
    assert_int_equal(rate_limit_take(&limit, 1, START_NS), NS_PER_MS);
    assert_int_equal(rate_limit_take(&limit, 1000, START_NS + 10 * NS_PER_SEC), 0);
    assert_int_equal(rate_limit_take(&limit, 1, START_NS + 10 * NS_PER_SEC), NS_PER_MS);
}

static void test_give_back(void **state)
{
    struct rate_limit limit = bytes_limit(1000, NS_PER_SEC, 500);

    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(rate_limit_take(&limit, 1200, START_NS), 0);
        rate_limit_give_back(&limit, 1200);
    }
    assert_int_equal(rate_limit_take(&limit, 1500, START_NS), 0); /* burst included */
    assert_true(rate_limit_take(&limit, 1, START_NS) > 0);
}

static void test_debt(void **state)
{
    struct rate_limit limit = bytes_limit(100, NS_PER_SEC, 0);

    (void)state;
    assert_int_equal(rate_limit_take(&limit, 1000, START_NS), 0);
    /* 900 in debt: a full bucket is ten seconds away, the first token nine. */
    assert_int_equal(rate_limit_take(&limit, 1000, START_NS), 10 * NS_PER_SEC);
    assert_int_equal(rate_limit_take(&limit, 1, START_NS), 9 * NS_PER_SEC + 10 * NS_PER_MS);
}

/* The bucket of a client's own size, always asked for: the long run is exact, burst and all. */
static void test_exact_rate(void **state)
{
    static const struct rate_bucket_options buckets[] = {
        {1000000, NS_PER_SEC, 0}, {65536, 100 * NS_PER_MS, 1000000},
        {100, 7 * NS_PER_MS, 50}, {1, NS_PER_MS, 0},
        {4096, 1234567, 4096},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(buckets); i++) {
        const struct rate_bucket_options *bucket = &buckets[i];
        uint64_t size = max_u64(bucket->size / 3, 1), now_ns = START_NS, done = 0, wait_ns;
        struct rate_limit limit = bytes_limit(bucket->size, bucket->refill_ns, bucket->burst);
        double wanted =
            (double)bucket->size * SECONDS * (double)NS_PER_SEC / (double)bucket->refill_ns +
            (double)bucket->size + (double)bucket->burst;

        while (now_ns < START_NS + SECONDS * NS_PER_SEC) {
            wait_ns = rate_limit_take(&limit, size, now_ns);
            done += wait_ns ? 0 : size;
            now_ns += wait_ns;
        }
        assert_true((double)done <= wanted * 1.001 + (double)size);
        assert_true((double)done >= wanted * 0.98);
    }
}

static void test_apply(void **state)
{
    struct rate_limit limit = bytes_limit(100, NS_PER_SEC, 0);
    struct rate_limit_change change = {.has_operations = true, .operations = {1, NS_PER_SEC, 0}};

    (void)state;
    assert_int_equal(rate_limit_take(&limit, 100, START_NS), 0);
    rate_limit_apply(&limit, &change, START_NS); /* the bytes stay spent */
    assert_int_equal(rate_limit_take(&limit, 50, START_NS), NS_PER_SEC / 2);
    change = (struct rate_limit_change){.has_bytes = true, .bytes = {200, NS_PER_SEC, 10}};
    rate_limit_apply(&limit, &change, START_NS);
    assert_int_equal(rate_limit_take(&limit, 210, START_NS), 0);
    change = (struct rate_limit_change){.has_bytes = true, .has_operations = true};
    rate_limit_apply(&limit, &change, START_NS);
    assert_false(rate_limit_is_set(&limit));
    assert_int_equal(rate_limit_take(&limit, UINT64_MAX, START_NS), 0);
}

/* The wait that is told is enough, and not a nanosecond too long. */
static void test_wait_is_exact(void **state)
{
    struct rate_limit limit = bytes_limit(1000003, 999999937, 0);
    uint64_t now_ns = START_NS;

    (void)state;
    for (int i = 0; i < 10000; i++) {
        struct rate_limit before;
        uint64_t wait_ns = rate_limit_take(&limit, 1500, now_ns);

        if (wait_ns == 0)
            continue;
        before = limit;
        assert_true(rate_limit_take(&before, 1500, now_ns + wait_ns - 1) > 0);
        now_ns += wait_ns;
        assert_int_equal(rate_limit_take(&limit, 1500, now_ns), 0);
    }
}

static void test_both(void **state)
{
    const struct rate_bucket_options bytes = {1000, NS_PER_SEC, 0}, operations = {2, NS_PER_SEC, 0};
    struct rate_limit limit;

    (void)state;
    rate_limit_init(&limit, &bytes, &operations, START_NS);
    assert_int_equal(rate_limit_take(&limit, 1, START_NS), 0);
    assert_int_equal(rate_limit_take(&limit, 1, START_NS), 0);
    assert_int_equal(rate_limit_take(&limit, 1, START_NS), NS_PER_SEC / 2); /* operations */
    assert_int_equal(rate_limit_take(&limit, 1000, START_NS + NS_PER_SEC), 0);
    assert_int_equal(rate_limit_take(&limit, 500, START_NS + NS_PER_SEC), NS_PER_SEC / 2);
    assert_int_equal(rate_limit_take(&limit, 0, START_NS + NS_PER_SEC), 0); /* none was taken */
}

static void test_extremes(void **state)
{
    struct rate_limit limit = bytes_limit(UINT64_MAX, UINT64_MAX, UINT64_MAX);

    (void)state;
    assert_int_equal(rate_limit_take(&limit, UINT64_MAX, START_NS), 0);
    assert_int_equal(rate_limit_take(&limit, UINT64_MAX, START_NS), 0);
    assert_true(rate_limit_take(&limit, UINT64_MAX, START_NS) > NS_PER_SEC);
    limit = bytes_limit(1, UINT64_MAX, 0);
    assert_int_equal(rate_limit_take(&limit, 1, START_NS), 0);
    assert_true(rate_limit_wait(&limit, START_NS) > NS_PER_SEC);
    assert_int_equal(rate_limit_wait(&limit, UINT64_MAX), 0);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, rate_rows, test_take);
    unit_add_rows(&unit, rate_rows, test_wait_and_charge);
    unit_add(&unit, "the bucket of a plain rate", test_per_second, NULL);
    unit_add(&unit, "half a limit is none", test_unlimited, NULL);
    unit_add(&unit, "a burst is spent once", test_burst_once, NULL);
    unit_add(&unit, "what is given back was not taken", test_give_back, NULL);
    unit_add(&unit, "more than the bucket is a debt", test_debt, NULL);
    unit_add(&unit, "the rate of any bucket", test_exact_rate, NULL);
    unit_add(&unit, "changed while in use", test_apply, NULL);
    unit_add(&unit, "the wait is exact", test_wait_is_exact, NULL);
    unit_add(&unit, "bytes and operations together", test_both, NULL);
    unit_add(&unit, "the largest numbers", test_extremes, NULL);
    return unit_run(&unit, "rate_limit");
}

/* virtio/rng.h: buffers are filled, all of them, in time. */
#include "virtio_driver.h"

#include "virtio/rng.h"

static const struct rate_bucket_options unlimited = {.size = 0};

static void start(struct driver *driver, const struct rate_bucket_options *bytes)
{
    const struct virtio_rng_options options = {.bytes = bytes ? *bytes : unlimited};
    struct virtio_device *device = NULL;

    driver_create(driver, 4 * MIB);
    assert_int_equal(
        virtio_rng_create(&driver->env, "rng0", bytes ? &options : NULL, &device, NULL), 0);
    driver_connect(driver, device);
    assert_int_equal(device->id, VIRTIO_ID_RNG);
    driver_start(driver, VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX);
}

/* Whether it looks random: about half of the bits are set, and no byte has a run of its own. */
static bool looks_random(const uint8_t *data, size_t len)
{
    size_t bits = 0, repeats = 0;

    for (size_t i = 0; i < len; i++) {
        bits += (size_t)__builtin_popcount(data[i]);
        repeats += i > 0 && data[i] == data[i - 1];
    }
    return bits > len * 8 * 45 / 100 && bits < len * 8 * 55 / 100 && repeats < len / 32;
}

struct fill_row {
    const char *name;
    struct driver_buffer buffers[4]; /* gpa from the data's start on */
    unsigned count;
    uint32_t filled;
};

static const struct fill_row fills[] = {
    {"4 KiB", {{0, 4096, true}}, 1, 4096},
    {"one byte", {{0, 1, true}}, 1, 1},
    {"pieces", {{0, 1000, true}, {1000, 3000, true}, {4000, 96, true}}, 3, 4096},
    {"64 KiB", {{0, 64 * KIB, true}}, 1, 64 * KIB},
    {"more than a turn's worth", {{0, 200 * KIB, true}}, 1, 64 * KIB},
    {"pieces beyond a turn", {{0, 60 * KIB, true}, {60 * KIB, 60 * KIB, true}}, 2, 64 * KIB},
    {"behind something readable", {{300 * KIB, 16, false}, {0, 4096, true}}, 2, 4096},
};

#define DATA_SIZE (400 * KIB)

static void test_fill(void **state)
{
    const struct fill_row *row = *state;
    struct driver_buffer buffers[4];
    struct driver_used used = {0};
    struct driver driver;
    uint64_t gpa;

    start(&driver, NULL);
    gpa = driver_alloc(&driver, DATA_SIZE, 4096);
    for (unsigned i = 0; i < row->count; i++) {
        buffers[i] = row->buffers[i];
        buffers[i].gpa += gpa;
    }
    driver_add(&driver, 0, buffers, row->count);
    driver_notify(&driver, 0);
    assert_true(driver_wait_used(&driver, 0, 1));
    assert_true(driver_used(&driver, 0, &used));
    assert_int_equal(used.len, row->filled);
    assert_int_equal(driver.queues[0].interrupts, 1);
    if (row->filled >= 4096)
        assert_true(looks_random(driver_host(&driver, gpa, row->filled), row->filled));
    assert_int_equal(*(uint8_t *)driver_host(&driver, gpa + row->filled, 1), 0); /* and no more */
    driver_destroy(&driver);
}

static void test_flood(void **state)
{
    struct driver_used used = {0};
    struct driver driver;
    uint64_t gpa;

    (void)state;
    start(&driver, NULL);
    gpa = driver_alloc(&driver, 64 * KIB, 4096);
    for (unsigned i = 0; i < 64; i++)
        driver_add(&driver, 0, &(struct driver_buffer){gpa, 64 * KIB, true}, 1);
    driver_notify(&driver, 0);
    assert_in_range(driver_used_count(&driver, 0), 1, 8); /* it does not do all at once */
    assert_true(driver_wait_used(&driver, 0, 64));
    while (driver_used(&driver, 0, &used))
        assert_int_equal(used.len, 64 * KIB);
    driver_destroy(&driver);
}

static void test_nothing_writable(void **state)
{
    struct driver driver;
    uint64_t gpa;

    (void)state;
    start(&driver, NULL);
    gpa = driver_alloc(&driver, 4096, 4096);
    driver_add(&driver, 0, &(struct driver_buffer){gpa, 64, false}, 1);
    driver_notify(&driver, 0);
    assert_true(driver_is_broken(&driver));
    driver_start(&driver, 0);
    driver_add(&driver, 0, &(struct driver_buffer){gpa, 64, true}, 1);
    driver_notify(&driver, 0);
    assert_int_equal(driver_used_count(&driver, 0), 1);
    driver_destroy(&driver);
}

static void test_rate(void **state)
{
    const struct rate_bucket_options bytes = {.size = 4096, .refill_ns = 20 * NS_PER_MS};
    uint64_t start_ns, took_ns;
    struct driver driver;
    uint64_t gpa;

    (void)state;
    start(&driver, &bytes);
    gpa = driver_alloc(&driver, 4096, 4096);
    for (unsigned i = 0; i < 26; i++)
        driver_add(&driver, 0, &(struct driver_buffer){gpa, 4096, true}, 1);
    start_ns = clock_monotonic_ns();
    driver_notify(&driver, 0);
    assert_int_equal(driver_used_count(&driver, 0), 1); /* the bucket was full */
    assert_true(driver_wait_used(&driver, 0, 26));
    took_ns = clock_monotonic_ns() - start_ns;
    assert_in_range(took_ns, 25 * 20 * NS_PER_MS, 28 * 20 * NS_PER_MS);
    driver_destroy(&driver);
}

static void test_reset_while_limited(void **state)
{
    const struct rate_bucket_options bytes = {.size = 4096, .refill_ns = 50 * NS_PER_MS};
    struct driver driver;
    uint64_t gpa;

    (void)state;
    start(&driver, &bytes);
    gpa = driver_alloc(&driver, 4096, 4096);
    driver_add(&driver, 0, &(struct driver_buffer){gpa, 4096, true}, 1);
    driver_add(&driver, 0, &(struct driver_buffer){gpa, 4096, true}, 1);
    driver_notify(&driver, 0);
    driver_reset(&driver);
    memset(driver_host(&driver, gpa, 4096), 0, 4096);
    driver_run(&driver, 100 * NS_PER_MS);
    assert_int_equal(*(uint64_t *)driver_host(&driver, gpa, 8), 0);
    driver_destroy(&driver);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, fills, test_fill);
    unit_add(&unit, "many large buffers at once", test_flood, NULL);
    unit_add(&unit, "nothing to write to", test_nothing_writable, NULL);
    unit_add(&unit, "the rate limit", test_rate, NULL);
    unit_add(&unit, "reset while it waits for tokens", test_reset_while_limited, NULL);
    return unit_run(&unit, "rng");
}

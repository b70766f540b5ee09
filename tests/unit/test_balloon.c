/* virtio/balloon.h: memory really goes back to the host, and nonsense does no harm. */
#include "virtio_driver.h"

#include <errno.h>

#include "guest/layout.h"
#include "virtio/balloon.h"

#define MEMORY_SIZE (64 * MIB)
#define FEATURES                                                                        \
    (VIRTIO_BALLOON_F_STATS_VQ | VIRTIO_BALLOON_F_PAGE_REPORTING | VIRTIO_F_EVENT_IDX | \
     VIRTIO_F_INDIRECT_DESC)

#define INFLATE 0
#define DEFLATE 1
#define STATS   2

/* Pages that the tests give away: far above the rings. */
#define PAGES_GPA (16 * MIB)

static void start(struct driver *driver, const struct virtio_balloon_options *options,
                  uint64_t features)
{
    struct virtio_device *device = NULL;

    driver_create(driver, MEMORY_SIZE);
    assert_int_equal(virtio_balloon_create(&driver->env, "balloon0", options, &device, NULL), 0);
    driver_connect(driver, device);
    assert_int_equal(device->id, VIRTIO_ID_BALLOON);
    driver_start(driver, features);
}

/* Use memory, so that it is backed. */
static void touch(struct driver *driver, uint64_t gpa, uint64_t len)
{
    memset(driver_host(driver, gpa, len), 0x5a, len);
}

static uint8_t byte_at(struct driver *driver, uint64_t gpa)
{
    return *(uint8_t *)driver_host(driver, gpa, 1);
}

/* Give a chain to a queue and wait until it comes back. */
static void run_chain(struct driver *driver, unsigned queue, const struct driver_buffer *buffers,
                      unsigned count)
{
    struct driver_used used = {0};

    driver_add(driver, queue, buffers, count);
    driver_notify(driver, queue);
    assert_true(driver_wait_used(driver, queue, 1));
    assert_true(driver_used(driver, queue, &used));
    assert_int_equal(used.len, 0);
}

/* The list of pages is `count` numbers from the first on, each `step` further. */
static void run_pages(struct driver *driver, unsigned queue, uint64_t first_gpa, unsigned count,
                      int step)
{
    uint64_t list = driver_alloc(driver, count * 4, 4);
    uint8_t *raw = driver_host(driver, list, count * 4);

    for (unsigned i = 0; i < count; i++)
        store_le32(raw + 4 * i, (uint32_t)((int64_t)(first_gpa / 4096) + (int)i * step));
    run_chain(driver, queue, &(struct driver_buffer){list, count * 4, false}, 1);
}

struct inflate_row {
    const char *name;
    uint64_t first_gpa;
    unsigned count;
    int step;
};

#define MANY (8 * MIB / 4096)

static const struct inflate_row inflates[] = {
    {"upwards", PAGES_GPA, MANY, 1},
    {"downwards", PAGES_GPA + 8 * MIB - 4096, MANY, -1},
    {"every second page", PAGES_GPA, MANY / 2, 2},
    {"one page", PAGES_GPA, 1, 1},
    {"the last page", MEMORY_SIZE - 4096, 1, 1},
};

static void test_inflate(void **state)
{
    const struct inflate_row *row = *state;
    struct virtio_balloon_options options = {.target_bytes = 0};
    uint64_t before, given = (uint64_t)row->count * 4096;
    struct virtio_balloon_info info;
    struct driver driver;

    start(&driver, &options, FEATURES & ~VIRTIO_BALLOON_F_PAGE_REPORTING);
    touch(&driver, PAGES_GPA, MEMORY_SIZE - PAGES_GPA);
    driver_alloc(&driver, 4, 4);
    before = guest_memory_resident(driver.mem);
    run_pages(&driver, INFLATE, row->first_gpa, row->count, row->step);
    /* The list itself may have cost some pages. */
    assert_in_range(before - guest_memory_resident(driver.mem), given - min_u64(given, 64 * KIB),
                    given);
    virtio_balloon_get_info(driver.device, &info);
    assert_int_equal(info.discarded_bytes, given);
    assert_int_equal(byte_at(&driver, row->first_gpa), 0);
    if (row->step == 2)
        assert_int_equal(byte_at(&driver, row->first_gpa + 4096), 0x5a);
    touch(&driver, row->first_gpa, 4096); /* it may be used again, before a deflate or after it */
    run_pages(&driver, DEFLATE, row->first_gpa, row->count, row->step);
    assert_int_equal(byte_at(&driver, row->first_gpa), 0x5a);
    driver_destroy(&driver);
}

struct outside_row {
    const char *name;
    uint32_t pages[4];
};

static const struct outside_row outsides[] = {
    {"behind the end", {MEMORY_SIZE / 4096, MEMORY_SIZE / 4096 + 1, PAGES_GPA / 4096, 0xfffffff}},
    {"at the far end", {UINT32_MAX, UINT32_MAX - 1, UINT32_MAX, PAGES_GPA / 4096}},
    {"devices", {LAYOUT_VIRTIO_MMIO / 4096, 0xfec00, 0xfee00, PAGES_GPA / 4096}},
    {"across the end", {MEMORY_SIZE / 4096, PAGES_GPA / 4096, MEMORY_SIZE / 4096 - 1, 0x40000000}},
    {"the same page again",
     {PAGES_GPA / 4096, PAGES_GPA / 4096, PAGES_GPA / 4096, PAGES_GPA / 4096}},
};

static void test_outside(void **state)
{
    const struct outside_row *row = *state;
    struct virtio_balloon_options options = {.target_bytes = 0};
    struct driver driver;
    uint64_t list;

    start(&driver, &options, VIRTIO_BALLOON_F_STATS_VQ);
    touch(&driver, PAGES_GPA, 2 * 4096);
    list = driver_alloc(&driver, 16, 4);
    for (unsigned i = 0; i < 4; i++)
        store_le32(driver_host(&driver, list + 4 * i, 4), row->pages[i]);
    run_chain(&driver, INFLATE, &(struct driver_buffer){list, 16, false}, 1);
    assert_false(driver_is_broken(&driver));
    assert_int_equal(byte_at(&driver, PAGES_GPA), 0); /* the good one among them was given back */
    assert_int_equal(byte_at(&driver, PAGES_GPA + 4096), 0x5a);
    driver_destroy(&driver);
}

/* A list cut at any byte, with something left over that is no number. */
static void test_odd_list(void **state)
{
    struct virtio_balloon_options options = {.target_bytes = 0};
    struct driver driver;
    uint64_t list;

    (void)state;
    start(&driver, &options, FEATURES & ~VIRTIO_BALLOON_F_PAGE_REPORTING);
    touch(&driver, PAGES_GPA, 4096);
    list = driver_alloc(&driver, 16, 4);
    store_le32(driver_host(&driver, list, 4), PAGES_GPA / 4096);
    run_chain(
        &driver, INFLATE,
        (struct driver_buffer[]){{list, 1, false}, {list + 1, 2, false}, {list + 3, 4, false}}, 3);
    assert_int_equal(byte_at(&driver, PAGES_GPA), 0);
    run_chain(&driver, INFLATE, &(struct driver_buffer){list, 3, false}, 1);
    run_chain(&driver, INFLATE, &(struct driver_buffer){list, 16, true}, 1); /* nothing to read */
    run_chain(&driver, DEFLATE, &(struct driver_buffer){list, 3, false}, 1);
    assert_false(driver_is_broken(&driver));
    driver_destroy(&driver);
}

/* A long list does not stop the loop: it is done in several turns. */
static void test_long_list(void **state)
{
    struct virtio_balloon_options options = {.target_bytes = 0};
    struct driver driver;
    unsigned count = 20000;
    uint64_t list;

    (void)state;
    start(&driver, &options, VIRTIO_BALLOON_F_STATS_VQ);
    list = driver_alloc(&driver, count * 4, 4);
    for (unsigned i = 0; i < count; i++)
        store_le32(driver_host(&driver, list + 4 * i, 4), (PAGES_GPA / 4096) + i * 7 % 1000);
    driver_add(&driver, INFLATE, &(struct driver_buffer){list, count * 4, false}, 1);
    driver_notify(&driver, INFLATE);
    assert_int_equal(driver_used_count(&driver, INFLATE), 0);
    assert_true(driver_wait_used(&driver, INFLATE, 1));
    /* In the middle of one, a reset: nothing of it goes on. */
    driver_start(&driver, VIRTIO_BALLOON_F_STATS_VQ);
    driver_add(&driver, INFLATE, &(struct driver_buffer){list, count * 4, false}, 1);
    driver_notify(&driver, INFLATE);
    driver_start(&driver, VIRTIO_BALLOON_F_STATS_VQ);
    touch(&driver, PAGES_GPA, 1000 * 4096);
    driver_run(&driver, 20 * NS_PER_MS);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(byte_at(&driver, PAGES_GPA + i * 4096), 0x5a);
    driver_destroy(&driver);
}

/* ---- Free page reporting, on each queue where a driver may look for it. ---- */

struct report_row {
    const char *name;
    uint64_t features;
    unsigned queue;
};

static const struct report_row reports[] = {
    {"queue 4, as 5.5.2", FEATURES, 4},
    {"queue 3, as Linux before 6.11", FEATURES, 3},
    {"queue 2, without statistics", FEATURES & ~VIRTIO_BALLOON_F_STATS_VQ, 2},
};

static void test_reporting(void **state)
{
    const struct report_row *row = *state;
    struct virtio_balloon_options options = {.free_page_reporting = true};
    struct driver driver;
    uint64_t before;

    start(&driver, &options, row->features);
    touch(&driver, PAGES_GPA, 40 * MIB);
    before = guest_memory_resident(driver.mem);
    run_chain(&driver, row->queue,
              (struct driver_buffer[]){{PAGES_GPA, 2 * MIB, true},
                                       {PAGES_GPA + 4 * MIB, 4 * MIB, true},
                                       {PAGES_GPA + 10 * MIB, 30 * MIB, true}},
              3);
    assert_int_equal(before - guest_memory_resident(driver.mem), 36 * MIB);
    assert_int_equal(byte_at(&driver, PAGES_GPA), 0);
    assert_int_equal(byte_at(&driver, PAGES_GPA + 2 * MIB - 1), 0);
    assert_int_equal(byte_at(&driver, PAGES_GPA + 2 * MIB), 0x5a);
    assert_int_equal(byte_at(&driver, PAGES_GPA + 40 * MIB - 1), 0);
    /* Less than a page is nothing to give back. */
    touch(&driver, PAGES_GPA, 3 * 4096);
    run_chain(&driver, row->queue, &(struct driver_buffer){PAGES_GPA + 100, 2 * 4096, true}, 1);
    assert_int_equal(byte_at(&driver, PAGES_GPA + 4095), 0x5a);
    assert_int_equal(byte_at(&driver, PAGES_GPA + 4096), 0);
    assert_int_equal(byte_at(&driver, PAGES_GPA + 8192), 0x5a);
    run_chain(&driver, row->queue, &(struct driver_buffer){PAGES_GPA, 4096, false}, 1);
    assert_false(driver_is_broken(&driver));
    driver_destroy(&driver);
}

static void test_not_offered(void **state)
{
    struct virtio_balloon_options options = {.target_bytes = 0};
    struct driver driver;

    (void)state;
    start(&driver, &options, 0);
    assert_int_equal(virtio_device_features(driver.device) &
                         (VIRTIO_BALLOON_F_PAGE_REPORTING | VIRTIO_BALLOON_F_DEFLATE_ON_OOM),
                     0);
    touch(&driver, PAGES_GPA, 4096);
    for (unsigned queue = 2; queue < 5; queue++) {
        driver_add(&driver, queue, &(struct driver_buffer){PAGES_GPA, 4096, true}, 1);
        driver_notify(&driver, queue);
    }
    driver_run(&driver, 5 * NS_PER_MS);
    assert_int_equal(byte_at(&driver, PAGES_GPA), 0x5a);
    driver_destroy(&driver);
    options.deflate_on_oom = true;
    start(&driver, &options, VIRTIO_BALLOON_F_DEFLATE_ON_OOM);
    driver_destroy(&driver);
}

/* ---- The target, from the host. ---- */

static uint32_t config_word(struct driver *driver, unsigned offset)
{
    uint8_t raw[4];

    virtio_device_config_read(driver->device, offset, raw, 4);
    return load_le32(raw);
}

static void test_target(void **state)
{
    struct virtio_balloon_options options = {.target_bytes = 8 * MIB};
    struct virtio_balloon_info info;
    struct driver driver;
    uint8_t raw[8];

    (void)state;
    start(&driver, &options, FEATURES & ~VIRTIO_BALLOON_F_PAGE_REPORTING);
    assert_int_equal(config_word(&driver, 0), 2048);
    assert_int_equal(virtio_balloon_set_target(driver.device, 16 * MIB + 1), 0);
    assert_int_equal(driver.config_interrupts, 1);
    assert_int_equal(config_word(&driver, 0), 4096);
    assert_int_equal(virtio_balloon_set_target(driver.device, 16 * MIB), 0);
    assert_int_equal(driver.config_interrupts, 1); /* nothing new */
    assert_int_equal(virtio_balloon_set_target(driver.device, MEMORY_SIZE + 1), -ERANGE);
    assert_int_equal(virtio_balloon_set_target(driver.device, UINT64_MAX), -ERANGE);
    store_le32(raw, 1);
    store_le32(raw + 4, 1234);
    virtio_device_config_write(driver.device, 0, raw, 8);
    assert_int_equal(config_word(&driver, 0), 4096); /* not the driver's to write */
    assert_int_equal(config_word(&driver, 4), 1234);
    virtio_balloon_get_info(driver.device, &info);
    assert_int_equal(info.target_bytes, 16 * MIB);
    assert_int_equal(info.actual_bytes, 1234 * 4096);
    driver_start(&driver, VIRTIO_BALLOON_F_STATS_VQ);
    assert_int_equal(config_word(&driver, 0), 4096);
    assert_int_equal(config_word(&driver, 4), 0);
    driver_destroy(&driver);
}

static void test_too_large(void **state)
{
    struct virtio_balloon_options options = {.target_bytes = MEMORY_SIZE + 4096};
    struct virtio_device *device = NULL;
    struct error err = {""};
    struct driver driver;

    (void)state;
    driver_create(&driver, MEMORY_SIZE);
    assert_int_equal(virtio_balloon_create(&driver.env, "balloon0", &options, &device, &err),
                     -ERANGE);
    assert_null(device);
    assert_non_null(strstr(err.text, "more than the guest has"));
    driver_destroy(&driver);
}

/* ---- Statistics. ---- */

static void put_stat(struct driver *driver, uint64_t gpa, uint16_t tag, uint64_t value)
{
    uint8_t *raw = driver_host(driver, gpa, 10);

    store_le16(raw, tag);
    store_le64(raw + 2, value);
}

static void test_stats(void **state)
{
    struct virtio_balloon_options options = {.stats_interval_s = 1};
    struct virtio_balloon_info info;
    struct driver_used used = {0};
    struct driver driver;
    uint64_t gpa;

    (void)state;
    start(&driver, &options, FEATURES & ~VIRTIO_BALLOON_F_PAGE_REPORTING);
    virtio_balloon_get_info(driver.device, &info);
    assert_int_equal(info.stats_updated_ns, 0);
    gpa = driver_alloc(&driver, 64, 8);
    put_stat(&driver, gpa, 4, 123456);
    put_stat(&driver, gpa + 10, 5, UINT64_MAX);
    put_stat(&driver, gpa + 20, 0xffff, 1); /* of a later version */
    driver_add(&driver, STATS, &(struct driver_buffer){gpa, 35, false}, 1);
    driver_notify(&driver, STATS);
    virtio_balloon_get_info(driver.device, &info);
    assert_int_equal(info.stats_known, 1 << 4 | 1 << 5);
    assert_int_equal(info.stats[VIRTIO_BALLOON_STAT_FREE], 123456);
    assert_int_equal(info.stats[VIRTIO_BALLOON_STAT_TOTAL], UINT64_MAX);
    assert_int_equal(driver_used_count(&driver, STATS), 0); /* held until the next time */
    driver_add(&driver, STATS, &(struct driver_buffer){gpa, 10, false}, 1); /* one too many */
    driver_notify(&driver, STATS);
    driver_run(&driver, 600 * NS_PER_MS);
    assert_int_equal(driver_used_count(&driver, STATS), 0);
    put_stat(&driver, gpa, 4, 7);
    driver_run(&driver, 600 * NS_PER_MS);
    assert_int_equal(driver_used_count(&driver, STATS), 1);
    assert_true(driver_used(&driver, STATS, &used));
    virtio_balloon_get_info(driver.device, &info);
    assert_int_equal(info.stats_known, 1 << 4);
    assert_int_equal(info.stats[VIRTIO_BALLOON_STAT_FREE], 7);
    driver_reset(&driver); /* and the timer has nothing to do any more */
    driver_run(&driver, 1100 * NS_PER_MS);
    driver_destroy(&driver);
}

/* As Linux does it: the buffer is there, and was told of, before DRIVER_OK. */
static void test_stats_before_the_start(void **state)
{
    struct virtio_balloon_options options = {.stats_interval_s = 1};
    struct virtio_device *device = NULL;
    struct virtio_balloon_info info;
    struct driver driver;
    uint64_t gpa;

    (void)state;
    driver_create(&driver, MEMORY_SIZE);
    assert_int_equal(virtio_balloon_create(&driver.env, "balloon0", &options, &device, NULL), 0);
    driver_connect(&driver, device);
    assert_true(driver_negotiate(&driver, FEATURES & ~VIRTIO_BALLOON_F_PAGE_REPORTING));
    for (unsigned i = 0; i < device->queue_count; i++)
        driver_set_queue(&driver, i, device->queue_size);
    gpa = driver_alloc(&driver, 64, 8);
    put_stat(&driver, gpa, VIRTIO_BALLOON_STAT_FREE, 99);
    driver_add(&driver, STATS, &(struct driver_buffer){gpa, 10, false}, 1);
    driver_notify(&driver, STATS);
    driver_set_ok(&driver);
    driver_run(&driver, 10 * NS_PER_MS);
    virtio_balloon_get_info(device, &info);
    assert_int_equal(info.stats_known, 1 << VIRTIO_BALLOON_STAT_FREE);
    assert_int_equal(info.stats[VIRTIO_BALLOON_STAT_FREE], 99);
    assert_true(driver_wait_used(&driver, STATS, 1)); /* it is asked for the next */
    driver_destroy(&driver);
}

struct broken_row {
    const char *name;
    unsigned queue;
};

static const struct broken_row broken[] = {
    {"nonsense to inflate", INFLATE},
    {"nonsense to deflate", DEFLATE},
    {"nonsense as statistics", STATS},
    {"nonsense reported", 4},
};

static void test_broken(void **state)
{
    const struct broken_row *row = *state;
    struct virtio_balloon_options options = {.free_page_reporting = true};
    struct driver driver;

    start(&driver, &options, FEATURES);
    driver_add(&driver, row->queue, &(struct driver_buffer){MEMORY_SIZE - 8, 16, false}, 1);
    driver_notify(&driver, row->queue);
    assert_true(driver_is_broken(&driver));
    driver_notify(&driver, row->queue);
    driver_start(&driver, FEATURES);
    run_pages(&driver, INFLATE, PAGES_GPA, 1, 1);
    driver_destroy(&driver);
}

/* guest/memory.h: what is given back, and what is not. */
static void test_discard(void **state)
{
    struct driver driver;
    uint64_t gpa;

    (void)state;
    driver_create(&driver, MEMORY_SIZE);
    touch(&driver, 0, MEMORY_SIZE);
    assert_int_equal(guest_memory_discard(driver.mem, MEMORY_SIZE - 4096, 4097), -EFAULT);
    assert_int_equal(guest_memory_discard(driver.mem, MEMORY_SIZE, 0), -EFAULT);
    assert_int_equal(guest_memory_discard(driver.mem, UINT64_MAX - 4095, 4096), -EFAULT);
    assert_int_equal(guest_memory_discard(driver.mem, 0, UINT64_MAX), -EFAULT);
    assert_int_equal(guest_memory_discard(driver.mem, 0, 0), 0);
    assert_int_equal(guest_memory_discard(driver.mem, 1, 8190), 0); /* no whole page */
    assert_int_equal(guest_memory_resident(driver.mem), MEMORY_SIZE);
    assert_int_equal(guest_memory_discard(driver.mem, 0, MEMORY_SIZE), 0);
    assert_int_equal(guest_memory_resident(driver.mem), 0);
    assert_int_equal(guest_memory_gpa(driver.mem, driver_host(&driver, 4097, 1), 1, &gpa), 0);
    assert_int_equal(gpa, 4097);
    assert_int_equal(guest_memory_gpa(driver.mem, driver_host(&driver, 4096, 1), MEMORY_SIZE, &gpa),
                     -EFAULT);
    assert_int_equal(guest_memory_gpa(driver.mem, &driver, 1, &gpa), -EFAULT);
    driver_destroy(&driver);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, inflates, test_inflate);
    unit_add_rows(&unit, outsides, test_outside);
    unit_add(&unit, "lists that are cut", test_odd_list, NULL);
    unit_add(&unit, "a long list", test_long_list, NULL);
    unit_add_rows(&unit, reports, test_reporting);
    unit_add(&unit, "what was not offered does nothing", test_not_offered, NULL);
    unit_add(&unit, "the target", test_target, NULL);
    unit_add(&unit, "a target larger than memory", test_too_large, NULL);
    unit_add(&unit, "statistics", test_stats, NULL);
    unit_add(&unit, "statistics given before the start", test_stats_before_the_start, NULL);
    unit_add_rows(&unit, broken, test_broken);
    unit_add(&unit, "memory given back", test_discard, NULL);
    return unit_run(&unit, "balloon");
}

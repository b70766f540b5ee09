/* virtio/block.h: what is changed while the guest runs: the file, its size, the rate limit. */
#include "block_fixture.h"

#include "base/clock.h"
#include "virtio/block_file.h"

struct engine_row {
    const char *name;
    struct virtio_block_options options;
};

static const struct engine_row engines[] = {
    {"io_uring", {.engine = BLOCK_ENGINE_URING}},
    {"threads", {.engine = BLOCK_ENGINE_THREADS}},
    {"io_uring, direct", {.engine = BLOCK_ENGINE_URING, .cache = BLOCK_CACHE_DIRECT}},
    {"threads, direct", {.engine = BLOCK_ENGINE_THREADS, .cache = BLOCK_CACHE_DIRECT}},
};

/* Another file beside the disk's, all of one byte, open as the disk's is. */
static struct block_file other_file(const struct disk *disk, const struct engine_row *row,
                                    uint64_t size, uint8_t byte)
{
    struct virtio_block_options options = row->options;
    struct block_file file;
    char path[128], block[SECTOR];
    int fd;

    memset(block, byte, sizeof(block));
    snprintf(path, sizeof(path), "%s/other", disk->folder);
    fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (uint64_t at = 0; at < size; at += sizeof(block))
        assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
    close(fd);
    options.path = path;
    assert_int_equal(block_file_open(&options, &file, NULL), 0);
    unlink(path);
    return file;
}

static uint64_t capacity(struct disk *disk)
{
    uint8_t config[8];

    virtio_device_config_read(disk->driver.device, 0, config, sizeof(config));
    return load_le64(config);
}

static bool is_locked(const struct disk *disk)
{
    struct virtio_block_options options = {.path = disk->path};
    struct block_file file;

    if (block_file_open(&options, &file, NULL) < 0)
        return true;
    block_file_close(&file);
    return false;
}

static void test_replace(void **state)
{
    const struct engine_row *row = *state;
    struct block_file other;
    struct disk disk;
    uint8_t generation;

    disk_start(&disk, DISK_SIZE, &row->options);
    generation = virtio_device_generation(disk.driver.device);
    other = other_file(&disk, row, 64 * KIB, 0xa5);
    assert_true(is_locked(&disk));
    virtio_block_replace(disk.driver.device, &other);
    assert_false(is_locked(&disk)); /* the old one is closed */
    assert_int_equal(capacity(&disk), 64 * KIB / SECTOR);
    assert_int_equal(virtio_block_size(disk.driver.device), 64 * KIB);
    assert_int_not_equal(virtio_device_generation(disk.driver.device), generation);
    assert_int_equal(disk_request(&disk, BLK_IN, 127, SECTOR, NULL), BLK_OK);
    assert_int_equal(disk_data(&disk)[0], 0xa5);
    assert_int_equal(disk_data(&disk)[SECTOR - 1], 0xa5);
    assert_int_equal(disk_request(&disk, BLK_IN, 128, SECTOR, NULL), BLK_IOERR);
    assert_int_equal(disk_request(&disk, BLK_OUT, 128, SECTOR, NULL), BLK_IOERR);
    assert_int_equal(disk_request(&disk, BLK_OUT, 0, SECTOR, NULL), BLK_OK);
    assert_int_equal(disk_request(&disk, BLK_FLUSH, 0, 0, NULL), BLK_OK);
    disk_destroy(&disk);
}

static void test_resize(void **state)
{
    const struct engine_row *row = *state;
    const struct block_file grown = {.fd = -1, .buffered_fd = -1, .size = 2 * DISK_SIZE};
    struct disk disk;

    disk_start(&disk, DISK_SIZE, &row->options);
    assert_int_equal(disk_request(&disk, BLK_OUT, DISK_SIZE / SECTOR, SECTOR, NULL), BLK_IOERR);
    assert_int_equal(truncate(disk.path, 2 * DISK_SIZE), 0);
    virtio_block_replace(disk.driver.device, &grown);
    assert_int_equal(capacity(&disk), 2 * DISK_SIZE / SECTOR);
    assert_true(is_locked(&disk));
    assert_int_equal(disk_request(&disk, BLK_OUT, DISK_SIZE / SECTOR, SECTOR, NULL), BLK_OK);
    disk_destroy(&disk);
}

/* One that waits for its tokens was in the old disk, and is not in the new one. */
static void test_replace_while_parked(void **state)
{
    const struct engine_row *row = *state;
    struct virtio_block_options options = row->options;
    const struct rate_limit_change none = {.has_bytes = true};
    struct block_file other;
    struct driver_used used;
    struct disk disk;

    options.bytes = (struct rate_bucket_options){.size = SECTOR, .refill_ns = 3600 * NS_PER_SEC};
    disk_start(&disk, DISK_SIZE, &options);
    assert_int_equal(disk_request(&disk, BLK_IN, 0, SECTOR, NULL), BLK_OK);
    disk_add(&disk, BLK_OUT, DISK_SIZE / SECTOR - 1, SECTOR);
    driver_notify(&disk.driver, 0);
    assert_false(driver_used(&disk.driver, 0, &used));
    other = other_file(&disk, row, 64 * KIB, 1);
    virtio_block_replace(disk.driver.device, &other);
    virtio_block_set_rate(disk.driver.device, &none);
    assert_int_equal(disk_finish(&disk, disk.request_gpa + DISK_STATUS, NULL), BLK_IOERR);
    disk_destroy(&disk);
}

/* Twice before the first could be taken, and at the end one that never was. */
static void test_replace_twice(void **state)
{
    const struct engine_row *row = *state;
    struct block_file other;
    struct disk disk;

    disk_start(&disk, DISK_SIZE, &row->options);
    for (unsigned i = 1; i <= 3; i++) {
        other = other_file(&disk, row, i * 64 * KIB, (uint8_t)i);
        virtio_block_replace(disk.driver.device, &other);
    }
    assert_int_equal(disk_request(&disk, BLK_IN, 0, SECTOR, NULL), BLK_OK);
    assert_int_equal(disk_data(&disk)[0], 3);
    virtio_device_set_status(disk.driver.device, 0);
    other = other_file(&disk, row, 64 * KIB, 9);
    virtio_block_replace(disk.driver.device, &other); /* without a driver */
    driver_start(&disk.driver, virtio_device_features(disk.driver.device));
    assert_int_equal(disk_request(&disk, BLK_IN, 0, SECTOR, NULL), BLK_OK);
    assert_int_equal(disk_data(&disk)[0], 9);
    disk_destroy(&disk);
}

static void test_set_rate(void **state)
{
    const struct engine_row *row = *state;
    struct rate_limit_change change = {.has_operations = true,
                                       .operations = {1, 3600 * NS_PER_SEC, 0}};
    struct virtio_block_counters counters;
    struct driver_used used;
    struct disk disk;

    disk_start(&disk, DISK_SIZE, &row->options);
    virtio_block_set_rate(disk.driver.device, &change);
    assert_int_equal(disk_request(&disk, BLK_OUT, 0, 2 * SECTOR, NULL), BLK_OK);
    disk_add(&disk, BLK_OUT, 0, SECTOR);
    driver_notify(&disk.driver, 0);
    assert_false(driver_used(&disk.driver, 0, &used)); /* for an hour */
    change = (struct rate_limit_change){.has_bytes = true, .bytes = {SECTOR, NS_PER_SEC, 0}};
    virtio_block_set_rate(disk.driver.device, &change); /* that bucket alone */
    driver_notify(&disk.driver, 0);
    assert_false(driver_used(&disk.driver, 0, &used));
    change = (struct rate_limit_change){.has_operations = true};
    virtio_block_set_rate(disk.driver.device, &change);
    assert_int_equal(disk_finish(&disk, disk.request_gpa + DISK_STATUS, NULL), BLK_OK);
    virtio_block_counters_get(disk.driver.device, &counters);
    assert_int_equal(counters.write_ops, 2);
    assert_int_equal(counters.write_bytes, 3 * SECTOR);
    assert_int_equal(counters.read_ops, 0);
    assert_int_equal(counters.failed, 0);
    assert_true(counters.throttled > 0);
    disk_destroy(&disk);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, engines, test_replace);
    unit_add_rows(&unit, engines, test_resize);
    unit_add_rows(&unit, engines, test_replace_while_parked);
    unit_add_rows(&unit, engines, test_replace_twice);
    unit_add_rows(&unit, engines, test_set_rate);
    return unit_run(&unit, "block_change");
}

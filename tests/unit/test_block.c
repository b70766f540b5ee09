/* virtio/block.h: each request as the specification has it, with both engines and each cache. */
#include "block_fixture.h"

struct engine_row {
    const char *name;
    struct virtio_block_options options;
};

static const struct engine_row engines[] = {
    {"io_uring", {.engine = BLOCK_ENGINE_URING}},
    {"threads", {.engine = BLOCK_ENGINE_THREADS}},
    {"io_uring, direct", {.engine = BLOCK_ENGINE_URING, .cache = BLOCK_CACHE_DIRECT}},
    {"threads, direct", {.engine = BLOCK_ENGINE_THREADS, .cache = BLOCK_CACHE_DIRECT}},
    {"unsafe", {.cache = BLOCK_CACHE_UNSAFE}},
};

static void fill(uint8_t *data, size_t len, unsigned seed)
{
    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)(i * 7 + i / 256 + seed);
}

static void file_read(const struct disk *disk, void *buf, size_t len, uint64_t offset)
{
    int fd = open(disk->path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, buf, len, (off_t)offset), len);
    close(fd);
}

static void test_write_and_read(void **state)
{
    const struct engine_row *row = *state;
    uint8_t want[8 * SECTOR], got[8 * SECTOR];
    struct disk disk;
    uint32_t used;

    disk_start(&disk, DISK_SIZE, &row->options);
    fill(want, sizeof(want), 1);
    memcpy(disk_data(&disk), want, sizeof(want));
    assert_int_equal(disk_request(&disk, BLK_OUT, 16, sizeof(want), &used), BLK_OK);
    assert_int_equal(used, 1);
    file_read(&disk, got, sizeof(got), 16 * SECTOR);
    assert_memory_equal(got, want, sizeof(want));
    memset(disk_data(&disk), 0, sizeof(want));
    assert_int_equal(disk_request(&disk, BLK_IN, 16, sizeof(want), &used), BLK_OK);
    assert_int_equal(used, sizeof(want) + 1);
    assert_memory_equal(disk_data(&disk), want, sizeof(want));
    assert_int_equal(disk_request(&disk, BLK_FLUSH, 0, 0, &used), BLK_OK);
    assert_int_equal(used, 1);
    disk_destroy(&disk);
}

static void test_discard_and_zeroes(void **state)
{
    const struct engine_row *row = *state;
    uint8_t zero[8 * SECTOR] = {0}, got[8 * SECTOR];
    struct stat before, after;
    struct disk disk;

    disk_start(&disk, DISK_SIZE, &row->options);
    for (unsigned i = 0; i < 4; i++) {
        memset(disk_data(&disk), 0xa5, DISK_DATA_SIZE);
        assert_int_equal(disk_request(&disk, BLK_OUT, i * 128, DISK_DATA_SIZE, NULL), BLK_OK);
    }
    assert_int_equal(disk_request(&disk, BLK_FLUSH, 0, 0, NULL), BLK_OK);
    assert_int_equal(stat(disk.path, &before), 0);
    assert_int_equal(disk_range(&disk, BLK_DISCARD, 0, 128, 0), BLK_OK);
    assert_int_equal(stat(disk.path, &after), 0);
    assert_true(after.st_blocks < before.st_blocks);
    assert_int_equal(disk_range(&disk, BLK_WRITE_ZEROES, 130, 8, 0), BLK_OK);
    file_read(&disk, got, sizeof(got), 130 * SECTOR);
    assert_memory_equal(got, zero, sizeof(zero));
    assert_int_equal(disk_range(&disk, BLK_WRITE_ZEROES, 256, 8, 1), BLK_OK);
    file_read(&disk, got, sizeof(got), 256 * SECTOR);
    assert_memory_equal(got, zero, sizeof(zero));
    file_read(&disk, got, SECTOR, 264 * SECTOR);
    assert_int_equal(got[0], 0xa5); /* not one sector more */
    assert_int_equal(disk_range(&disk, BLK_DISCARD, 0, 0, 0), BLK_OK);
    disk_destroy(&disk);
}

static void test_get_id(void **state)
{
    const struct engine_row *row = *state;
    struct virtio_block_options options = row->options;
    struct disk disk;
    uint32_t used;

    memcpy(options.serial, "serial-of-20-letters", 21);
    disk_start(&disk, DISK_SIZE, &options);
    memset(disk_data(&disk), 0x55, 32);
    assert_int_equal(disk_request(&disk, BLK_GET_ID, 0, 20, &used), BLK_OK);
    assert_int_equal(used, 21);
    assert_memory_equal(disk_data(&disk), "serial-of-20-letters\x55", 21);
    assert_int_equal(disk_request(&disk, BLK_GET_ID, 0, 6, &used), BLK_OK);
    assert_int_equal(used, 7);
    disk_destroy(&disk);
}

/* ---- A random workload against a model. ---- */

#define REGION_SIZE  (64 * KIB)
#define REGIONS      (DISK_SIZE / REGION_SIZE)
#define BATCH        24
#define BATCHES      60
#define MAX_SEGMENTS 6

struct pending {
    uint32_t type;
    uint64_t offset, len; /* bytes */
    uint64_t data_gpa, status_gpa;
};

static unsigned random_below(uint64_t *seed, unsigned limit)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (unsigned)(*seed >> 33) % limit;
}

/* Cut the data into pieces at any byte, and the header too now and then. */
static void add_cut(struct disk *disk, struct pending *p, uint64_t header_gpa, uint64_t *seed)
{
    struct driver_buffer buffers[MAX_SEGMENTS + 3];
    bool writable = p->type == BLK_IN;
    uint64_t len = p->type == BLK_IN || p->type == BLK_OUT ? p->len : 16, at = 0;
    unsigned n = 0;

    if (random_below(seed, 2)) {
        buffers[n++] = (struct driver_buffer){header_gpa, 3, false};
        buffers[n++] = (struct driver_buffer){header_gpa + 3, 13, false};
    } else {
        buffers[n++] = (struct driver_buffer){header_gpa, 16, false};
    }
    for (unsigned i = 0; i < MAX_SEGMENTS && at < len; i++) {
        uint64_t part = len - at;

        if (i + 1 < MAX_SEGMENTS && part > 1)
            part = 1 + random_below(seed, (unsigned)part);
        buffers[n++] = (struct driver_buffer){p->data_gpa + at, (uint32_t)part, writable};
        at += part;
    }
    buffers[n++] = (struct driver_buffer){p->status_gpa, 1, true};
    if (random_below(seed, 2))
        driver_add_indirect(&disk->driver, 0, buffers, n);
    else
        driver_add(&disk->driver, 0, buffers, n);
}

static void begin(struct disk *disk, struct pending *p, uint8_t *model, uint64_t *seed)
{
    static const uint32_t types[] = {BLK_IN,  BLK_IN,      BLK_OUT,
                                     BLK_OUT, BLK_DISCARD, BLK_WRITE_ZEROES};
    uint64_t base = driver_alloc(&disk->driver, REGION_SIZE + 8192, 4096);
    uint8_t *data;

    p->type = types[random_below(seed, ARRAY_SIZE(types))];
    p->offset += random_below(seed, REGION_SIZE / SECTOR) * SECTOR;
    p->len =
        (1 + random_below(seed, (unsigned)((REGION_SIZE - p->offset % REGION_SIZE) / SECTOR))) *
        SECTOR;
    p->status_gpa = base + 100;
    p->data_gpa = base + 4096 + random_below(seed, 2) * random_below(seed, 512);
    data = driver_host(&disk->driver, p->data_gpa, p->len);
    *(uint8_t *)driver_host(&disk->driver, p->status_gpa, 1) = BLK_NONE;
    disk_put_header(disk, base, p->type,
                    p->type == BLK_IN || p->type == BLK_OUT ? p->offset / SECTOR : 0);
    if (p->type == BLK_OUT) {
        fill(data, p->len, random_below(seed, 256));
        memcpy(model + p->offset, data, p->len);
    } else if (p->type != BLK_IN) {
        store_le64(data, p->offset / SECTOR);
        store_le32(data + 8, (uint32_t)(p->len / SECTOR));
        store_le32(data + 12, p->type == BLK_WRITE_ZEROES ? random_below(seed, 2) : 0);
        memset(model + p->offset, 0, p->len);
    }
    add_cut(disk, p, base, seed);
}

static void run_batch(struct disk *disk, uint8_t *model, uint64_t *seed)
{
    unsigned first = random_below(seed, REGIONS);
    struct pending pending[BATCH];
    struct driver_used used;

    for (unsigned i = 0; i < BATCH; i++) {
        pending[i] = (struct pending){.offset = (first + i) % REGIONS * REGION_SIZE};
        begin(disk, &pending[i], model, seed);
    }
    driver_notify(&disk->driver, 0);
    assert_true(driver_wait_used(&disk->driver, 0, BATCH));
    while (driver_used(&disk->driver, 0, &used))
        continue;
    for (unsigned i = 0; i < BATCH; i++) {
        const struct pending *p = &pending[i];

        assert_int_equal(*(uint8_t *)driver_host(&disk->driver, p->status_gpa, 1), BLK_OK);
        if (p->type == BLK_IN)
            assert_memory_equal(driver_host(&disk->driver, p->data_gpa, p->len), model + p->offset,
                                p->len);
    }
}

static void test_workload(void **state)
{
    const struct engine_row *row = *state;
    uint8_t *model = test_calloc(1, DISK_SIZE), *got = test_calloc(1, DISK_SIZE);
    uint64_t seed = 42, heap;
    struct disk disk;

    disk_start(&disk, DISK_SIZE, &row->options);
    heap = disk.driver.heap_gpa;
    for (unsigned i = 0; i < BATCHES; i++) {
        disk.driver.heap_gpa = heap;
        run_batch(&disk, model, &seed);
        if (i % 8 == 0)
            assert_int_equal(disk_request(&disk, BLK_FLUSH, 0, 0, NULL), BLK_OK);
    }
    file_read(&disk, got, DISK_SIZE, 0);
    assert_memory_equal(got, model, DISK_SIZE);
    disk_destroy(&disk);
    test_free(model);
    test_free(got);
}

/* ---- What a disk says of itself. ---- */

static void test_config(void **state)
{
    struct virtio_block_options options = {.cache = BLOCK_CACHE_WRITEBACK};
    uint8_t config[60];
    struct disk disk;

    (void)state;
    disk_start(&disk, DISK_SIZE, &options);
    virtio_device_config_read(disk.driver.device, 0, config, sizeof(config));
    assert_int_equal(disk.driver.device->id, VIRTIO_ID_BLOCK);
    assert_int_equal(load_le64(config), DISK_SIZE / SECTOR);
    assert_int_equal(load_le32(config + 12), 254); /* seg_max */
    assert_int_equal(load_le32(config + 20), 512); /* blk_size */
    assert_int_equal(config[24], 3);               /* 4 KiB on the host */
    assert_int_equal(config[32], 1);               /* writeback */
    assert_int_equal(load_le32(config + 40), 16);  /* max_discard_seg */
    assert_int_equal(load_le32(config + 52), 1);   /* max_write_zeroes_seg */
    assert_int_equal(config[56], 1);               /* may unmap */
    disk_destroy(&disk);
}

static void test_config_writeback(void **state)
{
    struct virtio_block_options options = {.cache = BLOCK_CACHE_WRITEBACK};
    const uint8_t off = 0, on = 1;
    uint8_t byte;
    struct disk disk;

    (void)state;
    disk_start(&disk, DISK_SIZE, &options);
    virtio_device_config_write(disk.driver.device, 0, "\xff\xff\xff\xff", 4); /* capacity */
    virtio_device_config_write(disk.driver.device, 32, &off, 1);
    virtio_device_config_read(disk.driver.device, 32, &byte, 1);
    assert_int_equal(byte, 0);
    assert_int_equal(disk_request(&disk, BLK_OUT, 0, SECTOR, NULL), BLK_OK); /* writes through */
    assert_int_equal(disk_range(&disk, BLK_WRITE_ZEROES, 0, 8, 0), BLK_OK);
    virtio_device_config_write(disk.driver.device, 32, &on, 1);
    virtio_device_config_read(disk.driver.device, 0, &byte, 1);
    assert_int_equal(byte, 0);
    virtio_device_config_write(disk.driver.device, 32, &off, 1);
    driver_start(&disk.driver, BLK_FEATURES);
    virtio_device_config_read(disk.driver.device, 32, &byte, 1);
    assert_int_equal(byte, 1); /* a reset sets it again */
    disk_destroy(&disk);
}

/* 5.2.6.2: a driver without FLUSH relies on every write; it must work all the same. */
static void test_without_features(void **state)
{
    const struct engine_row *row = *state;
    uint8_t want[SECTOR], got[SECTOR];
    struct disk disk;

    disk_start(&disk, DISK_SIZE, &row->options);
    driver_start(&disk.driver, 0);
    fill(want, sizeof(want), 9);
    memcpy(disk_data(&disk), want, sizeof(want));
    assert_int_equal(disk_request(&disk, BLK_OUT, 3, SECTOR, NULL), BLK_OK);
    file_read(&disk, got, SECTOR, 3 * SECTOR);
    assert_memory_equal(got, want, SECTOR);
    disk_destroy(&disk);
}

/* ---- What is refused. ---- */

struct refusal_row {
    const char *name;
    uint32_t type;
    uint64_t sector;
    uint32_t len; /* of the data */
    uint8_t status;
    bool read_only;
};

#define LAST (DISK_SIZE / SECTOR - 1)

static const struct refusal_row refusals[] = {
    {"the last sector", BLK_IN, LAST, SECTOR, BLK_OK, false},
    {"over the end", BLK_IN, LAST, 2 * SECTOR, BLK_IOERR, false},
    {"behind the end", BLK_IN, LAST + 1, SECTOR, BLK_IOERR, false},
    {"write behind the end", BLK_OUT, LAST + 1, SECTOR, BLK_IOERR, false},
    {"a sector whose byte wraps", BLK_IN, UINT64_MAX / 512, SECTOR, BLK_IOERR, false},
    {"the last sector of all", BLK_OUT, UINT64_MAX, SECTOR, BLK_IOERR, false},
    {"half a sector", BLK_IN, 0, 256, BLK_IOERR, false},
    {"a sector and a byte", BLK_OUT, 0, SECTOR + 1, BLK_IOERR, false},
    {"nothing to read", BLK_IN, 0, 0, BLK_OK, false},
    {"no known type", 0x1234, 0, SECTOR, BLK_UNSUPP, false},
    {"SCSI", 2, 0, SECTOR, BLK_UNSUPP, false},
    {"secure erase", 14, 0, 16, BLK_UNSUPP, false},
    {"discard without segments", BLK_DISCARD, 0, 0, BLK_IOERR, false},
    {"discard of part of a segment", BLK_DISCARD, 0, 15, BLK_IOERR, false},
    {"discard of 17 segments", BLK_DISCARD, 0, 17 * 16, BLK_IOERR, false},
    {"two segments of zeroes", BLK_WRITE_ZEROES, 0, 32, BLK_IOERR, false},
    {"read of a read-only disk", BLK_IN, 0, SECTOR, BLK_OK, true},
    {"write to a read-only disk", BLK_OUT, 0, SECTOR, BLK_IOERR, true},
    {"discard on a read-only disk", BLK_DISCARD, 0, 16, BLK_IOERR, true},
    {"zeroes on a read-only disk", BLK_WRITE_ZEROES, 0, 16, BLK_IOERR, true},
    {"flush of a read-only disk", BLK_FLUSH, 0, 0, BLK_OK, true},
};

static void test_refusal(void **state)
{
    const struct refusal_row *row = *state;
    struct virtio_block_options options = {.read_only = row->read_only};
    uint64_t features;
    struct disk disk;

    disk_start(&disk, DISK_SIZE, &options);
    features = virtio_device_features(disk.driver.device);
    assert_int_equal(!!(features & VIRTIO_BLK_F_RO), row->read_only);
    assert_int_equal(!!(features & VIRTIO_BLK_F_WRITE_ZEROES), !row->read_only);
    assert_int_equal(disk_request(&disk, row->type, row->sector, row->len, NULL), row->status);
    assert_false(driver_is_broken(&disk.driver));
    assert_int_equal(disk_request(&disk, BLK_IN, 0, SECTOR, NULL), BLK_OK); /* it goes on */
    disk_destroy(&disk);
}

struct range_row {
    const char *name;
    uint32_t type;
    uint64_t sector;
    uint32_t sectors, flags;
    uint8_t status;
};

static const struct range_row ranges[] = {
    {"discard of all", BLK_DISCARD, 0, DISK_SIZE / SECTOR, 0, BLK_OK},
    {"discard over the end", BLK_DISCARD, LAST, 2, 0, BLK_IOERR},
    {"discard that wraps", BLK_DISCARD, UINT64_MAX, 1, 0, BLK_IOERR},
    {"discard of too much", BLK_DISCARD, 0, UINT32_MAX, 0, BLK_IOERR},
    {"discard with unmap", BLK_DISCARD, 0, 1, 1, BLK_UNSUPP},
    {"discard with unknown flags", BLK_DISCARD, 0, 1, 0x80, BLK_UNSUPP},
    {"zeroes with unknown flags", BLK_WRITE_ZEROES, 0, 1, 2, BLK_UNSUPP},
    {"zeroes over the end", BLK_WRITE_ZEROES, LAST, 2, 0, BLK_IOERR},
    {"zeroes of too much", BLK_WRITE_ZEROES, 0, 64 * MIB / SECTOR + 1, 0, BLK_IOERR},
    {"zeroes of all", BLK_WRITE_ZEROES, 0, DISK_SIZE / SECTOR, 1, BLK_OK},
};

static void test_range(void **state)
{
    const struct range_row *row = *state;
    struct virtio_block_options options = {.cache = BLOCK_CACHE_WRITEBACK};
    struct disk disk;

    disk_start(&disk, DISK_SIZE, &options);
    assert_int_equal(disk_range(&disk, row->type, row->sector, row->sectors, row->flags),
                     row->status);
    assert_false(driver_is_broken(&disk.driver));
    disk_destroy(&disk);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, engines, test_write_and_read);
    unit_add_rows(&unit, engines, test_discard_and_zeroes);
    unit_add_rows(&unit, engines, test_get_id);
    unit_add_rows(&unit, engines, test_workload);
    unit_add_rows(&unit, engines, test_without_features);
    unit_add(&unit, "configuration", test_config, NULL);
    unit_add(&unit, "the writeback byte", test_config_writeback, NULL);
    unit_add_rows(&unit, refusals, test_refusal);
    unit_add_rows(&unit, ranges, test_range);
    return unit_run(&unit, "block");
}

/* What the tests of virtio-blk share: a folder, a disk in it, and requests of one line. */
#ifndef OSVM_TESTS_BLOCK_FIXTURE_H
#define OSVM_TESTS_BLOCK_FIXTURE_H

#include "virtio_driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "virtio/block.h"

/* Section 5.2.6 of virtio 1.2. */
#define BLK_IN           0
#define BLK_OUT          1
#define BLK_FLUSH        4
#define BLK_GET_ID       8
#define BLK_DISCARD      11
#define BLK_WRITE_ZEROES 13
#define BLK_OK           0
#define BLK_IOERR        1
#define BLK_UNSUPP       2
#define BLK_NONE         0xee /* what the status byte is set to before */

#define SECTOR    512
#define DISK_SIZE (4 * MIB)

/* Everything that a writable disk offers. */
#define BLK_FEATURES                                                                             \
    (VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_BLK_SIZE | VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_TOPOLOGY | \
     VIRTIO_BLK_F_CONFIG_WCE | VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES |                \
     VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX)

struct disk {
    struct driver driver;
    char folder[64], path[96];
    uint64_t request_gpa; /* a header, a data buffer of 64 KiB, a status */
};

#define DISK_HEADER    0
#define DISK_STATUS    64
#define DISK_DATA      4096
#define DISK_DATA_SIZE (64 * KIB)

/* A folder with a file of this size, and no device yet. */
static inline void disk_prepare(struct disk *disk, uint64_t size)
{
    const char *base = getenv("TMPDIR");
    int fd;

    memset(disk, 0, sizeof(*disk));
    snprintf(disk->folder, sizeof(disk->folder), "%s/osvm-block-XXXXXX",
             base && *base ? base : "/var/tmp");
    assert_non_null(mkdtemp(disk->folder));
    snprintf(disk->path, sizeof(disk->path), "%s/disk", disk->folder);
    fd = open(disk->path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    close(fd);
    driver_create(&disk->driver, 32 * MIB);
}

static inline void disk_destroy(struct disk *disk)
{
    driver_destroy(&disk->driver);
    unlink(disk->path);
    rmdir(disk->folder);
}

/* Make the device. Options without a path get the disk's own. Returns what create returned. */
static inline int disk_create(struct disk *disk, struct virtio_block_options options,
                              struct error *err)
{
    struct virtio_device *device = NULL;
    int r;

    if (!options.path)
        options.path = disk->path;
    r = virtio_block_create(&disk->driver.env, "disk0", &options, &device, err);
    if (r < 0) {
        assert_null(device);
        return r;
    }
    driver_connect(&disk->driver, device);
    disk->request_gpa = driver_alloc(&disk->driver, DISK_DATA + DISK_DATA_SIZE, 4096);
    return 0;
}

/* A whole disk, running. A host that cannot do what is asked for skips the test. */
static inline void disk_start(struct disk *disk, uint64_t size,
                              const struct virtio_block_options *options)
{
    struct error err = {""};
    int r;

    disk_prepare(disk, size);
    r = disk_create(disk, *options, &err);
    if (r < 0 && (strstr(err.text, "cache=direct") || strstr(err.text, "asynchronous"))) {
        disk_destroy(disk);
        skip();
    }
    if (r < 0)
        fail_msg("%s", err.text);
    driver_start(&disk->driver, virtio_device_features(disk->driver.device));
}

static inline uint8_t *disk_data(struct disk *disk)
{
    return driver_host(&disk->driver, disk->request_gpa + DISK_DATA, DISK_DATA_SIZE);
}

static inline void disk_put_header(struct disk *disk, uint64_t gpa, uint32_t type, uint64_t sector)
{
    uint8_t *header = driver_host(&disk->driver, gpa, 16);

    store_le32(header, type);
    store_le32(header + 4, 0);
    store_le64(header + 8, sector);
}

/* Let the one chain that was added be done. Returns its status byte. */
static inline uint8_t disk_finish(struct disk *disk, uint64_t status_gpa, uint32_t *ret_used)
{
    struct driver_used used = {0};

    driver_notify(&disk->driver, 0);
    assert_true(driver_wait_used(&disk->driver, 0, 1));
    assert_true(driver_used(&disk->driver, 0, &used));
    if (ret_used)
        *ret_used = used.len;
    return *(uint8_t *)driver_host(&disk->driver, status_gpa, 1);
}

/* Add a request, with its data in disk_data(); its status byte is at DISK_STATUS. */
static inline void disk_add(struct disk *disk, uint32_t type, uint64_t sector, uint32_t len)
{
    uint64_t gpa = disk->request_gpa;
    bool writable = type == BLK_IN || type == BLK_GET_ID;
    const struct driver_buffer buffers[] = {
        {gpa + DISK_HEADER, 16, false},
        {len ? gpa + DISK_DATA : gpa + DISK_STATUS, len ? len : 1, len ? writable : true},
        {gpa + DISK_STATUS, 1, true},
    };

    disk_put_header(disk, gpa + DISK_HEADER, type, sector);
    *(uint8_t *)driver_host(&disk->driver, gpa + DISK_STATUS, 1) = BLK_NONE;
    driver_add(&disk->driver, 0, buffers, len ? 3 : 2);
}

/*
 * One request from begin to end. Returns its status byte.
 *
 * @ret_used  may be NULL
 */
static inline uint8_t disk_request(struct disk *disk, uint32_t type, uint64_t sector, uint32_t len,
                                   uint32_t *ret_used)
{
    disk_add(disk, type, sector, len);
    return disk_finish(disk, disk->request_gpa + DISK_STATUS, ret_used);
}

/* Discard or write-zeroes of one segment. */
static inline uint8_t disk_range(struct disk *disk, uint32_t type, uint64_t sector,
                                 uint32_t sectors, uint32_t flags)
{
    uint8_t *segment = disk_data(disk);

    store_le64(segment, sector);
    store_le32(segment + 8, sectors);
    store_le32(segment + 12, flags);
    return disk_request(disk, type, 0, 16, NULL);
}

#endif

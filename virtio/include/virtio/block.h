/*
 * virtio-blk (virtio 1.2, section 5.2): a disk that is a raw file, a block device of the host, or a
 * scratch file that vanishes with the VM.
 *
 * Requests go straight between the file and guest memory, many at a time, by io_uring; by two
 * threads where the host allows no io_uring. A host I/O that fails or falls short is an I/O error
 * of that request. After a flush that failed every later one fails too, because what it should
 * have kept may be lost (not with BLOCK_CACHE_DIRECT, where it may be tried again).
 */
#ifndef OSVM_VIRTIO_BLOCK_H
#define OSVM_VIRTIO_BLOCK_H

#include "base/error.h"
#include "net/rate_limit.h"
#include "virtio/device.h"

#define VIRTIO_BLOCK_SERIAL_SIZE 20 /* 5.2.6, VIRTIO_BLK_T_GET_ID */

/* Feature bits, 5.2.3. */
#define VIRTIO_BLK_F_SEG_MAX      (UINT64_C(1) << 2)
#define VIRTIO_BLK_F_RO           (UINT64_C(1) << 5)
#define VIRTIO_BLK_F_BLK_SIZE     (UINT64_C(1) << 6)
#define VIRTIO_BLK_F_FLUSH        (UINT64_C(1) << 9)
#define VIRTIO_BLK_F_TOPOLOGY     (UINT64_C(1) << 10)
#define VIRTIO_BLK_F_CONFIG_WCE   (UINT64_C(1) << 11)
#define VIRTIO_BLK_F_DISCARD      (UINT64_C(1) << 13)
#define VIRTIO_BLK_F_WRITE_ZEROES (UINT64_C(1) << 14)

enum block_cache {
    BLOCK_CACHE_WRITEBACK, /* the host's page cache; a flush is fdatasync() */
    BLOCK_CACHE_UNSAFE,    /* flushes are answered and not done */
    BLOCK_CACHE_DIRECT,    /* past the host's page cache (O_DIRECT); a flush is fdatasync() */
};

enum block_engine {
    BLOCK_ENGINE_AUTO, /* io_uring, or threads where the host refuses it */
    BLOCK_ENGINE_URING,
    BLOCK_ENGINE_THREADS,
};

struct virtio_block_options {
    const char *path; /* a regular file or a block device; NULL: a scratch disk */
    /* Bytes, a multiple of 512. Of a scratch disk: its size. Of a path: how much of the file the
     * guest sees, from its start; it must be there (nothing is made or made longer); 0: all. */
    uint64_t size;
    bool read_only; /* not of a scratch disk */
    char serial[VIRTIO_BLOCK_SERIAL_SIZE + 1];
    enum block_cache cache; /* a scratch disk's flushes are never done: nobody comes after it */
    struct rate_bucket_options bytes, ops;
    enum block_engine engine;
};

/**
 * Open the file, lock it, and make the device.
 *
 * A path is locked for the life of the device (an open-file-description lock over all of it):
 * alone where it is written, shared where it is read only.
 *
 * @name  for people; borrowed
 * @err   what is wrong, without the path, which the caller knows
 * Returns 0; -ENOENT, -EISDIR, -EACCES, -EROFS as open(); -EBUSY where another has it locked;
 * -EINVAL where the size or the kind of file is wrong; or another negative errno. On the loop's
 * thread, before the jail: afterwards the device opens nothing.
 */
int virtio_block_create(const struct virtio_env *env, const char *name,
                        const struct virtio_block_options *options, struct virtio_device **ret,
                        struct error *err);

struct virtio_block_counters {
    uint64_t read_bytes, read_ops, write_bytes, write_ops, flushes; /* that were done */
    uint64_t failed;    /* requests that the host could not do */
    uint64_t throttled; /* times that the rate limit stopped it */
};

/* What it has done so far. Any thread; takes the device's lock. */
void virtio_block_counters_get(struct virtio_device *device, struct virtio_block_counters *ret);

/**
 * Change the rate limit while it runs; what waits for the old one asks again at once.
 * The loop's thread; takes the device's lock.
 */
void virtio_block_set_rate(struct virtio_device *device, const struct rate_limit_change *change);

struct block_file;

/**
 * Give the disk another file; the driver is told of its size. Requests that are under way end with
 * the old file, which is closed then; all later ones go to the new one.
 *
 * @file  opened by block_file_open() as this disk's was (read only, direct); its descriptors are
 *        taken over. With descriptors of -1, the old file stays and only its size has changed
 * The loop's thread; takes the device's lock.
 */
void virtio_block_replace(struct virtio_device *device, const struct block_file *file);

/* How many bytes the guest sees. The loop's thread, or before the guest runs. */
uint64_t virtio_block_size(const struct virtio_device *device);

/* Which engine it has, for tests and the log: "io_uring" or "threads". Any thread. */
const char *virtio_block_engine(const struct virtio_device *device);

#endif

/*
 * The file or block device behind a disk: opened, judged, locked. A disk does it for itself; for
 * one that is to get another file in its jail, its owner does it outside.
 */
#ifndef OSVM_VIRTIO_BLOCK_FILE_H
#define OSVM_VIRTIO_BLOCK_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "virtio/block.h"

#define BLOCK_SECTOR_SIZE 512 /* the unit of virtio-blk, whatever the disk's own (5.2.4) */

struct block_file {
    int fd;
    int buffered_fd; /* direct only: the same file by the page cache, for what is not aligned */
    uint64_t size;   /* what the guest sees, bytes */
    uint32_t block_size, physical_block_size; /* bytes, powers of two */
    /* What O_DIRECT wants of offsets and lengths, and of addresses; 1 without it. */
    uint32_t offset_alignment, memory_alignment;
    /* What fallocate() wants of offsets and lengths to have any effect. */
    uint32_t hole_alignment;
    bool can_punch_holes;
};

/**
 * Open and lock what the options name. Parameters, errors and words as for virtio_block_create().
 *
 * @ret_file  closed by block_file_close(); on failure nothing is open
 */
int block_file_open(const struct virtio_block_options *options, struct block_file *ret_file,
                    struct error *err);

void block_file_close(struct block_file *file);

#endif

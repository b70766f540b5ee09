/* A disk's configuration and features, by what its file can. */
#ifndef OSVM_VIRTIO_BLOCK_CONFIG_H
#define OSVM_VIRTIO_BLOCK_CONFIG_H

#include <stdint.h>

#include "block_request.h"

/* 5.2.4: struct virtio_blk_config, up to unused1. */
enum {
    BLOCK_CONFIG_CAPACITY = 0,
    BLOCK_CONFIG_SEG_MAX = 12,
    BLOCK_CONFIG_BLK_SIZE = 20,
    BLOCK_CONFIG_PHYSICAL_BLOCK_EXP = 24,
    BLOCK_CONFIG_MIN_IO_SIZE = 26,
    BLOCK_CONFIG_WRITEBACK = 32,
    BLOCK_CONFIG_NUM_QUEUES = 34,
    BLOCK_CONFIG_MAX_DISCARD_SECTORS = 36,
    BLOCK_CONFIG_MAX_DISCARD_SEG = 40,
    BLOCK_CONFIG_DISCARD_SECTOR_ALIGNMENT = 44,
    BLOCK_CONFIG_MAX_WRITE_ZEROES_SECTORS = 48,
    BLOCK_CONFIG_MAX_WRITE_ZEROES_SEG = 52,
    BLOCK_CONFIG_WRITE_ZEROES_MAY_UNMAP = 56,
    BLOCK_CONFIG_SIZE = 60,
};

/* Fill in all of it but what is the driver's. @config  BLOCK_CONFIG_SIZE bytes, zeroed */
void block_config_fill(const struct block_disk *disk, unsigned queue_size, uint8_t *config);

/* The features that it offers, beside the core's. */
uint64_t block_config_features(const struct block_disk *disk);

#endif

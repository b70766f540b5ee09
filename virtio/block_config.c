/* Section numbers are those of virtio 1.2. */
#include "block_config.h"

#include "base/bytes.h"
#include "base/util.h"

#define HEADER_AND_STATUS 2 /* descriptors of a request that are not of its data */

void block_config_fill(const struct block_disk *disk, unsigned queue_size, uint8_t *config)
{
    const struct block_file *file = &disk->file;

    store_le64(config + BLOCK_CONFIG_CAPACITY, file->size / BLOCK_SECTOR_SIZE);
    store_le32(config + BLOCK_CONFIG_SEG_MAX, queue_size - HEADER_AND_STATUS);
    store_le32(config + BLOCK_CONFIG_BLK_SIZE, file->block_size);
    config[BLOCK_CONFIG_PHYSICAL_BLOCK_EXP] =
        (uint8_t)__builtin_ctz(file->physical_block_size / file->block_size);
    store_le16(config + BLOCK_CONFIG_MIN_IO_SIZE,
               (uint16_t)(file->physical_block_size / file->block_size));
    config[BLOCK_CONFIG_WRITEBACK] = 1;
    store_le16(config + BLOCK_CONFIG_NUM_QUEUES, 1);
    if (disk->offers_discard) {
        store_le32(config + BLOCK_CONFIG_MAX_DISCARD_SECTORS,
                   BLOCK_MAX_DISCARD_BYTES / BLOCK_SECTOR_SIZE);
        store_le32(config + BLOCK_CONFIG_MAX_DISCARD_SEG, BLOCK_MAX_DISCARD_SEGMENTS);
        store_le32(config + BLOCK_CONFIG_DISCARD_SECTOR_ALIGNMENT,
                   (uint32_t)max_u64(file->hole_alignment, file->physical_block_size) /
                       BLOCK_SECTOR_SIZE);
    }
    if (disk->offers_zeroes) {
        store_le32(config + BLOCK_CONFIG_MAX_WRITE_ZEROES_SECTORS,
                   BLOCK_MAX_ZEROES_BYTES / BLOCK_SECTOR_SIZE);
        store_le32(config + BLOCK_CONFIG_MAX_WRITE_ZEROES_SEG, BLOCK_MAX_ZEROES_SEGMENTS);
        config[BLOCK_CONFIG_WRITE_ZEROES_MAY_UNMAP] = file->can_punch_holes;
    }
}

uint64_t block_config_features(const struct block_disk *disk)
{
    uint64_t features =
        VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_BLK_SIZE | VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_TOPOLOGY;

    features |= disk->read_only ? VIRTIO_BLK_F_RO : VIRTIO_BLK_F_CONFIG_WCE;
    features |= disk->offers_discard ? VIRTIO_BLK_F_DISCARD : 0;
    features |= disk->offers_zeroes ? VIRTIO_BLK_F_WRITE_ZEROES : 0;
    return features;
}

/* Disks: virtio-blk (virtio 1.2, section 5.2). Sectors have 512 bytes. */
#ifndef SDK_BLOCK_H
#define SDK_BLOCK_H

#include "sdk/virtio.h"

#define BLOCK_SECTOR 512

/* Section 5.2.3. */
#define BLOCK_F_SIZE_MAX     (UINT64_C(1) << 1)
#define BLOCK_F_SEG_MAX      (UINT64_C(1) << 2)
#define BLOCK_F_RO           (UINT64_C(1) << 5)
#define BLOCK_F_BLK_SIZE     (UINT64_C(1) << 6)
#define BLOCK_F_FLUSH        (UINT64_C(1) << 9)
#define BLOCK_F_TOPOLOGY     (UINT64_C(1) << 10)
#define BLOCK_F_CONFIG_WCE   (UINT64_C(1) << 11)
#define BLOCK_F_MQ           (UINT64_C(1) << 12)
#define BLOCK_F_DISCARD      (UINT64_C(1) << 13)
#define BLOCK_F_WRITE_ZEROES (UINT64_C(1) << 14)

/* Section 5.2.6: types of requests, and how they end. */
#define BLOCK_READ         0
#define BLOCK_WRITE        1
#define BLOCK_FLUSH        4
#define BLOCK_GET_ID       8
#define BLOCK_DISCARD      11
#define BLOCK_WRITE_ZEROES 13
#define BLOCK_OK           0
#define BLOCK_IO_ERROR     1
#define BLOCK_UNSUPPORTED  2
#define BLOCK_PENDING      0xff /* none of the device's: not ended yet, or never */

#define BLOCK_ID_LENGTH 20

/* Offsets in the configuration, section 5.2.4. */
#define BLOCK_CONFIG_CAPACITY    0
#define BLOCK_CONFIG_SIZE_MAX    8
#define BLOCK_CONFIG_SEG_MAX     12
#define BLOCK_CONFIG_BLK_SIZE    20
#define BLOCK_CONFIG_MAX_DISCARD 36
#define BLOCK_CONFIG_MAX_ZEROES  48

struct block {
    struct virtio_dev *dev;
    uint64_t sectors;
    bool read_only;
};

/* What stands in front of each request. */
struct block_header {
    uint32_t type, reserved;
    uint64_t sector;
};

/* The data of discard and write-zeroes. */
struct block_range {
    uint64_t sector;
    uint32_t sectors, flags; /* flags: bit 0, write-zeroes may discard */
};

struct block_request {
    struct block_header header;
    void *data;
    uint32_t length;
    volatile uint8_t status; /* BLOCK_PENDING until it is taken back */
};

/* Disk number n, with these features at most. Returns whether it runs. */
bool block_open(struct block *block, unsigned n, uint64_t wanted);
void block_close(struct block *block);

/**
 * Begin a request; it stays the device's until block_take() gives it back. The caller has set
 * type, sector, data and length; data is written to for reads and ids.
 * Returns false where the ring is full.
 */
bool block_submit(struct block *block, struct block_request *request);

/* Show the device what was submitted. */
void block_kick(struct block *block);

/* The next request that has ended, or NULL. */
struct block_request *block_take(struct block *block);

/* One request from begin to end, within 10 s. Each returns BLOCK_OK, …, BLOCK_PENDING. */
uint8_t block_read(struct block *block, uint64_t sector, void *data, uint32_t length);
uint8_t block_write(struct block *block, uint64_t sector, const void *data, uint32_t length);
uint8_t block_flush(struct block *block);
uint8_t block_discard(struct block *block, uint64_t sector, uint32_t sectors);
uint8_t block_write_zeroes(struct block *block, uint64_t sector, uint32_t sectors, bool unmap);
uint8_t block_id(struct block *block, char ret_id[BLOCK_ID_LENGTH + 1]);

#endif

/* Disks. */
#include "sdk/block.h"

#include "sdk/string.h"

#define TIME_LIMIT_US 10000000

#define RANGE_UNMAP 1

static struct virtio_queue *queue_of(const struct block *block)
{
    return &block->dev->queues[0];
}

bool block_open(struct block *block, unsigned n, uint64_t wanted)
{
    *block = (struct block){.dev = virtio_find(VIRTIO_ID_BLOCK, n)};
    if (!block->dev || !virtio_begin(block->dev, wanted) || !virtio_queues_create(block->dev, 1))
        return false;
    block->sectors = virtio_config64(block->dev, BLOCK_CONFIG_CAPACITY);
    block->read_only = block->dev->offered & BLOCK_F_RO;
    return virtio_start(block->dev);
}

void block_close(struct block *block)
{
    virtio_stop(block->dev);
    block->dev = NULL;
}

bool block_submit(struct block *block, struct block_request *r)
{
    bool from_device = r->header.type == BLOCK_READ || r->header.type == BLOCK_GET_ID;
    unsigned readable = 1, writable = 0, n = 0;
    struct virtio_buffer buffers[3];

    r->status = BLOCK_PENDING;
    buffers[n++] = (struct virtio_buffer){.data = &r->header, .length = sizeof(r->header)};
    if (r->length > 0) {
        buffers[n++] = (struct virtio_buffer){.data = r->data, .length = r->length};
        if (from_device)
            writable++;
        else
            readable++;
    }
    buffers[n] = (struct virtio_buffer){.data = (void *)(uintptr_t)&r->status, .length = 1};
    return virtio_queue_add(queue_of(block), buffers, readable, writable + 1, r);
}

void block_kick(struct block *block)
{
    virtio_queue_kick(queue_of(block));
}

struct block_request *block_take(struct block *block)
{
    return virtio_queue_take(queue_of(block), NULL);
}

/* The request lies on the stack and may outlive its time: what has not ended by then is lost with
 * the device, which is reset. */
static uint8_t run(struct block *block, struct block_request *r)
{
    if (!block_submit(block, r))
        return BLOCK_PENDING;
    block_kick(block);
    if (virtio_queue_wait(queue_of(block), TIME_LIMIT_US) && block_take(block) == r)
        return r->status;
    virtio_stop(block->dev);
    return BLOCK_PENDING;
}

uint8_t block_read(struct block *block, uint64_t sector, void *data, uint32_t length)
{
    struct block_request r = {
        .header = {.type = BLOCK_READ, .sector = sector}, .data = data, .length = length};

    return run(block, &r);
}

uint8_t block_write(struct block *block, uint64_t sector, const void *data, uint32_t length)
{
    struct block_request r = {.header = {.type = BLOCK_WRITE, .sector = sector},
                              .data = (void *)(uintptr_t)data,
                              .length = length};

    return run(block, &r);
}

uint8_t block_flush(struct block *block)
{
    struct block_request r = {.header = {.type = BLOCK_FLUSH}};

    return run(block, &r);
}

static uint8_t run_range(struct block *block, uint32_t type, struct block_range range)
{
    struct block_request r = {.header = {.type = type}, .data = &range, .length = sizeof(range)};

    return run(block, &r);
}

uint8_t block_discard(struct block *block, uint64_t sector, uint32_t sectors)
{
    return run_range(block, BLOCK_DISCARD,
                     (struct block_range){.sector = sector, .sectors = sectors});
}

uint8_t block_write_zeroes(struct block *block, uint64_t sector, uint32_t sectors, bool unmap)
{
    return run_range(block, BLOCK_WRITE_ZEROES,
                     (struct block_range){
                         .sector = sector, .sectors = sectors, .flags = unmap ? RANGE_UNMAP : 0});
}

uint8_t block_id(struct block *block, char ret_id[BLOCK_ID_LENGTH + 1])
{
    struct block_request r = {
        .header = {.type = BLOCK_GET_ID}, .data = ret_id, .length = BLOCK_ID_LENGTH};

    memset(ret_id, 0, BLOCK_ID_LENGTH + 1);
    return run(block, &r);
}

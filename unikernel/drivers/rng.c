/* Random bytes. */
#include "sdk/rng.h"

#define TIME_LIMIT_US 10000000

bool rng_open(struct rng *rng, unsigned n)
{
    rng->dev = virtio_find(VIRTIO_ID_RNG, n);
    return rng->dev && virtio_begin(rng->dev, UINT64_MAX) && virtio_queues_create(rng->dev, 1) &&
           virtio_start(rng->dev);
}

void rng_close(struct rng *rng)
{
    virtio_stop(rng->dev);
    rng->dev = NULL;
}

uint32_t rng_read(struct rng *rng, void *buffer, uint32_t length)
{
    struct virtio_queue *q = &rng->dev->queues[0];
    struct virtio_buffer b = {.data = buffer, .length = length};
    uint32_t got = 0;

    if (!virtio_queue_add(q, &b, 0, 1, buffer))
        return 0;
    virtio_queue_kick(q);
    if (virtio_queue_wait(q, TIME_LIMIT_US) && virtio_queue_take(q, &got) == buffer)
        return got <= length ? got : 0;
    virtio_stop(rng->dev); /* or it would write into the buffer later */
    return 0;
}

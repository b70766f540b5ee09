/* The balloon. */
#include "sdk/balloon.h"

#define TIME_LIMIT_US 10000000

/* 5.5.2: a queue whose feature was not agreed on is not there, and those behind it move up; so do
 * Linux's driver and QEMU's device. */
bool balloon_open(struct balloon *b, uint64_t wanted)
{
    struct virtio_dev *dev = virtio_find(VIRTIO_ID_BALLOON, 0);
    unsigned count = 2;

    *b = (struct balloon){.dev = dev};
    if (!dev || !virtio_begin(dev, wanted & ~BALLOON_F_FREE_HINT))
        return false;
    b->inflate = &dev->queues[0];
    b->deflate = &dev->queues[1];
    if (virtio_has(dev, BALLOON_F_STATS))
        b->stats = &dev->queues[count++];
    if (virtio_has(dev, BALLOON_F_REPORTING))
        b->reporting = &dev->queues[count++];
    return virtio_queues_create(dev, count) && virtio_start(dev);
}

void balloon_close(struct balloon *b)
{
    virtio_stop(b->dev);
    b->dev = NULL;
}

uint32_t balloon_target(const struct balloon *b)
{
    return virtio_config32(b->dev, BALLOON_CONFIG_TARGET);
}

void balloon_set_actual(const struct balloon *b, uint32_t pages)
{
    virtio_config_write32(b->dev, BALLOON_CONFIG_ACTUAL, pages);
}

/* One buffer, until the device has used it. */
static bool run(struct balloon *b, struct virtio_queue *q, const void *data, uint32_t length,
                bool writable)
{
    struct virtio_buffer buffer = {.data = (void *)(uintptr_t)data, .length = length};

    if (!virtio_queue_add(q, &buffer, !writable, writable, b))
        return false;
    virtio_queue_kick(q);
    return virtio_queue_wait(q, TIME_LIMIT_US) && virtio_queue_take(q, NULL) == b;
}

bool balloon_give(struct balloon *b, const uint32_t *pages, unsigned count)
{
    return run(b, b->inflate, pages, count * (uint32_t)sizeof(*pages), false);
}

bool balloon_take_back(struct balloon *b, const uint32_t *pages, unsigned count)
{
    return run(b, b->deflate, pages, count * (uint32_t)sizeof(*pages), false);
}

bool balloon_report(struct balloon *b, void *range, uint32_t length)
{
    return b->reporting && run(b, b->reporting, range, length, true);
}

bool balloon_send_stats(struct balloon *b, struct balloon_stat *stats, unsigned count,
                        uint64_t microseconds)
{
    struct virtio_buffer buffer = {.data = stats, .length = count * (uint32_t)sizeof(*stats)};
    struct virtio_queue *q = b->stats;

    if (!q)
        return false;
    if (q->free_count < q->size &&
        !(virtio_queue_wait(q, microseconds) && virtio_queue_take(q, NULL)))
        return false;
    if (!virtio_queue_add(q, &buffer, 1, 0, b))
        return false;
    virtio_queue_kick(q);
    return true;
}

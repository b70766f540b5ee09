/* Section numbers are those of virtio 1.2. */
#include "virtio/device.h"

#include <string.h>

#include "base/util.h"

#define CORE_FEATURES (VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX)

void virtio_device_init(struct virtio_device *device, const struct virtio_env *env)
{
    device->env = *env;
    device->features |= CORE_FEATURES;
    pthread_mutex_init(&device->lock, NULL);
    for (unsigned i = 0; i < device->queue_count; i++)
        device->queues[i].size_max = device->queue_size;
}

void virtio_device_deinit(struct virtio_device *device)
{
    pthread_mutex_destroy(&device->lock);
}

void virtio_device_connect(struct virtio_device *device, const struct virtio_transport_ops *ops,
                           void *transport)
{
    device->transport_ops = ops;
    device->transport = transport;
}

static void interrupt_config(struct virtio_device *device)
{
    device->interrupts++;
    if (device->transport_ops)
        device->transport_ops->interrupt_config(device->transport);
}

void virtio_device_break(struct virtio_device *device, const char *what)
{
    log_write_limited(device->env.log, &device->broken_limit, LOG_WARNING,
                      "%s: %s; the device needs a reset", device->name, what);
    if (device->status & VIRTIO_STATUS_NEEDS_RESET)
        return;
    device->status |= VIRTIO_STATUS_NEEDS_RESET;
    /* 2.1.2: after DRIVER_OK the driver is told. */
    if (device->status & VIRTIO_STATUS_DRIVER_OK)
        interrupt_config(device);
}

void virtio_device_flush(struct virtio_device *device, unsigned queue)
{
    if (!virtqueue_publish(&device->queues[queue]))
        return;
    device->interrupts++;
    if (device->transport_ops)
        device->transport_ops->interrupt_queue(device->transport, queue);
}

void virtio_device_config_changed(struct virtio_device *device)
{
    device->config_generation++;
    if (device->status & VIRTIO_STATUS_DRIVER_OK)
        interrupt_config(device);
}

uint64_t virtio_device_features(const struct virtio_device *device)
{
    return device->features;
}

void virtio_device_offer_only(struct virtio_device *device, uint64_t features)
{
    device->features &= features;
}

void virtio_device_set_driver_features(struct virtio_device *device, unsigned half, uint32_t bits)
{
    unsigned shift = half * 32;

    pthread_mutex_lock(&device->lock);
    if (half < 2 && !(device->status & VIRTIO_STATUS_FEATURES_OK)) {
        device->driver_features &= ~(UINT64_C(0xffffffff) << shift);
        device->driver_features |= (uint64_t)bits << shift;
    }
    pthread_mutex_unlock(&device->lock);
}

uint8_t virtio_device_status(struct virtio_device *device)
{
    uint8_t status;

    pthread_mutex_lock(&device->lock);
    status = device->status;
    pthread_mutex_unlock(&device->lock);
    return status;
}

static void reset(struct virtio_device *device)
{
    device->active = false;
    device->ops->reset(device);
    for (unsigned i = 0; i < device->queue_count; i++)
        virtqueue_reset(&device->queues[i]);
    device->driver_features = 0;
    device->status = 0;
}

/* 3.1.1, step 8: all is settled; start the queues that the driver has enabled. */
static void activate(struct virtio_device *device)
{
    bool indirect = virtio_device_has(device, VIRTIO_F_INDIRECT_DESC);
    bool event_idx = virtio_device_has(device, VIRTIO_F_EVENT_IDX);

    for (unsigned i = 0; i < device->queue_count; i++) {
        struct virtqueue *vq = &device->queues[i];

        if (vq->ready && virtqueue_start(vq, device->env.mem, indirect, event_idx) < 0) {
            virtio_device_break(device, "the driver placed a queue where there is no room for it");
            return;
        }
    }
    if (device->ops->activate(device) < 0)
        virtio_device_break(device, "the driver set it up in a way that cannot work");
    else
        device->active = true;
}

/* 2.2.2 and 3.1.1: all that is accepted was offered, and it is a driver of virtio 1. */
static bool features_acceptable(const struct virtio_device *device)
{
    return !(device->driver_features & ~device->features) &&
           (device->driver_features & VIRTIO_F_VERSION_1);
}

void virtio_device_set_status(struct virtio_device *device, uint8_t status)
{
    uint8_t added;

    pthread_mutex_lock(&device->lock);
    if (status == 0) {
        reset(device);
        pthread_mutex_unlock(&device->lock);
        return;
    }
    /* 2.1.1: a driver does not clear bits but by a reset; NEEDS_RESET is the device's. */
    status |= device->status;
    status = (uint8_t)((status & ~VIRTIO_STATUS_NEEDS_RESET) |
                       (device->status & VIRTIO_STATUS_NEEDS_RESET));
    added = status & ~device->status;
    if ((added & VIRTIO_STATUS_FEATURES_OK) && !features_acceptable(device))
        status &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK; /* it looks whether the bit stayed */
    if ((added & VIRTIO_STATUS_DRIVER_OK) && !(status & VIRTIO_STATUS_FEATURES_OK))
        status &= (uint8_t)~VIRTIO_STATUS_DRIVER_OK;
    added = status & ~device->status;
    device->status = status;
    if ((added & VIRTIO_STATUS_DRIVER_OK) && !(status & VIRTIO_STATUS_NEEDS_RESET))
        activate(device);
    pthread_mutex_unlock(&device->lock);
}

uint8_t virtio_device_generation(struct virtio_device *device)
{
    uint8_t generation;

    pthread_mutex_lock(&device->lock);
    generation = device->config_generation;
    pthread_mutex_unlock(&device->lock);
    return generation;
}

/* The part of [offset, offset + len) that is inside the configuration. */
static unsigned inside_config(const struct virtio_device *device, uint64_t offset, unsigned len)
{
    return offset < device->config_size ? (unsigned)min_u64(len, device->config_size - offset) : 0;
}

void virtio_device_config_read(struct virtio_device *device, uint64_t offset, void *buf,
                               unsigned len)
{
    unsigned part = inside_config(device, offset, len);

    memset(buf, 0, len);
    if (part == 0)
        return;
    pthread_mutex_lock(&device->lock);
    if (device->ops->config_read)
        device->ops->config_read(device, (uint32_t)offset, buf, part);
    else
        memcpy(buf, (const uint8_t *)device->config + offset, part);
    pthread_mutex_unlock(&device->lock);
}

void virtio_device_config_write(struct virtio_device *device, uint64_t offset, const void *buf,
                                unsigned len)
{
    unsigned part = inside_config(device, offset, len);

    if (part == 0 || !device->ops->config_write)
        return;
    pthread_mutex_lock(&device->lock);
    device->ops->config_write(device, (uint32_t)offset, buf, part);
    pthread_mutex_unlock(&device->lock);
}

void virtio_device_notify(struct virtio_device *device, unsigned queue)
{
    pthread_mutex_lock(&device->lock);
    if (queue < device->queue_count && device->active && device->queues[queue].ready &&
        !(device->status & VIRTIO_STATUS_NEEDS_RESET)) {
        device->notifications++;
        device->ops->notify(device, queue);
    }
    pthread_mutex_unlock(&device->lock);
}

uint32_t virtio_device_queue_read(struct virtio_device *device, unsigned queue,
                                  enum virtio_queue_field field)
{
    const struct virtqueue *vq;
    uint32_t value = 0;

    if (queue >= device->queue_count)
        return 0;
    vq = &device->queues[queue];
    pthread_mutex_lock(&device->lock);
    switch (field) {
    case VIRTIO_QUEUE_SIZE_MAX:
        value = vq->size_max;
        break;
    case VIRTIO_QUEUE_SIZE:
        value = vq->size;
        break;
    case VIRTIO_QUEUE_READY:
        value = vq->ready;
        break;
    case VIRTIO_QUEUE_DESC_LOW:
        value = (uint32_t)vq->desc_gpa;
        break;
    case VIRTIO_QUEUE_DESC_HIGH:
        value = (uint32_t)(vq->desc_gpa >> 32);
        break;
    case VIRTIO_QUEUE_AVAIL_LOW:
        value = (uint32_t)vq->avail_gpa;
        break;
    case VIRTIO_QUEUE_AVAIL_HIGH:
        value = (uint32_t)(vq->avail_gpa >> 32);
        break;
    case VIRTIO_QUEUE_USED_LOW:
        value = (uint32_t)vq->used_gpa;
        break;
    case VIRTIO_QUEUE_USED_HIGH:
        value = (uint32_t)(vq->used_gpa >> 32);
        break;
    }
    pthread_mutex_unlock(&device->lock);
    return value;
}

static void set_low(uint64_t *address, uint32_t value)
{
    *address = (*address & ~UINT64_C(0xffffffff)) | value;
}

static void set_high(uint64_t *address, uint32_t value)
{
    *address = (*address & UINT64_C(0xffffffff)) | (uint64_t)value << 32;
}

static void queue_write(struct virtqueue *vq, enum virtio_queue_field field, uint32_t value)
{
    switch (field) {
    case VIRTIO_QUEUE_SIZE_MAX:
        break;
    case VIRTIO_QUEUE_SIZE:
        /* Checked when the queue starts; what does not fit 16 bits is no size at all. */
        vq->size = value <= UINT16_MAX ? (uint16_t)value : 0;
        break;
    case VIRTIO_QUEUE_READY:
        vq->ready = value & 1;
        break;
    case VIRTIO_QUEUE_DESC_LOW:
        set_low(&vq->desc_gpa, value);
        break;
    case VIRTIO_QUEUE_DESC_HIGH:
        set_high(&vq->desc_gpa, value);
        break;
    case VIRTIO_QUEUE_AVAIL_LOW:
        set_low(&vq->avail_gpa, value);
        break;
    case VIRTIO_QUEUE_AVAIL_HIGH:
        set_high(&vq->avail_gpa, value);
        break;
    case VIRTIO_QUEUE_USED_LOW:
        set_low(&vq->used_gpa, value);
        break;
    case VIRTIO_QUEUE_USED_HIGH:
        set_high(&vq->used_gpa, value);
        break;
    }
}

void virtio_device_queue_write(struct virtio_device *device, unsigned queue,
                               enum virtio_queue_field field, uint32_t value)
{
    struct virtqueue *vq;

    if (queue >= device->queue_count)
        return;
    pthread_mutex_lock(&device->lock);
    vq = &device->queues[queue];
    if (!(device->status & VIRTIO_STATUS_DRIVER_OK) && (!vq->ready || field == VIRTIO_QUEUE_READY))
        queue_write(vq, field, value);
    pthread_mutex_unlock(&device->lock);
}

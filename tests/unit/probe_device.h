/* A virtio device that does nothing but note what is asked of it: one queue of 8, 8 bytes of
 * configuration that may be written. It gives back every chain that it is notified of. */
#ifndef OSVM_TESTS_PROBE_DEVICE_H
#define OSVM_TESTS_PROBE_DEVICE_H

#include <string.h>

#include "base/util.h"
#include "virtio/device.h"

#define PROBE_FEATURE     (UINT64_C(1) << 3)
#define PROBE_QUEUES      2
#define PROBE_CONFIG_SIZE 8

struct probe_device {
    struct virtio_device device;
    uint8_t config[PROBE_CONFIG_SIZE];
    unsigned activations, resets, notifications;
    int activate_result;
    struct virtq_chain chain;
};

static inline int probe_activate(struct virtio_device *device)
{
    struct probe_device *probe = container_of(device, struct probe_device, device);

    probe->activations++;
    return probe->activate_result;
}

static inline void probe_reset(struct virtio_device *device)
{
    container_of(device, struct probe_device, device)->resets++;
}

static inline void probe_notify(struct virtio_device *device, unsigned queue)
{
    struct probe_device *probe = container_of(device, struct probe_device, device);
    struct virtqueue *vq = &device->queues[queue];
    int r;

    probe->notifications++;
    while ((r = virtqueue_pop(vq, &probe->chain)) == 1)
        virtqueue_push(vq, probe->chain.head, probe->chain.writable_len);
    if (r < 0)
        virtio_device_break(device, "a chain makes no sense");
    virtio_device_flush(device, queue);
}

static inline void probe_config_read(struct virtio_device *device, uint32_t offset, void *buf,
                                     uint32_t len)
{
    memcpy(buf, container_of(device, struct probe_device, device)->config + offset, len);
}

static inline void probe_config_write(struct virtio_device *device, uint32_t offset,
                                      const void *buf, uint32_t len)
{
    memcpy(container_of(device, struct probe_device, device)->config + offset, buf, len);
}

static inline void probe_init(struct probe_device *probe, const struct virtio_env *env)
{
    static const struct virtio_device_ops ops = {
        .activate = probe_activate,
        .reset = probe_reset,
        .notify = probe_notify,
        .config_read = probe_config_read,
        .config_write = probe_config_write,
    };

    *probe = (struct probe_device){
        .device =
            {
                .id = VIRTIO_ID_RNG,
                .name = "probe",
                .ops = &ops,
                .features = PROBE_FEATURE,
                .queue_count = PROBE_QUEUES,
                .queue_size = 8,
                .config_size = PROBE_CONFIG_SIZE,
            },
        .config = {1, 2, 3, 4, 5, 6, 7, 8},
    };
    virtio_device_init(&probe->device, env);
}

#endif

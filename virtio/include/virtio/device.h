/*
 * What every virtio device is (virtio 1.2, section 2), whatever it does and however it is reached.
 *
 * Three parties, none of which knows another's kind:
 *   the device   (net, block, …) embeds struct virtio_device and fills in its ops;
 *   the transport (mmio, pci) calls the functions of the second part below as the driver writes
 *                 its registers, and gives a way to interrupt;
 *   the core      (device.c) keeps status, features and queues, and says no to nonsense.
 *
 * One lock a device. Registers are written on vCPU threads, notifications and host events arrive
 * on the loop's thread; each takes the lock, so the ops are called one at a time, with it held.
 */
#ifndef OSVM_VIRTIO_DEVICE_H
#define OSVM_VIRTIO_DEVICE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/thread.h"
#include "guest/memory.h"
#include "virtio/virtqueue.h"

#define VIRTIO_MAX_QUEUES 8

/* Device ids, section 5. */
enum virtio_id {
    VIRTIO_ID_NET = 1,
    VIRTIO_ID_BLOCK = 2,
    VIRTIO_ID_CONSOLE = 3,
    VIRTIO_ID_RNG = 4,
    VIRTIO_ID_BALLOON = 5,
    VIRTIO_ID_VSOCK = 19,
    VIRTIO_ID_FS = 26,
};

/* Device status, section 2.1. */
#define VIRTIO_STATUS_ACKNOWLEDGE 0x01
#define VIRTIO_STATUS_DRIVER      0x02
#define VIRTIO_STATUS_DRIVER_OK   0x04
#define VIRTIO_STATUS_FEATURES_OK 0x08
#define VIRTIO_STATUS_NEEDS_RESET 0x40
#define VIRTIO_STATUS_FAILED      0x80

/* Feature bits that are not of a device, section 6. */
#define VIRTIO_F_INDIRECT_DESC (UINT64_C(1) << 28)
#define VIRTIO_F_EVENT_IDX     (UINT64_C(1) << 29)
#define VIRTIO_F_VERSION_1     (UINT64_C(1) << 32)

struct virtio_device;

/* All are called with the device's lock held. None blocks. */
struct virtio_device_ops {
    /* Start the threads that it has, parked: none can be started later in a jail. NULL: it has
     * none. Without this call the device starts them at their first use. The hook is the threads'
     * own, borrowed for the device's life. Returns 0 or a negative errno. */
    int (*start)(struct virtio_device *device, struct thread_hook *hook);
    /* The driver is ready: features are settled, the queues that it enabled have started.
     * Returns 0, or a negative errno where it cannot work so: the device then needs a reset. */
    int (*activate)(struct virtio_device *device);
    /* Back to the beginning. Afterwards nothing of guest memory is touched any more: what is in
     * flight was waited for or called back. Also called where it was never activated. */
    void (*reset)(struct virtio_device *device);
    /* The driver may have made buffers available in this queue. Only between activate and reset. */
    void (*notify)(struct virtio_device *device, unsigned queue);
    /* Device-specific configuration, any offset and length inside config_size. NULL: it is in
     * `config`, and writes are ignored. */
    void (*config_read)(struct virtio_device *device, uint32_t offset, void *buf, uint32_t len);
    void (*config_write)(struct virtio_device *device, uint32_t offset, const void *buf,
                         uint32_t len);
    /* Free it. After the vCPUs and the loop have ended. Any lock state is the caller's no more. */
    void (*destroy)(struct virtio_device *device);
};

/* How a device is heard. Called with the device's lock held, on any thread. */
struct virtio_transport_ops {
    void (*interrupt_queue)(void *transport, unsigned queue);
    void (*interrupt_config)(void *transport); /* configuration or status has changed */
};

/* What every device is made with; all borrowed for its life. */
struct virtio_env {
    struct loop *loop;
    struct guest_memory *mem;
    const struct log *log;
};

struct virtio_device {
    /* Set by the device before virtio_device_init(). */
    enum virtio_id id;
    const char *name; /* for people: "net0" */
    const struct virtio_device_ops *ops;
    uint64_t features; /* offered, beside the three that the core adds */
    unsigned queue_count;
    uint16_t queue_size; /* the most, for each queue */
    const void *config;  /* device-specific configuration; NULL with ops->config_read */
    uint32_t config_size;

    /* Kept by the core. */
    struct virtio_env env;
    pthread_mutex_t lock;
    uint8_t status;
    uint64_t driver_features;
    bool active;
    uint8_t config_generation;
    struct virtqueue queues[VIRTIO_MAX_QUEUES];
    const struct virtio_transport_ops *transport_ops;
    void *transport;
    struct log_limit broken_limit;
    uint64_t interrupts, notifications; /* counted for statistics; under the lock */
};

/* ---- For the devices. ---- */

void virtio_device_init(struct virtio_device *device, const struct virtio_env *env);
void virtio_device_deinit(struct virtio_device *device); /* in ops->destroy */

static inline bool virtio_device_has(const struct virtio_device *device, uint64_t feature)
{
    return device->driver_features & feature;
}

/**
 * The guest did something that makes no sense: NEEDS_RESET is set, the driver told, one line is
 * logged (limited in rate), and the device does nothing until it is reset. Lock held.
 */
void virtio_device_break(struct virtio_device *device, const char *what);

/* Publish what was put into a queue, and interrupt where the driver wants it. Lock held. */
void virtio_device_flush(struct virtio_device *device, unsigned queue);

/* The device-specific configuration has changed. Lock held. */
void virtio_device_config_changed(struct virtio_device *device);

/* ---- For the transports. All take the lock themselves. ---- */

void virtio_device_connect(struct virtio_device *device, const struct virtio_transport_ops *ops,
                           void *transport);
uint64_t virtio_device_features(const struct virtio_device *device);
/* Offer nothing but these, where the device has them. Before there is a driver. */
void virtio_device_offer_only(struct virtio_device *device, uint64_t features);
/* half: 0 for bits 0–31, 1 for 32–63; others are ignored. Ignored after FEATURES_OK. */
void virtio_device_set_driver_features(struct virtio_device *device, unsigned half, uint32_t bits);
uint8_t virtio_device_status(struct virtio_device *device);
void virtio_device_set_status(struct virtio_device *device, uint8_t status);
uint8_t virtio_device_generation(struct virtio_device *device);
/* Bytes outside config_size read as zero and swallow writes. */
void virtio_device_config_read(struct virtio_device *device, uint64_t offset, void *buf,
                               unsigned len);
void virtio_device_config_write(struct virtio_device *device, uint64_t offset, const void *buf,
                                unsigned len);
/* The driver notifies: from an ioeventfd on the loop's thread, or a register write that came
 * through. Nonsense (no such queue, not active) is ignored. */
void virtio_device_notify(struct virtio_device *device, unsigned queue);

/*
 * The registers of one queue. A change is taken only while the queue is not ready and before
 * DRIVER_OK; a queue number that does not exist reads as zero and swallows writes.
 */
enum virtio_queue_field {
    VIRTIO_QUEUE_SIZE_MAX, /* read only */
    VIRTIO_QUEUE_SIZE,
    VIRTIO_QUEUE_READY,
    VIRTIO_QUEUE_DESC_LOW,
    VIRTIO_QUEUE_DESC_HIGH,
    VIRTIO_QUEUE_AVAIL_LOW,
    VIRTIO_QUEUE_AVAIL_HIGH,
    VIRTIO_QUEUE_USED_LOW,
    VIRTIO_QUEUE_USED_HIGH,
};

uint32_t virtio_device_queue_read(struct virtio_device *device, unsigned queue,
                                  enum virtio_queue_field field);
void virtio_device_queue_write(struct virtio_device *device, unsigned queue,
                               enum virtio_queue_field field, uint32_t value);

#endif

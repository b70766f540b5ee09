/*
 * The network device (virtio 1.2, section 5.1): one pair of queues, one packet back end, and the
 * offloads that this back end has.
 */
#ifndef OSVM_VIRTIO_NET_H
#define OSVM_VIRTIO_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "net/backend.h"
#include "net/mac.h"
#include "net/rate_limit.h"
#include "net/shared_rate.h"
#include "virtio/device.h"

/* Feature bits, section 5.1.3. */
#define VIRTIO_NET_F_CSUM       (UINT64_C(1) << 0)
#define VIRTIO_NET_F_GUEST_CSUM (UINT64_C(1) << 1)
#define VIRTIO_NET_F_MTU        (UINT64_C(1) << 3)
#define VIRTIO_NET_F_MAC        (UINT64_C(1) << 5)
#define VIRTIO_NET_F_GUEST_TSO4 (UINT64_C(1) << 7)
#define VIRTIO_NET_F_GUEST_TSO6 (UINT64_C(1) << 8)
#define VIRTIO_NET_F_GUEST_ECN  (UINT64_C(1) << 9)
#define VIRTIO_NET_F_HOST_TSO4  (UINT64_C(1) << 11)
#define VIRTIO_NET_F_HOST_TSO6  (UINT64_C(1) << 12)
#define VIRTIO_NET_F_HOST_ECN   (UINT64_C(1) << 13)
#define VIRTIO_NET_F_MRG_RXBUF  (UINT64_C(1) << 15)
#define VIRTIO_NET_F_STATUS     (UINT64_C(1) << 16)

/* Queues, section 5.1.2. */
#define VIRTIO_NET_QUEUE_RX   0
#define VIRTIO_NET_QUEUE_TX   1
#define VIRTIO_NET_QUEUE_SIZE 256

/* What an MTU may be, section 5.1.4.1. */
#define VIRTIO_NET_MTU_MIN 68
#define VIRTIO_NET_MTU_MAX 65535

/* Directions are the guest's: rx is what it receives. */
struct virtio_net_options {
    uint8_t mac[NET_MAC_LEN];
    uint16_t mtu; /* told to the driver; 0: not told, and 1500 is what drivers assume */
    struct rate_bucket_options rx_bytes, rx_ops, tx_bytes, tx_ops; /* bytes of frames; packets */
    struct shared_rate *all_rx, *all_tx; /* with other devices together; borrowed; NULL: none */
};

struct virtio_net_counters {
    uint64_t rx_packets, rx_bytes; /* given to the guest; bytes of frames */
    uint64_t rx_dropped;           /* larger than the guest's buffers can hold */
    uint64_t rx_starved;           /* times that the guest had no buffers */
    uint64_t rx_throttled;         /* times that the rate limit stopped it */
    uint64_t tx_packets, tx_bytes; /* taken by the back end */
    uint64_t tx_malformed;         /* dropped: headers or lengths that make no sense */
    uint64_t tx_failed;            /* dropped: the back end refused them, or is gone */
    uint64_t tx_blocked;           /* times that the back end was full */
    uint64_t tx_throttled;
    bool link_up;
};

/**
 * Make a network device. Its sources are added to the loop; it waits for a driver.
 *
 * @env      borrowed for its life
 * @name     for people: "net0"; borrowed
 * @backend  taken over where the result is 0
 * @ret      freed by its ops->destroy, on the loop's thread or after the loop has ended
 * Returns 0; -EINVAL where the address or the MTU cannot be one (`err` says it); or another
 * negative errno. On the loop's thread, or before it runs.
 */
int virtio_net_create(const struct virtio_env *env, const char *name, struct net_backend *backend,
                      const struct virtio_net_options *options, struct virtio_device **ret,
                      struct error *err);

/**
 * Change the rate limits while it runs; what waits for the old ones asks again at once.
 * Any thread; takes the device's lock.
 */
void virtio_net_set_rates(struct virtio_device *device, const struct rate_limit_change *rx,
                          const struct rate_limit_change *tx);

/* What has passed so far. Any thread; takes the device's lock. */
void virtio_net_counters_get(struct virtio_device *device, struct virtio_net_counters *ret);

#endif

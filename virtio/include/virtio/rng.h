/*
 * virtio-rng (virtio 1.2, section 5.4): random bytes of the host's kernel for the guest.
 *
 * A buffer is filled up to 64 KiB at a time; the driver is told how much there is. After as much
 * the loop has its turn, so a guest that asks without end holds nobody up.
 */
#ifndef OSVM_VIRTIO_RNG_H
#define OSVM_VIRTIO_RNG_H

#include "base/error.h"
#include "net/rate_limit.h"
#include "virtio/device.h"

struct virtio_rng_options {
    struct rate_bucket_options bytes, ops; /* ops: buffers that are filled */
};

struct virtio_rng_counters {
    uint64_t bytes, requests; /* given to the guest; buffers that were filled */
    uint64_t throttled;       /* times that the rate limit stopped it */
    uint64_t failed;          /* times that the host had none */
};

/**
 * Make the device.
 *
 * @name     for people; borrowed
 * @options  NULL: no limits
 * Returns 0 or a negative errno. On the loop's thread.
 */
int virtio_rng_create(const struct virtio_env *env, const char *name,
                      const struct virtio_rng_options *options, struct virtio_device **ret,
                      struct error *err);

/* What it has done so far. Any thread; takes the device's lock. */
void virtio_rng_counters_get(struct virtio_device *device, struct virtio_rng_counters *ret);

#endif

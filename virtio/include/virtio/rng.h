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

/**
 * Make the device.
 *
 * @name   for people; borrowed
 * @bytes  the rate limit; all zero, or NULL: none
 * Returns 0 or a negative errno. On the loop's thread.
 */
int virtio_rng_create(const struct virtio_env *env, const char *name,
                      const struct rate_bucket_options *bytes, struct virtio_device **ret,
                      struct error *err);

#endif

/* Random bytes from the host: virtio-rng (virtio 1.2, section 5.4). */
#ifndef SDK_RNG_H
#define SDK_RNG_H

#include "sdk/virtio.h"

struct rng {
    struct virtio_dev *dev;
};

/* Device number n. Returns whether it runs. */
bool rng_open(struct rng *rng, unsigned n);
void rng_close(struct rng *rng);

/* Ask once for up to `length` bytes, within 10 s. Returns how many came; 0 where none did. */
uint32_t rng_read(struct rng *rng, void *buffer, uint32_t length);

#endif

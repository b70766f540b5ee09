/* Section numbers are those of virtio 1.2. */
#include "virtio/rng.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"

#define QUEUE_SIZE 64
#define TURN_BYTES (64 * KIB) /* and the most for one buffer */
#define RETRY_NS   (100 * NS_PER_MS)

struct virtio_rng {
    struct virtio_device device;
    struct loop_timer timer; /* to go on by itself */
    struct rate_limit limit;
    struct virtio_rng_counters counters;
};

static struct virtio_rng *rng_of(struct virtio_device *device)
{
    return container_of(device, struct virtio_rng, device);
}

/* Returns how many bytes were filled: fewer than len only where the host has none. */
static uint32_t fill(const struct virtq_chain *chain, uint32_t len)
{
    const struct iovec *iov = chain->iov + chain->readable_count;
    uint32_t done = 0;
    size_t at = 0; /* in *iov */

    while (done < len) {
        size_t part = min_u64(iov->iov_len - at, len - done);
        ssize_t r = getrandom((uint8_t *)iov->iov_base + at, part, GRND_NONBLOCK);

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            break;
        done += (uint32_t)r;
        at += (size_t)r;
        if (at == iov->iov_len) {
            iov++;
            at = 0;
        }
    }
    return done;
}

/* Fill one buffer. Returns how many bytes; 0 where there is none; -EAGAIN where it is to wait for
 * the timer, which is armed; -EPROTO. */
static int64_t serve_one(struct virtio_rng *rng)
{
    struct virtqueue *vq = &rng->device.queues[0];
    struct virtq_chain chain;
    uint32_t len, done;
    uint64_t wait;
    int r = virtqueue_pop(vq, &chain);

    if (r <= 0)
        return r;
    if (chain.writable_len == 0) /* 5.4.6.1 */
        return -EPROTO;
    len = (uint32_t)min_u64(chain.writable_len, TURN_BYTES);
    wait = rate_limit_take(&rng->limit, len, clock_monotonic_ns());
    done = wait ? 0 : fill(&chain, len);
    if (done == 0) {
        if (wait == 0)
            rate_limit_give_back(&rng->limit, len);
        *(wait ? &rng->counters.throttled : &rng->counters.failed) += 1;
        virtqueue_unpop(vq);
        loop_timer_arm(&rng->timer, wait ? wait : RETRY_NS, 0);
        return -EAGAIN;
    }
    virtqueue_push(vq, chain.head, done);
    rng->counters.bytes += done;
    rng->counters.requests++;
    return done;
}

static void serve(struct virtio_rng *rng)
{
    struct virtqueue *vq = &rng->device.queues[0];
    int64_t left = TURN_BYTES, r = 0;

    virtqueue_quiet(vq);
    do {
        r = serve_one(rng);
        left -= r > 0 ? r : 0;
    } while (r > 0 && left > 0);
    virtio_device_flush(&rng->device, 0);
    if (r == -EPROTO)
        virtio_device_break(&rng->device, "the driver gave a buffer that cannot be filled");
    else if (r > 0 || (r == 0 && virtqueue_listen(vq)))
        loop_timer_arm(&rng->timer, 0, 0);
}

static void on_timer(struct loop_timer *timer)
{
    struct virtio_rng *rng = container_of(timer, struct virtio_rng, timer);

    pthread_mutex_lock(&rng->device.lock);
    if (rng->device.active && rng->device.queues[0].ready &&
        !(rng->device.status & VIRTIO_STATUS_NEEDS_RESET))
        serve(rng);
    pthread_mutex_unlock(&rng->device.lock);
}

static int rng_activate(struct virtio_device *device)
{
    (void)device;
    return 0;
}

static void rng_reset(struct virtio_device *device)
{
    loop_timer_disarm(&rng_of(device)->timer);
}

static void rng_notify(struct virtio_device *device, unsigned queue)
{
    (void)queue;
    serve(rng_of(device));
}

static void rng_destroy(struct virtio_device *device)
{
    struct virtio_rng *rng = rng_of(device);

    loop_timer_remove(device->env.loop, &rng->timer);
    virtio_device_deinit(device);
    free(rng);
}

static const struct virtio_device_ops rng_ops = {
    .activate = rng_activate,
    .reset = rng_reset,
    .notify = rng_notify,
    .destroy = rng_destroy,
};

int virtio_rng_create(const struct virtio_env *env, const char *name,
                      const struct virtio_rng_options *options, struct virtio_device **ret,
                      struct error *err)
{
    static const struct virtio_rng_options unlimited = {.bytes.size = 0};
    struct virtio_rng *rng = calloc(1, sizeof(*rng));
    int r;

    if (!rng)
        return error_set(err, -ENOMEM, "out of memory");
    rng->device.name = name;
    rng->device.id = VIRTIO_ID_RNG;
    rng->device.ops = &rng_ops;
    rng->device.queue_count = 1;
    rng->device.queue_size = QUEUE_SIZE;
    virtio_device_init(&rng->device, env);
    if (!options)
        options = &unlimited;
    rate_limit_init(&rng->limit, &options->bytes, &options->ops, clock_monotonic_ns());
    rng->timer.callback = on_timer;
    r = loop_timer_add(env->loop, &rng->timer);
    if (r < 0) {
        rng_destroy(&rng->device);
        return error_set_errno(err, r, "cannot make a timer");
    }
    *ret = &rng->device;
    return 0;
}

void virtio_rng_counters_get(struct virtio_device *device, struct virtio_rng_counters *ret)
{
    pthread_mutex_lock(&device->lock);
    *ret = rng_of(device)->counters;
    pthread_mutex_unlock(&device->lock);
}

/* Section numbers are those of virtio 1.2. */
#include "virtio/vsock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"
#include "vsock_device.h"

#define FEATURE_STREAM UINT64_C(1) /* 5.10.3, VIRTIO_VSOCK_F_STREAM */

/* 5.10.6.8, struct virtio_vsock_event with VIRTIO_VSOCK_EVENT_TRANSPORT_RESET. */
#define EVENT_SIZE            4
#define EVENT_TRANSPORT_RESET 0

static struct vsock *vsock_of(struct virtio_device *device)
{
    return container_of(device, struct vsock, device);
}

bool vsock_is_running(const struct vsock *vsock)
{
    return vsock->device.active && !(vsock->device.status & VIRTIO_STATUS_NEEDS_RESET);
}

/* Publish what was put into both data queues. */
static void flush(struct vsock *vsock)
{
    if (!vsock_is_running(vsock))
        return;
    virtio_device_flush(&vsock->device, VSOCK_QUEUE_TX);
    virtio_device_flush(&vsock->device, VSOCK_QUEUE_RX);
}

void vsock_wake(struct vsock *vsock)
{
    const uint64_t one = 1;

    if (!vsock->work_signalled)
        vsock->work_signalled = write(vsock->work.fd, &one, sizeof(one)) == sizeof(one);
}

/* ---- Time. ---- */

void vsock_retry_soon(struct vsock *vsock)
{
    if (vsock->retry_ns == 0)
        vsock->retry_ns = clock_monotonic_ns() + VSOCK_RETRY_NS;
    vsock_update_timer(vsock);
}

void vsock_update_timer(struct vsock *vsock)
{
    const struct vsock_connection *first = TAILQ_FIRST(&vsock->deadlines);
    uint64_t due = vsock->retry_ns;
    uint64_t now;

    if (first && (due == 0 || first->deadline_ns < due))
        due = first->deadline_ns;
    /* One that comes too early looks again; so a deadline that is met costs no system call. */
    if (due == 0 || (vsock->timer_due_ns != 0 && vsock->timer_due_ns <= due))
        return;
    now = clock_monotonic_ns();
    vsock->timer_due_ns = due;
    loop_timer_arm(&vsock->timer, due > now ? due - now : 0, 0);
}

static void on_timer(struct loop_timer *timer)
{
    struct vsock *vsock = container_of(timer, struct vsock, timer);
    uint64_t now = clock_monotonic_ns();
    struct vsock_connection *c;

    pthread_mutex_lock(&vsock->device.lock);
    vsock->timer_due_ns = 0;
    while ((c = TAILQ_FIRST(&vsock->deadlines)) && c->deadline_ns <= now)
        vsock_connection_expire(c);
    if (vsock->retry_ns != 0 && vsock->retry_ns <= now) {
        vsock->retry_ns = 0;
        vsock_run_deferred(vsock);
        vsock_listener_set(vsock, vsock_is_running(vsock));
    }
    vsock_update_timer(vsock);
    vsock_rx_pump(vsock, VSOCK_TURN_PACKETS);
    pthread_mutex_unlock(&vsock->device.lock);
}

/* A turn of both directions; what is left over has the next one. */
static void run_both(struct vsock *vsock)
{
    bool more = vsock_tx_run(vsock);

    if (vsock_rx_run(vsock, VSOCK_TURN_PACKETS))
        more = true;
    if (more)
        vsock_wake(vsock);
    flush(vsock);
}

static void on_work(struct loop_source *source, uint32_t events)
{
    struct vsock *vsock = container_of(source, struct vsock, work);
    uint64_t count;

    (void)events;
    pthread_mutex_lock(&vsock->device.lock);
    if (read(source->fd, &count, sizeof(count)) == sizeof(count))
        vsock->work_signalled = false;
    vsock_run_deferred(vsock);
    run_both(vsock);
    pthread_mutex_unlock(&vsock->device.lock);
}

/* ---- Rate limits. ---- */

bool vsock_limit_allows(struct vsock *vsock, struct vsock_limit *limit)
{
    uint64_t wait;

    if (!rate_limit_is_set(&limit->rate))
        return true;
    wait = rate_limit_wait(&limit->rate, clock_monotonic_ns());
    if (wait == 0)
        return true;
    limit->waiting = true;
    vsock->counters.limited++;
    loop_timer_arm(&limit->timer, wait, 0);
    return false;
}

static void limit_passed(struct vsock *vsock, struct vsock_limit *limit)
{
    pthread_mutex_lock(&vsock->device.lock);
    limit->waiting = false;
    run_both(vsock);
    pthread_mutex_unlock(&vsock->device.lock);
}

static void on_rx_limit(struct loop_timer *timer)
{
    struct vsock *vsock = container_of(timer, struct vsock, rx_limit.timer);

    limit_passed(vsock, &vsock->rx_limit);
}

static void on_tx_limit(struct loop_timer *timer)
{
    struct vsock *vsock = container_of(timer, struct vsock, tx_limit.timer);

    limit_passed(vsock, &vsock->tx_limit);
}

/* ---- The device. ---- */

static void stop(struct vsock *vsock)
{
    vsock_listener_set(vsock, false);
    vsock_connection_drop_all(vsock);
    vsock->stray_count = 0;
    vsock->event_owed = false;
}

void vsock_break(struct vsock *vsock, const char *what)
{
    virtio_device_break(&vsock->device, what);
    stop(vsock);
}

static int vsock_activate(struct virtio_device *device)
{
    struct vsock *vsock = vsock_of(device);

    /* 5.10.2; the event queue is for what may never come. */
    if (!device->queues[VSOCK_QUEUE_RX].ready || !device->queues[VSOCK_QUEUE_TX].ready)
        return -EINVAL;
    vsock_listener_set(vsock, true);
    return 0;
}

static void vsock_reset(struct virtio_device *device)
{
    stop(vsock_of(device));
}

static void run_event(struct vsock *vsock)
{
    struct virtqueue *vq = &vsock->device.queues[VSOCK_QUEUE_EVENT];
    uint8_t raw[EVENT_SIZE];
    int r;

    if (!vsock->event_owed || !vq->ready || !vsock_is_running(vsock))
        return;
    r = virtqueue_pop(vq, &vsock->chain);
    if (r == 0 && virtqueue_listen(vq))
        r = virtqueue_pop(vq, &vsock->chain);
    if (r == 0)
        return;
    if (r < 0 || vsock->chain.writable_len < EVENT_SIZE) {
        vsock_break(vsock, "its event queue makes no sense");
        return;
    }
    store_le32(raw, EVENT_TRANSPORT_RESET);
    virtqueue_push(vq, vsock->chain.head, virtq_copy_to(&vsock->chain, 0, raw, sizeof(raw)));
    vsock->event_owed = false;
    virtio_device_flush(&vsock->device, VSOCK_QUEUE_EVENT);
}

static void vsock_notify(struct virtio_device *device, unsigned queue)
{
    struct vsock *vsock = vsock_of(device);

    if (queue == VSOCK_QUEUE_TX)
        run_both(vsock);
    else if (queue == VSOCK_QUEUE_RX)
        vsock_rx_pump(vsock, VSOCK_TURN_PACKETS);
    else
        run_event(vsock);
}

static void vsock_destroy(struct vsock *vsock)
{
    struct loop *loop;

    if (!vsock)
        return;
    loop = vsock->device.env.loop;
    while (!TAILQ_EMPTY(&vsock->all))
        vsock_connection_destroy(TAILQ_FIRST(&vsock->all));
    vsock_listener_close(vsock);
    loop_timer_remove(loop, &vsock->timer);
    loop_timer_remove(loop, &vsock->rx_limit.timer);
    loop_timer_remove(loop, &vsock->tx_limit.timer);
    loop_remove(loop, &vsock->work);
    close_fd(vsock->work.fd);
    virtio_device_deinit(&vsock->device);
    free(vsock);
}

DEFINE_CLEANUP(struct vsock, vsock_destroy)

static void destroy_device(struct virtio_device *device)
{
    vsock_destroy(vsock_of(device));
}

static const struct virtio_device_ops ops = {
    .activate = vsock_activate,
    .reset = vsock_reset,
    .notify = vsock_notify,
    .destroy = destroy_device,
};

/* ---- Making it. ---- */

static struct vsock *vsock_new(const struct virtio_env *env, const char *name, uint64_t guest_cid)
{
    struct vsock *vsock = calloc(1, sizeof(*vsock));

    if (!vsock)
        return NULL;
    vsock->guest_cid = guest_cid;
    vsock->config_guest_cid = htole64(guest_cid);
    vsock->listener.fd = -1;
    vsock->work.fd = -1;
    for (unsigned i = 0; i < VSOCK_TABLE_SIZE; i++)
        LIST_INIT(&vsock->table[i]);
    TAILQ_INIT(&vsock->all);
    TAILQ_INIT(&vsock->control);
    TAILQ_INIT(&vsock->data);
    TAILQ_INIT(&vsock->deferred);
    TAILQ_INIT(&vsock->deadlines);
    vsock->device = (struct virtio_device){
        .id = VIRTIO_ID_VSOCK,
        .name = name,
        .ops = &ops,
        .features = FEATURE_STREAM,
        .queue_count = VSOCK_QUEUE_COUNT,
        .queue_size = VIRTQUEUE_MAX_SIZE,
        .config = &vsock->config_guest_cid,
        .config_size = sizeof(vsock->config_guest_cid),
    };
    virtio_device_init(&vsock->device, env);
    return vsock;
}

static int add_timer(struct vsock *vsock, struct loop_timer *timer,
                     void (*callback)(struct loop_timer *))
{
    timer->callback = callback;
    return loop_timer_add(vsock->device.env.loop, timer);
}

static int add_limits(struct vsock *vsock, const struct virtio_vsock_options *options)
{
    uint64_t now = clock_monotonic_ns();
    int r;

    rate_limit_init(&vsock->rx_limit.rate, &options->bytes, &options->ops, now);
    rate_limit_init(&vsock->tx_limit.rate, &options->bytes, &options->ops, now);
    if (!rate_limit_is_set(&vsock->rx_limit.rate))
        return 0;
    r = add_timer(vsock, &vsock->rx_limit.timer, on_rx_limit);
    return r < 0 ? r : add_timer(vsock, &vsock->tx_limit.timer, on_tx_limit);
}

static int add_work(struct vsock *vsock)
{
    vsock->work.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (vsock->work.fd < 0)
        return -errno;
    vsock->work.events = EPOLLIN;
    vsock->work.callback = on_work;
    return loop_add(vsock->device.env.loop, &vsock->work);
}

int virtio_vsock_create(const struct virtio_env *env, const char *name,
                        const struct virtio_vsock_options *options,
                        struct virtio_device **ret_device, struct error *err)
{
    _cleanup_(vsock_destroy_cleanup) struct vsock *vsock = NULL;
    int r;

    if (options->guest_cid < VIRTIO_VSOCK_CID_MIN || options->guest_cid > VIRTIO_VSOCK_CID_MAX)
        return error_set(err, -EINVAL,
                         "the guest's CID is %" PRIu64 " to %" PRIu64 ", not %" PRIu64,
                         VIRTIO_VSOCK_CID_MIN, VIRTIO_VSOCK_CID_MAX, options->guest_cid);
    vsock = vsock_new(env, name, options->guest_cid);
    if (!vsock)
        return error_set(err, -ENOMEM, "out of memory");
    vsock->timeout_ns = options->timeout_ns ? options->timeout_ns : VIRTIO_VSOCK_TIMEOUT_NS;
    r = add_work(vsock);
    if (r == 0)
        r = add_timer(vsock, &vsock->timer, on_timer);
    if (r == 0)
        r = add_limits(vsock, options);
    if (r < 0)
        return error_set_errno(err, r, "cannot watch for its events");
    r = vsock_listener_open(vsock, options->path, err);
    if (r < 0)
        return r;
    *ret_device = &take_ptr(vsock)->device;
    return 0;
}

void virtio_vsock_relocate(struct virtio_device *device, const char *path)
{
    vsock_listener_relocate(vsock_of(device), path);
}

void virtio_vsock_transport_reset(struct virtio_device *device)
{
    struct vsock *vsock = vsock_of(device);

    pthread_mutex_lock(&device->lock);
    if (vsock_is_running(vsock)) {
        vsock_connection_drop_all(vsock);
        vsock->stray_count = 0;
        vsock->event_owed = true;
        run_event(vsock);
    }
    pthread_mutex_unlock(&device->lock);
}

void virtio_vsock_read_counters(struct virtio_device *device,
                                struct virtio_vsock_counters *ret_counters)
{
    struct vsock *vsock = vsock_of(device);

    pthread_mutex_lock(&device->lock);
    *ret_counters = vsock->counters;
    ret_counters->connections = vsock->connection_count;
    pthread_mutex_unlock(&device->lock);
}

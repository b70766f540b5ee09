/* Section numbers are those of virtio 1.2. */
#include "virtio/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"
#include "net_internal.h"

/* 5.1.4, struct virtio_net_config. */
#define CONFIG_MAC         0
#define CONFIG_STATUS      6
#define CONFIG_QUEUE_PAIRS 8 /* not without a feature that is not offered */
#define CONFIG_MTU         10

#define STATUS_LINK_UP 1

/* What the back end does for the driver and what the driver does itself; and what 5.1.3.1 has each
 * of these features need: one of the features in `needs`. */
static const struct {
    unsigned offload;
    uint64_t host, host_needs, guest, guest_needs;
} offload_features[] = {
    {NET_OFFLOAD_CSUM, VIRTIO_NET_F_CSUM, 0, VIRTIO_NET_F_GUEST_CSUM, 0},
    {NET_OFFLOAD_TSO4, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_CSUM, VIRTIO_NET_F_GUEST_TSO4,
     VIRTIO_NET_F_GUEST_CSUM},
    {NET_OFFLOAD_TSO6, VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_CSUM, VIRTIO_NET_F_GUEST_TSO6,
     VIRTIO_NET_F_GUEST_CSUM},
    {NET_OFFLOAD_ECN, VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6,
     VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6},
};

static struct virtio_net *net_of(struct virtio_device *device)
{
    return container_of(device, struct virtio_net, device);
}

void net_update_events(struct virtio_net *net)
{
    uint32_t events = 0;

    if (!net->link_down && net->rx.state == NET_RX_PACKETS)
        events |= EPOLLIN;
    if (!net->link_down && (net->tx.state == NET_TX_BACKEND || net->tx.unsent))
        events |= EPOLLOUT;
    loop_modify(net->device.env.loop, &net->source, events);
}

void net_break(struct virtio_net *net, const char *what)
{
    net_rx_stop(net);
    net_tx_stop(net);
    net_update_events(net);
    virtio_device_break(&net->device, what);
}

void net_set_link_down(struct virtio_net *net, int error)
{
    if (net->link_down)
        return;
    net->link_down = true;
    log_warning(net->device.env.log, "%s: the other side of the link %s; the link is down",
                net->device.name,
                error == -EPROTO ? "sent a frame of an impossible length" : "is gone");
    store_le16(net->config + CONFIG_STATUS, 0);
    virtio_device_config_changed(&net->device);
    if (net->tx.state == NET_TX_BACKEND || net->tx.state == NET_TX_TIMER) {
        net->tx.state = NET_TX_TIMER; /* nobody waits for it: what is queued is dropped soon */
        loop_timer_arm(&net->tx.timer, 0, 0);
    }
    net_update_events(net);
}

/*
 * On the loop's thread. Without a driver both states are OFF, and a part of a packet that was taken
 * before is still pushed on. A hang-up is told again and again, so the source goes at the first.
 */
static void on_backend(struct loop_source *source, uint32_t events)
{
    struct virtio_net *net = container_of(source, struct virtio_net, source);

    pthread_mutex_lock(&net->device.lock);
    if (events & EPOLLOUT)
        net_tx_on_writable(net);
    if ((events & (EPOLLIN | EPOLLHUP)) && net->rx.state == NET_RX_PACKETS)
        net_rx_run(net);
    if (events & (EPOLLHUP | EPOLLERR))
        net_set_link_down(net, -ECONNRESET);
    if (net->link_down)
        loop_remove(net->device.env.loop, source);
    pthread_mutex_unlock(&net->device.lock);
}

static void on_rx_timer(struct loop_timer *timer)
{
    struct virtio_net *net = container_of(timer, struct virtio_net, rx.timer);

    pthread_mutex_lock(&net->device.lock);
    if (net->rx.state == NET_RX_TIMER)
        net_rx_run(net);
    pthread_mutex_unlock(&net->device.lock);
}

static void on_tx_timer(struct loop_timer *timer)
{
    struct virtio_net *net = container_of(timer, struct virtio_net, tx.timer);

    pthread_mutex_lock(&net->device.lock);
    if (net->tx.state == NET_TX_TIMER)
        net_tx_run(net);
    pthread_mutex_unlock(&net->device.lock);
}

static bool needs_are_met(uint64_t driver_features, uint64_t feature, uint64_t needs)
{
    return !(driver_features & feature) || needs == 0 || (driver_features & needs);
}

uint64_t net_limit_wait(struct rate_limit *limit, struct shared_rate *all)
{
    uint64_t now_ns, own_ns;

    if (!all && !rate_limit_is_set(limit))
        return 0;
    now_ns = clock_monotonic_ns();
    own_ns = rate_limit_is_set(limit) ? rate_limit_wait(limit, now_ns) : 0;
    return max_u64(own_ns, shared_rate_wait(all, now_ns));
}

static int activate(struct virtio_device *device)
{
    struct virtio_net *net = net_of(device);
    uint64_t features = device->driver_features;
    unsigned offloads = 0;
    int r;

    for (size_t i = 0; i < ARRAY_SIZE(offload_features); i++) {
        if (!needs_are_met(features, offload_features[i].host, offload_features[i].host_needs) ||
            !needs_are_met(features, offload_features[i].guest, offload_features[i].guest_needs))
            return -EPROTO;
        if (features & offload_features[i].guest)
            offloads |= offload_features[i].offload;
    }
    r = net->link_down ? 0 : net_backend_set_offloads(net->backend, offloads);
    if (r < 0 && r != -ECONNRESET)
        return r;
    if (device->queues[VIRTIO_NET_QUEUE_RX].ready)
        net_rx_start(net);
    if (device->queues[VIRTIO_NET_QUEUE_TX].ready)
        net_tx_start(net);
    net_update_events(net);
    return 0;
}

static void reset(struct virtio_device *device)
{
    struct virtio_net *net = net_of(device);

    net_rx_stop(net);
    net_tx_stop(net);
    net_update_events(net);
}

static void notify(struct virtio_device *device, unsigned queue)
{
    struct virtio_net *net = net_of(device);

    if (queue == VIRTIO_NET_QUEUE_RX && net->rx.state == NET_RX_BUFFERS)
        net_rx_run(net);
    else if (queue == VIRTIO_NET_QUEUE_TX && net->tx.state == NET_TX_PACKETS)
        net_tx_run(net);
}

/* Also for a device that is half made. */
static void destroy(struct virtio_device *device)
{
    struct virtio_net *net = net_of(device);

    loop_remove(device->env.loop, &net->source);
    loop_timer_remove(device->env.loop, &net->rx.timer);
    loop_timer_remove(device->env.loop, &net->tx.timer);
    net_backend_close(net->backend);
    virtio_device_deinit(device);
    free(net);
}

static const struct virtio_device_ops net_ops = {
    .activate = activate,
    .reset = reset,
    .notify = notify,
    .destroy = destroy,
};

static uint64_t features_of(const struct net_backend *backend,
                            const struct virtio_net_options *options)
{
    uint64_t features = VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_MRG_RXBUF;

    if (options->mtu)
        features |= VIRTIO_NET_F_MTU;
    for (size_t i = 0; i < ARRAY_SIZE(offload_features); i++) {
        if (backend->offloads & offload_features[i].offload)
            features |= offload_features[i].host | offload_features[i].guest;
    }
    return features;
}

static int check_options(const struct virtio_net_options *options, struct error *err)
{
    static const uint8_t zero[NET_MAC_LEN];

    if ((options->mac[0] & 1) || memcmp(options->mac, zero, sizeof(zero)) == 0)
        return error_set(err, -EINVAL, "no interface can have this MAC address");
    if (options->mtu && options->mtu < VIRTIO_NET_MTU_MIN)
        return error_set(err, -EINVAL, "an MTU is at least %d", VIRTIO_NET_MTU_MIN);
    return 0;
}

static void init(struct virtio_net *net, const struct virtio_env *env, const char *name,
                 struct net_backend *backend, const struct virtio_net_options *options)
{
    uint64_t now_ns = clock_monotonic_ns();

    memcpy(net->config + CONFIG_MAC, options->mac, NET_MAC_LEN);
    store_le16(net->config + CONFIG_STATUS, STATUS_LINK_UP);
    store_le16(net->config + CONFIG_MTU, options->mtu);
    rate_limit_init(&net->rx.limit, &options->rx_bytes, &options->rx_ops, now_ns);
    rate_limit_init(&net->tx.limit, &options->tx_bytes, &options->tx_ops, now_ns);
    net->rx.all = options->all_rx;
    net->tx.all = options->all_tx;
    net->rx.timer.callback = on_rx_timer;
    net->tx.timer.callback = on_tx_timer;
    net->source = (struct loop_source){.fd = backend->fd, .callback = on_backend};
    net->device.id = VIRTIO_ID_NET;
    net->device.name = name;
    net->device.ops = &net_ops;
    net->device.features = features_of(backend, options);
    net->device.queue_count = 2;
    net->device.queue_size = VIRTIO_NET_QUEUE_SIZE;
    net->device.config = net->config;
    net->device.config_size = sizeof(net->config);
    virtio_device_init(&net->device, env);
}

int virtio_net_create(const struct virtio_env *env, const char *name, struct net_backend *backend,
                      const struct virtio_net_options *options, struct virtio_device **ret,
                      struct error *err)
{
    struct virtio_net *net;
    int r;

    r = check_options(options, err);
    if (r < 0)
        return r;
    net = calloc(1, sizeof(*net));
    if (!net)
        return error_set_errno(err, -ENOMEM, "no network device");
    init(net, env, name, backend, options);
    r = loop_add(env->loop, &net->source);
    if (r == 0)
        r = loop_timer_add(env->loop, &net->rx.timer);
    if (r == 0)
        r = loop_timer_add(env->loop, &net->tx.timer);
    if (r < 0) {
        destroy(&net->device);
        return error_set_errno(err, r, "cannot watch the network's descriptors");
    }
    net->backend = backend;
    *ret = &net->device;
    return 0;
}

void virtio_net_set_rates(struct virtio_device *device, const struct rate_limit_change *rx,
                          const struct rate_limit_change *tx)
{
    struct virtio_net *net = net_of(device);
    uint64_t now_ns = clock_monotonic_ns();

    pthread_mutex_lock(&device->lock);
    rate_limit_apply(&net->rx.limit, rx, now_ns);
    rate_limit_apply(&net->tx.limit, tx, now_ns);
    if (net->rx.state == NET_RX_TIMER)
        loop_timer_arm(&net->rx.timer, 0, 0);
    if (net->tx.state == NET_TX_TIMER)
        loop_timer_arm(&net->tx.timer, 0, 0);
    pthread_mutex_unlock(&device->lock);
}

void virtio_net_counters_get(struct virtio_device *device, struct virtio_net_counters *ret)
{
    struct virtio_net *net = net_of(device);

    pthread_mutex_lock(&device->lock);
    *ret = net->counters;
    ret->link_up = !net->link_down;
    pthread_mutex_unlock(&device->lock);
}

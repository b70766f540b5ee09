/* What the guest sends. Section numbers are those of virtio 1.2. */
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/util.h"
#include "net_internal.h"

/* 5.1.6: flags and gso_type. */
#define FLAG_NEEDS_CSUM 1
#define GSO_NONE        0
#define GSO_TCPV4       1
#define GSO_TCPV6       4
#define GSO_ECN         0x80

/* A checksum of TCP or UDP. */
#define CSUM_SIZE 2

/* The segmentation that is asked for was negotiated. */
static bool gso_is_negotiated(const struct virtio_device *device, uint8_t type)
{
    if ((type & GSO_ECN) && !virtio_device_has(device, VIRTIO_NET_F_HOST_ECN))
        return false;
    switch (type & ~GSO_ECN) {
    case GSO_TCPV4:
        return virtio_device_has(device, VIRTIO_NET_F_HOST_TSO4);
    case GSO_TCPV6:
        return virtio_device_has(device, VIRTIO_NET_F_HOST_TSO6);
    default:
        return false;
    }
}

/*
 * Check a copy of the driver's header (5.1.6.2), as the host's kernel is to act on it, and leave
 * nothing in it that means nothing. Returns false where it makes no sense for such a frame.
 */
static bool check_header(const struct virtio_device *device, uint8_t header[NET_HEADER_LEN],
                         uint32_t frame_len)
{
    bool needs_csum = header[NET_HDR_FLAGS] & FLAG_NEEDS_CSUM;
    uint8_t gso_type = header[NET_HDR_GSO_TYPE];
    uint32_t csum_end = (uint32_t)load_le16(header + NET_HDR_CSUM_START) +
                        load_le16(header + NET_HDR_CSUM_OFFSET) + CSUM_SIZE;

    if (needs_csum && !virtio_device_has(device, VIRTIO_NET_F_CSUM))
        return false;
    if (needs_csum && csum_end > frame_len)
        return false;
    if (gso_type != GSO_NONE) {
        if (!needs_csum || !gso_is_negotiated(device, gso_type))
            return false;
        if (load_le16(header + NET_HDR_GSO_SIZE) == 0 ||
            load_le16(header + NET_HDR_HDR_LEN) > frame_len)
            return false;
    } else {
        store_le16(header + NET_HDR_HDR_LEN, 0); /* hints for segmentation alone */
        store_le16(header + NET_HDR_GSO_SIZE, 0);
    }
    if (!needs_csum) {
        store_le16(header + NET_HDR_CSUM_START, 0);
        store_le16(header + NET_HDR_CSUM_OFFSET, 0);
    }
    header[NET_HDR_FLAGS] = needs_csum ? FLAG_NEEDS_CSUM : 0; /* unknown ones are ignored */
    store_le16(header + NET_HDR_NUM_BUFFERS, 0);
    return true;
}

/* The back end's header, where it has one, and the frame in the guest's memory. */
static unsigned gather(struct virtio_net *net, uint8_t header[NET_HEADER_LEN])
{
    const struct virtq_chain *chain = &net->chain;
    size_t skip = NET_HEADER_LEN;
    unsigned count = 0;

    if (net->backend->header_len)
        net->iov[count++] = (struct iovec){.iov_base = header, .iov_len = NET_HEADER_LEN};
    for (unsigned i = 0; i < chain->readable_count; i++) {
        struct iovec part = chain->iov[i];
        size_t off = min_u64(skip, part.iov_len);

        skip -= off;
        if (part.iov_len == off)
            continue;
        net->iov[count++] = (struct iovec){.iov_base = (uint8_t *)part.iov_base + off,
                                           .iov_len = part.iov_len - off};
    }
    return count;
}

/* The back end did not take a packet, and will not. */
static void on_refused(struct virtio_net *net, int error)
{
    net->counters.tx_failed++;
    if (error == -ECONNRESET || error == -EPROTO) {
        net_set_link_down(net, error);
        return;
    }
    log_write_limited(net->device.env.log, &net->tx.refused_limit, LOG_WARNING,
                      "%s: the host drops what is sent: %s", net->device.name,
                      error == -EIO ? "the interface is down" : strerrordesc_np(-error));
}

/* Send or drop the packet in net->chain. Returns 0, or -EAGAIN: not now. */
static int send_one(struct virtio_net *net)
{
    const struct virtq_chain *chain = &net->chain;
    uint8_t header[NET_HEADER_LEN];
    uint32_t frame_len;
    int r;

    if (chain->readable_len < NET_HEADER_LEN + NET_FRAME_MIN ||
        chain->readable_len > NET_PACKET_MAX) {
        net->counters.tx_malformed++;
        return 0;
    }
    frame_len = chain->readable_len - NET_HEADER_LEN;
    virtq_copy_from(chain, 0, header, sizeof(header));
    if (!check_header(&net->device, header, frame_len)) {
        net->counters.tx_malformed++;
        return 0;
    }
    r = net->link_down ? -ECONNRESET
                       : net_backend_send(net->backend, net->iov, gather(net, header));
    if (r == -EAGAIN)
        return r;
    if (r < 0) {
        on_refused(net, r);
        return 0;
    }
    net->counters.tx_packets++;
    net->counters.tx_bytes += frame_len;
    rate_limit_charge(&net->tx.limit, frame_len);
    shared_rate_charge(net->tx.all, frame_len);
    return 0;
}

static void wait_for_timer(struct virtio_net *net, uint64_t after_ns)
{
    net->tx.state = NET_TX_TIMER;
    loop_timer_arm(&net->tx.timer, after_ns, 0);
}

/* How long the rate limit has it wait; what goes nowhere is not limited. */
static uint64_t limit_wait(struct virtio_net *net)
{
    return net->link_down ? 0 : net_limit_wait(&net->tx.limit, net->tx.all);
}

/* One packet. Returns whether to go on; where not, tx.state says what is waited for. */
static bool step(struct virtio_net *net)
{
    struct virtqueue *vq = &net->device.queues[VIRTIO_NET_QUEUE_TX];
    uint64_t wait_ns = limit_wait(net);
    int r;

    r = virtqueue_pop(vq, &net->chain);
    if (r < 0) {
        net_break(net, "a packet to send makes no sense");
        return false;
    }
    if (r == 0) {
        net->tx.state = NET_TX_PACKETS;
        if (!virtqueue_listen(vq))
            return false;
        virtqueue_quiet(vq);
        return true;
    }
    if (wait_ns > 0) {
        virtqueue_unpop(vq);
        net->counters.tx_throttled++;
        wait_for_timer(net, wait_ns);
        return false;
    }
    if (send_one(net) < 0) {
        virtqueue_unpop(vq);
        net->counters.tx_blocked++;
        net->tx.state = NET_TX_BACKEND;
        return false;
    }
    virtqueue_push(vq, net->chain.head, 0);
    return true;
}

/* Whether the back end holds a part of a packet, for which it must be told of room. */
static void flush(struct virtio_net *net)
{
    int r = net->link_down ? 0 : net_backend_flush(net->backend);

    net->tx.unsent = r == -EAGAIN;
    if (r == -ECONNRESET || r == -EPROTO)
        net_set_link_down(net, r);
}

void net_tx_run(struct virtio_net *net)
{
    unsigned left = NET_BATCH;

    virtqueue_quiet(&net->device.queues[VIRTIO_NET_QUEUE_TX]);
    while (left > 0 && step(net))
        left--;
    if (net->tx.state == NET_TX_OFF)
        return; /* broken: nothing of it is touched any more */
    if (left == 0)
        wait_for_timer(net, 0);
    flush(net);
    virtio_device_flush(&net->device, VIRTIO_NET_QUEUE_TX);
    net_update_events(net);
}

void net_tx_on_writable(struct virtio_net *net)
{
    flush(net);
    if (net->tx.state == NET_TX_BACKEND && !net->tx.unsent)
        net_tx_run(net);
    else
        net_update_events(net);
}

void net_tx_start(struct virtio_net *net)
{
    net->tx.state = NET_TX_PACKETS;
}

void net_tx_stop(struct virtio_net *net)
{
    net->tx.state = NET_TX_OFF;
    loop_timer_disarm(&net->tx.timer);
}

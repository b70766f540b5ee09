/* What the guest receives. Section numbers are those of virtio 1.2. */
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/util.h"
#include "net_internal.h"

/* What a frame of an ordinary MTU needs; more is held where the guest takes large segments. */
#define ORDINARY_PACKET (NET_HEADER_LEN + 1518)

static bool is_mergeable(const struct virtio_net *net)
{
    return virtio_device_has(&net->device, VIRTIO_NET_F_MRG_RXBUF);
}

static struct net_rx_buffer *buffer_at(struct net_rx *rx, unsigned i)
{
    return &rx->buffers[(rx->buffer_first + i) % ARRAY_SIZE(rx->buffers)];
}

/* Copy into the bytes of the buffers that are held, from `offset` on. There is room. */
static void write_held(struct net_rx *rx, size_t offset, const void *bytes, size_t len)
{
    const uint8_t *from = bytes;

    for (unsigned i = rx->iov_first; len > 0; i++) {
        size_t part;

        if (offset >= rx->iov[i].iov_len) {
            offset -= rx->iov[i].iov_len;
            continue;
        }
        part = min_u64(len, rx->iov[i].iov_len - offset);
        memcpy((uint8_t *)rx->iov[i].iov_base + offset, from, part);
        from += part;
        len -= part;
        offset = 0;
    }
}

/* Whether no more buffers can be held, however many the guest gives. */
static bool is_full(const struct virtio_net *net)
{
    const struct net_rx *rx = &net->rx;

    return rx->buffer_count >= net->device.queues[VIRTIO_NET_QUEUE_RX].size ||
           rx->iov_count + VIRTQUEUE_MAX_SIZE > NET_RX_IOV_MAX;
}

/* Hold the buffer in net->chain. It is not full. */
static void hold(struct virtio_net *net)
{
    const struct virtq_chain *chain = &net->chain;
    struct net_rx *rx = &net->rx;

    if (rx->iov_first + rx->iov_count + chain->writable_count > NET_RX_IOV_MAX) {
        memmove(rx->iov, rx->iov + rx->iov_first, rx->iov_count * sizeof(rx->iov[0]));
        rx->iov_first = 0;
    }
    memcpy(rx->iov + rx->iov_first + rx->iov_count, chain->iov + chain->readable_count,
           chain->writable_count * sizeof(rx->iov[0]));
    rx->iov_count += chain->writable_count;
    *buffer_at(rx, rx->buffer_count++) = (struct net_rx_buffer){
        .head = chain->head,
        .iov_count = (uint16_t)chain->writable_count,
        .len = chain->writable_len,
    };
    rx->room += chain->writable_len;
}

/* Hold buffers for so many bytes, or as many as there are. Returns 0, or -EPROTO for nonsense. */
static int fill(struct virtio_net *net, uint64_t wanted)
{
    struct virtqueue *vq = &net->device.queues[VIRTIO_NET_QUEUE_RX];

    while (net->rx.room < wanted && !is_full(net)) {
        int r = virtqueue_pop(vq, &net->chain);

        if (r <= 0)
            return r;
        if (net->chain.writable_len == 0)
            return -EPROTO; /* 5.1.6.3.1 */
        hold(net);
    }
    return 0;
}

/* Let go of the first buffers: they were put into the used ring. */
static void let_go(struct net_rx *rx, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct net_rx_buffer *buffer = buffer_at(rx, 0);

        rx->room -= buffer->len;
        rx->iov_first += buffer->iov_count;
        rx->iov_count -= buffer->iov_count;
        rx->buffer_first = (rx->buffer_first + 1) % ARRAY_SIZE(rx->buffers);
        rx->buffer_count--;
    }
}

/* What the header of the packet says besides what the back end has written (5.1.6.4.1). */
static void complete_header(struct virtio_net *net, unsigned buffer_count)
{
    uint8_t header[NET_HEADER_LEN] = {0};

    store_le16(header + NET_HDR_NUM_BUFFERS, (uint16_t)buffer_count);
    if (net->backend->header_len == 0) {
        write_held(&net->rx, 0, header, sizeof(header));
        return;
    }
    write_held(&net->rx, NET_HDR_NUM_BUFFERS, header + NET_HDR_NUM_BUFFERS, 2);
    if (!virtio_device_has(&net->device, VIRTIO_NET_F_GUEST_CSUM))
        write_held(&net->rx, NET_HDR_FLAGS, header, 1); /* not even that it was valid */
}

/* Give the packet to the guest: it lies in the buffers that are held. */
static void give(struct virtio_net *net)
{
    struct virtqueue *vq = &net->device.queues[VIRTIO_NET_QUEUE_RX];
    struct net_rx *rx = &net->rx;
    uint32_t left = rx->packet_len;
    unsigned count = 0;

    for (; left > 0; count++)
        left -= (uint32_t)min_u64(left, buffer_at(rx, count)->len);
    complete_header(net, count);
    left = rx->packet_len;
    for (unsigned i = 0; i < count; i++) {
        uint32_t part = (uint32_t)min_u64(left, buffer_at(rx, i)->len);

        virtqueue_push(vq, buffer_at(rx, i)->head, part);
        left -= part;
    }
    let_go(rx, count);
    net->counters.rx_packets++;
    net->counters.rx_bytes += rx->packet_len - NET_HEADER_LEN;
    rx->packet_len = 0;
}

static void drop(struct virtio_net *net)
{
    net->counters.rx_dropped++;
    net->rx.packet_len = 0;
}

static void wait_for_timer(struct virtio_net *net, uint64_t after_ns)
{
    net->rx.state = NET_RX_TIMER;
    loop_timer_arm(&net->rx.timer, after_ns, 0);
}

/* There are too few buffers. Returns whether there are more by now. */
static bool wait_for_buffers(struct virtio_net *net)
{
    struct virtqueue *vq = &net->device.queues[VIRTIO_NET_QUEUE_RX];

    if (virtqueue_listen(vq)) {
        virtqueue_quiet(vq);
        return true;
    }
    net->counters.rx_starved++;
    net->rx.state = NET_RX_BUFFERS;
    return false;
}

static bool break_rx(struct virtio_net *net)
{
    net_break(net, "a receive buffer makes no sense");
    return false;
}

/* Find room for all of the packet that was read, and give it. Returns whether to go on. */
static bool finish(struct virtio_net *net)
{
    struct net_rx *rx = &net->rx;

    if (!is_mergeable(net)) { /* 5.1.6.3.1: one buffer holds it, or none */
        if (rx->packet_len > buffer_at(rx, 0)->len)
            drop(net);
        else
            give(net);
        return true;
    }
    if (fill(net, rx->packet_len) < 0)
        return break_rx(net);
    if (rx->room < rx->packet_len && is_full(net)) {
        drop(net);
        return true;
    }
    if (rx->room < rx->packet_len)
        return wait_for_buffers(net);
    if (rx->packet_len > rx->spill_from)
        write_held(rx, rx->spill_from, rx->spill, rx->packet_len - rx->spill_from);
    give(net);
    return true;
}

/*
 * Lay out where a packet goes: all that is held, or one buffer where they are not merged; then the
 * spill. Without a header from the back end there is room left for ours.
 */
static unsigned scatter(struct virtio_net *net)
{
    struct net_rx *rx = &net->rx;
    size_t skip = NET_HEADER_LEN - net->backend->header_len;
    unsigned from = is_mergeable(net) ? rx->iov_count : buffer_at(rx, 0)->iov_count;
    uint64_t room = is_mergeable(net) ? rx->room : buffer_at(rx, 0)->len;
    size_t spill_skip = skip - min_u64(skip, room);
    unsigned count = 0;

    for (unsigned i = 0; i < from; i++) {
        struct iovec part = rx->iov[rx->iov_first + i];
        size_t off = min_u64(skip, part.iov_len);

        skip -= off;
        if (part.iov_len > off)
            net->iov[count++] = (struct iovec){.iov_base = (uint8_t *)part.iov_base + off,
                                               .iov_len = part.iov_len - off};
    }
    rx->spill_from = (uint32_t)min_u64(room, NET_PACKET_MAX);
    net->iov[count++] = (struct iovec){.iov_base = rx->spill + spill_skip,
                                       .iov_len = sizeof(rx->spill) - spill_skip};
    return count;
}

/* Read a packet. Returns whether to go on. */
static bool receive(struct virtio_net *net)
{
    struct net_rx *rx = &net->rx;
    ssize_t n = net_backend_receive(net->backend, net->iov, scatter(net));

    if (n == -EAGAIN) {
        rx->state = NET_RX_PACKETS;
        return false;
    }
    if (n < 0) {
        rx->state = NET_RX_PACKETS;
        net_set_link_down(net, (int)n);
        return false;
    }
    rx->packet_len = (uint32_t)n + NET_HEADER_LEN - net->backend->header_len;
    rate_limit_charge(&rx->limit, rx->packet_len - NET_HEADER_LEN);
    shared_rate_charge(rx->all, rx->packet_len - NET_HEADER_LEN);
    return finish(net);
}

/* What to hold before a packet is read. */
static uint64_t wanted_room(const struct virtio_net *net)
{
    if (!is_mergeable(net))
        return 1; /* one buffer */
    return virtio_device_has(&net->device, VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6)
               ? NET_PACKET_MAX
               : ORDINARY_PACKET;
}

/* One packet. Returns whether to go on; where not, rx.state says what is waited for. */
static bool step(struct virtio_net *net)
{
    struct net_rx *rx = &net->rx;
    uint64_t wait_ns;

    if (rx->packet_len > 0)
        return finish(net);
    if (net->link_down) {
        rx->state = NET_RX_PACKETS;
        return false;
    }
    wait_ns = net_limit_wait(&rx->limit, rx->all);
    if (wait_ns > 0) {
        net->counters.rx_throttled++;
        wait_for_timer(net, wait_ns);
        return false;
    }
    if (fill(net, wanted_room(net)) < 0)
        return break_rx(net);
    if (rx->buffer_count == 0)
        return wait_for_buffers(net);
    return receive(net);
}

void net_rx_run(struct virtio_net *net)
{
    unsigned left = NET_BATCH;

    while (left > 0 && step(net))
        left--;
    if (net->rx.state == NET_RX_OFF)
        return; /* broken: nothing of it is touched any more */
    if (left == 0)
        wait_for_timer(net, 0);
    virtio_device_flush(&net->device, VIRTIO_NET_QUEUE_RX);
    net_update_events(net);
}

void net_rx_start(struct virtio_net *net)
{
    virtqueue_quiet(&net->device.queues[VIRTIO_NET_QUEUE_RX]);
    net->rx.state = NET_RX_PACKETS;
}

void net_rx_stop(struct virtio_net *net)
{
    struct net_rx *rx = &net->rx;

    rx->state = NET_RX_OFF;
    rx->buffer_first = rx->buffer_count = 0;
    rx->iov_first = rx->iov_count = 0;
    rx->room = 0;
    rx->packet_len = 0;
    loop_timer_disarm(&rx->timer);
}

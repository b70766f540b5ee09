/*
 * What the guest gets. For each receive buffer it is somebody's turn: first resets for strangers,
 * then connections that owe a control packet (a bounded number: each owes each at most once), then
 * those with something to read, one packet at a time and all in turn.
 */
#include "vsock_device.h"

void vsock_owe_stray(struct vsock *vsock, const struct vsock_header *header)
{
    unsigned at;

    if (vsock->stray_count == VSOCK_RESETS_MAX)
        return;
    at = (vsock->stray_first + vsock->stray_count++) % VSOCK_RESETS_MAX;
    vsock->strays[at] = (struct vsock_stray){
        .guest_port = header->src_port,
        .host_port = header->dst_port,
        .type = header->type,
    };
}

static void put(struct vsock *vsock, const struct vsock_header *header)
{
    uint8_t raw[VSOCK_HEADER_SIZE];

    vsock_header_store(raw, header);
    virtq_copy_to(&vsock->chain, 0, raw, sizeof(raw));
    vsock->counters.packets_to_guest++;
    vsock->counters.bytes_to_guest += header->len;
    if (header->op == VSOCK_OP_RST)
        vsock->counters.resets_sent++;
}

void vsock_put_header(struct vsock_connection *c, enum vsock_op op, uint32_t flags, uint32_t len)
{
    struct vsock_header header = {
        .src_cid = VSOCK_HOST_CID,
        .dst_cid = c->vsock->guest_cid,
        .src_port = c->host_port,
        .dst_port = c->guest_port,
        .len = len,
        .type = VSOCK_TYPE_STREAM,
        .op = (uint16_t)op,
        .flags = flags,
        .buf_alloc = VIRTIO_VSOCK_BUF_ALLOC,
        .fwd_cnt = c->forwarded,
    };

    c->forwarded_told = c->forwarded;
    put(c->vsock, &header);
}

static void put_stray(struct vsock *vsock)
{
    const struct vsock_stray *stray = &vsock->strays[vsock->stray_first];
    struct vsock_header header = {
        .src_cid = VSOCK_HOST_CID,
        .dst_cid = vsock->guest_cid,
        .src_port = stray->host_port,
        .dst_port = stray->guest_port,
        .type = stray->type,
        .op = VSOCK_OP_RST,
    };

    vsock->stray_first = (vsock->stray_first + 1) % VSOCK_RESETS_MAX;
    vsock->stray_count--;
    put(vsock, &header);
}

static bool is_data_wanted(const struct vsock *vsock)
{
    return !vsock->rx_limit.waiting && !TAILQ_EMPTY(&vsock->data);
}

static bool is_wanted(const struct vsock *vsock)
{
    return vsock->stray_count > 0 || !TAILQ_EMPTY(&vsock->control) || is_data_wanted(vsock);
}

/* Put a packet into vsock->chain. Returns its size; 0 where there was nothing after all. */
static uint32_t fill(struct vsock *vsock)
{
    uint32_t len;

    if (vsock->stray_count > 0) {
        put_stray(vsock);
        return VSOCK_HEADER_SIZE;
    }
    for (;;) {
        /* Looked at anew each time: what a read finds may be the end, which owes a SHUTDOWN. */
        if (!TAILQ_EMPTY(&vsock->control)) {
            vsock_connection_write_owed(TAILQ_FIRST(&vsock->control));
            return VSOCK_HEADER_SIZE;
        }
        if (!is_data_wanted(vsock))
            return 0;
        len = vsock_stream_to_guest(TAILQ_FIRST(&vsock->data));
        if (len > 0)
            return len;
    }
}

bool vsock_rx_run(struct vsock *vsock, unsigned packets)
{
    struct virtqueue *vq = &vsock->device.queues[VSOCK_QUEUE_RX];

    if (!vsock_is_running(vsock))
        return false;
    virtqueue_quiet(vq);
    for (unsigned i = 0; is_wanted(vsock); i++) {
        int r;
        uint32_t len;

        if (i == packets)
            return true;
        r = virtqueue_pop(vq, &vsock->chain);
        if (r == 0 && !virtqueue_listen(vq))
            return false; /* the driver notifies when it has given some */
        if (r == 0)
            continue;
        /* 5.10.6.4.1: a buffer has room for the header; without any for payload it is useless. */
        if (r < 0 || vsock->chain.writable_len <= VSOCK_HEADER_SIZE) {
            vsock_break(vsock, "its receive queue makes no sense");
            return false;
        }
        len = fill(vsock);
        if (len > 0)
            virtqueue_push(vq, vsock->chain.head, len);
        else
            virtqueue_unpop(vq);
    }
    return false;
}

void vsock_rx_pump(struct vsock *vsock, unsigned packets)
{
    if (vsock_rx_run(vsock, packets))
        vsock_wake(vsock);
    if (vsock_is_running(vsock))
        virtio_device_flush(&vsock->device, VSOCK_QUEUE_RX);
}

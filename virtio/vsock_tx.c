/* What the guest sends. All of it is hostile: a header is copied once and only the copy is used.
 * Section numbers are those of virtio 1.2. */
#include "vsock_device.h"

#include "base/util.h"

/* A packet that makes no sense is told of, sometimes; the device goes on. */
static void say_malformed(struct vsock *vsock, const char *what)
{
    vsock->counters.malformed++;
    log_write_limited(vsock->device.env.log, &vsock->packet_log, LOG_WARNING,
                      "%s: the guest sent a packet %s", vsock->device.name, what);
}

static void handle_stranger(struct vsock *vsock, const struct vsock_header *header,
                            bool payload_fits)
{
    if (!payload_fits)
        say_malformed(vsock, "that is shorter than it says");
    else if (header->op == VSOCK_OP_REQUEST)
        vsock_connection_request_host(vsock, header);
    else if (header->op != VSOCK_OP_RST) /* 5.10.6.1: no answer to a RST */
        vsock_owe_stray(vsock, header);
}

static void handle_packet(struct vsock *vsock, const struct vsock_header *header)
{
    bool payload_fits = header->len <= vsock->chain.readable_len - VSOCK_HEADER_SIZE;
    struct vsock_connection *c;

    /* 5.10.6.4.2: neither from nor to anybody else. */
    if (header->src_cid != vsock->guest_cid || header->dst_cid != VSOCK_HOST_CID) {
        say_malformed(vsock, "with a CID that is not its own or not the host's");
        return;
    }
    if (header->type != VSOCK_TYPE_STREAM) {
        say_malformed(vsock, "of a type other than stream");
        vsock_owe_stray(vsock, header);
        return;
    }
    c = vsock_table_find(vsock, header->src_port, header->dst_port);
    if (!c) {
        handle_stranger(vsock, header, payload_fits);
    } else if (c->owed & VSOCK_OWES_RST) {
        return; /* over already; it will hear of it */
    } else if (!payload_fits) {
        say_malformed(vsock, "that is shorter than it says");
        vsock_connection_reset(c);
    } else {
        vsock_connection_on_packet(c, header);
    }
}

/* The packet in vsock->chain. */
static void take_packet(struct vsock *vsock)
{
    uint8_t raw[VSOCK_HEADER_SIZE];
    struct vsock_header header;

    vsock->counters.packets_from_guest++;
    if (virtq_copy_from(&vsock->chain, 0, raw, sizeof(raw)) < sizeof(raw)) {
        rate_limit_charge(&vsock->tx_limit.rate, 0);
        say_malformed(vsock, "without a whole header");
        return;
    }
    vsock_header_load(raw, &header);
    rate_limit_charge(&vsock->tx_limit.rate,
                      min_u64(header.len, vsock->chain.readable_len - VSOCK_HEADER_SIZE));
    handle_packet(vsock, &header);
}

bool vsock_tx_run(struct vsock *vsock)
{
    struct virtqueue *vq = &vsock->device.queues[VSOCK_QUEUE_TX];

    if (!vsock_is_running(vsock) || vsock->tx_limit.waiting)
        return false;
    virtqueue_quiet(vq);
    for (unsigned i = 0; i < VSOCK_TURN_PACKETS; i++) {
        int r = virtqueue_pop(vq, &vsock->chain);

        if (r < 0) {
            vsock_break(vsock, "its transmit queue makes no sense");
            return false;
        }
        if (r == 0 && !virtqueue_listen(vq))
            return false;
        if (r == 0)
            continue;
        if (!vsock_limit_allows(vsock, &vsock->tx_limit)) {
            virtqueue_unpop(vq);
            return false;
        }
        take_packet(vsock);
        virtqueue_push(vq, vsock->chain.head, 0);
    }
    return true;
}

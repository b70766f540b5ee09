/* Vsock: queues and packets. */
#include "drivers/vsock_private.h"
#include "sdk/memory.h"
#include "sdk/string.h"
#include "sdk/time.h"

#define TIME_LIMIT_US 10000000
#define RX_BUFFERS    32
#define RX_SIZE       (32768 + (uint32_t)sizeof(struct vsock_header))
#define TX_BUFFERS    32
#define TX_SIZE       (VSOCK_PACKET_MAX + (uint32_t)sizeof(struct vsock_header))
#define QUEUE_COUNT   3
#define EVENTS        (sizeof(((struct vsock *)0)->event_ids) / sizeof(uint32_t))

#define EVENT_TRANSPORT_RESET 0 /* 5.10.6.7 */

static struct virtio_queue *queue(const struct vsock *vsock, unsigned n)
{
    return &vsock->dev->queues[n];
}

static void post_rx(struct vsock *vsock, void *buffer)
{
    struct virtio_buffer b = {.data = buffer, .length = RX_SIZE};

    virtio_queue_add(queue(vsock, VSOCK_QUEUE_RX), &b, 0, 1, buffer);
}

static void post_event(struct vsock *vsock, uint32_t *id)
{
    struct virtio_buffer b = {.data = id, .length = sizeof(*id)};

    virtio_queue_add(queue(vsock, VSOCK_QUEUE_EVENT), &b, 0, 1, id);
}

bool vsock_buffers_create(struct vsock *vsock)
{
    unsigned rx = queue(vsock, VSOCK_QUEUE_RX)->size, tx = queue(vsock, VSOCK_QUEUE_TX)->size;

    vsock->rx_memory = malloc((size_t)RX_BUFFERS * RX_SIZE);
    vsock->tx_memory = malloc((size_t)TX_BUFFERS * TX_SIZE);
    vsock->tx_free = calloc(TX_BUFFERS, sizeof(void *));
    if (!vsock->rx_memory || !vsock->tx_memory || !vsock->tx_free)
        return false;
    for (unsigned i = 0; i < RX_BUFFERS && i < rx; i++)
        post_rx(vsock, vsock->rx_memory + (size_t)i * RX_SIZE);
    for (unsigned i = 0; i < TX_BUFFERS && i < tx; i++)
        vsock->tx_free[vsock->tx_free_count++] = vsock->tx_memory + (size_t)i * TX_SIZE;
    for (unsigned i = 0; i < EVENTS; i++)
        post_event(vsock, &vsock->event_ids[i]);
    return true;
}

void vsock_buffers_free(struct vsock *vsock)
{
    free(vsock->rx_memory);
    free(vsock->tx_memory);
    free(vsock->tx_free);
    vsock->rx_memory = vsock->tx_memory = NULL;
    vsock->tx_free = NULL;
}

bool vsock_open(struct vsock *vsock, uint64_t wanted)
{
    struct virtio_dev *dev = virtio_find(VIRTIO_ID_VSOCK, 0);

    *vsock = (struct vsock){.dev = dev, .next_port = 1024};
    if (!dev || !virtio_begin(dev, wanted) || !virtio_queues_create(dev, QUEUE_COUNT) ||
        !vsock_buffers_create(vsock))
        return false;
    vsock->cid = virtio_config64(dev, VSOCK_CONFIG_CID);
    if (!virtio_start(dev))
        return false;
    virtio_queue_kick(queue(vsock, VSOCK_QUEUE_RX));
    virtio_queue_kick(queue(vsock, VSOCK_QUEUE_EVENT));
    return true;
}

static void *tx_buffer(struct vsock *vsock)
{
    struct virtio_queue *tx = queue(vsock, VSOCK_QUEUE_TX);

    for (;;) {
        void *done;

        while ((done = virtio_queue_take(tx, NULL)))
            vsock->tx_free[vsock->tx_free_count++] = done;
        if (vsock->tx_free_count > 0)
            return vsock->tx_free[--vsock->tx_free_count];
        if (!virtio_queue_wait(tx, TIME_LIMIT_US))
            return NULL;
    }
}

bool vsock_send_packet(struct vsock *vsock, const struct vsock_header *header, const void *data,
                       uint32_t length)
{
    uint8_t *buffer = length <= VSOCK_PACKET_MAX ? tx_buffer(vsock) : NULL;
    struct virtio_buffer b[2];

    if (!buffer)
        return false;
    memcpy(buffer, header, sizeof(*header));
    memcpy(buffer + sizeof(*header), data, length);
    b[0] = (struct virtio_buffer){.data = buffer, .length = sizeof(*header) + length};
    if (!virtio_queue_add(queue(vsock, VSOCK_QUEUE_TX), b, 1, 0, buffer)) {
        vsock->tx_free[vsock->tx_free_count++] = buffer;
        return false;
    }
    virtio_queue_kick(queue(vsock, VSOCK_QUEUE_TX));
    return true;
}

bool vsock_send_op(struct vsock_socket *s, uint16_t op, uint32_t flags, const void *data,
                   uint32_t length)
{
    struct vsock_header header = {
        .source_cid = s->vsock->cid,
        .target_cid = s->peer_cid,
        .source_port = s->port,
        .target_port = s->peer_port,
        .length = length,
        .type = VSOCK_TYPE_STREAM,
        .op = op,
        .flags = flags,
        .buffer_size = s->buffer_size,
        .forwarded = s->forwarded,
    };

    s->told = s->forwarded;
    return vsock_send_packet(s->vsock, &header, data, length);
}

static void poll_events(struct vsock *vsock)
{
    uint32_t *id;

    while ((id = virtio_queue_take(queue(vsock, VSOCK_QUEUE_EVENT), NULL))) {
        if (*id == EVENT_TRANSPORT_RESET) {
            vsock->transport_resets++;
            vsock->cid = virtio_config64(vsock->dev, VSOCK_CONFIG_CID);
            vsock_handle_transport_reset(vsock);
        }
        post_event(vsock, id);
    }
    virtio_queue_kick(queue(vsock, VSOCK_QUEUE_EVENT));
}

void vsock_poll(struct vsock *vsock)
{
    struct virtio_queue *rx = queue(vsock, VSOCK_QUEUE_RX);
    uint32_t used;
    uint8_t *buffer;

    vsock_expire(vsock);
    poll_events(vsock);
    while ((buffer = virtio_queue_take(rx, &used))) {
        struct vsock_header header;

        memcpy(&header, buffer, sizeof(header));
        if (used >= sizeof(header) && header.length <= used - sizeof(header))
            vsock_handle(vsock, &header, buffer + sizeof(header));
        post_rx(vsock, buffer);
        virtio_queue_kick(rx);
    }
}

bool vsock_wait(struct vsock *vsock, uint64_t microseconds)
{
    uint64_t end = time_us() + microseconds;

    vsock_expire(vsock);
    for (;;) {
        uint32_t seen = virtio_events();
        bool came = virtio_queue_listen(queue(vsock, VSOCK_QUEUE_EVENT));
        uint64_t now;

        came = virtio_queue_listen(queue(vsock, VSOCK_QUEUE_RX)) || came;
        if (came) {
            vsock_poll(vsock);
            return true;
        }
        now = time_us();
        if (now >= end || virtio_is_broken(vsock->dev))
            return false;
        virtio_events_wait(seen, end - now);
    }
}

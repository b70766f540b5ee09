/* Ethernet. Buffers are the driver's own, each with room for the header in front. */
#include "sdk/net.h"

#include "sdk/memory.h"
#include "sdk/string.h"

#define TIME_LIMIT_US  10000000
#define TX_BUFFERS     32
#define TX_SIZE        (65536 + (uint32_t)sizeof(struct net_header))
#define RX_BUFFERS_MAX 64
#define RX_SIZE        2048
#define DEFAULT_MTU    1500
#define QUEUE_COUNT    2

static struct virtio_queue *rx(const struct net *net)
{
    return &net->dev->queues[NET_QUEUE_RX];
}

static struct virtio_queue *tx(const struct net *net)
{
    return &net->dev->queues[NET_QUEUE_TX];
}

static void post(struct net *net, void *buffer)
{
    struct virtio_buffer b = {.data = buffer, .length = net->buffer_size};

    virtio_queue_add(rx(net), &b, 0, 1, buffer);
}

static bool create_buffers(struct net *net)
{
    unsigned count = rx(net)->size < RX_BUFFERS_MAX ? rx(net)->size : RX_BUFFERS_MAX;

    net->buffer_size = net->dev->features & (NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | NET_F_GUEST_UFO)
                           ? TX_SIZE
                           : RX_SIZE;
    if (virtio_has(net->dev, NET_F_MRG_RXBUF))
        net->buffer_size = RX_SIZE;
    net->rx_memory = malloc((size_t)count * net->buffer_size);
    net->tx_memory = malloc((size_t)TX_BUFFERS * TX_SIZE);
    net->tx_free = calloc(TX_BUFFERS, sizeof(void *));
    if (!net->rx_memory || !net->tx_memory || !net->tx_free)
        return false;
    for (unsigned i = 0; i < count; i++)
        post(net, net->rx_memory + (size_t)i * net->buffer_size);
    for (unsigned i = 0; i < TX_BUFFERS && i < tx(net)->size; i++)
        net->tx_free[net->tx_free_count++] = net->tx_memory + (size_t)i * TX_SIZE;
    return true;
}

static void read_config(struct net *net)
{
    struct virtio_dev *dev = net->dev;

    for (unsigned i = 0; i < sizeof(net->mac); i++)
        net->mac[i] = virtio_has(dev, NET_F_MAC) ? virtio_config8(dev, NET_CONFIG_MAC + i)
                                                 : (uint8_t)(i == 0 ? 2 : i);
    net->mtu = virtio_has(dev, NET_F_MTU) ? virtio_config16(dev, NET_CONFIG_MTU) : DEFAULT_MTU;
    net->link = !virtio_has(dev, NET_F_STATUS) ||
                (virtio_config16(dev, NET_CONFIG_STATUS) & NET_STATUS_LINK);
}

bool net_open(struct net *net, unsigned n, uint64_t wanted)
{
    struct virtio_dev *dev = virtio_find(VIRTIO_ID_NET, n);

    *net = (struct net){.dev = dev};
    if (!dev || !virtio_begin(dev, wanted) || !virtio_queues_create(dev, QUEUE_COUNT) ||
        !create_buffers(net))
        return false;
    read_config(net);
    if (!virtio_start(dev))
        return false;
    virtio_queue_kick(rx(net));
    return true;
}

void net_close(struct net *net)
{
    virtio_stop(net->dev);
    free(net->rx_memory);
    free(net->tx_memory);
    free(net->tx_free);
    *net = (struct net){0};
}

static void *tx_buffer(struct net *net)
{
    for (;;) {
        void *done;

        while ((done = virtio_queue_take(tx(net), NULL)))
            net->tx_free[net->tx_free_count++] = done;
        if (net->tx_free_count > 0)
            return net->tx_free[--net->tx_free_count];
        net_kick(net);
        if (!virtio_queue_wait(tx(net), TIME_LIMIT_US))
            return NULL;
    }
}

void net_kick(struct net *net)
{
    virtio_queue_kick(tx(net));
}

bool net_queue(struct net *net, const struct net_header *header, const void *frame, uint32_t length)
{
    static const struct net_header plain;
    struct virtio_buffer b;
    uint8_t *buffer;

    if (length > TX_SIZE - sizeof(*header))
        return false;
    buffer = tx_buffer(net);
    if (!buffer)
        return false;
    memcpy(buffer, header ? header : &plain, sizeof(*header));
    memcpy(buffer + sizeof(*header), frame, length);
    b = (struct virtio_buffer){.data = buffer, .length = (uint32_t)sizeof(*header) + length};
    if (!virtio_queue_add(tx(net), &b, 1, 0, buffer)) {
        net->tx_free[net->tx_free_count++] = buffer;
        return false;
    }
    return true;
}

bool net_send(struct net *net, const struct net_header *header, const void *frame, uint32_t length)
{
    bool queued = net_queue(net, header, frame, length);

    net_kick(net);
    return queued;
}

/* Copy what is in a buffer behind `skip` bytes. Returns how much of `size` is taken then. */
static uint32_t copy_out(const uint8_t *buffer, uint32_t skip, uint32_t used, uint8_t *to,
                         uint32_t at, uint32_t size)
{
    uint32_t length = used > skip ? used - skip : 0;

    if (length > size - at)
        length = size - at;
    memcpy(to + at, buffer + skip, length);
    return at + length;
}

uint32_t net_receive(struct net *net, struct net_header *ret_header, void *frame, uint32_t size)
{
    struct net_header header;
    uint32_t used, length;
    uint8_t *buffer = virtio_queue_take(rx(net), &used);
    unsigned more;

    if (!buffer)
        return 0;
    memcpy(&header, buffer, sizeof(header));
    length = copy_out(buffer, sizeof(header), used, frame, 0, size);
    post(net, buffer);
    /* 5.1.6.4: a frame over several buffers, which come together. */
    more = virtio_has(net->dev, NET_F_MRG_RXBUF) ? header.buffers : 1;
    for (; more > 1 && virtio_queue_wait(rx(net), TIME_LIMIT_US); more--) {
        buffer = virtio_queue_take(rx(net), &used);
        if (!buffer)
            break;
        length = copy_out(buffer, 0, used, frame, length, size);
        post(net, buffer);
    }
    virtio_queue_kick(rx(net));
    if (ret_header)
        *ret_header = header;
    return length;
}

bool net_wait(struct net *net, uint64_t microseconds)
{
    return virtio_queue_wait(rx(net), microseconds);
}

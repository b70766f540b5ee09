/* Ethernet: virtio-net (virtio 1.2, section 5.1), one pair of queues. */
#ifndef SDK_NET_H
#define SDK_NET_H

#include "sdk/virtio.h"

/* Section 5.1.3. */
#define NET_F_CSUM       (UINT64_C(1) << 0)
#define NET_F_GUEST_CSUM (UINT64_C(1) << 1)
#define NET_F_MTU        (UINT64_C(1) << 3)
#define NET_F_MAC        (UINT64_C(1) << 5)
#define NET_F_GUEST_TSO4 (UINT64_C(1) << 7)
#define NET_F_GUEST_TSO6 (UINT64_C(1) << 8)
#define NET_F_GUEST_ECN  (UINT64_C(1) << 9)
#define NET_F_GUEST_UFO  (UINT64_C(1) << 10)
#define NET_F_HOST_TSO4  (UINT64_C(1) << 11)
#define NET_F_HOST_TSO6  (UINT64_C(1) << 12)
#define NET_F_HOST_ECN   (UINT64_C(1) << 13)
#define NET_F_HOST_UFO   (UINT64_C(1) << 14)
#define NET_F_MRG_RXBUF  (UINT64_C(1) << 15)
#define NET_F_STATUS     (UINT64_C(1) << 16)
#define NET_F_CTRL_VQ    (UINT64_C(1) << 17)

/* What this driver takes where nobody says otherwise: no large receives. */
#define NET_WANTED                                                                             \
    (VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_MTU | \
     NET_F_MAC | NET_F_HOST_TSO4 | NET_F_MRG_RXBUF | NET_F_STATUS)

#define NET_QUEUE_RX      0
#define NET_QUEUE_TX      1
#define NET_CONFIG_MAC    0
#define NET_CONFIG_STATUS 6
#define NET_CONFIG_MTU    10
#define NET_STATUS_LINK   1

/* Section 5.1.6. */
#define NET_HEADER_NEEDS_CSUM 1
#define NET_HEADER_DATA_VALID 2
#define NET_GSO_NONE          0
#define NET_GSO_TCPV4         1
#define NET_GSO_UDP           3
#define NET_GSO_TCPV6         4

struct net_header {
    uint8_t flags, gso_type;
    uint16_t header_length, gso_size, csum_start, csum_offset, buffers;
};

#define NET_FRAME_MAX 1518

struct net {
    struct virtio_dev *dev;
    uint8_t mac[6];
    uint16_t mtu;
    bool link;
    uint32_t buffer_size;
    uint8_t *rx_memory, *tx_memory;
    void **tx_free; /* a stack of buffers */
    unsigned tx_free_count;
};

/* Device number n. Returns whether it runs; receive buffers are posted. */
bool net_open(struct net *net, unsigned n, uint64_t wanted);
void net_close(struct net *net);

/**
 * Send a frame, which is copied. With a header, its checksum or segmentation is asked for.
 * @header  NULL for none
 * Returns false where `length` is over 64 KiB, or no buffer came back within 10 s.
 */
bool net_send(struct net *net, const struct net_header *header, const void *frame, uint32_t length);

/* The same for several: the device is told of them by net_kick(), or once buffers run out. */
bool net_queue(struct net *net, const struct net_header *header, const void *frame,
               uint32_t length);
void net_kick(struct net *net);

/**
 * Take the next frame that was received.
 * @ret_header  may be NULL
 * Returns its length, 0 where there is none; what does not fit `size` is cut off.
 */
uint32_t net_receive(struct net *net, struct net_header *ret_header, void *frame, uint32_t size);

/* Wait for a frame. Returns whether there is one within so many microseconds. */
bool net_wait(struct net *net, uint64_t microseconds);

#endif

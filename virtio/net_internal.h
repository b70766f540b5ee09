/*
 * What the parts of the network device share: net.c (the device and its events), net_rx.c,
 * net_tx.c. All functions are called with the device's lock held.
 */
#ifndef OSVM_VIRTIO_NET_INTERNAL_H
#define OSVM_VIRTIO_NET_INTERNAL_H

#include "virtio/net.h"

/* Packets in one go, before the other sources of the loop get their turn. */
#define NET_BATCH 64

/* 5.1.6, struct virtio_net_hdr, which is NET_HEADER_LEN bytes for a driver of virtio 1. */
#define NET_HDR_FLAGS       0
#define NET_HDR_GSO_TYPE    1
#define NET_HDR_HDR_LEN     2
#define NET_HDR_GSO_SIZE    4
#define NET_HDR_CSUM_START  6
#define NET_HDR_CSUM_OFFSET 8
#define NET_HDR_NUM_BUFFERS 10

/* The longest packet with its header, either way. */
#define NET_PACKET_MAX (NET_HEADER_LEN + NET_FRAME_MAX)

/* Descriptors of receive buffers that are held at once; a chain has VIRTQUEUE_MAX_SIZE at most. */
#define NET_RX_IOV_MAX 512

/* What each direction waits for. */
enum net_rx_state {
    NET_RX_OFF,     /* a driver */
    NET_RX_PACKETS, /* the back end: EPOLLIN */
    NET_RX_BUFFERS, /* the driver's notification */
    NET_RX_TIMER,   /* the rate limit, or its next turn */
};

enum net_tx_state {
    NET_TX_OFF,
    NET_TX_PACKETS, /* the driver's notification */
    NET_TX_BACKEND, /* the back end: EPOLLOUT */
    NET_TX_TIMER,
};

/*
 * Receive buffers are taken from the ring ahead of the packets, and held in order: their bytes, one
 * after the other, are where the next packets go. A packet is read straight into them, and the part
 * for which there are none yet into `spill`.
 */
struct net_rx {
    enum net_rx_state state;
    struct loop_timer timer;
    struct rate_limit limit;
    struct shared_rate *all;

    struct net_rx_buffer { /* a chain of the ring */
        uint16_t head, iov_count;
        uint32_t len;
    } buffers[VIRTQUEUE_MAX_SIZE]; /* [first, first + count), around the end */
    unsigned buffer_first, buffer_count;
    struct iovec iov[NET_RX_IOV_MAX]; /* theirs, [first, first + count) */
    unsigned iov_first, iov_count;
    uint64_t room; /* bytes of them all */

    uint32_t packet_len; /* of a packet that was read and has not been given; 0: none */
    uint32_t spill_from; /* its bytes from here on are in the spill */
    uint8_t spill[NET_PACKET_MAX];
};

struct net_tx {
    enum net_tx_state state;
    struct loop_timer timer;
    struct rate_limit limit;
    struct shared_rate *all;
    bool unsent; /* the back end holds a part of a packet */
    struct log_limit refused_limit;
};

struct virtio_net {
    struct virtio_device device;
    struct net_backend *backend;
    struct loop_source source; /* the back end's */
    uint8_t config[12];
    bool link_down; /* for good */
    struct virtio_net_counters counters;
    struct net_rx rx;
    struct net_tx tx;
    /* For one operation at a time; too large for a stack. */
    struct virtq_chain chain;
    struct iovec iov[NET_RX_IOV_MAX + 1];
};

/* How long this limit and the one of all (NULL: none) have a packet wait; 0: not at all. */
uint64_t net_limit_wait(struct rate_limit *limit, struct shared_rate *all);

/* Wait for what rx.state, tx.state and tx.unsent say. Any thread. */
void net_update_events(struct virtio_net *net);

/* Nonsense from the driver: nothing more until a reset. */
void net_break(struct virtio_net *net, const char *what);

/* The back end says (-ECONNRESET, -EPROTO) that nothing will pass any more. */
void net_set_link_down(struct virtio_net *net, int error);

void net_rx_start(struct virtio_net *net);
void net_rx_stop(struct virtio_net *net);
/* Give packets to the guest as long as there are packets, buffers and time. */
void net_rx_run(struct virtio_net *net);

void net_tx_start(struct virtio_net *net);
void net_tx_stop(struct virtio_net *net);
/* Send what the guest has put into its queue as long as it goes. */
void net_tx_run(struct virtio_net *net);
/* The back end takes more. */
void net_tx_on_writable(struct virtio_net *net);

#endif

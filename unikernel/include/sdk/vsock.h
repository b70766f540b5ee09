/*
 * Stream sockets to the host: virtio-vsock (virtio 1.2, section 5.10). All functions are called on
 * one CPU; those with a time wait for at most so many microseconds, 0 means not at all.
 */
#ifndef SDK_VSOCK_H
#define SDK_VSOCK_H

#include "sdk/virtio.h"

#define VSOCK_CID_HOST 2

#define VSOCK_QUEUE_RX    0
#define VSOCK_QUEUE_TX    1
#define VSOCK_QUEUE_EVENT 2
#define VSOCK_CONFIG_CID  0

/* Section 5.10.6. */
struct vsock_header {
    uint64_t source_cid, target_cid;
    uint32_t source_port, target_port;
    uint32_t length;
    uint16_t type, op;
    uint32_t flags, buffer_size, forwarded;
} __attribute__((packed));

#define VSOCK_TYPE_STREAM       1
#define VSOCK_OP_REQUEST        1
#define VSOCK_OP_RESPONSE       2
#define VSOCK_OP_RST            3
#define VSOCK_OP_SHUTDOWN       4
#define VSOCK_OP_RW             5
#define VSOCK_OP_CREDIT_UPDATE  6
#define VSOCK_OP_CREDIT_REQUEST 7

/* Who will not receive, who will not send any more: section 5.10.6.6. */
#define VSOCK_SHUTDOWN_RECEIVE 1
#define VSOCK_SHUTDOWN_SEND    2

enum vsock_state {
    VSOCK_LISTENING,
    VSOCK_CONNECTING,
    VSOCK_CONNECTED,
    VSOCK_CLOSING, /* released; waits for the peer to let go */
    VSOCK_CLOSED,  /* reset, refused, or let go */
};

struct vsock_socket {
    struct vsock *vsock;
    struct vsock_socket *next;
    struct vsock_socket *listener; /* not accepted yet */
    enum vsock_state state;
    uint64_t peer_cid;
    uint32_t peer_port, port;
    /* What came and was not read: a ring of bytes. */
    uint8_t *buffer;
    uint32_t buffer_size, buffer_head, buffer_used;
    /* Credit, section 5.10.6.3: counted in bytes since the beginning, modulo 2^32. */
    uint32_t forwarded, told, sent, peer_buffer, peer_forwarded;
    bool asked_for_credit;
    uint8_t peer_shutdown, own_shutdown; /* VSOCK_SHUTDOWN_* */
    uint64_t closing_since_us;
};

struct vsock {
    struct virtio_dev *dev;
    uint64_t cid;
    struct vsock_socket *sockets;
    uint32_t next_port;
    uint8_t *rx_memory, *tx_memory;
    void **tx_free;
    unsigned tx_free_count;
    uint32_t event_ids[4];
    unsigned transport_resets;
};

/* The device, with these features at most. Returns whether it runs. */
bool vsock_open(struct vsock *vsock, uint64_t wanted);

/* All its sockets are gone afterwards. */
void vsock_close(struct vsock *vsock);

/**
 * Take connections to a port. @buffer: bytes that each connection holds unread, at least 4096
 * Returns NULL without memory, or where the port is taken.
 */
struct vsock_socket *vsock_listen(struct vsock *vsock, uint32_t port, uint32_t buffer);

/* The next connection to it, or NULL. */
struct vsock_socket *vsock_accept(struct vsock_socket *listener, uint64_t microseconds);

/* Connect from a port of its own. NULL where it is refused, or not answered in time. */
struct vsock_socket *vsock_connect(struct vsock *vsock, uint64_t cid, uint32_t port,
                                   uint32_t buffer, uint64_t microseconds);

/* Send; waits for credit. Returns how many bytes were sent: fewer at the end of time, or of the
 * connection. */
uint32_t vsock_send(struct vsock_socket *socket, const void *data, uint32_t length,
                    uint64_t microseconds);

/* Receive what there is, once there is some. Returns how many bytes; 0 at the end of time, or of
 * the stream: vsock_ended(). */
uint32_t vsock_receive(struct vsock_socket *socket, void *data, uint32_t size,
                       uint64_t microseconds);

/* Whether nothing is left to read, nor will be. */
bool vsock_ended(const struct vsock_socket *socket);

/* How much may be sent now. */
uint32_t vsock_credit(const struct vsock_socket *socket);

/* Say that this end will not receive, or send, any more. */
void vsock_shutdown(struct vsock_socket *socket, uint8_t directions);

/* Close it; the socket is not to be used any more. A listener's unaccepted connections are reset.
 */
void vsock_release(struct vsock_socket *socket);

/* Handle all packets that have come. */
void vsock_poll(struct vsock *vsock);

/* Wait until at least one packet has come, and handle all. Returns whether one did. */
bool vsock_wait(struct vsock *vsock, uint64_t microseconds);

/* Put a packet into the transmit queue as it is; `header->length` is not looked at. For tests. */
bool vsock_send_packet(struct vsock *vsock, const struct vsock_header *header, const void *data,
                       uint32_t length);

#endif

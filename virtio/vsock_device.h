/*
 * What the files of virtio-vsock share.
 *
 *   vsock.c                the device: queues, timers, beginning and end
 *   vsock_tx.c             what the guest sends: each packet checked and handed to its connection
 *   vsock_rx.c             what the guest gets: whose turn it is for the next receive buffer
 *   vsock_connection.c     the state machine of one connection
 *   vsock_stream.c         the bytes of one connection
 *   vsock_listener.c       host clients: PATH and the CONNECT line
 *   vsock_table.c          connections by their two ports
 *   vsock_packet.c, vsock_buffer.c, vsock_connect_line.c   as they say; they know nothing of these
 *
 * Every function is called with the device's lock held. That may be on a vCPU thread (a register
 * write that reset the device, a notification that came through), where sources may be modified
 * and timers set but nothing be added to the loop or removed from it. So a connection that needs
 * that (the guest asks for a host socket; one has ended) is put on `deferred`, and the loop's
 * thread sees to it. What is for that thread alone says so. A connection is freed there and nowhere
 * else, after its source has left the loop, so a callback always finds it alive.
 *
 * Nothing that is owed to the guest is a list of packets: a connection has flags of what it owes,
 * and resets for strangers are in a ring that drops what does not fit. So a guest that gives no
 * receive buffers costs no memory.
 */
#ifndef OSVM_VIRTIO_VSOCK_DEVICE_H
#define OSVM_VIRTIO_VSOCK_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/loop.h"
#include "net/rate_limit.h"
#include "virtio/device.h"
#include "virtio/vsock.h"
#include "vsock_buffer.h"
#include "vsock_connect_line.h"
#include "vsock_packet.h"

enum vsock_queue { VSOCK_QUEUE_RX, VSOCK_QUEUE_TX, VSOCK_QUEUE_EVENT, VSOCK_QUEUE_COUNT };

/* How many packets of one direction are seen to before the loop's other sources have their turn. */
#define VSOCK_TURN_PACKETS 64u

/* The same for the event of one host socket: few, so that the next event, which may be of another
 * connection, is looked at before a long turn of this one. */
#define VSOCK_EVENT_PACKETS 4u

/* The guest hears of consumed bytes when they are so many (or with the next packet). */
#define VSOCK_CREDIT_STEP 4096u

/* How soon what failed for want of something on the host is tried again. */
#define VSOCK_RETRY_NS UINT64_C(20000000)

#define VSOCK_TABLE_SIZE 256 /* buckets; a power of two */
#define VSOCK_RESETS_MAX 128 /* resets that wait for strangers; a power of two */

enum vsock_state {
    VSOCK_LINE,       /* a host client that has not said yet where it wants to */
    VSOCK_REQUESTED,  /* … and the guest is asked */
    VSOCK_CONNECTING, /* the guest has asked; the host's socket is not connected yet */
    VSOCK_OPEN,
    VSOCK_LINGER, /* over for the guest; what it sent still goes to the host */
    VSOCK_DEAD,   /* over; the loop's thread frees it when the guest has its RST */
};

/* Control packets that a connection owes to the guest, each at most once. */
enum vsock_owed {
    VSOCK_OWES_RST = 1,
    VSOCK_OWES_REQUEST = 2,
    VSOCK_OWES_RESPONSE = 4,
    VSOCK_OWES_SHUTDOWN = 8,
    VSOCK_OWES_CREDIT_UPDATE = 16,
    VSOCK_OWES_CREDIT_REQUEST = 32,
};

struct vsock_connection {
    struct vsock *vsock;
    struct loop_source source; /* the host's socket, owned; fd -1: none */
    enum vsock_state state;
    uint32_t guest_port, host_port;
    unsigned owed; /* enum vsock_owed */

    LIST_ENTRY(vsock_connection) table_link;
    TAILQ_ENTRY(vsock_connection) all_link, control_link, data_link, deferred_link, deadline_link;
    bool in_table, in_control, in_data, in_deferred, has_deadline;
    uint64_t deadline_ns;

    struct vsock_connect_line line;

    /* Guest to host, bytes modulo 2^32 (5.10.6.3). received - forwarded is in `unsent`. */
    struct vsock_buffer unsent;
    uint32_t received, forwarded, forwarded_told;
    bool guest_ended; /* it will send no more */
    bool host_deaf;   /* the host takes no more: what the guest sends is dropped */
    bool end_passed;  /* the host has been told that the guest has ended */

    /* Host to guest. */
    uint32_t sent, guest_buf_alloc, guest_forwarded;
    bool readable;     /* there may be something to read; cleared by reading all of it */
    bool host_ended;   /* its last byte has been read */
    bool guest_deaf;   /* the guest takes no more */
    bool credit_asked; /* since there was some the last time */

    bool half_closed, hung_up; /* as epoll has told of the host's socket */
    uint32_t shutdown_told;    /* VSOCK_SHUTDOWN_… that the guest knows, or is owed */
};

LIST_HEAD(vsock_bucket, vsock_connection);
TAILQ_HEAD(vsock_list, vsock_connection);

/* A reset for a packet that belongs to no connection. */
struct vsock_stray {
    uint32_t guest_port, host_port;
    uint16_t type;
};

/* The rate limit of one direction. */
struct vsock_limit {
    struct rate_limit rate;
    struct loop_timer timer;
    bool waiting; /* for the timer */
};

struct vsock {
    struct virtio_device device;
    uint64_t guest_cid;
    uint64_t config_guest_cid; /* little-endian, as the guest reads it (5.10.4) */
    uint64_t timeout_ns;
    struct virtio_vsock_counters counters;
    struct log_limit packet_log, host_log;

    /* The listener; `listening` says whether `inode` of `filesystem` at `path` is ours. */
    char path[VIRTIO_VSOCK_PATH_MAX + 1];
    struct loop_source listener;
    bool listening;
    dev_t filesystem;
    ino_t inode;

    struct vsock_bucket table[VSOCK_TABLE_SIZE];
    struct vsock_list all;
    struct vsock_list control;   /* owe something, in turn */
    struct vsock_list data;      /* have something to read and credit for it, in turn */
    struct vsock_list deferred;  /* want the loop's thread */
    struct vsock_list deadlines; /* the next one first: all wait equally long */
    unsigned connection_count;   /* of `all` */
    uint32_t next_host_port;

    struct vsock_stray strays[VSOCK_RESETS_MAX];
    unsigned stray_first, stray_count;
    bool event_owed; /* TRANSPORT_RESET */

    struct loop_source work; /* an eventfd: something is deferred, or a turn was cut short */
    bool work_signalled;
    struct loop_timer timer; /* the next deadline or retry */
    uint64_t timer_due_ns;   /* 0: not armed */
    uint64_t retry_ns;       /* 0: nothing to try again */
    struct vsock_limit rx_limit, tx_limit;

    /* The chain in hand, and a part of it. */
    struct virtq_chain chain;
    struct iovec iov[VIRTQUEUE_MAX_SIZE];
};

/* ---- vsock.c ---- */

/* Whether the driver is there and has done nothing that needs a reset. */
bool vsock_is_running(const struct vsock *vsock);

/* Nonsense in a ring: virtio_device_break(), and all connections end. */
void vsock_break(struct vsock *vsock, const char *what);

/* Have the loop's thread come by: for what is deferred, and for the rest of a turn. */
void vsock_wake(struct vsock *vsock);

/* Have what failed tried again soon. */
void vsock_retry_soon(struct vsock *vsock);

/* Set the timer for the next deadline or retry. */
void vsock_update_timer(struct vsock *vsock);

/* Ask the limit of one direction for a packet, which is charged when its size is known. Returns
 * false where it has to wait; the timer then runs. */
bool vsock_limit_allows(struct vsock *vsock, struct vsock_limit *limit);

/* ---- vsock_tx.c, vsock_rx.c ---- */

/* See to packets of the guest. Returns whether the turn ended before the packets did. */
bool vsock_tx_run(struct vsock *vsock);

/* Fill so many receive buffers of the guest at most. Returns as vsock_tx_run(). */
bool vsock_rx_run(struct vsock *vsock, unsigned packets);

/* Fill them, publish, and come back for the rest. */
void vsock_rx_pump(struct vsock *vsock, unsigned packets);

/* Owe a reset to a stranger; dropped where too many wait. */
void vsock_owe_stray(struct vsock *vsock, const struct vsock_header *header);

/* Put a packet of this connection into vsock->chain, its payload (if any) being there already. */
void vsock_put_header(struct vsock_connection *connection, enum vsock_op op, uint32_t flags,
                      uint32_t len);

/* ---- vsock_table.c ---- */

struct vsock_connection *vsock_table_find(struct vsock *vsock, uint32_t guest_port,
                                          uint32_t host_port);
void vsock_table_add(struct vsock_connection *connection);
void vsock_table_remove(struct vsock_connection *connection);

/* A host port that no connection to this guest port has; in turn from [2^30, 2^31). */
uint32_t vsock_table_new_host_port(struct vsock *vsock, uint32_t guest_port);

/* ---- vsock_connection.c ---- */

/* @fd  taken over where the result is not NULL; -1: none yet. Returns NULL where memory is out. */
struct vsock_connection *vsock_connection_create(struct vsock *vsock, enum vsock_state state,
                                                 int fd);

/* Loop's thread, or after it has ended. */
void vsock_connection_destroy(struct vsock_connection *connection);

/* Put the next control packet that is owed into vsock->chain. */
void vsock_connection_write_owed(struct vsock_connection *connection);

/* End it: with a RST where the guest knows of it, or without. */
void vsock_connection_reset(struct vsock_connection *connection);
void vsock_connection_drop(struct vsock_connection *connection);
void vsock_connection_drop_all(struct vsock *vsock);

/* Look at what has ended, what is owed, and what is waited for, after anything has changed. */
void vsock_connection_settle(struct vsock_connection *connection);

/* A packet of the guest for it, in vsock->chain and checked as far as its length. */
void vsock_connection_on_packet(struct vsock_connection *connection,
                                const struct vsock_header *header);

/* The guest asks for a new connection; there is none of these ports. */
void vsock_connection_request_host(struct vsock *vsock, const struct vsock_header *header);

/* A host client has said where it wants to. */
void vsock_connection_request_guest(struct vsock_connection *connection, uint32_t guest_port);

void vsock_connection_set_deadline(struct vsock_connection *connection);
void vsock_connection_expire(struct vsock_connection *connection);

/* Connect, close and free what is deferred. Loop's thread. */
void vsock_run_deferred(struct vsock *vsock);

/* Watch the host's socket. Returns 0 or a negative errno. Loop's thread. */
int vsock_connection_watch(struct vsock_connection *connection);

/* ---- vsock_stream.c ---- */

/* How many bytes more the guest has room for. */
uint32_t vsock_stream_credit(const struct vsock_connection *connection);

/* Send the payload in vsock->chain to the host; what it does not take is kept. */
void vsock_stream_to_host(struct vsock_connection *connection, uint32_t len);

/* Send what was kept. */
void vsock_stream_send_kept(struct vsock_connection *connection);

/* Drop what was kept, and all that comes: the host takes no more. */
void vsock_stream_make_deaf(struct vsock_connection *connection);

/* Send these few bytes of our own before all others. */
void vsock_stream_send_text(struct vsock_connection *connection, const char *text, size_t len);

/**
 * Read from the host's socket into vsock->chain.
 * Returns how many bytes were written into the chain, the header counted; 0: none.
 */
uint32_t vsock_stream_to_guest(struct vsock_connection *connection);

/* ---- vsock_listener.c ---- */

/* Returns 0 or a negative errno, with words in err. Loop's thread. */
int vsock_listener_open(struct vsock *vsock, const char *path, struct error *err);
void vsock_listener_close(struct vsock *vsock);

/* Where the host's sockets are looked for from now on. */
void vsock_listener_relocate(struct vsock *vsock, const char *path);

/* Accept host clients, or let them wait. */
void vsock_listener_set(struct vsock *vsock, bool accepting);

/* The address of the host's socket for a port that the guest connects to. */
void vsock_host_address(const struct vsock *vsock, uint32_t port, struct sockaddr_un *ret_address);

/* Read more of the CONNECT line. */
void vsock_listener_read_line(struct vsock_connection *connection);

#endif

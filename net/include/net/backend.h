/*
 * The host's end of an Ethernet link: frames go in, frames come out. What is behind it (a tap,
 * passt, a test) is known to its ops alone, and nothing here knows what a guest's device is.
 *
 * A packet is a frame (no FCS), with a header of `header_len` bytes in front of it. Where that is
 * not 0 it is NET_HEADER_LEN, and the header is the kernel's struct virtio_net_hdr_v1 in
 * little-endian: what the frame still needs (a checksum, segmentation), in both directions. Of a
 * received header the last two bytes (num_buffers) are not written. Where header_len is 0, frames
 * are complete and at most as long as the link's MTU allows.
 *
 * No function blocks, none keeps an iovec. All calls for one back end are made one at a time; the
 * caller has a lock. The descriptor is for a loop source; it is level-triggered.
 */
#ifndef OSVM_NET_BACKEND_H
#define OSVM_NET_BACKEND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/cleanup.h"

#define NET_HEADER_LEN 12

/* Frames: an Ethernet header at least; at most 64 KiB of payload behind one with a VLAN tag. */
#define NET_FRAME_MIN 14
#define NET_FRAME_MAX (65535 + 18)

/* Work that is left to the other side of a link. TSO wants CSUM, and ECN wants TSO4 or TSO6. */
#define NET_OFFLOAD_CSUM 0x1 /* the checksum of a TCP or UDP segment */
#define NET_OFFLOAD_TSO4 0x2 /* cutting TCP into segments, over IPv4 */
#define NET_OFFLOAD_TSO6 0x4 /* the same over IPv6 */
#define NET_OFFLOAD_ECN  0x8 /* the same where a segment has ECN's CWR set */

struct net_backend;

struct net_backend_ops {
    /* See the functions below. NULL where nothing is offloaded. */
    int (*set_offloads)(struct net_backend *backend, unsigned offloads);
    int (*send)(struct net_backend *backend, const struct iovec *iov, unsigned count);
    /* NULL where a packet that was taken is always on its way. */
    int (*flush)(struct net_backend *backend);
    ssize_t (*receive)(struct net_backend *backend, const struct iovec *iov, unsigned count);
    void (*close)(struct net_backend *backend);
};

/* Embedded in each kind. What is here is set when it is opened and does not change. */
struct net_backend {
    const struct net_backend_ops *ops;
    int fd;              /* to be watched, not to be read */
    unsigned header_len; /* NET_HEADER_LEN or 0 */
    unsigned offloads;   /* NET_OFFLOAD_*: what send() does for the sender; 0 without a header */
};

/**
 * Say what the receiver can do itself, so that receive() may leave it to them. At first nothing.
 *
 * @offloads  a part of `backend->offloads`, with what each of them wants
 * Returns 0 or a negative errno (nothing has changed then).
 */
static inline int net_backend_set_offloads(struct net_backend *backend, unsigned offloads)
{
    return backend->ops->set_offloads ? backend->ops->set_offloads(backend, offloads) : 0;
}

/**
 * Send one packet: header_len bytes of header, then NET_FRAME_MIN to NET_FRAME_MAX bytes.
 *
 * @count  not more than IOV_MAX - 1
 * Returns 0: it was taken;
 *   -EAGAIN       it was not taken: wait for EPOLLOUT, flush, and offer it again;
 *   -ECONNRESET   the other side is gone for good (-EPROTO: it was cut off, as it spoke nonsense);
 *   another negative errno where this packet cannot be sent, and the next perhaps can.
 */
static inline int net_backend_send(struct net_backend *backend, const struct iovec *iov,
                                   unsigned count)
{
    return backend->ops->send(backend, iov, count);
}

/**
 * Push on what was taken and is not on its way yet (never more than one packet). To be called after
 * the last send of a batch, and on EPOLLOUT.
 * Returns 0: nothing is left; -EAGAIN: wait for EPOLLOUT; or as net_backend_send().
 */
static inline int net_backend_flush(struct net_backend *backend)
{
    return backend->ops->flush ? backend->ops->flush(backend) : 0;
}

/**
 * Receive one packet into iovecs, header first.
 *
 * EPOLLIN is only worth waiting for after -EAGAIN: more than one packet may have been read ahead.
 *
 * @iov  with room for the largest packet; what does not fit is lost without a word
 * Returns the packet's length, at least header_len + 1; -EAGAIN where there is none now;
 * -ECONNRESET or -EPROTO as net_backend_send(), after the last whole packet.
 */
static inline ssize_t net_backend_receive(struct net_backend *backend, const struct iovec *iov,
                                          unsigned count)
{
    return backend->ops->receive(backend, iov, count);
}

/* Free it. Accepts NULL. */
static inline void net_backend_close(struct net_backend *backend)
{
    if (backend)
        backend->ops->close(backend);
}
DEFINE_CLEANUP(struct net_backend, net_backend_close)

#endif

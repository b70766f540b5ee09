/*
 * virtio-vsock (virtio 1.2, section 5.10): stream sockets between the guest and its host. The
 * host's ends are Unix sockets:
 *
 *   host to guest  connect to PATH, send "CONNECT <port>\n", read "OK <host port>\n", then the
 *                  stream. Where nobody listens in the guest the connection is closed unanswered.
 *                  Who comes before the guest's driver is ready waits in the backlog.
 *   guest to host  the guest connects to CID 2, port P; this connects to the Unix socket PATH_P.
 *
 * Bytes go straight between the sockets and the guest's buffers. Only what a host socket does not
 * take at once is kept, at most VIRTIO_VSOCK_BUF_ALLOC for each connection: that is the credit that
 * the guest is given, and it never gets more than the credit it gave either.
 */
#ifndef OSVM_VIRTIO_VSOCK_H
#define OSVM_VIRTIO_VSOCK_H

#include <stdint.h>

#include "base/error.h"
#include "net/rate_limit.h"
#include "virtio/device.h"

#define VIRTIO_VSOCK_CID_MIN UINT64_C(3) /* 5.10.4: 0, 1 and 2 are reserved or well known */
#define VIRTIO_VSOCK_CID_MAX UINT64_C(0xfffffffe)

#define VIRTIO_VSOCK_MAX_CONNECTIONS 1023u  /* of one guest, both ways together */
#define VIRTIO_VSOCK_BUF_ALLOC       65536u /* bytes; also the largest packet */
#define VIRTIO_VSOCK_TIMEOUT_NS      UINT64_C(2000000000)

/* So long may PATH be that PATH_4294967295 still fits the address of a Unix socket. */
#define VIRTIO_VSOCK_PATH_MAX 96

struct virtio_vsock_options {
    uint64_t guest_cid;
    const char *path; /* copied */
    /* For each direction on its own: payload bytes, and packets. Packets to the guest that carry no
     * payload are free. */
    struct rate_bucket_options bytes, ops;
    /* How long a CONNECT line, an answer to a request, and a close may each take; 0: the usual
     * VIRTIO_VSOCK_TIMEOUT_NS. */
    uint64_t timeout_ns;
};

/* Since creation. "Host" and "guest" name who began or who received. */
struct virtio_vsock_counters {
    uint64_t packets_to_guest, packets_from_guest; /* of every kind */
    uint64_t bytes_to_guest, bytes_to_host;        /* payload */
    uint64_t host_connections, guest_connections;  /* accepted, asked for */
    uint64_t guest_accepted;                       /* of the host's, by a listener in the guest */
    uint64_t refused;                              /* by the limit of connections */
    uint64_t resets_sent;                          /* RST packets to the guest */
    uint64_t malformed;                            /* packets dropped or answered by RST */
    uint64_t limited;                              /* times that the rate limit made wait */
    uint64_t bytes_unsent;                         /* kept for slow host readers, now */
    uint64_t connections;                          /* now */
};

/**
 * Make the device and listen on `options->path`.
 *
 * A socket that nobody listens on any more is replaced.
 *
 * @env         borrowed for the device's life
 * @name        borrowed; "vsock0"
 * @ret_device  freed by its ops->destroy(), which also removes the socket
 * @err         says in words what is wrong with which option
 * Returns 0; -EINVAL for a CID or a path that cannot be; -ENAMETOOLONG; -EADDRINUSE where somebody
 * listens there; -EEXIST where there is something that is no socket; or another negative errno.
 * On the loop's thread, before the loop runs.
 */
int virtio_vsock_create(const struct virtio_env *env, const char *name,
                        const struct virtio_vsock_options *options,
                        struct virtio_device **ret_device, struct error *err);

/**
 * From now on look for the sockets PATH_P of the host at another PATH, which leads to the same
 * folder in a jail. Before the guest runs.
 *
 * @path  copied; no longer than the one that it was made with
 */
void virtio_vsock_relocate(struct virtio_device *device, const char *path);

/**
 * Tell the guest that all its connections are gone (5.10.6.8, VIRTIO_VSOCK_EVENT_TRANSPORT_RESET):
 * for a machine that was restored from a snapshot. Takes the device's lock. Any thread.
 */
void virtio_vsock_transport_reset(struct virtio_device *device);

/* What has been counted. Takes the device's lock. Any thread. */
void virtio_vsock_read_counters(struct virtio_device *device,
                                struct virtio_vsock_counters *ret_counters);

#endif

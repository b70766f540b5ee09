/* The packets of virtio-vsock (virtio 1.2, section 5.10.6): their header, and where they lie. */
#ifndef OSVM_VIRTIO_VSOCK_PACKET_H
#define OSVM_VIRTIO_VSOCK_PACKET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* 5.10.6, struct virtio_vsock_hdr. */
#define VSOCK_HEADER_SIZE 44

#define VSOCK_HOST_CID    2
#define VSOCK_TYPE_STREAM 1

/* 5.10.6, the operations. */
enum vsock_op {
    VSOCK_OP_REQUEST = 1,
    VSOCK_OP_RESPONSE = 2,
    VSOCK_OP_RST = 3,
    VSOCK_OP_SHUTDOWN = 4,
    VSOCK_OP_RW = 5,
    VSOCK_OP_CREDIT_UPDATE = 6,
    VSOCK_OP_CREDIT_REQUEST = 7,
};

/* 5.10.6.4, flags of SHUTDOWN: what its sender will do no more. */
#define VSOCK_SHUTDOWN_RECEIVE 1u
#define VSOCK_SHUTDOWN_SEND    2u
#define VSOCK_SHUTDOWN_BOTH    3u

struct vsock_header {
    uint64_t src_cid, dst_cid;
    uint32_t src_port, dst_port;
    uint32_t len; /* of the payload, bytes */
    uint16_t type, op;
    uint32_t flags;
    uint32_t buf_alloc, fwd_cnt; /* 5.10.6.3: the sender's credit */
};

/* Between the header and its VSOCK_HEADER_SIZE bytes. */
void vsock_header_load(const uint8_t *raw, struct vsock_header *ret_header);
void vsock_header_store(uint8_t *raw, const struct vsock_header *header);

/**
 * The part [skip, skip + len) of what `count` iovecs cover; less where they end before.
 *
 * @ret_iov  room for `count`
 * Returns how many of them are used.
 */
unsigned vsock_slice(const struct iovec *iov, unsigned count, size_t skip, size_t len,
                     struct iovec *ret_iov);

#endif

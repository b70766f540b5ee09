/*
 * Bytes that a slow reader did not take yet: a ring of fixed capacity that has memory only while
 * there is something in it.
 */
#ifndef OSVM_VIRTIO_VSOCK_BUFFER_H
#define OSVM_VIRTIO_VSOCK_BUFFER_H

#include <stdint.h>
#include <sys/uio.h>

#include "virtio/vsock.h"

#define VSOCK_BUFFER_SIZE VIRTIO_VSOCK_BUF_ALLOC

/* Zero-initialised means empty. */
struct vsock_buffer {
    uint8_t *bytes; /* VSOCK_BUFFER_SIZE, or NULL while len is 0 */
    uint32_t start, len;
};

/**
 * Append what the iovecs cover.
 * Returns 0; -ENOBUFS where it does not fit, or -ENOMEM; nothing was appended then.
 */
int vsock_buffer_append(struct vsock_buffer *buffer, const struct iovec *iov, unsigned count);

/* What is in it, in order. Returns how many of the two are used. */
unsigned vsock_buffer_peek(const struct vsock_buffer *buffer, struct iovec ret_iov[2]);

/* Forget the first `len` bytes, of at most buffer->len. */
void vsock_buffer_take(struct vsock_buffer *buffer, uint32_t len);

/* Forget them all, and give the memory back. */
void vsock_buffer_clear(struct vsock_buffer *buffer);

#endif

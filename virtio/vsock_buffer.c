#include "vsock_buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

static void append(struct vsock_buffer *buffer, const uint8_t *from, size_t len)
{
    while (len > 0) {
        uint32_t at = (buffer->start + buffer->len) % VSOCK_BUFFER_SIZE;
        size_t part = min_u64(len, VSOCK_BUFFER_SIZE - at);

        memcpy(buffer->bytes + at, from, part);
        buffer->len += (uint32_t)part;
        from += part;
        len -= part;
    }
}

int vsock_buffer_append(struct vsock_buffer *buffer, const struct iovec *iov, unsigned count)
{
    size_t room = VSOCK_BUFFER_SIZE - buffer->len;

    for (unsigned i = 0; i < count; i++) {
        if (iov[i].iov_len > room)
            return -ENOBUFS;
        room -= iov[i].iov_len;
    }
    if (!buffer->bytes)
        buffer->bytes = malloc(VSOCK_BUFFER_SIZE);
    if (!buffer->bytes)
        return -ENOMEM;
    for (unsigned i = 0; i < count; i++)
        append(buffer, iov[i].iov_base, iov[i].iov_len);
    if (buffer->len == 0)
        vsock_buffer_clear(buffer);
    return 0;
}

unsigned vsock_buffer_peek(const struct vsock_buffer *buffer, struct iovec ret_iov[2])
{
    uint32_t first = (uint32_t)min_u64(buffer->len, VSOCK_BUFFER_SIZE - buffer->start);

    if (buffer->len == 0)
        return 0;
    ret_iov[0] = (struct iovec){.iov_base = buffer->bytes + buffer->start, .iov_len = first};
    ret_iov[1] = (struct iovec){.iov_base = buffer->bytes, .iov_len = buffer->len - first};
    return buffer->len > first ? 2 : 1;
}

void vsock_buffer_take(struct vsock_buffer *buffer, uint32_t len)
{
    buffer->start = (buffer->start + len) % VSOCK_BUFFER_SIZE;
    buffer->len -= len;
    if (buffer->len == 0)
        vsock_buffer_clear(buffer);
}

void vsock_buffer_clear(struct vsock_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct vsock_buffer){.bytes = NULL};
}

#include "buffer.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "paging.h"

/* Host memory of [offset, offset + *len), cut at the end of the first page of a virtual one. */
static int one_piece(const struct buffer *buffer, uint64_t offset, uint64_t *len, void **ret_host)
{
    uint64_t gpa = buffer->address + offset, left;
    int r;

    if (buffer->is_virtual) {
        r = paging_translate(buffer->mem, &buffer->paging, gpa, buffer->write, &gpa, &left);
        if (r < 0)
            return r;
        *len = min_u64(*len, left);
    }
    return guest_memory_span(buffer->mem, gpa, *len, ret_host);
}

/* The bytes that are looked at; -EFAULT where the addresses wrap. */
static int checked_length(const struct buffer *buffer, uint64_t *ret_len)
{
    if (buffer->len > 0 && buffer->len - 1 > UINT64_MAX - buffer->address)
        return -EFAULT;
    /* A physical buffer is compared as a whole, at no cost. */
    *ret_len = buffer->is_virtual ? min_u64(buffer->len, BUFFER_MAX) : buffer->len;
    return 0;
}

int buffer_check(const struct buffer *buffer)
{
    uint64_t end, piece;
    void *host;
    int r = checked_length(buffer, &end);

    for (uint64_t at = 0; r == 0 && at < end; at += piece) {
        piece = end - at;
        r = one_piece(buffer, at, &piece, &host);
    }
    return r;
}

int buffer_pieces(const struct buffer *buffer, uint64_t offset, struct iovec ret_iov[BUFFER_PIECES])
{
    uint64_t end = min_u64(buffer->len, BUFFER_MAX), piece;
    int count = 0;

    for (; offset < end; offset += piece) {
        struct iovec *last = count > 0 ? &ret_iov[count - 1] : NULL;
        void *host;

        piece = end - offset;
        if (one_piece(buffer, offset, &piece, &host) < 0)
            return count > 0 ? count : -EFAULT; /* what is there is served first */
        if (last && (uint8_t *)last->iov_base + last->iov_len == host) {
            last->iov_len += piece;
            continue;
        }
        if (count == BUFFER_PIECES)
            break;
        ret_iov[count++] = (struct iovec){host, piece};
    }
    return count;
}

int buffer_fill(const struct buffer *buffer, const void *bytes, size_t len)
{
    uint64_t piece;

    if (len > buffer->len)
        return -EFAULT;
    for (uint64_t at = 0; at < len; at += piece) {
        void *host;

        piece = len - at;
        if (one_piece(buffer, at, &piece, &host) < 0)
            return -EFAULT;
        memcpy(host, (const uint8_t *)bytes + at, piece);
    }
    return 0;
}

#include "vsock_device.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/util.h"

uint32_t vsock_stream_credit(const struct vsock_connection *c)
{
    uint32_t in_flight = c->sent - c->guest_forwarded;

    /* A guest that takes back what it promised, or says that it consumed what it never got. */
    return in_flight < c->guest_buf_alloc ? c->guest_buf_alloc - in_flight : 0;
}

/* ---- Guest to host. ---- */

void vsock_stream_make_deaf(struct vsock_connection *c)
{
    c->host_deaf = true;
    c->vsock->counters.bytes_unsent -= c->unsent.len;
    c->forwarded += c->unsent.len;
    vsock_buffer_clear(&c->unsent);
}

/* Returns how many bytes the host took; it is deaf from now on where it takes none ever again. */
static uint32_t send_to_host(struct vsock_connection *c, struct iovec *iov, unsigned count)
{
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = count};
    ssize_t n;

    do {
        n = sendmsg(c->source.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN)
        vsock_stream_make_deaf(c);
    if (n <= 0)
        return 0;
    c->forwarded += (uint32_t)n;
    c->vsock->counters.bytes_to_host += (uint64_t)n;
    return (uint32_t)n;
}

/* Keep the rest of the payload in vsock->chain for when the host has room. */
static void keep(struct vsock_connection *c, uint32_t done, uint32_t len)
{
    struct vsock *vsock = c->vsock;
    unsigned count = vsock_slice(vsock->chain.iov, vsock->chain.readable_count,
                                 VSOCK_HEADER_SIZE + done, len - done, vsock->iov);

    if (vsock_buffer_append(&c->unsent, vsock->iov, count) < 0)
        vsock_connection_reset(c); /* out of memory: it fits, by the credit */
    else
        vsock->counters.bytes_unsent += len - done;
}

void vsock_stream_to_host(struct vsock_connection *c, uint32_t len)
{
    struct vsock *vsock = c->vsock;
    uint32_t done = 0;

    c->received += len;
    if (!c->host_deaf && c->unsent.len == 0 && len > 0) {
        unsigned count = vsock_slice(vsock->chain.iov, vsock->chain.readable_count,
                                     VSOCK_HEADER_SIZE, len, vsock->iov);

        done = send_to_host(c, vsock->iov, count);
    }
    if (c->host_deaf)
        c->forwarded = c->received;
    else if (done < len)
        keep(c, done, len);
}

void vsock_stream_send_kept(struct vsock_connection *c)
{
    struct iovec iov[2];
    unsigned count = vsock_buffer_peek(&c->unsent, iov);
    uint32_t done;

    if (count == 0)
        return;
    done = send_to_host(c, iov, count);
    if (c->host_deaf)
        return;
    vsock_buffer_take(&c->unsent, done);
    c->vsock->counters.bytes_unsent -= done;
}

void vsock_stream_send_text(struct vsock_connection *c, const char *text, size_t len)
{
    /* Nothing was written to this socket before, so there is room, or nobody. */
    if (send(c->source.fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)len)
        vsock_stream_make_deaf(c);
}

/* ---- Host to guest. ---- */

/* What a read has told, whether of bytes or of the end. */
static void note_read(struct vsock_connection *c, ssize_t n, uint32_t want, int flags)
{
    if (n > 0) {
        c->sent += (uint32_t)n;
        /* A short read has emptied the socket, unless it met the end, or ancillary data, at which
         * the kernel stops. */
        if ((uint32_t)n < want && !c->half_closed && !(flags & MSG_CTRUNC))
            c->readable = false;
    } else if (n == 0) {
        c->host_ended = true;
    } else if (errno == EAGAIN) {
        c->readable = false;
    } else if (errno != EINTR) { /* ECONNRESET: it closed without reading all */
        c->host_ended = true;
        c->hung_up = true;
    }
}

uint32_t vsock_stream_to_guest(struct vsock_connection *c)
{
    struct vsock *vsock = c->vsock;
    const struct virtq_chain *chain = &vsock->chain;
    uint32_t room = chain->writable_len - VSOCK_HEADER_SIZE;
    uint32_t want =
        (uint32_t)min_u64(min_u64(room, vsock_stream_credit(c)), VIRTIO_VSOCK_BUF_ALLOC);
    struct msghdr message = {.msg_iov = vsock->iov};
    ssize_t n;

    if (!vsock_limit_allows(vsock, &vsock->rx_limit))
        return 0;
    message.msg_iovlen = vsock_slice(chain->iov + chain->readable_count, chain->writable_count,
                                     VSOCK_HEADER_SIZE, want, vsock->iov);
    n = recvmsg(c->source.fd, &message, MSG_DONTWAIT);
    note_read(c, n, want, message.msg_flags);
    if (n > 0) {
        rate_limit_charge(&vsock->rx_limit.rate, (uint64_t)n);
        vsock_put_header(c, VSOCK_OP_RW, 0, (uint32_t)n);
    }
    /* To the end of those that have something. */
    TAILQ_REMOVE(&vsock->data, c, data_link);
    c->in_data = false;
    vsock_connection_settle(c);
    return n > 0 ? VSOCK_HEADER_SIZE + (uint32_t)n : 0;
}

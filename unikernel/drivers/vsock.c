/* Vsock: sockets. */
#include "drivers/vsock_private.h"
#include "sdk/memory.h"
#include "sdk/string.h"
#include "sdk/time.h"

#define BUFFER_MIN 4096u
#define LET_GO_US  2000000 /* how long a released socket waits for its peer */
#define BOTH       (VSOCK_SHUTDOWN_RECEIVE | VSOCK_SHUTDOWN_SEND)
#define FIRST_PORT 1024

static struct vsock_socket *create(struct vsock *vsock, enum vsock_state state, uint32_t buffer)
{
    struct vsock_socket *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->vsock = vsock;
    s->state = state;
    s->buffer_size = buffer < BUFFER_MIN ? BUFFER_MIN : buffer;
    if (state != VSOCK_LISTENING) {
        s->buffer = malloc(s->buffer_size);
        if (!s->buffer) {
            free(s);
            return NULL;
        }
    }
    s->next = vsock->sockets;
    vsock->sockets = s;
    return s;
}

static void destroy(struct vsock_socket *s)
{
    struct vsock_socket **link = &s->vsock->sockets;

    while (*link != s)
        link = &(*link)->next;
    *link = s->next;
    free(s->buffer);
    free(s);
}

static struct vsock_socket *find_listener(const struct vsock *vsock, uint32_t port)
{
    for (struct vsock_socket *s = vsock->sockets; s; s = s->next)
        if (s->state == VSOCK_LISTENING && s->port == port)
            return s;
    return NULL;
}

static struct vsock_socket *find_connection(const struct vsock *vsock,
                                            const struct vsock_header *header)
{
    for (struct vsock_socket *s = vsock->sockets; s; s = s->next)
        if (s->state != VSOCK_LISTENING && s->state != VSOCK_CLOSED &&
            s->port == header->target_port && s->peer_port == header->source_port &&
            s->peer_cid == header->source_cid)
            return s;
    return NULL;
}

static bool port_in_use(const struct vsock *vsock, uint32_t port)
{
    for (const struct vsock_socket *s = vsock->sockets; s; s = s->next)
        if (s->port == port)
            return true;
    return false;
}

static void note_credit(struct vsock_socket *s, const struct vsock_header *header)
{
    s->peer_buffer = header->buffer_size;
    s->peer_forwarded = header->forwarded;
    s->asked_for_credit = false;
}

/* A released socket goes once the peer has let go; another one stays for its owner to see. */
static void closed(struct vsock_socket *s)
{
    if (s->state == VSOCK_CLOSING)
        destroy(s);
    else
        s->state = VSOCK_CLOSED;
}

static void refuse(struct vsock *vsock, const struct vsock_header *header)
{
    struct vsock_header answer = {
        .source_cid = header->target_cid,
        .target_cid = header->source_cid,
        .source_port = header->target_port,
        .target_port = header->source_port,
        .type = header->type,
        .op = VSOCK_OP_RST,
    };

    if (header->op != VSOCK_OP_RST)
        vsock_send_packet(vsock, &answer, NULL, 0);
}

static void handle_request(struct vsock *vsock, const struct vsock_header *header)
{
    struct vsock_socket *listener = find_listener(vsock, header->target_port), *s = NULL;

    if (listener && !find_connection(vsock, header))
        s = create(vsock, VSOCK_CONNECTED, listener->buffer_size);
    if (!s) {
        refuse(vsock, header);
        return;
    }
    s->listener = listener;
    s->port = header->target_port;
    s->peer_port = header->source_port;
    s->peer_cid = header->source_cid;
    note_credit(s, header);
    vsock_send_op(s, VSOCK_OP_RESPONSE, 0, NULL, 0);
}

static void handle_data(struct vsock_socket *s, const uint8_t *data, uint32_t length)
{
    uint32_t tail, first;

    if (length > s->buffer_size - s->buffer_used) {
        vsock_send_op(s, VSOCK_OP_RST, 0, NULL, 0); /* past its credit */
        closed(s);
        return;
    }
    if (s->state == VSOCK_CLOSING) { /* nobody reads it any more */
        s->forwarded += length;
        return;
    }
    tail = (s->buffer_head + s->buffer_used) % s->buffer_size;
    first = length < s->buffer_size - tail ? length : s->buffer_size - tail;
    memcpy(s->buffer + tail, data, first);
    memcpy(s->buffer, data + first, length - first);
    s->buffer_used += length;
}

static void handle_shutdown(struct vsock_socket *s, uint32_t flags)
{
    s->peer_shutdown |= (uint8_t)(flags & BOTH);
    /* 5.10.6.6: both directions are closed; the answer lets the peer forget the connection. */
    if (s->peer_shutdown == BOTH && s->buffer_used == 0) {
        vsock_send_op(s, VSOCK_OP_RST, 0, NULL, 0);
        closed(s);
    }
}

void vsock_handle(struct vsock *vsock, const struct vsock_header *header, const uint8_t *data)
{
    struct vsock_socket *s = find_connection(vsock, header);

    if (header->target_cid != vsock->cid)
        return;
    if (header->op == VSOCK_OP_REQUEST && header->type == VSOCK_TYPE_STREAM) {
        handle_request(vsock, header);
        return;
    }
    if (!s || header->type != VSOCK_TYPE_STREAM) {
        refuse(vsock, header);
        return;
    }
    note_credit(s, header);
    switch (header->op) {
    case VSOCK_OP_RESPONSE:
        if (s->state == VSOCK_CONNECTING)
            s->state = VSOCK_CONNECTED;
        break;
    case VSOCK_OP_RST:
        closed(s);
        break;
    case VSOCK_OP_SHUTDOWN:
        handle_shutdown(s, header->flags);
        break;
    case VSOCK_OP_RW:
        handle_data(s, data, header->length);
        break;
    case VSOCK_OP_CREDIT_REQUEST:
        vsock_send_op(s, VSOCK_OP_CREDIT_UPDATE, 0, NULL, 0);
        break;
    default:
        break;
    }
}

void vsock_handle_transport_reset(struct vsock *vsock)
{
    struct vsock_socket *next;

    for (struct vsock_socket *s = vsock->sockets; s; s = next) {
        next = s->next;
        if (s->state != VSOCK_LISTENING)
            closed(s);
    }
}

void vsock_expire(struct vsock *vsock)
{
    struct vsock_socket *next;
    uint64_t now = time_us();

    for (struct vsock_socket *s = vsock->sockets; s; s = next) {
        next = s->next;
        if (s->state == VSOCK_CLOSING && now - s->closing_since_us > LET_GO_US) {
            vsock_send_op(s, VSOCK_OP_RST, 0, NULL, 0);
            destroy(s);
        }
    }
}

/* Handle packets until there is one or time is over. */
static bool more(struct vsock *vsock, uint64_t end)
{
    uint64_t now = time_us();

    if (now >= end)
        return false;
    vsock_wait(vsock, end - now);
    return !virtio_is_broken(vsock->dev);
}

struct vsock_socket *vsock_listen(struct vsock *vsock, uint32_t port, uint32_t buffer)
{
    struct vsock_socket *s;

    if (find_listener(vsock, port))
        return NULL;
    s = create(vsock, VSOCK_LISTENING, buffer);
    if (s)
        s->port = port;
    return s;
}

static struct vsock_socket *unaccepted(struct vsock_socket *listener)
{
    struct vsock_socket *oldest = NULL;

    /* New ones are put in front, so the last in the list has waited longest. */
    for (struct vsock_socket *s = listener->vsock->sockets; s; s = s->next)
        if (s->listener == listener)
            oldest = s;
    return oldest;
}

struct vsock_socket *vsock_accept(struct vsock_socket *listener, uint64_t microseconds)
{
    uint64_t end = time_us() + microseconds;
    struct vsock_socket *s;

    vsock_poll(listener->vsock);
    while (!(s = unaccepted(listener)))
        if (!more(listener->vsock, end))
            return NULL;
    s->listener = NULL;
    return s;
}

struct vsock_socket *vsock_connect(struct vsock *vsock, uint64_t cid, uint32_t port,
                                   uint32_t buffer, uint64_t microseconds)
{
    struct vsock_socket *s = create(vsock, VSOCK_CONNECTING, buffer);
    uint64_t end = time_us() + microseconds;

    if (!s)
        return NULL;
    while (port_in_use(vsock, vsock->next_port))
        vsock->next_port = vsock->next_port + 1 ? vsock->next_port + 1 : FIRST_PORT;
    s->port = vsock->next_port++;
    s->peer_cid = cid;
    s->peer_port = port;
    vsock_send_op(s, VSOCK_OP_REQUEST, 0, NULL, 0);
    while (s->state == VSOCK_CONNECTING && more(vsock, end))
        ;
    if (s->state == VSOCK_CONNECTED)
        return s;
    if (s->state == VSOCK_CONNECTING)
        vsock_send_op(s, VSOCK_OP_RST, 0, NULL, 0);
    destroy(s);
    return NULL;
}

uint32_t vsock_credit(const struct vsock_socket *s)
{
    uint32_t in_flight = s->sent - s->peer_forwarded;

    return in_flight < s->peer_buffer ? s->peer_buffer - in_flight : 0;
}

static bool may_send(const struct vsock_socket *s)
{
    return s->state == VSOCK_CONNECTED && !(s->own_shutdown & VSOCK_SHUTDOWN_SEND) &&
           !(s->peer_shutdown & VSOCK_SHUTDOWN_RECEIVE);
}

uint32_t vsock_send(struct vsock_socket *s, const void *data, uint32_t length,
                    uint64_t microseconds)
{
    uint64_t end = time_us() + microseconds;
    uint32_t done = 0;

    while (done < length && may_send(s)) {
        uint32_t part = vsock_credit(s);

        if (part == 0) {
            if (!s->asked_for_credit)
                vsock_send_op(s, VSOCK_OP_CREDIT_REQUEST, 0, NULL, 0);
            s->asked_for_credit = true;
            if (!more(s->vsock, end))
                break;
            continue;
        }
        if (part > length - done)
            part = length - done;
        if (part > VSOCK_PACKET_MAX)
            part = VSOCK_PACKET_MAX;
        if (!vsock_send_op(s, VSOCK_OP_RW, 0, (const uint8_t *)data + done, part))
            break;
        s->sent += part;
        done += part;
    }
    return done;
}

bool vsock_ended(const struct vsock_socket *s)
{
    return s->buffer_used == 0 &&
           (s->state != VSOCK_CONNECTED || (s->peer_shutdown & VSOCK_SHUTDOWN_SEND));
}

static uint32_t take_out(struct vsock_socket *s, uint8_t *data, uint32_t size)
{
    uint32_t length = s->buffer_used < size ? s->buffer_used : size;
    uint32_t first = s->buffer_size - s->buffer_head;

    if (first > length)
        first = length;
    memcpy(data, s->buffer + s->buffer_head, first);
    memcpy(data + first, s->buffer, length - first);
    s->buffer_head = (s->buffer_head + length) % s->buffer_size;
    s->buffer_used -= length;
    s->forwarded += length;
    return length;
}

uint32_t vsock_receive(struct vsock_socket *s, void *data, uint32_t size, uint64_t microseconds)
{
    uint64_t end;
    uint32_t length;

    if (s->buffer_used == 0) {
        end = time_us() + microseconds;
        vsock_poll(s->vsock);
        while (s->buffer_used == 0 && !vsock_ended(s) && more(s->vsock, end))
            ;
    }
    length = take_out(s, data, size);
    if (s->state != VSOCK_CONNECTED)
        return length;
    if (s->peer_shutdown == BOTH && s->buffer_used == 0)
        handle_shutdown(s, 0);
    else if (s->forwarded - s->told >= s->buffer_size / 4)
        vsock_send_op(s, VSOCK_OP_CREDIT_UPDATE, 0, NULL, 0);
    return length;
}

void vsock_shutdown(struct vsock_socket *s, uint8_t directions)
{
    if (s->state != VSOCK_CONNECTED)
        return;
    s->own_shutdown |= directions;
    vsock_send_op(s, VSOCK_OP_SHUTDOWN, s->own_shutdown, NULL, 0);
}

static void release_unaccepted(struct vsock_socket *listener)
{
    for (struct vsock_socket *s; (s = unaccepted(listener));) {
        if (s->state == VSOCK_CONNECTED)
            vsock_send_op(s, VSOCK_OP_RST, 0, NULL, 0);
        destroy(s);
    }
}

void vsock_release(struct vsock_socket *s)
{
    if (s->state == VSOCK_LISTENING)
        release_unaccepted(s);
    if (s->state != VSOCK_CONNECTED) {
        destroy(s);
        return;
    }
    vsock_shutdown(s, BOTH);
    s->state = VSOCK_CLOSING;
    s->closing_since_us = time_us();
}

void vsock_close(struct vsock *vsock)
{
    virtio_stop(vsock->dev);
    while (vsock->sockets)
        destroy(vsock->sockets);
    vsock_buffers_free(vsock);
    *vsock = (struct vsock){0};
}

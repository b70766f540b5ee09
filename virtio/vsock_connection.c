/* Section numbers are those of virtio 1.2. */
#include "vsock_device.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"

struct vsock_connection *vsock_connection_create(struct vsock *vsock, enum vsock_state state,
                                                 int fd)
{
    struct vsock_connection *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->vsock = vsock;
    c->state = state;
    c->source.fd = fd;
    TAILQ_INSERT_TAIL(&vsock->all, c, all_link);
    vsock->connection_count++;
    return c;
}

/* ---- Lists. Each membership is a flag, so that leaving twice does nothing. ---- */

static void join(struct vsock_connection *c, bool *member)
{
    struct vsock *v = c->vsock;

    if (*member)
        return;
    *member = true;
    if (member == &c->in_control)
        TAILQ_INSERT_TAIL(&v->control, c, control_link);
    else if (member == &c->in_data)
        TAILQ_INSERT_TAIL(&v->data, c, data_link);
    else if (member == &c->in_deferred)
        TAILQ_INSERT_TAIL(&v->deferred, c, deferred_link);
    else
        TAILQ_INSERT_TAIL(&v->deadlines, c, deadline_link);
}

static void leave(struct vsock_connection *c, bool *member)
{
    struct vsock *v = c->vsock;

    if (!*member)
        return;
    *member = false;
    if (member == &c->in_control)
        TAILQ_REMOVE(&v->control, c, control_link);
    else if (member == &c->in_data)
        TAILQ_REMOVE(&v->data, c, data_link);
    else if (member == &c->in_deferred)
        TAILQ_REMOVE(&v->deferred, c, deferred_link);
    else
        TAILQ_REMOVE(&v->deadlines, c, deadline_link);
}

static void defer(struct vsock_connection *c)
{
    join(c, &c->in_deferred);
    vsock_wake(c->vsock);
}

void vsock_connection_set_deadline(struct vsock_connection *c)
{
    leave(c, &c->has_deadline);
    c->deadline_ns = clock_monotonic_ns() + c->vsock->timeout_ns;
    join(c, &c->has_deadline);
    vsock_update_timer(c->vsock);
}

static void close_host(struct vsock_connection *c)
{
    loop_remove(c->vsock->device.env.loop, &c->source);
    close_fd(take_fd(&c->source.fd));
}

void vsock_connection_destroy(struct vsock_connection *c)
{
    close_host(c);
    vsock_table_remove(c);
    leave(c, &c->in_control);
    leave(c, &c->in_data);
    leave(c, &c->in_deferred);
    leave(c, &c->has_deadline);
    TAILQ_REMOVE(&c->vsock->all, c, all_link);
    c->vsock->connection_count--;
    vsock_stream_make_deaf(c);
    free(c);
}

/* ---- What is owed to the guest. ---- */

static void owe(struct vsock_connection *c, unsigned owed)
{
    c->owed |= owed;
    join(c, &c->in_control);
}

/* In this order, so that a connection begins before it says anything else. */
static const struct {
    enum vsock_owed owed;
    enum vsock_op op;
} owed_order[] = {
    {VSOCK_OWES_RST, VSOCK_OP_RST},
    {VSOCK_OWES_REQUEST, VSOCK_OP_REQUEST},
    {VSOCK_OWES_RESPONSE, VSOCK_OP_RESPONSE},
    {VSOCK_OWES_SHUTDOWN, VSOCK_OP_SHUTDOWN},
    {VSOCK_OWES_CREDIT_UPDATE, VSOCK_OP_CREDIT_UPDATE},
    {VSOCK_OWES_CREDIT_REQUEST, VSOCK_OP_CREDIT_REQUEST},
};

void vsock_connection_write_owed(struct vsock_connection *c)
{
    size_t i = 0;

    while (i < ARRAY_SIZE(owed_order) - 1 && !(c->owed & owed_order[i].owed))
        i++;
    vsock_put_header(c, owed_order[i].op,
                     owed_order[i].op == VSOCK_OP_SHUTDOWN ? c->shutdown_told : 0, 0);
    /* Every packet tells of the credit. */
    c->owed &= ~(unsigned)(owed_order[i].owed | VSOCK_OWES_CREDIT_UPDATE);
    leave(c, &c->in_control);
    if (c->owed)
        join(c, &c->in_control);
    if (owed_order[i].owed == VSOCK_OWES_RST)
        vsock_table_remove(c);
    if (c->state == VSOCK_DEAD)
        defer(c);
    else
        vsock_connection_settle(c);
}

/* ---- The end. ---- */

/* It is over but for a RST that may be owed: let go of everything but the memory and the socket. */
static void end(struct vsock_connection *c)
{
    if (c->state == VSOCK_DEAD)
        return;
    c->state = VSOCK_DEAD;
    leave(c, &c->in_data);
    leave(c, &c->has_deadline);
    vsock_stream_make_deaf(c);
    defer(c);
}

/* The guest is owed a RST and nothing else; it is owed nothing where it never heard of it. */
static void owe_rst(struct vsock_connection *c)
{
    bool unknown = !c->in_table || (c->owed & VSOCK_OWES_REQUEST);

    c->owed = 0;
    leave(c, &c->in_control);
    if (unknown)
        vsock_table_remove(c);
    else
        owe(c, VSOCK_OWES_RST);
}

void vsock_connection_reset(struct vsock_connection *c)
{
    owe_rst(c);
    end(c);
}

void vsock_connection_drop(struct vsock_connection *c)
{
    c->owed = 0;
    leave(c, &c->in_control);
    vsock_table_remove(c);
    end(c);
}

void vsock_connection_drop_all(struct vsock *vsock)
{
    struct vsock_connection *c = TAILQ_FIRST(&vsock->all);

    for (; c; c = TAILQ_NEXT(c, all_link)) {
        vsock_connection_drop(c);
        defer(c); /* it may have been waiting to deliver a RST */
    }
}

/* For the guest it is over; the host still gets what the guest sent. */
static void linger(struct vsock_connection *c)
{
    owe_rst(c);
    leave(c, &c->in_data);
    leave(c, &c->has_deadline);
    c->state = VSOCK_LINGER;
}

void vsock_connection_expire(struct vsock_connection *c)
{
    leave(c, &c->has_deadline);
    if (c->state == VSOCK_OPEN && c->unsent.len > 0)
        linger(c);
    else
        vsock_connection_reset(c);
}

/* ---- What follows from the state of both sides. ---- */

static void settle_shutdown(struct vsock_connection *c, bool to_host_over, bool to_guest_over)
{
    uint32_t tell =
        (c->host_ended ? VSOCK_SHUTDOWN_SEND : 0) | (c->host_deaf ? VSOCK_SHUTDOWN_RECEIVE : 0);

    if (to_host_over && to_guest_over) {
        tell = VSOCK_SHUTDOWN_BOTH;
        if (!c->has_deadline)
            vsock_connection_set_deadline(c); /* for the guest to answer with a RST */
    }
    if (tell & ~c->shutdown_told) {
        c->shutdown_told |= tell;
        owe(c, VSOCK_OWES_SHUTDOWN);
    }
}

/* Whether the guest may be sent data: told in turns, one packet a turn. */
static void settle_data(struct vsock_connection *c)
{
    bool wanted = c->readable && !c->host_ended && !c->guest_deaf;

    if (wanted && vsock_stream_credit(c) == 0) {
        wanted = false;
        if (!c->credit_asked) {
            c->credit_asked = true;
            owe(c, VSOCK_OWES_CREDIT_REQUEST);
        }
    }
    if (wanted)
        join(c, &c->in_data);
    else
        leave(c, &c->in_data);
}

static void settle_open(struct vsock_connection *c)
{
    bool to_host_over, to_guest_over;

    if (c->hung_up && (c->host_ended || c->guest_deaf))
        vsock_stream_make_deaf(c);
    if (c->guest_ended && c->unsent.len == 0 && !c->end_passed) {
        c->end_passed = true;
        shutdown(c->source.fd, SHUT_WR);
    }
    to_host_over = c->host_deaf || (c->guest_ended && c->unsent.len == 0);
    to_guest_over = c->host_ended || c->guest_deaf;
    if (c->guest_ended && c->guest_deaf && to_host_over) {
        vsock_connection_reset(c); /* 5.10.6.7: the answer to a SHUTDOWN of both */
        return;
    }
    if (c->guest_ended && c->guest_deaf && !c->has_deadline)
        vsock_connection_set_deadline(c);
    settle_shutdown(c, to_host_over, to_guest_over);
    if (c->forwarded - c->forwarded_told >= VSOCK_CREDIT_STEP)
        owe(c, VSOCK_OWES_CREDIT_UPDATE);
    settle_data(c);
}

/* Ask for room in the host's socket only while something waits for it. */
static void settle_events(struct vsock_connection *c)
{
    uint32_t events = EPOLLIN | EPOLLRDHUP | EPOLLET | (c->unsent.len > 0 ? EPOLLOUT : 0);

    loop_modify(c->vsock->device.env.loop, &c->source, events);
}

void vsock_connection_settle(struct vsock_connection *c)
{
    if (c->state == VSOCK_OPEN)
        settle_open(c);
    else if (c->state == VSOCK_LINGER && c->unsent.len == 0)
        end(c);
    if (c->state == VSOCK_OPEN || c->state == VSOCK_LINGER)
        settle_events(c);
}

/* ---- Events of the host's socket. ---- */

static void on_host(struct loop_source *source, uint32_t events)
{
    struct vsock_connection *c = container_of(source, struct vsock_connection, source);
    struct vsock *vsock = c->vsock;

    pthread_mutex_lock(&vsock->device.lock);
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        c->readable = true;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        c->half_closed = true;
    if (events & (EPOLLHUP | EPOLLERR))
        c->hung_up = true;
    if (c->state == VSOCK_LINE)
        vsock_listener_read_line(c);
    if (c->state == VSOCK_OPEN || c->state == VSOCK_LINGER)
        vsock_stream_send_kept(c);
    vsock_connection_settle(c);
    vsock_rx_pump(vsock, VSOCK_EVENT_PACKETS);
    pthread_mutex_unlock(&vsock->device.lock);
}

int vsock_connection_watch(struct vsock_connection *c)
{
    /* By edges: what cannot be read now (no credit, no buffer) does not keep the loop awake. */
    c->source.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
    c->source.callback = on_host;
    return loop_add(c->vsock->device.env.loop, &c->source);
}

/* ---- The guest connects to the host. ---- */

static void take_credit(struct vsock_connection *c, const struct vsock_header *header)
{
    c->guest_buf_alloc = header->buf_alloc;
    c->guest_forwarded = header->fwd_cnt;
    if (vsock_stream_credit(c) > 0)
        c->credit_asked = false;
}

void vsock_connection_request_host(struct vsock *vsock, const struct vsock_header *header)
{
    struct vsock_connection *c = NULL;

    vsock->counters.guest_connections++;
    if (vsock->connection_count >= VIRTIO_VSOCK_MAX_CONNECTIONS)
        vsock->counters.refused++;
    else
        c = vsock_connection_create(vsock, VSOCK_CONNECTING, -1);
    if (!c) {
        vsock_owe_stray(vsock, header);
        return;
    }
    c->guest_port = header->src_port;
    c->host_port = header->dst_port;
    vsock_table_add(c);
    take_credit(c, header);
    vsock_connection_set_deadline(c);
    defer(c);
}

/* Returns a connected socket; -EAGAIN where the listener has too many waiting; another errno. */
static int connect_host(const struct vsock *vsock, uint32_t port)
{
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_un address;

    if (fd < 0)
        return -errno;
    vsock_host_address(vsock, port, &address);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    return take_fd(&fd);
}

static void start(struct vsock_connection *c)
{
    struct vsock *vsock = c->vsock;
    int r = connect_host(vsock, c->host_port);

    if (r == -EAGAIN) { /* a Unix socket does not tell when there is room again */
        join(c, &c->in_deferred);
        vsock_retry_soon(vsock);
        return;
    }
    if (r >= 0) {
        c->source.fd = r;
        r = vsock_connection_watch(c);
    }
    if (r < 0) {
        if (r != -ENOENT && r != -ECONNREFUSED)
            log_write_limited(vsock->device.env.log, &vsock->host_log, LOG_WARNING,
                              "%s: cannot connect the guest to '%s_%" PRIu32 "': %s",
                              vsock->device.name, vsock->path, c->host_port, strerror(-r));
        vsock_connection_reset(c);
        return;
    }
    leave(c, &c->has_deadline);
    c->state = VSOCK_OPEN;
    owe(c, VSOCK_OWES_RESPONSE);
}

void vsock_run_deferred(struct vsock *vsock)
{
    struct vsock_connection *last = TAILQ_LAST(&vsock->deferred, vsock_list);
    bool done = !last;

    /* Those that are there now: what has to be tried again comes in behind them. */
    while (!done) {
        struct vsock_connection *c = TAILQ_FIRST(&vsock->deferred);

        done = c == last;
        leave(c, &c->in_deferred);
        if (c->state == VSOCK_CONNECTING)
            start(c);
        if (c->state == VSOCK_DEAD && c->owed)
            close_host(c); /* it stays until the guest has its RST */
        else if (c->state == VSOCK_DEAD)
            vsock_connection_destroy(c);
    }
}

/* ---- The host connects to the guest. ---- */

void vsock_connection_request_guest(struct vsock_connection *c, uint32_t guest_port)
{
    c->guest_port = guest_port;
    c->host_port = vsock_table_new_host_port(c->vsock, guest_port);
    vsock_table_add(c);
    c->state = VSOCK_REQUESTED;
    owe(c, VSOCK_OWES_REQUEST);
    vsock_connection_set_deadline(c);
}

static void answer_client(struct vsock_connection *c)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "OK %" PRIu32 "\n", c->host_port);

    leave(c, &c->has_deadline);
    c->state = VSOCK_OPEN;
    vsock_stream_send_text(c, text, (size_t)len);
}

/* ---- Packets of the guest. ---- */

static void reset_malformed(struct vsock_connection *c)
{
    c->vsock->counters.malformed++;
    vsock_connection_reset(c);
}

static void on_packet_open(struct vsock_connection *c, const struct vsock_header *header)
{
    switch (header->op) {
    case VSOCK_OP_RW:
        /* 5.10.6.3.2: never more than the credit that it knows of. */
        if (c->guest_ended ||
            header->len > VIRTIO_VSOCK_BUF_ALLOC - (c->received - c->forwarded_told))
            reset_malformed(c);
        else
            vsock_stream_to_host(c, header->len);
        break;
    case VSOCK_OP_SHUTDOWN:
        if (header->flags & VSOCK_SHUTDOWN_SEND)
            c->guest_ended = true;
        if ((header->flags & VSOCK_SHUTDOWN_RECEIVE) && !c->guest_deaf) {
            c->guest_deaf = true;
            shutdown(c->source.fd, SHUT_RD); /* who writes to it hears of it */
        }
        break;
    case VSOCK_OP_CREDIT_UPDATE:
        break;
    case VSOCK_OP_CREDIT_REQUEST:
        owe(c, VSOCK_OWES_CREDIT_UPDATE);
        break;
    case VSOCK_OP_RST:
        vsock_connection_drop(c);
        break;
    default:
        reset_malformed(c);
        break;
    }
}

void vsock_connection_on_packet(struct vsock_connection *c, const struct vsock_header *header)
{
    take_credit(c, header);
    if (c->state == VSOCK_OPEN) {
        on_packet_open(c, header);
    } else if (header->op == VSOCK_OP_RST) {
        vsock_connection_drop(c);
    } else if (c->state == VSOCK_REQUESTED && header->op == VSOCK_OP_RESPONSE &&
               !(c->owed & VSOCK_OWES_REQUEST)) {
        c->vsock->counters.guest_accepted++;
        answer_client(c);
    } else {
        reset_malformed(c);
    }
    vsock_connection_settle(c);
}

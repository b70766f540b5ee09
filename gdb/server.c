#include "gdb/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/listen.h"
#include "base/parse.h"
#include "base/util.h"
#include "kvm_target.h"
#include "packet.h"
#include "session.h"

#define INPUT_BYTES 4096

struct gdb_server {
    struct loop *loop;
    const struct log *log;
    struct vcpu_gate *gate;
    struct gdb_server_user *user;
    char *path; /* of the Unix socket, owned; NULL: a port */
    struct loop_source listener;

    struct gate_hold hold;
    bool awaited; /* nobody has been here yet: the guest waits */
    bool still;   /* all CPUs stand still for us */

    struct loop_source client; /* fd -1: none */
    bool attached;             /* the session has begun: the client came, and all stood still */
    struct kvm_target target;
    struct gdb_session session;
    struct gdb_reader reader;
    struct gdb_reply reply; /* the last one: it may be asked for again */

    /* Input is taken only while no output waits, so neither can grow. */
    size_t in_start, in_len;
    uint8_t in[INPUT_BYTES];
    size_t out_start, out_len;
    uint8_t out[1 + GDB_FRAME_MAX]; /* an acknowledgment and a reply */
};

/* What the client is waited for: nothing before all CPUs stand still; to read; or to write. */
static void watch(struct gdb_server *server)
{
    uint32_t events = server->out_len ? EPOLLOUT : server->attached ? EPOLLIN : 0;

    if (server->client.added)
        loop_modify(server->loop, &server->client, events);
}

/* Nobody debugs any more: take back what was done, and let the guest go. */
static void let_go(struct gdb_server *server)
{
    kvm_target_clear(&server->target);
    server->still = false;
    vcpu_gate_release(server->gate, &server->hold);
}

static void drop_client(struct gdb_server *server)
{
    if (server->client.fd < 0)
        return;
    loop_remove(server->loop, &server->client);
    close_fd(take_fd(&server->client.fd));
    if (server->attached)
        gdb_session_end(&server->session);
    server->attached = false;
    server->in_start = server->in_len = server->out_start = server->out_len = 0;
    if (server->still)
        let_go(server);
    else
        vcpu_gate_hold(server->gate, &server->hold); /* on_still() goes on with it */
    loop_modify(server->loop, &server->listener, EPOLLIN);
}

/* Returns whether the client is still there. */
static bool flush(struct gdb_server *server)
{
    while (server->out_len > 0) {
        ssize_t n = send(server->client.fd, server->out + server->out_start, server->out_len,
                         MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n < 0) {
            drop_client(server);
            return false;
        }
        server->out_start += (size_t)n;
        server->out_len -= (size_t)n;
    }
    server->out_start = 0;
    return true;
}

static void queue_byte(struct gdb_server *server, char byte)
{
    if (!server->session.no_ack)
        server->out[server->out_start + server->out_len++] = (uint8_t)byte;
}

static void queue_reply(struct gdb_server *server)
{
    server->out_len +=
        gdb_reply_frame(&server->reply, server->out + server->out_start + server->out_len);
}

static void take_packet(struct gdb_server *server)
{
    const struct gdb_reader *reader = &server->reader;

    queue_byte(server, '+');
    server->reply.len = 0;
    if (gdb_session_packet(&server->session, reader->payload, reader->len, &server->reply))
        queue_reply(server);
    if (server->session.running)
        server->still = false;
}

static void take_event(struct gdb_server *server, enum gdb_event event)
{
    switch (event) {
    case GDB_PACKET:
        take_packet(server);
        break;
    case GDB_TOO_LONG:
        queue_byte(server, '+');
        server->reply.len = 0;
        gdb_reply_format(&server->reply, "E%02x", E2BIG);
        queue_reply(server);
        break;
    case GDB_BAD_SUM:
        queue_byte(server, '-');
        break;
    case GDB_INTERRUPT:
        gdb_session_interrupt(&server->session);
        break;
    case GDB_NOT_SEEN:
        if (!server->session.no_ack && server->reply.len > 0)
            queue_reply(server);
        break;
    case GDB_NOTHING:
        break;
    }
}

/* Work through what was read, as long as what it leads to can be sent. */
static void pump(struct gdb_server *server)
{
    while (server->attached && server->in_len > 0 && server->out_len == 0) {
        uint8_t byte = server->in[server->in_start++];

        server->in_len--;
        take_event(server, gdb_reader_feed(&server->reader, byte));
        if (!flush(server))
            return;
        if (server->session.detached && server->out_len == 0) {
            drop_client(server);
            return;
        }
    }
    watch(server);
}

static void on_client_ready(struct loop_source *source, uint32_t events)
{
    struct gdb_server *server = container_of(source, struct gdb_server, client);

    if (events & EPOLLOUT) {
        if (!flush(server))
            return;
    } else if (events & EPOLLIN) {
        ssize_t n;

        if (server->in_len > 0) /* still to be worked through: the events were older than that */
            return;
        n = recv(source->fd, server->in, sizeof(server->in), MSG_DONTWAIT);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            return;
        if (n <= 0) {
            drop_client(server);
            return;
        }
        server->in_start = 0;
        server->in_len = (size_t)n;
    } else {
        drop_client(server); /* it has hung up */
        return;
    }
    pump(server);
}

/* The client is there and all CPUs stand still. */
static void attach(struct gdb_server *server)
{
    kvm_target_clear(&server->target); /* of a client before that left while the guest ran */
    if (gdb_session_begin(&server->session, &server->target.target) < 0) {
        gdb_session_end(&server->session);
        log_error(server->log, "gdb: out of memory");
        drop_client(server);
        return;
    }
    server->reader.state = GDB_OUTSIDE;
    server->reply.len = 0;
    server->attached = true;
    watch(server);
}

static void on_still(struct gate_hold *hold)
{
    struct gdb_server *server = container_of(hold, struct gdb_server, hold);
    struct gdb_stop stop;

    server->still = true;
    if (server->client.fd < 0) {
        if (!server->awaited)
            let_go(server); /* the client left while the guest ran */
        return;
    }
    if (!server->attached) {
        attach(server);
        return;
    }
    stop = kvm_target_next_stop(&server->target);
    server->reply.len = 0;
    gdb_session_stopped(&server->session, &stop, &server->reply);
    queue_reply(server);
    if (flush(server))
        pump(server);
}

static void on_connection(struct loop_source *source, uint32_t events)
{
    struct gdb_server *server = container_of(source, struct gdb_server, listener);
    _cleanup_close_ int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    const int on = 1;

    (void)events;
    if (fd < 0)
        return;
    if (!server->path)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    server->client = (struct loop_source){.fd = fd, .callback = on_client_ready};
    if (loop_add(server->loop, &server->client) < 0) {
        server->client.fd = -1;
        return;
    }
    take_fd(&fd);
    server->awaited = false;
    loop_modify(server->loop, source, 0); /* one at a time: the next waits in the backlog */
    if (server->still)
        attach(server);
    else
        vcpu_gate_hold(server->gate, &server->hold);
}

static void on_kill(struct kvm_target *target)
{
    struct gdb_server *server = container_of(target, struct gdb_server, target);

    server->user->kill(server->user);
}

/* A number is a port; a path that is one too is written ./1234. */
static bool parse_port(const char *where, uint16_t *ret_port)
{
    uint64_t port;

    if (parse_u64(where, 1, UINT16_MAX, &port) < 0)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

int gdb_server_check(const char *where, struct error *err)
{
    uint16_t port;

    if (!*where)
        return error_set(err, -EINVAL, "a port or a socket's path is wanted, this is empty");
    if (strspn(where, "0123456789") == strlen(where) && !parse_port(where, &port))
        return error_set(err, -EINVAL, "'%s' is not a port; say 1 to 65535, or a socket's path",
                         where);
    return 0;
}

static int listen_there(struct gdb_server *server, const char *where, struct error *err)
{
    uint16_t port;
    int r;

    if (parse_port(where, &port))
        return listen_loopback(port, &server->listener.fd, err);
    server->path = strdup(where);
    if (!server->path)
        return error_set(err, -ENOMEM, "out of memory");
    r = listen_unix(where, &server->listener.fd, err);
    if (r < 0)
        free(take_ptr(server->path)); /* what is there is not ours to remove */
    return r;
}

int gdb_server_create(const char *where, const struct gdb_server_machine *machine,
                      struct gdb_server **ret_server, struct error *err)
{
    _cleanup_(gdb_server_destroy_cleanup) struct gdb_server *server = calloc(1, sizeof(*server));
    int r;

    if (!server)
        return error_set(err, -ENOMEM, "out of memory");
    server->loop = machine->loop;
    server->log = machine->log;
    server->gate = machine->gate;
    server->user = machine->user;
    server->hold.stopped = on_still;
    server->listener = (struct loop_source){.fd = -1, .callback = on_connection};
    server->client.fd = -1;
    r = kvm_target_init(&server->target, machine->vcpus, machine->vcpu_count, machine->mem,
                        machine->gate, &server->hold, on_kill);
    if (r < 0)
        return error_set(err, r, "out of memory");
    r = listen_there(server, where, err);
    if (r < 0)
        return r;
    *ret_server = take_ptr(server);
    return 0;
}

void gdb_server_destroy(struct gdb_server *server)
{
    if (!server)
        return;
    loop_remove(server->loop, &server->client);
    loop_remove(server->loop, &server->listener);
    close_fd(server->client.fd);
    close_fd(server->listener.fd);
    if (server->path)
        unlink(server->path);
    free(server->path);
    if (server->attached)
        gdb_session_end(&server->session);
    kvm_target_destroy(&server->target);
    free(server);
}

int gdb_server_start(struct gdb_server *server)
{
    server->listener.events = EPOLLIN;
    server->awaited = true;
    vcpu_gate_hold(server->gate, &server->hold);
    return loop_add(server->loop, &server->listener);
}

void gdb_server_ended(struct gdb_server *server, int status)
{
    if (!server->attached || !server->session.running || server->out_len > 0)
        return;
    server->reply.len = 0;
    gdb_reply_format(&server->reply, "W%02x", (unsigned)status & 0xff);
    queue_reply(server);
    /* A client that does not take this much has the end of the connection to go by. */
    if (send(server->client.fd, server->out, server->out_len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        log_info(server->log, "gdb was not told of the end: %s", strerrordesc_np(errno));
}

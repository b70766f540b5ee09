#include "server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/listen.h"
#include "base/util.h"

#define FIRST_ROOM 1024
/* Of what a client sends behind a request that was refused: read, so that it gets to the answer. */
#define MAX_DISCARDED (16 * (size_t)HTTP_REQUEST_MAX)

struct api_client {
    struct api_server *server; /* NULL: unused */
    struct loop_source source; /* fd -1: it has gone, and an answer is still to come */
    uint64_t last_ns;          /* when it was heard last */
    char *in;
    size_t in_len, in_room;
    struct http_parser parser;
    char *out;
    size_t out_len, out_at;
    bool continued;    /* it was told to go on with the body */
    bool pending;      /* its request is with the user */
    uint64_t deferred; /* a ticket: it waits for api_server_go_on(); 0: it does not */
    bool ended;        /* it sends no more */
    bool closing;      /* this answer is its last; what it sends is thrown away */
    size_t discarded;
};

struct api_server {
    struct loop *loop; /* borrowed */
    struct api_server_user *user;
    struct loop_source listener;
    struct api_client clients[API_MAX_CLIENTS];
    uint64_t tickets;
};

/* ---- The life of a client. ---- */

static void disconnect(struct api_client *client)
{
    if (client->source.fd < 0)
        return;
    loop_remove(client->server->loop, &client->source);
    close_fd(take_fd(&client->source.fd));
}

/* Where the user still has its request, its place is kept for the answer. */
static void drop(struct api_client *client)
{
    disconnect(client);
    if (client->pending)
        return;
    free(client->in);
    free(client->out);
    *client = (struct api_client){.source.fd = -1};
}

static struct api_client *longest_idle(struct api_server *server)
{
    struct api_client *found = NULL;

    for (size_t i = 0; i < API_MAX_CLIENTS; i++) {
        struct api_client *client = &server->clients[i];

        if (!client->pending && !client->deferred && (!found || client->last_ns < found->last_ns))
            found = client;
    }
    return found;
}

static struct api_client *free_place(struct api_server *server)
{
    struct api_client *idle;

    for (size_t i = 0; i < API_MAX_CLIENTS; i++) {
        if (!server->clients[i].server)
            return &server->clients[i];
    }
    idle = longest_idle(server);
    if (idle)
        drop(idle);
    return idle;
}

/* What it is waited for: room for the answer, or else what it sends, as long as there is room. */
static void update_events(struct api_client *client)
{
    uint32_t events = 0;

    if (client->source.fd < 0)
        return;
    if (client->out_at < client->out_len)
        events |= EPOLLOUT;
    if (!client->ended && (client->closing || client->in_len < HTTP_REQUEST_MAX + 1))
        events |= EPOLLIN;
    loop_modify(client->server->loop, &client->source, events);
}

/* ---- Answers. ---- */

/* Send what goes at once. Returns false where the client is no more. */
static bool flush(struct api_client *client)
{
    while (client->out_at < client->out_len) {
        ssize_t n = send(client->source.fd, client->out + client->out_at,
                         client->out_len - client->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n < 0) {
            drop(client);
            return false;
        }
        client->out_at += (size_t)n;
    }
    free(take_ptr(client->out));
    client->out_len = client->out_at = 0;
    if (client->closing)
        shutdown(client->source.fd, SHUT_WR);
    if (client->closing && client->ended) {
        drop(client);
        return false;
    }
    return true;
}

static void write_answer(struct api_client *client, int status, const char *body)
{
    size_t room = 256 + (body ? strlen(body) : 0);
    char length[96] = "";
    int len;

    client->out = malloc(room);
    if (!client->out) {
        client->closing = client->ended = true;
        return;
    }
    if (body)
        snprintf(length, sizeof(length),
                 "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
    len = snprintf(client->out, room,
                   "HTTP/1.1 %d %s\r\nServer: osvm-vmm\r\nConnection: %s\r\n%s\r\n%s", status,
                   http_status_text(status), client->closing ? "close" : "keep-alive", length,
                   body ? body : "");
    client->out_len = (size_t)len;
    client->out_at = 0;
}

static void refuse(struct api_client *client, const struct http_refusal *refusal)
{
    char body[256];

    snprintf(body, sizeof(body), "{\"fault_message\": \"%s\"}", refusal->text);
    client->closing = true;
    client->in_len = 0;
    write_answer(client, refusal->status, body);
}

/* ---- Requests. ---- */

static void copy_part(const char *buf, struct http_part part, char *ret, size_t size)
{
    size_t len = min_u64(part.len, size - 1);

    memcpy(ret, buf + part.start, len);
    ret[len] = '\0';
}

/* The request is done with: what is behind it is the next one's. */
static void consume(struct api_client *client)
{
    size_t len = client->parser.request.len;

    client->closing = client->closing || !client->parser.request.keep_alive;
    memmove(client->in, client->in + len, client->in_len - len);
    client->in_len -= len;
    client->parser = (struct http_parser){0};
    client->continued = false;
    if (client->closing)
        client->in_len = 0;
}

/* Hand the request over. Returns whether it was taken. */
static bool hand_over(struct api_client *client)
{
    const struct http_request *parsed = &client->parser.request;
    struct api_request request = {
        .method = parsed->method,
        .body = client->in + parsed->body.start,
        .body_len = parsed->body.len,
    };
    struct api_server_user *user = client->server->user;
    enum api_outcome outcome;

    copy_part(client->in, parsed->method_name, request.method_name, sizeof(request.method_name));
    copy_part(client->in, parsed->path, request.path, sizeof(request.path));
    client->pending = true;
    outcome = user->request(user, client, &request);
    if (outcome == API_LATER) {
        client->pending = false;
        if (!client->deferred)
            client->deferred = ++client->server->tickets;
        return false;
    }
    client->deferred = 0;
    return true;
}

static void tell_to_continue(struct api_client *client)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

    if (!client->parser.head_done || !client->parser.request.expects_continue || client->continued)
        return;
    client->continued = true;
    send(client->source.fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Whether the next request may be looked at. */
static bool is_ready(const struct api_client *client)
{
    return client->source.fd >= 0 && !client->pending && !client->deferred && !client->closing &&
           client->out_len == 0 && client->in_len > 0;
}

/* Go on with all that has come in. The client may be no more afterwards. */
static void work(struct api_client *client)
{
    struct http_refusal refusal;

    while (is_ready(client)) {
        enum http_result result = http_parse(&client->parser, client->in, client->in_len, &refusal);

        if (result == HTTP_MORE) {
            tell_to_continue(client);
            break;
        }
        if (result == HTTP_REFUSED)
            refuse(client, &refusal);
        else if (!hand_over(client))
            break;
        if (client->out_len > 0 && !flush(client))
            return;
    }
    if (client->ended && !client->pending && !client->deferred && client->out_len == 0)
        drop(client); /* what it has sent is no whole request */
    else
        update_events(client);
}

void api_server_answer(struct api_client *client, int status, const char *body)
{
    client->pending = false;
    if (client->source.fd < 0) {
        drop(client);
        return;
    }
    consume(client);
    write_answer(client, status, body);
}

/* Of an answer that comes later: it is sent, and what waits behind it is looked at. */
static void answered_late(struct api_client *client)
{
    if (client->server && client->source.fd >= 0 && (client->out_len == 0 || flush(client)))
        work(client);
}

void api_server_go_on(struct api_server *server)
{
    for (;;) {
        struct api_client *first = NULL;

        for (size_t i = 0; i < API_MAX_CLIENTS; i++) {
            struct api_client *client = &server->clients[i];

            if (client->out_len > 0 && client->out_at == 0 && !client->pending)
                answered_late(client);
            if (client->deferred && (!first || client->deferred < first->deferred))
                first = client;
        }
        if (!first || !hand_over(first))
            return;
        answered_late(first);
    }
}

/* ---- What comes in. ---- */

static bool make_room(struct api_client *client)
{
    size_t room = max_u64(min_u64(client->in_room * 2, HTTP_REQUEST_MAX + 1), FIRST_ROOM);
    char *in;

    if (client->in_len < client->in_room)
        return true;
    in = realloc(client->in, room);
    if (!in)
        return false;
    client->in = in;
    client->in_room = room;
    return true;
}

/* Returns false where the client is no more. */
static bool read_some(struct api_client *client)
{
    ssize_t n;

    if (client->closing)
        client->in_len = 0;
    if (!make_room(client)) {
        drop(client);
        return false;
    }
    if (client->in_len == client->in_room)
        return true; /* full: a hang-up alone was told */
    n = recv(client->source.fd, client->in + client->in_len, client->in_room - client->in_len,
             MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n < 0 || (client->closing && client->discarded > MAX_DISCARDED)) {
        drop(client);
        return false;
    }
    client->ended = client->ended || n == 0;
    if (client->closing)
        client->discarded += (size_t)n;
    else
        client->in_len += (size_t)n;
    client->last_ns = clock_monotonic_ns();
    return true;
}

static void on_client(struct loop_source *source, uint32_t events)
{
    struct api_client *client = container_of(source, struct api_client, source);

    /* It has closed its end: nobody reads the answers, but what it has sent is still done. */
    if ((events & EPOLLERR) ||
        ((events & EPOLLHUP) && (client->ended || client->in_len > HTTP_REQUEST_MAX))) {
        client->deferred = 0;
        drop(client);
        return;
    }
    if ((events & (EPOLLIN | EPOLLHUP)) && !read_some(client))
        return;
    if (client->out_len > 0 && !flush(client))
        return;
    work(client);
}

static void on_listener(struct loop_source *source, uint32_t events)
{
    struct api_server *server = container_of(source, struct api_server, listener);
    int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct api_client *client = fd < 0 ? NULL : free_place(server);

    (void)events;
    if (!client) {
        close_fd(fd);
        return;
    }
    *client = (struct api_client){
        .server = server,
        .source = {.fd = fd, .events = EPOLLIN, .callback = on_client},
        .last_ns = clock_monotonic_ns(),
    };
    if (loop_add(server->loop, &client->source) < 0)
        drop(client);
}

/* ---- Making it. ---- */

DEFINE_CLEANUP(struct api_server, api_server_destroy)

int api_server_create(const char *path, struct loop *loop, struct api_server_user *user,
                      struct api_server **ret_server, struct error *err)
{
    _cleanup_(api_server_destroy_cleanup) struct api_server *server = calloc(1, sizeof(*server));
    mode_t mask;
    int r;

    if (!server)
        return error_set(err, -ENOMEM, "out of memory");
    server->loop = loop;
    server->user = user;
    server->listener = (struct loop_source){.fd = -1, .events = EPOLLIN, .callback = on_listener};
    for (size_t i = 0; i < API_MAX_CLIENTS; i++)
        server->clients[i].source.fd = -1;
    mask = umask(0177);
    r = listen_unix(path, &server->listener.fd, err);
    umask(mask);
    if (r < 0)
        return r;
    listen(server->listener.fd, API_MAX_CLIENTS); /* a longer queue than others need */
    r = loop_add(loop, &server->listener);
    if (r < 0)
        return error_set_errno(err, r, "cannot watch the socket");
    *ret_server = take_ptr(server);
    return 0;
}

static void free_server(struct api_server *server)
{
    for (size_t i = 0; i < API_MAX_CLIENTS; i++) {
        free(server->clients[i].in);
        free(server->clients[i].out);
    }
    free(server);
}

void api_server_destroy(struct api_server *server)
{
    if (!server)
        return;
    for (size_t i = 0; i < API_MAX_CLIENTS; i++) {
        struct api_client *client = &server->clients[i];

        if (client->source.fd >= 0 && client->out_len > 0 && !flush(client))
            continue;
        if (client->server)
            disconnect(client);
    }
    if (server->listener.fd >= 0) {
        loop_remove(server->loop, &server->listener);
        close_fd(server->listener.fd);
    }
    free_server(server);
}

void api_server_forget(struct api_server *server)
{
    for (size_t i = 0; i < API_MAX_CLIENTS; i++)
        close_fd(server->clients[i].source.fd);
    close_fd(server->listener.fd);
    free_server(server);
}

size_t api_server_descriptors(const struct api_server *server, int *fds)
{
    size_t count = 0;

    fds[count++] = server->listener.fd;
    for (size_t i = 0; i < API_MAX_CLIENTS; i++) {
        if (server->clients[i].source.fd >= 0)
            fds[count++] = server->clients[i].source.fd;
    }
    return count;
}

/* Host clients: the socket at PATH, and what they say before they are connected. */
#include "vsock_device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"

#define BACKLOG 128

/* How many clients are accepted before the loop's other sources have their turn. */
#define TURN_CLIENTS 16

_Static_assert(VIRTIO_VSOCK_PATH_MAX + sizeof("_4294967295") <=
                   sizeof(((struct sockaddr_un *)0)->sun_path),
               "each port's socket has an address");

void vsock_host_address(const struct vsock *vsock, uint32_t port, struct sockaddr_un *ret_address)
{
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(ret_address->sun_path, sizeof(ret_address->sun_path), "%s_%u", vsock->path, port);
}

void vsock_listener_relocate(struct vsock *vsock, const char *path)
{
    snprintf(vsock->path, sizeof(vsock->path), "%s", path);
}

static int set_path(struct vsock *vsock, const char *path, struct error *err)
{
    if (!path || path[0] == '\0')
        return error_set(err, -EINVAL, "the path of its socket is missing");
    if (strlen(path) > VIRTIO_VSOCK_PATH_MAX)
        return error_set(err, -ENAMETOOLONG,
                         "the path of its socket is too long: %zu characters, of at most %d, so "
                         "that a port can be added to it",
                         strlen(path), VIRTIO_VSOCK_PATH_MAX);
    memcpy(vsock->path, path, strlen(path) + 1);
    return 0;
}

/* Remove a socket that nobody listens on any more. */
static int remove_stale(const struct sockaddr_un *address, struct error *err)
{
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const char *path = address->sun_path;
    struct stat st;

    if (fd < 0)
        return error_set_errno(err, -errno, "cannot make a socket");
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : error_set_errno(err, -errno, "cannot look at '%s'", path);
    if (!S_ISSOCK(st.st_mode))
        return error_set(err, -EEXIST, "'%s' exists and is not a socket", path);
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
        return error_set(err, -EADDRINUSE, "'%s' is in use: another program listens there", path);
    if (errno != ECONNREFUSED)
        return error_set_errno(err, -errno, "cannot tell whether '%s' is in use", path);
    if (unlink(path) < 0 && errno != ENOENT)
        return error_set_errno(err, -errno, "cannot replace the stale socket '%s'", path);
    return 0;
}

static int bind_path(struct vsock *vsock, int fd, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat st;
    int r;

    memcpy(address.sun_path, vsock->path, sizeof(vsock->path));
    r = bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
    if (r == -EADDRINUSE) {
        r = remove_stale(&address, err);
        if (r < 0)
            return r;
        r = bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
    }
    if (r < 0)
        return error_set_errno(err, r, "cannot make the socket '%s'", vsock->path);
    vsock->listening = true;
    if (lstat(vsock->path, &st) == 0) {
        vsock->filesystem = st.st_dev;
        vsock->inode = st.st_ino;
    }
    if (listen(fd, BACKLOG) < 0)
        return error_set_errno(err, -errno, "cannot listen on '%s'", vsock->path);
    return 0;
}

/* ---- Accepting. ---- */

/* Returns 0, or a negative errno where the client was closed again. */
static int add_client(struct vsock *vsock, int client)
{
    _cleanup_close_ int fd = client;
    struct vsock_connection *c;
    int r;

    vsock->counters.host_connections++;
    if (vsock->connection_count >= VIRTIO_VSOCK_MAX_CONNECTIONS) {
        vsock->counters.refused++;
        return -EMFILE;
    }
    c = vsock_connection_create(vsock, VSOCK_LINE, fd);
    if (!c)
        return -ENOMEM;
    take_fd(&fd);
    r = vsock_connection_watch(c);
    if (r < 0)
        vsock_connection_destroy(c);
    else
        vsock_connection_set_deadline(c);
    return r;
}

static void accept_clients(struct vsock *vsock)
{
    for (unsigned i = 0; i < TURN_CLIENTS; i++) {
        int fd = accept4(vsock->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            add_client(vsock, fd);
            continue;
        }
        if (errno == ECONNABORTED || errno == EINTR)
            continue;
        if (errno != EAGAIN) { /* out of descriptors or memory: the client waits as well */
            log_write_limited(vsock->device.env.log, &vsock->host_log, LOG_WARNING,
                              "%s: cannot accept a client: %s", vsock->device.name,
                              strerror(errno));
            vsock_listener_set(vsock, false);
            vsock_retry_soon(vsock);
        }
        return;
    }
}

static void on_client(struct loop_source *source, uint32_t events)
{
    struct vsock *vsock = container_of(source, struct vsock, listener);

    (void)events;
    pthread_mutex_lock(&vsock->device.lock);
    if (vsock_is_running(vsock))
        accept_clients(vsock);
    else
        vsock_listener_set(vsock, false);
    pthread_mutex_unlock(&vsock->device.lock);
}

void vsock_listener_set(struct vsock *vsock, bool accepting)
{
    loop_modify(vsock->device.env.loop, &vsock->listener, accepting ? EPOLLIN : 0);
}

int vsock_listener_open(struct vsock *vsock, const char *path, struct error *err)
{
    struct loop_source *listener = &vsock->listener;
    int r = set_path(vsock, path, err);

    if (r < 0)
        return r;
    listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0)
        return error_set_errno(err, -errno, "cannot make a socket");
    r = bind_path(vsock, listener->fd, err);
    if (r < 0)
        return r;
    listener->events = 0; /* until the driver is ready */
    listener->callback = on_client;
    r = loop_add(vsock->device.env.loop, listener);
    return r < 0 ? error_set_errno(err, r, "cannot watch the socket '%s'", vsock->path) : 0;
}

void vsock_listener_close(struct vsock *vsock)
{
    struct stat st;

    loop_remove(vsock->device.env.loop, &vsock->listener);
    close_fd(take_fd(&vsock->listener.fd));
    /* Another one may have taken the place since. */
    if (vsock->listening && lstat(vsock->path, &st) == 0 && st.st_dev == vsock->filesystem &&
        st.st_ino == vsock->inode)
        unlink(vsock->path);
    vsock->listening = false;
}

/* ---- The CONNECT line. ---- */

void vsock_listener_read_line(struct vsock_connection *c)
{
    for (;;) {
        char piece[VSOCK_CONNECT_LINE_MAX];
        ssize_t n = recv(c->source.fd, piece, sizeof(piece), MSG_PEEK | MSG_DONTWAIT);
        uint32_t port;
        size_t used;
        int r;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) { /* it has gone */
            vsock_connection_drop(c);
            return;
        }
        r = vsock_connect_line_feed(&c->line, piece, (size_t)n, &used, &port);
        /* What is behind the line stays in the socket: it is the stream's. */
        if (recv(c->source.fd, piece, used, MSG_DONTWAIT) != (ssize_t)used || r < 0) {
            vsock_connection_drop(c);
            return;
        }
        if (r > 0) {
            c->readable = true;
            vsock_connection_request_guest(c, port);
            return;
        }
    }
}

#include "net/passt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/util.h"
#include "passt_process.h"

/* What stands before each frame: its length, in network order. */
#define LENGTH_SIZE 4

/* What is read ahead: many small frames by one system call, and the largest one whole. */
#define READ_AHEAD (128 * 1024)

/* A frame's iovecs, and one for its length. */
#define SEND_IOV_MAX 1024

struct passt {
    struct net_backend backend;
    struct passt_process process;
    int gone; /* 0, or what every call returns from now on */

    /* The part of one frame that the socket did not take. */
    uint8_t unsent[LENGTH_SIZE + NET_FRAME_MAX];
    size_t unsent_at, unsent_end;

    /* Bytes of the stream that were read and not yet given out: [at, end). */
    uint8_t ahead[READ_AHEAD];
    size_t ahead_at, ahead_end;

    struct iovec iov[SEND_IOV_MAX];
};

static uint32_t load_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void store_be32(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 24);
    p[1] = (uint8_t)(value >> 16);
    p[2] = (uint8_t)(value >> 8);
    p[3] = (uint8_t)value;
}

static struct passt *passt_of(struct net_backend *backend)
{
    return container_of(backend, struct passt, backend);
}

/* No more passes. The other side hears of it, and so does a loop that watches the descriptor. */
static int set_gone(struct passt *passt, int why)
{
    passt->gone = why;
    shutdown(passt->backend.fd, SHUT_RDWR);
    return why;
}

/* Returns how many bytes the socket took, 0 where it is full; or a negative errno. */
static ssize_t stream_send(struct passt *passt, struct iovec *iov, size_t count)
{
    const struct msghdr message = {.msg_iov = iov, .msg_iovlen = count};
    ssize_t n;

    do {
        n = sendmsg(passt->backend.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n >= 0)
        return n;
    if (errno == EAGAIN)
        return 0;
    if (errno == EPIPE || errno == ECONNRESET)
        return set_gone(passt, -ECONNRESET);
    return -errno;
}

static int passt_flush(struct net_backend *backend)
{
    struct passt *passt = passt_of(backend);

    if (passt->gone)
        return passt->gone;
    while (passt->unsent_at < passt->unsent_end) {
        struct iovec rest = {.iov_base = passt->unsent + passt->unsent_at,
                             .iov_len = passt->unsent_end - passt->unsent_at};
        ssize_t n = stream_send(passt, &rest, 1);

        /* Half a frame is out: without the rest the stream makes no sense any more. */
        if (n < 0)
            return set_gone(passt, -ECONNRESET);
        if (n == 0)
            return -EAGAIN;
        passt->unsent_at += (size_t)n;
    }
    passt->unsent_at = passt->unsent_end = 0;
    return 0;
}

/* Keep all of the frame from the byte `skip` on. */
static void keep_unsent(struct passt *passt, const struct iovec *iov, size_t count, size_t skip)
{
    passt->unsent_at = passt->unsent_end = 0;
    for (size_t i = 0; i < count; i++) {
        size_t part = iov[i].iov_len;

        if (skip >= part) {
            skip -= part;
            continue;
        }
        part -= skip;
        memcpy(passt->unsent + passt->unsent_end, (const uint8_t *)iov[i].iov_base + skip, part);
        passt->unsent_end += part;
        skip = 0;
    }
}

static int passt_send(struct net_backend *backend, const struct iovec *iov, unsigned count)
{
    struct passt *passt = passt_of(backend);
    uint8_t length[LENGTH_SIZE];
    size_t frame_len = 0;
    ssize_t n;
    int r;

    r = passt_flush(backend);
    if (r < 0)
        return r;
    if (count > SEND_IOV_MAX - 1)
        return -EMSGSIZE;
    for (unsigned i = 0; i < count; i++)
        frame_len += iov[i].iov_len;
    if (frame_len < NET_FRAME_MIN || frame_len > NET_FRAME_MAX)
        return -EMSGSIZE;
    store_be32(length, (uint32_t)frame_len);
    passt->iov[0] = (struct iovec){.iov_base = length, .iov_len = LENGTH_SIZE};
    memcpy(passt->iov + 1, iov, count * sizeof(*iov));
    n = stream_send(passt, passt->iov, count + 1);
    if (n < 0)
        return (int)n;
    if (n == 0)
        return -EAGAIN;
    if ((size_t)n < LENGTH_SIZE + frame_len)
        keep_unsent(passt, passt->iov, count + 1, (size_t)n);
    return 0;
}

/* Returns whether there is a whole frame, or -EPROTO. */
static int whole_frame(struct passt *passt, size_t *ret_len)
{
    size_t have = passt->ahead_end - passt->ahead_at;
    size_t len;

    if (have < LENGTH_SIZE)
        return false;
    len = load_be32(passt->ahead + passt->ahead_at);
    if (len < NET_FRAME_MIN || len > NET_FRAME_MAX)
        return set_gone(passt, -EPROTO);
    *ret_len = len;
    return have - LENGTH_SIZE >= len;
}

/* Read what the socket has. Returns 0, or -EAGAIN, or that the other side is gone. */
static int read_ahead(struct passt *passt)
{
    size_t have = passt->ahead_end - passt->ahead_at;
    ssize_t n;

    memmove(passt->ahead, passt->ahead + passt->ahead_at, have);
    passt->ahead_at = 0;
    passt->ahead_end = have;
    do {
        n = recv(passt->backend.fd, passt->ahead + have, READ_AHEAD - have, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return -EAGAIN;
    if (n <= 0)
        return set_gone(passt, -ECONNRESET);
    passt->ahead_end += (size_t)n;
    return 0;
}

static void scatter(const uint8_t *bytes, size_t len, const struct iovec *iov, unsigned count)
{
    for (unsigned i = 0; i < count && len > 0; i++) {
        size_t part = min_u64(len, iov[i].iov_len);

        memcpy(iov[i].iov_base, bytes, part);
        bytes += part;
        len -= part;
    }
}

static ssize_t passt_receive(struct net_backend *backend, const struct iovec *iov, unsigned count)
{
    struct passt *passt = passt_of(backend);
    size_t len = 0;

    if (passt->gone)
        return passt->gone;
    for (;;) {
        int r = whole_frame(passt, &len);

        if (r < 0)
            return r;
        if (r > 0)
            break;
        r = read_ahead(passt);
        if (r < 0)
            return r;
    }
    scatter(passt->ahead + passt->ahead_at + LENGTH_SIZE, len, iov, count);
    passt->ahead_at += LENGTH_SIZE + len;
    return (ssize_t)len;
}

static void passt_close(struct net_backend *backend)
{
    struct passt *passt = passt_of(backend);

    close_fd(backend->fd);
    passt_process_end(&passt->process);
    free(passt);
}

static const struct net_backend_ops passt_ops = {
    .send = passt_send,
    .flush = passt_flush,
    .receive = passt_receive,
    .close = passt_close,
};

/* Takes over the descriptor where the result is 0. */
static int passt_create(int fd, struct passt_process process, struct net_backend **ret_backend,
                        struct error *err)
{
    /* Not zeroed page by page: it is large, and most of it is never used. */
    struct passt *passt = calloc(1, sizeof(*passt));

    if (!passt)
        return error_set_errno(err, -ENOMEM, "no back end for passt");
    passt->backend = (struct net_backend){.ops = &passt_ops, .fd = fd};
    passt->process = process;
    *ret_backend = &passt->backend;
    return 0;
}

static int connect_error(const char *path, int error, struct error *err)
{
    switch (error) {
    case ENOENT:
        return error_set(err, -ENOENT,
                         "there is no socket '%s': start it with passt --socket %s, or write "
                         "\"passt\" alone to have it started",
                         path, path);
    case ECONNREFUSED:
        return error_set(err, -ECONNREFUSED,
                         "nobody listens on '%s': the passt that made it has ended", path);
    case EACCES:
    case EPERM:
        return error_set(err, -EACCES, "not permitted to connect to '%s'", path);
    case EAGAIN:
        return error_set(err, -EAGAIN, "the passt at '%s' serves another VM", path);
    case EPROTOTYPE:
        return error_set(err, -EPROTOTYPE, "'%s' is not a stream socket", path);
    default:
        return error_set_errno(err, -error, "cannot connect to '%s'", path);
    }
}

int net_passt_connect(const char *path, struct net_backend **ret_backend, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = -1;
    int r;

    if (!path[0])
        return error_set(err, -EINVAL, "the socket of passt has no path");
    if (strlen(path) >= sizeof(address.sun_path))
        return error_set(err, -ENAMETOOLONG,
                         "the path of the socket is longer than the %zu bytes that the system "
                         "allows: '%s'",
                         sizeof(address.sun_path) - 1, path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); /* connect() too */
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot make a socket for passt");
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return connect_error(path, errno, err);
    r = passt_create(fd, PASST_PROCESS_NONE, ret_backend, err);
    if (r == 0)
        take_fd(&fd);
    return r;
}

static bool is_connected_unix_stream(int fd)
{
    struct sockaddr_un peer;
    socklen_t peer_len = sizeof(peer), type_len = sizeof(int);
    int type;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0 && type == SOCK_STREAM &&
           getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0 && peer.sun_family == AF_UNIX;
}

int net_passt_from_fd(int fd, struct net_backend **ret_backend, struct error *err)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return error_set(err, -EBADF, "descriptor %d is not open", fd);
    if (!is_connected_unix_stream(fd))
        return error_set(err, -EINVAL, "descriptor %d is not a connected Unix stream socket", fd);
    if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return error_set_errno(err, -errno, "cannot make descriptor %d non-blocking", fd);
    return passt_create(fd, PASST_PROCESS_NONE, ret_backend, err);
}

int net_passt_spawn(const char *program, struct net_backend **ret_backend, struct error *err)
{
    struct passt_process process = PASST_PROCESS_NONE;
    _cleanup_close_ int ours = -1;
    _cleanup_close_ int theirs = -1;
    int fds[2], r;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return error_set_errno(err, -errno, "cannot make sockets for passt");
    ours = fds[0];
    theirs = fds[1];
    r = passt_process_start(&process, program, theirs, err);
    if (r < 0)
        return r;
    r = passt_create(ours, process, ret_backend, err);
    if (r < 0)
        passt_process_end(&process);
    else
        take_fd(&ours);
    return r;
}

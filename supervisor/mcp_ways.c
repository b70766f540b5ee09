/* The ways to an MCP server: a guest's vsock port, and the streams that a monitor keeps. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/pass.h"
#include "mcp_bridge.h"
#include "monitor.h"

/* Bytes of the line "OK <port>". */
#define ANSWER_MAX 32

/* --- a guest
 * ------------------------------------------------------------------------------------- */

/* Read the line "OK <port>", byte by byte: what follows it is the stream. */
static int read_ok(int fd)
{
    char line[ANSWER_MAX];

    for (size_t length = 0; length < sizeof(line); length++) {
        ssize_t n = read(fd, line + length, 1);

        if (n < 0)
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
        if (n == 0)
            return -ECONNREFUSED;
        if (line[length] == '\n')
            return length > 3 && memcmp(line, "OK ", 3) == 0 ? 0 : -EPROTO;
    }
    return -EPROTO;
}

int mcp_bridge_connect(const char *path, uint32_t port, uint64_t timeout_ns, int *ret_fd,
                       struct error *err)
{
    struct timeval limit = {.tv_sec = (time_t)(timeout_ns / NS_PER_SEC),
                            .tv_usec = (suseconds_t)(timeout_ns % NS_PER_SEC / NS_PER_US)};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char line[ANSWER_MAX];
    int length = snprintf(line, sizeof(line), "CONNECT %u\n", port), r;

    if (fd < 0)
        return error_set_errno(err, -errno, "cannot make a socket");
    if (strlen(path) >= sizeof(address.sun_path))
        return error_set(err, -ENAMETOOLONG, "'%s' is longer than the path of a socket may be",
                         path);
    strcpy(address.sun_path, path);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return error_set_errno(err, -errno, "cannot connect to '%s'", path);
    if (send(fd, line, (size_t)length, MSG_NOSIGNAL) != length)
        return error_set_errno(err, -EPIPE, "cannot ask '%s' for port %u", path, port);
    r = read_ok(fd);
    if (r == -ECONNREFUSED)
        return error_set(err, r, "nobody listens on port %u inside the guest at '%s'", port, path);
    if (r < 0)
        return error_set_errno(err, r, "'%s' gives no way to port %u", path, port);
    limit = (struct timeval){0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    *ret_fd = take_fd(&fd);
    return 0;
}

/* --- streams
 * ------------------------------------------------------------------------------------- */

/* Connect; one that is not there yet is tried for again. */
static int connect_in_time(const struct sockaddr_un *address, uint64_t deadline_ns, int *ret_fd)
{
    const struct timespec pause = {.tv_nsec = 2 * (long)NS_PER_MS};

    for (;;) {
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
            return -errno;
        if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0) {
            *ret_fd = take_fd(&fd);
            return 0;
        }
        if ((errno != ENOENT && errno != ECONNREFUSED) || clock_monotonic_ns() >= deadline_ns)
            return -errno;
        nanosleep(&pause, NULL);
    }
}

int mcp_bridge_take_streams(const char *path, uint64_t timeout_ns, int *ret_fd, struct error *err)
{
    struct timeval limit = {.tv_sec = (time_t)(timeout_ns / NS_PER_SEC) + 1};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int connection = -1;
    char byte = '\0';
    ssize_t n;
    int fd, r;

    if (strlen(path) >= sizeof(address.sun_path))
        return error_set(err, -ENAMETOOLONG, "'%s' is longer than the path of a socket may be",
                         path);
    strcpy(address.sun_path, path);
    r = connect_in_time(&address, clock_monotonic_ns() + timeout_ns, &connection);
    if (r < 0)
        return error_set_errno(err, r, "the server's streams at '%s' cannot be had", path);
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    n = pass_receive(connection, &byte, 1, &fd, 1, 0);
    if (n == 1 && byte == STREAMS_YOURS && fd >= 0) {
        *ret_fd = fd;
        return 0;
    }
    close_fd(fd);
    if (n == 1 && byte == STREAMS_TAKEN)
        return error_set(err, -EBUSY,
                         "another client speaks with it, and a server on standard input and output "
                         "has one at a time");
    r = n < 0 ? (int)n : n == 0 ? -ECONNRESET : -EPROTO;
    return error_set_errno(err, r, "'%s' gives no streams", path);
}

#include "host_stream.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A pipe or terminal that polls writable takes this much at once (pipe(7), n_tty's WAKEUP_CHARS).
 */
#define STREAM_CHUNK 256

int host_stream_init(struct host_stream *stream, int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    stream->fd = fd;
    if (S_ISREG(st.st_mode))
        stream->kind = HOST_STREAM_FILE;
    else if (S_ISSOCK(st.st_mode))
        stream->kind = HOST_STREAM_SOCKET;
    else
        stream->kind = HOST_STREAM_OTHER;
    return 0;
}

static ssize_t write_once(const struct host_stream *stream, const void *bytes, size_t len)
{
    struct pollfd ready = {.fd = stream->fd, .events = POLLOUT};

    switch (stream->kind) {
    case HOST_STREAM_SOCKET:
        return send(stream->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    case HOST_STREAM_OTHER:
        if (poll(&ready, 1, 0) <= 0) {
            errno = EAGAIN;
            return -1;
        }
        return write(stream->fd, bytes, len < STREAM_CHUNK ? len : STREAM_CHUNK);
    default:
        return write(stream->fd, bytes, len);
    }
}

ssize_t host_stream_write(const struct host_stream *stream, const void *bytes, size_t len)
{
    for (;;) {
        ssize_t n = write_once(stream, bytes, len);

        if (n >= 0)
            return n;
        if (errno == EAGAIN)
            return 0;
        if (errno != EINTR)
            return -errno;
    }
}

/* A descriptor to which bytes are written without ever waiting for its other end. */
#ifndef OSVM_VMM_HOST_STREAM_H
#define OSVM_VMM_HOST_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The descriptor may be shared with other programs (a terminal, a pipe), so it is not put into
 * non-blocking mode: that would change it for them too.
 */
enum host_stream_kind { HOST_STREAM_FILE, HOST_STREAM_SOCKET, HOST_STREAM_OTHER };

struct host_stream {
    int fd; /* borrowed */
    enum host_stream_kind kind;
};

/* Look what it is. Returns 0 or a negative errno. */
int host_stream_init(struct host_stream *stream, int fd);

/**
 * Write what goes without waiting.
 * Returns how many bytes went, 0 where none would now, or a negative errno (-EPIPE: the other end
 * is gone). Any thread.
 */
ssize_t host_stream_write(const struct host_stream *stream, const void *bytes, size_t len);

#endif

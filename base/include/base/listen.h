/* Listening sockets: a Unix socket by its path, and a TCP port of this host alone. */
#ifndef OSVM_BASE_LISTEN_H
#define OSVM_BASE_LISTEN_H

#include <stdint.h>

#include "base/error.h"

/**
 * Listen on a stream socket at `path`. A socket there that nobody listens on any more is replaced;
 * anything that is alive, or no socket, stays.
 *
 * @ret_fd  non-blocking, close-on-exec; the caller closes it and unlinks the path
 * Returns 0 or a negative errno with the reason in err. Any thread.
 */
int listen_unix(const char *path, int *ret_fd, struct error *err);

/**
 * Listen on a TCP port of 127.0.0.1: any user of this host can connect, and nobody else.
 * As above.
 */
int listen_loopback(uint16_t port, int *ret_fd, struct error *err);

#endif

/*
 * passt(1) as a back end: networking without any privilege. The protocol is that of passt and of
 * QEMU's `-netdev stream`: on a Unix stream socket, each frame behind its length (4 bytes,
 * big-endian). There is no header, and nothing is offloaded.
 */
#ifndef OSVM_NET_PASST_H
#define OSVM_NET_PASST_H

#include "base/error.h"
#include "net/backend.h"

/**
 * Connect to a passt that listens (`passt --socket PATH`).
 *
 * Returns 0; -ENAMETOOLONG, -ENOENT, -ECONNREFUSED, -EACCES, -EAGAIN (it serves somebody else), or
 * another negative errno; `err` says what to do.
 */
int net_passt_connect(const char *path, struct net_backend **ret_backend, struct error *err);

/**
 * Use a Unix stream socket that is connected to a passt, or to anything that speaks its protocol.
 *
 * @fd  taken over where the result is 0; made non-blocking and close-on-exec
 * Returns 0; -EBADF; -EINVAL where it is no connected Unix stream socket.
 */
int net_passt_from_fd(int fd, struct net_backend **ret_backend, struct error *err);

/**
 * Start a passt of our own, at the other end of a socket pair. It ends with the back end, and with
 * this process however that ends. The host itself is not reachable through it (--no-map-gw), and
 * no port of the host leads to the guest. Where it cannot start it says why on our standard error
 * and the link is gone at the first look.
 *
 * @program  "passt", which is looked for in PATH; or a path
 * Returns 0; -ENOENT where there is no such program; or another negative errno. On the thread that
 * lives as long as the process (the parent-death signal is a thread's).
 */
int net_passt_spawn(const char *program, struct net_backend **ret_backend, struct error *err);

#endif

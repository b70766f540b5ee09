/* A passt that we have started: its beginning and its end. */
#ifndef OSVM_NET_PASST_PROCESS_H
#define OSVM_NET_PASST_PROCESS_H

#include <sys/types.h>

#include "base/error.h"

struct passt_process {
    pid_t pid; /* 0: none */
    int pidfd;
};

#define PASST_PROCESS_NONE ((struct passt_process){.pid = 0, .pidfd = -1})

/**
 * Start it on its end of a connected socket, which stays the caller's.
 * Returns 0 or a negative errno; -ENOENT where there is no such program.
 */
int passt_process_start(struct passt_process *ret_process, const char *program, int socket_fd,
                        struct error *err);

/* End it and reap it, after our end of the socket was closed. Does nothing for none. */
void passt_process_end(struct passt_process *process);

#endif

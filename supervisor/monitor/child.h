/* The program that a monitor runs, and everything that it leaves behind. */
#ifndef OSVM_SUPERVISOR_MONITOR_CHILD_H
#define OSVM_SUPERVISOR_MONITOR_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/* This end of what the program has. */
struct child {
    pid_t pid;
    int out, err; /* its output, to be read; out: -1 where it has a stream */
    int ready;    /* -1, or what it writes to descriptor 3 */
    int gate;     /* closed: it goes on to exec */
    int failure;  /* its exec's errno comes here, or end of file */
};

/**
 * Fork it; it waits at the gate. It dies with this process.
 *
 * @stream  its standard input and output; borrowed; -1: /dev/null, and a pipe
 * Returns 0 or a negative errno with the reason in err.
 */
int child_fork(char *const program[], int stream, bool says_ready, struct child *ret_child,
               struct error *err);

/* Let it go. Returns 0, or the negative errno of its exec. */
int child_release(struct child *child);

void child_close(struct child *child);

/* Send SIGKILL to all processes whose parent this one is now. Returns how many there were. */
unsigned child_kill_rest(void);

#endif

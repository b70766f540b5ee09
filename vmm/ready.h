/* --ready-fd: who started the machine is told when its guest has said that it is ready. */
#ifndef OSVM_VMM_READY_H
#define OSVM_VMM_READY_H

#include "base/error.h"
#include "guest/board/osvm_port.h"

struct config;

struct ready {
    struct milestone_observer observer; /* for the OSVM port */
    int fd;                             /* borrowed; -1: nobody wants to know */
};

/**
 * Take the option's value: a descriptor of the caller's that is open, above the standard ones. It
 * is close-on-exec from here on.
 * Returns 0 or a negative errno with what is wrong with it in err.
 */
int ready_config_set_fd(struct config *config, const char *value, struct error *err);

/**
 * Once the guest reaches milestone "ready", one byte is written to fd, on the thread of the CPU
 * that reached it. It is never written again, whatever the guest does. The process ignores SIGPIPE:
 * nobody need be there to read.
 *
 * @fd  CONFIG_NO_FD: nothing is written
 */
void ready_init(struct ready *ready, int fd);

#endif

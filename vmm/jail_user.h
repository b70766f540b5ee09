/* Whom the VM process becomes where the caller is root. */
#ifndef OSVM_VMM_JAIL_USER_H
#define OSVM_VMM_JAIL_USER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "config.h"

struct jail_user {
    bool change; /* the caller is root; else it stays who it is */
    uid_t uid;
    gid_t gid;
    int claim_fd;    /* keeps a user of the range from being given twice; -1: not of the range */
    const char *why; /* "chosen by --uid", for people */
};

/**
 * Choose. A user of the range is this machine's alone as long as claim_fd is open: the guardian
 * keeps it until the VM process has ended.
 *
 * Returns 0 or a negative errno with the reason in err. Before the fork, as the caller.
 */
int jail_choose_user(const struct config *config, struct jail_user *ret_user, struct error *err);

#endif

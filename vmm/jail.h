/*
 * The jail: what is left to the VM process once it is built, so that a guest that took it over has
 * nothing to take. In the order acquire, build, lock, run: the guardian chooses the user, the VM
 * process builds the machine with the caller's view and rights, jail_enter() gives both up, and
 * each thread's first act is its own filter of system calls.
 */
#ifndef OSVM_VMM_JAIL_H
#define OSVM_VMM_JAIL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/thread.h"
#include "config.h"
#include "guardian.h"
#include "jail_user.h"

struct jail {
    const struct config *config; /* borrowed */
    bool wanted;                 /* false: --no-jail, or a build that cannot live in it */
    bool closed;                 /* jail_enter() has succeeded */
    struct jail_user user;
    bool hermit;                /* the image makes file calls, on its CPUs' threads */
    const char *private_folder; /* of such an image, borrowed; NULL: none */
    /* What the kernel gave, for people. */
    int landlock;     /* the version of its interface; 0: none */
    bool own_users;   /* a user namespace */
    bool core_cookie; /* core scheduling */
    bool speculation; /* all controls that were asked for */
};

/**
 * Choose what is to be. jail_release() follows in any case.
 * Returns 0 or a negative errno with the reason in err. As the caller, before the fork.
 */
int jail_init(struct jail *jail, const struct config *config, struct error *err);
void jail_release(struct jail *jail);

/**
 * Close it: namespaces, root, user, capabilities, Landlock, scheduling, dumps. Where the jail is
 * not wanted, do nothing. A part that the kernel does not have is left out where the members above
 * say so, and else refused.
 *
 * Of the file system only the folder of the vsock's socket is left, read-only, as the working
 * directory.
 *
 * Returns 0 or a negative errno with the reason in err; the process is of no use then. The VM
 * process, while it has one thread.
 */
int jail_enter(struct jail *jail, const struct guardian *guardian, struct error *err);

/**
 * Filter the calling thread's system calls from here on; does nothing where the jail is not closed.
 * Returns 0 or a negative errno.
 */
int jail_filter_thread(const struct jail *jail, enum thread_kind kind);

/* Say in one line what holds: "user 1879048192 (its own, of --uid-range), namespaces …". */
void jail_describe(const struct jail *jail, char *buf, size_t len);

#endif

/*
 * The guardian: the process that the caller started. It stays outside the jail, has nothing to do
 * with the guest, and waits for the process that runs the machine (the VM process, its child), so
 * that whatever ends that one, somebody is left to say so and to tidy up.
 *
 * It passes signals on: SIGTERM, SIGINT, SIGHUP and SIGQUIT, which the machine takes as an order to
 * end, and a terminal's stop and go on (SIGTSTP, SIGCONT), which the first process of a PID
 * namespace does not hear by itself. When the guardian dies, the VM process is killed.
 */
#ifndef OSVM_VMM_GUARDIAN_H
#define OSVM_VMM_GUARDIAN_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/loop.h"
#include "terminal.h"

struct guardian {
    pid_t vm;                 /* in the guardian: the VM process; in the VM process: 0 */
    int pidfd;                /* in the VM process: the guardian, to see that it lives; else -1 */
    struct terminal terminal; /* of standard input, as it was found */
};

/* What else there is to do while it waits, embedded in its owner. */
struct guardian_task {
    /* Called at once, and then again after as many nanoseconds as it has returned, or before. */
    uint64_t (*run)(struct guardian_task *task, pid_t vm);
};

/* How the VM process ended. */
struct guardian_verdict {
    int status;    /* its exit status, or 128 + the signal that killed it */
    int signal;    /* 0: it ended by itself, and has told what there is to tell */
    char text[96]; /* one line for a person, where a signal killed it */
};

/* Block the signals that end a machine: SIGTERM, SIGINT, SIGHUP and SIGQUIT. @ret_mask  these */
void guardian_block_ending_signals(sigset_t *ret_mask);

/**
 * Become two processes. In both, SIGTERM, SIGINT, SIGHUP and SIGQUIT are blocked from here on.
 * The process has one thread, and /dev/kvm is not in use yet: a VM belongs to the process that
 * made it.
 *
 * @pid_namespace  the VM process is the first of a PID namespace of its own; where the caller may
 *                 not have one, it comes with a user namespace, in which all users keep their ids
 * Returns 0 in both, guardian->vm tells which; or a negative errno with the reason in err.
 */
int guardian_fork(struct guardian *guardian, bool pid_namespace, struct error *err);

/**
 * In the VM process, again after its user ids have changed: to be killed when the guardian dies.
 * Returns 0, or -ESRCH where it is dead already.
 */
int guardian_outlive_not(const struct guardian *guardian);

/**
 * In the guardian: close all descriptors above 2 but these.
 *
 * @keep  ascending order; -1s are passed over
 */
void guardian_close_others(const int *keep, size_t count);

/**
 * In the guardian: wait for the end of the VM process.
 *
 * @terminal_used  it had the terminal, which is put back as it was found
 * @task           done meanwhile
 */
void guardian_wait(const struct guardian *guardian, bool terminal_used, struct guardian_task *task,
                   struct guardian_verdict *ret_verdict);

/**
 * The same on a loop, for who serves something else meanwhile.
 *
 * @loop  borrowed; what else is on it goes on until the VM process has ended
 * Returns 0 or a negative errno: it has not waited.
 */
int guardian_wait_on(struct loop *loop, const struct guardian *guardian, bool terminal_used,
                     struct guardian_task *task, struct guardian_verdict *ret_verdict);

#endif

/*
 * The limits of a machine from outside its guest: who holds each of them on this host (a cgroup of
 * version 1 or 2, an rlimit, or the guardian), and doing so. What a limit needs is looked for;
 * where it cannot be held here, the machine does not start.
 *
 * In the order in which they are called, with [G]uardian or [V]M process:
 *   limits_begin     one process yet: choose, make the cgroup
 *   limits_enter     [V] go into it; from here on memory and CPU time count
 *   limits_lock      [V] the machine is built: what is bounded from now on
 *   limits.task      [G] while it waits: the duty cycle, CPU time, the last word on both times
 *   limits_judge     [G] which limit killed it, where it could not say so itself
 *   limits_finish    [G], or the one process: remove the cgroup
 */
#ifndef OSVM_VMM_LIMITS_H
#define OSVM_VMM_LIMITS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cgroup.h"
#include "base/error.h"
#include "config.h"
#include "duty_cycle.h"
#include "guardian.h"
#include "limits_watch.h"

enum limit_means {
    MEANS_NONE, /* no such limit is wanted */
    MEANS_CGROUP_V1,
    MEANS_CGROUP_V2,
    MEANS_RLIMIT,
    MEANS_GUARDIAN, /* stops and continues the VM process, or kills it */
};

struct limits {
    const struct config *config; /* borrowed */
    enum limit_means quota, processes, memory;
    uint64_t memory_bytes; /* of the cgroup, where `memory` is one */
    struct cgroup *group;  /* NULL: none is needed, or it is not ours any more */
    struct duty_cycle duty;
    struct guardian_task task;
    uint64_t kill_ns;         /* CLOCK_MONOTONIC: the guardian kills it then; 0: never */
    enum limit_kind kill_for; /* by which limit */
    bool killed;
};

/**
 * See that each limit can be held, and make the cgroup where one is needed.
 * Returns 0 or a negative errno with the option, and what to do about it, in err; limits_finish()
 * is called in any case.
 */
int limits_begin(struct limits *limits, const struct config *config, struct error *err);

/* Returns 0 or a negative errno with the reason in err. Before anything is opened for the guest. */
int limits_enter(struct limits *limits, struct error *err);

/**
 * Put the option into the reason where what could not be made could not for its limit's sake.
 * Returns code.
 */
int limits_explain(const struct limits *limits, int code, struct error *err);

/* Returns 0 or a negative errno with the reason in err. Before the threads are started, with /proc
 * in sight. */
int limits_lock(const struct limits *limits, struct error *err);

/**
 * Pin the thread of the machine's CPU `index`, where that was asked for.
 * Returns 0 or a negative errno.
 */
int limits_pin(const struct limits_config *limits, unsigned index, pthread_t thread);

/**
 * Whether a limit killed the VM process, so that it could not say it.
 *
 * @signal  by which it was killed
 */
bool limits_judge(const struct limits *limits, int signal, struct limit_breach *ret_breach);

/* The descriptors that limits_judge() and limits_finish() need, in ascending order: at most
 * CGROUP_MAX_DESCRIPTORS. Returns how many. */
size_t limits_descriptors(const struct limits *limits, int *ret_fds);

void limits_finish(struct limits *limits);

/* Remove the cgroups of machines that were killed together with their guardian: of this id, or of
 * those without one. Returns how many folders. */
unsigned limits_clean_up(const struct config *config);

/* For --check: a line for each limit, to standard output. */
void limits_print(const struct limits *limits);

#endif

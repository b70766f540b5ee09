/* A program to be run, put together argument by argument. */
#ifndef OSVM_SUPERVISOR_LAUNCH_H
#define OSVM_SUPERVISOR_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "schema.h"

/* In an environment without a PATH of the component's own, what finds the usual programs. */
#define LAUNCH_DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* All owned; freed by launch_free(). All zeroes is the empty one. */
struct launch {
    struct string_list argv;        /* argv[0] is an absolute path */
    struct string_list environment; /* NAME=VALUE; nothing else is in it */
    uint64_t time_limit_ms;         /* its monitor ends it then; 0: none, or it does so itself */
    bool says_ready;                /* it writes a byte to descriptor 3 once it is ready */
    bool wants_cgroup;      /* its memory, CPU and processes are limited by a control group */
    unsigned own_processes; /* then: how many of them are ours, beside the component's */
    bool failed;            /* something could not be added for want of memory */
};

void launch_free(struct launch *launch);

/* Add an argument; what fails is remembered, and launch_check() tells it once for all. */
void launch_add(struct launch *launch, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void launch_add_list(struct launch *launch, const struct string_list *words);
void launch_add_environment(struct launch *launch, const char *pair);

/* Returns 0 or -ENOMEM. */
int launch_check(const struct launch *launch);

#endif

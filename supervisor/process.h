/* A process by name: a pid alone may be another's tomorrow, pid and start time are one for ever. */
#ifndef OSVM_SUPERVISOR_PROCESS_H
#define OSVM_SUPERVISOR_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process_id {
    pid_t pid;      /* 0: none */
    uint64_t start; /* clock ticks since boot: field 22 of /proc/PID/stat (proc(5)) */
};

/* When it started; 0 where there is no such process. Any thread. */
uint64_t process_start_time(pid_t pid);

/**
 * A pidfd of exactly this process: it is looked at after the pidfd is had, so that it can't be
 * another's by then.
 * Returns the descriptor, or -ESRCH where it has ended. Any thread.
 */
int process_open(const struct process_id *id);

/* Signals as a program expects them, in the process that is about to become one: none blocked, none
 * ignored, whatever this one's own caller had. */
void process_reset_signals(void);

/* Put a process's children at the end of a list of `room`, `count` of which are there. Any thread.
 */
void process_add_children(pid_t pid, pid_t *list, size_t room, size_t *count);

#endif

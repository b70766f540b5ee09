/* A component that is started: its folders, its monitor, its end. */
#ifndef OSVM_SUPERVISOR_INSTANCE_H
#define OSVM_SUPERVISOR_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "component.h"
#include "paths.h"
#include "process.h"
#include "runtime_manager.h"

/* How it ended: what the monitor wrote. */
struct instance_end {
    bool signalled;
    int code;        /* exit status, or the signal's number */
    char reason[32]; /* exited, signal, time-limit, not-started; lost: its monitor left no word */
    char message[256];
    double ended; /* seconds since the epoch */
};

/**
 * Start it: make its run folder anew, its log folder where it is not there, prepare the launch,
 * and start the monitor, which the caller is the parent of.
 *
 * @echo        its output comes to the caller's standard output and error as well
 * @ret_monitor the monitor's pid
 * Returns 0; -EBUSY where it runs already, whoever started it; or another negative errno; the
 * reason is in err, and nothing was started.
 */
int instance_start(const struct component *component, const struct runtime_choice *choice,
                   const struct paths *paths, bool echo, pid_t *ret_monitor, struct error *err);

/**
 * What its run folder says of its monitor, of what that runs, and since when (seconds since the
 * epoch). A start that is under way is waited for, a moment: a monitor that is there will say so.
 * Returns 0, or -ENOENT.
 */
int instance_read_monitor(const struct paths *paths, const char *name,
                          struct process_id *ret_monitor, struct process_id *ret_child,
                          double *ret_started);

/* How it ended, or -ENOENT: it has not, or its monitor was killed. */
int instance_read_end(const struct paths *paths, const char *name, struct instance_end *ret_end);

/* The exit status that stands for it: 128 + N for a signal; 124 for the time limit. */
int instance_exit_status(const struct instance_end *end);

/* Remove what an end leaves: what its runtime says, its run folder, and, where its monitor was
 * killed, its control group with what is in it; that may take up to 2 s. @runtime  NULL: not known
 */
void instance_clean(const struct paths *paths, const struct component *component,
                    const struct runtime *runtime);

/* Remove its run folder, which holds nothing but what this file and the monitor made. */
void instance_remove_run(const struct paths *paths, const char *name);

/* Remove what says that it may run; of a component that does not, and is forgotten. */
void instance_remove_lock(const struct paths *paths, const char *name);

/* A new UUID of version 4; 37 bytes with its zero. Returns 0 or a negative errno. */
int instance_new_id(char *buf);

#endif

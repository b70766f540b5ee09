/*
 * How a level runs a component: one table of functions a runtime. A runtime decides nothing; it
 * says whether it is there, and turns a component into a launch: the program that the monitor is to
 * be the parent of. All of them together are the runtime manager's list (runtime_manager.h).
 */
#ifndef OSVM_SUPERVISOR_RUNTIME_H
#define OSVM_SUPERVISOR_RUNTIME_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "component.h"
#include "paths.h"

/* What a probe found: each thing was tried for real, not looked up. */
struct runtime_probe {
    bool available;
    char why[256];    /* where it is not: what was looked for and not found */
    char remedy[256]; /* what to install or to change; "" where nothing helps */
    char detail[128]; /* where it is: "crun 1.8.1", "KVM API 12" */
};

/* A program to be run. All owned; freed by launch_free(). */
struct launch {
    struct string_list argv; /* argv[0] is an absolute path */
    struct string_list environment;
    char *working_directory; /* NULL: / */
    uint64_t time_limit_ms;  /* the monitor ends it then; 0: none, or the program does it itself */
    bool says_ready;         /* it writes a line to descriptor 3 once it is ready */
};

struct running; /* instance.h: a component that runs, by pid and start time, and its folders */

struct runtime_usage {
    uint64_t cpu_us, memory_bytes, memory_peak_bytes, processes;
    uint64_t read_bytes, written_bytes, received_bytes, sent_bytes, exits;
    uint32_t known; /* bit n: the field number n above could be had */
};

struct runtime {
    const char *name; /* "process_sandbox", "crun", "osvm-vmm" */
    enum isolation_level level;

    /** Try whether it works here. May take up to a second; the manager keeps the answer. */
    void (*probe)(const struct runtime *runtime, struct runtime_probe *ret_probe);

    /**
     * Whether it can run this component with everything that it asks for (a limit that can't be
     * enforced, AppArmor where there is none, an image that is not there). Nothing is made.
     * Returns 0 or a negative errno with what to do in err.
     */
    int (*check)(const struct runtime *runtime, const struct component *component,
                 struct error *err);

    /**
     * Make what a start needs in the component's run folder (which is there and empty), and say
     * what is to be launched. On failure nothing is left.
     */
    int (*prepare)(const struct runtime *runtime, const struct component *component,
                   const struct paths *paths, struct launch *ret_launch, struct error *err);

    /** Ask it to end. Returns 0, or -ESRCH: it has ended. */
    int (*stop)(const struct runtime *runtime, const struct running *running, struct error *err);

    /** End it by force, with all that it started. */
    int (*kill)(const struct runtime *runtime, const struct running *running, struct error *err);

    /** Put a command into it; NULL where that has no meaning (virtual machines). As `prepare`. */
    int (*exec)(const struct runtime *runtime, const struct running *running,
                const struct string_list *command, struct launch *ret_launch, struct error *err);

    /** What it uses now. */
    int (*usage)(const struct runtime *runtime, const struct running *running,
                 struct runtime_usage *ret_usage);

    /** Take away what `prepare` and the run left outside the run folder. After its end. */
    void (*clean)(const struct runtime *runtime, const struct component *component,
                  const struct paths *paths);
};

void launch_free(struct launch *launch);

#endif

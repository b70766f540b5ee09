/*
 * How a level runs a component: one table of functions a runtime. A runtime decides nothing and
 * starts nothing: it says whether it is there, and turns a component into a launch, the program
 * that the monitor is to be the parent of. To end it is the monitor's work, whatever it is.
 */
#ifndef OSVM_SUPERVISOR_RUNTIME_H
#define OSVM_SUPERVISOR_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "component.h"
#include "launch.h"
#include "paths.h"
#include "process.h"

/* What a probe found: each thing was tried for real, not looked up. */
struct runtime_probe {
    bool available;
    char detail[128]; /* where it is: "crun 1.8.1", "KVM API 12" */
    char why[256];    /* where it is not: what was tried and how it failed */
    char remedy[256]; /* then: what to install or to change; "" where nothing helps */
};

struct runtime {
    const char *name; /* "osvm-sandbox", "crun", "osvm-vmm" */
    enum isolation_level level;

    /* Try whether it works here. May take up to a second. */
    void (*probe)(struct runtime_probe *ret_probe);

    /**
     * Whether it can run this component with everything that it asks for (a limit that can't be
     * enforced, AppArmor where there is none, an image that is not there). Nothing is made.
     * Returns 0 or a negative errno with what to do in err.
     */
    int (*check)(const struct component *component, struct error *err);

    /**
     * Make what a start needs in the component's run folder, which is there and empty, and say
     * what is to be launched.
     * @ret_launch  empty; freed by launch_free(), whatever comes of it
     * Returns 0 or a negative errno with the reason in err.
     */
    int (*prepare)(const struct component *component, const struct paths *paths,
                   struct launch *ret_launch, struct error *err);

    /**
     * Begin a launch that runs something beside it: osvm-sandbox with --join and what holds the
     * component, up to the program or probe. At level none there is nothing to add.
     * @inner  a process of the component (inside.h)
     * NULL: nothing can be run in it. Returns 0 or a negative errno with the reason in err.
     */
    int (*enter)(const struct component *component, const struct process_id *inner,
                 const struct paths *paths, struct launch *launch, struct error *err);

    /* Remove what a launch that was ended by force leaves on the host besides processes and its run
     * folder. NULL: nothing. */
    void (*clean)(const struct component *component);
};

/*
 * runtime_host.c, of use to those that share the host's kernel: the filter of its profile, written
 * into the component's run folder; and what runtime->enter() adds where there is a sandbox. Both
 * return 0 or a negative errno with the reason in err.
 *
 * @processes  how many it may have, with those of ours that its user namespace counts
 */
#define RUNTIME_FILTER "seccomp.bpf"
int runtime_write_filter(const struct component *component, const struct paths *paths,
                         char **ret_path, struct error *err);
int runtime_enter_sandbox(const struct component *component, const struct process_id *inner,
                          const struct paths *paths, uint64_t processes, struct launch *launch,
                          struct error *err);

/* runtime_check.c, of use to several. Whether control groups can be made for memory, CPU and
 * processes; whether the component's root folder and mounts are there, and AppArmor where it is
 * asked for. Return 0 or a negative errno with what to do in err. */
int runtime_check_groups(struct error *err);
int runtime_check_files(const struct component *component, struct error *err);

extern const struct runtime runtime_none;
extern const struct runtime runtime_sandbox;
extern const struct runtime runtime_crun;
extern const struct runtime runtime_runc;
extern const struct runtime runtime_micro_vm;
extern const struct runtime runtime_unikernel;
extern const struct runtime runtime_tee;

#endif

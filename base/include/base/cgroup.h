/*
 * Control groups, version 1 (a tree for each controller, or for some), version 2 (one tree), or
 * both beside one another: where a process may make groups, and one group in as many trees as its
 * limits need.
 *
 * A group belongs to who made it: its folders are locked (flock) as long as the maker, or a child
 * that has the descriptors, lives. So a leftover of one that was killed can be told from a group
 * in use, and is removed by the next cgroup_create() of the same name, or by cgroup_sweep().
 *
 * Numbers and files: Linux, Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/. Not
 * thread-safe: one thread at a time for each struct.
 */
#ifndef OSVM_BASE_CGROUP_H
#define OSVM_BASE_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/* What is limited or counted. As bits: 1u << CGROUP_…. */
enum cgroup_controller {
    CGROUP_CPU,
    CGROUP_CPUACCT, /* a controller of version 1; version 2 always counts */
    CGROUP_MEMORY,
    CGROUP_PIDS,
    CGROUP_CPUSET,
    CGROUP_FREEZER, /* of version 1; helps to kill; version 2 needs none */
    CGROUP_CONTROLLERS,
};

#define CGROUP_BIT(controller) (1u << (controller))
#define CGROUP_MAX_TREES       CGROUP_CONTROLLERS
#define CGROUP_NAME_MAX        128
#define CGROUP_MAX_DESCRIPTORS (2 * CGROUP_MAX_TREES)

/* One mounted hierarchy in which this process may make groups. */
struct cgroup_tree {
    int version;          /* 1 or 2 */
    unsigned controllers; /* bits: what a group in `folder` can have */
    char *folder;         /* in which groups are made */
};

struct cgroup_host {
    struct cgroup_tree trees[CGROUP_MAX_TREES];
    unsigned count;
};

/**
 * Look where this process may make groups, by /proc/self/mountinfo and /proc/self/cgroup.
 *
 * Version 1: beneath the process's own group. Version 2: beside it (a group that has processes
 * hands no controllers down), or in the root; so an ordinary user has one where the service manager
 * has delegated the group above (systemd-run --user --scope).
 *
 * A tree that may not be written is left out, so a count of 0 says: none, or no right to any.
 * @ret_host  freed by cgroup_host_free(), in any case
 * Returns 0 or a negative errno.
 */
int cgroup_host_probe(struct cgroup_host *ret_host);
void cgroup_host_free(struct cgroup_host *host);

/**
 * The first half of it, for tests: the trees that these two files name, with the folder of the own
 * group, whatever rights there are to them. What a tree of version 2 has is not known from there:
 * its controllers are 0.
 */
int cgroup_host_parse(const char *mountinfo, const char *self, struct cgroup_host *ret_host);

/**
 * Where a process is: the trees, each with the folder of the group that it is in, whatever rights
 * there are to it. Of version 2 the controllers are 0.
 *
 * @pid       0: the caller
 * @ret_host  freed by cgroup_host_free(), in any case
 * Returns 0 or a negative errno.
 */
int cgroup_host_of(pid_t pid, struct cgroup_host *ret_host);

/* Which version has this controller: 1, 2, or 0 for none. */
int cgroup_host_version(const struct cgroup_host *host, enum cgroup_controller controller);

struct cgroup_limits {
    unsigned controllers; /* bits: have these at any rate, limited or only counted */
    unsigned cpu_percent; /* of one CPU: 150 is one and a half; 0: no limit */
    uint64_t memory;      /* bytes, swap included; 0: no limit */
    unsigned pids;        /* processes and threads; 0: no limit */
    const char *cpus;     /* "0-3,5"; NULL: no limit */
};

struct cgroup;

/**
 * Make a group. One of the same name that is left over is removed first, and what still runs in it
 * is killed.
 *
 * @name       a single name, CGROUP_NAME_MAX at most
 * @ret_group  removed by cgroup_destroy()
 * Returns 0; -EBUSY where the name is in use; -ENOSYS where a controller is not to be had here; or
 * another negative errno, with the reason in err. Nothing is left then.
 */
int cgroup_create(const struct cgroup_host *host, const char *name,
                  const struct cgroup_limits *limits, struct cgroup **ret_group, struct error *err);

/* Put a process into it, with all its threads. @pid  0: the caller. Returns 0 or a negative errno.
 */
int cgroup_attach(const struct cgroup *group, pid_t pid);

/* The descriptor for clone3()'s CLONE_INTO_CGROUP; borrowed; -1 where no part is of version 2. */
int cgroup_v2_fd(const struct cgroup *group);

/* All its descriptors, borrowed, in ascending order, for who closes all but some: at most
 * CGROUP_MAX_DESCRIPTORS. Returns how many. */
size_t cgroup_descriptors(const struct cgroup *group, int *ret_fds);

/* What has been used in it. What its controllers do not tell is 0. */
struct cgroup_usage {
    uint64_t cpu_ns;                      /* CPU time of all that was ever in it */
    uint64_t memory, memory_peak;         /* bytes; with CGROUP_MEMORY */
    uint64_t pids;                        /* now; with CGROUP_PIDS */
    uint64_t oom_kills;                   /* with CGROUP_MEMORY */
    uint64_t throttled, throttle_periods; /* periods in which it was stopped, of so many */
};

void cgroup_read_usage(const struct cgroup *group, struct cgroup_usage *ret_usage);

/* The same of somebody else's group: of those trees of cgroup_host_of() whose folder has this name,
 * the last part of its path. Returns 0; or -ENOENT where none has. */
int cgroup_read_usage_of(const struct cgroup_host *host, const char *name,
                         struct cgroup_usage *ret_usage);

/* SIGKILL to all that is in it, those included that are just being forked. Returns 0 or a negative
 * errno. Does not wait for their end. */
int cgroup_kill(const struct cgroup *group);

/**
 * Kill what is in it, and remove it. Waits, 2 s at most, for the end of what was in it, which needs
 * the children of the caller among it to be waited for by then. Accepts NULL.
 * Returns 0, or a negative errno where something of it remains.
 */
int cgroup_destroy(struct cgroup *group);

/**
 * Forget it, and let it be: close its descriptors, and so its lock, without removing anything.
 * For a child that is to have no hand in it. Accepts NULL.
 */
void cgroup_forget(struct cgroup *group);

/**
 * Remove all groups whose name begins with `prefix` and whose maker is gone.
 * Returns how many folders were removed.
 */
unsigned cgroup_sweep(const struct cgroup_host *host, const char *prefix);

#endif

/* The arguments of osvm-sandbox; see ../sandbox.h. */
#ifndef OSVM_SUPERVISOR_SANDBOX_OPTIONS_H
#define OSVM_SUPERVISOR_SANDBOX_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

#define SANDBOX_MAX_BINDS   64
#define SANDBOX_MAX_CGROUPS 16

struct bind {
    const char *host, *inside;
    bool writable;
};

/* Strings are of argv. Numbers are UINT64_MAX where nothing was said. */
struct sandbox_options {
    const char *name, *directory, *seccomp, *apparmor;
    const char *root;  /* NULL: an empty one */
    const char *join;  /* PID:START of a process in a sandbox; NULL: make one */
    const char *probe; /* tcp:PORT or http:PORT:PATH, in place of a program */
    bool root_writable, keep_network, no_aslr;
    struct bind binds[SANDBOX_MAX_BINDS];
    size_t bind_count;
    const char *cgroups[SANDBOX_MAX_CGROUPS];
    size_t cgroup_count;
    uint64_t tmp_bytes, uid, gid, files, processes, memory, cpu_seconds;
    char **program; /* NULL behind the last */
};

/* Splits arguments in place. Returns 0, or -EINVAL with what is wrong in err. */
int sandbox_options_parse(int argc, char *argv[], struct sandbox_options *ret_options,
                          struct error *err);

#endif

/* Where things are on disk; see README.md. */
#ifndef OSVM_SUPERVISOR_PATHS_H
#define OSVM_SUPERVISOR_PATHS_H

#include "base/error.h"

/* Names inside a component's run folder. */
#define RUN_MONITOR "monitor.json"
#define RUN_READY   "ready"
#define RUN_EXIT    "exit.json"
#define RUN_API     "api.sock"
#define RUN_STDIO   "stdio.sock"
/* All that a virtual machine's process can reach by name once it is locked up: a folder of its own,
 * so that it could not write what its monitor writes. */
#define RUN_VM    "vm"
#define RUN_VSOCK RUN_VM "/vsock.sock"
/* Of an osvm-vmm: its own exit record. */
#define RUN_RECORD "record.json"
/* Inside the run folder itself. */
#define RUN_NOTIFY "notify.sock"
#define RUN_DAEMON "osvm.sock"

struct paths {
    char *state; /* absolute, owned */
    char *run;
};

/**
 * Where they are for this user: root's are the system's, others' their own (XDG base directories).
 * Overridden by `state` and `run` where not NULL. Nothing is made.
 * Returns 0 or a negative errno with the reason in err.
 */
int paths_init(struct paths *paths, const char *state, const char *run, struct error *err);
void paths_free(struct paths *paths);

/* Make both folders, 0700, where they are not there. */
int paths_make(const struct paths *paths, struct error *err);

/* RUN/NAME[/FILE] and STATE/components/NAME[/FILE]; `file` may be NULL. The caller frees; NULL: no
 * memory. */
char *paths_run(const struct paths *paths, const char *name, const char *file);
char *paths_state(const struct paths *paths, const char *name, const char *file);

/* An installed or just-built program of ours beside this one: "osvm-vmm", "osvm-monitor", … */
int paths_program(const char *name, char **ret_path, struct error *err);

/* An installed or just-built image of the SDK's: "mcp_tools". */
int paths_image(const char *name, char **ret_path, struct error *err);

#endif

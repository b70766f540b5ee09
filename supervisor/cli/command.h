/* The commands of osvm: one table, one function each. */
#ifndef OSVM_SUPERVISOR_CLI_COMMAND_H
#define OSVM_SUPERVISOR_CLI_COMMAND_H

#include <stdbool.h>

#include "../component.h"
#include "../paths.h"
#include "base/error.h"

/* What is said before the command, for all of them. */
struct invocation {
    const char *state, *run; /* NULL: the user's own */
    bool json;
    char **arguments; /* behind the command's name; NULL behind the last */
    int argument_count;
};

struct command {
    const char *name;
    const char *usage;                               /* its arguments: "FILE..." */
    const char *help;                                /* one line */
    int least, most;                                 /* number of arguments; most -1: any number */
    int (*run)(const struct invocation *invocation); /* returns the exit status */
};

/* As `most`: any number, and --json among them is somebody else's. */
#define COMMAND_ALL_WORDS (-2)

/* All commands, in the order in which help shows them. Never freed. */
const struct command *commands_table(size_t *ret_count);

#define EXIT_FAILED  1
#define EXIT_USAGE   2
#define EXIT_REFUSED 125
/* Of a program that was to be run (POSIX, Shell and Utilities, 2.8.2). */
#define EXIT_CANNOT_RUN 126

/* One line on standard error: "osvm: …". Returns `status`. */
int fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/**
 * Read a component file. Its mistakes are told on standard error, "FILE:LINE: …" each.
 * @ret_component  freed by component_free(), whatever comes of it
 * Returns 0, or the exit status.
 */
int read_component_file(const char *path, struct component *ret_component);

/* Print a value, and release it. Returns the exit status. */
int print_json(json_t *value);

/* A string of an object's; "" where it has none. */
const char *text_of(json_t *object, const char *key);

/* Whether the arguments name this component; where there are none, all are meant. */
bool is_named(const struct invocation *invocation, const char *name);

int command_check(const struct invocation *invocation);
int command_completion(const struct invocation *invocation);
int command_create(const struct invocation *invocation);
int command_daemon(const struct invocation *invocation);
int command_doctor(const struct invocation *invocation);
int command_exec(const struct invocation *invocation);
int command_health(const struct invocation *invocation);
int command_stats(const struct invocation *invocation);
int command_top(const struct invocation *invocation);
int command_events(const struct invocation *invocation);
int command_inspect(const struct invocation *invocation);
int command_kill(const struct invocation *invocation);
int command_logs(const struct invocation *invocation);
int command_mcp(const struct invocation *invocation);
int command_ps(const struct invocation *invocation);
int command_restart(const struct invocation *invocation);
int command_rm(const struct invocation *invocation);
int command_run(const struct invocation *invocation);
int command_runtimes(const struct invocation *invocation);
int command_schema(const struct invocation *invocation);
int command_start(const struct invocation *invocation);
int command_stop(const struct invocation *invocation);

#endif

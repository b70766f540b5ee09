/* Level none: a plain child. Only by name, and with nothing promised. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "runtime.h"

static void probe(struct runtime_probe *ret_probe)
{
    *ret_probe = (struct runtime_probe){.available = true};
    snprintf(ret_probe->detail, sizeof(ret_probe->detail), "no isolation at all");
}

static int check(const struct component *component, struct error *err)
{
    const char *program = component->command.items[0];

    if (program[0] != '/')
        return error_set(err, -EINVAL, "command: '%s' is not an absolute path", program);
    if (access(program, X_OK) < 0)
        return error_set_errno(err, -errno, "command: cannot run '%s'", program);
    return 0;
}

static int prepare(const struct component *component, const struct paths *paths,
                   struct launch *ret_launch, struct error *err)
{
    (void)paths;
    launch_add_list(ret_launch, &component->command);
    for (size_t i = 0; i < component->environment.count; i++)
        launch_add_environment(ret_launch, component->environment.items[i]);
    if (component->limits.execution_time_sec != FIELD_UNSET)
        ret_launch->time_limit_ms = component->limits.execution_time_sec * 1000;
    return launch_check(ret_launch) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;
}

/* Beside a plain child is on the host. */
static int enter(const struct component *component, const struct process_id *inner,
                 const struct paths *paths, struct launch *launch, struct error *err)
{
    (void)component;
    (void)inner;
    (void)paths;
    (void)launch;
    (void)err;
    return 0;
}

const struct runtime runtime_none = {
    .name = "child",
    .level = LEVEL_NONE,
    .probe = probe,
    .check = check,
    .prepare = prepare,
    .enter = enter,
};

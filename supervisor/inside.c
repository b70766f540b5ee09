#include "inside.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/util.h"

/* Our own programs between a monitor and its component are fewer by far. */
#define MAX_LOOKED_AT 64

/* --- which process -------------------------------------------------------------------------------
 */

/* What counts of /proc/PID/status (proc(5)). */
struct rights {
    unsigned long long effective;
    unsigned filters, no_new_privileges;
};

static int read_rights(pid_t pid, struct rights *ret_rights)
{
    static const char *const keys[] = {"\nCapEff:", "\nNoNewPrivs:", "\nSeccomp_filters:"};
    _cleanup_free_ char *text = NULL;
    unsigned long long values[ARRAY_SIZE(keys)];
    char path[64];
    size_t len;
    int r;

    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    r = io_read_file(path, 64 * KIB, &text, &len);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(keys); i++) {
        const char *at = strstr(text, keys[i]);

        if (!at)
            return -EINVAL;
        values[i] = strtoull(at + strlen(keys[i]), NULL, i == 0 ? 16 : 10);
    }
    if (r == 0)
        *ret_rights = (struct rights){.effective = values[0],
                                      .no_new_privileges = (unsigned)values[1],
                                      .filters = (unsigned)values[2]};
    return r;
}

static bool is_inside(pid_t pid, const struct rights *own)
{
    struct rights its;
    struct stat mine, user;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
    return read_rights(pid, &its) == 0 && its.effective == 0 && its.no_new_privileges == 1 &&
           its.filters > own->filters && stat("/proc/self/ns/user", &mine) == 0 &&
           stat(path, &user) == 0 && mine.st_ino != user.st_ino;
}

int inside_find(const struct process_id *child, struct process_id *ret_inner)
{
    pid_t queue[MAX_LOOKED_AT];
    struct rights own;
    size_t count = 0;

    if (child->pid <= 0 || read_rights(getpid(), &own) < 0)
        return -ESRCH;
    queue[count++] = child->pid;
    for (size_t i = 0; i < count; i++) {
        /* The time first: were it another process by the end, the time would be too. */
        uint64_t start = process_start_time(queue[i]);

        if (start && is_inside(queue[i], &own)) {
            *ret_inner = (struct process_id){.pid = queue[i], .start = start};
            /* The tree is that of this child, if it is the child. */
            return process_start_time(child->pid) == child->start ? 0 : -ESRCH;
        }
        process_add_children(queue[i], queue, ARRAY_SIZE(queue), &count);
    }
    return -ESRCH;
}

/* --- launches ------------------------------------------------------------------------------------
 */

/* All of a launch but for what is run. */
static int begin(const struct component *component, const struct runtime *runtime,
                 const struct process_id *child, const struct paths *paths, struct launch *launch,
                 struct error *err)
{
    struct process_id inner;

    if (!runtime || !runtime->enter)
        return error_set(err, -EOPNOTSUPP,
                         "nothing can be run in a virtual machine from outside; what is in it has "
                         "to serve it, at a vsock port say");
    if (child->pid <= 0)
        return error_set(err, -ESRCH, "it does not run; start it first");
    if (runtime->level != LEVEL_NONE && inside_find(child, &inner) < 0)
        return error_set(err, -ESRCH, "its program has not begun, or has ended");
    launch_add_environment(launch, LAUNCH_DEFAULT_PATH);
    for (size_t i = 0; i < component->environment.count; i++)
        launch_add_environment(launch, component->environment.items[i]);
    return runtime->enter(component, &inner, paths, launch, err);
}

int inside_command(const struct component *component, const struct runtime *runtime,
                   const struct process_id *child, const struct paths *paths,
                   const struct string_list *command, const char *directory,
                   struct launch *ret_launch, struct error *err)
{
    int r = begin(component, runtime, child, paths, ret_launch, err);

    if (r < 0)
        return r;
    if (ret_launch->argv.count) {
        if (!directory)
            directory = component->working_directory;
        if (directory)
            launch_add(ret_launch, "--directory=%s", directory);
        launch_add(ret_launch, "--");
    }
    launch_add_list(ret_launch, command);
    return launch_check(ret_launch) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;
}

int inside_probe(const struct component *component, const struct runtime *runtime,
                 const struct process_id *child, const struct paths *paths,
                 const struct probe *probe, struct launch *ret_launch, struct error *err)
{
    _cleanup_free_ char *program = NULL;
    int r = begin(component, runtime, child, paths, ret_launch, err);

    if (r == 0 && !ret_launch->argv.count) { /* at level none its network is the host's */
        r = paths_program("osvm-sandbox", &program, err);
        if (r == 0)
            launch_add(ret_launch, "%s", program);
    }
    if (r < 0)
        return r;
    if (probe->kind == PROBE_HTTP)
        launch_add(ret_launch, "--probe=http:%" PRIu64 ":%s", probe->port,
                   probe->path ? probe->path : "/");
    else
        launch_add(ret_launch, "--probe=tcp:%" PRIu64, probe->port);
    return launch_check(ret_launch) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;
}

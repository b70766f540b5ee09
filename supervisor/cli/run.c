/* osvm run FILE: one component in the foreground, without the daemon. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../instance.h"
#include "base/cleanup.h"
#include "command.h"

/* Wait for the monitor; what would end this process ends the component instead. */
static void wait_for(pid_t monitor, const sigset_t *mask)
{
    siginfo_t info;
    int status;

    for (;;) {
        if (waitpid(monitor, &status, WNOHANG) == monitor)
            return;
        if (sigwaitinfo(mask, &info) >= 0 && info.si_signo != SIGCHLD)
            kill(monitor, SIGTERM);
    }
}

static int tell_end(const struct component *component, const struct paths *paths)
{
    struct instance_end end;

    if (instance_read_end(paths, component->metadata.name, &end) < 0)
        return fail(EXIT_FAILED, "%s: its monitor was killed; what it ran is ended",
                    component->metadata.name);
    if (*end.message)
        fail(0, "%s: %s", component->metadata.name, end.message);
    return instance_exit_status(&end);
}

static int run_component(struct component *component, const struct paths *paths)
{
    struct runtime_manager manager;
    struct runtime_choice choice;
    struct error err = {0};
    sigset_t mask;
    pid_t monitor;
    int status;

    runtime_manager_init(&manager);
    if (runtime_manager_choose(&manager, component, &choice, &err) < 0)
        return fail(EXIT_REFUSED, "%s: %s", component->metadata.name, err.text);
    if (choice.weaker || choice.level == LEVEL_NONE)
        fail(0, "%s runs at level %s", component->metadata.name, choice.reason);
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGHUP);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    if (instance_start(component, &choice, paths, true, &monitor, &err) < 0)
        return fail(EXIT_REFUSED, "%s: %s", component->metadata.name, err.text);
    wait_for(monitor, &mask);
    status = tell_end(component, paths);
    instance_clean(paths, component, choice.runtime);
    return status;
}

int command_run(const struct invocation *invocation)
{
    struct component component;
    struct paths paths;
    struct error err = {0};
    char id[40];
    int status = read_component_file(invocation->arguments[0], &component);

    if (status == 0 && !component.id) {
        component.id = instance_new_id(id) < 0 ? NULL : strdup(id);
        if (!component.id)
            status = fail(EXIT_FAILED, "cannot make an id");
    }
    if (status == 0 && paths_init(&paths, invocation->state, invocation->run, &err) < 0)
        status = fail(EXIT_FAILED, "%s", err.text);
    else if (status == 0) {
        status = paths_make(&paths, &err) < 0 ? fail(EXIT_FAILED, "%s", err.text)
                                              : run_component(&component, &paths);
        paths_free(&paths);
    }
    component_free(&component);
    return status;
}

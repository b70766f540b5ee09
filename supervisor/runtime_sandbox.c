/* Level process_sandbox: osvm-sandbox. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "host_command.h"
#include "runtime.h"

/* Its pid 1 is ours, and counts. */
#define OWN_INSIDE 1

/* What a program of the host's own wants, where the component brings no root folder. */
static const char *const host_folders[] = {
    "/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/etc/ld.so.cache", "/etc/alternatives"};

static void probe(struct runtime_probe *ret_probe)
{
    struct launch launch = {0};
    _cleanup_free_ char *program = NULL;
    char output[256] = "";
    struct error err = {0};
    int status = -1;

    *ret_probe = (struct runtime_probe){0};
    if (paths_program("osvm-sandbox", &program, &err) < 0) {
        snprintf(ret_probe->why, sizeof(ret_probe->why), "%s", err.text);
        return;
    }
    launch_add(&launch, "%s", program);
    launch_add(&launch, "--name");
    launch_add(&launch, "probe");
    if (geteuid() == 0) {
        launch_add(&launch, "--uid=%u", 0x40000000U);
        launch_add(&launch, "--gid=%u", 0x40000000U);
    }
    /* The program is the sandbox's own, which refuses in its own way to be run without arguments.
     */
    launch_add(&launch, "--bind=%s:/probe", program);
    launch_add(&launch, "--");
    launch_add(&launch, "/probe");
    launch_add(&launch, "--name=inner");
    if (launch_check(&launch) == 0)
        status = host_command_run(&launch, output, sizeof(output));
    ret_probe->available = status == 125 && strstr(output, "usage: osvm-sandbox");
    if (ret_probe->available) {
        snprintf(ret_probe->detail, sizeof(ret_probe->detail), "namespaces, seccomp, Landlock");
    } else {
        snprintf(ret_probe->why, sizeof(ret_probe->why), "%.200s", output);
        snprintf(ret_probe->remedy, sizeof(ret_probe->remedy),
                 "allow user namespaces: sysctl user.max_user_namespaces=10000 "
                 "kernel.unprivileged_userns_clone=1");
    }
    launch_free(&launch);
}

static int check(const struct component *component, struct error *err)
{
    int r = runtime_check_files(component, err);

    if (r < 0)
        return r;
    if (component->command.items[0][0] != '/')
        return error_set(err, -EINVAL, "command: '%s' is not an absolute path",
                         component->command.items[0]);
    r = runtime_check_groups(err);
    if (r < 0)
        return r;
    if (component->network.access == NETWORK_RESTRICTED ||
        component->network.access == NETWORK_FULL)
        return error_set(err, -EOPNOTSUPP,
                         "network.access: %s can't be had with its bandwidth enforced at level "
                         "process_sandbox; say internal or none, or choose a micro_vm",
                         network_access_name((enum network_access)component->network.access));
    return 0;
}

static void add_files(const struct component *component, struct launch *launch)
{
    const struct isolation *isolation = &component->isolation;
    const struct mount *mounts = component->mounts.items;

    if (isolation->root_path)
        launch_add(launch, "--root=%s%s", isolation->root_path,
                   component->security.read_only_root ? "" : ":rw");
    for (size_t i = 0; !isolation->root_path && i < ARRAY_SIZE(host_folders); i++) {
        if (access(host_folders[i], F_OK) == 0)
            launch_add(launch, "--bind=%s:%s", host_folders[i], host_folders[i]);
    }
    for (size_t i = 0; i < component->mounts.count; i++)
        launch_add(launch, "--bind=%s:%s%s", mounts[i].host_path, mounts[i].guest_path,
                   mounts[i].read_only ? "" : ":rw");
}

static void add_limits(const struct component *component, struct launch *launch)
{
    const struct resource_limits *limits = &component->limits;

    launch_add(launch, "--tmp=%" PRIu64, limits->disk_mb * MIB);
    launch->wants_cgroup = true;
    launch->own_processes = 2; /* osvm-sandbox outside, and pid 1 inside */
    launch_add(launch, "--nofile=%" PRIu64, limits->file_descriptors);
    launch_add(launch, "--nproc=%" PRIu64, limits->processes + OWN_INSIDE);
    if (limits->execution_time_sec != FIELD_UNSET)
        launch->time_limit_ms = limits->execution_time_sec * 1000;
}

static int prepare(const struct component *component, const struct paths *paths,
                   struct launch *ret_launch, struct error *err)
{
    _cleanup_free_ char *program = NULL, *filter = NULL;
    int r = paths_program("osvm-sandbox", &program, err);

    if (r == 0)
        r = runtime_write_filter(component, paths, &filter, err);
    if (r < 0)
        return r;
    launch_add(ret_launch, "%s", program);
    launch_add(ret_launch, "--seccomp=%s", filter);
    launch_add(ret_launch, "--name=%s", component->metadata.name);
    if (geteuid() == 0) {
        launch_add(ret_launch, "--uid=%u", component_user(component));
        launch_add(ret_launch, "--gid=%u", component_user(component));
    }
    add_files(component, ret_launch);
    add_limits(component, ret_launch);
    if (component->working_directory)
        launch_add(ret_launch, "--directory=%s", component->working_directory);
    if (component->isolation.apparmor_profile)
        launch_add(ret_launch, "--apparmor=%s", component->isolation.apparmor_profile);
    if (!component->security.aslr)
        launch_add(ret_launch, "--no-aslr");
    launch_add(ret_launch, "--");
    launch_add_list(ret_launch, &component->command);
    for (size_t i = 0; i < component->environment.count; i++)
        launch_add_environment(ret_launch, component->environment.items[i]);
    return launch_check(ret_launch) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;
}

static int enter(const struct component *component, const struct process_id *inner,
                 const struct paths *paths, struct launch *launch, struct error *err)
{
    int r = runtime_enter_sandbox(component, inner, paths, component->limits.processes + OWN_INSIDE,
                                  launch, err);

    if (r == 0 && component->isolation.root_path && !component->security.read_only_root)
        launch_add(launch, "--root=/:rw");
    return r;
}

const struct runtime runtime_sandbox = {
    .name = "osvm-sandbox",
    .level = LEVEL_PROCESS_SANDBOX,
    .probe = probe,
    .check = check,
    .prepare = prepare,
    .enter = enter,
};

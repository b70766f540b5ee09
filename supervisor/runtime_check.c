/* What levels that share the host's kernel have to look at alike. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/util.h"
#include "runtime.h"

/* Memory, CPU and processes are limited by control groups alone: nothing else holds for all of it.
 */
int runtime_check_groups(struct error *err)
{
    static const struct {
        enum cgroup_controller controller;
        const char *name;
    } wanted[] = {{CGROUP_MEMORY, "memory"}, {CGROUP_CPU, "cpu"}, {CGROUP_PIDS, "pids"}};
    struct cgroup_host host;
    int r = cgroup_host_probe(&host);

    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(wanted); i++) {
        if (!cgroup_host_version(&host, wanted[i].controller))
            r = error_set(err, -EOPNOTSUPP,
                          "resource_limits: no control group with the controller %s can be made "
                          "here, so they could not be enforced; run osvm as root, or by "
                          "systemd-run --user --scope -p Delegate=yes",
                          wanted[i].name);
    }
    cgroup_host_free(&host);
    return r;
}

int runtime_check_files(const struct component *component, struct error *err)
{
    const struct mount *mounts = component->mounts.items;
    struct stat st;

    if (component->isolation.root_path &&
        (stat(component->isolation.root_path, &st) < 0 || !S_ISDIR(st.st_mode)))
        return error_set(err, -ENOENT, "isolation.root_path: '%s' is no folder",
                         component->isolation.root_path);
    if (component->isolation.apparmor_profile &&
        access("/sys/kernel/security/apparmor/profiles", F_OK) < 0)
        return error_set(err, -EOPNOTSUPP,
                         "isolation.apparmor_profile: this host has no AppArmor; take the key away "
                         "or choose a host that has it");
    for (size_t i = 0; i < component->mounts.count; i++) {
        if (stat(mounts[i].host_path, &st) < 0)
            return error_set_errno(err, -errno, "mounts.%zu: '%s'", i + 1, mounts[i].host_path);
    }
    return 0;
}

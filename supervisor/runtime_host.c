/* What levels that share the host's kernel have alike: the filter, and a way in. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "runtime.h"
#include "seccomp_profile.h"

int runtime_write_filter(const struct component *component, const struct paths *paths,
                         char **ret_path, struct error *err)
{
    const char *profile = component->isolation.seccomp_profile;
    _cleanup_free_ char *path = paths_run(paths, component->metadata.name, RUNTIME_FILTER);
    _cleanup_close_ int fd = -1;
    int r;

    if (!path)
        return error_set(err, -ENOMEM, "out of memory");
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot make '%s'", path);
    r = seccomp_profile_write(profile ? profile : "default", fd, err);
    if (r == 0)
        *ret_path = take_ptr(path);
    return r;
}

int runtime_enter_sandbox(const struct component *component, const struct process_id *inner,
                          const struct paths *paths, uint64_t processes, struct launch *launch,
                          struct error *err)
{
    _cleanup_free_ char *filter = paths_run(paths, component->metadata.name, RUNTIME_FILTER);
    const struct mount *mounts = component->mounts.items;
    _cleanup_free_ char *program = NULL;
    int r = filter ? paths_program("osvm-sandbox", &program, err)
                   : error_set(err, -ENOMEM, "out of memory");

    if (r < 0)
        return r;
    launch_add(launch, "%s", program);
    launch_add(launch, "--join=%d:%" PRIu64, inner->pid, inner->start);
    launch_add(launch, "--nofile=%" PRIu64, component->limits.file_descriptors);
    launch_add(launch, "--nproc=%" PRIu64, processes);
    launch_add(launch, "--seccomp=%s", filter);
    if (component->isolation.apparmor_profile)
        launch_add(launch, "--apparmor=%s", component->isolation.apparmor_profile);
    if (!component->security.aslr)
        launch_add(launch, "--no-aslr");
    for (size_t i = 0; i < component->mounts.count; i++) {
        if (!mounts[i].read_only)
            launch_add(launch, "--bind=%s:%s:rw", mounts[i].host_path, mounts[i].guest_path);
    }
    return 0;
}

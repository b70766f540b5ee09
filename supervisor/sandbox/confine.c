#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/util.h"

int confine_drop_rights(struct error *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_set_errno(err, -errno, "cannot set no_new_privs");
    for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++) {
        if (prctl(PR_CAPBSET_DROP, capability) < 0)
            return error_set_errno(err, -errno, "cannot drop capability %d", capability);
    }
    if (prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                     SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                                     SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED) < 0)
        return error_set_errno(err, -errno, "cannot lock the secure bits");
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
        syscall(SYS_capset, &header, none) < 0)
        return error_set_errno(err, -errno, "cannot drop the capabilities");
    /* A keyring of its own; a kernel without keyrings has nothing to share. */
    if (syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, NULL) < 0 && errno != ENOSYS &&
        errno != EPERM && errno != EDQUOT)
        return error_set_errno(err, -errno, "cannot make a keyring");
    return 0;
}

/* --- files --------------------------------------------------------------------------------------
 */

/* linux/landlock.h: what each version of the interface knows of files (Debian's header has 1). */
#define LANDLOCK_READS \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define LANDLOCK_ALL_1    ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)
#define LANDLOCK_REFER    (UINT64_C(1) << 13) /* from version 2 on */
#define LANDLOCK_TRUNCATE (UINT64_C(1) << 14) /* from version 3 on */

static int allow(int ruleset, const char *path, uint64_t access)
{
    _cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
    struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode)) /* the other rights are of folders */
        rule.allowed_access &= LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |
                               LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_TRUNCATE;
    return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0
               ? -errno
               : 0;
}

int confine_files(const struct sandbox_options *options, struct error *err)
{
    struct landlock_ruleset_attr attr = {0};
    _cleanup_close_ int ruleset = -1;
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    int r;

    if (version < 1)
        return 0; /* the mounts hold without it */
    attr.handled_access_fs = LANDLOCK_ALL_1 | (version >= 2 ? LANDLOCK_REFER : 0) |
                             (version >= 3 ? LANDLOCK_TRUNCATE : 0);
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    if (ruleset < 0)
        return error_set_errno(err, -errno, "cannot make a Landlock rule set");
    r = allow(ruleset, "/", options->root_writable ? attr.handled_access_fs : LANDLOCK_READS);
    if (r == 0)
        r = allow(ruleset, "/tmp", attr.handled_access_fs);
    if (r == 0) /* /dev/shm, and writing to /dev/null and its like */
        r = allow(ruleset, "/dev", attr.handled_access_fs & ~LANDLOCK_ACCESS_FS_MAKE_CHAR);
    if (r == 0) /* a process sets its own oom_score_adj, and the like */
        r = allow(ruleset, "/proc", LANDLOCK_READS | LANDLOCK_ACCESS_FS_WRITE_FILE);
    for (size_t i = 0; r == 0 && i < options->bind_count; i++) {
        if (options->binds[i].writable)
            r = allow(ruleset, options->binds[i].inside, attr.handled_access_fs);
    }
    if (r == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        r = -errno;
    return r < 0 ? error_set_errno(err, r, "cannot enforce the Landlock rules") : 0;
}

/* --- resources ----------------------------------------------------------------------------------
 */

static int limit(int which, const char *name, uint64_t value, struct error *err)
{
    struct rlimit limit;

    if (value == UINT64_MAX)
        return 0;
    if (getrlimit((__rlimit_resource_t)which, &limit) < 0)
        return error_set_errno(err, -errno, "cannot read the limit of %s", name);
    /* A hard limit below what was asked for is a limit all the same. */
    if (limit.rlim_max == RLIM_INFINITY || value < limit.rlim_max)
        limit.rlim_max = value;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit((__rlimit_resource_t)which, &limit) < 0
               ? error_set_errno(err, -errno, "cannot limit %s", name)
               : 0;
}

int confine_resources(const struct sandbox_options *options, struct error *err)
{
    const struct {
        int which;
        const char *name;
        uint64_t value;
    } limits[] = {
        {RLIMIT_CORE, "core dumps", 0},
        {RLIMIT_NOFILE, "descriptors", options->files},
        {RLIMIT_NPROC, "processes", options->processes},
        {RLIMIT_AS, "memory", options->memory},
        {RLIMIT_CPU, "CPU time", options->cpu_seconds},
        {RLIMIT_MEMLOCK, "locked memory", 64 * KIB},
        {RLIMIT_MSGQUEUE, "message queues", 64 * KIB},
        {RLIMIT_SIGPENDING, "pending signals", 1024},
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(limits); i++)
        r = limit(limits[i].which, limits[i].name, limits[i].value, err);
    if (r == 0 && options->no_aslr && personality(ADDR_NO_RANDOMIZE) < 0)
        r = error_set_errno(err, -errno, "cannot switch off address randomization");
    return r;
}

/* --- calls --------------------------------------------------------------------------------------
 */

int confine_open_filter(const struct sandbox_options *options, int *ret_fd, struct error *err)
{
    *ret_fd = -1;
    if (!options->seccomp)
        return 0;
    *ret_fd = open(options->seccomp, O_RDONLY | O_CLOEXEC);
    return *ret_fd < 0
               ? error_set_errno(err, -errno, "cannot open the filter '%s'", options->seccomp)
               : 0;
}

int confine_calls(int filter_fd, struct error *err)
{
    struct sock_filter code[BPF_MAXINSNS];
    struct sock_fprog program = {.filter = code};
    struct stat st;
    int r;

    if (filter_fd < 0)
        return 0;
    if (fstat(filter_fd, &st) < 0)
        return error_set_errno(err, -errno, "cannot read the filter");
    if (st.st_size == 0 || (size_t)st.st_size > sizeof(code) ||
        (size_t)st.st_size % sizeof(code[0]) != 0)
        return error_set(err, -EINVAL, "the filter is not one: %lld bytes", (long long)st.st_size);
    r = io_pread_exact(filter_fd, code, (size_t)st.st_size, 0);
    if (r < 0)
        return error_set_errno(err, r, "cannot read the filter");
    program.len = (unsigned short)((size_t)st.st_size / sizeof(code[0]));
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        return error_set_errno(err, -errno, "the kernel does not take the filter");
    return 0;
}

int confine_apparmor(const char *profile, struct error *err)
{
    _cleanup_close_ int fd = -1;
    char text[256];
    int len;

    if (!profile)
        return 0;
    fd = open("/proc/self/attr/apparmor/exec", O_WRONLY | O_CLOEXEC);
    len = snprintf(text, sizeof(text), "exec %s", profile);
    if (fd < 0 || len >= (int)sizeof(text))
        return error_set(err, -EOPNOTSUPP, "this kernel has no AppArmor to take a profile");
    if (write(fd, text, (size_t)len) != len)
        return error_set_errno(err, -errno, "AppArmor does not take the profile '%s'", profile);
    return 0;
}

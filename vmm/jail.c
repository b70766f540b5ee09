#include "jail.h"

#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/securebits.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "jail_landlock.h"
#include "jail_root.h"

/* All memory comes from brk(), so that nothing needs to be mapped any more. */
static void bound_allocator(void)
{
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_MAX, 0);
}

int jail_init(struct jail *jail, const struct config *config, struct error *err)
{
    *jail = (struct jail){.config = config, .wanted = !config->no_jail, .user.claim_fd = -1};
#ifdef OSVM_SANITIZED
    jail->wanted = false; /* a sanitizer opens files and maps memory as it likes */
#endif
    if (!jail->wanted)
        return 0;
    bound_allocator();
    return jail_choose_user(config, &jail->user, err);
}

void jail_release(struct jail *jail)
{
    close_fd(take_fd(&jail->user.claim_fd));
}

/* The PID namespace is there since the fork; /dev/kvm and the taps were opened outside of these. */
static int enter_namespaces(struct error *err)
{
    if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_NEWNET) < 0)
        return error_set_errno(err, -errno, "cannot make the jail's namespaces");
    return 0;
}

static int empty_root(const struct jail *jail, struct error *err)
{
    const struct config_vsock *vsock = &jail->config->devices.vsock;
    _cleanup_free_ char *path = NULL;

    if (!vsock->cid)
        return jail_empty_root(NULL, err);
    path = strdup(vsock->path);
    if (!path)
        return error_set(err, -ENOMEM, "out of memory");
    return jail_empty_root(dirname(path), err);
}

static int become_user(struct jail *jail, struct error *err)
{
    const struct jail_user *user = &jail->user;

    if (!user->change) {
        jail->own_users = true; /* guardian_fork() had to make one */
        return 0;
    }
    if (setgroups(0, NULL) < 0 || setresgid(user->gid, user->gid, user->gid) < 0 ||
        setresuid(user->uid, user->uid, user->uid) < 0)
        return error_set_errno(err, -errno, "cannot become user %u, group %u", user->uid,
                               user->gid);
    /* One without any user in it: there is nobody to become. A host may forbid it to users. */
    jail->own_users = unshare(CLONE_NEWUSER) == 0;
    return 0;
}

/* All of them, for good; where a user namespace was entered, those that it gave. */
static int drop_capabilities(struct error *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                               SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                               SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

    /* EPERM: none is left to change these with, nor would no_new_privs let one come back. */
    if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0 && errno != EPERM)
        return error_set_errno(err, -errno, "cannot set the secure bits");
    for (int i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++) {
        if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0 && errno != EPERM)
            return error_set_errno(err, -errno, "cannot drop capability %d", i);
    }
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capset, &header, none) < 0)
        return error_set_errno(err, -errno, "cannot drop the capabilities");
    return 0;
}

/*
 * Against what the hardware lets neighbours see. L1D_FLUSH is not asked for: on a core with two
 * threads it kills (Linux, Documentation/admin-guide/hw-vuln/l1d_flush.rst), and core scheduling
 * sees to those.
 */
static void set_apart(struct jail *jail)
{
    static const unsigned long controls[] = {PR_SPEC_STORE_BYPASS, PR_SPEC_INDIRECT_BRANCH};

    jail->core_cookie =
        prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, PR_SCHED_CORE_SCOPE_THREAD_GROUP, 0) == 0;
    jail->speculation = true;
    for (size_t i = 0; i < ARRAY_SIZE(controls); i++) {
        int state = prctl(PR_GET_SPECULATION_CTRL, controls[i], 0, 0, 0);

        if (state < 0 || !(state & PR_SPEC_PRCTL)) /* not vulnerable, or decided for all */
            continue;
        if (prctl(PR_SET_SPECULATION_CTRL, controls[i], PR_SPEC_FORCE_DISABLE, 0, 0) < 0)
            jail->speculation = false;
    }
}

/* No core file, no debugger, no memory of it in /proc for others. */
static void forbid_dumps(void)
{
    const struct rlimit none = {0};

    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

int jail_enter(struct jail *jail, const struct guardian *guardian, struct error *err)
{
    _cleanup_close_ int landlock_fd = -1;
    int r = 0;

    if (!jail->wanted)
        return 0;
    jail_release(jail); /* the guardian's now */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        r = error_set_errno(err, -errno, "cannot do without new privileges");
    if (r == 0)
        r = jail_landlock_prepare(jail->config, jail->private_folder, &jail->landlock, &landlock_fd,
                                  err);
    if (r == 0)
        r = enter_namespaces(err);
    if (r == 0)
        r = empty_root(jail, err);
    if (r == 0)
        set_apart(jail);
    if (r == 0)
        r = become_user(jail, err);
    if (r == 0)
        r = drop_capabilities(err);
    if (r == 0)
        r = jail_landlock_enforce(landlock_fd, err);
    if (r < 0)
        return error_prefix(err, r, "jail (--no-jail does without, to debug)");
    forbid_dumps();
    if (guardian_outlive_not(guardian) < 0) /* new ids have made the kernel forget it */
        _exit(1);
    jail->closed = true;
    return 0;
}

void jail_describe(const struct jail *jail, char *buf, size_t len)
{
    int used;

    if (!jail->wanted) {
        snprintf(buf, len, "none");
        return;
    }
    used =
        snprintf(buf, len,
                 "user %u, group %u (%s); own %smount, pid, ipc, uts, cgroup and network "
                 "namespaces; an empty root; no capabilities; system calls filtered",
                 jail->user.uid, jail->user.gid, jail->user.why, jail->own_users ? "user, " : "");
    if (used < 0 || (size_t)used >= len)
        return;
    snprintf(buf + used, len - (size_t)used, "; Landlock %s; core scheduling %s; speculation %s",
             jail->landlock ? "yes" : "not in this kernel", jail->core_cookie ? "yes" : "not here",
             jail->speculation ? "controlled" : "not controlled");
}

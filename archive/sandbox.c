#include "sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"

/* libarchive's own, above what the files take, which lie in no address space. */
#define ADDRESS_SPACE (256 * MIB)
#define FIRST_OTHER   3
#define MAX_OPEN_FDS  8

#define ALLOW(name)                                        \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1), \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define DENY(name)                                         \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1), \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES)
#define FIELD(name) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, name))

static const struct sock_filter filter[] = {
    FIELD(arch),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    FIELD(nr),
    ALLOW(read),         /* the archive */
    ALLOW(write),        /* into a file in memory */
    ALLOW(lseek),        /* libarchive skips by it */
    ALLOW(fstat),        /* libarchive asks what the archive is */
    ALLOW(newfstatat),   /* fstat, as the C library makes it */
    ALLOW(fcntl),        /* seals */
    ALLOW(memfd_create), /* a file in memory */
    ALLOW(sendmsg),      /* hand it over */
    ALLOW(close),
    ALLOW(brk), /* malloc */
    ALLOW(mmap),
    ALLOW(munmap),
    ALLOW(mremap),
    ALLOW(madvise),
    ALLOW(getrandom), /* the C library's own needs */
    ALLOW(futex),
    ALLOW(clock_gettime), /* libarchive's pax reader asks for the time */
    ALLOW(rt_sigreturn),
    ALLOW(exit_group),
    DENY(openat), /* character-set tables: it does without */
    DENY(open),
    DENY(readlink),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};

static int limit(int resource, uint64_t value)
{
    struct rlimit now, wanted = {.rlim_cur = value, .rlim_max = value};

    if (getrlimit((__rlimit_resource_t)resource, &now) < 0)
        return -errno;
    wanted.rlim_max = min_u64(wanted.rlim_max, now.rlim_max);
    wanted.rlim_cur = min_u64(wanted.rlim_cur, wanted.rlim_max);
    return setrlimit((__rlimit_resource_t)resource, &wanted) < 0 ? -errno : 0;
}

int sandbox_enter(uint64_t bytes, uint64_t cpu_s)
{
    const struct sock_fprog program = {.len = ARRAY_SIZE(filter),
                                       .filter = (struct sock_filter *)(uintptr_t)filter};
    int r;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_DUMPABLE, 0);
    if (syscall(SYS_close_range, FIRST_OTHER, ~0U, 0) < 0)
        return -errno;
    r = limit(RLIMIT_CPU, cpu_s);
    if (r == 0)
        r = limit(RLIMIT_AS, ADDRESS_SPACE);
    if (r == 0)
        r = limit(RLIMIT_FSIZE, bytes);
    if (r == 0)
        r = limit(RLIMIT_CORE, 0);
    if (r == 0)
        r = limit(RLIMIT_NOFILE, MAX_OPEN_FDS);
    if (r < 0)
        return r;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        return -errno;
    return 0;
}

/*
 * The built-in profiles. A call that is not listed fails with EPERM.
 *
 * `default` leaves out what reaches beyond the sandbox or opens much of the kernel: mounts and
 * namespaces, modules, kexec, keys, bpf, perf, userfaultfd, io_uring, ptrace and other processes'
 * memory, clocks, swap, quotas, accounting, raw I/O ports, handles of files, and what is obsolete.
 */
#include "seccomp_profile.h"

#include <stddef.h>

/* Memory, time, signals, waiting: what any program does with what it has. */
#define CALLS_COMPUTE                                                                              \
    "arch_prctl", "brk", "clock_getres", "clock_gettime", "clock_nanosleep", "exit", "exit_group", \
        "futex", "futex_waitv", "get_robust_list", "get_thread_area", "getcpu", "getitimer",       \
        "getpriority", "getrandom", "getrlimit", "getrusage", "gettimeofday", "madvise",           \
        "membarrier", "mincore", "mlock", "mlock2", "mlockall", "mmap", "mprotect", "mremap",      \
        "msync", "munlock", "munlockall", "munmap", "nanosleep", "pause", "pkey_alloc",            \
        "pkey_free", "pkey_mprotect", "restart_syscall", "rseq", "rt_sigaction", "rt_sigpending",  \
        "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait",   \
        "rt_tgsigqueueinfo", "sched_get_priority_max", "sched_get_priority_min",                   \
        "sched_getaffinity", "sched_getattr", "sched_getparam", "sched_getscheduler",              \
        "sched_rr_get_interval", "sched_yield", "set_robust_list", "set_thread_area",              \
        "set_tid_address", "setitimer", "sigaltstack", "time", "timer_create", "timer_delete",     \
        "timer_getoverrun", "timer_gettime", "timer_settime", "times", "uname"

/* Descriptors that are there, files that can be seen. */
#define CALLS_FILES                                                                                \
    "access", "chdir", "close", "close_range", "copy_file_range", "dup", "dup2", "dup3",           \
        "epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", \
        "eventfd", "eventfd2", "faccessat", "faccessat2", "fadvise64", "fallocate", "fchdir",      \
        "fcntl", "fdatasync", "fgetxattr", "flistxattr", "flock", "fstat", "fstatfs", "fsync",     \
        "ftruncate", "getcwd", "getdents", "getdents64", "getxattr", "inotify_add_watch",          \
        "inotify_init", "inotify_init1", "inotify_rm_watch", "ioctl", "lgetxattr", "link",         \
        "linkat", "listxattr", "llistxattr", "lseek", "lstat", "memfd_create", "mkdir", "mkdirat", \
        "newfstatat", "open", "openat", "openat2", "pipe", "pipe2", "poll", "ppoll", "pread64",    \
        "preadv", "preadv2", "pselect6", "pwrite64", "pwritev", "pwritev2", "read", "readahead",   \
        "readlink", "readlinkat", "readv", "rename", "renameat", "renameat2", "rmdir", "select",   \
        "sendfile", "signalfd", "signalfd4", "splice", "stat", "statfs", "statx", "symlink",       \
        "symlinkat", "sync_file_range", "syncfs", "tee", "timerfd_create", "timerfd_gettime",      \
        "timerfd_settime", "truncate", "umask", "unlink", "unlinkat", "utime", "utimensat",        \
        "utimes", "futimesat", "vmsplice", "write", "writev"

/* Who one is. */
#define CALLS_SELF                                                                               \
    "getegid", "geteuid", "getgid", "getgroups", "getpgid", "getpgrp", "getpid", "getppid",      \
        "getresgid", "getresuid", "getsid", "gettid", "getuid", "prctl", "prlimit64", "sysinfo", \
        "capget"

/* Processes and threads of one's own, their order, their rights. */
#define CALLS_PROCESSES                                                                           \
    "capset", "execve", "execveat", "fork", "kill", "pidfd_open", "pidfd_send_signal",            \
        "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler",             \
        "setpriority", "ioprio_get", "ioprio_set", "setfsgid", "setfsuid", "setgid", "setgroups", \
        "setpgid", "setregid", "setresgid", "setresuid", "setreuid", "setrlimit", "setsid",       \
        "setuid", "tgkill", "tkill", "vfork", "wait4", "waitid", "process_mrelease", "alarm",     \
        "chroot"

/* Files' owners, modes and attributes. */
#define CALLS_OWNERS                                                                           \
    "chmod", "chown", "fchmod", "fchmodat", "fchown", "fchownat", "fremovexattr", "fsetxattr", \
        "lchown", "lremovexattr", "lsetxattr", "mknod", "mknodat", "removexattr", "setxattr",  \
        "sync"

/* Sockets, in a network namespace that has what the component may see. */
#define CALLS_SOCKETS                                                                             \
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen", \
        "recvfrom", "recvmmsg", "recvmsg", "sendmmsg", "sendmsg", "sendto", "setsockopt",         \
        "shutdown", "socketpair"

/* System V and POSIX objects, of the ipc namespace. */
#define CALLS_IPC                                                                            \
    "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedsend", "mq_unlink", \
        "msgctl", "msgget", "msgrcv", "msgsnd", "semctl", "semget", "semop", "semtimedop",   \
        "shmat", "shmctl", "shmdt", "shmget"

/* Landlock and seccomp only ever take rights away. */
#define CALLS_CONFINE \
    "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "seccomp"

const char *const seccomp_default_calls[] = {
    CALLS_COMPUTE, CALLS_FILES,   CALLS_SELF, CALLS_PROCESSES, CALLS_OWNERS, CALLS_SOCKETS,
    CALLS_IPC,     CALLS_CONFINE, NULL,
};

/* The program itself is started by execve, which it may therefore do. */
const char *const seccomp_strict_calls[] = {
    CALLS_COMPUTE, CALLS_FILES, CALLS_SELF, CALLS_CONFINE, "execve", "tgkill", NULL,
};

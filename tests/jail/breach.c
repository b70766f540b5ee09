/*
 * Stands in for a guest that took osvm-vmm over. Linked with the whole program but for one function
 * (the linker's --wrap): what each thread does after its filter is closed is here to try one thing,
 * which OSVM_BREACH names, on the thread that OSVM_BREACH_THREAD names. Nothing of it is in
 * osvm-vmm itself.
 *
 * Says "breach NAME: refused: WHY" or "breach NAME: DONE" on standard error; where the filter kills
 * it says nothing, and the guardian does. OSVM_BREACH_FILTER=off leaves the filter out, so that
 * what the rest of the jail holds is seen.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/util.h"
#include "jail.h"

int __real_jail_filter_thread(const struct jail *jail, enum thread_kind kind);
int __wrap_jail_filter_thread(const struct jail *jail, enum thread_kind kind);

/* A number of the environment: the guardian's pid, another VM's, a port. */
static long number(const char *name)
{
    const char *text = getenv(name);

    return text ? strtol(text, NULL, 10) : 1;
}

static long open_file(void)
{
    return open("/etc/passwd", O_RDONLY);
}

static long open_relative(void)
{
    return open("../../etc/passwd", O_RDONLY);
}

static long make_file(void)
{
    return open("/x", O_WRONLY | O_CREAT, 0600);
}

static long connect_inet(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)number("OSVM_BREACH_PORT")),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&address, sizeof(address));
}

static long connect_abstract(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *name = getenv("OSVM_BREACH_ABSTRACT");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || !name)
        return -1;
    memcpy(address.sun_path + 1, name, strlen(name));
    return connect(fd, (struct sockaddr *)&address,
                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name)));
}

static long netlink(void)
{
    return socket(AF_NETLINK, SOCK_RAW, 0);
}

static long fork_process(void)
{
    long pid = syscall(SYS_fork);

    if (pid == 0)
        syscall(SYS_exit_group, 0);
    return pid;
}

static long exec_program(void)
{
    char *const words[] = {(char *)(uintptr_t) "true", NULL};

    return execve("/bin/true", words, words + 1);
}

static long exec_memory(void)
{
    char *const words[] = {(char *)(uintptr_t) "x", NULL};
    long fd = syscall(SYS_memfd_create, "x", 0);

    return fd < 0 ? -1 : syscall(SYS_execveat, fd, "", words, words + 1, AT_EMPTY_PATH);
}

static long trace_parent(void)
{
    return ptrace(PTRACE_ATTACH, (pid_t)number("OSVM_BREACH_PARENT"), NULL, NULL);
}

static long mount_something(void)
{
    return mount("x", "/", "tmpfs", 0, NULL);
}

static long executable_mapping(void)
{
    return (long)(intptr_t)mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static long executable_protection(void)
{
    static char page[8192];

    return mprotect((void *)(((uintptr_t)page + 4095) & ~(uintptr_t)4095), 4096,
                    PROT_READ | PROT_EXEC);
}

static long signal_parent(void)
{
    return kill((pid_t)number("OSVM_BREACH_PARENT"), SIGTERM);
}

static long signal_other(void)
{
    return syscall(SYS_tgkill, number("OSVM_BREACH_OTHER"), number("OSVM_BREACH_OTHER"), SIGTERM);
}

static long other_memory_by_proc(void)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%ld/mem", number("OSVM_BREACH_OTHER"));
    return open(path, O_RDONLY);
}

static long other_memory(void)
{
    char byte;
    struct iovec local = {&byte, 1}, remote = {(void *)(uintptr_t)0x400000, 1};

    return process_vm_readv((pid_t)number("OSVM_BREACH_OTHER"), &local, 1, &remote, 1, 0);
}

static long other_descriptor(void)
{
    long fd = syscall(SYS_pidfd_open, number("OSVM_BREACH_OTHER"), 0);

    return fd < 0 ? -1 : syscall(SYS_pidfd_getfd, fd, 0, 0);
}

static long make_device(void)
{
    return mknod("/null", S_IFCHR | 0666, 0x103);
}

static long become_root(void)
{
    return setresuid(0, 0, 0) < 0 ? -1 : setresuid(12345, 12345, 12345);
}

static long new_user_namespace_mount(void)
{
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ? -1 : mount("x", "/", "tmpfs", 0, NULL);
}

static long host_name(void)
{
    return sethostname("x", 1);
}

static long session_key(void)
{
    return syscall(SYS_keyctl, 0 /* KEYCTL_GET_KEYRING_ID */, -3 /* the session's */, 0);
}

static long load_bpf(void)
{
    return syscall(SYS_bpf, 0, NULL, 0);
}

static long setup_io_uring(void)
{
    char params[120] = {0};

    return syscall(SYS_io_uring_setup, 1, params);
}

static long change_personality(void)
{
    return personality(0x0400000 /* READ_IMPLIES_EXEC */);
}

static long type_into_terminal(void)
{
    return ioctl(STDIN_FILENO, TIOCSTI, "x");
}

static long trace_performance(void)
{
    char attr[128] = {0};

    return syscall(SYS_perf_event_open, attr, 0, -1, -1, 0);
}

static long change_root(void)
{
    return chroot("/");
}

static long load_module(void)
{
    return syscall(SYS_init_module, "", 0, "");
}

static long open_by_handle(void)
{
    unsigned handle[4] = {8, 1, 0, 0};

    return syscall(SYS_open_by_handle_at, AT_FDCWD, handle, O_RDONLY);
}

static long be_dumpable(void)
{
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

/* What every thread may do. */
static long control(void)
{
    return write(STDERR_FILENO, "", 0);
}

static long create_vm(void)
{
    return ioctl(3, 0xae01 /* KVM_CREATE_VM, on whatever is there */, 0);
}

static const struct {
    const char *name;
    long (*attempt)(void);
} attempts[] = {
    {"control", control},
    {"open-file", open_file},
    {"open-relative", open_relative},
    {"make-file", make_file},
    {"connect-inet", connect_inet},
    {"connect-abstract", connect_abstract},
    {"netlink", netlink},
    {"fork", fork_process},
    {"exec", exec_program},
    {"exec-memory", exec_memory},
    {"ptrace", trace_parent},
    {"mount", mount_something},
    {"mmap-exec", executable_mapping},
    {"mprotect-exec", executable_protection},
    {"signal-parent", signal_parent},
    {"signal-other", signal_other},
    {"proc-mem", other_memory_by_proc},
    {"process-vm-readv", other_memory},
    {"pidfd-getfd", other_descriptor},
    {"mknod", make_device},
    {"setuid", become_root},
    {"user-namespace", new_user_namespace_mount},
    {"hostname", host_name},
    {"keyctl", session_key},
    {"bpf", load_bpf},
    {"io-uring", setup_io_uring},
    {"personality", change_personality},
    {"tiocsti", type_into_terminal},
    {"perf", trace_performance},
    {"chroot", change_root},
    {"module", load_module},
    {"handle", open_by_handle},
    {"dumpable", be_dumpable},
    {"create-vm", create_vm},
};

static void tell(const char *name, long result)
{
    char line[160];
    int len = result < 0 ? snprintf(line, sizeof(line), "breach %s: refused: %s\n", name,
                                    strerrorname_np(errno))
                         : snprintf(line, sizeof(line), "breach %s: DONE\n", name);

    if (write(STDERR_FILENO, line, (size_t)len) < 0)
        return;
}

int __wrap_jail_filter_thread(const struct jail *jail, enum thread_kind kind)
{
    const char *name = getenv("OSVM_BREACH"), *thread = getenv("OSVM_BREACH_THREAD");
    const char *filter = getenv("OSVM_BREACH_FILTER");
    int r = filter && strcmp(filter, "off") == 0 ? 0 : __real_jail_filter_thread(jail, kind);

    if (r < 0 || !name || !thread || !jail->closed ||
        kind != (strcmp(thread, "vcpu") == 0 ? THREAD_VCPU : THREAD_LOOP))
        return r;
    for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
        if (strcmp(attempts[i].name, name) == 0)
            tell(name, attempts[i].attempt());
    }
    return -ECANCELED; /* and the machine ends */
}

/* archive/sandbox.h: what osvm-unpack can still do once it is locked in. */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

struct row {
    const char *name;
    long call;
    long args[3];
    int expected; /* 0: it works; an errno; -SIGNAL: the process is ended by it */
};

#define PATH(text) ((long)(uintptr_t)(text))

static const struct row rows[] = {
    {"open a file", SYS_openat, {AT_FDCWD, PATH("/etc/passwd"), O_RDONLY}, EACCES},
    {"a socket", SYS_socket, {1, 1, 0}, -SIGSYS},
    {"start a program", SYS_execve, {PATH("/bin/true"), 0, 0}, -SIGSYS},
    {"a process", SYS_fork, {0}, -SIGSYS},
    {"a thread", SYS_clone, {0}, -SIGSYS},
    {"signal another", SYS_kill, {1, 0}, -SIGSYS},
    {"trace another", SYS_ptrace, {0}, -SIGSYS},
    {"remove a file", SYS_unlink, {PATH("/nothing")}, -SIGSYS},
    {"make a folder", SYS_mkdir, {PATH("/nothing"), 0700, 0}, -SIGSYS},
    {"connect", SYS_connect, {0, 0, 0}, -SIGSYS},
    {"take a descriptor", SYS_recvmsg, {1, 0, 0}, -SIGSYS},
    {"control a device", SYS_ioctl, {0, 0, 0}, -SIGSYS},
    {"change its limits", SYS_prlimit64, {0, 0, 0}, -SIGSYS},
    {"another filter", SYS_seccomp, {0}, -SIGSYS},
    {"io_uring", SYS_io_uring_setup, {1, 0, 0}, -SIGSYS},
    {"a file in memory", SYS_memfd_create, {PATH("x"), 0, 0}, 0},
    {"what was open before is closed", SYS_close, {3}, EBADF},
    {"the archive is open", SYS_lseek, {0, 0, SEEK_CUR}, 0},
};

/* In a child. Its exit status is the errno, or 255 where it was not to be locked in. */
static void try_it(const struct row *row)
{
    int fd = open("/dev/zero", O_RDONLY);

    if (dup2(fd, 0) < 0 || dup2(fd, 3) < 0 || sandbox_enter(1 << 20, 10) < 0)
        _exit(255);
    if (syscall(row->call, row->args[0], row->args[1], row->args[2]) >= 0)
        errno = 0;
    syscall(SYS_exit_group, errno);
}

static void test_call(void **state)
{
    const struct row *row = *state;
    pid_t pid = fork();
    int status;

    if (pid == 0)
        try_it(row);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (row->expected < 0) {
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), -row->expected);
    } else {
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), row->expected);
    }
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, rows, test_call);
    return unit_run(&unit, "archive_sandbox");
}

/* supervisor/seccomp_profile.h: profiles, and what their filters let through, tried for real. */
#include "unit.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "seccomp_profile.h"

#define PROFILE "/tmp/osvm-test-seccomp.json"

/* Make the profile's filter. Returns the number of instructions, or a negative errno. */
static int make(const char *profile, struct sock_filter *code, struct error *err)
{
    int fd = memfd_create("filter", 0);
    int r = seccomp_profile_write(profile, fd, err);

    if (r == 0) {
        off_t size = lseek(fd, 0, SEEK_END);

        r = io_pread_exact(fd, code, (size_t)size, 0);
        if (r == 0)
            r = (int)((size_t)size / sizeof(*code));
    }
    close(fd);
    return r;
}

static long call_getpid(void)
{
    return syscall(SYS_getpid);
}

static long call_mount(void)
{
    return syscall(SYS_mount, "none", "/nowhere", "tmpfs", 0, NULL);
}

static long call_unshare(void)
{
    return unshare(CLONE_NEWUSER);
}

static long call_clone_user(void)
{
    return syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
}

static long call_clone3(void)
{
    return syscall(SYS_clone3, NULL, 0);
}

static long call_fork(void)
{
    long pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

    if (pid == 0)
        _exit(0);
    return pid;
}

static long call_ptrace(void)
{
    return syscall(SYS_ptrace, 0, 0, 0, 0);
}

static long call_bpf(void)
{
    return syscall(SYS_bpf, 0, NULL, 0);
}

static long call_io_uring(void)
{
    return syscall(SYS_io_uring_setup, 0, NULL);
}

static long call_userfaultfd(void)
{
    return syscall(SYS_userfaultfd, 0);
}

static long call_keyctl(void)
{
    return syscall(SYS_keyctl, 0, 0, 0, 0, 0);
}

static long call_inet(void)
{
    return socket(AF_INET, SOCK_STREAM, 0);
}

static long call_packet(void)
{
    return socket(AF_PACKET, SOCK_RAW, 0);
}

static long call_vsock(void)
{
    return socket(AF_VSOCK, SOCK_STREAM, 0);
}

static long call_tiocsti(void)
{
    return ioctl(STDIN_FILENO, TIOCSTI, "x");
}

/* The kernel looks at 32 bits of a request; a filter sees 64. */
static long call_tiocsti_with_more_bits(void)
{
    return syscall(SYS_ioctl, STDIN_FILENO, UINT64_C(1) << 32 | TIOCSTI, "x");
}

static long call_tioclinux_with_more_bits(void)
{
    return syscall(SYS_ioctl, STDIN_FILENO, UINT64_C(1) << 63 | TIOCLINUX, "x");
}

/* Those beside the two that are refused, and as unlike them as can be. */
static long call_neighbour(void)
{
    static const unsigned requests[] = {TIOCSTI - 1,   TIOCSTI + 1, TIOCLINUX - 1,
                                        TIOCLINUX + 1, 0,           UINT32_MAX};
    long r = 0;

    for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
        r = syscall(SYS_ioctl, STDIN_FILENO, requests[i], NULL);
        if (r < 0 && errno == EPERM)
            return r;
    }
    return r;
}

static long call_tiocgwinsz(void)
{
    struct winsize size;

    return ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
}

struct call_row {
    const char *name;
    long (*call)(void);
    int in_default, in_strict; /* its errno there; -1: anything but EPERM, by the kernel itself */
};

static const struct call_row call_rows[] = {
    {"getpid", call_getpid, -1, -1},
    {"mount", call_mount, EPERM, EPERM},
    {"unshare", call_unshare, EPERM, EPERM},
    {"clone into a user namespace", call_clone_user, EPERM, EPERM},
    {"clone3", call_clone3, ENOSYS, ENOSYS},
    {"fork", call_fork, -1, EPERM},
    {"ptrace", call_ptrace, EPERM, EPERM},
    {"bpf", call_bpf, EPERM, EPERM},
    {"io_uring", call_io_uring, EPERM, EPERM},
    {"userfaultfd", call_userfaultfd, EPERM, EPERM},
    {"keyctl", call_keyctl, EPERM, EPERM},
    {"an inet socket", call_inet, -1, EPERM},
    {"a packet socket", call_packet, EPERM, EPERM},
    {"a vsock socket", call_vsock, EPERM, EPERM},
    {"TIOCSTI", call_tiocsti, EPERM, EPERM},
    {"TIOCSTI with higher bits", call_tiocsti_with_more_bits, EPERM, EPERM},
    {"TIOCLINUX with higher bits", call_tioclinux_with_more_bits, EPERM, EPERM},
    {"the ioctls beside them", call_neighbour, -1, -1},
    {"another ioctl", call_tiocgwinsz, -1, -1},
};

/* The call's errno under the filter, 0 where it succeeds. */
static int errno_under(const char *profile, long (*call)(void))
{
    struct sock_filter code[BPF_MAXINSNS];
    struct sock_fprog program = {.filter = code};
    struct error err = {0};
    int count = make(profile, code, &err), status;
    pid_t pid;

    assert_true(count > 0);
    program.len = (unsigned short)count;
    pid = fork();
    if (pid == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
            _exit(255);
        _exit(call() < 0 ? errno : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 255);
    return WEXITSTATUS(status);
}

static void test_call(void **state)
{
    const struct call_row *row = *state;
    const struct {
        const char *profile;
        int expected;
    } cases[] = {{"default", row->in_default}, {"strict", row->in_strict}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int code = errno_under(cases[i].profile, row->call);

        if (cases[i].expected < 0 ? code == EPERM || code == ENOSYS : code != cases[i].expected)
            fail_msg("%s: errno %d", cases[i].profile, code);
    }
}

struct file_row {
    const char *name, *text;
    const char *says; /* NULL: it is taken */
};

static const struct file_row file_rows[] = {
    {"the least", "{\"defaultAction\": \"SCMP_ACT_ERRNO\"}", NULL},
    {"rules with arguments",
     "{\"defaultAction\": \"SCMP_ACT_KILL_PROCESS\", \"syscalls\": [{\"names\": [\"read\", "
     "\"nope\"], "
     "\"action\": \"SCMP_ACT_ALLOW\"}, {\"names\": [\"personality\"], \"action\": "
     "\"SCMP_ACT_ALLOW\", \"args\": [{\"index\": 0, \"value\": 8, \"valueTwo\": 0, \"op\": "
     "\"SCMP_CMP_EQ\"}]}]}",
     NULL},
    {"a rule for a capability",
     "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [{\"names\": [\"bpf\"], \"action\": "
     "\"SCMP_ACT_ALLOW\", \"includes\": {\"caps\": [\"CAP_BPF\"]}}]}",
     NULL},
    {"not JSON", "{", "line 1"},
    {"an empty object", "{}", "defaultAction"},
    {"everything allowed", "{\"defaultAction\": \"SCMP_ACT_ALLOW\"}", "that is no sandbox"},
    {"an unknown action", "{\"defaultAction\": \"SCMP_ACT_X\"}", "none of the OCI"},
    {"a rule without names",
     "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [{\"action\": \"SCMP_ACT_ALLOW\"}]}",
     "syscalls[0] is no rule"},
    {"an argument number 6",
     "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [{\"names\": [\"read\"], \"action\": "
     "\"SCMP_ACT_ALLOW\", \"args\": [{\"index\": 6, \"value\": 8, \"op\": \"SCMP_CMP_EQ\"}]}]}",
     "syscalls[0] is no rule"},
    {"an unknown comparison",
     "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [{\"names\": [\"read\"], \"action\": "
     "\"SCMP_ACT_ALLOW\", \"args\": [{\"index\": 0, \"value\": 8, \"op\": \"X\"}]}]}",
     "syscalls[0] is no rule"},
};

static void test_file(void **state)
{
    const struct file_row *row = *state;
    struct sock_filter code[BPF_MAXINSNS];
    struct error err = {0};
    int r;

    assert_int_equal(io_replace_file(PROFILE, row->text, strlen(row->text)), 0);
    r = make(PROFILE, code, &err);
    unlink(PROFILE);
    if (!row->says && r < 0)
        fail_msg("says '%s'", err.text);
    if (row->says && (r >= 0 || !strstr(err.text, row->says)))
        fail_msg("says '%s', not '%s'", err.text, row->says);
}

/* A rule that goes with a capability is not followed. */
static void test_capability_rule(void **state)
{
    static const char text[] =
        "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [{\"names\": [\"exit\", "
        "\"exit_group\"], \"action\": \"SCMP_ACT_ALLOW\"}, {\"names\": [\"getpid\"], \"action\": "
        "\"SCMP_ACT_ALLOW\", \"includes\": {\"caps\": [\"CAP_X\"]}}]}";

    (void)state;
    assert_int_equal(io_replace_file(PROFILE, text, sizeof(text) - 1), 0);
    assert_int_equal(errno_under(PROFILE, call_getpid), EPERM);
    unlink(PROFILE);
}

static void test_no_profile(void **state)
{
    struct sock_filter code[BPF_MAXINSNS];
    struct error err = {0};

    (void)state;
    assert_int_equal(make("loose", code, &err), -EINVAL);
    assert_non_null(strstr(err.text, "'loose' is none of default, strict"));
    assert_int_equal(make("/nowhere/x.json", code, &err), -ENOENT);
}

int main(void)
{
    struct unit unit = {0};

    unit_add_rows(&unit, call_rows, test_call);
    unit_add_rows(&unit, file_rows, test_file);
    unit_add(&unit, "a rule for a capability does not hold", test_capability_rule, NULL);
    unit_add(&unit, "no such profile", test_no_profile, NULL);
    return unit_run(&unit, "seccomp_profile");
}

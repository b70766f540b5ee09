/* osvm-sandbox: a program in namespaces of its own; see ../sandbox.h. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../reaper.h"
#include "../sandbox.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/util.h"
#include "confine.h"
#include "join.h"
#include "options.h"
#include "program.h"
#include "root.h"

struct sandbox {
    struct sandbox_options options;
    struct log log;
    bool privileged;   /* root: it builds with its own rights and leaves them behind afterwards */
    int asks, answers; /* the inside asks for its user map by a byte; the outside answers so */
    int filter;
    int outside;     /* a pidfd of the process outside */
    char *arguments; /* argv[1] on, as ps shows them */
    size_t arguments_len;
};

static int refuse(const struct sandbox *sandbox, const struct error *err)
{
    log_error(&sandbox->log, "%s", err->text);
    return SANDBOX_EXIT_REFUSED;
}

/* --- the outside --------------------------------------------------------------------------------
 */

static int write_text(const char *path, const char *text)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd < 0 ? -errno : io_write_all(fd, text, strlen(text));
}

static int join_cgroups(const struct sandbox_options *options, struct error *err)
{
    for (size_t i = 0; i < options->cgroup_count; i++) {
        int r = write_text(options->cgroups[i], "0\n");

        if (r < 0)
            return error_set_errno(err, r, "cannot join the group of '%s'", options->cgroups[i]);
    }
    return 0;
}

/* One user and one group, the same numbers inside as outside (user_namespaces(7)). */
static int write_maps(const struct sandbox *sandbox, pid_t pid, struct error *err)
{
    char path[64], text[64];
    int r;

    snprintf(path, sizeof(path), "/proc/%d/setgroups", pid);
    r = write_text(path, "deny");
    snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
    snprintf(text, sizeof(text), "%u %u 1\n", (unsigned)sandbox->options.gid,
             (unsigned)sandbox->options.gid);
    if (r == 0)
        r = write_text(path, text);
    snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
    snprintf(text, sizeof(text), "%u %u 1\n", (unsigned)sandbox->options.uid,
             (unsigned)sandbox->options.uid);
    if (r == 0)
        r = write_text(path, text);
    return r < 0 ? error_set_errno(err, r, "cannot map the sandbox's user") : 0;
}

/* Wait for the inside, pass on what asks it to end. Returns the exit status. */
static int wait_for(struct sandbox *sandbox, pid_t pid)
{
    char byte;

    if (read(sandbox->asks, &byte, 1) == 1) {
        struct error err = {0};

        if (write_maps(sandbox, pid, &err) < 0)
            log_error(&sandbox->log, "%s", err.text); /* it sees the end of file, and ends */
        else
            io_write_all(sandbox->answers, &byte, 1);
    }
    close_fd(take_fd(&sandbox->answers));
    return reaper_wait(pid);
}

/* --- the inside ---------------------------------------------------------------------------------
 */

/* Have the outside write the maps of the user namespace that this process has just entered. */
static int ask_for_maps(struct sandbox *sandbox, struct error *err)
{
    char byte = 'm';

    if (io_write_all(sandbox->asks, &byte, 1) < 0 || read(sandbox->answers, &byte, 1) != 1)
        return error_set(err, -ECANCELED, "the sandbox's user is not mapped");
    return 0;
}

/* A user of its own, in a user namespace of its own. */
static int become_user(struct sandbox *sandbox, struct error *err)
{
    uid_t uid = (uid_t)sandbox->options.uid;
    gid_t gid = (gid_t)sandbox->options.gid;

    if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        return error_set_errno(err, -errno, "cannot become user %u", uid);
    if (unshare(CLONE_NEWUSER) < 0)
        return error_set_errno(err, -errno, "cannot make a user namespace");
    return ask_for_maps(sandbox, err);
}

/* A new network namespace has only a loopback, and that is down. */
static int raise_loopback(struct error *err)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        return error_set_errno(err, -errno, "cannot raise the loopback interface");
    return 0;
}

/* The arguments say where things are on the host, which is nothing for the inside to read. */
static void hide_arguments(const struct sandbox *sandbox)
{
    memset(sandbox->arguments, 0, sandbox->arguments_len);
}

/* pid 1: reap everything, pass on what asks for the end, end with the program. */
static int be_init(pid_t program)
{
    close_range(0, ~0U, 0); /* nobody waits for the end of an output because of this process */
    return reaper_wait(program);
}

static int inside(struct sandbox *sandbox)
{
    struct error err = {0};
    pid_t pid;
    int r = 0;

    hide_arguments(sandbox);
    program_outlive_not(sandbox->outside);
    if (!sandbox->privileged)
        r = ask_for_maps(sandbox, &err);
    if (r == 0 && sethostname(sandbox->options.name, strlen(sandbox->options.name)) < 0)
        r = error_set_errno(&err, -errno, "cannot set the host name");
    if (r == 0 && !sandbox->options.keep_network)
        r = raise_loopback(&err);
    if (r == 0)
        r = sandbox_enter_root(&sandbox->options, &err);
    if (r == 0 && sandbox->privileged)
        r = become_user(sandbox, &err);
    if (r == 0)
        r = confine_drop_rights(&err);
    program_outlive_not(sandbox->outside);
    if (r < 0)
        return refuse(sandbox, &err);
    pid = fork();
    if (pid < 0) {
        error_set_errno(&err, -errno, "cannot make a process");
        return refuse(sandbox, &err);
    }
    if (pid > 0)
        return be_init(pid);
    program_become(&sandbox->options, sandbox->filter, false, &err);
    return refuse(sandbox, &err);
}

/* --- both ---------------------------------------------------------------------------------------
 */

static pid_t clone_into_namespaces(const struct sandbox *sandbox)
{
    struct clone_args args = {
        .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP,
        .exit_signal = SIGCHLD,
    };

    if (!sandbox->privileged)
        args.flags |= CLONE_NEWUSER;
    if (!sandbox->options.keep_network)
        args.flags |= CLONE_NEWNET;
    return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static int run(struct sandbox *sandbox)
{
    struct error err = {0};
    int up[2], down[2];
    sigset_t all;
    pid_t pid;

    if (sandbox->options.uid == UINT64_MAX)
        sandbox->options.uid = getuid();
    if (sandbox->options.gid == UINT64_MAX)
        sandbox->options.gid = getgid();
    if (sandbox->privileged && (sandbox->options.uid == 0 || sandbox->options.gid == 0)) {
        error_set(&err, -EINVAL,
                  "root has to say who the program is to be: --uid and --gid, not 0");
        return refuse(sandbox, &err);
    }
    if (confine_open_filter(&sandbox->options, &sandbox->filter, &err) < 0 ||
        join_cgroups(&sandbox->options, &err) < 0)
        return refuse(sandbox, &err);
    if (pipe2(up, O_CLOEXEC) < 0 || pipe2(down, O_CLOEXEC) < 0) {
        error_set_errno(&err, -errno, "cannot make a pipe");
        return refuse(sandbox, &err);
    }
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    sandbox->outside = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (sandbox->outside < 0) {
        error_set_errno(&err, -errno, "cannot watch over the sandbox (pidfd_open)");
        return refuse(sandbox, &err);
    }
    pid = clone_into_namespaces(sandbox);
    if (pid < 0) {
        error_set_errno(&err, -errno,
                        "cannot make namespaces (sysctl kernel.unprivileged_userns_clone,"
                        " user.max_user_namespaces)");
        return refuse(sandbox, &err);
    }
    sandbox->asks = pid ? up[0] : up[1];
    sandbox->answers = pid ? down[1] : down[0];
    close(pid ? up[1] : up[0]);
    close(pid ? down[0] : down[1]);
    return pid ? wait_for(sandbox, pid) : inside(sandbox);
}

/* Copies of the arguments: the strings themselves are what ps shows, and are hidden inside. */
static char **copy_arguments(int argc, char *argv[])
{
    char **copies = calloc((size_t)argc + 1, sizeof(*copies));

    for (int i = 0; copies && i < argc; i++) {
        copies[i] = strdup(argv[i]);
        if (!copies[i])
            return NULL; /* the process ends */
    }
    return copies;
}

int main(int argc, char *argv[])
{
    struct sandbox sandbox = {
        .log = {.fd = STDERR_FILENO, .level = LOG_WARNING, .prefix = "osvm-sandbox"},
        .privileged = geteuid() == 0,
        .filter = -1,
    };
    char **arguments = copy_arguments(argc, argv);
    struct error err = {0};

    if (!arguments) {
        error_set(&err, -ENOMEM, "out of memory");
        return refuse(&sandbox, &err);
    }
    if (argc > 1) {
        sandbox.arguments = argv[1];
        sandbox.arguments_len = (size_t)(argv[argc - 1] + strlen(argv[argc - 1]) - argv[1]);
    }
    if (sandbox_options_parse(argc, arguments, &sandbox.options, &err) < 0)
        return refuse(&sandbox, &err);
    if (sandbox.options.join || sandbox.options.probe)
        return join_run(&sandbox.options, argv, &sandbox.log);
    return run(&sandbox);
}

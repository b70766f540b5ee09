#include "guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/util.h"
#include "machine.h"

/* Of the machine: it ends by them. */
static const int ending_signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
/* Of the guardian. */
static const int own_signals[] = {SIGCHLD, SIGTSTP, SIGCONT};

static void add_signals(sigset_t *set, const int *signals, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sigaddset(set, signals[i]);
}

void guardian_block_ending_signals(sigset_t *ret_mask)
{
    sigemptyset(ret_mask);
    add_signals(ret_mask, ending_signals, ARRAY_SIZE(ending_signals));
    sigprocmask(SIG_BLOCK, ret_mask, NULL);
}

static int write_map(const char *path, const char *text)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd < 0 ? -errno : io_write_all(fd, text, strlen(text));
}

/* Every id that this process has stays what it is; the namespace has no others. */
static int map_own_ids(uid_t uid, gid_t gid)
{
    char text[48];
    int r;

    /* user_namespaces(7): who may not set groups has to give that up before mapping one. */
    r = write_map("/proc/self/setgroups", "deny");
    if (r < 0)
        return r;
    snprintf(text, sizeof(text), "%u %u 1", (unsigned)uid, (unsigned)uid);
    r = write_map("/proc/self/uid_map", text);
    if (r < 0)
        return r;
    snprintf(text, sizeof(text), "%u %u 1", (unsigned)gid, (unsigned)gid);
    return write_map("/proc/self/gid_map", text);
}

/* The next fork()'s child is the first process of a PID namespace. */
static int enter_namespaces(struct error *err)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    int r;

    if (unshare(CLONE_NEWPID) == 0)
        return 0;
    if (errno != EPERM)
        return error_set_errno(err, -errno, "cannot make the jail's PID namespace");
    if (unshare(CLONE_NEWUSER | CLONE_NEWPID) < 0)
        return error_set(
            err, -errno,
            "no user namespaces for this user (%s), and so no jail: allow them (sysctl "
            "user.max_user_namespaces, kernel.unprivileged_userns_clone), or start "
            "as root, or, to debug, with --no-jail",
            strerrordesc_np(errno));
    r = map_own_ids(uid, gid);
    return r < 0 ? error_set_errno(err, r, "cannot keep this user in a user namespace") : 0;
}

int guardian_outlive_not(const struct guardian *guardian)
{
    struct pollfd dead = {.fd = guardian->pidfd, .events = POLLIN};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return poll(&dead, 1, 0) == 0 ? 0 : -ESRCH; /* it may have died before that */
}

static void begin_vm_process(struct guardian *guardian, const sigset_t *mask)
{
    guardian->vm = 0;
    sigprocmask(SIG_SETMASK, mask, NULL);
    if (guardian_outlive_not(guardian) < 0)
        _exit(EXIT_STATUS_REFUSED); /* and nobody is there to be told */
}

int guardian_fork(struct guardian *guardian, bool pid_namespace, struct error *err)
{
    _cleanup_close_ int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    sigset_t mask;
    int r = 0;

    *guardian = (struct guardian){.pidfd = -1};
    if (self < 0)
        return error_set_errno(err, -errno, "cannot watch over the machine (pidfd_open)");
    signal(SIGCHLD, SIG_DFL); /* ignored, its child's end could not be waited for */
    guardian_block_ending_signals(&mask);
    terminal_look(&guardian->terminal, STDIN_FILENO);
    if (pid_namespace)
        r = enter_namespaces(err);
    if (r < 0)
        return r;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    guardian->vm = fork();
    if (guardian->vm < 0)
        return error_set_errno(err, -errno, "cannot start the machine's process");
    if (guardian->vm == 0) {
        guardian->pidfd = take_fd(&self);
        begin_vm_process(guardian, &mask);
    }
    return 0;
}

void guardian_close_others(const int *keep, size_t count)
{
    unsigned first = STDERR_FILENO + 1;

    for (size_t i = 0; i < count; i++) {
        if (keep[i] < 0 || (unsigned)keep[i] < first)
            continue;
        if ((unsigned)keep[i] > first)
            syscall(SYS_close_range, first, (unsigned)keep[i] - 1, 0);
        first = (unsigned)keep[i] + 1;
    }
    syscall(SYS_close_range, first, ~0U, 0);
}

/* A terminal's own Ctrl-C and Ctrl-\ go to the whole foreground group, the VM process included. */
static bool came_to_both(int number, int code)
{
    return code == SI_KERNEL && (number == SIGINT || number == SIGQUIT);
}

static void pass_on(const struct guardian *guardian, int number, int code)
{
    switch (number) {
    case SIGTSTP:
        kill(guardian->vm, SIGSTOP);
        raise(SIGSTOP);
        break;
    case SIGCONT:
        kill(guardian->vm, SIGCONT);
        break;
    default:
        if (!came_to_both(number, code))
            kill(guardian->vm, number);
    }
}

static void judge(int wait_status, struct guardian_verdict *ret_verdict)
{
    struct guardian_verdict verdict = {.status = WEXITSTATUS(wait_status)};
    const char *why;

    if (WIFSIGNALED(wait_status)) {
        verdict.signal = WTERMSIG(wait_status);
        verdict.status = EXIT_STATUS_SIGNAL + verdict.signal;
        if (verdict.signal == SIGKILL)
            why = "killed from outside, or out of memory";
        else if (verdict.signal == SIGSYS)
            why = "it made a system call that its jail forbids";
        else
            why = "it crashed";
        snprintf(verdict.text, sizeof(verdict.text), "the machine's process was ended by SIG%s: %s",
                 sigabbrev_np(verdict.signal), why);
    }
    *ret_verdict = verdict;
}

/* The next signal of the set, or after so long. Returns its number, or a negative errno. */
static int next_signal(const sigset_t *set, uint64_t wait_ns, siginfo_t *ret_info)
{
    struct timespec wait = {
        .tv_sec = (time_t)(wait_ns / NS_PER_SEC),
        .tv_nsec = (long)(wait_ns % NS_PER_SEC),
    };
    int r = wait_ns == UINT64_MAX ? sigwaitinfo(set, ret_info) : sigtimedwait(set, ret_info, &wait);

    return r < 0 ? -errno : r;
}

/* What it waits for: the signals of both lists, blocked from here on. */
static void begin_wait(sigset_t *ret_set)
{
    /* Of its end alone: that it is stopped is no news. */
    sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDSTOP}, NULL);
    sigemptyset(ret_set);
    add_signals(ret_set, ending_signals, ARRAY_SIZE(ending_signals));
    add_signals(ret_set, own_signals, ARRAY_SIZE(own_signals));
    sigprocmask(SIG_BLOCK, ret_set, NULL);
}

static void end_wait(const struct guardian *guardian, bool terminal_used)
{
    signal(SIGTTOU,
           SIG_IGN); /* or, in the background by now, restoring it would stop this process */
    if (terminal_used)
        terminal_restore(&guardian->terminal);
}

void guardian_wait(const struct guardian *guardian, bool terminal_used, struct guardian_task *task,
                   struct guardian_verdict *ret_verdict)
{
    int wait_status = 0;
    siginfo_t info;
    sigset_t set;

    begin_wait(&set);
    /* An end that came before SIGCHLD was blocked is seen here, a later one is pending then. */
    while (waitpid(guardian->vm, &wait_status, WNOHANG) != guardian->vm) {
        if (next_signal(&set, task->run(task, guardian->vm), &info) > 0 && info.si_signo != SIGCHLD)
            pass_on(guardian, info.si_signo, info.si_code);
    }
    end_wait(guardian, terminal_used);
    judge(wait_status, ret_verdict);
}

/* The same wait as events of a loop. */
struct wait {
    struct loop *loop;
    const struct guardian *guardian;
    struct guardian_task *task;
    struct loop_signals signals;
    struct loop_timer timer;
    int status; /* of waitpid(), once it has ended */
};

/* Look whether it has ended, and do the task. */
static void look(struct wait *wait)
{
    uint64_t next_ns;

    if (waitpid(wait->guardian->vm, &wait->status, WNOHANG) == wait->guardian->vm) {
        loop_stop(wait->loop);
        return;
    }
    next_ns = wait->task->run(wait->task, wait->guardian->vm);
    if (next_ns == UINT64_MAX)
        loop_timer_disarm(&wait->timer);
    else
        loop_timer_arm(&wait->timer, next_ns, 0);
}

static void on_wait_signal(struct loop_signals *signals, const struct signalfd_siginfo *info)
{
    struct wait *wait = container_of(signals, struct wait, signals);

    if (info->ssi_signo != SIGCHLD)
        pass_on(wait->guardian, (int)info->ssi_signo, info->ssi_code);
    look(wait);
}

static void on_wait_timer(struct loop_timer *timer)
{
    look(container_of(timer, struct wait, timer));
}

int guardian_wait_on(struct loop *loop, const struct guardian *guardian, bool terminal_used,
                     struct guardian_task *task, struct guardian_verdict *ret_verdict)
{
    struct wait wait = {
        .loop = loop,
        .guardian = guardian,
        .task = task,
        .signals.callback = on_wait_signal,
        .timer.callback = on_wait_timer,
    };
    sigset_t set;
    int r;

    begin_wait(&set);
    r = loop_signals_add(loop, &wait.signals, &set);
    if (r == 0)
        r = loop_timer_add(loop, &wait.timer);
    if (r == 0) {
        loop_timer_arm(&wait.timer, 0, 0);
        r = loop_run(loop);
    }
    loop_timer_remove(loop, &wait.timer);
    loop_signals_remove(loop, &wait.signals);
    if (r < 0)
        return r;
    end_wait(guardian, terminal_used);
    judge(wait.status, ret_verdict);
    return 0;
}

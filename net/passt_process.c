#include "passt_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

/* How long it may take to end by itself (the socket is closed), in milliseconds. */
#define END_PATIENCE_MS 500

/* The signals' dispositions and mask are ours, not passt's. */
static void reset_signals(void)
{
    sigset_t none;

    signal(SIGPIPE, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The child; it does not return. What goes wrong before passt runs is told as an errno. */
static void __attribute__((noreturn))
run_passt(const char *program, int socket_fd, int failed_fd, pid_t parent)
{
    char fd_text[16];
    int null_fd, error;
    /* A guest is no way into the host: neither by the gateway's address nor by open ports. */
    const char *const args[] = {program,   "--fd",     fd_text,       "--foreground",
                                "--quiet", "--stderr", "--no-map-gw", "-t",
                                "none",    "-u",       "none",        NULL};

    /* passt ends with its socket; this is for the time before it has it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    reset_signals();
    /* Duplicates above the standard three; the socket's is open across exec. */
    failed_fd = fcntl(failed_fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    socket_fd = fcntl(socket_fd, F_DUPFD, STDERR_FILENO + 1);
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (failed_fd >= 0 && socket_fd >= 0 && null_fd >= 0 && dup2(null_fd, STDIN_FILENO) >= 0 &&
        dup2(null_fd, STDOUT_FILENO) >= 0) {
        snprintf(fd_text, sizeof(fd_text), "%d", socket_fd);
        execvp(program, (char *const *)(uintptr_t)args);
    }
    error = errno;
    if (write(failed_fd, &error, sizeof(error)) < 0)
        _exit(2);
    _exit(1);
}

/* Wait until the child has become passt (the pipe closes) or says why it could not. */
static int await_exec(int failed_fd)
{
    int error = 0;
    ssize_t n;

    do {
        n = read(failed_fd, &error, sizeof(error));
    } while (n < 0 && errno == EINTR);
    return n == sizeof(error) ? -error : 0;
}

int passt_process_start(struct passt_process *ret_process, const char *program, int socket_fd,
                        struct error *err)
{
    struct passt_process process = PASST_PROCESS_NONE;
    _cleanup_close_ int failed_read = -1;
    _cleanup_close_ int failed_write = -1;
    pid_t parent = getpid();
    int pipe_fds[2], r;

    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return error_set_errno(err, -errno, "cannot make a pipe for passt");
    failed_read = pipe_fds[0];
    failed_write = pipe_fds[1];
    process.pid = fork();
    if (process.pid < 0)
        return error_set_errno(err, -errno, "cannot fork for passt");
    if (process.pid == 0)
        run_passt(program, socket_fd, failed_write, parent);
    process.pidfd = (int)syscall(SYS_pidfd_open, process.pid, 0); /* -1: it is waited for without */
    close_fd(take_fd(&failed_write));
    r = await_exec(failed_read);
    if (r < 0) {
        passt_process_end(&process);
        if (r == -ENOENT)
            return error_set(err, r, "there is no program '%s': apt-get install passt", program);
        return error_set_errno(err, r, "cannot start '%s'", program);
    }
    *ret_process = process;
    return 0;
}

/* Whether it has ended within so many milliseconds. */
static bool ends_within(const struct passt_process *process, int ms)
{
    struct pollfd poller = {.fd = process->pidfd, .events = POLLIN};

    return process->pidfd >= 0 && poll(&poller, 1, ms) == 1;
}

void passt_process_end(struct passt_process *process)
{
    bool ended;

    if (process->pid <= 0)
        return;
    ended = ends_within(process, END_PATIENCE_MS);
    /* It runs as another user where we are root, and we may have become a third one. */
    if (!ended && kill(process->pid, SIGKILL) == 0)
        ended = true;
    waitpid(process->pid, NULL, ended ? 0 : WNOHANG);
    close_fd(process->pidfd);
    *process = PASST_PROCESS_NONE;
}

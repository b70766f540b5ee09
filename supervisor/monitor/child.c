#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "../monitor.h"
#include "../process.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/util.h"

struct pipe_pair {
    int read, write;
};

static void pair_close(struct pipe_pair *pair)
{
    close_fd(take_fd(&pair->read));
    close_fd(take_fd(&pair->write));
}

static int pair_open(struct pipe_pair *pair)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    *pair = (struct pipe_pair){.read = fds[0], .write = fds[1]};
    return 0;
}

enum { OUT, ERR, GATE, FAILURE, READY, PAIRS };

/* In the child: its descriptors, then the gate, then the program. */
__attribute__((noreturn)) static void become(char *const program[], struct pipe_pair *pairs,
                                             int stream, pid_t monitor)
{
    char byte;
    int in = stream < 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : stream;
    int code;

    /* Numbers below 4 are about to be taken: what is still needed goes above them. */
    int gate = fcntl(pairs[GATE].read, F_DUPFD_CLOEXEC, 16);
    int failure = fcntl(pairs[FAILURE].write, F_DUPFD_CLOEXEC, 16);
    int out = fcntl(stream < 0 ? pairs[OUT].write : stream, F_DUPFD_CLOEXEC, 16);
    int err = fcntl(pairs[ERR].write, F_DUPFD_CLOEXEC, 16);
    int ready = fcntl(pairs[READY].write, F_DUPFD_CLOEXEC, 16);

    close(pairs[GATE].write); /* or the gate would never be seen to open */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != monitor || read(gate, &byte, 1) != 0)
        _exit(127);
    process_reset_signals();
    if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(err, STDERR_FILENO) < 0 || (ready >= 0 && dup2(ready, MONITOR_READY_FD) < 0) ||
        close_range(ready >= 0 ? MONITOR_READY_FD + 1 : MONITOR_READY_FD, ~0U,
                    CLOSE_RANGE_CLOEXEC) < 0)
        code = errno;
    else {
        execv(program[0], program);
        code = errno;
    }
    io_write_all(failure, &code, sizeof(code));
    _exit(127);
}

static int open_pairs(struct pipe_pair *pairs, bool has_stream, bool says_ready)
{
    int r = 0;

    for (int i = 0; i < PAIRS; i++)
        pairs[i] = (struct pipe_pair){-1, -1};
    for (int i = 0; r == 0 && i < PAIRS; i++)
        r = (i == READY && !says_ready) || (i == OUT && has_stream) ? 0 : pair_open(&pairs[i]);
    return r;
}

int child_fork(char *const program[], int stream, bool says_ready, struct child *ret_child,
               struct error *err)
{
    struct pipe_pair pairs[PAIRS];
    pid_t self = getpid(), pid = -1;
    int r = open_pairs(pairs, stream >= 0, says_ready);

    if (r == 0) {
        pid = fork();
        r = pid < 0 ? -errno : 0;
    }
    if (r < 0) {
        for (int i = 0; i < PAIRS; i++)
            pair_close(&pairs[i]);
        return error_set_errno(err, r, "cannot make a process");
    }
    if (pid == 0)
        become(program, pairs, stream, self);
    *ret_child = (struct child){
        .pid = pid,
        .out = take_fd(&pairs[OUT].read),
        .err = take_fd(&pairs[ERR].read),
        .ready = take_fd(&pairs[READY].read),
        .gate = take_fd(&pairs[GATE].write),
        .failure = take_fd(&pairs[FAILURE].read),
    };
    for (int i = 0; i < PAIRS; i++)
        pair_close(&pairs[i]);
    fcntl(ret_child->out, F_SETFL, O_NONBLOCK);
    fcntl(ret_child->err, F_SETFL, O_NONBLOCK);
    return 0;
}

int child_release(struct child *child)
{
    int code = 0;
    ssize_t n;

    close_fd(take_fd(&child->gate));
    do
        n = read(child->failure, &code, sizeof(code));
    while (n < 0 && errno == EINTR);
    close_fd(take_fd(&child->failure));
    return n == sizeof(code) ? -code : 0;
}

void child_close(struct child *child)
{
    close_fd(take_fd(&child->out));
    close_fd(take_fd(&child->err));
    close_fd(take_fd(&child->ready));
    close_fd(take_fd(&child->gate));
    close_fd(take_fd(&child->failure));
}

unsigned child_kill_rest(void)
{
    pid_t list[1024]; /* more of them are the next call's */
    size_t found = 0;
    unsigned count = 0;

    process_add_children(getpid(), list, ARRAY_SIZE(list), &found);
    for (size_t i = 0; i < found; i++) {
        /* It is a child that nobody but this process reaps: the number can't be another's. */
        if (list[i] > 0 && kill(list[i], SIGKILL) == 0)
            count++;
    }
    return count;
}

#include "pty.h"

#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "command.h"

struct session {
    int pty, signals;
    pid_t pid;
    bool input_ended;
};

/* What is there, from one to the other. Returns whether there may be more. */
static bool pass(int from, int to)
{
    char buf[4096];
    ssize_t n = read(from, buf, sizeof(buf));

    if (n < 0 && errno == EINTR)
        return true;
    return n > 0 && io_write_all(to, buf, (size_t)n) == 0;
}

static void take_signal(const struct session *session)
{
    struct signalfd_siginfo info;
    struct winsize size;

    if (read(session->signals, &info, sizeof(info)) != sizeof(info))
        return;
    if (info.ssi_signo != SIGWINCH)
        kill(session->pid, (int)info.ssi_signo);
    else if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
        ioctl(session->pty, TIOCSWINSZ, &size);
}

/* Until nobody has the other end of the terminal any more. */
static void carry(struct session *session)
{
    for (;;) {
        struct pollfd polled[] = {
            {.fd = session->pty, .events = POLLIN},
            {.fd = session->input_ended ? -1 : STDIN_FILENO, .events = POLLIN},
            {.fd = session->signals, .events = POLLIN},
        };

        if (poll(polled, 3, -1) < 0 && errno != EINTR)
            return;
        if (polled[0].revents && !pass(session->pty, STDOUT_FILENO))
            return;
        if (polled[1].revents && !pass(STDIN_FILENO, session->pty)) {
            char end = 4; /* Ctrl-D: what a terminal has for an end of file */

            session->input_ended = true;
            io_write_all(session->pty, &end, 1);
        }
        if (polled[2].revents)
            take_signal(session);
    }
}

static int start(struct session *session, char *const argv[], char *const environment[])
{
    struct winsize size;
    bool known = ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0;
    sigset_t mask;

    session->pid = forkpty(&session->pty, NULL, NULL, known ? &size : NULL);
    if (session->pid < 0)
        return fail(EXIT_CANNOT_RUN, "cannot make a terminal: %s", strerror(errno));
    if (session->pid == 0) {
        execvpe(argv[0], argv, environment);
        _exit(fail(EXIT_CANNOT_RUN, "cannot start '%s': %s", argv[0], strerror(errno)));
    }
    sigemptyset(&mask);
    sigaddset(&mask, SIGWINCH);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGHUP);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    session->signals = signalfd(-1, &mask, SFD_CLOEXEC);
    return 0;
}

int pty_run(char *const argv[], char *const environment[])
{
    struct session session = {.pty = -1, .signals = -1};
    struct termios found, raw;
    bool terminal = tcgetattr(STDIN_FILENO, &found) == 0;
    int status = start(&session, argv, environment), ended = 0;

    if (status)
        return status;
    if (terminal) {
        raw = found;
        cfmakeraw(&raw);
        tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    }
    carry(&session);
    if (terminal)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &found);
    close_fd(session.pty); /* what is left there is told that its terminal is gone */
    close_fd(session.signals);
    while (waitpid(session.pid, &ended, 0) < 0 && errno == EINTR)
        ;
    return WIFSIGNALED(ended) ? 128 + WTERMSIG(ended) : WEXITSTATUS(ended);
}

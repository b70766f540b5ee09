#include "reaper.h"

#include <signal.h>
#include <sys/wait.h>

int reaper_wait(pid_t child)
{
    sigset_t all;
    siginfo_t info;
    int status;
    pid_t pid;

    sigfillset(&all);
    for (;;) {
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
            if (pid == child)
                return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        }
        if (sigwaitinfo(&all, &info) >= 0 && info.si_signo != SIGCHLD)
            kill(child, info.si_signo);
    }
}

#include "host_command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

/* Read until end of file or the limit; then it is ended. */
static void take_output(int fd, pid_t pid, char *output, size_t size)
{
    uint64_t deadline = clock_monotonic_ns() + HOST_COMMAND_LIMIT_MS * NS_PER_MS;
    char rest[512];
    size_t len = 0;

    for (;;) {
        uint64_t now = clock_monotonic_ns();
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        ssize_t n;

        if (now >= deadline || poll(&wait, 1, (int)((deadline - now) / NS_PER_MS) + 1) == 0) {
            kill(pid, SIGKILL);
            break;
        }
        n = len + 1 < size ? read(fd, output + len, size - 1 - len) : read(fd, rest, sizeof(rest));
        if (n <= 0 && errno != EINTR)
            break;
        if (n > 0 && len + 1 < size)
            len += (size_t)n;
    }
    output[len] = '\0';
}

int host_command_run(const struct launch *launch, char *output, size_t size)
{
    posix_spawn_file_actions_t actions;
    char *const no_environment[] = {NULL};
    char *const *environment =
        launch->environment.count ? launch->environment.items : no_environment;
    int fds[2], status, r;
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
    r = posix_spawn(&pid, launch->argv.items[0], &actions, NULL, launch->argv.items, environment);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    if (r == 0)
        take_output(fds[0], pid, output, size);
    close(fds[0]);
    if (r != 0)
        return -r;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

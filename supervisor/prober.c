#include "prober.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"
#include "inside.h"
#include "log_reader.h"

/* vsock-uds: with this begins what the VMM's socket says once a port of the guest is connected. */
#define VSOCK_OK "OK "

struct prober {
    struct managed *managed;
    const struct probe *probe;
    struct loop_source source;  /* the connection under way; fd -1: none */
    struct deadline next;       /* the next try, or the end of this one's patience */
    struct loop_source process; /* a command's pidfd, while it runs; fd -1: none */
    pid_t pid;
    int output; /* what it says on standard output; -1: nothing is wanted */
    bool trying;
    bool sent; /* what is asked has been, an answer is awaited */
    char answer[sizeof(VSOCK_OK) - 1];
    size_t answer_len;
};

static struct supervisor *supervisor_of(const struct prober *prober)
{
    return prober->managed->supervisor;
}

/* A command that still runs is ended. */
static void close_process(struct prober *prober)
{
    if (prober->process.fd < 0)
        return;
    loop_remove(supervisor_of(prober)->loop, &prober->process);
    kill(prober->pid, SIGKILL); /* our child, not waited for: the number is nobody else's */
    waitpid(prober->pid, NULL, 0);
    close_fd(take_fd(&prober->process.fd));
    close_fd(take_fd(&prober->output));
}

static void close_try(struct prober *prober)
{
    close_process(prober);
    loop_remove(supervisor_of(prober)->loop, &prober->source);
    close_fd(take_fd(&prober->source.fd));
    prober->trying = prober->sent = false;
    prober->answer_len = 0;
}

/* This try is over. The prober may be gone afterwards. */
static void answer(struct prober *prober, bool good, const char *detail)
{
    close_try(prober);
    deadline_set(&supervisor_of(prober)->deadlines, &prober->next,
                 prober->probe->interval_ms * NS_PER_MS);
    managed_probed(prober->managed, good, detail);
}

/* --- a guest's vsock port
 * --------------------------------------------------------------------------------------
 */

static void on_connection(struct loop_source *source, uint32_t events)
{
    struct prober *prober = container_of(source, struct prober, source);
    ssize_t n;

    if (!prober->sent) {
        char question[48];
        int len =
            snprintf(question, sizeof(question), "CONNECT %" PRIu64 "\n", prober->probe->port);

        if (send(source->fd, question, (size_t)len, MSG_NOSIGNAL) != len) {
            answer(prober, false, "nobody listens");
            return;
        }
        prober->sent = true;
        loop_modify(supervisor_of(prober)->loop, source, EPOLLIN);
        return;
    }
    n = recv(source->fd, prober->answer + prober->answer_len,
             sizeof(prober->answer) - prober->answer_len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    prober->answer_len += n > 0 ? (size_t)n : 0;
    if (prober->answer_len == sizeof(prober->answer)) {
        bool good = memcmp(prober->answer, VSOCK_OK, sizeof(prober->answer)) == 0;

        answer(prober, good, good ? "" : "it answers, but not well");
    } else if (n <= 0 || (events & EPOLLHUP)) {
        answer(prober, false, "the connection was closed");
    }
}

/* The VMM's socket, which is asked for a port of the guest. */
static int connect_to(struct prober *prober)
{
    const struct managed *managed = prober->managed;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int r;

    if (fd < 0)
        return -errno;
    if (snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s/" RUN_VSOCK,
                 managed->supervisor->paths.run,
                 managed->component.metadata.name) >= (int)sizeof(address.sun_path))
        return -ENAMETOOLONG;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    prober->source.fd = fd;
    prober->source.events = EPOLLOUT;
    r = loop_add(managed->supervisor->loop, &prober->source);
    if (r < 0) {
        prober->source.fd = -1;
        return r;
    }
    take_fd(&fd);
    return 0;
}

/* --- commands
 * -------------------------------------------------------------------------------------- */

/* One line, for people, of what a probe of ours has said. */
static void read_detail(const struct prober *prober, char *text, size_t size)
{
    ssize_t n = prober->output < 0 ? 0 : read(prober->output, text, size - 1);

    text[n > 0 ? n : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
}

static void on_process(struct loop_source *source, uint32_t events)
{
    struct prober *prober = container_of(source, struct prober, process);
    char text[128] = "";
    siginfo_t info = {0};

    (void)events;
    if (waitid(P_PIDFD, (id_t)source->fd, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || !info.si_pid)
        return;
    read_detail(prober, text, sizeof(text));
    if (info.si_code == CLD_EXITED && info.si_status == 0)
        answer(prober, true, "");
    else if (*text)
        answer(prober, false, text);
    else {
        snprintf(text, sizeof(text), "the command ended with %s %d",
                 info.si_code == CLD_EXITED ? "status" : "signal", info.si_status);
        answer(prober, false, text);
    }
}

/* Start it, and watch for its end. A command's output is nobody's; a probe's of ours is told. */
static int spawn(struct prober *prober, const struct launch *launch, bool listen)
{
    posix_spawn_file_actions_t actions;
    int fds[2] = {-1, -1}, r;

    if (listen && pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&actions, listen ? fds[1] : STDIN_FILENO, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    r = -posix_spawn(&prober->pid, launch->argv.items[0], &actions, NULL, launch->argv.items,
                     launch->environment.items);
    posix_spawn_file_actions_destroy(&actions);
    close_fd(fds[1]);
    if (r < 0) {
        close_fd(fds[0]);
        return r;
    }
    prober->output = fds[0];
    prober->process = (struct loop_source){.fd = (int)syscall(SYS_pidfd_open, prober->pid, 0),
                                           .events = EPOLLIN,
                                           .callback = on_process};
    r = prober->process.fd < 0 ? -errno : loop_add(supervisor_of(prober)->loop, &prober->process);
    if (r < 0) {
        kill(prober->pid, SIGKILL);
        waitpid(prober->pid, NULL, 0);
        close_fd(take_fd(&prober->process.fd));
        close_fd(take_fd(&prober->output));
    }
    return r;
}

/* A try that is a process: beside the component, in its namespaces. */
static int run_inside(struct prober *prober, struct error *err)
{
    struct managed *managed = prober->managed;
    const struct component *component = &managed->component;
    const struct paths *paths = &managed->supervisor->paths;
    const struct runtime *runtime = managed->choice.runtime;
    bool command = prober->probe->kind == PROBE_EXEC;
    struct launch launch = {0};
    int r = managed_find_child(managed);

    if (r == 0 && command)
        r = inside_command(component, runtime, &managed->child, paths, &prober->probe->command,
                           NULL, &launch, err);
    else if (r == 0)
        r = inside_probe(component, runtime, &managed->child, paths, prober->probe, &launch, err);
    if (r == 0)
        r = spawn(prober, &launch, !command);
    launch_free(&launch);
    return r;
}

/* --- each try
 * --------------------------------------------------------------------------------------- */

static void try_once(struct prober *prober)
{
    const struct managed *managed = prober->managed;
    struct error err = {0};
    int r;

    prober->trying = true;
    if (prober->probe->kind == PROBE_CONSOLE) {
        bool found =
            log_reader_contains(&managed->supervisor->paths, managed->component.metadata.name,
                                managed->started_ns, prober->probe->pattern);

        answer(prober, found, found ? "" : "its output does not have the pattern");
        return;
    }
    deadline_set(&managed->supervisor->deadlines, &prober->next,
                 prober->probe->timeout_ms * NS_PER_MS);
    r = prober->probe->kind == PROBE_VSOCK ? connect_to(prober) : run_inside(prober, &err);
    if (r < 0)
        answer(prober, false, *err.text ? err.text : strerror(-r));
}

static void on_next(struct deadline *deadline)
{
    struct prober *prober = container_of(deadline, struct prober, next);

    if (prober->trying)
        answer(prober, false, "no answer in time");
    else
        try_once(prober);
}

int prober_start(struct managed *managed, const struct probe *probe)
{
    struct prober *prober = calloc(1, sizeof(*prober));
    int r;

    prober_stop(managed);
    if (!prober)
        return -ENOMEM;
    prober->managed = managed;
    prober->probe = probe;
    prober->source = (struct loop_source){.fd = -1, .callback = on_connection};
    prober->process.fd = prober->output = -1;
    prober->next.callback = on_next;
    r = deadline_set(&managed->supervisor->deadlines, &prober->next, 0);
    if (r < 0) {
        free(prober);
        return r;
    }
    managed->prober = prober;
    return 0;
}

void prober_stop(struct managed *managed)
{
    struct prober *prober = take_ptr(managed->prober);

    if (!prober)
        return;
    close_try(prober);
    deadline_clear(&managed->supervisor->deadlines, &prober->next);
    free(prober);
}

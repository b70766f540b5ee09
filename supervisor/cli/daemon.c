/* osvm daemon: keep components until it is told to end; what runs goes on without it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../api.h"
#include "../supervisor.h"
#include "base/cleanup.h"
#include "base/loop.h"
#include "base/util.h"
#include "command.h"

struct daemon_run {
    struct loop *loop;
    struct loop_signals signals;
};

static void on_signal(struct loop_signals *signals, const struct signalfd_siginfo *info)
{
    (void)info;
    loop_stop(container_of(signals, struct daemon_run, signals)->loop);
}

/* sd_notify(3): a datagram to the socket that the service manager names. */
static void tell_service_manager(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = -1;
    size_t len = path ? strlen(path) : 0;

    if (len == 0 || len >= sizeof(address.sun_path))
        return;
    memcpy(address.sun_path, path, len);
    if (path[0] == '@')
        address.sun_path[0] = '\0'; /* an abstract one */
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
}

/* Two daemons on one folder would each start everything: the second refuses. */
static int lock_state(const struct paths *paths, int *ret_fd, struct error *err)
{
    _cleanup_free_ char *path = NULL;
    int fd;

    if (asprintf(&path, "%s/lock", paths->state) < 0)
        return error_set(err, -ENOMEM, "out of memory");
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot open '%s'", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int code = errno;

        close(fd);
        return code == EWOULDBLOCK
                   ? error_set(err, -EBUSY, "another daemon keeps '%s'", paths->state)
                   : error_set_errno(err, -code, "cannot lock '%s'", path);
    }
    *ret_fd = fd;
    return 0;
}

/* A descriptor or two for each component. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int serve(struct daemon_run *daemon, struct paths *paths, const struct log *log,
                 struct error *err)
{
    struct supervisor supervisor;
    struct api *api = NULL;
    int r = supervisor_init(&supervisor, paths, daemon->loop, log, err);

    if (r == 0)
        r = api_create(&supervisor, &api, err);
    if (r == 0) {
        tell_service_manager("READY=1\nSTATUS=keeping components\n");
        r = loop_run(daemon->loop);
        if (r < 0)
            error_set_errno(err, r, "the event loop failed");
        tell_service_manager("STOPPING=1\n");
    }
    api_destroy(api);
    supervisor_destroy(&supervisor);
    return r;
}

static int run(struct paths *paths, const struct log *log, struct error *err)
{
    struct daemon_run daemon = {.signals.callback = on_signal};
    _cleanup_close_ int lock = -1;
    sigset_t mask;
    int r = paths_make(paths, err);

    if (r == 0)
        r = lock_state(paths, &lock, err);
    if (r < 0)
        return r;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    r = loop_create(&daemon.loop);
    if (r < 0)
        return error_set_errno(err, r, "cannot make an event loop");
    r = loop_signals_add(daemon.loop, &daemon.signals, &mask);
    r = r < 0 ? error_set_errno(err, r, "cannot take signals") : serve(&daemon, paths, log, err);
    loop_signals_remove(daemon.loop, &daemon.signals);
    loop_destroy(daemon.loop);
    return r;
}

int command_daemon(const struct invocation *invocation)
{
    const struct log log = {.fd = STDERR_FILENO, .level = LOG_INFO, .prefix = "osvm"};
    struct paths paths;
    struct error err = {0};
    int r = paths_init(&paths, invocation->state, invocation->run, &err);

    if (r == 0) {
        r = run(&paths, &log, &err);
        paths_free(&paths);
    }
    return r < 0 ? fail(EXIT_FAILED, "%s", err.text) : 0;
}

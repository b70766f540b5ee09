/* osvm-monitor: the parent of one component; see ../monitor.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../log_writer.h"
#include "../paths.h"
#include "../process.h"
#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/util.h"
#include "child.h"
#include "options.h"
#include "streams.h"

#define EXIT_REFUSED 125

/* The output that is taken at a time: what a pipe holds. */
#define CHUNK_BYTES (64 * 1024)

/* What is left of a component after it was killed is looked for again and again: it may fork. */
#define REAP_INTERVAL_NS (20 * NS_PER_MS)

enum end_reason { END_EXITED, END_SIGNAL, END_TIME_LIMIT, END_NOT_STARTED };

struct stream {
    struct loop_source source;
    struct monitor *monitor;
    enum log_stream which;
};

struct monitor {
    struct monitor_options options;
    struct loop *loop;
    struct loop_signals signals;
    struct loop_timer limit, grace, reap;
    struct child child;
    struct stream out, err;
    struct loop_source ready;
    struct streams streams;
    struct log_writer log;
    struct cgroup_host cgroup_host;
    struct cgroup *cgroup; /* NULL: none was asked for */
    bool time_over;        /* its end is the time limit's */
    bool ended;            /* the program; what it left behind may live */
    int wait_status;
};

/* --- the files ---------------------------------------------------------------------------------
 */

/* Replace a file of the run folder; where it can't be, the log says so. */
static void write_file(struct monitor *monitor, const char *name, const char *text)
{
    char path[4096], said[256];
    int r;

    snprintf(path, sizeof(path), "%s/%s", monitor->options.run, name);
    r = io_replace_file(path, text, strlen(text));
    if (r == 0)
        return;
    snprintf(said, sizeof(said), "osvm-monitor: cannot write %s: %s\n", name, strerror(-r));
    log_writer_add(&monitor->log, LOG_STDERR, said, strlen(said));
}

/*
 * Nobody may be there to hear it. A daemon that has much to do has a queue of a few datagrams
 * (net.unix.max_dgram_qlen), and is waited for, a while: what it misses it sees much later.
 */
static void notify(const struct monitor *monitor, const char *what)
{
    const struct timeval limit = {.tv_sec = 1};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = -1;
    char text[128];

    if (!monitor->options.notify || strlen(monitor->options.notify) >= sizeof(address.sun_path))
        return;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
        return;
    strcpy(address.sun_path, monitor->options.notify);
    snprintf(text, sizeof(text), "%s %s", monitor->options.name, what);
    sendto(fd, text, strlen(text), 0, (const struct sockaddr *)&address, sizeof(address));
}

static void write_start(struct monitor *monitor)
{
    char text[256];

    snprintf(text, sizeof(text),
             "{\"monitor\": {\"pid\": %d, \"start\": %" PRIu64
             "}, \"child\": {\"pid\": %d, \"start\": %" PRIu64 "}, \"started\": %.6f}\n",
             getpid(), process_start_time(getpid()), monitor->child.pid,
             process_start_time(monitor->child.pid), (double)clock_realtime_ns() / 1e9);
    write_file(monitor, RUN_MONITOR, text);
}

/* As much of a text as fits, as the inside of a JSON string. */
static void escape(const char *text, char *buf, size_t size)
{
    size_t len = 0;

    for (; *text && len + 7 < size; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            len += (size_t)snprintf(buf + len, size - len, "\\%c", c);
        else if (c < 0x20 || c >= 0x7f) /* a path's bytes need not be UTF-8 */
            len += (size_t)snprintf(buf + len, size - len, "\\u%04x", c);
        else
            buf[len++] = (char)c;
    }
    buf[len] = '\0';
}

static void write_end(struct monitor *monitor, enum end_reason reason, const char *key, int value,
                      const char *message)
{
    static const char *const names[] = {[END_EXITED] = "exited",
                                        [END_SIGNAL] = "signal",
                                        [END_TIME_LIMIT] = "time-limit",
                                        [END_NOT_STARTED] = "not-started"};
    char said[512], text[1024];

    escape(message, said, sizeof(said));
    snprintf(text, sizeof(text),
             "{\"reason\": \"%s\", \"%s\": %d, \"ended\": %.6f, \"message\": \"%s\"}\n",
             names[reason], key, value, (double)clock_realtime_ns() / 1e9, said);
    write_file(monitor, RUN_EXIT, text);
    notify(monitor, "ended");
}

/* --- its output --------------------------------------------------------------------------------
 */

/* Returns whether there may be more. */
static bool read_chunk(struct stream *stream)
{
    char buf[CHUNK_BYTES];
    ssize_t n = read(stream->source.fd, buf, sizeof(buf));

    if (n > 0)
        log_writer_add(&stream->monitor->log, stream->which, buf, (size_t)n);
    /* Who reads it may be slow, and is waited for: this is for a person's eyes. */
    if (n > 0 && stream->monitor->options.echo)
        io_write_all(stream->which == LOG_STDOUT ? STDOUT_FILENO : STDERR_FILENO, buf, (size_t)n);
    return n > 0 || (n < 0 && errno == EINTR);
}

static void on_output(struct loop_source *source, uint32_t events)
{
    struct stream *stream = container_of(source, struct stream, source);

    /* All writers have gone, and nothing is left in it. */
    if (!read_chunk(stream) && (events & EPOLLHUP))
        loop_remove(stream->monitor->loop, source);
}

static void tell_ready(struct monitor *monitor)
{
    write_file(monitor, RUN_READY, "");
    notify(monitor, "ready");
}

static void on_ready(struct loop_source *source, uint32_t events)
{
    struct monitor *monitor = container_of(source, struct monitor, ready);
    char buf[64];
    ssize_t n = read(source->fd, buf, sizeof(buf));

    (void)events;
    loop_remove(monitor->loop, source);
    if (n <= 0)
        return; /* it closed it and said nothing */
    tell_ready(monitor);
}

/* --- its end -----------------------------------------------------------------------------------
 */

static void force(struct monitor *monitor)
{
    if (monitor->ended)
        return;
    kill(monitor->child.pid, SIGKILL);
    if (monitor->cgroup)
        cgroup_kill(monitor->cgroup);
}

static void ask_to_end(struct monitor *monitor)
{
    if (monitor->ended)
        return;
    kill(monitor->child.pid, SIGTERM);
    loop_timer_arm(&monitor->grace, monitor->options.grace_ms * NS_PER_MS, 0);
}

static void on_limit(struct loop_timer *timer)
{
    struct monitor *monitor = container_of(timer, struct monitor, limit);

    monitor->time_over = true;
    ask_to_end(monitor);
}

static void on_grace(struct loop_timer *timer)
{
    force(container_of(timer, struct monitor, grace));
}

/* Reap what has ended; once the program has, end what hangs on it. The loop stops when none is
 * left. */
static void reap(struct monitor *monitor)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != monitor->child.pid)
            continue;
        monitor->ended = true;
        monitor->wait_status = status;
    }
    if (pid < 0 && errno == ECHILD)
        loop_stop(monitor->loop);
    else if (monitor->ended) {
        if (monitor->cgroup)
            cgroup_kill(monitor->cgroup);
        child_kill_rest();
        loop_timer_arm(&monitor->reap, REAP_INTERVAL_NS, 0);
    }
}

static void on_reap(struct loop_timer *timer)
{
    reap(container_of(timer, struct monitor, reap));
}

static void on_signal(struct loop_signals *signals, const struct signalfd_siginfo *info)
{
    struct monitor *monitor = container_of(signals, struct monitor, signals);

    if (info->ssi_signo == SIGCHLD)
        reap(monitor);
    else if (info->ssi_signo == SIGUSR1)
        force(monitor);
    else
        ask_to_end(monitor);
}

/* The end, when all is over. */
static void conclude(struct monitor *monitor)
{
    int status = monitor->wait_status;
    bool signalled = WIFSIGNALED(status);
    enum end_reason reason = monitor->time_over ? END_TIME_LIMIT
                             : signalled        ? END_SIGNAL
                                                : END_EXITED;
    struct cgroup_usage usage = {0};
    char message[96] = "";

    while (read_chunk(&monitor->out))
        ;
    while (read_chunk(&monitor->err))
        ;
    if (signalled)
        snprintf(message, sizeof(message), "ended by SIG%s", sigabbrev_np(WTERMSIG(status)));
    if (monitor->cgroup)
        cgroup_read_usage(monitor->cgroup, &usage);
    if (usage.oom_kills)
        snprintf(message, sizeof(message),
                 "it wanted more memory than its limit of %" PRIu64 " MiB",
                 monitor->options.memory / MIB);
    if (monitor->time_over)
        snprintf(message, sizeof(message), "its execution time of %" PRIu64 " s is over",
                 monitor->options.time_limit_ms / 1000);
    write_end(monitor, reason, signalled ? "signal" : "status",
              signalled ? WTERMSIG(status) : WEXITSTATUS(status), message);
}

/* --- its life ----------------------------------------------------------------------------------
 */

static int watch(struct monitor *monitor)
{
    struct loop_source *sources[] = {&monitor->out.source, &monitor->err.source, &monitor->ready};
    struct loop_timer *timers[] = {&monitor->limit, &monitor->grace, &monitor->reap};
    sigset_t mask;
    int r = loop_create(&monitor->loop);

    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGHUP);
    sigaddset(&mask, SIGUSR1);
    sigaddset(&mask, SIGCHLD);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    signal(SIGPIPE, SIG_IGN);
    monitor->signals.callback = on_signal;
    monitor->limit.callback = on_limit;
    monitor->grace.callback = on_grace;
    monitor->reap.callback = on_reap;
    monitor->out = (struct stream){{.fd = monitor->child.out}, monitor, LOG_STDOUT};
    monitor->err = (struct stream){{.fd = monitor->child.err}, monitor, LOG_STDERR};
    monitor->out.source.callback = monitor->err.source.callback = on_output;
    monitor->ready = (struct loop_source){.fd = monitor->child.ready, .callback = on_ready};
    if (r == 0)
        r = loop_signals_add(monitor->loop, &monitor->signals, &mask);
    for (size_t i = 0; r == 0 && i < 3; i++)
        r = loop_timer_add(monitor->loop, timers[i]);
    for (size_t i = 0; r == 0 && i < 3; i++) {
        sources[i]->events = EPOLLIN;
        r = sources[i]->fd < 0 ? 0 : loop_add(monitor->loop, sources[i]);
    }
    return r == 0 ? streams_watch(&monitor->streams, monitor->loop) : r;
}

static void unwatch(struct monitor *monitor)
{
    streams_close(&monitor->streams, monitor->loop);
    if (!monitor->loop)
        return;
    loop_remove(monitor->loop, &monitor->out.source);
    loop_remove(monitor->loop, &monitor->err.source);
    loop_remove(monitor->loop, &monitor->ready);
    loop_timer_remove(monitor->loop, &monitor->limit);
    loop_timer_remove(monitor->loop, &monitor->grace);
    loop_timer_remove(monitor->loop, &monitor->reap);
    loop_signals_remove(monitor->loop, &monitor->signals);
    loop_destroy(monitor->loop);
}

/* Make the control group that was asked for, with all its limits, and put the program into it. */
static int limit(struct monitor *monitor, struct error *err)
{
    const struct monitor_options *options = &monitor->options;
    const struct cgroup_limits limits = {
        .controllers = CGROUP_BIT(CGROUP_CPUACCT) | CGROUP_BIT(CGROUP_FREEZER),
        .cpu_percent = (unsigned)min_u64(options->cpu_percent, UINT32_MAX),
        .memory = options->memory,
        .pids = (unsigned)min_u64(options->processes, UINT32_MAX),
    };
    int r;

    if (!options->cgroup)
        return 0;
    r = cgroup_host_probe(&monitor->cgroup_host);
    if (r < 0)
        return error_set_errno(err, r, "cannot look for control groups");
    r = cgroup_create(&monitor->cgroup_host, options->cgroup, &limits, &monitor->cgroup, err);
    if (r < 0)
        return r;
    r = cgroup_attach(monitor->cgroup, monitor->child.pid);
    return r < 0 ? error_set_errno(err, r, "cannot put the program into its control group") : 0;
}

/* From the fork to the end. */
static int live(struct monitor *monitor, struct error *err)
{
    const struct monitor_options *options = &monitor->options;
    int r = options->streams ? streams_open(options->run, &monitor->streams, err) : 0;

    if (r == 0)
        r = child_fork(options->program, monitor->streams.server, options->says_ready,
                       &monitor->child, err);
    if (r < 0)
        return r;
    close_fd(take_fd(&monitor->streams.server));
    r = watch(monitor);
    if (r < 0)
        return error_set_errno(err, r, "cannot watch it");
    r = limit(monitor, err);
    if (r < 0)
        return r;
    write_start(monitor);
    if (options->time_limit_ms)
        loop_timer_arm(&monitor->limit, options->time_limit_ms * NS_PER_MS, 0);
    r = child_release(&monitor->child);
    if (r < 0)
        return error_set_errno(err, r, "cannot start '%s'", options->program[0]);
    if (options->ready_at_start)
        tell_ready(monitor);
    r = loop_run(monitor->loop);
    return r < 0 ? error_set_errno(err, r, "the event loop failed") : 0;
}

int main(int argc, char *argv[])
{
    struct log messages = {.fd = STDERR_FILENO, .level = LOG_WARNING, .prefix = "osvm-monitor"};
    struct monitor monitor = {
        .child = {.out = -1, .err = -1, .ready = -1, .gate = -1, .failure = -1},
        .streams = {.listener.fd = -1, .server = -1, .client = -1}};
    struct error err = {0};

    if (monitor_options_parse(argc, argv, &monitor.options, &err) < 0 ||
        log_writer_open(&monitor.log, monitor.options.log, monitor.options.log_max,
                        monitor.options.log_files, &err) < 0) {
        log_error(&messages, "%s", err.text);
        return EXIT_REFUSED;
    }
    setsid(); /* not the session leader's business any more; an error means that it is one */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_PDEATHSIG, 0);
    if (live(&monitor, &err) == 0)
        conclude(&monitor);
    else
        write_end(&monitor, END_NOT_STARTED, "status", EXIT_REFUSED, err.text);
    /* What is left of a failed start dies with this process. */
    cgroup_destroy(monitor.cgroup);
    cgroup_host_free(&monitor.cgroup_host);
    unwatch(&monitor);
    child_close(&monitor.child);
    log_writer_close(&monitor.log);
    return 0;
}

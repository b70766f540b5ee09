#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/listen.h"
#include "base/util.h"
#include "console_open.h"
#include "host_stream.h"

#define CONSOLE_INPUT_SIZE 256
#define CONSOLE_LOOK_MS    50

struct console {
    enum console_kind kind;
    const char *name, *path; /* borrowed */
    struct loop *loop;
    const struct log *log;
    struct console_user *user;
    struct console_device *device; /* borrowed; NULL before console_start() */
    struct terminal terminal;
    struct loop_signals resized; /* SIGWINCH; not added where there is no terminal to ask */

    /*
     * Where output goes. `lock` guards it, because vCPU threads write while the loop's thread
     * accepts and drops clients; it is taken inside the device's lock, never around it.
     */
    pthread_mutex_t lock;
    struct host_stream out; /* fd -1: output is thrown away */
    bool stalled;

    bool file_is_new; /* nobody had it before: it goes again where the machine never starts */
    int owned_fd;     /* the file, or the client's socket; -1: none */
    int listen_fd;    /* -1: none */
    struct loop_source listen_source;
    struct loop_source out_source; /* on a descriptor of its own: the same file may be input too */
    struct loop_source in_source;
    bool in_pollable; /* the loop tells when there is input; else (a regular file) always try */
    bool in_open;
    struct loop_source attention; /* an eventfd by which vCPU threads call for the loop */

    uint8_t input[CONSOLE_INPUT_SIZE]; /* read, but not yet taken by the device */
    size_t input_start, input_len;
};

static void call_attention(struct console *console)
{
    const uint64_t one = 1;

    if (write(console->attention.fd, &one, sizeof(one)) < 0) {
        /* EAGAIN: it is called already. */
    }
}

size_t console_write(struct console *console, const uint8_t *bytes, size_t len)
{
    ssize_t n = (ssize_t)len;

    pthread_mutex_lock(&console->lock);
    if (console->out.fd >= 0)
        n = host_stream_write(&console->out, bytes, len);
    if (n < 0) {
        /* Nobody reads any more, or the disk is full: the guest goes on without its console. */
        if (n != -EPIPE && n != -ECONNRESET)
            log_warning(console->log, "%s: output is lost from here on: %s", console->name,
                        strerrordesc_np((int)-n));
        console->out.fd = -1;
        n = (ssize_t)len;
    }
    if (n == 0) {
        console->stalled = true;
        call_attention(console);
    }
    pthread_mutex_unlock(&console->lock);
    return (size_t)n;
}

/* Wait a little for the host to take more. The descriptor may be closed meanwhile, and its number
 * be another's: then the wait was for nothing, and what follows it looks again. */
static void await_room(struct console *console)
{
    struct pollfd room = {.events = POLLOUT};

    pthread_mutex_lock(&console->lock);
    room.fd = console->out.fd;
    pthread_mutex_unlock(&console->lock);
    poll(&room, 1, CONSOLE_LOOK_MS); /* a kick of the vCPU interrupts it */
}

void console_write_all(struct console *console, const uint8_t *bytes, size_t len,
                       const bool *ending)
{
    while (len > 0 && !__atomic_load_n(ending, __ATOMIC_ACQUIRE)) {
        size_t n = console_write(console, bytes, len);

        if (n == 0)
            await_room(console);
        bytes += n;
        len -= n;
    }
}

void console_input_wanted(struct console *console)
{
    call_attention(console);
}

/* Offer the device what was read. Returns whether it took everything. */
static bool flush_input(struct console *console)
{
    size_t taken;

    if (console->input_len == 0)
        return true;
    taken = console->device->input(console->device, console->input + console->input_start,
                                   console->input_len);
    console->input_start += taken;
    console->input_len -= taken;
    return console->input_len == 0;
}

static void show_status(struct console *console)
{
    char line[256], text[sizeof(line) + 8];
    int len;

    console->user->status(console->user, line, sizeof(line));
    len = snprintf(text, sizeof(text), "\n[%s]\n", line);
    io_write_all(STDERR_FILENO, text, (size_t)len); /* stdio would ask what it writes to */
}

/* Take the escape sequences of a terminal's user out of what was typed. */
static size_t filter_keys(struct console *console, uint8_t *bytes, size_t len)
{
    size_t kept = 0;

    for (size_t i = 0; i < len; i++) {
        enum terminal_command command;
        uint8_t byte;

        if (terminal_key(&console->terminal, bytes[i], &byte, &command))
            bytes[kept++] = byte;
        if (command == TERMINAL_END)
            console->user->end(console->user);
        else if (command == TERMINAL_STATUS)
            show_status(console);
    }
    return kept;
}

static void input_closed(struct console *console)
{
    loop_remove(console->loop, &console->in_source);
    console->in_open = false;
}

/* Have the loop tell of room for output (EPOLLOUT), or (0) only that the other end is gone. */
static void watch_output(struct console *console, uint32_t events)
{
    if (console->out_source.added) {
        loop_modify(console->loop, &console->out_source, events);
        return;
    }
    console->out_source.events = events;
    loop_add(console->loop, &console->out_source);
}

/* A client that hung up makes room for the next. */
static void drop_client(struct console *console)
{
    input_closed(console);
    loop_remove(console->loop, &console->out_source);
    pthread_mutex_lock(&console->lock);
    console->out.fd = -1;
    console->stalled = false;
    close_fd(take_fd(&console->owned_fd));
    pthread_mutex_unlock(&console->lock);
    console->input_len = 0;
    close_fd(take_fd(&console->out_source.fd));
    console->device->output_ready(
        console->device); /* what waited for it goes the way of all output */
    loop_modify(console->loop, &console->listen_source, EPOLLIN);
}

/* Read once. Returns whether there may be more to read now. */
static bool read_input(struct console *console)
{
    ssize_t n = read(console->in_source.fd, console->input, sizeof(console->input));

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return errno == EINTR;
    if (n <= 0) {
        input_closed(console);
        if (console->kind == CONSOLE_SOCKET)
            watch_output(console, 0); /* it may still be reading */
        return false;
    }
    console->input_start = 0;
    console->input_len =
        console->terminal.raw ? filter_keys(console, console->input, (size_t)n) : (size_t)n;
    return true;
}

/* Move input as far as it goes; wait for more of it, or for room in the device. */
static void pump_input(struct console *console)
{
    if (!console->in_open)
        return;
    if (console->in_pollable) {
        /* With something left over, the device calls (input_wanted) when it has room. */
        loop_modify(console->loop, &console->in_source, flush_input(console) ? EPOLLIN : 0);
        return;
    }
    while (flush_input(console)) {
        if (!read_input(console))
            return;
    }
}

static void on_input(struct loop_source *source, uint32_t events)
{
    struct console *console = container_of(source, struct console, in_source);

    if (console->input_len > 0) {
        /* Paused, so this is the other end going away: read the rest when the device has room. */
        if (events & (EPOLLHUP | EPOLLERR)) {
            loop_remove(console->loop, source);
            console->in_pollable = false;
        }
        return;
    }
    if (read_input(console))
        pump_input(console);
}

static void on_output_room(struct loop_source *source, uint32_t events)
{
    struct console *console = container_of(source, struct console, out_source);
    bool only_watched = console->kind == CONSOLE_SOCKET && !console->in_open;

    loop_remove(console->loop, source);
    if (only_watched && (events & (EPOLLHUP | EPOLLERR))) {
        drop_client(console);
        return;
    }
    pthread_mutex_lock(&console->lock);
    console->stalled = false;
    pthread_mutex_unlock(&console->lock);
    if (only_watched)
        watch_output(console, 0);
    console->device->output_ready(console->device);
}

static void on_attention(struct loop_source *source, uint32_t events)
{
    struct console *console = container_of(source, struct console, attention);
    uint64_t count;
    bool stalled;

    (void)events;
    if (read(source->fd, &count, sizeof(count)) < 0)
        return;
    pthread_mutex_lock(&console->lock);
    stalled = console->stalled;
    pthread_mutex_unlock(&console->lock);
    if (stalled && console->out_source.fd >= 0)
        watch_output(console, EPOLLOUT);
    pump_input(console);
}

/* Send output to `fd` and take input from `in_fd` (-1: none). */
static int connect_ends(struct console *console, int fd, int in_fd)
{
    struct host_stream stream;
    int r = host_stream_init(&stream, fd);

    if (r < 0)
        return r;
    /* epoll knows a file by its number and its description, so the two directions get two. */
    close_fd(take_fd(&console->out_source.fd));
    console->out_source = (struct loop_source){
        .fd = fcntl(fd, F_DUPFD_CLOEXEC, 3), .events = EPOLLOUT, .callback = on_output_room};
    if (console->out_source.fd < 0)
        return -errno;
    pthread_mutex_lock(&console->lock);
    console->out = stream;
    console->stalled = false;
    pthread_mutex_unlock(&console->lock);
    if (in_fd < 0)
        return 0;
    console->in_source = (struct loop_source){.fd = in_fd, .events = EPOLLIN, .callback = on_input};
    r = loop_add(console->loop, &console->in_source);
    if (r < 0 && r != -EPERM)
        return r;
    console->in_open = true;
    console->in_pollable = r == 0;
    if (!console->in_pollable)
        call_attention(console);
    return 0;
}

static void on_client(struct loop_source *source, uint32_t events)
{
    struct console *console = container_of(source, struct console, listen_source);
    _cleanup_close_ int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC);

    (void)events;
    if (fd < 0)
        return;
    console->owned_fd = take_fd(&fd);
    if (connect_ends(console, console->owned_fd, console->owned_fd) < 0) {
        drop_client(console);
        return;
    }
    loop_modify(console->loop, source, 0); /* one at a time: the next waits in the backlog */
}

static int open_host_end(struct console *console, struct error *err)
{
    int r = 0;

    if (console->kind == CONSOLE_FILE)
        r = console_open_file(console->path, &console->owned_fd, &console->file_is_new, err);
    else if (console->kind == CONSOLE_SOCKET)
        r = listen_unix(console->path, &console->listen_fd, err);
    if (r < 0)
        return error_prefix(err, r, "%s '%s'", console->name, console->path);
    console->attention.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (console->attention.fd < 0)
        return error_set_errno(err, -errno, "%s", console->name);
    console->attention.events = EPOLLIN;
    console->attention.callback = on_attention;
    r = loop_add(console->loop, &console->attention);
    return r < 0 ? error_set_errno(err, r, "%s", console->name) : 0;
}

/* Tell the device how large the terminal is. */
static void tell_size(struct console *console)
{
    struct winsize size;

    if (console->device && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        console->device->resize(console->device, size.ws_col, size.ws_row);
}

static void on_resized(struct loop_signals *signals, const struct signalfd_siginfo *info)
{
    (void)info;
    tell_size(container_of(signals, struct console, resized));
}

int console_follow_size(struct console *console, struct error *err)
{
    sigset_t mask;
    int r;

    if (console->kind != CONSOLE_STDIO || !isatty(STDOUT_FILENO))
        return 0;
    sigemptyset(&mask);
    sigaddset(&mask, SIGWINCH);
    pthread_sigmask(SIG_BLOCK, &mask, NULL);
    console->resized.callback = on_resized;
    r = loop_signals_add(console->loop, &console->resized, &mask);
    return r < 0 ? error_set_errno(err, r, "%s: cannot take SIGWINCH", console->name) : 0;
}

DEFINE_CLEANUP(struct console, console_destroy)

int console_create(const struct console_options *options, struct loop *loop, const struct log *log,
                   struct console_user *user, struct console **ret_console, struct error *err)
{
    _cleanup_(console_destroy_cleanup) struct console *console = calloc(1, sizeof(*console));
    int r;

    if (!console)
        return error_set(err, -ENOMEM, "out of memory");
    pthread_mutex_init(&console->lock, NULL);
    console->kind = options->kind;
    console->name = options->name;
    console->path = options->path;
    console->terminal = *options->terminal;
    console->loop = loop;
    console->log = log;
    console->user = user;
    console->out.fd = console->owned_fd = console->listen_fd = -1;
    console->out_source.fd = console->attention.fd = -1;
    r = open_host_end(console, err);
    if (r < 0)
        return r;
    *ret_console = take_ptr(console);
    return 0;
}

void console_destroy(struct console *console)
{
    if (!console)
        return;
    loop_remove(console->loop, &console->listen_source);
    loop_remove(console->loop, &console->in_source);
    loop_remove(console->loop, &console->out_source);
    loop_remove(console->loop, &console->attention);
    loop_signals_remove(console->loop, &console->resized);
    if (console->listen_fd >= 0 || (console->file_is_new && !console->device))
        unlink(console->path);
    close_fd(console->listen_fd);
    close_fd(console->out_source.fd);
    close_fd(console->attention.fd);
    close_fd(console->owned_fd);
    pthread_mutex_destroy(&console->lock);
    free(console);
}

static int start_stdio(struct console *console)
{
    int in_fd = STDIN_FILENO;

    if (isatty(in_fd)) {
        /* In the background, touching the terminal would stop this process. */
        if (terminal_set_raw(&console->terminal) < 0)
            in_fd = -1;
    } else if (fcntl(in_fd, F_GETFD) < 0) {
        in_fd = -1;
    }
    if (fcntl(STDOUT_FILENO, F_GETFD) < 0)
        return 0; /* closed by the caller: no console */
    return connect_ends(console, STDOUT_FILENO, in_fd);
}

int console_start(struct console *console, struct console_device *device)
{
    console->device = device;
    if (console->resized.source.added)
        tell_size(console);
    switch (console->kind) {
    case CONSOLE_STDIO:
        return start_stdio(console);
    case CONSOLE_FILE:
        return connect_ends(console, console->owned_fd, -1);
    case CONSOLE_SOCKET:
        console->listen_source = (struct loop_source){
            .fd = console->listen_fd, .events = EPOLLIN, .callback = on_client};
        return loop_add(console->loop, &console->listen_source);
    default:
        return 0;
    }
}

void console_drain(struct console *console, int abort_fd)
{
    struct console_device *device = console->device;

    if (!device)
        return;
    device->output_ready(device); /* what the loop was not told of any more */
    while (device->output_waiting(device)) {
        struct pollfd fds[] = {
            {.fd = console->out.fd, .events = POLLOUT},
            {.fd = abort_fd, .events = POLLIN},
        };
        int n = poll(fds, ARRAY_SIZE(fds), CONSOLE_DRAIN_MS);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || fds[1].revents)
            return;
        device->output_ready(device);
    }
}

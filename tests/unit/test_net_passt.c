/*
 * net/passt.h: the stream protocol over a socket pair, errors of a connect, and a real passt where
 * it is installed. passt gets no traffic but an ARP question about its own gateway.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/passt.h"

#define PREFIX 4 /* the length in front of a frame */

struct link {
    struct net_backend *backend;
    int peer;
};

static void open_link(struct link *link)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    link->peer = fds[1];
    assert_int_equal(net_passt_from_fd(fds[0], &link->backend, NULL), 0);
    assert_int_equal(link->backend->header_len, 0);
    assert_int_equal(link->backend->offloads, 0);
}

static void close_link(struct link *link)
{
    net_backend_close(link->backend);
    close_fd(link->peer);
}

static uint8_t pattern(unsigned seed, size_t i)
{
    return (uint8_t)(seed * 31 + i * 7 + (i >> 8));
}

static size_t put_frame(uint8_t *bytes, uint32_t len, unsigned seed)
{
    for (unsigned i = 0; i < PREFIX; i++)
        bytes[i] = (uint8_t)(len >> (24 - 8 * i));
    for (uint32_t i = 0; i < len; i++)
        bytes[PREFIX + i] = pattern(seed, i);
    return PREFIX + len;
}

static void assert_frame(const uint8_t *bytes, size_t len, unsigned seed)
{
    for (size_t i = 0; i < len; i++)
        assert_int_equal(bytes[i], pattern(seed, i));
}

static ssize_t receive(struct link *link, uint8_t *bytes, size_t size)
{
    const struct iovec iov[] = {{bytes, 3}, {bytes + 3, size - 3}};

    return net_backend_receive(link->backend, iov, 2);
}

static int send_frame(struct link *link, uint8_t *bytes, size_t len)
{
    const struct iovec iov[] = {{bytes, 1}, {bytes + 1, len - 1}};

    return net_backend_send(link->backend, iov, 2);
}

static void test_receive_in_parts(void **state)
{
    static const uint32_t lens[] = {14, 60, 1500, 777};
    uint8_t stream[4096], frame[4096];
    size_t end = 0, given = 0, got = 0;
    struct link link;

    (void)state;
    open_link(&link);
    for (size_t i = 0; i < ARRAY_SIZE(lens); i++)
        end += put_frame(stream + end, lens[i], (unsigned)i);
    assert_int_equal(receive(&link, frame, sizeof(frame)), -EAGAIN);
    while (given < end) { /* a byte at a time */
        ssize_t n;

        assert_int_equal(write(link.peer, stream + given++, 1), 1);
        n = receive(&link, frame, sizeof(frame));
        if (n == -EAGAIN)
            continue;
        assert_int_equal(n, lens[got]);
        assert_frame(frame, lens[got], (unsigned)got);
        got++;
    }
    assert_int_equal(got, ARRAY_SIZE(lens));
    close_link(&link);
}

static void test_receive_several(void **state)
{
    static uint8_t stream[40 * (PREFIX + 9000)];
    uint8_t frame[9000];
    size_t end = 0, given = 0;
    unsigned got = 0;
    struct link link;

    (void)state;
    open_link(&link);
    for (unsigned i = 0; i < 40; i++)
        end += put_frame(stream + end, 9000, i);
    while (got < 40) { /* as much at a time as the socket takes */
        ssize_t n = send(link.peer, stream + given, end - given, MSG_DONTWAIT);

        if (n > 0)
            given += (size_t)n;
        while ((n = receive(&link, frame, sizeof(frame))) > 0) {
            assert_int_equal(n, 9000);
            assert_frame(frame, 9000, got++);
        }
        assert_int_equal(n, -EAGAIN);
    }
    close_link(&link);
}

static void test_receive_largest(void **state)
{
    static uint8_t stream[PREFIX + NET_FRAME_MAX], frame[NET_FRAME_MAX];
    size_t end = put_frame(stream, NET_FRAME_MAX, 3), given = 0;
    struct link link;
    ssize_t n = -EAGAIN;

    (void)state;
    open_link(&link);
    while (n == -EAGAIN) {
        n = send(link.peer, stream + given, end - given, MSG_DONTWAIT);
        if (n > 0)
            given += (size_t)n;
        n = receive(&link, frame, sizeof(frame));
    }
    assert_int_equal(n, NET_FRAME_MAX);
    assert_frame(frame, NET_FRAME_MAX, 3);
    close_link(&link);
}

/* What does not fit the iovecs is lost, and the next frame is whole. */
static void test_receive_cut(void **state)
{
    uint8_t stream[4096], frame[100];
    size_t end = put_frame(stream, 1000, 1);
    struct link link;

    (void)state;
    open_link(&link);
    end += put_frame(stream + end, 60, 2);
    assert_int_equal(write(link.peer, stream, end), end);
    assert_int_equal(receive(&link, frame, sizeof(frame)), 1000);
    assert_frame(frame, sizeof(frame), 1);
    assert_int_equal(receive(&link, frame, sizeof(frame)), 60);
    assert_frame(frame, 60, 2);
    close_link(&link);
}

struct bad_row {
    const char *name;
    uint32_t len;
};

static const struct bad_row bad_rows[] = {
    {"a frame of length 0", 0},
    {"a frame of length 13", 13},
    {"a frame one byte too long", NET_FRAME_MAX + 1},
    {"a frame of 4 GiB", UINT32_MAX},
};

static void test_bad_length(void **state)
{
    const struct bad_row *row = *state;
    struct pollfd poller = {.events = POLLIN};
    uint8_t stream[256], frame[256];
    size_t end = put_frame(stream, 60, 1);
    struct link link;

    open_link(&link);
    for (unsigned i = 0; i < PREFIX; i++)
        stream[end++] = (uint8_t)(row->len >> (24 - 8 * i));
    assert_int_equal(write(link.peer, stream, end), end);
    assert_int_equal(receive(&link, frame, sizeof(frame)), 60); /* what came before was in order */
    assert_int_equal(receive(&link, frame, sizeof(frame)), -EPROTO);
    assert_int_equal(receive(&link, frame, sizeof(frame)), -EPROTO);
    assert_int_equal(send_frame(&link, frame, 60), -EPROTO);
    poller.fd = link.peer;
    assert_int_equal(poll(&poller, 1, 0), 1); /* it hears of it, and so does our loop */
    assert_true(poller.revents & POLLHUP);
    poller.fd = link.backend->fd;
    assert_int_equal(poll(&poller, 1, 0), 1);
    assert_true(poller.revents & POLLHUP);
    close_link(&link);
}

static void test_peer_closes(void **state)
{
    uint8_t stream[256], frame[256];
    size_t end = put_frame(stream, 60, 1);
    struct link link;

    (void)state;
    open_link(&link);
    assert_int_equal(write(link.peer, stream, end), end);
    assert_int_equal(write(link.peer, stream, 30), 30); /* in the middle of one */
    close_fd(take_fd(&link.peer));
    assert_int_equal(receive(&link, frame, sizeof(frame)), 60);
    assert_int_equal(receive(&link, frame, sizeof(frame)), -ECONNRESET);
    assert_int_equal(send_frame(&link, frame, 60), -ECONNRESET);
    assert_int_equal(net_backend_flush(link.backend), -ECONNRESET);
    close_link(&link);

    open_link(&link); /* the same when the sender is first to see it */
    close_fd(take_fd(&link.peer));
    assert_int_equal(send_frame(&link, frame, 60), -ECONNRESET);
    assert_int_equal(receive(&link, frame, sizeof(frame)), -ECONNRESET);
    close_link(&link);
}

static void test_send_lengths(void **state)
{
    static uint8_t frame[NET_FRAME_MAX + 1];
    uint8_t got[256];
    struct link link;

    (void)state;
    open_link(&link);
    assert_int_equal(send_frame(&link, frame, 13), -EMSGSIZE);
    assert_int_equal(send_frame(&link, frame, NET_FRAME_MAX + 1), -EMSGSIZE);
    assert_int_equal(send_frame(&link, frame, 14), 0);
    assert_int_equal(read(link.peer, got, sizeof(got)), PREFIX + 14);
    assert_memory_equal(got, "\0\0\0\x0e", PREFIX);
    close_link(&link);
}

/*
 * A reader that takes small bites, a socket with a small buffer: frames go out whole, in order, and
 * what was not taken is told.
 */
static void test_send_slow_reader(void **state)
{
    static uint8_t frame[NET_FRAME_MAX], got[PREFIX + NET_FRAME_MAX];
    const int small = 4096;
    unsigned sent = 0, received = 0, again = 0;
    size_t have = 0;
    struct link link;

    (void)state;
    open_link(&link);
    setsockopt(link.backend->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    while (received < 50) {
        uint32_t len = sent % 2 ? 60000 : 100, wanted = received % 2 ? 60000 : 100;
        ssize_t n;

        for (uint32_t i = 0; sent < 50 && i < len; i++)
            frame[i] = pattern(sent, i);
        n = sent < 50 ? send_frame(&link, frame, len) : net_backend_flush(link.backend);
        if (n == 0)
            sent += sent < 50;
        else
            assert_int_equal(n, -EAGAIN);
        again += n != 0;
        n = recv(link.peer, got + have, min_u64(999, PREFIX + wanted - have), MSG_DONTWAIT);
        have += n > 0 ? (size_t)n : 0;
        if (have < PREFIX + wanted)
            continue;
        assert_int_equal(got[0] << 24 | got[1] << 16 | got[2] << 8 | got[3], wanted);
        assert_frame(got + PREFIX, wanted, received++);
        have = 0;
    }
    assert_true(again > 0);
    assert_int_equal(net_backend_flush(link.backend), 0);
    close_link(&link);
}

/* ---- Opening. ---- */

static void test_from_fd_errors(void **state)
{
    struct net_backend *backend = NULL;
    struct error err;
    int pipe_fds[2], packet_fds[2];
    int lone = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, packet_fds), 0);
    assert_int_equal(net_passt_from_fd(-1, &backend, &err), -EBADF);
    assert_int_equal(net_passt_from_fd(pipe_fds[0], &backend, &err), -EINVAL);
    assert_int_equal(net_passt_from_fd(packet_fds[0], &backend, &err), -EINVAL);
    assert_int_equal(net_passt_from_fd(lone, &backend, &err), -EINVAL);
    assert_null(backend);
    assert_int_equal(fcntl(lone, F_GETFD), FD_CLOEXEC); /* still the caller's */
    for (int i = 0; i < 2; i++) {
        close(pipe_fds[i]);
        close(packet_fds[i]);
    }
    close(lone);
}

/* A folder of our own, with a socket that listens, one that nobody serves, and a file. */
struct folder {
    char path[64], live[96], dead[96], file[96];
    int listener;
};

static int listen_at(const char *path, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fd, 0), 0);
    return fd;
}

static void make_folder(struct folder *folder)
{
    strcpy(folder->path, "/tmp/osvm-test-passt.XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    snprintf(folder->live, sizeof(folder->live), "%s/live", folder->path);
    snprintf(folder->dead, sizeof(folder->dead), "%s/dead", folder->path);
    snprintf(folder->file, sizeof(folder->file), "%s/file", folder->path);
    folder->listener = listen_at(folder->live, SOCK_STREAM);
    close(listen_at(folder->dead, SOCK_STREAM));
    close(open(folder->file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static void remove_folder(struct folder *folder)
{
    close(folder->listener);
    unlink(folder->live);
    unlink(folder->dead);
    unlink(folder->file);
    rmdir(folder->path);
}

static void test_connect(void **state)
{
    struct net_backend *backend = NULL, *second = NULL;
    char long_path[200], missing[96];
    struct folder folder;
    struct error err;
    uint8_t frame[60] = {0}, got[64];
    int peer;

    (void)state;
    make_folder(&folder);
    memset(long_path, 'x', sizeof(long_path));
    long_path[sizeof(long_path) - 1] = '\0';
    snprintf(missing, sizeof(missing), "%s/none", folder.path);
    assert_int_equal(net_passt_connect("", &backend, &err), -EINVAL);
    assert_int_equal(net_passt_connect(long_path, &backend, &err), -ENAMETOOLONG);
    assert_non_null(strstr(err.text, "107"));
    assert_int_equal(net_passt_connect(missing, &backend, &err), -ENOENT);
    assert_non_null(strstr(err.text, missing));
    assert_int_equal(net_passt_connect(folder.dead, &backend, &err), -ECONNREFUSED);
    assert_int_equal(net_passt_connect(folder.file, &backend, &err), -ECONNREFUSED);
    assert_null(backend);

    assert_int_equal(net_passt_connect(folder.live, &backend, &err), 0);
    assert_int_equal(net_passt_connect(folder.live, &second, &err), -EAGAIN);
    peer = accept(folder.listener, NULL, NULL);
    assert_true(peer >= 0);
    assert_int_equal(net_backend_send(backend, &(struct iovec){frame, sizeof(frame)}, 1), 0);
    assert_int_equal(read(peer, got, sizeof(got)), PREFIX + sizeof(frame));
    net_backend_close(backend);
    close(peer);
    remove_folder(&folder);
}

/* ---- A process of our own. ---- */

/* Wait for something to receive; a length may come before its frame. */
static ssize_t receive_within(struct net_backend *backend, uint8_t *bytes, size_t size, int ms)
{
    struct pollfd poller = {.fd = backend->fd, .events = POLLIN};
    const struct iovec iov = {bytes, size};

    for (;;) {
        ssize_t n = net_backend_receive(backend, &iov, 1);

        if (n != -EAGAIN || poll(&poller, 1, ms) != 1)
            return n;
    }
}

static bool has_child(void)
{
    return waitpid(-1, NULL, WNOHANG) >= 0;
}

static void test_spawn_errors(void **state)
{
    struct net_backend *backend = NULL;
    struct error err = {.text = ""};
    uint8_t frame[64];

    (void)state;
    assert_int_equal(net_passt_spawn("/no/such/passt", &backend, &err), -ENOENT);
    assert_non_null(strstr(err.text, "apt-get install passt"));
    assert_int_equal(net_passt_spawn("/tmp", &backend, &err), -EACCES);
    assert_null(backend);
    assert_false(has_child());

    /* One that ends at once: the link is gone, and the child reaped. */
    assert_int_equal(net_passt_spawn("false", &backend, &err), 0);
    assert_int_equal(receive_within(backend, frame, sizeof(frame), 5000), -ECONNRESET);
    net_backend_close(backend);
    assert_false(has_child());
}

/* One that does not end when its socket closes is killed. */
static void test_spawn_stubborn(void **state)
{
    char path[] = "/tmp/osvm-test-stubborn.XXXXXX";
    static const char script[] = "#!/bin/sh\ntrap '' TERM HUP\nexec sleep 1000\n";
    struct net_backend *backend = NULL;
    uint64_t start_ns;
    int fd = mkstemp(path);

    (void)state;
    assert_int_equal(write(fd, script, sizeof(script) - 1), sizeof(script) - 1);
    assert_int_equal(fchmod(fd, 0700), 0);
    close(fd);
    assert_int_equal(net_passt_spawn(path, &backend, NULL), 0);
    start_ns = clock_monotonic_ns();
    net_backend_close(backend);
    assert_true(clock_monotonic_ns() - start_ns < 5 * NS_PER_SEC);
    assert_false(has_child());
    unlink(path);
}

static bool is_installed(void)
{
    return access("/usr/bin/passt", X_OK) == 0;
}

/* Who has 192.0.2.55? passt answers for every address but the guest's own. */
static void put_arp(uint8_t frame[60])
{
    static const uint8_t question[] = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,   0, 0, 0,  0, 1, 8, 6, /* Ethernet */
        0,    1,    8,    0,    6,    4,    0,   1,                    /* a request */
        2,    0,    0,    0,    0,    1,    0,   0, 0, 0,              /* of nobody yet */
        0,    0,    0,    0,    0,    0,    192, 0, 2, 55,
    };

    memset(frame, 0, 60);
    memcpy(frame, question, sizeof(question));
}

static void test_passt(void **state)
{
    struct net_backend *backend = NULL;
    uint8_t frame[60], got[2000];
    ssize_t n;

    (void)state;
    if (!is_installed())
        skip();
    assert_int_equal(net_passt_spawn("passt", &backend, NULL), 0);
    put_arp(frame);
    assert_int_equal(net_backend_send(backend, &(struct iovec){frame, sizeof(frame)}, 1), 0);
    n = receive_within(backend, got, sizeof(got), 10000);
    if (n ==
        -ECONNRESET) { /* it found no interface of the host to use, or may not confine itself */
        net_backend_close(backend);
        skip();
    }
    assert_in_range(n, 42, 60);
    assert_memory_equal(got, frame + 6, 6);     /* to us */
    assert_memory_equal(got + 12, "\x8\x6", 2); /* ARP */
    assert_int_equal(got[21], 2);               /* a reply */
    net_backend_close(backend);
    assert_false(has_child());
}

/* Whether a process has ended; whoever inherited it may not have looked yet. */
static bool has_ended(pid_t pid)
{
    char path[64], letter = 'Z';
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    f = fopen(path, "re");
    if (!f)
        return true;
    if (fscanf(f, "%*d %*s %c", &letter) != 1)
        letter = 'Z';
    fclose(f);
    return letter == 'Z';
}

/* Start a passt, say which it is, and die without a word. */
static void __attribute__((noreturn)) start_and_die(int pid_fd)
{
    struct net_backend *backend = NULL;
    pid_t passt = 0;
    char path[64];
    FILE *f;

    if (net_passt_spawn("passt", &backend, NULL) < 0)
        _exit(1);
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    f = fopen(path, "re");
    if (!f || fscanf(f, "%d", &passt) != 1 || write(pid_fd, &passt, sizeof(passt)) != sizeof(passt))
        _exit(1);
    usleep(100000); /* let it come up */
    kill(getpid(), SIGKILL);
    _exit(1);
}

static void test_passt_orphan(void **state)
{
    int pipe_fds[2];
    pid_t child, passt = 0;

    (void)state;
    if (!is_installed())
        skip();
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    child = fork();
    if (child == 0)
        start_and_die(pipe_fds[1]);
    assert_int_equal(read(pipe_fds[0], &passt, sizeof(passt)), sizeof(passt));
    assert_int_equal(waitpid(child, NULL, 0), child);
    for (int i = 0; i < 500 && !has_ended(passt); i++)
        usleep(10000);
    assert_true(has_ended(passt));
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add(&unit, "frames arrive byte by byte", test_receive_in_parts, NULL);
    unit_add(&unit, "several frames at once", test_receive_several, NULL);
    unit_add(&unit, "the largest frame", test_receive_largest, NULL);
    unit_add(&unit, "a frame larger than the buffer", test_receive_cut, NULL);
    unit_add_rows(&unit, bad_rows, test_bad_length);
    unit_add(&unit, "the other side closes", test_peer_closes, NULL);
    unit_add(&unit, "lengths that are sent", test_send_lengths, NULL);
    unit_add(&unit, "a slow reader", test_send_slow_reader, NULL);
    unit_add(&unit, "descriptors that will not do", test_from_fd_errors, NULL);
    unit_add(&unit, "sockets that will not do, and one that will", test_connect, NULL);
    unit_add(&unit, "programs that will not do", test_spawn_errors, NULL);
    unit_add(&unit, "a program that does not end", test_spawn_stubborn, NULL);
    unit_add(&unit, "passt answers", test_passt, NULL);
    unit_add(&unit, "passt ends with us", test_passt_orphan, NULL);
    return unit_run(&unit, "net_passt");
}

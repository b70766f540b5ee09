#include "prober.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"
#include "log_reader.h"

struct prober {
    struct managed *managed;
    const struct probe *probe;
    struct loop_source source; /* the connection under way; fd -1: none */
    struct deadline next;      /* the next try, or the end of this one's patience */
    bool trying;
    bool sent; /* what is asked has been, an answer is awaited */
    char answer[64];
    size_t answer_len;
};

static struct supervisor *supervisor_of(const struct prober *prober)
{
    return prober->managed->supervisor;
}

static void close_try(struct prober *prober)
{
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

/* --- connections
 * ----------------------------------------------------------------------------------- */

/* vsock-uds: what is asked of the VMM's socket to be connected with a port of the guest. */
static size_t question(const struct prober *prober, char *buf, size_t size)
{
    const struct probe *probe = prober->probe;

    if (probe->kind == PROBE_VSOCK)
        return (size_t)snprintf(buf, size, "CONNECT %" PRIu64 "\n", probe->port);
    if (probe->kind == PROBE_HTTP)
        return (size_t)snprintf(buf, size,
                                "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                                probe->path ? probe->path : "/");
    return 0;
}

/* Whether what has come is an answer: 1 a good one, 0 a bad one, -1 not yet. */
static int judge(const struct prober *prober)
{
    const char *text = prober->answer;

    if (prober->probe->kind == PROBE_VSOCK)
        return prober->answer_len < 3 ? -1 : strncmp(text, "OK ", 3) == 0;
    if (prober->answer_len < 12)
        return -1;
    /* RFC 9112, section 4: "HTTP/1.1 200". */
    return strncmp(text, "HTTP/1.", 7) == 0 && (text[9] == '2' || text[9] == '3');
}

static void on_connection(struct loop_source *source, uint32_t events)
{
    struct prober *prober = container_of(source, struct prober, source);
    char buf[4200];
    int code = 0, verdict;
    ssize_t n;

    if (!prober->sent) {
        size_t len = question(prober, buf, sizeof(buf));

        if (getsockopt(source->fd, SOL_SOCKET, SO_ERROR, &code, &(socklen_t){sizeof(code)}) < 0 ||
            code || (len && send(source->fd, buf, len, MSG_NOSIGNAL) != (ssize_t)len)) {
            answer(prober, false, "nobody listens");
        } else if (len == 0) {
            answer(prober, true, "");
        } else {
            prober->sent = true;
            loop_modify(supervisor_of(prober)->loop, source, EPOLLIN);
        }
        return;
    }
    n = recv(source->fd, prober->answer + prober->answer_len,
             sizeof(prober->answer) - prober->answer_len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    prober->answer_len += n > 0 ? (size_t)n : 0;
    verdict = judge(prober);
    if (verdict >= 0)
        answer(prober, verdict, verdict ? "" : "it answers, but not well");
    else if (n <= 0 || (events & EPOLLHUP))
        answer(prober, false, "the connection was closed");
}

static int connect_to(struct prober *prober)
{
    const struct managed *managed = prober->managed;
    const struct probe *probe = prober->probe;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)probe->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bool vsock = probe->kind == PROBE_VSOCK;
    _cleanup_close_ int fd =
        socket(vsock ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int r;

    if (fd < 0)
        return -errno;
    if (vsock && snprintf(un.sun_path, sizeof(un.sun_path), "%s/%s/" RUN_VSOCK,
                          managed->supervisor->paths.run,
                          managed->component.metadata.name) >= (int)sizeof(un.sun_path))
        return -ENAMETOOLONG;
    if (connect(fd, vsock ? (const struct sockaddr *)&un : (const struct sockaddr *)&in,
                vsock ? sizeof(un) : sizeof(in)) < 0 &&
        errno != EINPROGRESS)
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

/* --- each try
 * --------------------------------------------------------------------------------------- */

static void try_once(struct prober *prober)
{
    const struct managed *managed = prober->managed;
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
    r = connect_to(prober);
    if (r < 0)
        answer(prober, false, strerror(-r));
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

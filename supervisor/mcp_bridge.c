#include "mcp_bridge.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"
#include "mcp_bridge_messages.h"

#define CHUNK       65536
#define HELD_MAX    65536 /* bytes that wait for a reader, before more is read for it */
#define PIPE_WRITE  4096  /* what a pipe that polls writable takes without blocking */
#define LAST_ONE_NS NS_PER_SEC

#define PARSE_ERROR     (-32700) /* JSON-RPC 2.0, section 5.1 */
#define INVALID_REQUEST (-32600)

/* One way: lines that come in pieces, and what of them waits to be written. */
struct lane {
    int from, to;
    bool ended;     /* nothing more comes from `from` */
    bool broken;    /* nothing more goes to `to` */
    bool skipping;  /* the line that comes was too long: up to its end it is dropped */
    size_t scanned; /* bytes of `line` without a newline */
    struct bridge_bytes line, pending;
};

struct run {
    struct mcp_bridge *bridge;
    struct lane to_server, to_client;
    struct bridge_requests requests;
    uint64_t deadline_ns; /* CLOCK_MONOTONIC; 0: none */
    struct log_limit noise;
};

/* --- lines ----------------------------------------------------------------------------------- */

static int pass_on(struct lane *lane, const char *line, size_t length)
{
    int r = bridge_bytes_append(&lane->pending, line, length);

    return r < 0 ? r : bridge_bytes_append(&lane->pending, "\n", 1);
}

static int take_client_line(struct run *run, const char *line, size_t length)
{
    switch (bridge_requests_asked(&run->requests, line, length)) {
    case BRIDGE_LINE_MESSAGE:
        return pass_on(&run->to_server, line, length);
    case BRIDGE_LINE_NOISE:
        return bridge_write_error(&run->to_client.pending, PARSE_ERROR, "this is not JSON");
    case BRIDGE_LINE_BLANK:
        break;
    }
    return 0;
}

static int take_server_line(struct run *run, const char *line, size_t length)
{
    switch (bridge_requests_answered(&run->requests, line, length)) {
    case BRIDGE_LINE_MESSAGE:
        return pass_on(&run->to_client, line, length);
    case BRIDGE_LINE_NOISE:
        log_write_limited(run->bridge->log, &run->noise, LOG_WARNING,
                          "the server wrote a line that is no message: %.*s",
                          (int)min_u64(length, 80), line);
        break;
    case BRIDGE_LINE_BLANK:
        break;
    }
    return 0;
}

static int take_line(struct run *run, struct lane *lane, const char *line, size_t length)
{
    return lane == &run->to_server ? take_client_line(run, line, length)
                                   : take_server_line(run, line, length);
}

/* A line is longer than a message may be. The client is told; a server that does so is lost, for
 * nobody knows which request it answers. */
static int line_too_long(struct run *run, struct lane *lane)
{
    if (lane == &run->to_server)
        return bridge_write_error(&run->to_client.pending, INVALID_REQUEST,
                                  "the message is longer than 10 MiB");
    log_error(run->bridge->log, "the server wrote a message longer than 10 MiB");
    lane->ended = true;
    return 0;
}

/* Take all whole lines that are there; at the end of input also the one that lacks its newline. */
static int take_lines(struct run *run, struct lane *lane)
{
    while (lane->line.length > lane->scanned || (lane->ended && lane->line.length > 0)) {
        char *line = lane->line.data + lane->line.at;
        char *newline = memchr(line + lane->scanned, '\n', lane->line.length - lane->scanned);
        size_t length = newline ? (size_t)(newline - line) : lane->line.length;
        int r = 0;

        if (lane->skipping) {
            lane->skipping = !newline;
        } else if (length > MCP_BRIDGE_MESSAGE_MAX) {
            r = line_too_long(run, lane);
            lane->skipping = !newline;
        } else if (newline || lane->ended) {
            r = take_line(run, lane, line, length);
        } else {
            lane->scanned = length;
            return 0;
        }
        if (r < 0)
            return r;
        bridge_bytes_consume(&lane->line, length + (newline != NULL));
        lane->scanned = 0;
    }
    return 0;
}

/* --- descriptors ----------------------------------------------------------------------------- */

static int read_some(struct run *run, struct lane *lane)
{
    char chunk[CHUNK];
    ssize_t n = read(lane->from, chunk, sizeof(chunk));
    int r = 0;

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    if (n <= 0)
        lane->ended = true; /* a reset stream has ended, too */
    else
        r = bridge_bytes_append(&lane->line, chunk, (size_t)n);
    return r < 0 ? r : take_lines(run, lane);
}

static void write_some(struct lane *lane)
{
    const char *data = lane->pending.data + lane->pending.at;
    size_t length = lane->pending.length;
    ssize_t n = send(lane->to, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0 && errno == ENOTSOCK)
        n = write(lane->to, data, min_u64(length, PIPE_WRITE));
    if (n >= 0) {
        bridge_bytes_consume(&lane->pending, (size_t)n);
    } else if (errno != EINTR && errno != EAGAIN) {
        lane->broken = true;
        bridge_bytes_free(&lane->pending);
    }
}

static int time_left_ms(uint64_t deadline_ns)
{
    uint64_t now = clock_monotonic_ns();

    if (deadline_ns == 0)
        return -1;
    if (now >= deadline_ns)
        return 0;
    return (int)min_u64((deadline_ns - now) / NS_PER_MS + 1, INT_MAX);
}

/* Wait for what can be done, and do it once. */
static int turn(struct run *run)
{
    struct lane *up = &run->to_server, *down = &run->to_client;
    /* A descriptor that is not waited for is left out: a hang-up on it would be told for ever. */
    struct pollfd fds[] = {
        {.fd = !up->ended && up->pending.length < HELD_MAX ? up->from : -1, .events = POLLIN},
        {.fd = !down->ended && down->pending.length < HELD_MAX ? down->from : -1, .events = POLLIN},
        {.fd = up->pending.length > 0 ? up->to : -1, .events = POLLOUT},
        {.fd = down->broken ? -1 : down->to, .events = down->pending.length > 0 ? POLLOUT : 0},
    };
    int r = 0;

    if (poll(fds, ARRAY_SIZE(fds), time_left_ms(run->deadline_ns)) < 0)
        return errno == EINTR ? 0 : -errno;
    if (fds[0].revents)
        r = read_some(run, up);
    if (r == 0 && fds[1].revents)
        r = read_some(run, down);
    if (fds[2].revents)
        write_some(up);
    if (fds[3].revents & (POLLERR | POLLHUP | POLLNVAL))
        down->broken = true;
    else if (fds[3].revents)
        write_some(down);
    return r;
}

/* --- the end --------------------------------------------------------------------------------- */

static void set_deadline(struct run *run, uint64_t after_ns)
{
    if (run->deadline_ns == 0)
        run->deadline_ns = clock_monotonic_ns() + after_ns;
}

static bool deadline_over(const struct run *run)
{
    return run->deadline_ns != 0 && clock_monotonic_ns() >= run->deadline_ns;
}

/* What the client had written already when the server went: those requests are open, too. */
static int read_last_requests(struct run *run)
{
    struct lane *lane = &run->to_server;

    while (!lane->ended && lane->pending.length < MCP_BRIDGE_MESSAGE_MAX) {
        struct pollfd in = {.fd = lane->from, .events = POLLIN};
        int r;

        if (poll(&in, 1, 0) <= 0)
            break;
        r = read_some(run, lane);
        if (r < 0)
            return r;
    }
    bridge_bytes_free(&lane->pending);
    return 0;
}

/* Answer what is open with an error, and let the client have it. */
static int fail_open_requests(struct run *run, const char *why)
{
    struct lane *down = &run->to_client;
    int r = bridge_requests_fail(&run->requests, MCP_BRIDGE_SERVER_GONE, why, &down->pending);

    while (r == 0 && !down->broken && down->pending.length > 0) {
        struct pollfd out = {.fd = down->to, .events = POLLOUT};

        if (poll(&out, 1, -1) < 0 && errno != EINTR)
            return -errno;
        if (out.revents & (POLLERR | POLLNVAL))
            return 0;
        if (out.revents)
            write_some(down);
    }
    return r;
}

/* Carry on until it is known how it ends. */
static int carry(struct run *run, enum mcp_bridge_end *ret_end)
{
    struct lane *up = &run->to_server, *down = &run->to_client;

    for (;;) {
        int r = turn(run);

        if (r < 0)
            return r;
        if (down->broken) {
            *ret_end = MCP_BRIDGE_CLIENT_ENDED;
            return 0;
        }
        if (down->ended) {
            *ret_end = MCP_BRIDGE_SERVER_ENDED;
            return 0;
        }
        /* A server that reads no more has a moment for what it says last. */
        if (up->broken)
            set_deadline(run, LAST_ONE_NS);
        if (up->ended)
            set_deadline(run, run->bridge->drain_ns);
        if (up->ended && up->pending.length == 0 && down->pending.length == 0 &&
            !bridge_requests_any(&run->requests)) {
            *ret_end = MCP_BRIDGE_CLIENT_ENDED;
            return 0;
        }
        if (deadline_over(run)) {
            *ret_end = up->broken ? MCP_BRIDGE_SERVER_ENDED : MCP_BRIDGE_TIMED_OUT;
            return 0;
        }
    }
}

static int finish(struct run *run, enum mcp_bridge_end *end)
{
    bool owed;
    int r;

    if (*end == MCP_BRIDGE_CLIENT_ENDED)
        return 0;
    r = read_last_requests(run);
    if (r < 0)
        return r;
    owed = bridge_requests_any(&run->requests);
    /* The client had said all, and the server went with nothing left to say: that is no fault. */
    if (run->to_server.ended && !owed)
        *end = MCP_BRIDGE_CLIENT_ENDED;
    return fail_open_requests(run, *end == MCP_BRIDGE_TIMED_OUT
                                       ? "the server did not answer in time"
                                       : "the server ended before it answered");
}

int mcp_bridge_run(struct mcp_bridge *bridge, enum mcp_bridge_end *ret_end)
{
    struct run run = {
        .bridge = bridge,
        .to_server = {.from = bridge->client_in, .to = bridge->server_out},
        .to_client = {.from = bridge->server_in, .to = bridge->client_out},
    };
    enum mcp_bridge_end end = MCP_BRIDGE_SERVER_ENDED;
    int r = bridge_requests_init(&run.requests);

    if (r == 0)
        r = carry(&run, &end);
    if (r == 0)
        r = finish(&run, &end);
    if (bridge->server_out != bridge->server_in)
        close_fd(take_fd(&bridge->server_out));
    close_fd(take_fd(&bridge->server_in));
    bridge_requests_free(&run.requests);
    bridge_bytes_free(&run.to_server.line);
    bridge_bytes_free(&run.to_server.pending);
    bridge_bytes_free(&run.to_client.line);
    bridge_bytes_free(&run.to_client.pending);
    if (r == 0)
        *ret_end = end;
    return r;
}

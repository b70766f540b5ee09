/* osvm mcp NAME: between an MCP client, which starts this, and the server that is a component. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../mcp_bridge.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "client.h"

#define CONNECT_NS (5 * NS_PER_SEC)
#define DRAIN_NS   (30 * NS_PER_SEC)

/* How long a server on standard input and output may take to end once that has: the specification
 * (2025-06-18, Lifecycle, Shutdown) asks for a reasonable time, and then for a signal. */
#define FAREWELL_NS (2 * NS_PER_SEC)

/* The component as it is now. */
struct server {
    struct client *client;
    const char *name;
    bool has_streams; /* or else a vsock port */
    int fd;
    json_int_t monitor; /* pid */
};

/* What the daemon says of it. Returns 0, or the exit status with a message said. */
static int look(struct server *server, json_t **ret_component)
{
    char path[128];

    snprintf(path, sizeof(path), "/v1/components/%s", server->name);
    return client_ask(server->client, "GET", path, NULL, 0, ret_component);
}

/* Connect to it, in the way that its level has. Returns 0 or a negative errno with words in err. */
static int connect_server(struct server *server, struct error *err)
{
    const struct paths *paths = client_paths(server->client);
    _cleanup_free_ char *vsock = paths_run(paths, server->name, RUN_VSOCK);
    _cleanup_free_ char *streams = paths_run(paths, server->name, RUN_STDIO);

    if (!vsock || !streams)
        return error_set(err, -ENOMEM, "out of memory");
    if (access(vsock, F_OK) == 0)
        return mcp_bridge_connect(vsock, MCP_BRIDGE_PORT, CONNECT_NS, &server->fd, err);
    if (access(streams, F_OK) < 0)
        return error_set(err, -ENOTSUP,
                         "it is no MCP server that can be reached: in a virtual machine it wants a "
                         "vsock (a network.access other than none), elsewhere the component_type "
                         "mcp_server");
    server->has_streams = true;
    return mcp_bridge_take_streams(streams, CONNECT_NS, &server->fd, err);
}

/* Start it where need be, and connect. Returns 0, or the exit status with a message said. */
static int reach_server(struct server *server)
{
    uint64_t deadline = clock_monotonic_ns() + FAREWELL_NS;
    const struct timespec pause = {.tv_nsec = 20 * (long)NS_PER_MS};

    for (;;) {
        json_auto_t *component = NULL;
        struct error err = {0};
        int r = client_start(server->client, server->name);

        if (r || (r = look(server, &component)))
            return r;
        server->monitor = json_integer_value(json_object_get(component, "pid"));
        r = connect_server(server, &err);
        if (r == 0)
            return 0;
        /* A client before this one may have gone just now, and the server not yet. */
        if (r != -EBUSY || clock_monotonic_ns() > deadline)
            return fail(EXIT_FAILED, "%s: %s", server->name, err.text);
        nanosleep(&pause, NULL);
    }
}

static int carry(const struct server *server)
{
    const struct log log = {.fd = STDERR_FILENO, .level = LOG_WARNING, .prefix = "osvm"};
    struct mcp_bridge bridge = {
        .client_in = STDIN_FILENO,
        .client_out = STDOUT_FILENO,
        .server_in = server->fd,
        .server_out = server->fd,
        .drain_ns = DRAIN_NS,
        .log = &log,
    };
    enum mcp_bridge_end end;
    int r = mcp_bridge_run(&bridge, &end);

    if (r < 0)
        return fail(EXIT_FAILED, "%s: cannot go on: %s", server->name, strerror(-r));
    if (end == MCP_BRIDGE_SERVER_ENDED)
        return fail(EXIT_FAILED, "%s: the server is gone; osvm logs %s says more", server->name,
                    server->name);
    if (end == MCP_BRIDGE_TIMED_OUT)
        return fail(EXIT_FAILED, "%s: the server owes answers, which are not waited for any more",
                    server->name);
    return 0;
}

/*
 * Its input has ended, and so should it. One that does not would be of no use to the next client,
 * who can't be given streams that another had.
 */
static void see_off(struct server *server)
{
    const struct timespec pause = {.tv_nsec = 10 * (long)NS_PER_MS};
    uint64_t deadline = clock_monotonic_ns() + FAREWELL_NS;
    const char *policy = "never";
    char path[160];

    for (;;) {
        json_auto_t *component = NULL;

        if (look(server, &component) ||
            json_integer_value(json_object_get(component, "pid")) != server->monitor)
            return;
        policy = text_of(json_object_get(component, "restart"), "policy");
        if (clock_monotonic_ns() > deadline) {
            snprintf(path, sizeof(path), "/v1/components/%s/%s", server->name,
                     strcmp(policy, "always") == 0 ? "restart" : "stop");
            client_ask(server->client, "POST", path, NULL, 0, NULL);
            return;
        }
        nanosleep(&pause, NULL);
    }
}

int command_mcp(const struct invocation *invocation)
{
    struct server server = {.name = invocation->arguments[0], .fd = -1};
    int status;

    /* Standard output is the protocol's alone: everything here is told on standard error. */
    if (!component_name_valid(server.name))
        return fail(EXIT_USAGE, "'%s' is no component's name", server.name);
    signal(SIGPIPE, SIG_IGN);
    status = client_open(invocation, &server.client);
    if (status)
        return status;
    status = reach_server(&server);
    if (!status) {
        status = carry(&server);
        if (server.has_streams)
            see_off(&server);
    }
    client_close(server.client);
    return status;
}

/* osvm mcp NAME: between an MCP client, which starts this, and the server that is a component. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../mcp_bridge.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "client.h"

#define CONNECT_NS (5 * NS_PER_SEC)
#define DRAIN_NS   (30 * NS_PER_SEC)

/* Connect to the server in the guest. Returns 0, or the exit status with a message said. */
static int connect_server(const struct client *client, const char *name, int *ret_fd)
{
    _cleanup_free_ char *path = paths_run(client_paths(client), name, RUN_VSOCK);
    struct error err = {0};

    if (!path)
        return fail(EXIT_FAILED, "out of memory");
    if (access(path, F_OK) < 0)
        return fail(EXIT_FAILED,
                    "'%s' has no vsock, by which an MCP server is reached: that wants level "
                    "unikernel or micro_vm, and a network.access other than none",
                    name);
    if (mcp_bridge_connect(path, MCP_BRIDGE_PORT, CONNECT_NS, ret_fd, &err) < 0)
        return fail(EXIT_FAILED, "%s: %s", name, err.text);
    return 0;
}

static int carry(int server, const char *name)
{
    const struct log log = {.fd = STDERR_FILENO, .level = LOG_WARNING, .prefix = "osvm"};
    struct mcp_bridge bridge = {
        .client_in = STDIN_FILENO,
        .client_out = STDOUT_FILENO,
        .server_in = server,
        .server_out = server,
        .drain_ns = DRAIN_NS,
        .log = &log,
    };
    enum mcp_bridge_end end;
    int r = mcp_bridge_run(&bridge, &end);

    if (r < 0)
        return fail(EXIT_FAILED, "%s: cannot go on: %s", name, strerror(-r));
    if (end == MCP_BRIDGE_SERVER_ENDED)
        return fail(EXIT_FAILED, "%s: the server is gone; osvm logs %s says more", name, name);
    if (end == MCP_BRIDGE_TIMED_OUT)
        return fail(EXIT_FAILED, "%s: the server owes answers, which are not waited for any more",
                    name);
    return 0;
}

int command_mcp(const struct invocation *invocation)
{
    const char *name = invocation->arguments[0];
    struct client *client;
    int server = -1, status;

    /* Standard output is the protocol's alone: everything here is told on standard error. */
    if (!component_name_valid(name))
        return fail(EXIT_USAGE, "'%s' is no component's name", name);
    signal(SIGPIPE, SIG_IGN);
    status = client_open(invocation, &client);
    if (status)
        return status;
    status = client_start(client, name);
    if (!status)
        status = connect_server(client, name, &server);
    client_close(client);
    return status ? status : carry(server, name);
}

/*
 * The bridge as a program, for tests: what `osvm mcp NAME` does once its component runs.
 *
 * mcp-bridge PATH [PORT]         to a guest, by the socket of osvm-vmm's --vsock
 * mcp-bridge -- COMMAND [ARG]…   to a child that speaks MCP on its standard input and output
 *
 * Ends with 0 when the client has ended, 1 when the server has, 2 where it cannot begin.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "mcp_bridge.h"

extern char **environ;

#define CONNECT_NS (5 * NS_PER_SEC)
#define DRAIN_NS   (30 * NS_PER_SEC)

/* Start the child with two pipes. Returns its pid or a negative errno. */
static pid_t start(char *const argv[], struct mcp_bridge *bridge)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int to_child[2], from_child[2], r;
    sigset_t defaults;
    pid_t pid;

    if (pipe2(to_child, O_CLOEXEC) < 0 || pipe2(from_child, O_CLOEXEC) < 0)
        return -errno;
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to_child[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, from_child[1], STDOUT_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    r = posix_spawnp(&pid, argv[0], &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    close(to_child[0]);
    close(from_child[1]);
    bridge->server_out = to_child[1];
    bridge->server_in = from_child[0];
    return r ? -r : pid;
}

int main(int argc, char *argv[])
{
    struct log log = {.fd = STDERR_FILENO, .level = LOG_WARNING, .prefix = "mcp-bridge"};
    struct mcp_bridge bridge = {
        .client_in = STDIN_FILENO, .client_out = STDOUT_FILENO, .drain_ns = DRAIN_NS, .log = &log};
    enum mcp_bridge_end end;
    struct error err = {0};
    pid_t child = 0;
    int r;

    if (argc < 2 || (strcmp(argv[1], "--") == 0 && argc < 3)) {
        fprintf(stderr, "usage: mcp-bridge PATH [PORT] | mcp-bridge -- COMMAND [ARG]...\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    if (strcmp(argv[1], "--") == 0) {
        child = start(argv + 2, &bridge);
        if (child < 0)
            r = error_set_errno(&err, child, "cannot start '%s'", argv[2]);
        else
            r = 0;
    } else {
        uint32_t port = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : MCP_BRIDGE_PORT;

        r = mcp_bridge_connect(argv[1], port, CONNECT_NS, &bridge.server_in, &err);
        bridge.server_out = bridge.server_in;
    }
    if (r < 0) {
        log_error(&log, "%s", err.text);
        return 2;
    }
    r = mcp_bridge_run(&bridge, &end);
    if (child > 0) {
        kill(child, SIGTERM);
        waitpid(child, NULL, 0);
    }
    if (r < 0) {
        log_error(&log, "%s", strerror(-r));
        return 2;
    }
    return end == MCP_BRIDGE_CLIENT_ENDED ? 0 : 1;
}

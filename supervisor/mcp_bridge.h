/*
 * Between an MCP client on two pipes (the stdio transport: one JSON-RPC message a line) and a
 * server on a stream: a guest's vsock port, or the pipes of a child.
 *
 * What it does besides carrying lines: nothing but messages goes to the client; a line of the
 * server that is none is dropped and told to the log. When the server is gone, each request that
 * is open gets a JSON-RPC error, so that no client waits for ever. A message is passed whole or not
 * at all, up to MCP_BRIDGE_MESSAGE_MAX.
 */
#ifndef OSVM_SUPERVISOR_MCP_BRIDGE_H
#define OSVM_SUPERVISOR_MCP_BRIDGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"

#define MCP_BRIDGE_MESSAGE_MAX (UINT32_C(10) << 20) /* bytes, without the newline */
#define MCP_BRIDGE_PORT        5252

/* The error of requests that their server did not live to answer: JSON-RPC 2.0, section 5.1, the
 * range for implementations. */
#define MCP_BRIDGE_SERVER_GONE (-32000)

struct mcp_bridge {
    int client_in, client_out; /* borrowed; their flags are not changed */
    /* Taken over: closed at the end. The same number twice for a socket. */
    int server_in;  /* read: what the server says */
    int server_out; /* write */
    /* How long answers are waited for when the client has said all, from its end of file on. */
    uint64_t drain_ns;
    const struct log *log; /* borrowed */
};

enum mcp_bridge_end {
    MCP_BRIDGE_CLIENT_ENDED, /* it said all and got all answers, or reads no more */
    MCP_BRIDGE_SERVER_ENDED, /* while the client was there, or owing answers: they got errors */
    MCP_BRIDGE_TIMED_OUT,    /* drain_ns is over and answers are owed: they got errors */
};

/**
 * Carry messages until one end is gone. Blocks; the caller ignores SIGPIPE.
 * Returns 0, or a negative errno where it cannot go on (memory, poll); then open requests got no
 * answer. One thread.
 */
int mcp_bridge_run(struct mcp_bridge *bridge, enum mcp_bridge_end *ret_end);

/**
 * Connect to a port inside a guest, by the Unix socket of osvm-vmm's --vsock: CONNECT, OK.
 *
 * @timeout_ns  for each step; 0 waits for ever
 * @ret_fd      the stream; the caller closes it
 * Returns 0; -ECONNREFUSED where nobody listens in the guest; -ENOENT and others of connect()
 * where there is no such socket. `err` says it in words. Any thread.
 */
int mcp_bridge_connect(const char *path, uint32_t port, uint64_t timeout_ns, int *ret_fd,
                       struct error *err);

/**
 * Take the streams of a server that a monitor keeps (monitor.h, --streams). One that is being
 * started is waited for.
 *
 * @timeout_ns  in all
 * @ret_fd      the stream; the caller closes it
 * Returns 0; -EBUSY where another client has them; or another negative errno; `err` says it in
 * words. Any thread.
 */
int mcp_bridge_take_streams(const char *path, uint64_t timeout_ns, int *ret_fd, struct error *err);

#endif

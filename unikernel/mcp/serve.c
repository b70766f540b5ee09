/* MCP on vsock. */
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/exit.h"
#include "sdk/io.h"
#include "sdk/mcp.h"
#include "sdk/memory.h"
#include "sdk/time.h"
#include "sdk/vsock.h"

#define CONNECTIONS 64
#define BUFFER      16384 /* bytes that a connection holds unread */
#define LOOK_US     2000
#define SETTLE_US   3000000 /* longer than released sockets wait for their peers */
#define REST_US     UINT64_C(3600000000)

struct connection {
    struct vsock_socket *socket; /* NULL: free */
    struct mcp_stream stream;
};

static void end(struct connection *c)
{
    mcp_stream_free(&c->stream);
    vsock_release(c->socket);
    c->socket = NULL;
}

/*
 * Take what has come, if the stream has room for it. vsock_receive() is called only where it needs
 * not look for packets: it might find one for a connection that had its turn, and the wait for the
 * next packet would then be a wait beside work.
 */
static bool receive(struct connection *c)
{
    bool ended = vsock_ended(c->socket);
    size_t size;
    void *room;

    if (c->socket->buffer_used == 0 && !ended)
        return false;
    room = mcp_stream_room(&c->stream, &size);
    if (!room)
        return false;
    if (ended)
        mcp_stream_input_ended(&c->stream);
    else
        mcp_stream_received(&c->stream, vsock_receive(c->socket, room, (uint32_t)size, 0));
    return true;
}

static bool send_answer(struct connection *c)
{
    size_t length;
    const char *bytes = mcp_stream_output(&c->stream, &length);
    uint32_t sent;

    if (!bytes)
        return false;
    sent = vsock_send(c->socket, bytes, (uint32_t)length, 0);
    mcp_stream_sent(&c->stream, sent);
    return sent > 0;
}

/* Whether nobody is left to hear an answer. */
static bool deaf(const struct vsock_socket *socket)
{
    return socket->state != VSOCK_CONNECTED || (socket->peer_shutdown & VSOCK_SHUTDOWN_RECEIVE);
}

/* One turn of a connection: what came, one message, what goes. Returns whether it did anything. */
static bool serve(struct connection *c)
{
    bool busy = receive(c);
    size_t left;

    busy = mcp_stream_step(&c->stream) || busy;
    busy = send_answer(c) || busy;
    if (deaf(c->socket) || (c->stream.ended && !mcp_stream_output(&c->stream, &left))) {
        end(c);
        busy = true;
    }
    return busy;
}

static void welcome(struct connection *connections, struct vsock_socket *socket,
                    const struct mcp_server *server)
{
    for (unsigned i = 0; i < CONNECTIONS; i++)
        if (!connections[i].socket) {
            connections[i] = (struct connection){.socket = socket};
            connections[i].stream.server = server;
            return;
        }
    vsock_release(socket);
}

/*
 * Wait for packets. Before the CPU halts it looks for them a little while: a client often asks
 * again at once, and to halt and be woken costs more than its answer. A guest that nobody speaks to
 * for longer is woken for nothing as seldom as its timer allows.
 *
 * Returns false where the device wants a reset.
 */
static bool await_packets(struct vsock *vsock)
{
    uint64_t end = time_us() + LOOK_US;

    do
        if (vsock_wait(vsock, 0))
            return true;
    while (time_us() < end);
    if (vsock_wait(vsock, SETTLE_US))
        return true;
    while (!(virtio_status(vsock->dev) & VIRTIO_STATUS_NEEDS_RESET))
        if (vsock_wait(vsock, REST_US))
            return true;
    return false;
}

/* In turns, so that nobody waits for more than one message of each other. */
static void serve_all(const struct mcp_server *server, struct vsock *vsock,
                      struct vsock_socket *listener, struct connection *connections)
{
    for (;;) {
        struct vsock_socket *socket;
        bool busy = false;

        while ((socket = vsock_accept(listener, 0))) {
            welcome(connections, socket, server);
            busy = true;
        }
        for (unsigned i = 0; i < CONNECTIONS; i++)
            if (connections[i].socket)
                busy = serve(&connections[i]) || busy;
        if (!busy && !await_packets(vsock)) {
            printf("mcp: the vsock device wants a reset\n");
            return;
        }
    }
}

int mcp_serve(const struct mcp_server *server)
{
    uint32_t port = (uint32_t)boot_option_number("port", MCP_PORT);
    struct connection *connections = calloc(CONNECTIONS, sizeof(*connections));
    struct vsock_socket *listener;
    struct vsock vsock;
    const char *tool, *wrong = mcp_server_check(server, &tool);

    if (wrong) {
        printf("mcp: tool %s: %s\n", tool, wrong);
        return 1;
    }
    if (!connections || !vsock_open(&vsock, UINT64_MAX)) {
        printf("mcp: %s\n", connections
                                ? "no vsock device works here (--vsock), or the memory is too "
                                  "small for it (--mem)"
                                : "the memory is too small (--mem)");
        return 1;
    }
    listener = vsock_listen(&vsock, port, BUFFER);
    if (!listener) {
        printf("mcp: the memory is too small (--mem)\n");
        return 1;
    }
    if (osvm_port_present())
        port_out32(OSVM_PORT, OSVM_MILESTONE_READY);
    printf("READY: %s %s, %u tools, cid %lu, port %u\n", server->name, server->version,
           server->tool_count, vsock.cid, port);
    serve_all(server, &vsock, listener, connections);
    return 1;
}

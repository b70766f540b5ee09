/*
 * An echo server on vsock: what comes on a connection to `port=` (5252) goes back on it, for many
 * connections at once. A connection that begins with the line "quit" ends the machine; "READY" on
 * the console says that it listens.
 */
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/exit.h"
#include "sdk/io.h"
#include "sdk/string.h"
#include "sdk/vsock.h"

#define DEFAULT_PORT 5252
#define CONNECTIONS  256
#define BUFFER       65536
#define CHUNK        32768
#define WAIT_US      1000000

static const char quit[] = "quit\n";

struct connection {
    struct vsock_socket *socket;
    bool begun;               /* something has come: it is no command any more */
    uint32_t length, written; /* of `data`, what came and what of it went back */
    uint8_t data[CHUNK];
};

static struct connection connections[CONNECTIONS];

static void end(struct connection *c)
{
    vsock_release(c->socket);
    c->socket = NULL;
}

/* Returns whether it did anything. */
static bool serve(struct connection *c, bool *ret_quit)
{
    uint32_t sent;

    if (c->written == c->length) {
        /* No look for packets here: one might be for a connection that had its turn, and then the
         * wait for the next packet would be a wait beside work. */
        if (c->socket->buffer_used == 0 && !vsock_ended(c->socket))
            return false;
        c->written = 0;
        c->length = vsock_receive(c->socket, c->data, CHUNK, 0);
        if (c->length == 0) {
            if (!vsock_ended(c->socket))
                return false;
            end(c);
            return true;
        }
        if (!c->begun && c->length == sizeof(quit) - 1 && memcmp(c->data, quit, c->length) == 0)
            *ret_quit = true;
        c->begun = true;
    }
    sent = vsock_send(c->socket, c->data + c->written, c->length - c->written, 0);
    c->written += sent;
    if (sent == 0 && c->socket->state != VSOCK_CONNECTED) {
        end(c);
        return true;
    }
    return sent > 0;
}

static void welcome(struct vsock_socket *socket)
{
    for (unsigned i = 0; i < CONNECTIONS; i++)
        if (!connections[i].socket) {
            connections[i].socket = socket;
            connections[i].begun = false;
            connections[i].length = connections[i].written = 0;
            return;
        }
    vsock_release(socket);
}

static void serve_all(struct vsock *vsock, struct vsock_socket *listener)
{
    bool quitting = false;

    while (!quitting) {
        struct vsock_socket *socket;
        bool busy = false;

        while ((socket = vsock_accept(listener, 0))) {
            welcome(socket);
            busy = true;
        }
        for (unsigned i = 0; i < CONNECTIONS; i++)
            if (connections[i].socket)
                busy = serve(&connections[i], &quitting) || busy;
        if (!busy && !vsock_wait(vsock, WAIT_US) &&
            (virtio_status(vsock->dev) & VIRTIO_STATUS_NEEDS_RESET))
            return;
    }
}

int main(void)
{
    uint32_t port = (uint32_t)boot_option_number("port", DEFAULT_PORT);
    struct vsock_socket *listener;
    struct vsock vsock;

    if (!vsock_open(&vsock, UINT64_MAX)) {
        printf("there is no vsock device that works\n");
        return 1;
    }
    listener = vsock_listen(&vsock, port, BUFFER);
    if (!listener)
        return 1;
    if (osvm_port_present())
        port_out32(OSVM_PORT, OSVM_MILESTONE_READY);
    printf("READY: cid %lu, port %u\n", vsock.cid, port);
    serve_all(&vsock, listener);
    vsock_wait(&vsock, WAIT_US / 10); /* the answer to "quit" is on its way */
    vsock_close(&vsock);
    return 0;
}

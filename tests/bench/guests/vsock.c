/*
 * A vsock peer, one connection at a time: port 1 echoes, port 2 swallows until the end of the
 * stream, port 3 sends as many bytes as the first eight that come say. Runs until it is killed.
 */
#include "sdk/vsock.h"
#include "sdk/console.h"
#include "sdk/string.h"

#define BUFFER  65536
#define CHUNK   65536
#define WAIT_US 1000000

static uint8_t data[CHUNK];

static void echo(struct vsock_socket *s)
{
    while (!vsock_ended(s)) {
        uint32_t length = vsock_receive(s, data, CHUNK, WAIT_US);

        if (length > 0)
            vsock_send(s, data, length, WAIT_US);
    }
}

static void swallow(struct vsock_socket *s)
{
    while (!vsock_ended(s))
        vsock_receive(s, data, CHUNK, WAIT_US);
}

static void send(struct vsock_socket *s)
{
    uint64_t left = 0;
    uint32_t got = 0;

    while (got < sizeof(left) && !vsock_ended(s))
        got += vsock_receive(s, (uint8_t *)&left + got, (uint32_t)sizeof(left) - got, WAIT_US);
    while (left > 0 && s->state == VSOCK_CONNECTED)
        left -= vsock_send(s, data, left < CHUNK ? (uint32_t)left : CHUNK, WAIT_US);
}

static void (*const services[])(struct vsock_socket *) = {echo, swallow, send};
#define SERVICES (sizeof(services) / sizeof(services[0]))

int main(void)
{
    struct vsock_socket *listeners[SERVICES], *s;
    struct vsock vsock;

    if (!vsock_open(&vsock, UINT64_MAX)) {
        printf("there is no vsock device that works\n");
        return 1;
    }
    for (unsigned i = 0; i < SERVICES; i++) {
        listeners[i] = vsock_listen(&vsock, i + 1, BUFFER);
        if (!listeners[i])
            return 1;
    }
    printf("READY\n");
    for (;;) {
        for (unsigned i = 0; i < SERVICES; i++) {
            s = vsock_accept(listeners[i], 0);
            if (!s)
                continue;
            services[i](s);
            vsock_release(s);
        }
        vsock_wait(&vsock, WAIT_US);
    }
}

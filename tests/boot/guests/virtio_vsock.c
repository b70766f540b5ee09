/*
 * Sockets to the host through the SDK's driver: `echo=PORT` a port of the host where what comes is
 * sent back. The other direction is unikernel/images/vsock_echo.c's.
 */
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/memory.h"
#include "sdk/report.h"
#include "sdk/string.h"
#include "sdk/vsock.h"

#define LIMIT_US    10000000
#define NOBODY      9
#define LARGE       (4u << 20)
#define CONNECTIONS 100

static struct vsock vsock;
static uint32_t echo_port;

static struct vsock_socket *connect(uint32_t buffer)
{
    return vsock_connect(&vsock, VSOCK_CID_HOST, echo_port, buffer, LIMIT_US);
}

/* Send all and read it back at the same time: more than both buffers hold would block otherwise. */
static bool echoes(struct vsock_socket *s, const uint8_t *out, uint8_t *in, uint32_t length)
{
    uint32_t sent = 0, got = 0;

    while (got < length) {
        uint32_t part = vsock_send(s, out + sent, length - sent, 0);

        sent += part;
        part = vsock_receive(s, in + got, length - got, part == 0 ? LIMIT_US : 0);
        got += part;
        if (part == 0 && (vsock_ended(s) || sent == length)) {
            part = vsock_receive(s, in + got, length - got, LIMIT_US);
            got += part;
            if (part == 0)
                return false;
        }
    }
    return memcmp(out, in, length) == 0;
}

static void check_sizes(const uint8_t *out, uint8_t *in)
{
    static const uint32_t sizes[] = {1, 2, 4095, 4096, 4097, 65536, 65537, 1000000, LARGE};
    struct vsock_socket *s = connect(65536);

    if (!report(s != NULL, "it connects to a port of the host"))
        return;
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        report(echoes(s, out, in, sizes[i]), "%u bytes come back", sizes[i]);
    vsock_release(s);
}

/* With the smallest buffer the peer may never send more than fits. */
static void check_small_buffer(const uint8_t *out, uint8_t *in)
{
    struct vsock_socket *s = connect(4096);

    report(s && echoes(s, out, in, 300000), "with a buffer of 4 KiB, too");
    if (s)
        vsock_release(s);
}

static void check_half_close(const uint8_t *out, uint8_t *in)
{
    struct vsock_socket *s = connect(65536);
    uint32_t got = 0, part;

    if (!report(s && vsock_send(s, out, 30000, LIMIT_US) == 30000, "30000 bytes are sent"))
        return;
    vsock_shutdown(s, VSOCK_SHUTDOWN_SEND);
    while (!vsock_ended(s) && (part = vsock_receive(s, in + got, LARGE - got, LIMIT_US)) > 0)
        got += part;
    report(got == 30000 && memcmp(in, out, got) == 0, "they come back after this end was closed");
    report(vsock_ended(s), "and then the end of the stream");
    report(vsock_send(s, out, 1, 0) == 0, "nothing more can be sent");
    vsock_release(s);
}

static void check_many(const uint8_t *out, uint8_t *in)
{
    struct vsock_socket *sockets[CONNECTIONS];
    unsigned connected = 0, good = 0;

    for (unsigned i = 0; i < CONNECTIONS; i++) {
        sockets[i] = connect(8192);
        connected += sockets[i] != NULL;
    }
    report(connected == CONNECTIONS, "%u connections at once", connected);
    for (unsigned i = 0; i < CONNECTIONS; i++)
        good += sockets[i] && echoes(sockets[i], out + i, in, 2000);
    report(good == CONNECTIONS, "each echoes its own");
    for (unsigned i = 0; i < CONNECTIONS; i++)
        if (sockets[i])
            vsock_release(sockets[i]);
}

int main(void)
{
    uint8_t *out = malloc(LARGE), *in = malloc(LARGE);

    echo_port = (uint32_t)boot_option_number("echo", 0);
    for (uint32_t i = 0; i < LARGE; i++)
        out[i] = (uint8_t)(i * 7 + i / 251);
    if (!report(vsock_open(&vsock, UINT64_MAX), "there is a device that starts"))
        return report_summary();
    printf("transport %s, features %lx of %lx\n", vsock.dev->transport->name, vsock.dev->features,
           vsock.dev->offered);
    report(vsock.cid == boot_option_number("cid", 3), "its CID is %lu", vsock.cid);
    report(!vsock_connect(&vsock, VSOCK_CID_HOST, NOBODY, 4096, LIMIT_US),
           "a connection to where nobody listens is refused");
    report(!vsock_connect(&vsock, 77, echo_port, 4096, 200000), "nor is there another machine");
    check_sizes(out, in);
    check_small_buffer(out, in);
    check_half_close(out, in);
    check_many(out, in);
    vsock_close(&vsock);
    report(vsock_open(&vsock, UINT64_MAX), "after a reset it starts again");
    check_small_buffer(out, in);
    return report_summary();
}

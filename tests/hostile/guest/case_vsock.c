/* Packets that make no sense. Victim: vsock; `echo=PORT` names a port of the host that echoes. */
#include "sdk/vsock.h"

#include "hostile.h"
#include "sdk/boot.h"
#include "sdk/report.h"
#include "sdk/string.h"
#include "sdk/time.h"

#define LIMIT_US  5000000
#define NOBODY    9
#define OWN_PORT  7777
#define PEER_PORT 8888

static struct vsock vsock;

static bool start(void)
{
    return report(vsock_open(&vsock, UINT64_MAX), "the victim starts before the attack");
}

static uint32_t echo_port(void)
{
    return (uint32_t)boot_option_number("echo", 0);
}

static struct vsock_header packet(uint16_t op)
{
    return (struct vsock_header){
        .source_cid = vsock.cid,
        .target_cid = VSOCK_CID_HOST,
        .source_port = OWN_PORT,
        .target_port = PEER_PORT,
        .type = VSOCK_TYPE_STREAM,
        .op = op,
        .buffer_size = 65536,
    };
}

/* After each attack: a connection that is refused at once, and one that echoes. */
static void still_works(void)
{
    struct vsock_socket *s;
    char bytes[5] = {0};
    uint32_t got = 0, part;
    uint64_t begin = time_us();

    report(!vsock_connect(&vsock, VSOCK_CID_HOST, NOBODY, 4096, LIMIT_US) &&
               time_us() - begin < LIMIT_US / 2,
           "a connection to nobody is refused at once");
    if (!echo_port())
        return;
    s = vsock_connect(&vsock, VSOCK_CID_HOST, echo_port(), 4096, LIMIT_US);
    if (s && vsock_send(s, "hello", 5, LIMIT_US) == 5)
        while (got < 5 && (part = vsock_receive(s, bytes + got, 5 - got, LIMIT_US)) > 0)
            got += part;
    report(got == 5 && memcmp(bytes, "hello", 5) == 0, "a connection still echoes");
    if (s)
        vsock_release(s);
}

/* Send it, with `data` bytes behind it. The device must take it and go on. */
static void throw(struct vsock_header header, uint32_t data)
{
    vsock_send_packet(&vsock, &header, scratch, data);
    vsock_poll(&vsock);
}

static void end(void)
{
    report(!(virtio_status(victim()) & VIRTIO_STATUS_NEEDS_RESET),
           "a malformed packet never stops the device");
    still_works();
    vsock_close(&vsock);
}

static void cids_wild(void)
{
    static const uint64_t cids[] = {
        0, 1, 3, 4, 0x7fffffff, UINT32_MAX, UINT64_C(1) << 32 | 2, UINT64_MAX};

    if (!start())
        return;
    for (unsigned i = 0; i < sizeof(cids) / sizeof(cids[0]); i++)
        for (uint16_t op = 0; op < 9; op++) {
            struct vsock_header h = packet(op);

            h.source_cid = cids[i] == vsock.cid ? 99 : cids[i];
            throw(h, 0);
            h = packet(op);
            h.target_cid = cids[i];
            throw(h, 0);
            h.source_cid = cids[i];
            throw(h, 16);
        }
    end();
}

static void types_wild(void)
{
    static const uint16_t types[] = {0, 2, 3, 255, 256, 257, 65535};

    if (!start())
        return;
    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        for (uint16_t op = 0; op < 9; op++) {
            struct vsock_header h = packet(op);

            h.type = types[i];
            throw(h, 0);
        }
    end();
}

static void ops_wild(void)
{
    static const uint16_t ops[] = {0, 8, 9, 255, 256, 257, 0x8001, 65535};

    if (!start())
        return;
    for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        throw(packet(ops[i]), 0);
    end();
}

/* Every op but REQUEST, for a connection that is not there. */
static void no_connection(void)
{
    if (!start())
        return;
    for (uint16_t op = VSOCK_OP_RESPONSE; op <= VSOCK_OP_CREDIT_REQUEST; op++)
        for (unsigned i = 0; i < 50; i++) {
            struct vsock_header h = packet(op);

            h.target_port = PEER_PORT + i;
            h.length = op == VSOCK_OP_RW ? 16 : 0;
            h.flags = i;
            throw(h, h.length);
        }
    end();
}

/* A length that says more, or less, than there is. */
static void lengths_wild(void)
{
    static const uint32_t lengths[] = {
        1, 15, 17, 4096, 65536, 65537, 0x7fffffff, UINT32_MAX - 43, UINT32_MAX};

    if (!start())
        return;
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        for (uint16_t op = 1; op < 8; op++) {
            struct vsock_header h = packet(op);

            h.length = lengths[i];
            throw(h, 16);
            throw(h, 0);
        }
    end();
}

/* On a connection that there is. */
static void lengths_on_connection(void)
{
    static const uint32_t lengths[] = {1, 17, 65536, UINT32_MAX};
    struct vsock_socket *s;

    if (!start() || !echo_port())
        return;
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct vsock_header h = packet(VSOCK_OP_RW);

        s = vsock_connect(&vsock, VSOCK_CID_HOST, echo_port(), 4096, LIMIT_US);
        if (!report(s != NULL, "there is a connection"))
            break;
        h.source_port = s->port;
        h.target_port = s->peer_port;
        h.length = lengths[i];
        throw(h, 16);
        vsock_release(s);
    }
    end();
}

static void raw(uint64_t address, uint32_t length, uint16_t flags)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    describe(q, 0, address, length, flags, 0);
    offer(q, 0);
    settle(q, 0);
    report((virtio_status(victim()) & VIRTIO_STATUS_NEEDS_RESET) || q->used->idx == 1,
           "a packet of %u bytes has an answer", length);
}

static void header_short(void)
{
    memset(scratch, 0, 64);
    for (uint32_t length = 0; length < sizeof(struct vsock_header); length += 7)
        raw((uintptr_t)scratch, length, 0);
}

static void send_writable(void)
{
    raw((uintptr_t)scratch, 128, VIRTQ_DESC_F_WRITE);
}

/* A header in single bytes, with data behind. */
static void header_in_bytes(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);
    unsigned count = sizeof(struct vsock_header);
    struct vsock_header h = {.source_cid = virtio_config64(victim(), VSOCK_CONFIG_CID),
                             .target_cid = VSOCK_CID_HOST,
                             .source_port = OWN_PORT,
                             .target_port = NOBODY,
                             .type = VSOCK_TYPE_STREAM,
                             .op = VSOCK_OP_REQUEST};

    memcpy(scratch, &h, sizeof(h));
    for (unsigned i = 0; i < count; i++)
        describe(q, i, (uintptr_t)scratch + i, 1, i + 1 < count ? VIRTQ_DESC_F_NEXT : 0, i + 1);
    offer(q, 0);
    settle(q, 0);
    report(q->used->idx == 1, "cut into single bytes it is still a packet");
    expect_whole();
}

/* The same request twice, and a response to it. */
static void request_twice(void)
{
    if (!start())
        return;
    for (unsigned i = 0; i < 4; i++) {
        struct vsock_header h = packet(i == 3 ? VSOCK_OP_RESPONSE : VSOCK_OP_REQUEST);

        h.target_port = echo_port() ? echo_port() : NOBODY;
        throw(h, 0);
    }
    delay_us(20000);
    vsock_poll(&vsock);
    end();
}

/* More connections than there may be. Each is refused, or is one of them; all vanish with RST. */
static void request_flood(void)
{
    if (!start())
        return;
    for (uint32_t i = 0; i < 3000; i++) {
        struct vsock_header h = packet(VSOCK_OP_REQUEST);

        h.source_port = 10000 + i;
        h.target_port = echo_port() && i % 2 ? echo_port() : NOBODY;
        throw(h, 0);
    }
    for (uint32_t i = 0; i < 3000; i++) {
        struct vsock_header h = packet(VSOCK_OP_RST);

        h.source_port = 10000 + i;
        h.target_port = echo_port() && i % 2 ? echo_port() : NOBODY;
        throw(h, 0);
    }
    end();
}

/* Data far past the credit that the host gave: RST, and no buffer without bound. */
static void past_credit(void)
{
    struct vsock_socket *s;
    unsigned sent;

    if (!start() || !echo_port())
        return;
    s = vsock_connect(&vsock, VSOCK_CID_HOST, echo_port(), 4096, LIMIT_US);
    if (!report(s != NULL, "there is a connection"))
        return;
    for (sent = 0; sent < 400 && s->state == VSOCK_CONNECTED; sent++) {
        struct vsock_header h = packet(VSOCK_OP_RW);

        h.source_port = s->port;
        h.target_port = s->peer_port;
        h.length = 32768;
        h.buffer_size = 0; /* nor does it let the echo come back */
        throw(h, h.length);
        delay_us(100);
    }
    report(s->state == VSOCK_CLOSED, "it is reset (after %u packets)", sent);
    vsock_release(s);
    end();
}

/* Credit that wanders: forwarded more than was sent, buffers of nothing and of everything. */
static void credit_wild(void)
{
    struct vsock_socket *s;

    if (!start() || !echo_port())
        return;
    s = vsock_connect(&vsock, VSOCK_CID_HOST, echo_port(), 65536, LIMIT_US);
    if (!report(s != NULL, "there is a connection"))
        return;
    vsock_send(s, scratch, 1000, LIMIT_US);
    for (unsigned i = 0; i < 2000 && s->state == VSOCK_CONNECTED; i++) {
        struct vsock_header h = packet(i % 2 ? VSOCK_OP_CREDIT_UPDATE : VSOCK_OP_CREDIT_REQUEST);

        h.source_port = s->port;
        h.target_port = s->peer_port;
        h.buffer_size = (uint32_t)next_random();
        h.forwarded = (uint32_t)next_random();
        throw(h, 0);
    }
    vsock_release(s);
    end();
}

static void shutdown_wild(void)
{
    struct vsock_socket *s;

    if (!start() || !echo_port())
        return;
    for (unsigned i = 0; i < 40; i++) {
        s = vsock_connect(&vsock, VSOCK_CID_HOST, echo_port(), 4096, LIMIT_US);
        if (!s)
            break;
        for (unsigned n = 0; n < 5; n++) {
            struct vsock_header h = packet(VSOCK_OP_SHUTDOWN);

            h.source_port = s->port;
            h.target_port = s->peer_port;
            h.flags = n == 0 ? 0xfffffffc : i + n;
            throw(h, 0);
        }
        vsock_send(s, scratch, 100, 0);
        vsock_release(s);
    }
    end();
}

/* Buffers for reception that hold less than a header, or cannot be written. */
static void receive_small(void)
{
    struct virtio_queue *rx, *tx;
    struct vsock_header h;

    tx = victim_start(UINT64_MAX);
    vsock.cid = virtio_config64(victim(), VSOCK_CONFIG_CID);
    h = packet(VSOCK_OP_RW); /* to be answered by RST */
    rx = &victim()->queues[VSOCK_QUEUE_RX];
    for (unsigned i = 0; i < 60; i++) {
        describe(rx, i, (uintptr_t)scratch + 4096, i, i % 3 ? VIRTQ_DESC_F_WRITE : 0, 0);
        offer(rx, i);
    }
    memcpy(scratch, &h, sizeof(h));
    for (unsigned i = 0; i < 60; i++) {
        describe(tx, i, (uintptr_t)scratch, sizeof(h), 0, 0);
        offer(tx, i);
    }
    settle(tx, 59);
    report(true, "buffers for nothing went by");
}

/* No buffers for reception at all, and answers asked for without end. */
static void receive_none(void)
{
    struct virtio_queue *tx = victim_start(UINT64_MAX);
    struct vsock_header h;
    uint64_t limit = time_us() + 500000;

    vsock.cid = virtio_config64(victim(), VSOCK_CONFIG_CID);
    h = packet(VSOCK_OP_RW);
    memcpy(scratch, &h, sizeof(h));
    for (unsigned i = 0; i < tx->size; i++)
        describe(tx, i, (uintptr_t)scratch, sizeof(h), 0, 0);
    for (unsigned i = 0; time_us() < limit; i++)
        if ((uint16_t)(tx->next_avail - tx->used->idx) < tx->size)
            offer(tx, i % tx->size);
    expect_whole();
}

static void events_wild(void)
{
    struct virtio_queue *q;

    victim_start(UINT64_MAX);
    q = &victim()->queues[VSOCK_QUEUE_EVENT];
    for (unsigned i = 0; i < 8; i++) {
        describe(q, i, (uintptr_t)scratch, i, i % 2 ? VIRTQ_DESC_F_WRITE : 0, 0);
        offer(q, i);
    }
    expect_whole();
}

const struct hostile_case vsock_cases[] = {
    {"vsock-cids-wild", cids_wild},         {"vsock-types-wild", types_wild},
    {"vsock-ops-wild", ops_wild},           {"vsock-no-connection", no_connection},
    {"vsock-lengths-wild", lengths_wild},   {"vsock-lengths-on-connection", lengths_on_connection},
    {"vsock-header-short", header_short},   {"vsock-header-in-bytes", header_in_bytes},
    {"vsock-send-writable", send_writable}, {"vsock-request-twice", request_twice},
    {"vsock-request-flood", request_flood}, {"vsock-past-credit", past_credit},
    {"vsock-credit-wild", credit_wild},     {"vsock-shutdown-wild", shutdown_wild},
    {"vsock-receive-small", receive_small}, {"vsock-receive-none", receive_none},
    {"vsock-events-wild", events_wild},     {0},
};

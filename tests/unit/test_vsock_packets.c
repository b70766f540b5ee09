/* virtio/vsock.h against a guest that sends nonsense: each kind of packet, each state, each queue.
 */
#include "vsock_fixture.h"

/* What becomes of a packet. */
enum outcome {
    IGNORED,        /* nothing is heard of it, and the connection goes on */
    STRAY_RST,      /* a RST to the ports of the packet; the connection goes on */
    CONNECTION_RST, /* a RST that ends the connection */
    CONNECTION_GONE /* no answer, and the connection has ended */
};

/* A packet on an open connection, which differs from a good one in what the row says. */
struct packet_row {
    const char *name;
    enum outcome outcome;
    uint64_t src_cid, dst_cid; /* 0: the right ones */
    uint32_t src_port;         /* 0: the connection's */
    uint16_t type;             /* 0: stream; TYPE_ZERO: 0 */
    uint16_t op;
    uint32_t len;    /* as the header says */
    uint32_t behind; /* bytes that are really there */
    uint32_t flags;
    bool malformed; /* counted as such */
};

#define TYPE_SEQPACKET 2
#define TYPE_ZERO      UINT16_MAX
#define ANY_CID        UINT64_C(0xffffffff)
#define OTHER          UINT32_C(5555)
#define PAST_CREDIT    (VIRTIO_VSOCK_BUF_ALLOC + 1)

static const struct packet_row packets[] = {
    {"op 0", CONNECTION_RST, .op = 0, .malformed = true},
    {"op 8", CONNECTION_RST, .op = 8, .malformed = true},
    {"op 65535", CONNECTION_RST, .op = 65535, .malformed = true},
    {"a second REQUEST", CONNECTION_RST, .op = VSOCK_OP_REQUEST, .malformed = true},
    {"a RESPONSE nobody asked for", CONNECTION_RST, .op = VSOCK_OP_RESPONSE, .malformed = true},
    {"RST", CONNECTION_GONE, .op = VSOCK_OP_RST},
    {"SHUTDOWN of nothing", IGNORED, .op = VSOCK_OP_SHUTDOWN},
    {"SHUTDOWN with unknown flags", IGNORED, .op = VSOCK_OP_SHUTDOWN, .flags = 0xfffffffc},
    {"SHUTDOWN with all flags", CONNECTION_RST, .op = VSOCK_OP_SHUTDOWN, .flags = UINT32_MAX},
    {"CREDIT_UPDATE", IGNORED, .op = VSOCK_OP_CREDIT_UPDATE},
    {"an empty RW", IGNORED, .op = VSOCK_OP_RW},
    {"RW with flags", IGNORED, .op = VSOCK_OP_RW, .flags = UINT32_MAX},
    {"bytes behind an empty RW", IGNORED, .op = VSOCK_OP_RW, .behind = 100},
    {"bytes behind a CREDIT_UPDATE", IGNORED, .op = VSOCK_OP_CREDIT_UPDATE, .len = 9, .behind = 9},
    {"one byte short", CONNECTION_RST, .op = VSOCK_OP_RW, .len = 10, .behind = 9,
     .malformed = true},
    {"all bytes missing", CONNECTION_RST, .op = VSOCK_OP_RW, .len = 10, .malformed = true},
    {"a length of 2^32 - 1", CONNECTION_RST, .op = VSOCK_OP_RW, .len = UINT32_MAX, .behind = 100,
     .malformed = true},
    {"a length that wraps", CONNECTION_RST, .op = VSOCK_OP_RW, .len = UINT32_MAX - 43, .behind = 1,
     .malformed = true},
    {"a CREDIT_UPDATE that says it is longer", CONNECTION_RST, .op = VSOCK_OP_CREDIT_UPDATE,
     .len = 1, .malformed = true},
    {"more than the credit", CONNECTION_RST, .op = VSOCK_OP_RW, .len = PAST_CREDIT,
     .behind = PAST_CREDIT, .malformed = true},
    {"type 0", STRAY_RST, .type = TYPE_ZERO, .op = VSOCK_OP_RW, .malformed = true},
    {"type SEQPACKET", STRAY_RST, .type = TYPE_SEQPACKET, .op = VSOCK_OP_RW, .len = 1, .behind = 1,
     .malformed = true},
    {"a REQUEST of type SEQPACKET", STRAY_RST, .type = TYPE_SEQPACKET, .op = VSOCK_OP_REQUEST,
     .malformed = true},
    {"from another CID", IGNORED, .src_cid = 43, .op = VSOCK_OP_RST, .malformed = true},
    {"from the host's CID", IGNORED, .src_cid = 2, .op = VSOCK_OP_RST, .malformed = true},
    {"from a CID of 64 bits", IGNORED, .src_cid = VSOCK_CID | UINT64_C(1) << 32, .op = VSOCK_OP_RST,
     .malformed = true},
    {"from any CID", IGNORED, .src_cid = ANY_CID, .op = VSOCK_OP_RST, .malformed = true},
    {"to the hypervisor's CID", IGNORED, .dst_cid = 1, .op = VSOCK_OP_RST, .malformed = true},
    {"to another guest's CID", IGNORED, .dst_cid = 43, .op = VSOCK_OP_REQUEST, .malformed = true},
    {"to its own CID", IGNORED, .dst_cid = VSOCK_CID, .op = VSOCK_OP_REQUEST, .malformed = true},
    {"to a CID of 64 bits", IGNORED, .dst_cid = UINT64_C(1) << 32 | 2, .op = VSOCK_OP_RST,
     .malformed = true},
    {"RW of no connection", STRAY_RST, .src_port = OTHER, .op = VSOCK_OP_RW, .len = 1, .behind = 1},
    {"SHUTDOWN of no connection", STRAY_RST, .src_port = OTHER, .op = VSOCK_OP_SHUTDOWN},
    {"RESPONSE of no connection", STRAY_RST, .src_port = OTHER, .op = VSOCK_OP_RESPONSE},
    {"CREDIT_UPDATE of no connection", STRAY_RST, .src_port = OTHER, .op = VSOCK_OP_CREDIT_UPDATE},
    {"CREDIT_REQUEST of no connection", STRAY_RST, .src_port = OTHER,
     .op = VSOCK_OP_CREDIT_REQUEST},
    {"an unknown op of no connection", STRAY_RST, .src_port = OTHER, .op = 77},
    {"RST of no connection", IGNORED, .src_port = OTHER, .op = VSOCK_OP_RST},
    {"a short packet of no connection", IGNORED, .src_port = OTHER, .op = VSOCK_OP_RW, .len = 9,
     .malformed = true},
    {"a short REQUEST", IGNORED, .src_port = OTHER, .op = VSOCK_OP_REQUEST, .len = 9,
     .malformed = true},
};

static struct vsock_header header_of(const struct vsock_fixture *f, const struct packet_row *row)
{
    struct vsock_header header = vsock_header_of(
        f, row->src_port ? row->src_port : VSOCK_GUEST_PORT, VSOCK_HOST_PORT, row->op);

    if (row->src_cid)
        header.src_cid = row->src_cid;
    if (row->dst_cid)
        header.dst_cid = row->dst_cid;
    if (row->type)
        header.type = row->type == TYPE_ZERO ? 0 : row->type;
    header.len = row->len;
    header.flags = row->flags;
    return header;
}

static void check_open(struct vsock_fixture *f, int fd)
{
    vsock_send_data(f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, "ok", 2);
    vsock_host_expect(f, fd, "ok");
}

static void test_packet(void **state)
{
    static const uint8_t bytes[PAST_CREDIT];
    const struct packet_row *row = *state;
    struct vsock_fixture f;
    struct vsock_header header, answer;
    char byte;
    int fd;

    vsock_fixture_open(&f);
    fd = vsock_connect(&f);
    header = header_of(&f, row);
    vsock_send_raw(&f, &header, bytes, row->behind);
    if (row->outcome == STRAY_RST || row->outcome == CONNECTION_RST) {
        answer = vsock_expect(&f, header.src_port, header.dst_port, VSOCK_OP_RST);
        assert_int_equal(answer.type, header.type);
    }
    if (row->outcome == CONNECTION_RST || row->outcome == CONNECTION_GONE)
        assert_int_equal(vsock_host_read(&f, fd, &byte, 1), 0);
    else
        check_open(&f, fd);
    vsock_expect_silence(&f);
    assert_int_equal(vsock_counters(&f).malformed, row->malformed);
    vsock_expect_alive(&f);
    close(fd);
    vsock_fixture_close(&f);
}

/* Every op while the guest is asked to accept, and while it waits for the host. */
struct state_row {
    const char *name;
    uint16_t op;
    bool answered; /* by RST; else the connection just ends */
};

static const struct state_row before_response[] = {
    {"REQUEST instead of RESPONSE", VSOCK_OP_REQUEST, true},
    {"RST instead of RESPONSE", VSOCK_OP_RST, false},
    {"SHUTDOWN instead of RESPONSE", VSOCK_OP_SHUTDOWN, true},
    {"RW instead of RESPONSE", VSOCK_OP_RW, true},
    {"CREDIT_UPDATE instead of RESPONSE", VSOCK_OP_CREDIT_UPDATE, true},
    {"CREDIT_REQUEST instead of RESPONSE", VSOCK_OP_CREDIT_REQUEST, true},
    {"nonsense instead of RESPONSE", 99, true},
};

static void test_before_response(void **state)
{
    const struct state_row *row = *state;
    struct vsock_fixture f;
    uint32_t port;
    char byte;
    int fd;

    vsock_fixture_open(&f);
    fd = vsock_host_say(&f, "CONNECT 80\n");
    port = vsock_receive(&f).header.src_port;
    vsock_send(&f, 80, port, row->op);
    if (row->answered)
        vsock_expect(&f, 80, port, VSOCK_OP_RST);
    vsock_expect_silence(&f);
    assert_int_equal(vsock_host_read(&f, fd, &byte, 1), 0);
    assert_int_equal(vsock_counters(&f).connections, 0);
    close(fd);
    vsock_fixture_close(&f);
}

static void test_response_before_request(void **state)
{
    struct vsock_fixture f;
    int fd;

    (void)state;
    vsock_fixture_make(&f);
    f.hold_rx = true; /* the REQUEST cannot be delivered */
    vsock_fixture_start(&f);
    fd = vsock_host_say(&f, "CONNECT 80\n");
    vsock_run(&f);
    vsock_send(&f, 80, UINT32_C(1) << 30, VSOCK_OP_RESPONSE); /* it has guessed the port */
    vsock_run(&f);
    f.hold_rx = false;
    vsock_give_rx(&f, 0);
    driver_notify(&f.driver, VSOCK_RX);
    vsock_expect_silence(&f); /* the guest never heard of it */
    assert_int_equal(vsock_counters(&f).connections, 0);
    close(fd);
    vsock_fixture_close(&f);
}

/* Packets right behind the REQUEST, before the host's socket is connected. */
static const struct state_row before_connected[] = {
    {"a second REQUEST at once", VSOCK_OP_REQUEST, true},
    {"RST at once", VSOCK_OP_RST, false},
    {"SHUTDOWN at once", VSOCK_OP_SHUTDOWN, true},
    {"RW at once", VSOCK_OP_RW, true},
    {"nonsense at once", 99, true},
};

static void test_before_connected(void **state)
{
    const struct state_row *row = *state;
    struct vsock_fixture f;
    struct vsock_header header;
    int listener;

    vsock_fixture_open(&f);
    listener = vsock_host_listen(&f, VSOCK_HOST_PORT, 4);
    header = vsock_header_of(&f, 7, VSOCK_HOST_PORT, VSOCK_OP_REQUEST);
    vsock_queue_raw(&f, &header, NULL, 0);
    header.op = row->op;
    vsock_send_raw(&f, &header, NULL, 0);
    if (row->answered)
        vsock_expect(&f, 7, VSOCK_HOST_PORT, VSOCK_OP_RST);
    vsock_expect_silence(&f);
    assert_int_equal(accept(listener, NULL, NULL), -1); /* it was not connected to */
    assert_int_equal(vsock_counters(&f).connections, 0);
    close(listener);
    vsock_fixture_close(&f);
}

static void test_data_after_shutdown(void **state)
{
    struct vsock_fixture f;
    int fd;

    (void)state;
    vsock_fixture_open(&f);
    fd = vsock_connect(&f);
    vsock_send_shutdown(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_SHUTDOWN_SEND);
    vsock_send_data(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, "more", 4);
    vsock_expect(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_RST);
    close(fd);
    vsock_fixture_close(&f);
}

static void test_past_the_credit_in_small_packets(void **state)
{
    static const uint8_t bytes[4096];
    struct vsock_fixture f;
    struct vsock_header header;
    int fd;

    (void)state;
    vsock_fixture_open(&f);
    fd = vsock_connect(&f);
    header = vsock_header_of(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_RW);
    header.len = sizeof(bytes);
    /* All at once, so that it cannot have heard of any credit meanwhile. */
    for (unsigned i = 0; i < VIRTIO_VSOCK_BUF_ALLOC / sizeof(bytes); i++)
        vsock_queue_raw(&f, &header, bytes, header.len);
    header.len = 1;
    vsock_send_raw(&f, &header, bytes, 1);
    vsock_expect(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_RST);
    vsock_expect_silence(&f);
    close(fd);
    vsock_fixture_close(&f);
}

/* ---- The chains that carry packets. ---- */

struct chain_row {
    const char *name;
    struct driver_buffer buffers[4]; /* gpa is an offset into the packet */
    unsigned count;
    bool delivered;
};

/* How 44 bytes of header and 5 of payload may be cut. */
static const struct chain_row chains[] = {
    {"one piece", {{0, 49, false}}, 1, true},
    {"two pieces", {{0, 44, false}, {44, 5, false}}, 2, true},
    {"a header in two", {{0, 20, false}, {20, 29, false}}, 2, true},
    {"four pieces", {{0, 1, false}, {1, 44, false}, {45, 1, false}, {46, 3, false}}, 4, true},
    {"more than the packet", {{0, 500, false}}, 1, true},
    {"writable buffers behind it", {{0, 49, false}, {4096, 64, true}}, 2, true},
    {"a header that is short", {{0, 43, false}}, 1, false},
    {"one byte", {{0, 1, false}}, 1, false},
    {"only writable", {{0, 49, true}}, 1, false},
    {"nothing", {{0, 0, false}}, 1, false},
};

static void test_chain(void **state)
{
    const struct chain_row *row = *state;
    struct driver_buffer buffers[4];
    struct vsock_fixture f;
    struct vsock_header header;
    uint8_t *host;
    int fd;

    vsock_fixture_open(&f);
    fd = vsock_connect(&f);
    header = vsock_header_of(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_RW);
    header.len = 5;
    host = driver_host(&f.driver, f.tx_gpa, 8192);
    vsock_header_store(host, &header);
    memcpy(host + VSOCK_HEADER_SIZE, "hello", 5);
    for (unsigned i = 0; i < row->count; i++) {
        buffers[i] = row->buffers[i];
        buffers[i].gpa += f.tx_gpa;
    }
    f.tx_under_way++;
    driver_add(&f.driver, VSOCK_TX, buffers, row->count);
    driver_notify(&f.driver, VSOCK_TX);
    if (row->delivered)
        vsock_host_expect(&f, fd, "hello");
    vsock_expect_silence(&f);
    assert_int_equal(vsock_counters(&f).malformed, !row->delivered);
    check_open(&f, fd);
    close(fd);
    vsock_fixture_close(&f);
}

/* ---- Queues that make no sense. ---- */

static void put_bad_tx_index(struct vsock_fixture *f)
{
    driver_set_avail_idx(&f->driver, VSOCK_TX, 1000);
    driver_notify(&f->driver, VSOCK_TX);
}

static void put_tx_loop(struct vsock_fixture *f)
{
    driver_put_desc(&f->driver, VSOCK_TX, 0, f->tx_gpa, 44, DRIVER_DESC_NEXT, 0);
    driver_put_avail(&f->driver, VSOCK_TX, 0);
    driver_notify(&f->driver, VSOCK_TX);
}

static void put_tx_outside(struct vsock_fixture *f)
{
    driver_put_desc(&f->driver, VSOCK_TX, 0, VSOCK_MEMORY - 4, 44, 0, 0);
    driver_put_avail(&f->driver, VSOCK_TX, 0);
    driver_notify(&f->driver, VSOCK_TX);
}

static void put_bad_rx_index(struct vsock_fixture *f)
{
    driver_set_avail_idx(&f->driver, VSOCK_RX, 1000);
    vsock_send(f, 9, 9, VSOCK_OP_RW);
}

/* The first receive buffer's descriptor is written over. */
static void put_rx(struct vsock_fixture *f, uint64_t gpa, uint32_t len, uint16_t flags)
{
    struct driver_queue *queue = &f->driver.queues[VSOCK_RX];

    for (uint16_t i = 0; i < queue->size; i++)
        driver_put_desc(&f->driver, VSOCK_RX, i, gpa, len, flags, 0);
    vsock_send(f, 9, 9, VSOCK_OP_RW);
}

static void put_rx_of_a_header(struct vsock_fixture *f)
{
    put_rx(f, f->rx_gpa, VSOCK_HEADER_SIZE, DRIVER_DESC_WRITE);
}

static void put_rx_too_small(struct vsock_fixture *f)
{
    put_rx(f, f->rx_gpa, 4, DRIVER_DESC_WRITE);
}

static void put_rx_readable(struct vsock_fixture *f)
{
    put_rx(f, f->rx_gpa, 4096, 0);
}

static void put_rx_outside(struct vsock_fixture *f)
{
    put_rx(f, UINT64_MAX - 100, 4096, DRIVER_DESC_WRITE);
}

static void put_rx_loop(struct vsock_fixture *f)
{
    put_rx(f, f->rx_gpa, 64, DRIVER_DESC_WRITE | DRIVER_DESC_NEXT);
}

static void put_short_event(struct vsock_fixture *f)
{
    struct driver_buffer buffer = {f->rx_gpa, 3, true};

    driver_add(&f->driver, VSOCK_EVENT, &buffer, 1);
    virtio_vsock_transport_reset(f->driver.device);
}

struct queue_row {
    const char *name;
    void (*put)(struct vsock_fixture *f);
};

static const struct queue_row queues[] = {
    {"the tx index jumps", put_bad_tx_index},
    {"a tx chain is a loop", put_tx_loop},
    {"a tx buffer is outside memory", put_tx_outside},
    {"the rx index jumps", put_bad_rx_index},
    {"rx buffers of a header's size", put_rx_of_a_header},
    {"rx buffers that are too small", put_rx_too_small},
    {"rx buffers that are not writable", put_rx_readable},
    {"rx buffers outside memory", put_rx_outside},
    {"an rx chain is a loop", put_rx_loop},
    {"an event buffer that is too small", put_short_event},
};

/* The device needs a reset, the host's ends are closed, and a reset makes all good. */
static void test_queue(void **state)
{
    const struct queue_row *row = *state;
    struct vsock_fixture f;
    char byte;
    int fd;

    vsock_fixture_open(&f);
    fd = vsock_connect(&f);
    row->put(&f);
    assert_true(driver_is_broken(&f.driver));
    assert_int_equal(f.driver.config_interrupts, 1);
    assert_int_equal(vsock_host_read(&f, fd, &byte, 1), 0);
    close(fd);
    driver_notify(&f.driver, VSOCK_TX);
    vsock_run(&f);
    vsock_fixture_boot(&f, 0);
    vsock_expect_alive(&f);
    vsock_fixture_close(&f);
}

/* ---- Floods. ---- */

static void test_flood_of_strays(void **state)
{
    struct vsock_fixture f;
    struct vsock_packet packet;
    unsigned answers = 0;

    (void)state;
    vsock_fixture_make(&f);
    f.hold_rx = true;
    vsock_fixture_start(&f);
    for (uint32_t i = 0; i < 1000; i++)
        vsock_send(&f, i, i, VSOCK_OP_RW);
    f.hold_rx = false;
    for (uint16_t i = 0; i < VSOCK_RX_COUNT; i++)
        vsock_give_rx(&f, i);
    driver_notify(&f.driver, VSOCK_RX);
    for (unsigned i = 0; i < 20; i++) {
        vsock_run(&f);
        while (vsock_take(&f, &packet))
            answers++;
    }
    assert_true(answers > 0 && answers <= 128); /* the rest was dropped */
    vsock_expect_alive(&f);
    vsock_fixture_close(&f);
}

/* Connections are opened and reset while no receive buffer is there: memory stays bounded. */
static void test_flood_of_requests(void **state)
{
    struct vsock_fixture f;
    struct vsock_packet packet;
    unsigned answers = 0;

    (void)state;
    vsock_fixture_make(&f);
    f.hold_rx = true;
    vsock_fixture_start(&f);
    for (uint32_t i = 0; i < 4000; i++) {
        vsock_send(&f, i, 1, VSOCK_OP_REQUEST); /* nobody listens on the host */
        if (i % 100 == 0)
            vsock_run(&f);
    }
    vsock_run(&f);
    assert_int_equal(vsock_counters(&f).connections, VIRTIO_VSOCK_MAX_CONNECTIONS);
    f.hold_rx = false;
    for (uint16_t i = 0; i < VSOCK_RX_COUNT; i++)
        vsock_give_rx(&f, i);
    driver_notify(&f.driver, VSOCK_RX);
    for (unsigned i = 0; i < 100; i++) {
        vsock_run(&f);
        while (vsock_take(&f, &packet)) {
            assert_int_equal(packet.header.op, VSOCK_OP_RST);
            answers++;
        }
    }
    assert_true(answers >= VIRTIO_VSOCK_MAX_CONNECTIONS);
    assert_int_equal(vsock_counters(&f).connections, 0);
    vsock_expect_alive(&f);
    vsock_fixture_close(&f);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, packets, test_packet);
    unit_add_rows(&unit, before_response, test_before_response);
    unit_add(&unit, "RESPONSE to a REQUEST it has not seen", test_response_before_request, NULL);
    unit_add_rows(&unit, before_connected, test_before_connected);
    unit_add(&unit, "RW after SHUTDOWN", test_data_after_shutdown, NULL);
    unit_add(&unit, "past the credit in small packets", test_past_the_credit_in_small_packets,
             NULL);
    unit_add_rows(&unit, chains, test_chain);
    unit_add_rows(&unit, queues, test_queue);
    unit_add(&unit, "a flood of stray packets", test_flood_of_strays, NULL);
    unit_add(&unit, "a flood of requests", test_flood_of_requests, NULL);
    return unit_run(&unit, "vsock_packets");
}

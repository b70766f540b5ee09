/* virtio/vsock.h: how connections end, from either side, in order or not. */
#include "vsock_fixture.h"

/* The guest closes while the host is slow: reset after the time, but nothing is lost. */
static void test_close_with_slow_host_reader(void **state)
{
    struct vsock_fixture f;
    uint32_t sent;
    int fd;

    (void)state;
    vsock_fixture_make(&f);
    f.options.timeout_ns = VSOCK_SHORT_NS;
    vsock_fixture_start(&f);
    fd = vsock_connect(&f);
    sent = vsock_fill_host(&f);
    vsock_send_shutdown(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_SHUTDOWN_BOTH);
    vsock_expect_silence(&f);
    vsock_expect(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_RST);
    assert_int_equal(vsock_counters(&f).connections, 1);
    assert_int_equal(vsock_drain_host(&f, fd), sent);
    vsock_run(&f);
    assert_int_equal(vsock_counters(&f).connections, 0);
    vsock_expect_alive(&f);
    close(fd);
    vsock_fixture_close(&f);
}

static void test_host_gone_with_kept_bytes(void **state)
{
    struct vsock_fixture f;
    int fd;

    (void)state;
    vsock_fixture_open(&f);
    fd = vsock_connect(&f);
    vsock_fill_host(&f);
    close(fd);
    /* First that it takes no more is noticed, then that it sends no more. */
    assert_int_equal(vsock_expect(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_SHUTDOWN).flags,
                     VSOCK_SHUTDOWN_RECEIVE);
    assert_int_equal(vsock_expect(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_SHUTDOWN).flags,
                     VSOCK_SHUTDOWN_BOTH);
    assert_int_equal(vsock_counters(&f).bytes_unsent, 0);
    vsock_fixture_close(&f);
}

static void test_host_half_closes(void **state)
{
    struct vsock_fixture f;
    int fd;

    (void)state;
    vsock_fixture_open(&f);
    fd = vsock_connect(&f);
    assert_int_equal(send(fd, "last", 4, 0), 4);
    shutdown(fd, SHUT_WR);
    assert_int_equal(vsock_receive(&f).header.op, VSOCK_OP_RW);
    assert_int_equal(vsock_expect(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_SHUTDOWN).flags,
                     VSOCK_SHUTDOWN_SEND);
    vsock_send_data(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, "still", 5);
    vsock_host_expect(&f, fd, "still");
    vsock_send_shutdown(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_SHUTDOWN_BOTH);
    vsock_expect(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_RST);
    assert_int_equal(vsock_drain_host(&f, fd), 0);
    close(fd);
    vsock_fixture_close(&f);
}

static void test_guest_half_closes(void **state)
{
    struct vsock_fixture f;
    struct vsock_packet packet;
    int fd;

    (void)state;
    vsock_fixture_open(&f);
    fd = vsock_connect(&f);
    vsock_send_data(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, "last", 4);
    vsock_send_shutdown(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_SHUTDOWN_SEND);
    assert_int_equal(vsock_drain_host(&f, fd), 4);
    assert_int_equal(send(fd, "still", 5, 0), 5);
    packet = vsock_receive(&f);
    assert_int_equal(packet.header.op, VSOCK_OP_RW);
    assert_memory_equal(packet.payload, "still", 5);
    close(fd);
    assert_int_equal(vsock_expect(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_SHUTDOWN).flags,
                     VSOCK_SHUTDOWN_BOTH);
    vsock_send(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_RST);
    vsock_expect_silence(&f);
    assert_int_equal(vsock_counters(&f).connections, 0);
    vsock_fixture_close(&f);
}

static void test_guest_stops_receiving(void **state)
{
    struct vsock_fixture f;
    int fd;

    (void)state;
    vsock_fixture_open(&f);
    fd = vsock_connect(&f);
    vsock_send_shutdown(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_SHUTDOWN_RECEIVE);
    assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), -1);
    assert_int_equal(errno, EPIPE);
    vsock_send_data(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, "still", 5);
    vsock_host_expect(&f, fd, "still");
    close(fd);
    vsock_fixture_close(&f);
}

static void test_guest_closes(void **state)
{
    struct vsock_fixture f;
    int fd;

    (void)state;
    vsock_fixture_open(&f);
    fd = vsock_connect(&f);
    vsock_send_data(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, "last", 4);
    vsock_send_shutdown(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_SHUTDOWN_BOTH);
    vsock_expect(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_RST);
    assert_int_equal(vsock_drain_host(&f, fd), 4);
    vsock_run(&f);
    assert_int_equal(vsock_counters(&f).connections, 0);
    close(fd);
    vsock_fixture_close(&f);
}

static void test_guest_resets(void **state)
{
    struct vsock_fixture f;
    int fd;

    (void)state;
    vsock_fixture_open(&f);
    fd = vsock_connect(&f);
    vsock_send(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_RST);
    assert_int_equal(vsock_drain_host(&f, fd), 0);
    vsock_expect_silence(&f); /* no answer to a RST */
    assert_int_equal(vsock_counters(&f).connections, 0);
    close(fd);
    vsock_fixture_close(&f);
}

static void test_host_closes_with_data(void **state)
{
    struct vsock_fixture f;
    static uint8_t buf[100000];
    struct vsock_packet packet;
    uint64_t got = 0;
    int fd;

    (void)state;
    vsock_fixture_open(&f);
    fd = vsock_connect(&f);
    vsock_fill_pattern(buf, sizeof(buf), 0);
    assert_int_equal(send(fd, buf, sizeof(buf), 0), sizeof(buf));
    close(fd);
    while ((packet = vsock_receive(&f)).header.op == VSOCK_OP_RW) {
        vsock_check_pattern(packet.payload, packet.header.len, got);
        got += packet.header.len;
    }
    assert_int_equal(got, sizeof(buf));
    assert_int_equal(packet.header.op, VSOCK_OP_SHUTDOWN);
    assert_int_equal(packet.header.flags, VSOCK_SHUTDOWN_BOTH);
    vsock_fixture_close(&f);
}

/* It closes without having read all: the stream ends for the guest, both ways. */
static void test_host_closes_unread(void **state)
{
    struct vsock_fixture f;
    int fd;

    (void)state;
    vsock_fixture_open(&f);
    fd = vsock_connect(&f);
    vsock_send_data(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, "unread", 6);
    close(fd);
    assert_int_equal(vsock_expect(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_SHUTDOWN).flags,
                     VSOCK_SHUTDOWN_BOTH);
    vsock_send(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_RST);
    vsock_fixture_close(&f);
}

/* The guest writes to a host that reads no more; the other way still works. */
static void test_host_stops_receiving(void **state)
{
    struct vsock_fixture f;
    int fd;

    (void)state;
    vsock_fixture_open(&f);
    fd = vsock_connect(&f);
    shutdown(fd, SHUT_RD);
    vsock_send_data(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, "lost", 4);
    assert_int_equal(vsock_expect(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_SHUTDOWN).flags,
                     VSOCK_SHUTDOWN_RECEIVE);
    assert_int_equal(send(fd, "still", 5, 0), 5);
    assert_int_equal(vsock_receive(&f).header.len, 5);
    close(fd);
    vsock_fixture_close(&f);
}

static void test_guest_does_not_finish(void **state)
{
    struct vsock_fixture f;
    int fd;

    (void)state;
    vsock_fixture_make(&f);
    f.options.timeout_ns = VSOCK_SHORT_NS;
    vsock_fixture_start(&f);
    fd = vsock_connect(&f);
    close(fd);
    vsock_expect(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_SHUTDOWN);
    vsock_expect_silence(&f);
    vsock_expect(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_RST);
    vsock_run(&f);
    assert_int_equal(vsock_counters(&f).connections, 0);
    vsock_fixture_close(&f);
}

/* Says all it has to say and leaves before the guest has accepted. */
static void test_host_does_not_wait(void **state)
{
    struct vsock_fixture f;
    struct vsock_packet packet;
    uint32_t port;

    (void)state;
    vsock_fixture_open(&f);
    close(vsock_host_say(&f, "CONNECT 80\nhello"));
    packet = vsock_receive(&f);
    port = packet.header.src_port;
    assert_int_equal(packet.header.op, VSOCK_OP_REQUEST);
    vsock_send(&f, 80, port, VSOCK_OP_RESPONSE);
    vsock_expect(&f, 80, port, VSOCK_OP_SHUTDOWN); /* it will not receive */
    packet = vsock_receive(&f);
    assert_int_equal(packet.header.op, VSOCK_OP_RW);
    assert_memory_equal(packet.payload, "hello", 5);
    assert_int_equal(vsock_expect(&f, 80, port, VSOCK_OP_SHUTDOWN).flags, VSOCK_SHUTDOWN_BOTH);
    vsock_fixture_close(&f);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add(&unit, "the guest closes on a slow reader", test_close_with_slow_host_reader, NULL);
    unit_add(&unit, "the host goes with bytes kept", test_host_gone_with_kept_bytes, NULL);
    unit_add(&unit, "the host half-closes", test_host_half_closes, NULL);
    unit_add(&unit, "the guest half-closes", test_guest_half_closes, NULL);
    unit_add(&unit, "the guest stops receiving", test_guest_stops_receiving, NULL);
    unit_add(&unit, "the guest closes", test_guest_closes, NULL);
    unit_add(&unit, "the guest resets", test_guest_resets, NULL);
    unit_add(&unit, "the host closes with data under way", test_host_closes_with_data, NULL);
    unit_add(&unit, "the host closes without reading", test_host_closes_unread, NULL);
    unit_add(&unit, "the host stops receiving", test_host_stops_receiving, NULL);
    unit_add(&unit, "a guest that does not finish closing", test_guest_does_not_finish, NULL);
    unit_add(&unit, "a host that does not wait", test_host_does_not_wait, NULL);
    return unit_run(&unit, "vsock_endings");
}

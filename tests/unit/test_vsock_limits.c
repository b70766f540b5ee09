/* virtio/vsock.h: connections, descriptors, rates, and whose turn it is. */
#include "vsock_fixture.h"

static void raise_descriptors(void)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < 4096)
        skip();
}

static void test_connection_limit(void **state)
{
    static int fds[VIRTIO_VSOCK_MAX_CONNECTIONS];
    struct vsock_fixture f;
    uint32_t port;
    char byte;
    int fd;

    (void)state;
    raise_descriptors();
    vsock_fixture_open(&f);
    for (unsigned i = 0; i < VIRTIO_VSOCK_MAX_CONNECTIONS; i++)
        fds[i] = vsock_connect_to(&f, 80, &port);
    assert_int_equal(vsock_counters(&f).connections, VIRTIO_VSOCK_MAX_CONNECTIONS);
    fd = vsock_host_say(&f, ""); /* accepted, and closed */
    assert_int_equal(vsock_host_read(&f, fd, &byte, 1), 0);
    close(fd);
    vsock_send(&f, 5, VSOCK_HOST_PORT, VSOCK_OP_REQUEST);
    vsock_expect(&f, 5, VSOCK_HOST_PORT, VSOCK_OP_RST);
    assert_int_equal(vsock_counters(&f).refused, 2);
    vsock_send(&f, 80, port, VSOCK_OP_RST); /* and one ends */
    assert_int_equal(vsock_host_read(&f, fds[VIRTIO_VSOCK_MAX_CONNECTIONS - 1], &byte, 1), 0);
    fd = vsock_connect_to(&f, 80, &port);
    close(fd);
    for (unsigned i = 0; i < VIRTIO_VSOCK_MAX_CONNECTIONS; i++)
        close(fds[i]);
    vsock_fixture_close(&f);
}

/* No descriptor for the next client: it waits, and the loop does not spin. */
static void test_out_of_descriptors(void **state)
{
    struct vsock_fixture f;
    struct rlimit limit, none;
    uint64_t cpu;
    uint32_t port;
    int fd, last;

    (void)state;
    vsock_fixture_open(&f);
    fd = vsock_host_say(&f, "CONNECT 80\n");
    last = dup(fd);
    close(last);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = (rlim_t)last + 1; /* for the timer of driver_run() */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    cpu = clock_process_cpu_ns();
    driver_run(&f.driver, 200 * NS_PER_MS);
    cpu = clock_process_cpu_ns() - cpu;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(vsock_counters(&f).host_connections, 0);
    assert_true(cpu < 50 * NS_PER_MS);
    port = vsock_receive(&f).header.src_port;
    vsock_send(&f, 80, port, VSOCK_OP_RST);
    close(fd);
    vsock_fixture_close(&f);
}

/* With EPOLLHUP and bytes that the guest has no credit for, the loop sleeps. */
static void test_idle_costs_nothing(void **state)
{
    struct vsock_fixture f;
    uint64_t cpu;
    int fd;

    (void)state;
    vsock_fixture_open(&f);
    f.buf_alloc = 10;
    fd = vsock_connect(&f);
    assert_int_equal(send(fd, "0123456789abcdef", 16, 0), 16);
    close(fd);
    vsock_run(&f);
    cpu = clock_process_cpu_ns();
    driver_run(&f.driver, 200 * NS_PER_MS);
    assert_true(clock_process_cpu_ns() - cpu < 20 * NS_PER_MS);
    vsock_fixture_close(&f);
}

struct rate_row {
    const char *name;
    struct rate_bucket_options bytes, ops;
    bool to_host;
    uint64_t want_ns; /* for RATE_BYTES in packets of RATE_PACKET */
};

#define RATE_BYTES  (UINT64_C(400) * KIB)
#define RATE_PACKET 4000u

/* 1 MiB a second, or 1,000 packets a second, from small buckets. */
static const struct rate_row rates[] = {
    {"bytes to the host", {16 * KIB, NS_PER_SEC / 64, 0}, {0, 0, 0}, true, 390 * NS_PER_MS},
    {"bytes to the guest", {16 * KIB, NS_PER_SEC / 64, 0}, {0, 0, 0}, false, 390 * NS_PER_MS},
    {"packets to the host", {0, 0, 0}, {5, 5 * NS_PER_MS, 0}, true, 102 * NS_PER_MS},
    {"packets to the guest", {0, 0, 0}, {5, 5 * NS_PER_MS, 0}, false, 102 * NS_PER_MS},
};

static uint64_t push_to_host(struct vsock_fixture *f, int fd)
{
    static uint8_t buf[65536];
    uint64_t sent = 0, got = 0;
    struct vsock_packet packet;
    uint32_t consumed = 0;

    while (got < RATE_BYTES) {
        ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

        if (n > 0)
            got += (uint64_t)n;
        while (vsock_take(f, &packet))
            consumed = packet.header.fwd_cnt;
        vsock_reap_tx(f);
        if (sent < RATE_BYTES && f->tx_under_way < VSOCK_TX_COUNT &&
            VIRTIO_VSOCK_BUF_ALLOC - ((uint32_t)sent - consumed) >= RATE_PACKET) {
            vsock_send_data(f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, buf, RATE_PACKET);
            sent += RATE_PACKET;
        } else {
            driver_run(&f->driver, NS_PER_MS / 10);
        }
    }
    return got;
}

static uint64_t push_to_guest(struct vsock_fixture *f, int fd)
{
    static const uint8_t buf[65536];
    struct vsock_packet packet;
    uint64_t got = 0;

    while (got < RATE_BYTES) {
        send(fd, buf, sizeof(buf), MSG_DONTWAIT);
        driver_run(&f->driver, NS_PER_MS / 10);
        while (vsock_take(f, &packet))
            got += packet.header.len;
    }
    return got;
}

static void test_rate(void **state)
{
    const struct rate_row *row = *state;
    struct vsock_fixture f;
    uint64_t start, took, got;
    int fd;

    vsock_fixture_make(&f);
    f.options.bytes = row->bytes;
    f.options.ops = row->ops;
    vsock_fixture_start(&f);
    fd = vsock_connect(&f);
    start = clock_monotonic_ns();
    got = row->to_host ? push_to_host(&f, fd) : push_to_guest(&f, fd);
    took = clock_monotonic_ns() - start;
    assert_true(got >= RATE_BYTES);
    assert_true(vsock_counters(&f).limited > 0);
    assert_true(took > row->want_ns * 85 / 100); /* the bucket was full at the start */
    assert_true(took < row->want_ns * 4);        /* on a busy machine, too */
    close(fd);
    vsock_fixture_close(&f);
}

/* ---- Turns. ---- */

/* Four connections have as much as fits; each gets about as many of the guest's buffers. */
static void test_fair_to_guest(void **state)
{
    static const uint8_t bytes[65536];
    struct vsock_fixture f;
    struct vsock_packet packet;
    unsigned packets[4] = {0};
    int fds[4], listener;

    (void)state;
    vsock_fixture_open(&f);
    listener = vsock_host_listen(&f, VSOCK_HOST_PORT, 8);
    for (uint32_t i = 0; i < 4; i++)
        fds[i] = vsock_connect_from(&f, listener, i);
    f.hold_rx = true;
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(send(fds[i], bytes, sizeof(bytes), 0), sizeof(bytes));
    for (unsigned i = 0; i < 10; i++)
        vsock_run(&f);
    while (vsock_take(&f, &packet))
        packets[packet.header.dst_port]++;
    for (unsigned i = 0; i < 4; i++) {
        assert_in_range(packets[i], VSOCK_RX_COUNT / 4 - 4, VSOCK_RX_COUNT / 4 + 4);
        close(fds[i]);
    }
    close(listener);
    vsock_fixture_close(&f);
}

/* One connection floods; a byte of another one is not behind all of it. */
static void test_small_beside_big(void **state)
{
    static const uint8_t bytes[150000];
    struct vsock_fixture f;
    struct vsock_packet packet;
    unsigned before = 0;
    int big, small, listener;

    (void)state;
    vsock_fixture_open(&f);
    listener = vsock_host_listen(&f, VSOCK_HOST_PORT, 8);
    big = vsock_connect_from(&f, listener, 1);
    small = vsock_connect_from(&f, listener, 2);
    assert_int_equal(send(big, bytes, sizeof(bytes), 0), sizeof(bytes));
    assert_int_equal(send(small, "x", 1, 0), 1);
    while ((packet = vsock_receive(&f)).header.dst_port != 2)
        before++;
    assert_true(before < 10);
    close(big);
    close(small);
    close(listener);
    vsock_fixture_close(&f);
}

/* One host reader that does not read holds nobody else up. */
static void test_slow_beside_fast(void **state)
{
    static const uint8_t bytes[4096];
    struct vsock_fixture f;
    struct vsock_packet packet;
    uint32_t sent = 0, consumed = 0;
    int slow, fast, listener;

    (void)state;
    vsock_fixture_open(&f);
    listener = vsock_host_listen(&f, VSOCK_HOST_PORT, 8);
    slow = vsock_connect_from(&f, listener, 1);
    fast = vsock_connect_from(&f, listener, 2);
    while (VIRTIO_VSOCK_BUF_ALLOC - (sent - consumed) >= sizeof(bytes)) {
        vsock_send_data(&f, 1, VSOCK_HOST_PORT, bytes, sizeof(bytes));
        sent += sizeof(bytes);
        vsock_run(&f);
        while (vsock_take(&f, &packet))
            consumed = packet.header.fwd_cnt;
    }
    vsock_send_data(&f, 2, VSOCK_HOST_PORT, "quick", 5);
    vsock_host_expect(&f, fast, "quick");
    close(slow);
    close(fast);
    close(listener);
    vsock_fixture_close(&f);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add(&unit, "1,023 connections", test_connection_limit, NULL);
    unit_add(&unit, "out of descriptors", test_out_of_descriptors, NULL);
    unit_add(&unit, "a stalled connection is idle", test_idle_costs_nothing, NULL);
    unit_add_rows(&unit, rates, test_rate);
    unit_add(&unit, "the guest's buffers go round", test_fair_to_guest, NULL);
    unit_add(&unit, "a byte beside a flood", test_small_beside_big, NULL);
    unit_add(&unit, "a slow reader beside a fast one", test_slow_beside_fast, NULL);
    return unit_run(&unit, "vsock_limits");
}

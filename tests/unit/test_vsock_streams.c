/* virtio/vsock.h: connections both ways, the bytes in them, and credit. */
#include "vsock_fixture.h"

#include "base/util.h"

#define STREAM_BYTES (UINT64_C(3) * MIB)

/* ---- Connecting. ---- */

static void test_host_to_guest(void **state)
{
    struct vsock_fixture f;
    struct vsock_packet packet;
    uint32_t host_port;
    int fd;

    (void)state;
    vsock_fixture_open(&f);
    fd = vsock_connect_to(&f, 80, &host_port);
    assert_int_equal(send(fd, "hello", 5, 0), 5);
    packet = vsock_receive(&f);
    assert_int_equal(packet.header.op, VSOCK_OP_RW);
    assert_int_equal(packet.header.len, 5);
    assert_int_equal(packet.header.buf_alloc, VIRTIO_VSOCK_BUF_ALLOC);
    assert_memory_equal(packet.payload, "hello", 5);
    vsock_send_data(&f, 80, host_port, "world", 5);
    vsock_host_expect(&f, fd, "world");
    close(fd);
    vsock_fixture_close(&f);
}

static void test_guest_to_host(void **state)
{
    struct vsock_fixture f;
    struct vsock_packet packet;
    int fd;

    (void)state;
    vsock_fixture_open(&f);
    fd = vsock_connect(&f);
    vsock_send_data(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, "ping", 4);
    vsock_host_expect(&f, fd, "ping");
    assert_int_equal(send(fd, "pong", 4, 0), 4);
    packet = vsock_receive(&f);
    assert_int_equal(packet.header.op, VSOCK_OP_RW);
    assert_int_equal(packet.header.fwd_cnt, 4);
    assert_memory_equal(packet.payload, "pong", 4);
    close(fd);
    vsock_fixture_close(&f);
}

static void test_data_behind_the_line(void **state)
{
    struct vsock_fixture f;
    struct vsock_packet packet;
    int fd;

    (void)state;
    vsock_fixture_open(&f);
    fd = vsock_host_say(&f, "CONNECT 80\nearly");
    packet = vsock_receive(&f);
    assert_int_equal(packet.header.op, VSOCK_OP_REQUEST);
    vsock_expect_silence(&f); /* nothing before the guest accepted */
    assert_int_equal(vsock_counters(&f).guest_accepted, 0);
    vsock_send(&f, 80, packet.header.src_port, VSOCK_OP_RESPONSE);
    packet = vsock_receive(&f);
    assert_int_equal(packet.header.op, VSOCK_OP_RW);
    assert_int_equal(vsock_counters(&f).guest_accepted, 1);
    assert_int_equal(packet.header.len, 5);
    assert_memory_equal(packet.payload, "early", 5);
    close(fd);
    vsock_fixture_close(&f);
}

static void test_nobody_in_the_guest(void **state)
{
    struct vsock_fixture f;
    struct vsock_header request;
    char byte;
    int fd;

    (void)state;
    vsock_fixture_open(&f);
    fd = vsock_host_say(&f, "CONNECT 80\n");
    request = vsock_receive(&f).header;
    vsock_send(&f, 80, request.src_port, VSOCK_OP_RST);
    assert_int_equal(vsock_host_read(&f, fd, &byte, 1), 0); /* closed, unanswered */
    vsock_expect_silence(&f);
    assert_int_equal(vsock_counters(&f).connections, 0);
    close(fd);
    vsock_fixture_close(&f);
}

static void test_nobody_on_the_host(void **state)
{
    struct vsock_fixture f;

    (void)state;
    vsock_fixture_open(&f);
    vsock_send(&f, VSOCK_GUEST_PORT, 77, VSOCK_OP_REQUEST);
    vsock_expect(&f, VSOCK_GUEST_PORT, 77, VSOCK_OP_RST);
    vsock_run(&f);
    assert_int_equal(vsock_counters(&f).connections, 0);
    vsock_fixture_close(&f);
}

static void test_host_socket_without_listener(void **state)
{
    struct vsock_fixture f;

    (void)state;
    vsock_fixture_open(&f);
    close(vsock_host_listen(&f, 77, 1));
    vsock_send(&f, VSOCK_GUEST_PORT, 77, VSOCK_OP_REQUEST);
    vsock_expect(&f, VSOCK_GUEST_PORT, 77, VSOCK_OP_RST);
    vsock_fixture_close(&f);
}

/* A listener whose backlog is full is asked again until there is room. */
static void test_busy_listener(void **state)
{
    struct vsock_fixture f;
    int listener, fds[2];

    (void)state;
    vsock_fixture_open(&f);
    listener = vsock_host_listen(&f, VSOCK_HOST_PORT, 0);
    fds[0] = vsock_connect_from(&f, listener, 1);
    vsock_send(&f, 2, VSOCK_HOST_PORT, VSOCK_OP_REQUEST);
    vsock_expect(&f, 2, VSOCK_HOST_PORT, VSOCK_OP_RESPONSE); /* the one place of the backlog */
    vsock_send(&f, 3, VSOCK_HOST_PORT, VSOCK_OP_REQUEST);
    vsock_expect_silence(&f);
    fds[1] = vsock_host_accept(listener);
    vsock_expect(&f, 3, VSOCK_HOST_PORT, VSOCK_OP_RESPONSE);
    close(fds[0]);
    close(fds[1]);
    close(listener);
    vsock_fixture_close(&f);
}

static void test_busy_listener_for_too_long(void **state)
{
    struct vsock_fixture f;
    int listener;

    (void)state;
    vsock_fixture_make(&f);
    f.options.timeout_ns = VSOCK_SHORT_NS;
    vsock_fixture_start(&f);
    listener = vsock_host_listen(&f, VSOCK_HOST_PORT, 0);
    vsock_send(&f, 1, VSOCK_HOST_PORT, VSOCK_OP_REQUEST);
    vsock_expect(&f, 1, VSOCK_HOST_PORT, VSOCK_OP_RESPONSE);
    vsock_send(&f, 2, VSOCK_HOST_PORT, VSOCK_OP_REQUEST);
    vsock_expect(&f, 2, VSOCK_HOST_PORT, VSOCK_OP_RST);
    close(listener);
    vsock_fixture_close(&f);
}

/* ---- Bytes and credit. ---- */

struct stream_row {
    const char *name;
    uint32_t buf_alloc; /* the guest's; host to guest */
    uint32_t packet;    /* bytes in each of the guest's; guest to host */
    uint64_t features;
};

static const struct stream_row streams[] = {
    {"3 MiB to a guest with 500 bytes of credit", 500, 0, VIRTIO_F_EVENT_IDX},
    {"3 MiB to a guest with 4 KiB of credit", 4096, 0, 0},
    {"3 MiB to a guest with 1 MiB of credit", VSOCK_BIG, 0, VIRTIO_F_EVENT_IDX},
    {"3 MiB from a guest in packets of 333 bytes", 0, 333, VIRTIO_F_EVENT_IDX},
    {"3 MiB from a guest in packets of 4 KiB", 0, 4096, 0},
    {"3 MiB from a guest in packets of 64 KiB", 0, VIRTIO_VSOCK_BUF_ALLOC, VIRTIO_F_EVENT_IDX},
};

static void push_pattern(int fd, uint64_t *at, uint64_t total)
{
    uint8_t buf[10000];
    size_t len = min_u64(sizeof(buf), total - *at);
    ssize_t n;

    vsock_fill_pattern(buf, len, *at);
    n = send(fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0)
        *at += (uint64_t)n;
}

static void stream_to_guest(struct vsock_fixture *f, int fd)
{
    uint64_t pushed = 0, got = 0;
    uint32_t limit = f->buf_alloc; /* what the device may have sent by now */
    struct vsock_packet packet;

    while (got < STREAM_BYTES) {
        push_pattern(fd, &pushed, STREAM_BYTES);
        driver_run(&f->driver, NS_PER_MS / 10);
        while (vsock_take(f, &packet)) {
            if (packet.header.op == VSOCK_OP_RW) {
                vsock_check_pattern(packet.payload, packet.header.len, got);
                got += packet.header.len;
                assert_true(got <= limit);
            }
            f->fwd_cnt = (uint32_t)got;
        }
        limit = (uint32_t)got + f->buf_alloc;
        vsock_send(f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_CREDIT_UPDATE);
    }
}

static void stream_to_host(struct vsock_fixture *f, int fd, uint32_t packet)
{
    static uint8_t buf[VIRTIO_VSOCK_BUF_ALLOC];
    uint64_t sent = 0, got = 0;
    uint32_t consumed = 0;

    while (got < STREAM_BYTES) {
        uint32_t len = (uint32_t)min_u64(packet, STREAM_BYTES - sent);
        ssize_t n;

        if (len > 0 && vsock_take_credit(f, (uint32_t)sent, &consumed) >= len) {
            vsock_fill_pattern(buf, len, sent);
            vsock_send_data(f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, buf, len);
            sent += len;
            continue;
        }
        n = recv(fd, buf, 3000, MSG_DONTWAIT);
        if (n > 0) {
            vsock_check_pattern(buf, (size_t)n, got);
            got += (uint64_t)n;
        } else {
            driver_run(&f->driver, NS_PER_MS / 10);
        }
    }
}

static void test_stream(void **state)
{
    const struct stream_row *row = *state;
    struct virtio_vsock_counters counters;
    struct vsock_fixture f;
    int fd;

    vsock_fixture_make(&f);
    vsock_fixture_start(&f);
    vsock_fixture_boot(&f, row->features);
    if (row->buf_alloc)
        f.buf_alloc = row->buf_alloc;
    fd = vsock_connect(&f);
    if (row->packet)
        stream_to_host(&f, fd, row->packet);
    else
        stream_to_guest(&f, fd);
    counters = vsock_counters(&f);
    assert_int_equal(row->packet ? counters.bytes_to_host : counters.bytes_to_guest, STREAM_BYTES);
    assert_int_equal(counters.malformed, 0);
    assert_int_equal(counters.bytes_unsent, 0);
    close(fd);
    vsock_fixture_close(&f);
}

static void test_credit_stall(void **state)
{
    struct vsock_fixture f;
    struct vsock_packet packet;
    int fd;

    (void)state;
    vsock_fixture_open(&f);
    f.buf_alloc = 10;
    fd = vsock_connect(&f);
    assert_int_equal(send(fd, "0123456789abcdef", 16, 0), 16);
    packet = vsock_receive(&f);
    assert_int_equal(packet.header.len, 10);
    vsock_expect(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_CREDIT_REQUEST);
    vsock_expect_silence(&f);
    /* No credit in the answer: nothing comes, and it is not asked for over and over. */
    vsock_send(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_CREDIT_UPDATE);
    vsock_expect_silence(&f);
    f.fwd_cnt = 10;
    vsock_send(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_CREDIT_UPDATE);
    packet = vsock_receive(&f);
    assert_int_equal(packet.header.len, 6);
    assert_memory_equal(packet.payload, "abcdef", 6);
    close(fd);
    vsock_fixture_close(&f);
}

struct nonsense_row {
    const char *name;
    uint32_t buf_alloc, fwd_cnt;
};

static const struct nonsense_row nonsense_credit[] = {
    {"a guest that consumed what it never got", 100, 5000},
    {"a guest that takes its credit back", 5, 0},
    {"a guest without any buffer", 0, 0},
    {"a guest that consumed nearly 2^32 bytes", 10, UINT32_MAX},
};

/* Ten bytes are in flight; the guest then says this of its credit. */
static void test_nonsense_credit(void **state)
{
    const struct nonsense_row *row = *state;
    struct vsock_fixture f;
    struct vsock_packet packet;
    int fd;

    vsock_fixture_open(&f);
    fd = vsock_connect(&f);
    assert_int_equal(send(fd, "0123456789", 10, 0), 10);
    packet = vsock_receive(&f);
    assert_int_equal(packet.header.len, 10);
    f.buf_alloc = row->buf_alloc;
    f.fwd_cnt = row->fwd_cnt;
    vsock_send(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_CREDIT_UPDATE);
    assert_int_equal(send(fd, "more", 4, 0), 4);
    vsock_expect(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_CREDIT_REQUEST);
    vsock_expect_silence(&f);
    close(fd);
    vsock_fixture_close(&f);
}

static void test_credit_is_told(void **state)
{
    struct vsock_fixture f;
    static uint8_t buf[4096];
    int fd;

    (void)state;
    vsock_fixture_open(&f);
    fd = vsock_connect(&f);
    vsock_send_data(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, buf, 4095);
    vsock_expect_silence(&f);
    vsock_send_data(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, buf, 1);
    assert_int_equal(
        vsock_expect(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_CREDIT_UPDATE).fwd_cnt, 4096);
    vsock_send(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_CREDIT_REQUEST);
    vsock_expect(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_OP_CREDIT_UPDATE);
    close(fd);
    vsock_fixture_close(&f);
}

static void test_slow_host_reader(void **state)
{
    struct vsock_fixture f;
    uint32_t sent;
    int fd;

    (void)state;
    vsock_fixture_open(&f);
    fd = vsock_connect(&f);
    sent = vsock_fill_host(&f);
    assert_true(sent > VIRTIO_VSOCK_BUF_ALLOC);
    assert_true(vsock_counters(&f).bytes_unsent > VIRTIO_VSOCK_BUF_ALLOC - 8192);
    assert_true(vsock_counters(&f).bytes_unsent <= VIRTIO_VSOCK_BUF_ALLOC);
    vsock_send_shutdown(&f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, VSOCK_SHUTDOWN_SEND);
    assert_int_equal(vsock_drain_host(&f, fd), sent);
    assert_int_equal(vsock_counters(&f).bytes_unsent, 0);
    close(fd);
    vsock_fixture_close(&f);
}

/* A descriptor that comes with the bytes is dropped; the kernel ends a read there. */
static void send_with_descriptor(int fd, const char *text)
{
    struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    assert_int_equal(sendmsg(fd, &message, 0), strlen(text));
}

static void test_descriptors_are_dropped(void **state)
{
    struct vsock_fixture f;
    struct vsock_packet packet;
    char got[16] = "";
    size_t len = 0;
    int fd;

    (void)state;
    vsock_fixture_open(&f);
    fd = vsock_connect(&f);
    send_with_descriptor(fd, "one ");
    send_with_descriptor(fd, "two ");
    assert_int_equal(send(fd, "three", 5, 0), 5);
    while (len < 13) {
        packet = vsock_receive(&f);
        assert_int_equal(packet.header.op, VSOCK_OP_RW);
        assert_true(packet.header.len <= 13 - len);
        memcpy(got + len, packet.payload, packet.header.len);
        len += packet.header.len;
    }
    assert_string_equal(got, "one two three");
    close(fd);
    vsock_fixture_close(&f);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add(&unit, "host to guest", test_host_to_guest, NULL);
    unit_add(&unit, "guest to host", test_guest_to_host, NULL);
    unit_add(&unit, "data behind the CONNECT line", test_data_behind_the_line, NULL);
    unit_add(&unit, "nobody listens in the guest", test_nobody_in_the_guest, NULL);
    unit_add(&unit, "nobody listens on the host", test_nobody_on_the_host, NULL);
    unit_add(&unit, "a stale host socket", test_host_socket_without_listener, NULL);
    unit_add(&unit, "a busy host listener", test_busy_listener, NULL);
    unit_add(&unit, "a host listener busy for too long", test_busy_listener_for_too_long, NULL);
    unit_add_rows(&unit, streams, test_stream);
    unit_add(&unit, "credit stalls and resumes", test_credit_stall, NULL);
    unit_add_rows(&unit, nonsense_credit, test_nonsense_credit);
    unit_add(&unit, "the guest is told of its credit", test_credit_is_told, NULL);
    unit_add(&unit, "a slow host reader costs 64 KiB", test_slow_host_reader, NULL);
    unit_add(&unit, "descriptors beside the bytes", test_descriptors_are_dropped, NULL);
    return unit_run(&unit, "vsock_streams");
}

/* virtio/vsock.h: its options, host clients, reset, and the event queue. */
#include "vsock_fixture.h"

#include <sys/stat.h>

/* ---- Creation. ---- */

struct option_row {
    const char *name;
    uint64_t cid;
    size_t path_len; /* of a path that is made up; 0: the fixture's */
    int result;
    const char *words; /* in the error */
};

static const struct option_row options[] = {
    {"the smallest CID", 3, 0, 0, ""},
    {"the largest CID", 0xfffffffe, 0, 0, ""},
    {"CID 0", 0, 0, -EINVAL, "3 to 4294967294"},
    {"CID 2", 2, 0, -EINVAL, "not 2"},
    {"CID 2^32 - 1", 0xffffffff, 0, -EINVAL, "4294967295"},
    {"a CID of 64 bits", UINT64_C(1) << 32 | 5, 0, -EINVAL, "4294967301"},
    {"the longest path", 5, 96, 0, ""},
    {"a path too long", 5, 97, -ENAMETOOLONG, "97 characters"},
    {"a path far too long", 5, 500, -ENAMETOOLONG, "500 characters"},
};

static int create(struct vsock_fixture *f, struct error *err)
{
    struct virtio_device *device = NULL;
    int r = virtio_vsock_create(&f->driver.env, "vsock0", &f->options, &device, err);

    if (r == 0)
        device->ops->destroy(device);
    else
        assert_null(device);
    return r;
}

static void test_options(void **state)
{
    const struct option_row *row = *state;
    struct vsock_fixture f;
    struct error err = {0};
    char path[512];

    vsock_fixture_make(&f);
    f.options.guest_cid = row->cid;
    if (row->path_len) {
        memset(path, 'x', sizeof(path));
        memcpy(path, f.path, strlen(f.path));
        path[row->path_len] = '\0';
        f.options.path = path;
    }
    assert_int_equal(create(&f, &err), row->result);
    assert_non_null(strstr(err.text, row->words));
    vsock_fixture_close(&f);
}

static void test_no_path(void **state)
{
    struct vsock_fixture f;
    struct error err = {0};

    (void)state;
    vsock_fixture_make(&f);
    f.options.path = "";
    assert_int_equal(create(&f, &err), -EINVAL);
    f.options.path = NULL;
    assert_int_equal(create(&f, &err), -EINVAL);
    assert_non_null(strstr(err.text, "missing"));
    vsock_fixture_close(&f);
}

static void test_no_folder(void **state)
{
    struct vsock_fixture f;
    struct error err = {0};

    (void)state;
    vsock_fixture_make(&f);
    f.options.path = "/nonexistent/folder/v";
    assert_int_equal(create(&f, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nonexistent/folder/v"));
    vsock_fixture_close(&f);
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = vsock_address(path);
    int fd = vsock_host_socket();

    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 0), 0);
    return fd;
}

static void test_stale_socket(void **state)
{
    struct vsock_fixture f;
    struct error err = {0};

    (void)state;
    vsock_fixture_make(&f);
    close(listen_at(f.path));
    assert_int_equal(access(f.path, F_OK), 0);
    assert_int_equal(create(&f, &err), 0);
    vsock_fixture_close(&f);
}

static void test_live_socket(void **state)
{
    struct vsock_fixture f;
    struct error err = {0};
    int fd;

    (void)state;
    vsock_fixture_make(&f);
    fd = listen_at(f.path);
    for (unsigned i = 0; i < 3; i++) { /* also when its backlog is full */
        assert_int_equal(create(&f, &err), -EADDRINUSE);
        assert_non_null(strstr(err.text, "in use"));
        assert_int_equal(access(f.path, F_OK), 0);
    }
    close(fd);
    unlink(f.path);
    vsock_fixture_close(&f);
}

static void test_two_devices(void **state)
{
    struct vsock_fixture f;
    struct virtio_device *second = NULL;
    struct error err = {0};

    (void)state;
    vsock_fixture_open(&f);
    assert_int_equal(virtio_vsock_create(&f.driver.env, "vsock1", &f.options, &second, &err),
                     -EADDRINUSE);
    vsock_expect_alive(&f);
    vsock_fixture_close(&f);
}

static void test_file_in_the_way(void **state)
{
    struct vsock_fixture f;
    struct error err = {0};
    int fd;

    (void)state;
    vsock_fixture_make(&f);
    fd = open(f.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(create(&f, &err), -EEXIST);
    assert_non_null(strstr(err.text, "not a socket"));
    assert_int_equal(unlink(f.path), 0);
    vsock_fixture_close(&f);
}

/* Another program's socket that took the place is left alone at the end. */
static void test_socket_replaced(void **state)
{
    struct vsock_fixture f;
    struct virtio_device *device = NULL;
    struct error err = {0};
    struct stat st;
    int fd;

    (void)state;
    vsock_fixture_make(&f);
    assert_int_equal(virtio_vsock_create(&f.driver.env, "vsock0", &f.options, &device, &err), 0);
    unlink(f.path);
    fd = listen_at(f.path);
    device->ops->destroy(device);
    assert_int_equal(stat(f.path, &st), 0);
    close(fd);
    unlink(f.path);
    vsock_fixture_close(&f);
}

static void test_config(void **state)
{
    struct vsock_fixture f;
    uint8_t raw[8];

    (void)state;
    vsock_fixture_open(&f);
    assert_int_equal(f.driver.device->id, 19);
    assert_int_equal(f.driver.device->queue_count, 3);
    virtio_device_config_read(f.driver.device, 0, raw, 4);
    virtio_device_config_read(f.driver.device, 4, raw + 4, 4);
    assert_int_equal(load_le64(raw), VSOCK_CID);
    vsock_fixture_close(&f);
}

static void test_missing_queue(void **state)
{
    struct vsock_fixture f;

    (void)state;
    vsock_fixture_open(&f);
    assert_true(driver_negotiate(&f.driver, 0));
    driver_set_queue(&f.driver, VSOCK_TX, 64);
    driver_set_ok(&f.driver);
    assert_true(driver_is_broken(&f.driver));
    vsock_fixture_boot(&f, 0);
    vsock_expect_alive(&f);
    vsock_fixture_close(&f);
}

/* ---- The CONNECT line on a real socket (its grammar: test_vsock_parts.c). ---- */

static void test_line_in_pieces(void **state)
{
    static const char line[] = "connect 80\n";
    struct vsock_fixture f;
    int fd;

    (void)state;
    vsock_fixture_open(&f);
    fd = vsock_host_say(&f, "");
    for (size_t i = 0; i < sizeof(line) - 1; i++) {
        vsock_expect_silence(&f);
        assert_int_equal(send(fd, line + i, 1, 0), 1);
    }
    assert_int_equal(vsock_receive(&f).header.dst_port, 80);
    close(fd);
    vsock_fixture_close(&f);
}

struct bad_line_row {
    const char *name, *text;
};

static const struct bad_line_row bad_lines[] = {
    {"a line with a bad port", "CONNECT x\n"},
    {"a line that is no CONNECT", "HELLO\n"},
    {"a line that is too long", "CONNECT 00000000000000000000000000000000001\n"},
    {"a line without end", "CONNECT 000000000000000000000000"},
};

static void test_bad_line(void **state)
{
    const struct bad_line_row *row = *state;
    struct vsock_fixture f;
    char byte;
    int fd;

    vsock_fixture_open(&f);
    fd = vsock_host_say(&f, row->text);
    assert_true(vsock_host_read(&f, fd, &byte, 1) <= 0);
    vsock_expect_silence(&f);
    assert_int_equal(vsock_counters(&f).connections, 0);
    close(fd);
    vsock_fixture_close(&f);
}

static void test_client_leaves(void **state)
{
    struct vsock_fixture f;

    (void)state;
    vsock_fixture_open(&f);
    close(vsock_host_say(&f, "CONN"));
    close(vsock_host_say(&f, ""));
    vsock_expect_silence(&f);
    assert_int_equal(vsock_counters(&f).connections, 0);
    vsock_fixture_close(&f);
}

/* The line, the guest's answer: each has its time. */
static void test_timeouts(void **state)
{
    struct vsock_fixture f;
    uint64_t start = clock_monotonic_ns();
    uint32_t port;
    char byte;
    int fd;

    (void)state;
    vsock_fixture_make(&f);
    f.options.timeout_ns = VSOCK_SHORT_NS;
    vsock_fixture_start(&f);
    fd = vsock_host_say(&f, "CONN");
    assert_int_equal(vsock_host_read(&f, fd, &byte, 1), 0);
    close(fd);
    assert_true(clock_monotonic_ns() - start >= VSOCK_SHORT_NS);
    vsock_expect_silence(&f);
    fd = vsock_host_say(&f, "CONNECT 80\n");
    port = vsock_receive(&f).header.src_port;
    assert_int_equal(vsock_host_read(&f, fd, &byte, 1), 0);
    close(fd);
    vsock_expect(&f, 80, port, VSOCK_OP_RST);
    vsock_fixture_close(&f);
}

static void test_client_before_driver(void **state)
{
    struct vsock_fixture f;
    struct vsock_packet packet;
    int fd;

    (void)state;
    vsock_fixture_open(&f);
    driver_reset(&f.driver);
    fd = vsock_host_say(&f, "CONNECT 80\n");
    vsock_run(&f);
    assert_int_equal(vsock_counters(&f).host_connections, 0);
    vsock_fixture_boot(&f, 0);
    packet = vsock_receive(&f);
    assert_int_equal(packet.header.op, VSOCK_OP_REQUEST);
    close(fd);
    vsock_fixture_close(&f);
}

static void test_host_ports_in_turn(void **state)
{
    struct vsock_fixture f;
    uint32_t ports[3];
    int fds[3];

    (void)state;
    vsock_fixture_open(&f);
    for (unsigned i = 0; i < 3; i++)
        fds[i] = vsock_connect_to(&f, 80, &ports[i]);
    assert_int_equal(ports[0], UINT32_C(1) << 30);
    assert_int_equal(ports[1], ports[0] + 1);
    assert_int_equal(ports[2], ports[0] + 2);
    for (unsigned i = 0; i < 3; i++)
        close(fds[i]);
    vsock_fixture_close(&f);
}

/* ---- Reset, and the event queue. ---- */

static void test_reset_with_connections(void **state)
{
    struct vsock_fixture f;
    uint32_t port;
    char byte;
    int open_fd, asked_fd, line_fd, fd;

    (void)state;
    vsock_fixture_open(&f);
    open_fd = vsock_connect(&f);
    asked_fd = vsock_host_say(&f, "CONNECT 80\n");
    port = vsock_receive(&f).header.src_port;
    line_fd = vsock_host_say(&f, "CON");
    vsock_run(&f);
    vsock_send(&f, 6, 66, VSOCK_OP_REQUEST); /* under way as the reset comes */
    driver_reset(&f.driver);
    assert_int_equal(vsock_host_read(&f, open_fd, &byte, 1), 0);
    assert_int_equal(vsock_host_read(&f, asked_fd, &byte, 1), 0);
    assert_true(vsock_host_read(&f, line_fd, &byte, 1) <= 0);
    assert_int_equal(vsock_counters(&f).connections, 0);
    vsock_fixture_boot(&f, VIRTIO_F_EVENT_IDX);
    vsock_expect_silence(&f); /* nothing of the time before */
    vsock_send(&f, 80, port, VSOCK_OP_RESPONSE);
    vsock_expect(&f, 80, port, VSOCK_OP_RST);
    fd = vsock_connect_to(&f, 81, &port);
    close(fd);
    close(open_fd);
    close(asked_fd);
    close(line_fd);
    vsock_fixture_close(&f);
}

static void test_destroy_with_connections(void **state)
{
    struct vsock_fixture f;
    char byte;
    int fd, line_fd;

    (void)state;
    vsock_fixture_open(&f);
    fd = vsock_connect(&f);
    line_fd = vsock_host_say(&f, "CON");
    vsock_run(&f);
    vsock_send(&f, 6, 66, VSOCK_OP_REQUEST);
    vsock_fixture_close(&f);
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
    close(fd);
    close(line_fd);
}

static void test_transport_reset(void **state)
{
    struct driver_buffer buffer;
    struct driver_used used;
    struct vsock_fixture f;
    char byte;
    int fd;

    (void)state;
    vsock_fixture_open(&f);
    buffer = (struct driver_buffer){driver_alloc(&f.driver, 8, 8), 8, true};
    fd = vsock_connect(&f);
    virtio_vsock_transport_reset(f.driver.device);
    assert_int_equal(vsock_host_read(&f, fd, &byte, 1), 0);
    assert_int_equal(driver_used_count(&f.driver, VSOCK_EVENT), 0); /* it waits for a buffer */
    store_le32(driver_host(&f.driver, buffer.gpa, 4), 7);
    driver_add(&f.driver, VSOCK_EVENT, &buffer, 1);
    driver_notify(&f.driver, VSOCK_EVENT);
    assert_true(driver_used(&f.driver, VSOCK_EVENT, &used));
    assert_int_equal(used.len, 4);
    assert_int_equal(load_le32(driver_host(&f.driver, buffer.gpa, 4)), 0);
    assert_int_equal(f.driver.queues[VSOCK_EVENT].interrupts, 1);
    driver_add(&f.driver, VSOCK_EVENT, &buffer, 1);
    driver_notify(&f.driver, VSOCK_EVENT);
    assert_false(driver_used(&f.driver, VSOCK_EVENT, &used)); /* once */
    virtio_vsock_transport_reset(f.driver.device);
    assert_true(driver_used(&f.driver, VSOCK_EVENT, &used)); /* there is a buffer now */
    vsock_expect_alive(&f);
    close(fd);
    vsock_fixture_close(&f);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, options, test_options);
    unit_add(&unit, "no path", test_no_path, NULL);
    unit_add(&unit, "no folder", test_no_folder, NULL);
    unit_add(&unit, "a stale socket is replaced", test_stale_socket, NULL);
    unit_add(&unit, "a live socket is refused", test_live_socket, NULL);
    unit_add(&unit, "two devices on one path", test_two_devices, NULL);
    unit_add(&unit, "a file in the way", test_file_in_the_way, NULL);
    unit_add(&unit, "a socket that took its place", test_socket_replaced, NULL);
    unit_add(&unit, "the configuration", test_config, NULL);
    unit_add(&unit, "a queue is missing", test_missing_queue, NULL);
    unit_add(&unit, "a line byte by byte", test_line_in_pieces, NULL);
    unit_add_rows(&unit, bad_lines, test_bad_line);
    unit_add(&unit, "a client leaves within the line", test_client_leaves, NULL);
    unit_add(&unit, "time-outs", test_timeouts, NULL);
    unit_add(&unit, "a client before the driver", test_client_before_driver, NULL);
    unit_add(&unit, "host ports in turn", test_host_ports_in_turn, NULL);
    unit_add(&unit, "reset with open connections", test_reset_with_connections, NULL);
    unit_add(&unit, "the end with open connections", test_destroy_with_connections, NULL);
    unit_add(&unit, "the transport is reset", test_transport_reset, NULL);
    return unit_run(&unit, "vsock_host");
}

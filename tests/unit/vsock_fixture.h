/*
 * A guest and its host for the tests of virtio-vsock: the guest's packets go through real rings,
 * the host's ends are real Unix sockets in a folder of their own.
 */
#ifndef OSVM_TESTS_VSOCK_FIXTURE_H
#define OSVM_TESTS_VSOCK_FIXTURE_H

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "virtio/vsock.h"
#include "virtio_driver.h"
#include "vsock_packet.h"

#define VSOCK_CID       UINT64_C(42)
#define VSOCK_RX        0
#define VSOCK_TX        1
#define VSOCK_EVENT     2
#define VSOCK_RX_COUNT  64    /* buffers that the guest gives */
#define VSOCK_RX_SIZE   4096  /* bytes of each, header included */
#define VSOCK_TX_COUNT  32    /* packets that may be under way */
#define VSOCK_TX_SIZE   66000 /* bytes of each, header included */
#define VSOCK_MEMORY    (8 * MIB)
#define VSOCK_BIG       UINT32_C(0x100000)         /* a credit that is not felt */
#define VSOCK_SHORT_NS  (UINT64_C(60) * NS_PER_MS) /* a time-out for tests that wait for it */
#define VSOCK_MOMENT_NS (UINT64_C(2) * NS_PER_MS)  /* for what must not happen */

struct vsock_packet {
    struct vsock_header header;
    uint8_t payload[VSOCK_RX_SIZE];
};

struct vsock_fixture {
    struct driver driver;
    struct virtio_vsock_options options;
    char dir[32], path[64];
    uint64_t rx_gpa, tx_gpa; /* buffers; those of the tx queue are used in turn */
    unsigned tx_next, tx_under_way;
    uint16_t rx_slot[VIRTQUEUE_MAX_SIZE]; /* by head */
    bool hold_rx;                         /* do not give a receive buffer again */
    uint32_t buf_alloc, fwd_cnt;          /* what the guest says of its credit */
};

static inline void vsock_fixture_make(struct vsock_fixture *f)
{
    memset(f, 0, sizeof(*f));
    strcpy(f->dir, "/tmp/osvm-vsock.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/v", f->dir);
    driver_create(&f->driver, VSOCK_MEMORY);
    f->options = (struct virtio_vsock_options){.guest_cid = VSOCK_CID, .path = f->path};
    f->buf_alloc = VSOCK_BIG;
}

static inline void vsock_give_rx(struct vsock_fixture *f, uint16_t slot)
{
    struct driver_buffer buffer = {f->rx_gpa + (uint64_t)slot * VSOCK_RX_SIZE, VSOCK_RX_SIZE, true};
    uint16_t head = driver_add(&f->driver, VSOCK_RX, &buffer, 1);

    f->rx_slot[head] = slot;
}

/* Start the driver, or start it again. */
static inline void vsock_fixture_boot(struct vsock_fixture *f, uint64_t features)
{
    f->driver.heap_gpa = DRIVER_HEAP_GPA;
    driver_start(&f->driver, features);
    f->rx_gpa = driver_alloc(&f->driver, VSOCK_RX_COUNT * VSOCK_RX_SIZE, 4096);
    f->tx_gpa = driver_alloc(&f->driver, VSOCK_TX_COUNT * VSOCK_TX_SIZE, 4096);
    f->tx_next = f->tx_under_way = 0;
    for (uint16_t i = 0; i < VSOCK_RX_COUNT && !f->hold_rx; i++)
        vsock_give_rx(f, i);
    driver_notify(&f->driver, VSOCK_RX);
}

static inline void vsock_fixture_start(struct vsock_fixture *f)
{
    struct virtio_device *device = NULL;
    struct error err = {0};

    assert_int_equal(virtio_vsock_create(&f->driver.env, "vsock0", &f->options, &device, &err), 0);
    driver_connect(&f->driver, device);
    vsock_fixture_boot(f, VIRTIO_F_EVENT_IDX);
}

static inline void vsock_fixture_open(struct vsock_fixture *f)
{
    vsock_fixture_make(f);
    vsock_fixture_start(f);
}

static inline void vsock_fixture_close(struct vsock_fixture *f)
{
    char command[64];

    driver_destroy(&f->driver);
    assert_int_equal(access(f->path, F_OK), -1); /* the socket goes with the device */
    snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
    assert_int_equal(system(command), 0);
}

static inline void vsock_run(struct vsock_fixture *f)
{
    driver_run(&f->driver, VSOCK_MOMENT_NS);
}

static inline struct virtio_vsock_counters vsock_counters(struct vsock_fixture *f)
{
    struct virtio_vsock_counters counters;

    virtio_vsock_read_counters(f->driver.device, &counters);
    return counters;
}

/* ---- The guest. ---- */

static inline struct vsock_header
vsock_header_of(const struct vsock_fixture *f, uint32_t guest_port, uint32_t host_port, uint16_t op)
{
    return (struct vsock_header){
        .src_cid = VSOCK_CID,
        .dst_cid = VSOCK_HOST_CID,
        .src_port = guest_port,
        .dst_port = host_port,
        .type = VSOCK_TYPE_STREAM,
        .op = op,
        .buf_alloc = f->buf_alloc,
        .fwd_cnt = f->fwd_cnt,
    };
}

/* Look at what came back of the transmit queue. */
static inline void vsock_reap_tx(struct vsock_fixture *f)
{
    struct driver_used used;

    while (driver_used(&f->driver, VSOCK_TX, &used)) {
        assert_int_equal(used.len, 0);
        f->tx_under_way--;
    }
}

/* Send a header and `len` bytes behind it, whatever the header says. Does not notify. */
static inline void vsock_queue_raw(struct vsock_fixture *f, const struct vsock_header *header,
                                   const void *payload, uint32_t len)
{
    uint64_t gpa = f->tx_gpa + (uint64_t)(f->tx_next++ % VSOCK_TX_COUNT) * VSOCK_TX_SIZE;
    uint8_t *host = driver_host(&f->driver, gpa, VSOCK_HEADER_SIZE + len);
    const struct driver_buffer buffers[] = {
        {.gpa = gpa, .len = VSOCK_HEADER_SIZE},
        {.gpa = gpa + VSOCK_HEADER_SIZE, .len = len},
    };

    vsock_reap_tx(f);
    assert_true(f->tx_under_way < VSOCK_TX_COUNT);
    f->tx_under_way++;
    vsock_header_store(host, header);
    if (len > 0)
        memcpy(host + VSOCK_HEADER_SIZE, payload, len);
    driver_add(&f->driver, VSOCK_TX, buffers, len > 0 ? 2 : 1);
}

static inline void vsock_send_raw(struct vsock_fixture *f, const struct vsock_header *header,
                                  const void *payload, uint32_t len)
{
    vsock_queue_raw(f, header, payload, len);
    driver_notify(&f->driver, VSOCK_TX);
}

static inline void vsock_send(struct vsock_fixture *f, uint32_t guest_port, uint32_t host_port,
                              uint16_t op)
{
    struct vsock_header header = vsock_header_of(f, guest_port, host_port, op);

    vsock_send_raw(f, &header, NULL, 0);
}

static inline void vsock_send_shutdown(struct vsock_fixture *f, uint32_t guest_port,
                                       uint32_t host_port, uint32_t flags)
{
    struct vsock_header header = vsock_header_of(f, guest_port, host_port, VSOCK_OP_SHUTDOWN);

    header.flags = flags;
    vsock_send_raw(f, &header, NULL, 0);
}

static inline void vsock_send_data(struct vsock_fixture *f, uint32_t guest_port, uint32_t host_port,
                                   const void *payload, uint32_t len)
{
    struct vsock_header header = vsock_header_of(f, guest_port, host_port, VSOCK_OP_RW);

    header.len = len;
    vsock_send_raw(f, &header, payload, len);
}

/* Take the next packet that is there already. */
static inline bool vsock_take(struct vsock_fixture *f, struct vsock_packet *ret_packet)
{
    struct driver_used used;
    const uint8_t *host;
    uint16_t slot;

    if (!driver_used(&f->driver, VSOCK_RX, &used))
        return false;
    slot = f->rx_slot[used.head];
    host = driver_host(&f->driver, f->rx_gpa + (uint64_t)slot * VSOCK_RX_SIZE, VSOCK_RX_SIZE);
    assert_true(used.len >= VSOCK_HEADER_SIZE && used.len <= VSOCK_RX_SIZE);
    vsock_header_load(host, &ret_packet->header);
    assert_int_equal(ret_packet->header.len, used.len - VSOCK_HEADER_SIZE);
    memcpy(ret_packet->payload, host + VSOCK_HEADER_SIZE, used.len - VSOCK_HEADER_SIZE);
    if (!f->hold_rx) {
        vsock_give_rx(f, slot);
        driver_notify(&f->driver, VSOCK_RX);
    }
    return true;
}

/* Wait for the next packet. */
static inline struct vsock_packet vsock_receive(struct vsock_fixture *f)
{
    struct vsock_packet packet;

    assert_true(driver_wait_used(&f->driver, VSOCK_RX, 1));
    assert_true(vsock_take(f, &packet));
    assert_int_equal(packet.header.src_cid, VSOCK_HOST_CID);
    assert_int_equal(packet.header.dst_cid, VSOCK_CID);
    return packet;
}

/* The next packet is this one, without payload. */
static inline struct vsock_header vsock_expect(struct vsock_fixture *f, uint32_t guest_port,
                                               uint32_t host_port, uint16_t op)
{
    struct vsock_packet packet = vsock_receive(f);

    assert_int_equal(packet.header.op, op);
    assert_int_equal(packet.header.dst_port, guest_port);
    assert_int_equal(packet.header.src_port, host_port);
    assert_int_equal(packet.header.len, 0);
    return packet.header;
}

static inline void vsock_expect_silence(struct vsock_fixture *f)
{
    vsock_run(f);
    assert_int_equal(driver_used_count(&f->driver, VSOCK_RX), 0);
}

/* Ask after an unknown connection: the answer shows that the device still works. */
static inline void vsock_expect_alive(struct vsock_fixture *f)
{
    assert_false(driver_is_broken(&f->driver));
    vsock_send(f, 9, 9, VSOCK_OP_CREDIT_REQUEST);
    vsock_expect(f, 9, 9, VSOCK_OP_RST);
}

/* ---- The host. ---- */

static inline struct sockaddr_un vsock_address(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    assert_true(strlen(path) < sizeof(address.sun_path));
    strcpy(address.sun_path, path);
    return address;
}

static inline int vsock_host_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    return fd;
}

/* Listen for what the guest connects to. */
static inline int vsock_host_listen(struct vsock_fixture *f, uint32_t port, int backlog)
{
    char path[96];
    struct sockaddr_un address;
    int fd = vsock_host_socket();

    snprintf(path, sizeof(path), "%s_%u", f->path, port);
    address = vsock_address(path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

static inline int vsock_host_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

/* Connect to PATH and say this. */
static inline int vsock_host_say(struct vsock_fixture *f, const char *text)
{
    struct sockaddr_un address = vsock_address(f->path);
    int fd = vsock_host_socket();

    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    if (text[0])
        assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    return fd;
}

/* Wait until something or the end comes. Returns how many bytes, 0 for the end, or -errno. */
static inline ssize_t vsock_host_read(struct vsock_fixture *f, int fd, void *buf, size_t size)
{
    uint64_t until = clock_monotonic_ns() + 5 * NS_PER_SEC;

    for (;;) {
        ssize_t n = recv(fd, buf, size, MSG_DONTWAIT);

        if (n >= 0)
            return n;
        if (errno != EAGAIN || clock_monotonic_ns() > until)
            return -errno;
        driver_run(&f->driver, NS_PER_MS / 2);
    }
}

static inline void vsock_host_expect(struct vsock_fixture *f, int fd, const char *text)
{
    char buf[256] = "";
    size_t have = 0;

    assert_true(strlen(text) < sizeof(buf));
    while (have < strlen(text)) {
        ssize_t n = vsock_host_read(f, fd, buf + have, strlen(text) - have);

        assert_true(n > 0);
        have += (size_t)n;
    }
    assert_string_equal(buf, text);
}

/* ---- Both. ---- */

#define VSOCK_GUEST_PORT UINT32_C(1024)
#define VSOCK_HOST_PORT  UINT32_C(52)

/* The guest connects to VSOCK_HOST_PORT. Returns the host's end. */
static inline int vsock_connect_from(struct vsock_fixture *f, int listener, uint32_t guest_port)
{
    vsock_send(f, guest_port, VSOCK_HOST_PORT, VSOCK_OP_REQUEST);
    vsock_expect(f, guest_port, VSOCK_HOST_PORT, VSOCK_OP_RESPONSE);
    return vsock_host_accept(listener);
}

static inline int vsock_connect(struct vsock_fixture *f)
{
    int listener = vsock_host_listen(f, VSOCK_HOST_PORT, 8);
    int fd = vsock_connect_from(f, listener, VSOCK_GUEST_PORT);

    close(listener);
    return fd;
}

/* The host connects to this port of the guest, which accepts. Returns the host's end. */
static inline int vsock_connect_to(struct vsock_fixture *f, uint32_t guest_port,
                                   uint32_t *ret_host_port)
{
    char text[64];
    struct vsock_packet packet;
    int fd;

    snprintf(text, sizeof(text), "CONNECT %u\n", guest_port);
    fd = vsock_host_say(f, text);
    packet = vsock_receive(f);
    assert_int_equal(packet.header.op, VSOCK_OP_REQUEST);
    assert_int_equal(packet.header.dst_port, guest_port);
    assert_true(packet.header.src_port >= UINT32_C(1) << 30);
    assert_true(packet.header.src_port < UINT32_C(1) << 31);
    vsock_send(f, guest_port, packet.header.src_port, VSOCK_OP_RESPONSE);
    snprintf(text, sizeof(text), "OK %u\n", packet.header.src_port);
    vsock_host_expect(f, fd, text);
    *ret_host_port = packet.header.src_port;
    return fd;
}

/* How many bytes the guest may send now. */
static inline uint32_t vsock_take_credit(struct vsock_fixture *f, uint32_t sent, uint32_t *consumed)
{
    struct vsock_packet packet;

    while (vsock_take(f, &packet)) {
        assert_int_equal(packet.header.op, VSOCK_OP_CREDIT_UPDATE);
        *consumed = packet.header.fwd_cnt;
    }
    return VIRTIO_VSOCK_BUF_ALLOC - (sent - *consumed);
}

/* Send 4 KiB packets until the host takes no more and the credit is used up. Returns how many. */
static inline uint32_t vsock_fill_host(struct vsock_fixture *f)
{
    static const uint8_t buf[4096];
    uint32_t sent = 0, consumed = 0;

    for (;;) {
        driver_run(&f->driver, NS_PER_MS / 10);
        if (vsock_take_credit(f, sent, &consumed) < sizeof(buf))
            break;
        vsock_send_data(f, VSOCK_GUEST_PORT, VSOCK_HOST_PORT, buf, sizeof(buf));
        sent += sizeof(buf);
    }
    return sent;
}

/* Read until the end. Returns how many bytes came. */
static inline uint64_t vsock_drain_host(struct vsock_fixture *f, int fd)
{
    static uint8_t buf[65536];
    uint64_t got = 0;
    ssize_t n;

    while ((n = vsock_host_read(f, fd, buf, sizeof(buf))) > 0)
        got += (uint64_t)n;
    assert_int_equal(n, 0);
    return got;
}

/* Bytes that tell where in the stream they belong. */
static inline void vsock_fill_pattern(uint8_t *buf, size_t len, uint64_t offset)
{
    for (size_t i = 0; i < len; i++)
        buf[i] = (uint8_t)((offset + i) * 2654435761u >> 13);
}

static inline void vsock_check_pattern(const uint8_t *buf, size_t len, uint64_t offset)
{
    for (size_t i = 0; i < len; i++) {
        if (buf[i] != (uint8_t)((offset + i) * 2654435761u >> 13))
            fail_msg("byte %llu of the stream is wrong", (unsigned long long)(offset + i));
    }
}

#endif

/*
 * What the tests of virtio/net.h share: a back end that is a socket pair of packets, the device on
 * it, and packets whose bytes tell them apart.
 */
#ifndef OSVM_TESTS_VIRTIO_NET_FIXTURE_H
#define OSVM_TESTS_VIRTIO_NET_FIXTURE_H

#include "virtio_driver.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "virtio/net.h"

#define MEMORY_SIZE (16 * MIB)
#define PACKET_MAX  (NET_HEADER_LEN + NET_FRAME_MAX)

#define ALL_OFFLOADS (NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6 | NET_OFFLOAD_ECN)

#define HOST_FEATURES \
    (VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 | VIRTIO_NET_F_HOST_ECN)
#define GUEST_FEATURES                                                             \
    (VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 | \
     VIRTIO_NET_F_GUEST_ECN)

#define RX VIRTIO_NET_QUEUE_RX
#define TX VIRTIO_NET_QUEUE_TX

static const uint8_t test_mac[NET_MAC_LEN] = {0x02, 0x11, 0x22, 0x33, 0x44, 0x55};

/* ---- A back end whose other side is the test's. ---- */

struct fake {
    struct net_backend backend;
    unsigned offloads;     /* as set */
    int send_result;       /* not 0: what a send gives */
    unsigned flushes_left; /* how many times a flush says that something is left */
    unsigned sends, closes;
};

static inline struct fake *fake_of(struct net_backend *backend)
{
    return container_of(backend, struct fake, backend);
}

static inline int fake_set_offloads(struct net_backend *backend, unsigned offloads)
{
    fake_of(backend)->offloads = offloads;
    return 0;
}

static inline int fake_send(struct net_backend *backend, const struct iovec *iov, unsigned count)
{
    const struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = count};

    fake_of(backend)->sends++;
    if (fake_of(backend)->send_result)
        return fake_of(backend)->send_result;
    if (sendmsg(backend->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return 0;
    return errno == EPIPE ? -ECONNRESET : -errno;
}

static inline int fake_flush(struct net_backend *backend)
{
    if (fake_of(backend)->flushes_left == 0)
        return 0;
    fake_of(backend)->flushes_left--;
    return -EAGAIN;
}

static inline ssize_t fake_receive(struct net_backend *backend, const struct iovec *iov,
                                   unsigned count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = count};
    ssize_t n = recvmsg(backend->fd, &message, MSG_DONTWAIT);

    if (n < 0)
        return -errno;
    return n == 0 ? -ECONNRESET : n;
}

static inline void fake_close(struct net_backend *backend)
{
    close_fd(backend->fd);
    fake_of(backend)->closes++;
}

static const struct net_backend_ops fake_ops = {
    .set_offloads = fake_set_offloads,
    .send = fake_send,
    .flush = fake_flush,
    .receive = fake_receive,
    .close = fake_close,
};

/* ---- The fixture. ---- */

struct net_test {
    struct driver driver;
    struct fake fake;
    int peer; /* the other side */
    struct virtio_net_counters counters;
};

static inline void create_with(struct net_test *test, unsigned header_len,
                               const struct virtio_net_options *options)
{
    struct virtio_device *device = NULL;
    int fds[2];

    memset(test, 0, sizeof(*test));
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    test->peer = fds[1];
    test->fake.backend = (struct net_backend){
        .ops = &fake_ops,
        .fd = fds[0],
        .header_len = header_len,
        .offloads = header_len ? ALL_OFFLOADS : 0,
    };
    driver_create(&test->driver, MEMORY_SIZE);
    assert_int_equal(
        virtio_net_create(&test->driver.env, "net0", &test->fake.backend, options, &device, NULL),
        0);
    driver_connect(&test->driver, device);
}

static inline struct virtio_net_options default_options(void)
{
    struct virtio_net_options options = {.mtu = 0};

    memcpy(options.mac, test_mac, sizeof(test_mac));
    return options;
}

static inline void create(struct net_test *test, unsigned header_len, uint64_t features)
{
    const struct virtio_net_options options = default_options();

    create_with(test, header_len, &options);
    driver_start(&test->driver, features);
}

static inline void destroy(struct net_test *test)
{
    close_fd(test->peer);
    driver_destroy(&test->driver);
    assert_int_equal(test->fake.closes, 1);
}

static const struct virtio_net_counters *counters(struct net_test *test)
{
    virtio_net_counters_get(test->driver.device, &test->counters);
    return &test->counters;
}

static inline void run(struct net_test *test)
{
    driver_run(&test->driver, 5 * NS_PER_MS);
}

/* Whether the loop sleeps when there is nothing to do. The machine may be busy with others. */
static inline void assert_idle(struct net_test *test)
{
    uint64_t cpu_ns = clock_process_cpu_ns();

    driver_run(&test->driver, 50 * NS_PER_MS);
    assert_true(clock_process_cpu_ns() - cpu_ns < 5 * NS_PER_MS);
}

/* The bytes of test frames: they differ by frame and by place. */
static inline uint8_t pattern(unsigned seed, size_t i)
{
    return (uint8_t)(seed * 31 + i * 7 + (i >> 8));
}

static inline uint64_t put_packet(struct net_test *test, const uint8_t header[NET_HEADER_LEN],
                                  uint32_t frame_len, unsigned seed)
{
    uint64_t gpa = driver_alloc(&test->driver, NET_HEADER_LEN + frame_len, 16);
    uint8_t *bytes = driver_host(&test->driver, gpa, NET_HEADER_LEN + frame_len);

    if (header)
        memcpy(bytes, header, NET_HEADER_LEN);
    for (uint32_t i = 0; i < frame_len; i++)
        bytes[NET_HEADER_LEN + i] = pattern(seed, i);
    return gpa;
}

static inline void add_packet(struct net_test *test, uint32_t frame_len, unsigned seed)
{
    const struct driver_buffer buffer = {put_packet(test, NULL, frame_len, seed),
                                         NET_HEADER_LEN + frame_len, false};

    driver_add(&test->driver, TX, &buffer, 1);
}

/* What the other side gets next; the length, or -EAGAIN. */
static inline ssize_t peer_read(struct net_test *test, uint8_t *bytes)
{
    ssize_t n = recv(test->peer, bytes, PACKET_MAX, MSG_DONTWAIT);

    return n < 0 ? -errno : n;
}

static inline void assert_frame(const uint8_t *bytes, size_t len, unsigned seed)
{
    for (size_t i = 0; i < len; i++)
        assert_int_equal(bytes[i], pattern(seed, i));
}

/* The host sends a frame; with a header that says so much of it where the back end has one. */
static inline void host_send(struct net_test *test, uint32_t frame_len, unsigned seed)
{
    uint8_t bytes[PACKET_MAX] = {0};
    size_t header_len = test->fake.backend.header_len;

    if (header_len)
        bytes[0] = 2; /* DATA_VALID */
    for (uint32_t i = 0; i < frame_len; i++)
        bytes[header_len + i] = pattern(seed, i);
    assert_int_equal(send(test->peer, bytes, header_len + frame_len, MSG_DONTWAIT),
                     header_len + frame_len);
}

static inline uint64_t add_rx_buffer(struct net_test *test, uint32_t len)
{
    const struct driver_buffer buffer = {driver_alloc(&test->driver, len, 1), len, true};

    driver_add(&test->driver, RX, &buffer, 1);
    return buffer.gpa;
}

#endif

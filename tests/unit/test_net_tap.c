/*
 * net/tap.h on real taps, in a network namespace of the test's own; and the device of virtio/net.h
 * on such a tap, against the host's UDP. Skipped where no namespace or no tap can be made.
 */
#include "virtio_driver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/tap.h"
#include "virtio/net.h"

#define TAP        "osvmtest0"
#define SKIPPED    77
#define HOST_IP    "192.0.2.1"
#define GUEST_IP   "192.0.2.2"
#define GUEST_PORT 7777

#define ALL_OFFLOADS (NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6 | NET_OFFLOAD_ECN)

static const uint8_t guest_mac[NET_MAC_LEN] = {2, 0, 0, 0, 0, 0x22};

static void sh(const char *command)
{
    assert_int_equal(system(command), 0);
}

/* A tap that stays when nobody has it open, up, with an address and one neighbour: the guest. */
static void make_tap(void)
{
    sh("ip tuntap add dev " TAP " mode tap vnet_hdr && ip link set " TAP " up && "
       "ip addr add " HOST_IP "/24 dev " TAP " && "
       "ip neigh add " GUEST_IP " lladdr 02:00:00:00:00:22 dev " TAP);
}

static void remove_tap(void)
{
    sh("ip link del " TAP);
}

/* A tap has a carrier while it is open; until the kernel has seen that, it drops what is sent. */
static void await_carrier(void)
{
    struct ifreq request = {.ifr_name = TAP};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    for (int i = 0; i < 500 && !(request.ifr_flags & IFF_RUNNING); i++) {
        usleep(10000);
        assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &request), 0);
    }
    close(fd);
    assert_true(request.ifr_flags & IFF_RUNNING);
    sh("ip link set " TAP " up"); /* takes the lock that is held meanwhile */
}

static struct net_backend *open_tap(void)
{
    struct net_backend *backend = NULL;

    assert_int_equal(net_tap_open(TAP, false, &backend, NULL), 0);
    await_carrier();
    return backend;
}

/* A UDP socket of the host's that talks to the guest. */
static int host_udp(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(GUEST_PORT)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    inet_pton(AF_INET, HOST_IP, &address.sin_addr);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    inet_pton(AF_INET, GUEST_IP, &address.sin_addr);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static uint16_t checksum(const uint8_t *bytes, size_t len, uint32_t sum)
{
    for (size_t i = 0; i < len; i++)
        sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void put_be16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

#define UDP_OVERHEAD (14 + 20 + 8)

/* A frame from the guest to the host: Ethernet, IPv4, UDP without a checksum. */
static size_t put_udp(uint8_t *frame, const char *text)
{
    size_t len = strlen(text);
    uint8_t *ip = frame + 14, *udp = frame + 34;
    struct ifreq request = {.ifr_name = TAP};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memset(frame, 0, UDP_OVERHEAD + len);
    assert_int_equal(ioctl(fd, SIOCGIFHWADDR, &request), 0);
    close(fd);
    memcpy(frame, request.ifr_hwaddr.sa_data, 6);
    memcpy(frame + 6, guest_mac, 6);
    put_be16(frame + 12, ETH_P_IP);
    ip[0] = 0x45;
    put_be16(ip + 2, (uint16_t)(28 + len));
    ip[8] = 64;
    ip[9] = 17;
    inet_pton(AF_INET, GUEST_IP, ip + 12);
    inet_pton(AF_INET, HOST_IP, ip + 16);
    put_be16(ip + 10, checksum(ip, 20, 0));
    put_be16(udp, GUEST_PORT);
    put_be16(udp + 2, GUEST_PORT);
    put_be16(udp + 4, (uint16_t)(8 + len));
    memcpy(udp + 8, text, len);
    return UDP_OVERHEAD + len;
}

/* Whether a received frame is the host's datagram; others (IPv6 saying hello) come too. */
static bool is_udp(const uint8_t *frame, size_t len)
{
    return len > UDP_OVERHEAD && frame[12] == 8 && frame[13] == 0 && frame[14 + 9] == 17;
}

/* The next datagram of the host's from the back end; its length, or -EAGAIN. */
static ssize_t receive_udp(struct net_backend *backend, uint8_t *packet, size_t size)
{
    struct pollfd poller = {.fd = backend->fd, .events = POLLIN};
    const struct iovec iov[] = {{packet, 5}, {packet + 5, size - 5}};

    for (;;) {
        ssize_t n = net_backend_receive(backend, iov, 2);

        if (n == -EAGAIN && poll(&poller, 1, 200) == 1)
            continue;
        if (n < 0 || is_udp(packet + backend->header_len, (size_t)n - backend->header_len))
            return n;
    }
}

/* ---- Opening. ---- */

struct name_row {
    const char *name, *tap;
    int result;
    const char *says;
};

static const struct name_row name_rows[] = {
    {"no name", "", -EINVAL, "cannot be the name"},
    {"a name too long", "a234567890123456", -EINVAL, "cannot be the name"},
    {"a name with a slash", "a/b", -EINVAL, "cannot be the name"},
    {"a name that would be counted up", "tap%d", -EINVAL, "cannot be the name"},
    {"a name with a blank", "tap 0", -EINVAL, "cannot be the name"},
    {"no such tap", "osvmnone0", -ENODEV, "ip tuntap add dev osvmnone0 mode tap"},
    {"an interface that is no tap", "lo", -EINVAL, "not a tap"},
};

static void test_name(void **state)
{
    const struct name_row *row = *state;
    struct net_backend *backend = NULL;
    struct error err = {.text = ""};

    assert_int_equal(net_tap_open(row->tap, false, &backend, &err), row->result);
    assert_null(backend);
    assert_non_null(strstr(err.text, row->says));
}

static void test_open(void **state)
{
    struct net_backend *backend = NULL, *second = NULL;
    struct error err = {.text = ""};

    (void)state;
    make_tap();
    assert_int_equal(net_tap_open(TAP, false, &backend, &err), 0);
    assert_int_equal(backend->header_len, NET_HEADER_LEN);
    assert_int_equal(backend->offloads, ALL_OFFLOADS);
    assert_true(fcntl(backend->fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(backend->fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(net_tap_open(TAP, false, &second, &err), -EBUSY);
    assert_non_null(strstr(err.text, "in use"));
    net_backend_close(backend);
    assert_int_equal(net_tap_open(TAP, true, &backend, &err), 0); /* it stayed */
    net_backend_close(backend);
    remove_tap();
}

static void test_open_multi_queue(void **state)
{
    struct net_backend *backend = NULL;

    (void)state;
    sh("ip tuntap add dev " TAP " mode tap multi_queue");
    assert_int_equal(net_tap_open(TAP, false, &backend, NULL), 0);
    net_backend_close(backend);
    remove_tap();
}

static void test_create(void **state)
{
    struct net_backend *backend = NULL;

    (void)state;
    assert_int_equal(net_tap_open(TAP, true, &backend, NULL), 0);
    sh("ip link show " TAP " | grep -q '[<,]UP[,>]'");
    net_backend_close(backend);
    assert_int_equal(if_nametoindex(TAP), 0); /* it went with us */
}

/* Give up every privilege; what root's files allow is still allowed. */
static bool drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

    return syscall(SYS_capset, &header, none) == 0;
}

/* Another user's tap, and none at all, seen without privileges. Returns an exit status. */
static int try_not_permitted(void)
{
    struct error used = {.text = ""}, made = {.text = ""};
    struct net_backend *backend = NULL;

    if (!drop_capabilities())
        return SKIPPED;
    if (net_tap_open(TAP, false, &backend, &used) != -EPERM || !strstr(used.text, "another user's"))
        return 1;
    if (net_tap_open("osvmnone0", true, &backend, &made) != -EPERM ||
        !strstr(made.text, "not permitted to make one"))
        return 1;
    return 0;
}

static void test_not_permitted(void **state)
{
    int status;
    pid_t child;

    (void)state;
    sh("ip tuntap add dev " TAP " mode tap user 12345");
    child = fork();
    if (child == 0)
        _exit(try_not_permitted());
    assert_int_equal(waitpid(child, &status, 0), child);
    remove_tap();
    if (WEXITSTATUS(status) == SKIPPED)
        skip();
    assert_int_equal(status, 0);
}

static int open_raw(short flags)
{
    struct ifreq request = {.ifr_name = TAP, .ifr_flags = flags};
    int fd = open("/dev/net/tun", O_RDWR);

    assert_true(fd >= 0);
    assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
    return fd;
}

struct fd_row {
    const char *name;
    short flags;
    int result;
    unsigned header_len;
};

static const struct fd_row fd_rows[] = {
    {"fd: a tap with headers", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, 0, NET_HEADER_LEN},
    {"fd: a tap without headers", IFF_TAP | IFF_NO_PI, 0, 0},
    {"fd: a tun", IFF_TUN | IFF_NO_PI, -EINVAL, 0},
};

static void test_fd(void **state)
{
    const struct fd_row *row = *state;
    struct net_backend *backend = NULL;
    struct error err = {.text = ""};
    int fd = open_raw(row->flags);

    assert_int_equal(net_tap_from_fd(fd, &backend, &err), row->result);
    if (row->result < 0) {
        assert_non_null(strstr(err.text, "tap"));
        close(fd);
        return;
    }
    assert_int_equal(backend->header_len, row->header_len);
    assert_int_equal(backend->offloads, row->header_len ? ALL_OFFLOADS : 0);
    assert_int_equal(net_backend_set_offloads(backend, NET_OFFLOAD_CSUM),
                     row->header_len ? 0 : -EINVAL);
    net_backend_close(backend);
}

static void test_fd_errors(void **state)
{
    struct net_backend *backend = NULL;
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    int tun_fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC); /* attached to nothing */

    (void)state;
    assert_int_equal(net_tap_from_fd(-1, &backend, NULL), -EBADF);
    assert_int_equal(net_tap_from_fd(null_fd, &backend, NULL), -EINVAL);
    assert_int_equal(net_tap_from_fd(tun_fd, &backend, NULL), -EINVAL);
    assert_null(backend);
    close(null_fd);
    close(tun_fd);
}

/* ---- Packets. ---- */

static void test_send(void **state)
{
    uint8_t packet[256] = {0};
    struct net_backend *backend;
    char text[64] = "";
    size_t len;
    int udp;

    (void)state;
    make_tap();
    backend = open_tap();
    udp = host_udp();
    len = put_udp(packet + NET_HEADER_LEN, "from the guest");
    assert_int_equal(
        net_backend_send(backend, (struct iovec[]){{packet, 20}, {packet + 20, len - 8}}, 2), 0);
    assert_int_equal(recv(udp, text, sizeof(text), 0), 14);
    assert_string_equal(text, "from the guest");
    close(udp);
    net_backend_close(backend);
    remove_tap();
}

/* What the receiver can do is left to it, and nothing else. */
static void test_receive_offloads(void **state)
{
    static const unsigned offloads[] = {0, NET_OFFLOAD_CSUM, ALL_OFFLOADS, 0};
    uint8_t packet[4096];
    struct net_backend *backend;
    int udp;

    (void)state;
    make_tap();
    backend = open_tap();
    udp = host_udp();
    for (size_t i = 0; i < ARRAY_SIZE(offloads); i++) {
        assert_int_equal(net_backend_set_offloads(backend, offloads[i]), 0);
        assert_int_equal(send(udp, "to the guest", 12, 0), 12);
        assert_int_equal(receive_udp(backend, packet, sizeof(packet)),
                         NET_HEADER_LEN + UDP_OVERHEAD + 12);
        assert_int_equal(packet[0], offloads[i] & NET_OFFLOAD_CSUM ? 1 : 0);
        assert_memory_equal(packet + NET_HEADER_LEN + UDP_OVERHEAD, "to the guest", 12);
    }
    assert_int_equal(receive_udp(backend, packet, sizeof(packet)), -EAGAIN);
    close(udp);
    net_backend_close(backend);
    remove_tap();
}

static void test_down_and_gone(void **state)
{
    uint8_t packet[256] = {0};
    struct pollfd poller = {.events = POLLIN};
    struct net_backend *backend;
    struct iovec iov = {packet, 0};

    (void)state;
    make_tap();
    backend = open_tap();
    iov.iov_len = NET_HEADER_LEN + put_udp(packet + NET_HEADER_LEN, "x");
    sh("ip link set " TAP " down");
    assert_int_equal(net_backend_send(backend, &iov, 1), -EIO);
    sh("ip link set " TAP " up");
    assert_int_equal(net_backend_send(backend, &iov, 1), 0);
    remove_tap();
    poller.fd = backend->fd;
    assert_int_equal(poll(&poller, 1, 0), 1);
    assert_true(poller.revents & POLLERR);
    assert_int_equal(net_backend_send(backend, &iov, 1), -ECONNRESET);
    iov.iov_len = sizeof(packet);
    assert_int_equal(net_backend_receive(backend, &iov, 1), -ECONNRESET);
    net_backend_close(backend);
}

/* ---- The device on a tap. ---- */

struct machine {
    struct driver driver;
    uint64_t rx_gpa[64]; /* by head */
};

static void add_rx(struct machine *machine, uint64_t gpa)
{
    const struct driver_buffer buffer = {gpa, 2048, true};

    machine->rx_gpa[driver_add(&machine->driver, VIRTIO_NET_QUEUE_RX, &buffer, 1)] = gpa;
}

static void make_machine(struct machine *machine, uint64_t features)
{
    struct virtio_net_options options = {.mtu = 1500};
    struct virtio_device *device = NULL;
    struct net_backend *backend;

    memset(machine, 0, sizeof(*machine));
    memcpy(options.mac, guest_mac, sizeof(guest_mac));
    driver_create(&machine->driver, 4 * MIB);
    backend = open_tap();
    assert_int_equal(
        virtio_net_create(&machine->driver.env, "net0", backend, &options, &device, NULL), 0);
    driver_connect(&machine->driver, device);
    driver_start(&machine->driver, features);
    for (unsigned i = 0; i < ARRAY_SIZE(machine->rx_gpa); i++)
        add_rx(machine, driver_alloc(&machine->driver, 2048, 16));
    driver_notify(&machine->driver, VIRTIO_NET_QUEUE_RX);
}

/* The next datagram that the guest receives, into `text`. Returns its length. */
static size_t guest_receive(struct machine *machine, uint8_t ret_header[NET_HEADER_LEN], char *text)
{
    struct driver *driver = &machine->driver;

    for (;;) {
        struct driver_used used = {0};
        const uint8_t *packet;
        uint64_t gpa;

        assert_true(driver_wait_used(driver, VIRTIO_NET_QUEUE_RX, 1));
        assert_true(driver_used(driver, VIRTIO_NET_QUEUE_RX, &used));
        gpa = machine->rx_gpa[used.head];
        packet = driver_host(driver, gpa, used.len);
        add_rx(machine, gpa);
        driver_notify(driver, VIRTIO_NET_QUEUE_RX);
        if (!is_udp(packet + NET_HEADER_LEN, used.len - NET_HEADER_LEN))
            continue;
        memcpy(ret_header, packet, NET_HEADER_LEN);
        used.len -= NET_HEADER_LEN + UDP_OVERHEAD;
        memcpy(text, packet + NET_HEADER_LEN + UDP_OVERHEAD, used.len);
        return used.len;
    }
}

static void guest_send(struct machine *machine, uint64_t gpa, const char *text)
{
    uint8_t *packet = driver_host(&machine->driver, gpa, 2048);
    struct driver_buffer buffer = {.gpa = gpa};
    struct driver_used used;

    memset(packet, 0, NET_HEADER_LEN);
    buffer.len = NET_HEADER_LEN + (uint32_t)put_udp(packet + NET_HEADER_LEN, text);
    driver_add(&machine->driver, VIRTIO_NET_QUEUE_TX, &buffer, 1);
    driver_notify(&machine->driver, VIRTIO_NET_QUEUE_TX);
    assert_true(driver_used(&machine->driver, VIRTIO_NET_QUEUE_TX, &used));
}

static void test_device(void **state)
{
    static const uint64_t features[] = {
        0,
        VIRTIO_NET_F_MRG_RXBUF,
        VIRTIO_NET_F_MRG_RXBUF | VIRTIO_F_EVENT_IDX | VIRTIO_NET_F_GUEST_CSUM |
            VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4,
    };

    (void)state;
    make_tap();
    for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
        struct machine machine;
        uint64_t gpa;
        int udp = host_udp();

        make_machine(&machine, features[i]);
        gpa = driver_alloc(&machine.driver, 2048, 16);
        for (unsigned n = 0; n < 500; n++) {
            char text[32], got[2048] = "";
            uint8_t header[NET_HEADER_LEN];
            ssize_t len = snprintf(text, sizeof(text), "datagram %u of %zu", n, i);

            guest_send(&machine, gpa, text);
            assert_int_equal(recv(udp, got, sizeof(got), 0), len);
            assert_memory_equal(got, text, (size_t)len);
            assert_int_equal(send(udp, text, (size_t)len, 0), len);
            assert_int_equal(guest_receive(&machine, header, got), len);
            assert_memory_equal(got, text, (size_t)len);
            assert_int_equal(header[0], features[i] & VIRTIO_NET_F_GUEST_CSUM ? 1 : 0);
            assert_int_equal(load_le16(header + 10), 1);
        }
        close(udp);
        driver_destroy(&machine.driver);
    }
    remove_tap();
}

/* The tap taken down, and up again; then deleted under the device. */
static void test_device_loses_tap(void **state)
{
    struct virtio_net_counters counters;
    struct machine machine;
    uint64_t gpa, cpu_ns;

    (void)state;
    make_tap();
    make_machine(&machine, VIRTIO_NET_F_STATUS);
    gpa = driver_alloc(&machine.driver, 2048, 16);
    sh("ip link set " TAP " down");
    guest_send(&machine, gpa, "lost");
    sh("ip link set " TAP " up");
    guest_send(&machine, gpa, "sent");
    virtio_net_counters_get(machine.driver.device, &counters);
    assert_int_equal(counters.tx_failed, 1);
    assert_int_equal(counters.tx_packets, 1);
    assert_true(counters.link_up);
    remove_tap();
    driver_run(&machine.driver, 5 * NS_PER_MS);
    virtio_net_counters_get(machine.driver.device, &counters);
    assert_false(counters.link_up);
    assert_int_equal(machine.driver.config_interrupts, 1);
    cpu_ns = clock_process_cpu_ns();
    driver_run(&machine.driver, 50 * NS_PER_MS);
    assert_true(clock_process_cpu_ns() - cpu_ns < 5 * NS_PER_MS);
    driver_start(&machine.driver, 0);
    driver_destroy(&machine.driver);
}

/* Into a namespace of our own, where a tap can be made. */
static bool enter_namespace(void)
{
    struct net_backend *backend;

    if (unshare(CLONE_NEWNET) < 0 || net_tap_open(TAP, true, &backend, NULL) < 0)
        return false;
    net_backend_close(backend);
    return system("ip link set lo up") == 0;
}

int main(void)
{
    struct unit unit = {.count = 0};

    if (!enter_namespace()) {
        printf("net_tap: skipped: cannot make a tap in a network namespace of our own\n");
        return SKIPPED;
    }
    unit_add_rows(&unit, name_rows, test_name);
    unit_add(&unit, "a tap that is there", test_open, NULL);
    unit_add(&unit, "a tap of several queues", test_open_multi_queue, NULL);
    unit_add(&unit, "a tap that is made", test_create, NULL);
    unit_add(&unit, "not permitted", test_not_permitted, NULL);
    unit_add_rows(&unit, fd_rows, test_fd);
    unit_add(&unit, "descriptors that are no tap", test_fd_errors, NULL);
    unit_add(&unit, "a packet reaches the host", test_send, NULL);
    unit_add(&unit, "offloads as they are set", test_receive_offloads, NULL);
    unit_add(&unit, "a tap that is down, and gone", test_down_and_gone, NULL);
    unit_add(&unit, "a device on a tap, both ways", test_device, NULL);
    unit_add(&unit, "a device loses its tap", test_device_loses_tap, NULL);
    return unit_run(&unit, "net_tap");
}

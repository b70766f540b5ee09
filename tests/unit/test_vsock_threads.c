/*
 * virtio/vsock.h with threads as they are in a machine: the loop on one, the guest on another one,
 * which writes registers and notifies at the same time, and host programs on a third. For the
 * thread sanitizer, and for what only shows under way.
 */
#include "vsock_fixture.h"

#include <poll.h>
#include <pthread.h>

#define ROUNDS      60
#define CLIENTS     4
#define ECHO_BYTES  (UINT32_C(256) * KIB)
#define ECHO_PORT   UINT32_C(7)
#define ECHO_CREDIT UINT32_C(20000)

static void *run_loop(void *arg)
{
    loop_run(arg);
    return NULL;
}

static void set_blocking(int fd)
{
    assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK), 0);
}

/* ---- An echo server in the guest, and clients on the host. ---- */

struct client {
    pthread_t thread;
    const char *path;
    uint32_t offset; /* where its pattern begins */
    bool good;
};

static bool read_all(int fd, void *buf, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = recv(fd, (uint8_t *)buf + at, len - at, 0);

        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

static bool talk(int fd, uint32_t offset)
{
    static const char line[] = "CONNECT 7\n";
    uint8_t out[3000], in[3000], byte = 0;

    if (send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL) < 0)
        return false;
    while (byte != '\n') {
        if (!read_all(fd, &byte, 1))
            return false;
    }
    for (uint32_t at = 0; at < ECHO_BYTES; at += sizeof(out)) {
        vsock_fill_pattern(out, sizeof(out), offset + at);
        if (send(fd, out, sizeof(out), MSG_NOSIGNAL) != sizeof(out))
            return false;
        if (!read_all(fd, in, sizeof(in)) || memcmp(in, out, sizeof(in)) != 0)
            return false;
    }
    return true;
}

static void *run_client(void *arg)
{
    struct client *client = arg;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, client->path);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        client->good = talk(fd, client->offset);
    close(fd);
    return NULL;
}

/* What the guest keeps of one connection. */
struct echo {
    uint32_t host_port, consumed, consumed_told;
};

static struct echo *find_echo(struct echo *echoes, uint32_t host_port)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (echoes[i].host_port == host_port || echoes[i].host_port == 0) {
            echoes[i].host_port = host_port;
            return &echoes[i];
        }
    }
    return NULL;
}

static void send_for(struct vsock_fixture *f, struct echo *echo, uint16_t op, const void *payload,
                     uint32_t len)
{
    struct vsock_header header = vsock_header_of(f, ECHO_PORT, echo->host_port, op);

    header.len = len;
    header.fwd_cnt = echo->consumed_told = echo->consumed;
    while (f->tx_under_way == VSOCK_TX_COUNT)
        vsock_reap_tx(f); /* the loop's thread is at it */
    vsock_send_raw(f, &header, payload, len);
}

/* A client waits for each echo, so the guest never lacks credit. Returns whether it has left. */
static bool serve(struct vsock_fixture *f, struct echo *echoes, const struct vsock_packet *packet)
{
    struct echo *echo = find_echo(echoes, packet->header.src_port);

    assert_non_null(echo);
    switch (packet->header.op) {
    case VSOCK_OP_REQUEST:
        send_for(f, echo, VSOCK_OP_RESPONSE, NULL, 0);
        return false;
    case VSOCK_OP_RW:
        echo->consumed += packet->header.len;
        send_for(f, echo, VSOCK_OP_RW, packet->payload, packet->header.len);
        return false;
    case VSOCK_OP_SHUTDOWN:
        if (packet->header.flags != VSOCK_SHUTDOWN_BOTH)
            return false;
        send_for(f, echo, VSOCK_OP_RST, NULL, 0);
        return true;
    default:
        assert_int_not_equal(packet->header.op, VSOCK_OP_RST);
        return false;
    }
}

static void test_echo(void **state)
{
    struct client clients[CLIENTS] = {0};
    struct echo echoes[CLIENTS] = {0};
    struct vsock_packet packet;
    struct vsock_fixture f;
    pthread_t loop_thread;
    unsigned left = 0;

    (void)state;
    vsock_fixture_make(&f);
    f.buf_alloc = ECHO_CREDIT;
    vsock_fixture_start(&f);
    assert_int_equal(pthread_create(&loop_thread, NULL, run_loop, f.driver.loop), 0);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.path = f.path, .offset = i * 1000};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, run_client, &clients[i]), 0);
    }
    while (left < CLIENTS) {
        if (vsock_take(&f, &packet))
            left += serve(&f, echoes, &packet);
        else
            usleep(20);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        assert_true(clients[i].good);
    }
    loop_stop(f.driver.loop);
    pthread_join(loop_thread, NULL);
    assert_int_equal(vsock_counters(&f).malformed, 0);
    vsock_fixture_close(&f);
}

/* ---- Resets from the guest's thread, with all kinds of connections under way. ---- */

struct storm {
    pthread_t thread;
    const char *path;
    bool stop; /* atomic */
};

/* Host clients come and go, and say the right thing or not. */
static void *run_storm(void *arg)
{
    static const char *const texts[] = {"CONNECT 7\nhello", "CONN", "nonsense\n", "CONNECT 9\n",
                                        ""};
    struct storm *storm = arg;

    for (unsigned i = 0; !__atomic_load_n(&storm->stop, __ATOMIC_RELAXED); i++) {
        const char *text = texts[i % ARRAY_SIZE(texts)];
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        struct pollfd wait = {.fd = fd, .events = POLLIN};

        strcpy(address.sun_path, storm->path);
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
            send(fd, text, strlen(text), MSG_NOSIGNAL) >= 0)
            poll(&wait, 1, (int)(i % 3));
        close(fd);
    }
    return NULL;
}

/* Packets of all kinds, answers to what came included. */
static void babble(struct vsock_fixture *f, unsigned seed)
{
    struct vsock_packet packet;

    for (unsigned i = 0; i < 40; i++) {
        unsigned dice = (seed * 31 + i * 7) % 9;

        while (f->tx_under_way >= VSOCK_TX_COUNT - 1)
            vsock_reap_tx(f);
        if (vsock_take(f, &packet) && packet.header.op == VSOCK_OP_REQUEST)
            vsock_send(f, packet.header.dst_port, packet.header.src_port, VSOCK_OP_RESPONSE);
        else if (dice == 8)
            vsock_send_shutdown(f, i % 5, VSOCK_HOST_PORT, 1 + i % 3);
        else if (dice == VSOCK_OP_RW)
            vsock_send_data(f, i % 5, VSOCK_HOST_PORT, "babble", 6);
        else
            vsock_send(f, i % 5, VSOCK_HOST_PORT, (uint16_t)dice);
        vsock_reap_tx(f);
    }
}

static void test_resets(void **state)
{
    struct vsock_fixture f;
    struct storm storm = {.stop = false};
    pthread_t loop_thread;
    int listener;

    (void)state;
    vsock_fixture_make(&f);
    f.options.timeout_ns = 3 * NS_PER_MS;
    vsock_fixture_start(&f);
    listener = vsock_host_listen(&f, VSOCK_HOST_PORT, 2); /* never accepts */
    set_blocking(listener);
    storm.path = f.path;
    assert_int_equal(pthread_create(&loop_thread, NULL, run_loop, f.driver.loop), 0);
    assert_int_equal(pthread_create(&storm.thread, NULL, run_storm, &storm), 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        babble(&f, i);
        if (i % 7 == 3)
            virtio_vsock_transport_reset(f.driver.device);
        if (i % 5 == 0)
            usleep(4000); /* for deadlines to pass */
        vsock_fixture_boot(&f, i % 2 ? VIRTIO_F_EVENT_IDX : 0);
    }
    __atomic_store_n(&storm.stop, true, __ATOMIC_RELAXED);
    pthread_join(storm.thread, NULL);
    driver_reset(&f.driver);
    usleep(20000);
    loop_stop(f.driver.loop);
    pthread_join(loop_thread, NULL);
    assert_int_equal(vsock_counters(&f).connections, 0);
    assert_int_equal(vsock_counters(&f).bytes_unsent, 0);
    close(listener);
    vsock_fixture_close(&f);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add(&unit, "an echo server in the guest", test_echo, NULL);
    unit_add(&unit, "resets in the middle of everything", test_resets, NULL);
    return unit_run(&unit, "vsock_threads");
}

/*
 * virtio/vsock.h with a hostile guest and busy host programs: the input is a list of things that
 * either of them does. Packets, rings and registers are the guest's; the host connects, accepts,
 * reads, writes and closes real sockets.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/util.h"
#include "guest/memory.h"
#include "virtio/vsock.h"
#include "vsock_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEMORY_SIZE (1 * MIB)
#define QUEUES      3
#define QUEUE_SIZE  16u
#define RING_GPA(q) (UINT64_C(0x1000) * (1 + (q))) /* descriptors, then the two rings */
#define AVAIL       0x400u                         /* offsets from RING_GPA */
#define USED        0x800u
#define BUFFER_GPA  UINT64_C(0x10000)
#define BUFFER_SIZE UINT32_C(0x8000)
#define RX_GPA      UINT64_C(0x8000)
#define RX_SIZE     UINT32_C(0x400)
#define GUEST_CID   UINT64_C(42)
#define HOST_FDS    8u
#define LISTENERS   2u
#define MAX_ACTIONS 400u

/* Two of them, made once: in one the time-outs pass at once and there is a rate limit. */
struct world {
    struct guest_memory *mem;
    struct loop *loop;
    struct loop_source pass; /* always ready: ends a turn of the loop */
    struct log log;
    struct virtio_device *device;
    char path[64];
    int listeners[LISTENERS];
    int host_fds[HOST_FDS];
    uint16_t avail_idx[QUEUES];
};

struct input {
    const uint8_t *data;
    size_t left;
};

static uint8_t next(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->data++;
}

static uint16_t next16(struct input *in)
{
    uint16_t low = next(in);

    return (uint16_t)(low | next(in) << 8);
}

static void check(bool good)
{
    if (!good)
        abort();
}

/* ---- The world. ---- */

static void on_pass(struct loop_source *source, uint32_t events)
{
    (void)events;
    loop_stop(container_of(source, struct world, pass)->loop);
}

static int host_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    check(fd >= 0);
    return fd;
}

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    return address;
}

static int host_listen(const char *path, unsigned port)
{
    int fd = host_socket();
    char name[96];
    struct sockaddr_un address;

    snprintf(name, sizeof(name), "%s_%u", path, port);
    unlink(name);
    address = address_of(name);
    check(bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
    check(listen(fd, 1) == 0);
    return fd;
}

static struct world *make_world(unsigned number)
{
    const struct guest_memory_options memory = {.size = MEMORY_SIZE};
    struct virtio_vsock_options options = {.guest_cid = GUEST_CID};
    struct world *w = calloc(1, sizeof(*w));
    struct virtio_env env;

    check(w != NULL);
    check(guest_memory_create(&memory, &w->mem, NULL) == 0);
    check(loop_create(&w->loop) == 0);
    w->pass = (struct loop_source){.events = EPOLLIN, .callback = on_pass};
    w->pass.fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    check(loop_add(w->loop, &w->pass) == 0);
    w->log = (struct log){.fd = -1};
    env = (struct virtio_env){.loop = w->loop, .mem = w->mem, .log = &w->log};
    if (number == 1) {
        options.timeout_ns = 1;
        options.ops = (struct rate_bucket_options){.size = 8, .refill_ns = NS_PER_MS};
    }
    snprintf(w->path, sizeof(w->path), "/tmp/osvm-fuzz-vsock-%d-%u", (int)getpid(), number);
    options.path = w->path;
    check(virtio_vsock_create(&env, "vsock0", &options, &w->device, NULL) == 0);
    for (unsigned i = 0; i < LISTENERS; i++)
        w->listeners[i] = host_listen(w->path, i);
    for (unsigned i = 0; i < HOST_FDS; i++)
        w->host_fds[i] = -1;
    return w;
}

static struct world *worlds[2];

static void remove_sockets(void)
{
    char name[96];

    for (unsigned i = 0; i < ARRAY_SIZE(worlds); i++) {
        worlds[i]->device->ops->destroy(worlds[i]->device);
        for (unsigned port = 0; port < LISTENERS; port++) {
            snprintf(name, sizeof(name), "%s_%u", worlds[i]->path, port);
            unlink(name);
        }
    }
}

static void pass(struct world *w)
{
    check(loop_run(w->loop) == 0);
}

static uint8_t *host_of(struct world *w, uint64_t gpa, uint64_t len)
{
    void *host = NULL;

    check(guest_memory_span(w->mem, gpa, len, &host) == 0);
    return host;
}

/* ---- The guest. ---- */

static void start(struct world *w, uint64_t features)
{
    struct virtio_device *d = w->device;
    const uint8_t begun = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;

    virtio_device_set_status(d, 0);
    memset(w->avail_idx, 0, sizeof(w->avail_idx));
    memset(host_of(w, RING_GPA(0), 0x1000 * QUEUES), 0, 0x1000 * QUEUES);
    virtio_device_set_status(d, begun);
    virtio_device_set_driver_features(d, 0, (uint32_t)features);
    virtio_device_set_driver_features(d, 1, 1);
    virtio_device_set_status(d, begun | VIRTIO_STATUS_FEATURES_OK);
    for (unsigned q = 0; q < QUEUES; q++) {
        virtio_device_queue_write(d, q, VIRTIO_QUEUE_SIZE, QUEUE_SIZE);
        virtio_device_queue_write(d, q, VIRTIO_QUEUE_DESC_LOW, (uint32_t)RING_GPA(q));
        virtio_device_queue_write(d, q, VIRTIO_QUEUE_AVAIL_LOW, (uint32_t)RING_GPA(q) + AVAIL);
        virtio_device_queue_write(d, q, VIRTIO_QUEUE_USED_LOW, (uint32_t)RING_GPA(q) + USED);
        virtio_device_queue_write(d, q, VIRTIO_QUEUE_READY, 1);
    }
    virtio_device_set_status(d, begun | VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK);
}

static void put(struct world *w, unsigned queue, uint64_t gpa, uint32_t len, uint16_t flags)
{
    uint16_t idx = w->avail_idx[queue]++;
    uint8_t *desc = host_of(w, RING_GPA(queue) + 16 * (idx % QUEUE_SIZE), 16);
    uint8_t *avail = host_of(w, RING_GPA(queue) + AVAIL, 4 + 2 * QUEUE_SIZE);

    store_le64(desc, gpa);
    store_le32(desc + 8, len);
    store_le16(desc + 12, flags);
    store_le16(desc + 14, (uint16_t)(idx + 1) % QUEUE_SIZE);
    store_le16(avail + 4 + 2 * (idx % QUEUE_SIZE), idx % QUEUE_SIZE);
    store_le16(avail + 2, w->avail_idx[queue]);
}

/* A field that is right, or where the packet is odd in this bit, anything. */
static uint16_t maybe_odd(struct input *in, bool odd, uint16_t right)
{
    return odd ? next16(in) : right;
}

/* Few ports, so that packets meet; most of the rest is right, so that they get somewhere. */
static struct vsock_header make_header(struct input *in, uint8_t odd, uint16_t len)
{
    static const uint32_t credits[] = {262144, 0, 1, 100, 65536, UINT32_MAX, 7, 4096};
    uint8_t ports = next(in);
    struct vsock_header header = {
        .src_port = ports & 3,
        .dst_port = ports >> 2 & 3,
    };

    if (ports & 0x80)
        header.dst_port = UINT32_C(0x40000000) + next(in);
    header.op = maybe_odd(in, odd & 1, next(in) % 8);
    header.flags = next(in) & 3;
    header.buf_alloc = credits[next(in) % ARRAY_SIZE(credits)];
    header.src_cid = maybe_odd(in, odd & 2, GUEST_CID);
    header.dst_cid = maybe_odd(in, odd & 4, VSOCK_HOST_CID);
    header.type = maybe_odd(in, odd & 8, VSOCK_TYPE_STREAM);
    header.fwd_cnt = maybe_odd(in, odd & 16, 0);
    header.len = maybe_odd(in, odd & 32, len);
    return header;
}

/* The bytes: what is odd, the payload's length (2), then the header's. */
static void send_packet(struct world *w, struct input *in)
{
    uint8_t odd = next(in);
    uint16_t len = next16(in) % BUFFER_SIZE;
    struct vsock_header header = make_header(in, odd, len);

    vsock_header_store(host_of(w, BUFFER_GPA, VSOCK_HEADER_SIZE), &header);
    put(w, 1, BUFFER_GPA, VSOCK_HEADER_SIZE + len, 0);
    virtio_device_notify(w->device, 1);
}

static void give_receive_buffers(struct world *w, struct input *in)
{
    uint8_t count = next(in);
    uint32_t len = count & 0x80 ? next(in) : RX_SIZE;

    for (unsigned i = 0; i < count % QUEUE_SIZE; i++)
        put(w, 0, RX_GPA + RX_SIZE * (i % 8), len, 2);
    virtio_device_notify(w->device, 0);
}

static void guest_act(struct world *w, struct input *in, unsigned what)
{
    unsigned queue;
    uint64_t gpa;
    uint16_t len;

    switch (what) {
    case 0:
    case 1:
    case 2:
        send_packet(w, in);
        break;
    case 3:
        give_receive_buffers(w, in);
        break;
    case 4: /* anything into a ring */
        gpa = RING_GPA(next(in) % QUEUES);
        gpa += next16(in) % 0xfff;
        store_le16(host_of(w, gpa, 2), next16(in));
        break;
    case 5:
        virtio_device_notify(w->device, next(in) % 4);
        break;
    case 6:
        start(w, next(in) & 1 ? VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC : 0);
        break;
    case 7: /* a chain of anything */
        queue = next(in) % QUEUES;
        gpa = (uint64_t)next16(in) << 4;
        len = next16(in);
        put(w, queue, gpa, len, next(in) & 7);
        break;
    default:
        put(w, 2, RX_GPA, next(in) & 7, 2);
        virtio_vsock_transport_reset(w->device);
        break;
    }
}

/* ---- The host. ---- */

static void host_connect(struct world *w, int *fd, struct input *in)
{
    struct sockaddr_un address = address_of(w->path);
    char text[48];
    uint8_t how = next(in);
    int len = snprintf(text, sizeof(text), "CONNECT %u\nhello", how & 3u);

    if (how & 0x80)
        len = 4;
    *fd = host_socket();
    if (connect(*fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
        send(*fd, text, (size_t)len, MSG_NOSIGNAL) < 0)
        return; /* it was closed at once */
}

static void host_act(struct world *w, struct input *in, unsigned what)
{
    static uint8_t bytes[65536];
    int *fd = &w->host_fds[next(in) % HOST_FDS];

    if (*fd < 0) {
        if (what & 1)
            host_connect(w, fd, in);
        else
            *fd = accept4(w->listeners[what / 2 % LISTENERS], NULL, NULL,
                          SOCK_NONBLOCK | SOCK_CLOEXEC);
        return;
    }
    switch (what) {
    case 0:
    case 1:
        if (send(*fd, bytes, next16(in), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            return;
        break;
    case 2:
    case 3:
        if (recv(*fd, bytes, 1 + next16(in), MSG_DONTWAIT) < 0)
            return;
        break;
    case 4:
        shutdown(*fd, next(in) % 3);
        break;
    default:
        close(*fd);
        *fd = -1;
        break;
    }
}

/* ---- What must hold. ---- */

static void check_bounds(struct world *w)
{
    struct virtio_vsock_counters c;

    virtio_vsock_read_counters(w->device, &c);
    check(c.connections <= VIRTIO_VSOCK_MAX_CONNECTIONS);
    check(c.bytes_unsent <= c.connections * VIRTIO_VSOCK_BUF_ALLOC);
}

/* After a reset nothing is left. */
static void finish(struct world *w)
{
    struct virtio_vsock_counters c;
    int fd;

    virtio_device_set_status(w->device, 0);
    for (unsigned i = 0; i < HOST_FDS; i++) {
        if (w->host_fds[i] >= 0)
            close(w->host_fds[i]);
        w->host_fds[i] = -1;
    }
    for (unsigned i = 0; i < LISTENERS; i++) {
        while ((fd = accept4(w->listeners[i], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
            close(fd);
    }
    pass(w);
    pass(w);
    virtio_vsock_read_counters(w->device, &c);
    check(c.connections == 0 && c.bytes_unsent == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct world *w;

    if (!worlds[0]) {
        worlds[0] = make_world(0);
        worlds[1] = make_world(1);
        atexit(remove_sockets);
    }
    w = worlds[next(&in) % ARRAY_SIZE(worlds)];
    start(w, 0);
    for (unsigned i = 0; in.left > 0 && i < MAX_ACTIONS; i++) {
        uint8_t action = next(&in);

        if (action < 160)
            guest_act(w, &in, action % 9);
        else if (action < 224)
            host_act(w, &in, action % 6);
        else
            pass(w);
        check_bounds(w);
    }
    finish(w);
    return 0;
}

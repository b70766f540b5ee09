/*
 * The network device, driven by a small language: registers, guest memory, packets from the host,
 * a back end that blocks, refuses or goes away. The first byte chooses the back end and the
 * options; then each step is a byte and its operands. tests/fuzz/corpus/virtio_net has programs
 * that set it up in order.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/util.h"
#include "virtio/net.h"

#define MEMORY_SIZE (256 * KIB)
#define MAX_RUNS    32 /* of the loop, which is what takes time */
#define MAX_PACKETS 64 /* that the host has in its hands */
#define RING_GPA(i) (UINT64_C(0x1000) * ((i) + 1))
#define RING_AVAIL  0x800
#define RING_USED   0xc00
#define RING_SIZE   16

#define CHOICE_HEADER 0x01
#define CHOICE_LIMITS 0x02
#define CHOICE_MTU    0x04

enum step {
    STEP_STATUS,   /* value */
    STEP_FEATURES, /* half, value of 4 bytes */
    STEP_QUEUE,    /* queue and field, value of 4 bytes */
    STEP_MEMORY,   /* address of 3 bytes, length, bytes */
    STEP_NOTIFY,   /* queue */
    STEP_PACKET,   /* length of 2 bytes, what it is filled with */
    STEP_RUN,      /* the loop */
    STEP_BACKEND,  /* what the next sends give; half-sent or not */
    STEP_HANG_UP,
    STEP_SET_UP,     /* features of 4 bytes: rings of RING_SIZE in order, DRIVER_OK */
    STEP_DESCRIPTOR, /* queue, index, flags and next in a byte, address of 3 bytes, length of 2 */
    STEP_AVAILABLE,  /* queue, head: put into the ring, notify */
    STEP_CONFIG,     /* offset, length: read, and written */
    STEP_COUNT,
};

struct input {
    const uint8_t *at;
    size_t left;
};

struct fuzz_net {
    struct net_backend backend;
    struct virtio_device *device;
    struct guest_memory *mem;
    struct loop *loop;
    uint16_t packets[MAX_PACKETS];
    unsigned packet_count;
    uint8_t fill;
    int send_result;
    bool half_sent, gone;
    unsigned runs;
    uint16_t avail_idx[2];
};

static uint32_t take(struct input *input, unsigned bytes)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < bytes && input->left > 0; i++, input->left--)
        value |= (uint32_t)*input->at++ << (8 * i);
    return value;
}

/* ---- The back end. ---- */

static struct fuzz_net *fuzz_of(struct net_backend *backend)
{
    return container_of(backend, struct fuzz_net, backend);
}

static int fuzz_set_offloads(struct net_backend *backend, unsigned offloads)
{
    if (offloads & ~backend->offloads)
        abort();
    return 0;
}

/* The contract's other half: what the device sends is in order, and readable to the last byte. */
static int fuzz_send(struct net_backend *backend, const struct iovec *iov, unsigned count)
{
    static volatile uint8_t sum;
    size_t len = 0;

    if (fuzz_of(backend)->gone)
        return -ECONNRESET;
    if (fuzz_of(backend)->send_result)
        return fuzz_of(backend)->send_result;
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *bytes = iov[i].iov_base;

        sum = (uint8_t)(sum + bytes[0] + bytes[iov[i].iov_len - 1]);
        len += iov[i].iov_len;
    }
    if (len < backend->header_len + NET_FRAME_MIN || len > backend->header_len + NET_FRAME_MAX)
        abort();
    return 0;
}

static int fuzz_flush(struct net_backend *backend)
{
    return fuzz_of(backend)->half_sent ? -EAGAIN : 0;
}

static ssize_t fuzz_receive(struct net_backend *backend, const struct iovec *iov, unsigned count)
{
    struct fuzz_net *net = fuzz_of(backend);
    size_t left, len;

    if (net->gone)
        return -ECONNRESET;
    if (net->packet_count == 0)
        return -EAGAIN;
    left = len = net->packets[--net->packet_count] + backend->header_len + 1;
    for (unsigned i = 0; i < count && left > 0; i++) {
        size_t part = min_u64(left, iov[i].iov_len);

        memset(iov[i].iov_base, net->fill, part);
        left -= part;
    }
    if (left > 0)
        abort(); /* there is room for the largest */
    return (ssize_t)len;
}

static void fuzz_close(struct net_backend *backend)
{
    close_fd(backend->fd);
}

static const struct net_backend_ops fuzz_ops = {
    .set_offloads = fuzz_set_offloads,
    .send = fuzz_send,
    .flush = fuzz_flush,
    .receive = fuzz_receive,
    .close = fuzz_close,
};

/* ---- The steps. ---- */

struct deadline {
    struct loop_timer timer;
    struct loop *loop;
};

static void on_deadline(struct loop_timer *timer)
{
    loop_stop(container_of(timer, struct deadline, timer)->loop);
}

/* What is ready now, once. */
static void run(struct fuzz_net *net)
{
    struct deadline deadline = {.timer.callback = on_deadline, .loop = net->loop};

    if (net->runs++ >= MAX_RUNS || loop_timer_add(net->loop, &deadline.timer) < 0)
        return;
    loop_timer_arm(&deadline.timer, 0, 0);
    loop_run(net->loop);
    loop_timer_remove(net->loop, &deadline.timer);
}

static void set_up(struct fuzz_net *net, uint32_t features)
{
    struct virtio_device *device = net->device;

    virtio_device_set_status(device, 0);
    virtio_device_set_status(device, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    features &= (uint32_t)virtio_device_features(device);
    virtio_device_set_driver_features(device, 0, features);
    virtio_device_set_driver_features(device, 1, 1);
    virtio_device_set_status(device, VIRTIO_STATUS_FEATURES_OK);
    for (unsigned i = 0; i < 2; i++) {
        uint32_t gpa = (uint32_t)RING_GPA(i);

        guest_memory_zero(net->mem, gpa + RING_AVAIL, RING_AVAIL);
        net->avail_idx[i] = 0;
        virtio_device_queue_write(device, i, VIRTIO_QUEUE_SIZE, RING_SIZE);
        virtio_device_queue_write(device, i, VIRTIO_QUEUE_DESC_LOW, gpa);
        virtio_device_queue_write(device, i, VIRTIO_QUEUE_AVAIL_LOW, gpa + RING_AVAIL);
        virtio_device_queue_write(device, i, VIRTIO_QUEUE_USED_LOW, gpa + RING_USED);
        virtio_device_queue_write(device, i, VIRTIO_QUEUE_READY, 1);
    }
    virtio_device_set_status(device, VIRTIO_STATUS_DRIVER_OK);
}

static void put_descriptor(struct fuzz_net *net, struct input *input)
{
    uint64_t ring_gpa = RING_GPA(take(input, 1) % 2);
    uint32_t index = take(input, 1) % RING_SIZE, flags_next = take(input, 1);
    uint8_t raw[16];

    store_le64(raw, take(input, 3));
    store_le32(raw + 8, take(input, 2));
    store_le16(raw + 12, (uint16_t)(flags_next & 7));
    store_le16(raw + 14, (uint16_t)(flags_next >> 3));
    guest_memory_write(net->mem, ring_gpa + 16 * index, raw, sizeof(raw));
}

static void make_available(struct fuzz_net *net, unsigned queue, uint16_t head)
{
    uint64_t avail_gpa = RING_GPA(queue) + RING_AVAIL;
    uint8_t word[2];

    store_le16(word, head);
    guest_memory_write(net->mem, avail_gpa + 4 + 2ull * (net->avail_idx[queue] % RING_SIZE), word,
                       2);
    store_le16(word, ++net->avail_idx[queue]);
    guest_memory_write(net->mem, avail_gpa + 2, word, 2);
    virtio_device_notify(net->device, queue);
}

static void put_memory(struct fuzz_net *net, struct input *input)
{
    uint32_t gpa = take(input, 3);
    size_t len = min_u64(take(input, 1), input->left);

    guest_memory_write(net->mem, gpa, input->at, len);
    input->at += len;
    input->left -= len;
}

static void put_packet(struct fuzz_net *net, uint16_t len, uint8_t fill)
{
    const uint64_t one = 1;

    if (net->packet_count == MAX_PACKETS)
        return;
    net->packets[net->packet_count++] = len;
    net->fill = fill;
    if (write(net->backend.fd, &one, sizeof(one)) < 0)
        abort();
}

static void use_config(struct fuzz_net *net, uint32_t offset, unsigned len)
{
    uint8_t bytes[8] = {0};

    virtio_device_config_write(net->device, offset, bytes, len % 9);
    virtio_device_config_read(net->device, offset, bytes, len % 9);
}

static void step(struct fuzz_net *net, struct input *input)
{
    static const int send_results[] = {0, -EAGAIN, -EIO, -EPROTO};
    uint32_t a;

    switch ((enum step)(take(input, 1) % STEP_COUNT)) {
    case STEP_STATUS:
        virtio_device_set_status(net->device, (uint8_t)take(input, 1));
        break;
    case STEP_FEATURES:
        a = take(input, 1);
        virtio_device_set_driver_features(net->device, a, take(input, 4));
        break;
    case STEP_QUEUE:
        a = take(input, 1);
        virtio_device_queue_write(
            net->device, a & 3, (enum virtio_queue_field)((a >> 2) % (VIRTIO_QUEUE_USED_HIGH + 1)),
            take(input, 4));
        break;
    case STEP_MEMORY:
        put_memory(net, input);
        break;
    case STEP_NOTIFY:
        virtio_device_notify(net->device, take(input, 1));
        break;
    case STEP_PACKET:
        a = take(input, 2);
        put_packet(net, (uint16_t)a, (uint8_t)take(input, 1));
        break;
    case STEP_RUN:
        run(net);
        break;
    case STEP_BACKEND:
        a = take(input, 1);
        net->send_result = send_results[a % ARRAY_SIZE(send_results)];
        net->half_sent = a & 4;
        break;
    case STEP_HANG_UP:
        net->gone = true;
        break;
    case STEP_SET_UP:
        set_up(net, take(input, 4));
        break;
    case STEP_DESCRIPTOR:
        put_descriptor(net, input);
        break;
    case STEP_AVAILABLE:
        a = take(input, 1);
        make_available(net, a % 2, (uint16_t)(a >> 1));
        break;
    case STEP_CONFIG:
        a = take(input, 1);
        use_config(net, a, take(input, 1));
        break;
    case STEP_COUNT:
        break;
    }
}

static void create(struct fuzz_net *net, uint32_t choice)
{
    static const struct log quiet = {.fd = -1, .prefix = "fuzz"};
    const struct virtio_env env = {.loop = net->loop, .mem = net->mem, .log = &quiet};
    const struct rate_bucket_options rx_limit = {2000, 100000, 0};
    const struct rate_bucket_options tx_limit = {2, 100000, 0}, none = {0};
    const struct virtio_net_options options = {
        .mac = {2},
        .mtu = choice & CHOICE_MTU ? 1500 : 0,
        .rx_bytes = choice & CHOICE_LIMITS ? rx_limit : none,
        .tx_ops = choice & CHOICE_LIMITS ? tx_limit : none,
    };

    net->backend = (struct net_backend){
        .ops = &fuzz_ops,
        .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
        .header_len = choice & CHOICE_HEADER ? NET_HEADER_LEN : 0,
        .offloads = choice & CHOICE_HEADER
                        ? NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6 | NET_OFFLOAD_ECN
                        : 0,
    };
    if (virtio_net_create(&env, "net0", &net->backend, &options, &net->device, NULL) < 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct guest_memory_options memory = {.size = MEMORY_SIZE};
    struct input input = {.at = data, .left = size};
    static struct fuzz_net net;
    static struct guest_memory *mem;
    static struct loop *loop;

    if (!mem && (guest_memory_create(&memory, &mem, NULL) < 0 || loop_create(&loop) < 0))
        abort();
    guest_memory_zero(mem, 0, MEMORY_SIZE);
    net = (struct fuzz_net){.mem = mem, .loop = loop};
    create(&net, take(&input, 1));
    while (input.left > 0)
        step(&net, &input);
    run(&net);
    net.device->ops->destroy(net.device);
    return 0;
}

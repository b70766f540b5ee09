/* Frames and headers that make no sense. Victim: net. */
#include "sdk/net.h"

#include "hostile.h"
#include "sdk/report.h"
#include "sdk/string.h"

#define HEADER_SIZE ((uint32_t)sizeof(struct net_header))

/* Send one buffer of `length` bytes, header first. Returns whether it was answered. */
static void send(struct virtio_queue *q, const struct net_header *header, uint32_t length)
{
    memcpy(scratch, header, sizeof(*header));
    describe(q, 0, (uintptr_t)scratch, length, 0, 0);
    offer(q, 0);
    settle(q, (uint16_t)(q->next_avail - 1));
}

static void answered(struct virtio_queue *q, const char *what)
{
    report((virtio_status(victim()) & VIRTIO_STATUS_NEEDS_RESET) || q->used->idx == q->next_avail,
           "%s has an answer", what);
}

/* A frame that could be one: TCP over IPv4 over Ethernet. */
static void paint_frame(void)
{
    static const uint8_t start[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0,  1,
                                    8,    0,    0x45, 0,    0,    40,   0, 0, 0, 0, 64, 6};

    memset(scratch, 0, 4096);
    memcpy(scratch + HEADER_SIZE, start, sizeof(start));
}

/* Each field at its edges, one after another, and all of them at random. */
static void headers_wild(void)
{
    static const uint16_t values[] = {0,   1,    13,     14,     33,     34,    54,
                                      100, 1514, 0x7fff, 0x8000, 0xfff5, 0xffff};
    static const uint8_t types[] = {0, 1, 2, 3, 4, 5, 0x7f, 0x80, 0x81, 0x84, 0xff};
    struct virtio_queue *q = victim_start(UINT64_MAX);

    paint_frame();
    for (unsigned t = 0; t < sizeof(types); t++)
        for (unsigned v = 0; v < sizeof(values) / sizeof(values[0]); v++)
            for (unsigned flags = 0; flags < 4; flags++) {
                struct net_header h = {
                    (uint8_t)flags,       types[t], values[v], values[12 - v], values[v],
                    values[(v * 5) % 13], 0};

                send(q, &h, HEADER_SIZE + 60);
                if (virtio_status(victim()) & VIRTIO_STATUS_NEEDS_RESET)
                    q = victim_start(UINT64_MAX);
            }
    answered(q, "the last of them");
}

static void headers_random(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    paint_frame();
    for (unsigned i = 0; i < 1000; i++) {
        struct net_header h;
        uint64_t noise[2] = {next_random(), next_random()};

        memcpy(&h, noise, sizeof(h));
        send(q, &h, HEADER_SIZE + (uint32_t)(next_random() % 2000));
        if (virtio_status(victim()) & VIRTIO_STATUS_NEEDS_RESET)
            q = victim_start(UINT64_MAX);
    }
    answered(q, "the last of them");
}

/* Offloads that were not agreed on. */
static void offloads_not_agreed(void)
{
    static const struct net_header headers[] = {
        {NET_HEADER_NEEDS_CSUM, NET_GSO_NONE, 0, 0, 34, 16, 0},
        {NET_HEADER_NEEDS_CSUM, NET_GSO_TCPV4, 54, 1460, 34, 16, 0},
        {NET_HEADER_NEEDS_CSUM, NET_GSO_TCPV6, 74, 1440, 54, 16, 0},
        {NET_HEADER_NEEDS_CSUM, NET_GSO_UDP, 42, 1480, 34, 6, 0},
    };
    struct virtio_queue *q = victim_start(0);

    paint_frame();
    for (unsigned i = 0; i < 4; i++) {
        send(q, &headers[i], HEADER_SIZE + 3000);
        answered(q, "an offload that was not agreed on");
        q = victim_start(0);
    }
}

static void header_short(void)
{
    static const struct net_header h;

    for (uint32_t length = 0; length < HEADER_SIZE; length++) {
        struct virtio_queue *q = victim_start(UINT64_MAX);

        send(q, &h, length);
        answered(q, "a header that is too short");
    }
}

static void frame_short(void)
{
    static const struct net_header h;

    for (uint32_t length = 0; length < 20; length++) {
        struct virtio_queue *q = victim_start(UINT64_MAX);

        send(q, &h, HEADER_SIZE + length);
        answered(q, "a frame that is too short");
    }
}

static void frame_long(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);
    static const uint32_t lengths[] = {1515, 4096, 9000, 65535, sizeof(scratch)};
    static const struct net_header h;

    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        send(q, &h, lengths[i]);
        answered(q, "a frame that is too long");
        q = victim_start(UINT64_MAX);
    }
    for (unsigned i = 0; i < 64; i++)
        describe(q, i, (uintptr_t)scratch, sizeof(scratch), i < 63 ? VIRTQ_DESC_F_NEXT : 0, i + 1);
    offer(q, 0);
    settle(q, (uint16_t)(q->next_avail - 1));
    answered(q, "one of 4 MiB");
}

/* A frame in as many pieces as the queue has descriptors, a byte each. */
static void frame_in_bytes(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    paint_frame();
    for (unsigned i = 0; i < q->size; i++)
        describe(q, i, (uintptr_t)scratch + i, 1, i + 1u < q->size ? VIRTQ_DESC_F_NEXT : 0, i + 1);
    offer(q, 0);
    settle(q, 0);
    answered(q, "a frame in single bytes");
}

static void send_writable(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    describe(q, 0, (uintptr_t)scratch, 128, VIRTQ_DESC_F_WRITE, 0);
    offer(q, 0);
    settle(q, 0);
    answered(q, "a frame that cannot be read");
}

/* Buffers for reception that hold nothing, not even the header; some that cannot be written. */
static void receive_buffers(uint64_t features)
{
    struct virtio_queue *q;

    victim_start(features);
    q = &victim()->queues[NET_QUEUE_RX];
    for (unsigned i = 0; i < q->size; i++)
        describe(q, i, (uintptr_t)scratch, i % 20, i % 3 ? VIRTQ_DESC_F_WRITE : 0, 0);
    for (unsigned i = 0; i < q->size; i++)
        offer(q, i);
    settle(q, 0);
}

static void receive_small(void)
{
    receive_buffers(UINT64_MAX);
    receive_buffers(~NET_F_MRG_RXBUF);
    report(true, "buffers for nothing went by");
}

static void receive_outside(void)
{
    struct virtio_queue *q;

    victim_start(UINT64_MAX);
    q = &victim()->queues[NET_QUEUE_RX];
    for (unsigned i = 0; i < 8; i++) {
        describe(q, i, ram_end() - 8 + i, 2048, VIRTQ_DESC_F_WRITE, 0);
        offer(q, i);
    }
    settle(q, 0);
    report(true, "buffers outside memory went by");
}

static void config_written(void)
{
    uint8_t mac = virtio_config8(victim(), NET_CONFIG_MAC);

    victim_start(UINT64_MAX);
    for (unsigned offset = 0; offset < 64; offset++)
        virtio_config_write8(victim(), offset, (uint8_t)~mac);
    report(virtio_config8(victim(), NET_CONFIG_MAC) == mac, "the address stays what it is");
    expect_whole();
}

const struct hostile_case net_cases[] = {
    {"net-headers-wild", headers_wild},
    {"net-headers-random", headers_random},
    {"net-offloads-not-agreed", offloads_not_agreed},
    {"net-header-short", header_short},
    {"net-frame-short", frame_short},
    {"net-frame-long", frame_long},
    {"net-frame-in-bytes", frame_in_bytes},
    {"net-send-writable", send_writable},
    {"net-receive-small", receive_small},
    {"net-receive-outside", receive_outside},
    {"net-config-written", config_written},
    {0},
};

/* virtio/net.h: what is offered, what is sent, how fast, and what interrupts. */
#include "virtio_net_fixture.h"

/* ---- What is offered, and how it is set up. ---- */

struct options_row {
    const char *name;
    struct virtio_net_options options;
    int result;
};

static const struct options_row options_rows[] = {
    {"a multicast address", {.mac = {1, 0, 0x5e, 0, 0, 1}}, -EINVAL},
    {"no address", {.mac = {0}}, -EINVAL},
    {"an MTU of 67", {.mac = {2}, .mtu = 67}, -EINVAL},
    {"an MTU of 68", {.mac = {2}, .mtu = 68}, 0},
    {"an MTU of 65535", {.mac = {2}, .mtu = 65535}, 0},
};

static void test_options(void **state)
{
    const struct options_row *row = *state;
    struct virtio_device *device = NULL;
    struct fake fake = {.backend = {.ops = &fake_ops}};
    struct error err = {.text = ""};
    struct driver driver;
    int fds[2];

    driver_create(&driver, MEMORY_SIZE);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
    fake.backend.fd = fds[0];
    assert_int_equal(
        virtio_net_create(&driver.env, "net0", &fake.backend, &row->options, &device, &err),
        row->result);
    assert_int_equal(err.text[0] != '\0', row->result < 0);
    if (row->result == 0)
        device->ops->destroy(device);
    else
        close(fds[0]);
    assert_int_equal(fake.closes, row->result == 0);
    close(fds[1]);
    driver_destroy(&driver);
}

static void test_config(void **state)
{
    struct virtio_net_options options = default_options();
    struct net_test test;
    uint8_t config[16];

    (void)state;
    options.mtu = 9000;
    create_with(&test, NET_HEADER_LEN, &options);
    virtio_device_config_read(test.driver.device, 0, config, sizeof(config));
    assert_memory_equal(config, test_mac, 6);
    assert_int_equal(load_le16(config + 6), 1);
    assert_int_equal(load_le16(config + 10), 9000);
    assert_int_equal(load_le32(config + 12), 0); /* outside */
    virtio_device_config_write(test.driver.device, 0, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
    virtio_device_config_read(test.driver.device, 0, config, sizeof(config));
    assert_memory_equal(config, test_mac, 6);
    assert_true(virtio_device_features(test.driver.device) & VIRTIO_NET_F_MTU);
    destroy(&test);
}

static void test_features(void **state)
{
    const uint64_t always = VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_MRG_RXBUF |
                            VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX;
    const struct virtio_net_options options = default_options();
    struct net_test test;

    (void)state;
    create_with(&test, NET_HEADER_LEN, &options);
    assert_int_equal(virtio_device_features(test.driver.device),
                     always | HOST_FEATURES | GUEST_FEATURES);
    destroy(&test);
    create_with(&test, 0, &options);
    assert_int_equal(virtio_device_features(test.driver.device), always);
    destroy(&test);
}

struct accept_row {
    const char *name;
    uint64_t features;
    bool works;
    unsigned offloads; /* what the host may leave to the guest then */
};

static const struct accept_row accept_rows[] = {
    {"nothing", 0, true, 0},
    {"all", HOST_FEATURES | GUEST_FEATURES, true, ALL_OFFLOADS},
    {"only the host's", HOST_FEATURES, true, 0},
    {"only checksums", VIRTIO_NET_F_GUEST_CSUM, true, NET_OFFLOAD_CSUM},
    {"TSO4 and ECN", VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_ECN,
     true, NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_ECN},
    {"GUEST_TSO4 without GUEST_CSUM", VIRTIO_NET_F_GUEST_TSO4, false, 0},
    {"GUEST_TSO6 without GUEST_CSUM", VIRTIO_NET_F_GUEST_TSO6 | VIRTIO_NET_F_CSUM, false, 0},
    {"GUEST_ECN without TSO", VIRTIO_NET_F_GUEST_ECN | VIRTIO_NET_F_GUEST_CSUM, false, 0},
    {"HOST_TSO4 without CSUM", VIRTIO_NET_F_HOST_TSO4, false, 0},
    {"HOST_ECN without TSO", VIRTIO_NET_F_HOST_ECN | VIRTIO_NET_F_CSUM, false, 0},
};

static void test_accept(void **state)
{
    const struct accept_row *row = *state;
    const struct virtio_net_options options = default_options();
    struct net_test test;

    create_with(&test, NET_HEADER_LEN, &options);
    assert_true(driver_negotiate(&test.driver, row->features));
    driver_set_queue(&test.driver, RX, 256);
    driver_set_queue(&test.driver, TX, 256);
    driver_set_ok(&test.driver);
    assert_int_equal(driver_is_broken(&test.driver), !row->works);
    assert_int_equal(test.fake.offloads, row->offloads);
    destroy(&test);
}

/* ---- Sending. ---- */

struct header_row {
    const char *name;
    uint64_t features;
    uint32_t frame_len;
    uint8_t flags, gso_type;
    uint16_t hdr_len, gso_size, csum_start, csum_offset;
    bool passes;
};

static const struct header_row header_rows[] = {
    {"header: all zero", 0, 60, 0, 0, 0, 0, 0, 0, true},
    {"header: garbage where it means nothing", 0, 60, 0, 0, 0xffff, 0xffff, 0xffff, 0xffff, true},
    {"header: unknown flags are ignored", 0, 60, 0xfe, 0, 0, 0, 0, 0, true},
    {"header: a checksum", HOST_FEATURES, 60, 1, 0, 0, 0, 34, 16, true},
    {"header: a checksum at the very end", HOST_FEATURES, 60, 1, 0, 0, 0, 34, 24, true},
    {"header: a checksum one byte past the end", HOST_FEATURES, 60, 1, 0, 0, 0, 34, 25, false},
    {"header: a checksum that starts past the end", HOST_FEATURES, 60, 1, 0, 0, 0, 60, 0, false},
    {"header: a checksum whose place wraps", HOST_FEATURES, 60, 1, 0, 0, 0, 0xffff, 0xffff, false},
    {"header: a checksum that was not negotiated", 0, 60, 1, 0, 0, 0, 34, 16, false},
    {"header: TSO4", HOST_FEATURES, 3000, 1, 1, 54, 1448, 34, 16, true},
    {"header: TSO4 with ECN", HOST_FEATURES, 3000, 1, 0x81, 54, 1448, 34, 16, true},
    {"header: TSO6", HOST_FEATURES, 3000, 1, 4, 74, 1428, 54, 16, true},
    {"header: TSO6 with ECN", HOST_FEATURES, 3000, 1, 0x84, 74, 1428, 54, 16, true},
    {"header: TSO4 not negotiated", VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO6, 3000, 1, 1, 54,
     1448, 34, 16, false},
    {"header: TSO6 not negotiated", VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4, 3000, 1, 4, 54,
     1448, 34, 16, false},
    {"header: ECN not negotiated", VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4, 3000, 1, 0x81, 54,
     1448, 34, 16, false},
    {"header: ECN alone", HOST_FEATURES, 3000, 1, 0x80, 54, 1448, 34, 16, false},
    {"header: UFO", HOST_FEATURES, 3000, 1, 3, 42, 1448, 34, 6, false},
    {"header: USO", HOST_FEATURES, 3000, 1, 5, 42, 1448, 34, 6, false},
    {"header: a segmentation that is not there", HOST_FEATURES, 3000, 1, 0x7f, 54, 1448, 34, 16,
     false},
    {"header: segments of no size", HOST_FEATURES, 3000, 1, 1, 54, 0, 34, 16, false},
    {"header: segments without checksums", HOST_FEATURES, 3000, 0, 1, 54, 1448, 34, 16, false},
    {"header: headers longer than the frame", HOST_FEATURES, 3000, 1, 1, 3001, 1448, 34, 16, false},
};

static void test_header(void **state)
{
    const struct header_row *row = *state;
    uint8_t header[NET_HEADER_LEN] = {row->flags, row->gso_type}, bytes[PACKET_MAX];
    struct driver_buffer buffer = {.len = NET_HEADER_LEN + row->frame_len};
    struct driver_used used;
    struct net_test test;

    create(&test, NET_HEADER_LEN, row->features);
    store_le16(header + 2, row->hdr_len);
    store_le16(header + 4, row->gso_size);
    store_le16(header + 6, row->csum_start);
    store_le16(header + 8, row->csum_offset);
    store_le16(header + 10, 0xffff); /* num_buffers, which is not the driver's to set */
    buffer.gpa = put_packet(&test, header, row->frame_len, 1);
    driver_add(&test.driver, TX, &buffer, 1);
    driver_notify(&test.driver, TX);
    assert_true(driver_used(&test.driver, TX, &used)); /* it comes back either way */
    assert_int_equal(used.len, 0);
    assert_false(driver_is_broken(&test.driver));
    assert_int_equal(counters(&test)->tx_malformed, !row->passes);
    assert_int_equal(counters(&test)->tx_packets, row->passes);
    if (!row->passes) {
        assert_int_equal(peer_read(&test, bytes), -EAGAIN);
    } else {
        assert_int_equal(peer_read(&test, bytes), buffer.len);
        assert_int_equal(bytes[0], row->flags & 1);
        assert_int_equal(bytes[1], row->gso_type);
        assert_int_equal(load_le16(bytes + 4), row->gso_type ? row->gso_size : 0);
        assert_int_equal(load_le16(bytes + 6), row->flags & 1 ? row->csum_start : 0);
        assert_int_equal(load_le16(bytes + 10), 0);
        assert_frame(bytes + NET_HEADER_LEN, row->frame_len, 1);
    }
    destroy(&test);
}

struct length_row {
    const char *name;
    uint32_t packet_len; /* with the header */
    bool passes;
};

static const struct length_row length_rows[] = {
    {"length: 1", 1, false},
    {"length: a header cut short", 11, false},
    {"length: a header alone", 12, false},
    {"length: one less than an Ethernet header", 25, false},
    {"length: an Ethernet header", 26, true},
    {"length: the longest", PACKET_MAX, true},
    {"length: one more than the longest", PACKET_MAX + 1, false},
    {"length: a MiB", MIB, false},
};

static void test_length(void **state)
{
    const struct length_row *row = *state;
    static uint8_t bytes[PACKET_MAX];
    struct driver_buffer buffer = {.len = row->packet_len};
    struct driver_used used;
    struct net_test test;

    for (unsigned header_len = 0; header_len <= NET_HEADER_LEN; header_len += NET_HEADER_LEN) {
        create(&test, header_len, 0);
        buffer.gpa = driver_alloc(&test.driver, row->packet_len, 1);
        driver_add(&test.driver, TX, &buffer, 1);
        driver_notify(&test.driver, TX);
        assert_true(driver_used(&test.driver, TX, &used));
        assert_false(driver_is_broken(&test.driver));
        assert_int_equal(counters(&test)->tx_malformed, !row->passes);
        assert_int_equal(peer_read(&test, bytes),
                         row->passes ? (ssize_t)(row->packet_len - NET_HEADER_LEN + header_len)
                                     : -EAGAIN);
        destroy(&test);
    }
}

/* Any layout of a packet is one packet (2.7.4.2): the header in parts, parts within the frame. */
static void test_send_in_parts(void **state)
{
    static const uint32_t cuts[][4] = {
        {1, 10, 1, 60}, {5, 7, 30, 30}, {12, 1, 1, 58}, {20, 50, 1, 1}};
    uint8_t bytes[PACKET_MAX];
    struct net_test test;

    (void)state;
    for (unsigned indirect = 0; indirect < 2; indirect++) {
        for (size_t i = 0; i < ARRAY_SIZE(cuts); i++) {
            struct driver_buffer buffers[4];
            uint64_t gpa;

            create(&test, indirect ? 0 : NET_HEADER_LEN, VIRTIO_F_INDIRECT_DESC);
            gpa = put_packet(&test, NULL, 60, 9);
            for (size_t j = 0; j < 4; j++) {
                buffers[j] = (struct driver_buffer){gpa, cuts[i][j], false};
                gpa += cuts[i][j];
            }
            if (indirect)
                driver_add_indirect(&test.driver, TX, buffers, 4);
            else
                driver_add(&test.driver, TX, buffers, 4);
            driver_notify(&test.driver, TX);
            assert_int_equal(peer_read(&test, bytes), test.fake.backend.header_len + 60);
            assert_frame(bytes + test.fake.backend.header_len, 60, 9);
            destroy(&test);
        }
    }
}

/* More than one turn of the device's, by one notification. */
static void test_send_many(void **state)
{
    uint8_t bytes[PACKET_MAX];
    struct net_test test;

    (void)state;
    create(&test, 0, 0);
    for (unsigned i = 0; i < 200; i++)
        add_packet(&test, 60, i);
    driver_notify(&test.driver, TX);
    assert_true(driver_used_count(&test.driver, TX) < 200); /* others get their turn */
    assert_true(driver_used_flags(&test.driver, TX) & 1);   /* it goes on by itself */
    assert_true(driver_wait_used(&test.driver, TX, 200));
    assert_int_equal(driver_used_flags(&test.driver, TX), 0);
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(peer_read(&test, bytes), 60);
        assert_frame(bytes, 60, i);
    }
    destroy(&test);
}

/* A back end that is full holds the guest up; nothing is lost, nothing is tried meanwhile. */
static void test_send_blocked(void **state)
{
    uint8_t bytes[PACKET_MAX];
    struct net_test test;
    unsigned sends, read = 0;

    (void)state;
    create(&test, 0, 0);
    for (unsigned i = 0; i < 250; i++)
        add_packet(&test, 9000, i);
    driver_notify(&test.driver, TX);
    run(&test);
    sends = test.fake.sends;
    assert_true(driver_used_count(&test.driver, TX) < 250);
    driver_notify(&test.driver, TX);
    run(&test);
    assert_int_equal(test.fake.sends, sends);
    for (unsigned tries = 0; tries < 10000 && read < 250; tries++) {
        if (peer_read(&test, bytes) == 9000)
            assert_frame(bytes, 9000, read++);
        else
            run(&test);
    }
    assert_int_equal(read, 250);
    assert_int_equal(driver_used_count(&test.driver, TX), 250);
    assert_true(counters(&test)->tx_blocked > 0);
    assert_int_equal(counters(&test)->tx_failed, 0);
    destroy(&test);
}

/* A packet that is half on its way is pushed on, though nothing follows it and the driver goes. */
static void test_send_half(void **state)
{
    struct net_test test;

    (void)state;
    for (unsigned reset = 0; reset < 2; reset++) {
        create(&test, 0, 0);
        test.fake.flushes_left = 5;
        add_packet(&test, 60, 1);
        driver_notify(&test.driver, TX);
        assert_int_equal(driver_used_count(&test.driver, TX), 1);
        assert_int_equal(test.fake.flushes_left, 4);
        if (reset)
            driver_reset(&test.driver);
        run(&test);
        assert_int_equal(test.fake.flushes_left, 0);
        assert_idle(&test);
        destroy(&test);
    }
}

/* What the host refuses is dropped; the link stays. */
static void test_send_refused(void **state)
{
    struct net_test test;

    (void)state;
    create(&test, 0, 0);
    test.fake.send_result = -EIO;
    add_packet(&test, 60, 1);
    driver_notify(&test.driver, TX);
    assert_int_equal(driver_used_count(&test.driver, TX), 1);
    assert_int_equal(counters(&test)->tx_failed, 1);
    assert_true(counters(&test)->link_up);
    test.fake.send_result = 0;
    add_packet(&test, 60, 2);
    driver_notify(&test.driver, TX);
    assert_int_equal(counters(&test)->tx_packets, 1);
    destroy(&test);
}

/* ---- Rates. ---- */

struct limit_row {
    const char *name;
    struct virtio_net_options options;
    unsigned queue;
    uint64_t at_least_ns; /* for 40 packets of 1000 bytes */
};

/* Each starts full with the equivalent of ten packets, and lets one more pass each 5 ms. */
#define BYTES_BUCKET             \
    {                            \
        10000, 50 * NS_PER_MS, 0 \
    }
#define OPERATION_BUCKET      \
    {                         \
        10, 50 * NS_PER_MS, 0 \
    }

static const struct limit_row limit_rows[] = {
    {"rate: bytes sent", {.mac = {2}, .tx_bytes = BYTES_BUCKET}, TX, 140 * NS_PER_MS},
    {"rate: packets sent", {.mac = {2}, .tx_ops = OPERATION_BUCKET}, TX, 140 * NS_PER_MS},
    {"rate: bytes received", {.mac = {2}, .rx_bytes = BYTES_BUCKET}, RX, 140 * NS_PER_MS},
    {"rate: packets received", {.mac = {2}, .rx_ops = OPERATION_BUCKET}, RX, 140 * NS_PER_MS},
};

static void test_limit(void **state)
{
    const struct limit_row *row = *state;
    struct net_test test;
    uint64_t start_ns;

    create_with(&test, 0, &row->options);
    driver_start(&test.driver, 0);
    start_ns = clock_monotonic_ns();
    for (unsigned i = 0; i < 40; i++) {
        if (row->queue == TX) {
            add_packet(&test, 1000, i);
        } else {
            add_rx_buffer(&test, 1526);
            host_send(&test, 1000, i);
        }
    }
    driver_notify(&test.driver, row->queue);
    assert_true(driver_wait_used(&test.driver, row->queue, 40));
    assert_true(clock_monotonic_ns() - start_ns >= row->at_least_ns);
    assert_true((row->queue == TX ? counters(&test)->tx_throttled : counters(&test)->rx_throttled) >
                0);
    assert_int_equal(counters(&test)->tx_failed + counters(&test)->rx_dropped, 0);
    destroy(&test);
}

/* Two devices, both ways, under one limit: each has what the other leaves. */
static void test_limit_of_all(void **state)
{
    struct shared_rate both;
    const struct virtio_net_options options = {.mac = {2}, .all_tx = &both, .all_rx = &both};
    struct net_test sender, receiver;
    uint64_t start_ns = clock_monotonic_ns();

    (void)state;
    shared_rate_init(&both, 200000, start_ns); /* 8 packets of 1000 bytes, and one each 5 ms */
    create_with(&sender, 0, &options);
    create_with(&receiver, 0, &options);
    driver_start(&sender.driver, 0);
    driver_start(&receiver.driver, 0);
    for (unsigned i = 0; i < 20; i++) {
        add_packet(&sender, 1000, i);
        add_rx_buffer(&receiver, 1526);
        host_send(&receiver, 1000, i);
    }
    driver_notify(&sender.driver, TX);
    driver_notify(&receiver.driver, RX);
    assert_true(driver_wait_used(&sender.driver, TX, 20));
    assert_true(driver_wait_used(&receiver.driver, RX, 20));
    assert_true(clock_monotonic_ns() - start_ns >= 150 * NS_PER_MS);
    assert_true(counters(&sender)->tx_throttled > 0);
    assert_true(counters(&receiver)->rx_throttled > 0);
    destroy(&sender);
    destroy(&receiver);
    shared_rate_destroy(&both);
}

/* ---- Interrupts. ---- */

static void test_interrupts(void **state)
{
    struct net_test test;

    (void)state;
    create(&test, 0, 0);
    for (unsigned i = 0; i < 50; i++)
        add_packet(&test, 60, i);
    driver_notify(&test.driver, TX);
    assert_int_equal(test.driver.queues[TX].interrupts, 1); /* one a turn */
    driver_set_avail_flags(&test.driver, TX, 1);
    add_packet(&test, 60, 1);
    driver_notify(&test.driver, TX);
    assert_int_equal(test.driver.queues[TX].interrupts, 1);
    destroy(&test);

    create(&test, 0, VIRTIO_F_EVENT_IDX);
    driver_set_used_event(&test.driver, TX, 2); /* at the third */
    for (unsigned i = 0; i < 5; i++) {
        add_packet(&test, 60, i);
        driver_notify(&test.driver, TX);
        assert_int_equal(test.driver.queues[TX].interrupts, i >= 2);
        assert_int_equal(driver_avail_event(&test.driver, TX), i + 1);
    }
    destroy(&test);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, options_rows, test_options);
    unit_add(&unit, "the configuration is read, not written", test_config, NULL);
    unit_add(&unit, "offloads are offered where the back end has them", test_features, NULL);
    unit_add_rows(&unit, accept_rows, test_accept);
    unit_add_rows(&unit, header_rows, test_header);
    unit_add_rows(&unit, length_rows, test_length);
    unit_add(&unit, "a packet in any parts is sent", test_send_in_parts, NULL);
    unit_add(&unit, "many are sent in turns", test_send_many, NULL);
    unit_add(&unit, "a full back end holds the guest up", test_send_blocked, NULL);
    unit_add(&unit, "half a packet is pushed on", test_send_half, NULL);
    unit_add(&unit, "what the host refuses is dropped", test_send_refused, NULL);
    unit_add_rows(&unit, limit_rows, test_limit);
    unit_add(&unit, "rate: of two devices together", test_limit_of_all, NULL);
    unit_add(&unit, "interrupts", test_interrupts, NULL);
    return unit_run(&unit, "virtio_net");
}

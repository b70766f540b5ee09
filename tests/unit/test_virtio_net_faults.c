/* virtio/net.h: nonsense in the rings, the other side gone, resets in flight, threads. */
#include "virtio_net_fixture.h"

/* ---- Nonsense in the rings. ---- */

struct nonsense_row {
    const char *name;
    unsigned queue;
    void (*put)(struct net_test *test);
};

static void put_outside(struct net_test *test, unsigned queue, uint16_t flags)
{
    driver_put_desc(&test->driver, queue, 0, MEMORY_SIZE - 10, 100, flags, 0);
    driver_put_avail(&test->driver, queue, 0);
}

static void put_tx_outside(struct net_test *test)
{
    put_outside(test, TX, 0);
}

static void put_rx_outside(struct net_test *test)
{
    put_outside(test, RX, DRIVER_DESC_WRITE);
}

static void put_tx_wrapping(struct net_test *test)
{
    driver_put_desc(&test->driver, TX, 0, UINT64_MAX - 10, 100, 0, 0);
    driver_put_avail(&test->driver, TX, 0);
}

static void put_tx_loop(struct net_test *test)
{
    driver_put_desc(&test->driver, TX, 0, DRIVER_HEAP_GPA, 100, DRIVER_DESC_NEXT, 1);
    driver_put_desc(&test->driver, TX, 1, DRIVER_HEAP_GPA, 100, DRIVER_DESC_NEXT, 0);
    driver_put_avail(&test->driver, TX, 0);
}

static void put_tx_head(struct net_test *test)
{
    driver_put_avail(&test->driver, TX, 256);
}

static void put_tx_jump(struct net_test *test)
{
    driver_set_avail_idx(&test->driver, TX, 257);
}

static void put_rx_jump(struct net_test *test)
{
    driver_set_avail_idx(&test->driver, RX, 0x8000);
}

static void put_rx_read_only(struct net_test *test)
{
    driver_put_desc(&test->driver, RX, 0, DRIVER_HEAP_GPA, 2000, 0, 0);
    driver_put_avail(&test->driver, RX, 0);
}

static void put_rx_empty(struct net_test *test)
{
    driver_put_desc(&test->driver, RX, 0, DRIVER_HEAP_GPA, 0, DRIVER_DESC_WRITE, 0);
    driver_put_avail(&test->driver, RX, 0);
}

static void put_tx_indirect(struct net_test *test)
{
    driver_put_desc(&test->driver, TX, 0, DRIVER_HEAP_GPA, 32, DRIVER_DESC_INDIRECT, 0);
    driver_put_avail(&test->driver, TX, 0); /* which was not negotiated */
}

static const struct nonsense_row nonsense_rows[] = {
    {"nonsense: sent from past the end of memory", TX, put_tx_outside},
    {"nonsense: sent from an address that wraps", TX, put_tx_wrapping},
    {"nonsense: sent in a loop", TX, put_tx_loop},
    {"nonsense: sent from a head outside the ring", TX, put_tx_head},
    {"nonsense: more sent than the ring holds", TX, put_tx_jump},
    {"nonsense: sent by an indirect table without the feature", TX, put_tx_indirect},
    {"nonsense: received past the end of memory", RX, put_rx_outside},
    {"nonsense: more buffers than the ring holds", RX, put_rx_jump},
    {"nonsense: a buffer that may not be written", RX, put_rx_read_only},
    {"nonsense: a buffer of no length", RX, put_rx_empty},
};

static void test_nonsense(void **state)
{
    const struct nonsense_row *row = *state;
    struct net_test test;
    uint8_t bytes[PACKET_MAX];

    create(&test, 0, 0);
    row->put(&test);
    host_send(&test, 60, 1);
    run(&test);
    driver_notify(&test.driver, row->queue);
    run(&test);
    assert_true(driver_is_broken(&test.driver));
    assert_int_equal(test.driver.config_interrupts, 1);

    /* Dead until the reset, however loud it gets; then as good as new. */
    for (unsigned i = 0; i < 1000; i++)
        driver_notify(&test.driver, i % 2);
    host_send(&test, 60, 2);
    run(&test);
    assert_int_equal(driver_used_count(&test.driver, row->queue), 0);
    driver_start(&test.driver, 0);
    add_packet(&test, 60, 3);
    driver_notify(&test.driver, TX);
    assert_int_equal(peer_read(&test, bytes), 60);
    add_rx_buffer(&test, 1526);
    driver_notify(&test.driver, RX);
    run(&test);
    assert_int_equal(driver_used_count(&test.driver, RX), 1);
    destroy(&test);
}

/* A ring of one entry, one without the other queue, and neither. */
static void test_odd_queues(void **state)
{
    static const uint16_t sizes[][2] = {{1, 1}, {0, 256}, {256, 0}, {0, 0}};
    const struct virtio_net_options options = default_options();
    uint8_t bytes[PACKET_MAX];
    struct net_test test;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        create_with(&test, 0, &options);
        assert_true(driver_negotiate(&test.driver, VIRTIO_NET_F_MRG_RXBUF));
        for (unsigned queue = RX; queue <= TX; queue++) {
            if (sizes[i][queue])
                driver_set_queue(&test.driver, queue, sizes[i][queue]);
        }
        driver_set_ok(&test.driver);
        assert_false(driver_is_broken(&test.driver));
        host_send(&test, 60, 1);
        run(&test);
        driver_notify(&test.driver, RX);
        driver_notify(&test.driver, TX);
        for (unsigned n = 0; sizes[i][TX] && n < 3; n++) {
            struct driver_used used;

            add_packet(&test, 60, n);
            driver_notify(&test.driver, TX);
            assert_int_equal(peer_read(&test, bytes), 60);
            assert_true(driver_used(&test.driver, TX, &used));
        }
        destroy(&test);
    }
}

/* ---- The other side goes, and comes not back. ---- */

static void test_peer_gone(void **state)
{
    struct net_test test;
    uint8_t config[12];

    (void)state;
    create(&test, 0, VIRTIO_NET_F_STATUS);
    add_rx_buffer(&test, 1526);
    host_send(&test, 60, 1);
    close_fd(take_fd(&test.peer));
    run(&test);
    assert_int_equal(driver_used_count(&test.driver, RX), 1); /* what was sent before arrives */
    assert_int_equal(test.driver.config_interrupts, 1);
    virtio_device_config_read(test.driver.device, 0, config, sizeof(config));
    assert_int_equal(load_le16(config + 6), 0);
    assert_int_equal(virtio_device_generation(test.driver.device), 1);
    assert_false(counters(&test)->link_up);

    /* The guest's packets go nowhere, but come back. No hang-up keeps the loop busy. */
    for (unsigned i = 0; i < 100; i++)
        add_packet(&test, 60, i);
    driver_notify(&test.driver, TX);
    assert_idle(&test);
    assert_int_equal(driver_used_count(&test.driver, TX), 100);
    assert_int_equal(counters(&test)->tx_failed, 100);
    assert_int_equal(test.driver.config_interrupts, 1);

    /* A reset does not bring it back. */
    driver_start(&test.driver, 0);
    assert_false(counters(&test)->link_up);
    destroy(&test);
}

/* What waited for a back end that is gone waits no more. */
static void test_peer_gone_while_blocked(void **state)
{
    struct net_test test;

    (void)state;
    create(&test, 0, 0);
    for (unsigned i = 0; i < 250; i++)
        add_packet(&test, 9000, i);
    driver_notify(&test.driver, TX);
    run(&test);
    assert_true(driver_used_count(&test.driver, TX) < 250);
    close_fd(take_fd(&test.peer));
    assert_true(driver_wait_used(&test.driver, TX, 250));
    assert_false(driver_is_broken(&test.driver));
    destroy(&test);
}

/* The same where the receiver is the one who sees it. */
static void test_peer_gone_while_refusing(void **state)
{
    struct net_test test;

    (void)state;
    create(&test, 0, 0);
    test.fake.send_result = -EAGAIN;
    add_packet(&test, 60, 1);
    driver_notify(&test.driver, TX);
    assert_int_equal(driver_used_count(&test.driver, TX), 0);
    close_fd(take_fd(&test.peer));
    assert_true(driver_wait_used(&test.driver, TX, 1));
    assert_idle(&test);
    destroy(&test);
}

/* No driver yet: the hang-up is noted, and seen when it comes. */
static void test_peer_gone_before(void **state)
{
    const struct virtio_net_options options = default_options();
    struct net_test test;
    uint8_t config[12];

    (void)state;
    create_with(&test, 0, &options);
    close_fd(take_fd(&test.peer));
    run(&test);
    driver_start(&test.driver, VIRTIO_NET_F_STATUS);
    virtio_device_config_read(test.driver.device, 0, config, sizeof(config));
    assert_int_equal(load_le16(config + 6), 0);
    destroy(&test);
}

/* ---- Resets while something is under way. ---- */

static void test_reset_in_flight(void **state)
{
    struct virtio_net_options options = default_options();
    struct net_test test;
    uint8_t bytes[PACKET_MAX];

    (void)state;
    options.tx_ops = (struct rate_bucket_options){10, 20 * NS_PER_MS, 0};
    options.rx_ops = (struct rate_bucket_options){10, 20 * NS_PER_MS, 0};
    create_with(&test, NET_HEADER_LEN, &options);
    for (unsigned round = 0; round < 5; round++) {
        driver_start(&test.driver, VIRTIO_NET_F_MRG_RXBUF);
        for (unsigned i = 0; i < 15; i++) { /* throttled both ways */
            add_packet(&test, 60, i);
            add_rx_buffer(&test, 100);
            host_send(&test, 60, i);
        }
        host_send(&test, 3000, 7); /* and one half received */
        driver_notify(&test.driver, TX);
        driver_run(&test.driver, round * 5 * NS_PER_MS);
        driver_reset(&test.driver);
        /* The old rings are the guest's again: nothing may be written into them. */
        assert_int_equal(guest_memory_zero(test.driver.mem, 0, MEMORY_SIZE), 0);
        run(&test);
        for (uint64_t at = 0; at < MEMORY_SIZE; at += 8)
            assert_int_equal(load_le64(driver_host(&test.driver, at, 8)), 0);
        while (peer_read(&test, bytes) > 0)
            ;
    }
    destroy(&test);
}

/* Buffers that were held, and a packet that waited for more, are forgotten. */
static void test_reset_half_received(void **state)
{
    struct driver_used used;
    struct net_test test;
    uint64_t old_gpa, new_gpa;

    (void)state;
    create(&test, 0, VIRTIO_NET_F_MRG_RXBUF);
    old_gpa = add_rx_buffer(&test, 100);
    host_send(&test, 3000, 1);
    run(&test);
    assert_int_equal(driver_used_count(&test.driver, RX), 0);
    driver_start(&test.driver, VIRTIO_NET_F_MRG_RXBUF);
    memset(driver_host(&test.driver, old_gpa, 100), 0xee, 100);
    new_gpa = add_rx_buffer(&test, 1526);
    host_send(&test, 300, 2);
    run(&test);
    assert_true(driver_used(&test.driver, RX, &used));
    assert_int_equal(used.len, NET_HEADER_LEN + 300);
    assert_frame((uint8_t *)driver_host(&test.driver, new_gpa, used.len) + NET_HEADER_LEN, 300, 2);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(((uint8_t *)driver_host(&test.driver, old_gpa, 100))[i], 0xee);
    destroy(&test);
}

/* A vCPU that starts, uses and resets the device over and over, while the loop runs. */
struct vcpu {
    struct net_test *test;
    bool done; /* atomic */
};

static void *vcpu_thread(void *arg)
{
    struct vcpu *vcpu = arg;
    struct net_test *test = vcpu->test;

    for (unsigned round = 0; round < 300; round++) {
        test->driver.heap_gpa = DRIVER_HEAP_GPA;
        driver_start(&test->driver, round % 2 ? VIRTIO_NET_F_MRG_RXBUF : 0);
        for (unsigned i = 0; i < 20; i++) {
            add_packet(test, 500, i);
            add_rx_buffer(test, 300);
            driver_notify(&test->driver, i % 2);
        }
        driver_notify(&test->driver, TX);
        usleep(round % 7 * 50);
        driver_reset(&test->driver);
    }
    __atomic_store_n(&vcpu->done, true, __ATOMIC_RELEASE);
    return NULL;
}

static void test_threads(void **state)
{
    static uint8_t bytes[PACKET_MAX];
    struct virtio_net_options options = default_options();
    struct net_test test;
    struct vcpu vcpu = {.test = &test};
    pthread_t thread;

    (void)state;
    options.tx_ops = (struct rate_bucket_options){50, NS_PER_MS, 0};
    create_with(&test, NET_HEADER_LEN, &options);
    virtio_device_connect(test.driver.device, NULL, NULL); /* nobody counts interrupts */
    assert_int_equal(pthread_create(&thread, NULL, vcpu_thread, &vcpu), 0);
    while (!__atomic_load_n(&vcpu.done, __ATOMIC_ACQUIRE)) {
        for (unsigned i = 0; i < 5; i++) {
            if (send(test.peer, bytes, 200 + i * 100, MSG_DONTWAIT) < 0)
                assert_int_equal(errno, EAGAIN);
        }
        driver_run(&test.driver, NS_PER_MS / 10);
        while (peer_read(&test, bytes) > 0)
            ;
    }
    pthread_join(thread, NULL);
    assert_true(counters(&test)->tx_packets > 0);
    assert_true(counters(&test)->rx_packets > 0);
    assert_int_equal(counters(&test)->tx_malformed, 0);
    destroy(&test);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, nonsense_rows, test_nonsense);
    unit_add(&unit, "odd queues", test_odd_queues, NULL);
    unit_add(&unit, "the other side goes", test_peer_gone, NULL);
    unit_add(&unit, "the other side goes while it was full", test_peer_gone_while_blocked, NULL);
    unit_add(&unit, "the other side goes while it took nothing", test_peer_gone_while_refusing,
             NULL);
    unit_add(&unit, "the other side goes before a driver comes", test_peer_gone_before, NULL);
    unit_add(&unit, "resets in flight", test_reset_in_flight, NULL);
    unit_add(&unit, "a reset with a packet half received", test_reset_half_received, NULL);
    unit_add(&unit, "a vCPU and the loop at once", test_threads, NULL);
    return unit_run(&unit, "virtio_net_faults");
}

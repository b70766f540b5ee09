/* virtio/net.h: what is received, into buffers of all shapes. */
#include "virtio_net_fixture.h"

/* ---- Receiving. ---- */

struct receive_row {
    const char *name;
    uint64_t features;
    unsigned header_len;
    uint32_t frame_len;
    uint32_t buffer_len;
    unsigned buffers; /* that the guest gives before the packet arrives */
    unsigned used;    /* that it takes; 0: it does not arrive */
    uint64_t dropped;
};

static const struct receive_row receive_rows[] = {
    {"receive: one buffer", 0, 12, 60, 1526, 2, 1, 0},
    {"receive: no header from the back end", 0, 0, 60, 1526, 2, 1, 0},
    {"receive: merged, in one", VIRTIO_NET_F_MRG_RXBUF, 12, 60, 1526, 2, 1, 0},
    {"receive: merged, in one, without a header", VIRTIO_NET_F_MRG_RXBUF, 0, 60, 1526, 2, 1, 0},
    {"receive: just fits", 0, 12, 88, 100, 2, 1, 0},
    {"receive: one byte too long", 0, 12, 89, 100, 2, 0, 1},
    {"receive: too long, without a header", 0, 0, 89, 100, 2, 0, 1},
    {"receive: merged, of two", VIRTIO_NET_F_MRG_RXBUF, 12, 89, 100, 4, 2, 0},
    {"receive: merged, of two to the last byte", VIRTIO_NET_F_MRG_RXBUF, 0, 188, 100, 4, 2, 0},
    {"receive: merged, of forty", VIRTIO_NET_F_MRG_RXBUF, 12, 60000, 1536, 60, 40, 0},
    {"receive: merged, the longest", VIRTIO_NET_F_MRG_RXBUF, 12, NET_FRAME_MAX, 512, 200, 129, 0},
    {"receive: merged, of buffers of 1 byte", VIRTIO_NET_F_MRG_RXBUF, 12, 60, 1, 100, 72, 0},
    {"receive: the same without a header", VIRTIO_NET_F_MRG_RXBUF, 0, 60, 1, 100, 72, 0},
    {"receive: merged, larger than the whole ring", VIRTIO_NET_F_MRG_RXBUF, 12, 3000, 10, 256, 0,
     1},
    {"receive: large segments", VIRTIO_NET_F_MRG_RXBUF | GUEST_FEATURES, 12, 60000, 1536, 60, 40,
     0},
    {"receive: large segments in one", GUEST_FEATURES, 12, 60000, 65562, 2, 1, 0},
};

/* Check the chains of one packet, and that they hold these bytes. */
static void assert_received(struct net_test *test, const struct receive_row *row,
                            const uint64_t *gpas)
{
    static uint8_t bytes[PACKET_MAX];
    struct driver_used used;
    uint32_t len = 0;

    for (unsigned i = 0; i < row->used; i++) {
        assert_true(driver_used(&test->driver, RX, &used));
        assert_int_equal(used.head, i);
        if (i + 1 < row->used)
            assert_int_equal(used.len, row->buffer_len); /* all but the last are full */
        memcpy(bytes + len, driver_host(&test->driver, gpas[i], used.len), used.len);
        len += used.len;
    }
    assert_int_equal(len, NET_HEADER_LEN + row->frame_len);
    assert_int_equal(bytes[0],
                     row->header_len && (row->features & VIRTIO_NET_F_GUEST_CSUM) ? 2 : 0);
    for (unsigned i = 1; i < 10; i++)
        assert_int_equal(bytes[i], 0);
    assert_int_equal(load_le16(bytes + 10), row->used);
    assert_frame(bytes + NET_HEADER_LEN, row->frame_len, 5);
}

static void test_receive(void **state)
{
    const struct receive_row *row = *state;
    struct net_test test;
    uint64_t gpas[VIRTQUEUE_MAX_SIZE];

    create(&test, row->header_len, row->features);
    for (unsigned i = 0; i < row->buffers; i++) {
        gpas[i] = add_rx_buffer(&test, row->buffer_len);
        memset(driver_host(&test.driver, gpas[i], row->buffer_len), 0xee, row->buffer_len);
    }
    driver_notify(&test.driver, RX);
    host_send(&test, row->frame_len, 5);
    run(&test);
    assert_false(driver_is_broken(&test.driver));
    assert_int_equal(driver_used_count(&test.driver, RX), row->used);
    assert_int_equal(counters(&test)->rx_dropped, row->dropped);
    assert_int_equal(counters(&test)->rx_packets, row->used > 0);
    if (row->used)
        assert_received(&test, row, gpas);
    destroy(&test);
}

/* The same packets when the buffers come one at a time, after the packet. */
static void test_receive_late(void **state)
{
    const struct receive_row *row = *state;
    struct net_test test;
    uint64_t gpas[VIRTQUEUE_MAX_SIZE];

    create(&test, row->header_len, row->features);
    host_send(&test, row->frame_len, 5);
    run(&test);
    for (unsigned i = 0; i < row->buffers; i++) {
        gpas[i] = add_rx_buffer(&test, row->buffer_len);
        driver_notify(&test.driver, RX);
        /* A packet appears as a whole (5.1.6.4.1). */
        assert_true(driver_used_count(&test.driver, RX) == 0 ||
                    driver_used_count(&test.driver, RX) == row->used);
    }
    assert_false(driver_is_broken(&test.driver));
    assert_int_equal(driver_used_count(&test.driver, RX), row->used);
    assert_int_equal(counters(&test)->rx_dropped, row->dropped);
    if (row->used)
        assert_received(&test, row, gpas);
    destroy(&test);
}

/* A buffer that was too small for one packet takes the next. */
static void test_receive_after_drop(void **state)
{
    struct net_test test;

    (void)state;
    create(&test, NET_HEADER_LEN, 0);
    add_rx_buffer(&test, 100);
    host_send(&test, 1000, 1);
    host_send(&test, 60, 2);
    run(&test);
    assert_int_equal(driver_used_count(&test.driver, RX), 1);
    assert_int_equal(counters(&test)->rx_dropped, 1);
    assert_int_equal(counters(&test)->rx_packets, 1);
    destroy(&test);
}

/* Without buffers it does not look at the back end, and asks to be told of some. */
static void test_receive_starved(void **state)
{
    struct net_test test;

    (void)state;
    create(&test, NET_HEADER_LEN, 0);
    assert_int_equal(driver_used_flags(&test.driver, RX), 1); /* buffers alone are no event */
    host_send(&test, 60, 1);
    run(&test);
    assert_int_equal(driver_used_flags(&test.driver, RX), 0);
    assert_int_equal(counters(&test)->rx_starved, 1);
    assert_idle(&test);
    add_rx_buffer(&test, 1526);
    driver_notify(&test.driver, RX);
    assert_int_equal(driver_used_count(&test.driver, RX), 1);
    destroy(&test);
}

/* Eight buffers that go round and round, and what they have brought of a packet. */
#define POOL_BUFFERS    8
#define POOL_BUFFER_LEN 512

struct pool {
    uint64_t free[POOL_BUFFERS], by_head[VIRTQUEUE_MAX_SIZE];
    unsigned free_count, parts;
    uint8_t bytes[POOL_BUFFERS * POOL_BUFFER_LEN];
    size_t len;
};

static void give_pool(struct net_test *test, struct pool *pool)
{
    while (pool->free_count > 0) {
        const struct driver_buffer buffer = {pool->free[--pool->free_count], POOL_BUFFER_LEN, true};

        pool->by_head[driver_add(&test->driver, RX, &buffer, 1)] = buffer.gpa;
    }
    driver_notify(&test->driver, RX);
}

/* Take one buffer back. Returns whether it was the last of its packet. */
static bool collect(struct net_test *test, struct pool *pool, const struct driver_used *used)
{
    uint64_t gpa = pool->by_head[used->head];

    memcpy(pool->bytes + pool->len, driver_host(&test->driver, gpa, used->len), used->len);
    pool->len += used->len;
    pool->free[pool->free_count++] = gpa;
    return ++pool->parts == load_le16(pool->bytes + 10);
}

/* Thousands of packets of all lengths around the ring, many times. */
static void test_receive_many(void **state)
{
    struct pool pool = {.free_count = POOL_BUFFERS};
    unsigned sent = 0, received = 0;
    struct net_test test;

    (void)state;
    create(&test, 0, VIRTIO_NET_F_MRG_RXBUF | VIRTIO_F_EVENT_IDX);
    for (size_t i = 0; i < POOL_BUFFERS; i++)
        pool.free[i] = driver_alloc(&test.driver, POOL_BUFFER_LEN, 1);
    while (received < 3000) {
        struct driver_used used;

        for (; sent < 3000 && sent < received + 8; sent++)
            host_send(&test, 14 + sent % 1500, sent);
        give_pool(&test, &pool);
        driver_run(&test.driver, NS_PER_MS / 10);
        while (driver_used(&test.driver, RX, &used)) {
            if (!collect(&test, &pool, &used))
                continue;
            assert_int_equal(pool.len, NET_HEADER_LEN + 14 + received % 1500);
            assert_frame(pool.bytes + NET_HEADER_LEN, 14 + received % 1500, received);
            received++;
            pool.len = pool.parts = 0;
        }
    }
    assert_int_equal(counters(&test)->rx_packets, 3000);
    assert_int_equal(counters(&test)->rx_dropped, 0);
    destroy(&test);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, receive_rows, test_receive);
    unit_add_rows(&unit, receive_rows, test_receive_late);
    unit_add(&unit, "a buffer too small for one takes the next", test_receive_after_drop, NULL);
    unit_add(&unit, "no buffers, no work", test_receive_starved, NULL);
    unit_add(&unit, "thousands around the ring", test_receive_many, NULL);
    return unit_run(&unit, "virtio_net_rx");
}

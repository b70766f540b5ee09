/*
 * The driver's side of a virtio device, for tests: guest memory, a loop, rings laid into the memory
 * and the transport's functions called directly, with the interrupts counted.
 *
 *     struct driver driver;
 *
 *     driver_create(&driver, 4 * MIB);
 *     assert_int_equal(virtio_net_create(&driver.env, …, &device, &err), 0);
 *     driver_connect(&driver, device);
 *     driver_start(&driver, VIRTIO_NET_F_MAC);
 *     head = driver_add(&driver, 1, (struct driver_buffer[]){{gpa, len}, {gpa, len, true}}, 2);
 *     driver_notify(&driver, 1);
 *     assert_true(driver_used(&driver, 1, &used));
 *     driver_destroy(&driver);
 *
 * What ought to succeed is asserted here. For nonsense there are driver_put_desc(),
 * driver_put_avail() and driver_set_avail_idx(), which write the rings raw.
 */
#ifndef OSVM_TESTS_VIRTIO_DRIVER_H
#define OSVM_TESTS_VIRTIO_DRIVER_H

#include "unit.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "guest/memory.h"
#include "virtio/device.h"

#define DRIVER_DESC_NEXT     1
#define DRIVER_DESC_WRITE    2
#define DRIVER_DESC_INDIRECT 4

/* Where driver_alloc() begins: below lie no rings and no buffers. */
#define DRIVER_HEAP_GPA 0x10000

struct driver_buffer {
    uint64_t gpa;
    uint32_t len;
    bool writable; /* by the device */
};

struct driver_used {
    uint16_t head;
    uint32_t len; /* as the device said */
};

struct driver_queue {
    uint16_t size;
    uint64_t desc_gpa, avail_gpa, used_gpa;
    uint16_t avail_idx, used_idx;       /* the next to fill, the next to look at */
    bool busy[VIRTQUEUE_MAX_SIZE];      /* descriptors of chains that are under way */
    uint16_t count[VIRTQUEUE_MAX_SIZE]; /* by head: how many descriptors its chain has */
    uint16_t next[VIRTQUEUE_MAX_SIZE];
    unsigned interrupts;
};

struct driver {
    struct guest_memory *mem;
    struct loop *loop;
    struct log log;
    struct virtio_env env; /* give this to the device */
    struct virtio_device *device;
    uint64_t heap_gpa; /* what lies above it is free */
    struct driver_queue queues[VIRTIO_MAX_QUEUES];
    unsigned config_interrupts;
};

static inline void driver_create(struct driver *driver, uint64_t memory_size)
{
    const struct guest_memory_options options = {.size = memory_size};

    memset(driver, 0, sizeof(*driver));
    assert_int_equal(guest_memory_create(&options, &driver->mem, NULL), 0);
    assert_int_equal(loop_create(&driver->loop), 0);
    driver->log = (struct log){.fd = -1, .level = LOG_DEBUG, .prefix = "test"};
    driver->heap_gpa = DRIVER_HEAP_GPA;
    driver->env =
        (struct virtio_env){.loop = driver->loop, .mem = driver->mem, .log = &driver->log};
}

/* Ends the device too, where one is connected. */
static inline void driver_destroy(struct driver *driver)
{
    if (driver->device)
        driver->device->ops->destroy(driver->device);
    loop_destroy(driver->loop);
    guest_memory_destroy(driver->mem);
}

static inline void driver_on_interrupt(void *transport, unsigned queue)
{
    ((struct driver *)transport)->queues[queue].interrupts++;
}

static inline void driver_on_config_interrupt(void *transport)
{
    ((struct driver *)transport)->config_interrupts++;
}

/* The device is the driver's from now on. */
static inline void driver_connect(struct driver *driver, struct virtio_device *device)
{
    static const struct virtio_transport_ops ops = {
        .interrupt_queue = driver_on_interrupt,
        .interrupt_config = driver_on_config_interrupt,
    };

    driver->device = device;
    virtio_device_connect(device, &ops, driver);
}

/* Take guest memory for good, zeroed. There are free pages, no free(). */
static inline uint64_t driver_alloc(struct driver *driver, uint64_t size, uint64_t alignment)
{
    uint64_t gpa = align_up(driver->heap_gpa, alignment);

    assert_int_equal(guest_memory_zero(driver->mem, gpa, size), 0);
    driver->heap_gpa = gpa + size;
    return gpa;
}

static inline void *driver_host(const struct driver *driver, uint64_t gpa, uint64_t len)
{
    void *host = NULL;

    assert_int_equal(guest_memory_span(driver->mem, gpa, len, &host), 0);
    return host;
}

static inline uint8_t driver_status(struct driver *driver)
{
    return virtio_device_status(driver->device);
}

static inline bool driver_is_broken(struct driver *driver)
{
    return driver_status(driver) & VIRTIO_STATUS_NEEDS_RESET;
}

static inline void driver_reset(struct driver *driver)
{
    virtio_device_set_status(driver->device, 0);
    memset(driver->queues, 0, sizeof(driver->queues));
}

/* 3.1.1, steps 1 to 6. VERSION_1 is added. Returns whether the device accepted the features. */
static inline bool driver_negotiate(struct driver *driver, uint64_t features)
{
    uint8_t status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;

    features |= VIRTIO_F_VERSION_1;
    driver_reset(driver);
    virtio_device_set_status(driver->device, status);
    virtio_device_set_driver_features(driver->device, 0, (uint32_t)features);
    virtio_device_set_driver_features(driver->device, 1, (uint32_t)(features >> 32));
    virtio_device_set_status(driver->device, status | VIRTIO_STATUS_FEATURES_OK);
    return driver_status(driver) & VIRTIO_STATUS_FEATURES_OK;
}

/* Lay out one queue in fresh memory, tell the device, make it ready. */
static inline void driver_set_queue(struct driver *driver, unsigned index, uint16_t size)
{
    struct driver_queue *queue = &driver->queues[index];
    struct virtio_device *device = driver->device;

    *queue = (struct driver_queue){
        .size = size,
        .desc_gpa = driver_alloc(driver, 16ull * size, 16),
        .avail_gpa = driver_alloc(driver, 6 + 2ull * size, 2),
        .used_gpa = driver_alloc(driver, 6 + 8ull * size, 4),
    };
    virtio_device_queue_write(device, index, VIRTIO_QUEUE_SIZE, size);
    virtio_device_queue_write(device, index, VIRTIO_QUEUE_DESC_LOW, (uint32_t)queue->desc_gpa);
    virtio_device_queue_write(device, index, VIRTIO_QUEUE_DESC_HIGH,
                              (uint32_t)(queue->desc_gpa >> 32));
    virtio_device_queue_write(device, index, VIRTIO_QUEUE_AVAIL_LOW, (uint32_t)queue->avail_gpa);
    virtio_device_queue_write(device, index, VIRTIO_QUEUE_AVAIL_HIGH,
                              (uint32_t)(queue->avail_gpa >> 32));
    virtio_device_queue_write(device, index, VIRTIO_QUEUE_USED_LOW, (uint32_t)queue->used_gpa);
    virtio_device_queue_write(device, index, VIRTIO_QUEUE_USED_HIGH,
                              (uint32_t)(queue->used_gpa >> 32));
    virtio_device_queue_write(device, index, VIRTIO_QUEUE_READY, 1);
}

/* 3.1.1, step 8. */
static inline void driver_set_ok(struct driver *driver)
{
    virtio_device_set_status(driver->device, driver_status(driver) | VIRTIO_STATUS_DRIVER_OK);
}

/* A whole start: reset, these features, all queues at their largest, DRIVER_OK. */
static inline void driver_start(struct driver *driver, uint64_t features)
{
    assert_true(driver_negotiate(driver, features));
    for (unsigned i = 0; i < driver->device->queue_count; i++)
        driver_set_queue(driver, i, driver->device->queue_size);
    driver_set_ok(driver);
    assert_false(driver_is_broken(driver));
}

/* ---- Raw writes into a ring. ---- */

static inline void driver_put_desc_at(struct driver *driver, uint64_t table_gpa, uint16_t at,
                                      uint64_t gpa, uint32_t len, uint16_t flags, uint16_t next)
{
    uint8_t *raw = driver_host(driver, table_gpa + 16ull * at, 16);

    store_le64(raw, gpa);
    store_le32(raw + 8, len);
    store_le16(raw + 12, flags);
    store_le16(raw + 14, next);
}

static inline void driver_put_desc(struct driver *driver, unsigned index, uint16_t at, uint64_t gpa,
                                   uint32_t len, uint16_t flags, uint16_t next)
{
    driver_put_desc_at(driver, driver->queues[index].desc_gpa, at, gpa, len, flags, next);
}

static inline void driver_set_avail_idx(struct driver *driver, unsigned index, uint16_t idx)
{
    struct driver_queue *queue = &driver->queues[index];
    uint16_t *word = driver_host(driver, queue->avail_gpa + 2, 2);

    queue->avail_idx = idx;
    __atomic_store_n(word, htole16(idx), __ATOMIC_RELEASE);
}

/* Make a head available. */
static inline void driver_put_avail(struct driver *driver, unsigned index, uint16_t head)
{
    struct driver_queue *queue = &driver->queues[index];
    uint64_t entry = queue->avail_gpa + 4 + 2ull * (queue->avail_idx % queue->size);

    store_le16(driver_host(driver, entry, 2), head);
    driver_set_avail_idx(driver, index, (uint16_t)(queue->avail_idx + 1));
}

/* 2.7.6: ask for no interrupts (without EVENT_IDX). */
static inline void driver_set_avail_flags(struct driver *driver, unsigned index, uint16_t flags)
{
    store_le16(driver_host(driver, driver->queues[index].avail_gpa, 2), flags);
}

/* 2.7.7: used_event; the device interrupts when it passes it (with EVENT_IDX). */
static inline void driver_set_used_event(struct driver *driver, unsigned index, uint16_t event)
{
    const struct driver_queue *queue = &driver->queues[index];

    store_le16(driver_host(driver, queue->avail_gpa + 4 + 2ull * queue->size, 2), event);
}

/* What the device says about notifications: used.flags, and avail_event. */
static inline uint16_t driver_used_flags(const struct driver *driver, unsigned index)
{
    return load_le16(driver_host(driver, driver->queues[index].used_gpa, 2));
}

static inline uint16_t driver_avail_event(const struct driver *driver, unsigned index)
{
    const struct driver_queue *queue = &driver->queues[index];

    return load_le16(driver_host(driver, queue->used_gpa + 4 + 8ull * queue->size, 2));
}

/* ---- Chains. ---- */

static inline uint16_t driver_take_desc(struct driver_queue *queue)
{
    for (uint16_t i = 0; i < queue->size; i++) {
        if (!queue->busy[i]) {
            queue->busy[i] = true;
            return i;
        }
    }
    fail_msg("no descriptor is free");
    return 0;
}

static inline uint16_t driver_desc_flags(const struct driver_buffer *buffers, unsigned i,
                                         unsigned count)
{
    return (uint16_t)((buffers[i].writable ? DRIVER_DESC_WRITE : 0) |
                      (i + 1 < count ? DRIVER_DESC_NEXT : 0));
}

/* Put a chain into the ring, and make it available. Returns its head. */
static inline uint16_t driver_add(struct driver *driver, unsigned index,
                                  const struct driver_buffer *buffers, unsigned count)
{
    struct driver_queue *queue = &driver->queues[index];
    uint16_t at[VIRTQUEUE_MAX_SIZE];

    assert_true(count > 0 && count <= queue->size);
    for (unsigned i = 0; i < count; i++)
        at[i] = driver_take_desc(queue);
    for (unsigned i = 0; i < count; i++) {
        queue->next[at[i]] = i + 1 < count ? at[i + 1] : 0;
        driver_put_desc(driver, index, at[i], buffers[i].gpa, buffers[i].len,
                        driver_desc_flags(buffers, i, count), queue->next[at[i]]);
    }
    queue->count[at[0]] = (uint16_t)count;
    driver_put_avail(driver, index, at[0]);
    return at[0];
}

/* The same with an indirect table (2.7.5.3), in fresh memory. */
static inline uint16_t driver_add_indirect(struct driver *driver, unsigned index,
                                           const struct driver_buffer *buffers, unsigned count)
{
    struct driver_queue *queue = &driver->queues[index];
    uint64_t table_gpa = driver_alloc(driver, 16ull * count, 16);
    uint16_t head = driver_take_desc(queue);

    for (unsigned i = 0; i < count; i++)
        driver_put_desc_at(driver, table_gpa, (uint16_t)i, buffers[i].gpa, buffers[i].len,
                           driver_desc_flags(buffers, i, count), (uint16_t)(i + 1));
    driver_put_desc(driver, index, head, table_gpa, 16 * count, DRIVER_DESC_INDIRECT, 0);
    queue->count[head] = 1;
    driver_put_avail(driver, index, head);
    return head;
}

static inline void driver_notify(struct driver *driver, unsigned index)
{
    virtio_device_notify(driver->device, index);
}

/* How many chains came back and were not looked at yet. */
static inline uint16_t driver_used_count(const struct driver *driver, unsigned index)
{
    const struct driver_queue *queue = &driver->queues[index];
    const uint16_t *idx = driver_host(driver, queue->used_gpa + 2, 2);

    return (uint16_t)(le16toh(__atomic_load_n(idx, __ATOMIC_ACQUIRE)) - queue->used_idx);
}

/* Take the next chain that came back; its descriptors are free again. False: there is none. */
static inline bool driver_used(struct driver *driver, unsigned index, struct driver_used *ret_used)
{
    struct driver_queue *queue = &driver->queues[index];
    const uint8_t *entry;
    uint16_t at;

    if (driver_used_count(driver, index) == 0)
        return false;
    entry = driver_host(driver, queue->used_gpa + 4 + 8ull * (queue->used_idx % queue->size), 8);
    ret_used->len = load_le32(entry + 4);
    assert_true(load_le32(entry) < queue->size);
    ret_used->head = at = (uint16_t)load_le32(entry);
    queue->used_idx++;
    for (uint16_t left = queue->count[ret_used->head]; left > 0; left--) {
        queue->busy[at] = false;
        at = queue->next[at];
    }
    queue->count[ret_used->head] = 0;
    return true;
}

/* ---- The loop. ---- */

struct driver_deadline {
    struct loop_timer timer;
    struct loop *loop;
};

static inline void driver_on_deadline(struct loop_timer *timer)
{
    loop_stop(container_of(timer, struct driver_deadline, timer)->loop);
}

/* Let the loop run for so long. */
static inline void driver_run(struct driver *driver, uint64_t ns)
{
    struct driver_deadline deadline = {.timer.callback = driver_on_deadline, .loop = driver->loop};

    assert_int_equal(loop_timer_add(driver->loop, &deadline.timer), 0);
    loop_timer_arm(&deadline.timer, ns, 0);
    assert_int_equal(loop_run(driver->loop), 0);
    loop_timer_remove(driver->loop, &deadline.timer);
}

/* Let it run until so many chains wait in the used ring. Returns whether it came to that in 5 s. */
static inline bool driver_wait_used(struct driver *driver, unsigned index, uint16_t count)
{
    uint64_t until = clock_monotonic_ns() + 5 * NS_PER_SEC;

    while (driver_used_count(driver, index) < count) {
        if (clock_monotonic_ns() >= until)
            return false;
        driver_run(driver, NS_PER_MS);
    }
    return true;
}

#endif

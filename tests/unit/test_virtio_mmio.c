/* virtio/mmio.h and virtio/device.h: the registers, as a driver and as an enemy write them. */
#include "unit.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/bytes.h"
#include "guest/layout.h"
#include "probe_device.h"
#include "virtio/mmio.h"

/* Virtio 1.2, table 4.1. */
#define MAGIC               0x000
#define VERSION             0x004
#define DEVICE_ID           0x008
#define VENDOR_ID           0x00c
#define DEVICE_FEATURES     0x010
#define DEVICE_FEATURES_SEL 0x014
#define DRIVER_FEATURES     0x020
#define DRIVER_FEATURES_SEL 0x024
#define QUEUE_SEL           0x030
#define QUEUE_NUM_MAX       0x034
#define QUEUE_NUM           0x038
#define QUEUE_READY         0x044
#define QUEUE_NOTIFY        0x050
#define INTERRUPT_STATUS    0x060
#define INTERRUPT_ACK       0x064
#define STATUS              0x070
#define DESC_LOW            0x080
#define DESC_HIGH           0x084
#define AVAIL_LOW           0x090
#define USED_LOW            0x0a0
#define SHM_LEN_LOW         0x0b0
#define GENERATION          0x0fc
#define CONFIG              0x100

#define ACKNOWLEDGED 0x03 /* ACKNOWLEDGE, DRIVER */
#define FEATURES_OK  0x08
#define DRIVER_OK    0x04
#define NEEDS_RESET  0x40

struct fixture {
    struct guest_memory *mem;
    struct loop *loop;
    struct probe_device probe;
    struct virtio_mmio mmio;
};

static struct fixture *build(void)
{
    struct guest_memory_options options = {.size = 1 * MIB};
    struct irq_line irq = {.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    struct fixture *f = test_calloc(1, sizeof(*f));
    struct virtio_env env;

    assert_int_equal(guest_memory_create(&options, &f->mem, NULL), 0);
    assert_int_equal(loop_create(&f->loop), 0);
    env = (struct virtio_env){.loop = f->loop, .mem = f->mem};
    probe_init(&f->probe, &env);
    assert_int_equal(virtio_mmio_init(&f->mmio, &f->probe.device, LAYOUT_VIRTIO_MMIO,
                                      VIRTIO_MMIO_SIZE, irq, NULL, f->loop),
                     0);
    return f;
}

static void destroy(struct fixture *f)
{
    virtio_mmio_destroy(&f->mmio);
    virtio_device_deinit(&f->probe.device);
    loop_destroy(f->loop);
    guest_memory_destroy(f->mem);
    test_free(f);
}

static uint32_t get(struct fixture *f, uint64_t offset)
{
    uint8_t raw[4] = {0x55, 0x55, 0x55, 0x55};

    f->mmio.range.ops->read(&f->mmio.range, offset, raw, 4);
    return load_le32(raw);
}

static void set(struct fixture *f, uint64_t offset, uint32_t value)
{
    uint8_t raw[4];

    store_le32(raw, value);
    f->mmio.range.ops->write(&f->mmio.range, offset, raw, 4);
}

static unsigned pulses(struct fixture *f)
{
    uint64_t count = 0;

    return read(f->mmio.irq.fd, &count, sizeof(count)) == sizeof(count) ? (unsigned)count : 0;
}

static void set_features(struct fixture *f, uint64_t features)
{
    for (unsigned half = 0; half < 2; half++) {
        set(f, DRIVER_FEATURES_SEL, half);
        set(f, DRIVER_FEATURES, (uint32_t)(features >> (32 * half)));
    }
}

static void set_queue(struct fixture *f, unsigned queue)
{
    set(f, QUEUE_SEL, queue);
    set(f, QUEUE_NUM, 8);
    set(f, DESC_LOW, 0x1000);
    set(f, AVAIL_LOW, 0x2000);
    set(f, USED_LOW, 0x3000);
    set(f, QUEUE_READY, 1);
}

/* Everything up to DRIVER_OK, with queue 0. */
static void start(struct fixture *f)
{
    set(f, STATUS, ACKNOWLEDGED);
    set_features(f, VIRTIO_F_VERSION_1);
    set(f, STATUS, ACKNOWLEDGED | FEATURES_OK);
    set_queue(f, 0);
    set(f, STATUS, ACKNOWLEDGED | FEATURES_OK | DRIVER_OK);
}

/* Descriptor 0, readable or writable, made available once more. */
static void add_chain(struct fixture *f, uint64_t gpa, uint16_t idx)
{
    uint8_t desc[16] = {0}, avail[4] = {0}, entry[2] = {0};

    store_le64(desc, gpa);
    store_le32(desc + 8, 16);
    store_le16(desc + 12, 2);
    store_le16(avail + 2, idx);
    guest_memory_write(f->mem, 0x1000, desc, sizeof(desc));
    guest_memory_write(f->mem, 0x2004 + 2 * ((idx - 1) % 8), entry, sizeof(entry));
    guest_memory_write(f->mem, 0x2000, avail, sizeof(avail));
}

static void test_identity(void **state)
{
    struct fixture *f = build();

    (void)state;
    assert_int_equal(get(f, MAGIC), 0x74726976);
    assert_int_equal(get(f, VERSION), 2);
    assert_int_equal(get(f, DEVICE_ID), VIRTIO_ID_RNG);
    assert_int_equal(get(f, VENDOR_ID), 0x4d56534f);
    assert_int_equal(get(f, SHM_LEN_LOW), 0xffffffff);
    assert_int_equal(get(f, STATUS), 0);
    destroy(f);
}

static void test_features(void **state)
{
    struct fixture *f = build();

    (void)state;
    set(f, DEVICE_FEATURES_SEL, 0);
    assert_int_equal(get(f, DEVICE_FEATURES),
                     PROBE_FEATURE | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX);
    set(f, DEVICE_FEATURES_SEL, 1);
    assert_int_equal(get(f, DEVICE_FEATURES), 1);
    set(f, DEVICE_FEATURES_SEL, 2);
    assert_int_equal(get(f, DEVICE_FEATURES), 0);
    set(f, DEVICE_FEATURES_SEL, 0xffffffff);
    assert_int_equal(get(f, DEVICE_FEATURES), 0);
    destroy(f);
}

struct negotiation_row {
    const char *name;
    uint64_t features;
    bool accepted;
};

static const struct negotiation_row negotiations[] = {
    {"features: the version alone", VIRTIO_F_VERSION_1, true},
    {"features: all that is offered",
     VIRTIO_F_VERSION_1 | PROBE_FEATURE | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX, true},
    {"features: none", 0, false},
    {"features: not the version", PROBE_FEATURE, false},
    {"features: one that is not offered", VIRTIO_F_VERSION_1 | 1, false},
    {"features: a high one that is not offered", VIRTIO_F_VERSION_1 | UINT64_C(1) << 63, false},
};

static void test_negotiation(void **state)
{
    const struct negotiation_row *row = *state;
    struct fixture *f = build();

    set(f, STATUS, ACKNOWLEDGED);
    set_features(f, row->features);
    set(f, STATUS, ACKNOWLEDGED | FEATURES_OK);
    assert_int_equal(get(f, STATUS), ACKNOWLEDGED | (row->accepted ? FEATURES_OK : 0));
    set(f, STATUS, ACKNOWLEDGED | FEATURES_OK | DRIVER_OK);
    assert_int_equal(f->probe.activations, row->accepted ? 1 : 0);
    destroy(f);
}

static void test_features_are_settled(void **state)
{
    struct fixture *f = build();

    (void)state;
    set(f, STATUS, ACKNOWLEDGED);
    set_features(f, VIRTIO_F_VERSION_1);
    set(f, STATUS, ACKNOWLEDGED | FEATURES_OK);
    set_features(f, VIRTIO_F_VERSION_1 | PROBE_FEATURE);
    assert_false(virtio_device_has(&f->probe.device, PROBE_FEATURE));
    destroy(f);
}

static void test_status_only_grows(void **state)
{
    struct fixture *f = build();

    (void)state;
    start(f);
    set(f, STATUS, ACKNOWLEDGED);
    assert_int_equal(get(f, STATUS), ACKNOWLEDGED | FEATURES_OK | DRIVER_OK);
    set(f, STATUS, 0xff);
    assert_int_equal(get(f, STATUS) & NEEDS_RESET, 0);
    assert_int_equal(f->probe.activations, 1);
    set(f, STATUS, 0);
    assert_int_equal(get(f, STATUS), 0);
    assert_int_equal(f->probe.resets, 1);
    destroy(f);
}

static void test_reset_forgets(void **state)
{
    struct fixture *f = build();

    (void)state;
    start(f);
    virtio_device_config_changed(&f->probe.device);
    assert_int_equal(get(f, INTERRUPT_STATUS), 2);
    set(f, STATUS, 0);
    assert_int_equal(get(f, INTERRUPT_STATUS), 0);
    set(f, QUEUE_SEL, 0);
    assert_int_equal(get(f, QUEUE_READY), 0);
    set(f, QUEUE_NOTIFY, 0);
    assert_int_equal(f->probe.notifications, 0);
    start(f); /* and it starts again */
    assert_int_equal(f->probe.activations, 2);
    destroy(f);
}

static void test_queue_registers(void **state)
{
    struct fixture *f = build();

    (void)state;
    set(f, QUEUE_SEL, 1);
    assert_int_equal(get(f, QUEUE_NUM_MAX), 8);
    assert_int_equal(get(f, QUEUE_READY), 0);
    set(f, QUEUE_SEL, PROBE_QUEUES);
    assert_int_equal(get(f, QUEUE_NUM_MAX), 0);
    set(f, QUEUE_READY, 1);
    assert_int_equal(get(f, QUEUE_READY), 0);
    set(f, QUEUE_SEL, 0xffffffff);
    assert_int_equal(get(f, QUEUE_NUM_MAX), 0);
    set(f, DESC_HIGH, 1);
    set(f, QUEUE_SEL, 0);
    set(f, DESC_LOW, 0x1000);
    set(f, DESC_HIGH, 0x2);
    assert_true(f->probe.device.queues[0].desc_gpa == UINT64_C(0x200001000));
    set(f, QUEUE_READY, 1);
    set(f, DESC_LOW, 0x5000); /* not while it is ready */
    assert_true(f->probe.device.queues[0].desc_gpa == UINT64_C(0x200001000));
    destroy(f);
}

static void test_interrupt(void **state)
{
    struct fixture *f = build();

    (void)state;
    start(f);
    add_chain(f, 0x8000, 1);
    set(f, QUEUE_NOTIFY, 0);
    assert_int_equal(f->probe.notifications, 1);
    assert_int_equal(get(f, INTERRUPT_STATUS), 1);
    assert_int_equal(pulses(f), 1);
    set(f, INTERRUPT_ACK, 2);
    assert_int_equal(get(f, INTERRUPT_STATUS), 1);
    set(f, INTERRUPT_ACK, 1);
    assert_int_equal(get(f, INTERRUPT_STATUS), 0);
    destroy(f);
}

/* Acknowledgements that come by the eventfd count from when they came. */
static void test_interrupt_ack_by_eventfd(void **state)
{
    struct fixture *f = build();
    const uint64_t one = 1;

    (void)state;
    f->mmio.ack_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    start(f);
    add_chain(f, 0x8000, 1);
    set(f, QUEUE_NOTIFY, 0);
    assert_int_equal(get(f, INTERRUPT_STATUS), 1);
    assert_int_equal(write(f->mmio.ack_fd, &one, sizeof(one)), sizeof(one));
    assert_int_equal(get(f, INTERRUPT_STATUS), 0);
    add_chain(f, 0x8000, 2);
    set(f, QUEUE_NOTIFY, 0);
    /* One is acknowledged, and the next comes before anybody looks. */
    assert_int_equal(write(f->mmio.ack_fd, &one, sizeof(one)), sizeof(one));
    add_chain(f, 0x8000, 3);
    set(f, QUEUE_NOTIFY, 0);
    assert_int_equal(get(f, INTERRUPT_STATUS), 1);
    assert_int_equal(pulses(f), 3);
    /* Of a device that was reset nothing is left to acknowledge. */
    assert_int_equal(write(f->mmio.ack_fd, &one, sizeof(one)), sizeof(one));
    set(f, STATUS, 0);
    start(f);
    add_chain(f, 0x8000, 1);
    set(f, QUEUE_NOTIFY, 0);
    assert_int_equal(get(f, INTERRUPT_STATUS), 1);
    destroy(f);
}

static void test_notify_out_of_place(void **state)
{
    struct fixture *f = build();

    (void)state;
    set(f, QUEUE_NOTIFY, 0); /* before anything */
    start(f);
    set(f, QUEUE_NOTIFY, 1); /* a queue that is not ready */
    set(f, QUEUE_NOTIFY, PROBE_QUEUES);
    set(f, QUEUE_NOTIFY, 0xffffffff);
    assert_int_equal(f->probe.notifications, 0);
    destroy(f);
}

static void test_nonsense_needs_reset(void **state)
{
    struct fixture *f = build();

    (void)state;
    start(f);
    add_chain(f, 64 * MIB, 1); /* no memory there */
    set(f, QUEUE_NOTIFY, 0);
    assert_true(get(f, STATUS) & NEEDS_RESET);
    assert_int_equal(get(f, INTERRUPT_STATUS), 2);
    set(f, QUEUE_NOTIFY, 0);
    assert_int_equal(f->probe.notifications, 1); /* it is deaf until it is reset */
    set(f, STATUS, 0);
    start(f);
    add_chain(f, 0x8000, 1);
    set(f, QUEUE_NOTIFY, 0);
    assert_int_equal(get(f, STATUS) & NEEDS_RESET, 0);
    destroy(f);
}

static void test_bad_queue_needs_reset(void **state)
{
    struct fixture *f = build();

    (void)state;
    set(f, STATUS, ACKNOWLEDGED);
    set_features(f, VIRTIO_F_VERSION_1);
    set(f, STATUS, ACKNOWLEDGED | FEATURES_OK);
    set_queue(f, 0);
    set(f, QUEUE_SEL, 1);
    set(f, QUEUE_NUM, 3);
    set(f, QUEUE_READY, 1);
    set(f, STATUS, ACKNOWLEDGED | FEATURES_OK | DRIVER_OK);
    assert_true(get(f, STATUS) & NEEDS_RESET);
    assert_int_equal(f->probe.activations, 0);
    destroy(f);
}

static void test_failing_activation(void **state)
{
    struct fixture *f = build();

    (void)state;
    f->probe.activate_result = -22;
    start(f);
    assert_true(get(f, STATUS) & NEEDS_RESET);
    set(f, QUEUE_NOTIFY, 0);
    assert_int_equal(f->probe.notifications, 0);
    destroy(f);
}

/* Each width at each offset of the page: nothing happens to the state, nothing is out of bounds. */
static void test_odd_accesses(void **state)
{
    struct fixture *f = build();

    (void)state;
    start(f);
    for (unsigned len = 1; len <= 8; len *= 2) {
        for (uint64_t offset = 0; offset + len <= VIRTIO_MMIO_SIZE; offset++) {
            uint8_t raw[8] = {0};

            if (len == 4 && offset % 4 == 0 && offset < CONFIG)
                continue;
            f->mmio.range.ops->write(&f->mmio.range, offset, raw, len);
            f->mmio.range.ops->read(&f->mmio.range, offset, raw, len);
            for (unsigned i = 0; offset < CONFIG && i < len; i++)
                assert_int_equal(raw[i], 0);
        }
    }
    assert_int_equal(get(f, STATUS), ACKNOWLEDGED | FEATURES_OK | DRIVER_OK);
    assert_int_equal(f->probe.resets, 0);
    destroy(f);
}

static void test_config(void **state)
{
    static const uint8_t all[] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct fixture *f = build();
    uint8_t raw[8];

    (void)state;
    f->mmio.range.ops->read(&f->mmio.range, CONFIG, raw, 8);
    assert_memory_equal(raw, all, 8);
    f->mmio.range.ops->read(&f->mmio.range, CONFIG + 6, raw, 4); /* over its end */
    assert_memory_equal(raw, "\7\10\0\0", 4);
    f->mmio.range.ops->read(&f->mmio.range, CONFIG + 8, raw, 2);
    assert_memory_equal(raw, "\0\0", 2);
    f->mmio.range.ops->write(&f->mmio.range, CONFIG + 7, "zy", 2);
    assert_int_equal(f->probe.config[7], 'z');
    assert_int_equal(get(f, GENERATION), 0);
    virtio_device_config_changed(&f->probe.device);
    assert_int_equal(get(f, GENERATION), 1);
    destroy(f);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, negotiations, test_negotiation);
    unit_add(&unit, "what it says it is", test_identity, NULL);
    unit_add(&unit, "offered features", test_features, NULL);
    unit_add(&unit, "features are settled at FEATURES_OK", test_features_are_settled, NULL);
    unit_add(&unit, "status bits are not cleared", test_status_only_grows, NULL);
    unit_add(&unit, "a reset forgets all", test_reset_forgets, NULL);
    unit_add(&unit, "queue registers", test_queue_registers, NULL);
    unit_add(&unit, "interrupt and acknowledge", test_interrupt, NULL);
    unit_add(&unit, "acknowledged by an eventfd", test_interrupt_ack_by_eventfd, NULL);
    unit_add(&unit, "notifications out of place", test_notify_out_of_place, NULL);
    unit_add(&unit, "nonsense in a ring", test_nonsense_needs_reset, NULL);
    unit_add(&unit, "a queue of no possible size", test_bad_queue_needs_reset, NULL);
    unit_add(&unit, "a device that cannot work so", test_failing_activation, NULL);
    unit_add(&unit, "accesses of each size at each place", test_odd_accesses, NULL);
    unit_add(&unit, "configuration", test_config, NULL);
    return unit_run(&unit, "virtio_mmio");
}

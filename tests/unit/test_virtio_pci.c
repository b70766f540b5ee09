/* virtio/pci.h: configuration space and registers, as a driver and as an enemy see them. */
#include "virtio_pci_fixture.h"

#include <errno.h>

/* ---- The configuration space. ---- */

struct header_row {
    const char *name;
    unsigned offset, len;
    uint32_t value;
};

static const struct header_row headers[] = {
    {"vendor", PCI_VENDOR_ID, 2, 0x1af4},
    {"device: 0x1040 and the virtio id", PCI_DEVICE_ID, 2, 0x1044},
    {"revision 1, class other", PCI_CLASS_REVISION, 4, 0xff000001},
    {"subsystem", PCI_SUBSYSTEM_VENDOR_ID, 4, 0x10441af4},
    {"one function", PCI_HEADER_TYPE, 1, 0},
    {"BAR 0", PCI_BASE_ADDRESS_0, 4, 0xc800000c},
    {"interrupt line", PCI_INTERRUPT_LINE, 1, INTX_ISA},
    {"interrupt pin", PCI_INTERRUPT_PIN, 1, 1},
    {"MSI-X: vectors", MSIX_CAP + PCI_MSIX_FLAGS, 2, VECTORS - 1},
    {"MSI-X: the table in BAR 0", MSIX_CAP + PCI_MSIX_TABLE, 4, VIRTIO_PCI_MSIX},
    {"MSI-X: the pending bits in BAR 0", MSIX_CAP + PCI_MSIX_PBA, 4, VIRTIO_PCI_PBA},
};

static void test_header(void **state)
{
    const struct header_row *row = *state;
    struct fixture *f = build(false);

    assert_int_equal(config(f, row->offset, row->len), row->value);
    destroy(f);
}

/* The list as a driver walks it: struct virtio_pci_cap of each type, section 4.1.4. */
struct capability_row {
    const char *name;
    unsigned type, len;
    uint32_t offset, length;
};

static const struct capability_row capabilities[] = {
    {"common configuration", 1, 16, VIRTIO_PCI_COMMON, 64},
    {"notifications", 2, 20, VIRTIO_PCI_NOTIFY, 4 * PROBE_QUEUES},
    {"ISR", 3, 16, VIRTIO_PCI_ISR, 1},
    {"device configuration", 4, 16, VIRTIO_PCI_DEVICE, PROBE_CONFIG_SIZE},
    {"PCI configuration access", 5, 20, 0, 0},
};

static void test_capability(void **state)
{
    const struct capability_row *row = *state;
    struct fixture *f = build(false);
    unsigned at = find_capability(f, row->type);

    assert_true(at);
    assert_int_equal(config(f, at + 2, 1), row->len);
    assert_int_equal(config(f, at + 4, 1), 0); /* BAR 0 */
    assert_int_equal(config(f, at + 8, 4), row->offset);
    assert_int_equal(config(f, at + 12, 4), row->length);
    if (row->type == 2)
        assert_int_equal(config(f, at + 16, 4), 4); /* the multiplier */
    set_config(f, at, 4, 0);
    assert_int_equal(config(f, at, 1), PCI_CAP_ID_VNDR);
    destroy(f);
}

static void test_no_device_capability(void **state)
{
    struct fixture *f = build(false);
    struct virtio_pci *pci = test_calloc(1, sizeof(*pci));

    (void)state;
    f->probe.device.config_size = 0;
    assert_int_equal(virtio_pci_init(pci, &f->probe.device, &f->host, DEVICE, f->loop), -EEXIST);
    assert_int_equal(virtio_pci_init(pci, &f->probe.device, &f->host, PCI_DEVICES, f->loop),
                     -EINVAL);
    assert_int_equal(virtio_pci_init(pci, &f->probe.device, &f->host, 4, f->loop), 0);
    for (unsigned at = pci->function.config[PCI_CAPABILITY_LIST]; at;
         at = pci->function.config[at + 1])
        assert_false(pci->function.config[at] == PCI_CAP_ID_VNDR &&
                     pci->function.config[at + 3] == 4);
    virtio_pci_destroy(pci);
    destroy(f);
    test_free(pci);
}

/* ---- The common configuration. ---- */

static void test_features(void **state)
{
    struct fixture *f = build(false);

    (void)state;
    assert_int_equal(common(f, DEVICE_FEATURE), PROBE_FEATURE | 1U << 28 | 1U << 29);
    set_common(f, DEVICE_FEATURE_SELECT, 1);
    assert_int_equal(common(f, DEVICE_FEATURE_SELECT), 1);
    assert_int_equal(common(f, DEVICE_FEATURE), 1);
    set_common(f, DEVICE_FEATURE_SELECT, 2);
    assert_int_equal(common(f, DEVICE_FEATURE), 0);
    set_common(f, DRIVER_FEATURE_SELECT, 1);
    set_common(f, DRIVER_FEATURE, 1);
    assert_int_equal(common(f, DRIVER_FEATURE), 1);
    set_common(f, DRIVER_FEATURE_SELECT, 0);
    assert_int_equal(common(f, DRIVER_FEATURE), 0);
    set_common(f, DRIVER_FEATURE_SELECT, UINT32_MAX);
    set_common(f, DRIVER_FEATURE, UINT32_MAX);
    assert_int_equal(common(f, DRIVER_FEATURE), 0);
    set_common(f, STATUS, ACKNOWLEDGED | FEATURES_OK);
    assert_int_equal(common(f, STATUS), ACKNOWLEDGED | FEATURES_OK);
    destroy(f);
}

static void test_features_refused(void **state)
{
    struct fixture *f = build(false);

    (void)state;
    set_common(f, STATUS, ACKNOWLEDGED | FEATURES_OK); /* without VERSION_1 */
    assert_int_equal(common(f, STATUS), ACKNOWLEDGED);
    destroy(f);
}

static void test_queue_registers(void **state)
{
    struct fixture *f = build(false);

    (void)state;
    assert_int_equal(common(f, NUM_QUEUES), PROBE_QUEUES);
    for (unsigned i = 0; i < PROBE_QUEUES; i++) {
        set_common(f, QUEUE_SELECT, i);
        assert_int_equal(common(f, QUEUE_SELECT), i);
        assert_int_equal(common(f, QUEUE_SIZE), 8);
        assert_int_equal(common(f, QUEUE_VECTOR), NO_VECTOR);
        assert_int_equal(common(f, QUEUE_ENABLE), 0);
        assert_int_equal(common(f, QUEUE_NOTIFY_OFF), i);
    }
    set_common(f, QUEUE_SIZE, 4);
    set_common(f, QUEUE_DESC + 4, 0x12);
    set_common(f, QUEUE_DESC, 0x1000);
    assert_int_equal(common(f, QUEUE_SIZE), 4);
    assert_int_equal(common(f, QUEUE_DESC), 0x1000);
    assert_int_equal(common(f, QUEUE_DESC + 4), 0x12);
    set_common(f, QUEUE_ENABLE, 1);
    set_common(f, QUEUE_SIZE, 2); /* too late */
    set_common(f, QUEUE_ENABLE, 0);
    assert_int_equal(common(f, QUEUE_ENABLE), 1);
    assert_int_equal(common(f, QUEUE_SIZE), 4);
    set_common(f, STATUS, 0);
    assert_int_equal(common(f, QUEUE_ENABLE), 0);
    assert_int_equal(common(f, QUEUE_SIZE), 8);
    assert_int_equal(common(f, QUEUE_DESC + 4), 0);
    destroy(f);
}

static void test_no_such_queue(void **state)
{
    static const unsigned none[] = {PROBE_QUEUES, VIRTIO_MAX_QUEUES, 0xffff};
    struct fixture *f = build(false);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
        set_common(f, QUEUE_SELECT, none[i]);
        set_common(f, QUEUE_SIZE, 8);
        set_common(f, QUEUE_VECTOR, 0);
        set_common(f, QUEUE_ENABLE, 1);
        set_common(f, QUEUE_DESC, 0x1000);
        assert_int_equal(common(f, QUEUE_SIZE), 0);
        assert_int_equal(common(f, QUEUE_VECTOR), NO_VECTOR);
        assert_int_equal(common(f, QUEUE_ENABLE), 0);
        assert_int_equal(common(f, QUEUE_DESC), 0);
    }
    destroy(f);
}

static void test_queue_size_zero(void **state)
{
    struct fixture *f = build(false);

    (void)state;
    negotiate(f);
    set_queue(f, 1);
    set_common(f, QUEUE_SELECT, 0);
    set_common(f, QUEUE_SIZE, 0);
    set_queue(f, 0);
    set_common(f, STATUS, ACKNOWLEDGED | FEATURES_OK | DRIVER_OK);
    assert_true(common(f, STATUS) & NEEDS_RESET);
    destroy(f);
}

static void test_vectors(void **state)
{
    struct fixture *f = build(false);

    (void)state;
    assert_int_equal(common(f, CONFIG_VECTOR), NO_VECTOR);
    set_common(f, CONFIG_VECTOR, VECTORS - 1);
    set_common(f, QUEUE_VECTOR, 1);
    assert_int_equal(common(f, CONFIG_VECTOR), VECTORS - 1);
    assert_int_equal(common(f, QUEUE_VECTOR), 1);
    set_common(f, CONFIG_VECTOR, VECTORS); /* there are not so many */
    set_common(f, QUEUE_VECTOR, 0xfffe);
    assert_int_equal(common(f, CONFIG_VECTOR), NO_VECTOR);
    assert_int_equal(common(f, QUEUE_VECTOR), NO_VECTOR);
    set_common(f, CONFIG_VECTOR, 1);
    set_common(f, QUEUE_VECTOR, 1);
    set_common(f, STATUS, 0);
    assert_int_equal(common(f, CONFIG_VECTOR), NO_VECTOR);
    assert_int_equal(common(f, QUEUE_VECTOR), NO_VECTOR);
    destroy(f);
}

/* Accesses of another width than the field's, or between fields, read as zero and change nothing.
 */
static void test_odd_accesses(void **state)
{
    struct fixture *f = build(false);
    uint64_t base = bar(f, 0);

    (void)state;
    for (unsigned len = 1; len <= 8; len *= 2) {
        for (unsigned offset = 0; offset < 72; offset++) {
            if (offset + len <= 64 && (len == 8 || len != width(offset) || offset % len))
                assert_int_equal(get(f, base + offset, len), 0);
            if (len == 8 || offset % len || len != width(offset))
                set(f, base + offset, len, UINT64_MAX);
        }
    }
    assert_int_equal(common(f, STATUS), 0);
    assert_int_equal(common(f, QUEUE_SELECT), 0);
    assert_int_equal(common(f, QUEUE_SIZE), 8);
    assert_int_equal(common(f, QUEUE_DESC), 0);
    assert_int_equal(common(f, DRIVER_FEATURE), 0);
    destroy(f);
}

/* Every offset of the BAR, at every length: nothing but an answer. */
static void test_whole_bar(void **state)
{
    struct fixture *f = build(false);

    (void)state;
    for (unsigned len = 1; len <= 8; len *= 2) {
        for (unsigned offset = 0; offset + len <= VIRTIO_PCI_PARTS_SIZE; offset += 3) {
            get(f, bar(f, offset), len);
            set(f, bar(f, offset), len, UINT64_C(0x0102030405060708) * offset);
        }
    }
    assert_int_equal(get(f, bar(f, 0x0ffe), 4), 0); /* over the end of a part */
    assert_int_equal(get(f, bar(f, 0x7000), 8), 0);
    destroy(f);
}

static void test_device_config(void **state)
{
    struct fixture *f = build(false);
    uint64_t base = bar(f, VIRTIO_PCI_DEVICE);

    (void)state;
    assert_int_equal(get(f, base, 8), UINT64_C(0x0807060504030201));
    assert_int_equal(get(f, base + 1, 2), 0x0302);
    assert_int_equal(get(f, base + 3, 4), 0x07060504);
    assert_int_equal(get(f, base + 6, 4), 0x0807); /* over its end */
    assert_int_equal(get(f, base + 8, 8), 0);
    assert_int_equal(get(f, base + 0xffe, 4), 0);
    set(f, base + 7, 4, 0x11223344);
    set(f, base + 1, 1, 0x55);
    assert_int_equal(get(f, base, 8), UINT64_C(0x4407060504035501));
    f->probe.device.config_generation = 9;
    assert_int_equal(common(f, GENERATION), 9);
    destroy(f);
}

static void test_notify(void **state)
{
    struct fixture *f = build(false);

    (void)state;
    notify(f, 0);
    assert_int_equal(f->probe.notifications, 0); /* not before DRIVER_OK */
    start(f);
    notify(f, 0);
    notify(f, 1);
    set(f, bar(f, VIRTIO_PCI_NOTIFY), 4, 0xffffffff); /* the address tells the queue */
    assert_int_equal(f->probe.notifications, 3);
    notify(f, PROBE_QUEUES);
    notify(f, 1000);
    set(f, bar(f, VIRTIO_PCI_NOTIFY + 1), 2, 0);
    set(f, bar(f, VIRTIO_PCI_NOTIFY + 0xfff), 1, 0);
    assert_int_equal(f->probe.notifications, 3);
    assert_int_equal(get(f, bar(f, VIRTIO_PCI_NOTIFY), 4), 0);
    destroy(f);
}

static void test_moved_bar(void **state)
{
    struct fixture *f = build(false);

    (void)state;
    start(f);
    set_config(f, PCI_BASE_ADDRESS_0, 4, 0xcaff8000);
    assert_int_equal(bar(f, 0), 0xcaff8000);
    notify(f, 1);
    assert_int_equal(f->probe.notifications, 1);
    assert_int_equal(get(f, 0xc8000000, 4), 0xffffffff);
    destroy(f);
}

/* ---- The window of VIRTIO_PCI_CAP_PCI_CFG. ---- */

static void test_window(void **state)
{
    struct fixture *f = build(false);
    unsigned cap = find_capability(f, 5);

    (void)state;
    set_config(f, PCI_COMMAND, 2, 0); /* it works without the BAR */
    set_window(f, cap, VIRTIO_PCI_COMMON + STATUS, 1);
    set_config(f, cap + 16, 4, 0xffffff01);
    assert_int_equal(config(f, cap + 16, 1), 1);
    assert_int_equal(virtio_device_status(&f->probe.device), 1);
    set_window(f, cap, VIRTIO_PCI_COMMON + NUM_QUEUES, 2);
    assert_int_equal(config(f, cap + 16, 2), PROBE_QUEUES);
    set_window(f, cap, VIRTIO_PCI_DEVICE, 4);
    assert_int_equal(config(f, cap + 16, 4), 0x04030201);
    set_config(f, cap + 16, 4, 0x0a0b0c0d);
    assert_int_equal(f->probe.config[3], 0x0a);
    destroy(f);
}

struct window_row {
    const char *name;
    uint8_t bar;
    uint32_t offset, len;
};

static const struct window_row windows[] = {
    {"window: length 0", 0, 0x2000, 0},
    {"window: length 3", 0, 0x2000, 3},
    {"window: length 8", 0, 0x2000, 8},
    {"window: absurd length", 0, 0x2000, UINT32_MAX},
    {"window: another BAR", 1, 0x2000, 4},
    {"window: no BAR", 255, 0x2000, 4},
    {"window: not aligned", 0, 0x2001, 4},
    {"window: at the BAR's end", 0, 0x8000, 4},
    {"window: the last address", 0, 0xfffffffc, 4},
};

static void test_bad_window(void **state)
{
    const struct window_row *row = *state;
    struct fixture *f = build(false);
    unsigned cap = find_capability(f, 5);

    set_window(f, cap, row->offset, row->len);
    set_config(f, cap + 4, 1, row->bar);
    set_config(f, cap + 16, 4, 0x99999999);
    assert_int_equal(config(f, cap + 16, 4), 0x99999999); /* what was written, no more */
    assert_int_equal(f->probe.config[0], 1);
    destroy(f);
}

static void test_window_on_itself(void **state)
{
    struct fixture *f = build(false);
    unsigned cap = find_capability(f, 5);

    (void)state;
    start(f);
    set_window(f, cap, VIRTIO_PCI_NOTIFY + 4, 2);
    set_config(f, cap + 16, 2, 1);
    assert_int_equal(f->probe.notifications, 1);
    cause_interrupt(f);
    set_window(f, cap, VIRTIO_PCI_ISR, 1);
    assert_int_equal(config(f, cap + 16, 1), 1);
    assert_false(line(f));
    destroy(f);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, headers, test_header);
    unit_add_rows(&unit, capabilities, test_capability);
    unit_add(&unit, "no configuration, no capability for it", test_no_device_capability, NULL);
    unit_add(&unit, "features", test_features, NULL);
    unit_add(&unit, "features refused", test_features_refused, NULL);
    unit_add(&unit, "queue registers", test_queue_registers, NULL);
    unit_add(&unit, "a queue that is not there", test_no_such_queue, NULL);
    unit_add(&unit, "a queue of size 0", test_queue_size_zero, NULL);
    unit_add(&unit, "vectors of events", test_vectors, NULL);
    unit_add(&unit, "odd accesses to the registers", test_odd_accesses, NULL);
    unit_add(&unit, "all of the BAR", test_whole_bar, NULL);
    unit_add(&unit, "device configuration", test_device_config, NULL);
    unit_add(&unit, "notifications", test_notify, NULL);
    unit_add(&unit, "notifications where the BAR has moved", test_moved_bar, NULL);
    unit_add(&unit, "window: the registers without the BAR", test_window, NULL);
    unit_add_rows(&unit, windows, test_bad_window);
    unit_add(&unit, "window: doorbell and ISR", test_window_on_itself, NULL);
    return unit_run(&unit, "virtio_pci");
}

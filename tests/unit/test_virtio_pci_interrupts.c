/* virtio/pci.h: INTx and MSI-X; and all of it on several CPUs at once. */
#include "virtio_pci_fixture.h"

/* ---- INTx. ---- */

static bool status_interrupt(struct fixture *f)
{
    return config(f, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT;
}

static void test_intx(void **state)
{
    struct fixture *f = build(false);

    (void)state;
    start(f);
    assert_false(line(f));
    cause_interrupt(f);
    assert_true(line(f) && status_interrupt(f));
    assert_int_equal(get(f, bar(f, VIRTIO_PCI_ISR), 1), 1);
    assert_false(line(f) || status_interrupt(f));
    assert_int_equal(get(f, bar(f, VIRTIO_PCI_ISR), 1), 0);
    pthread_mutex_lock(&f->probe.device.lock);
    virtio_device_config_changed(&f->probe.device);
    pthread_mutex_unlock(&f->probe.device.lock);
    cause_interrupt(f);
    assert_true(line(f));
    assert_int_equal(get(f, bar(f, VIRTIO_PCI_ISR + 1), 1), 0); /* not the register */
    assert_true(line(f));
    assert_int_equal(get(f, bar(f, VIRTIO_PCI_ISR), 4), 3);
    assert_false(line(f));
    destroy(f);
}

static void test_intx_disabled(void **state)
{
    struct fixture *f = build(false);

    (void)state;
    start(f);
    set_config(f, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
    cause_interrupt(f);
    assert_false(line(f));
    assert_true(status_interrupt(f)); /* PCI 3.0, section 6.2.3: all the same */
    set_config(f, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    assert_true(line(f));
    set_config(f, PCI_COMMAND + 1, 1, PCI_COMMAND_INTX_DISABLE >> 8);
    assert_false(line(f));
    destroy(f);
}

static void test_intx_reset(void **state)
{
    struct fixture *f = build(false);

    (void)state;
    start(f);
    cause_interrupt(f);
    set_common(f, STATUS, 0);
    assert_false(line(f));
    assert_int_equal(get(f, bar(f, VIRTIO_PCI_ISR), 1), 0);
    destroy(f);
}

static void test_intx_and_msix(void **state)
{
    struct fixture *f = build(false);

    (void)state;
    start(f);
    cause_interrupt(f);
    assert_true(line(f));
    set_msix(f, PCI_MSIX_FLAGS_ENABLE); /* PCI 3.0, section 6.8.3.3: then INTx is not used */
    assert_false(line(f) || status_interrupt(f));
    cause_interrupt(f);
    assert_false(line(f));
    destroy(f);
}

/* ---- MSI-X. ---- */

static void test_msix(void **state)
{
    struct fixture *f = build(false);

    (void)state;
    start_msix(f);
    assert_int_equal(config(f, MSIX_CAP + PCI_MSIX_FLAGS, 2), 0x8000 | (VECTORS - 1));
    cause_interrupt(f);
    assert_int_equal(pulses(f, 1), 1);
    pthread_mutex_lock(&f->probe.device.lock);
    virtio_device_config_changed(&f->probe.device);
    pthread_mutex_unlock(&f->probe.device.lock);
    assert_int_equal(pulses(f, 0), 1);
    assert_int_equal(pulses(f, 1) + pulses(f, 2), 0);
    make_available(f, 1); /* its queue has no vector */
    notify(f, 1);
    assert_int_equal(f->probe.notifications, 2);
    assert_int_equal(pulses(f, 0) + pulses(f, 1) + pulses(f, 2), 0);
    assert_int_equal(pending(f), 0);
    destroy(f);
}

static void test_msix_masked(void **state)
{
    struct fixture *f = build(false);

    (void)state;
    start_msix(f);
    set(f, entry(f, 1, 3), 4, 1);
    cause_interrupt(f);
    cause_interrupt(f);
    assert_int_equal(pulses(f, 1), 0);
    assert_int_equal(pending(f), 2);
    set(f, bar(f, VIRTIO_PCI_PBA), 8, 0); /* read-only */
    assert_int_equal(pending(f), 2);
    set(f, entry(f, 1, 3), 4, 0);
    assert_int_equal(pulses(f, 1), 1); /* once for both */
    assert_int_equal(pending(f), 0);
    destroy(f);
}

static void test_msix_function_masked(void **state)
{
    struct fixture *f = build(false);

    (void)state;
    start_msix(f);
    set_msix(f, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    cause_interrupt(f);
    assert_int_equal(pulses(f, 1), 0);
    assert_int_equal(pending(f), 2);
    set_config(f, MSIX_CAP + 3, 1, PCI_MSIX_FLAGS_ENABLE >> 8); /* its upper byte alone */
    assert_int_equal(pulses(f, 1), 1);
    assert_int_equal(pending(f), 0);
    destroy(f);
}

static void test_msix_reset(void **state)
{
    struct fixture *f = build(false);

    (void)state;
    start_msix(f);
    set(f, entry(f, 1, 3), 4, 1);
    cause_interrupt(f);
    set_common(f, STATUS, 0);
    assert_int_equal(pending(f), 0);
    set(f, entry(f, 1, 3), 4, 0);
    assert_int_equal(pulses(f, 1), 0);
    assert_int_equal(get(f, entry(f, 1, 0), 4), 0xfee00000); /* the table stays */
    destroy(f);
}

static void test_msix_off(void **state)
{
    struct fixture *f = build(false);

    (void)state;
    start_msix(f);
    set(f, entry(f, 1, 3), 4, 1);
    cause_interrupt(f);
    set_msix(f, 0);
    assert_int_equal(pending(f), 0);
    cause_interrupt(f);
    assert_int_equal(pulses(f, 1), 0);
    assert_true(line(f));
    destroy(f);
}

static void test_msix_table(void **state)
{
    struct fixture *f = build(false);

    (void)state;
    assert_int_equal(get(f, entry(f, 2, 3), 4), 1); /* masked after a reset */
    set(f, entry(f, 2, 0), 8, UINT64_C(0x12345678fee01003));
    set(f, entry(f, 2, 2), 8, UINT64_C(0xfffffffe00004021));
    assert_int_equal(get(f, entry(f, 2, 0), 8), UINT64_C(0x12345678fee01000));
    assert_int_equal(get(f, entry(f, 2, 2), 8), 0x4021);
    set(f, entry(f, 2, 3), 4, 0xffffffff);
    assert_int_equal(get(f, entry(f, 2, 3), 4), 1);
    set(f, entry(f, 2, 2), 2, 0xffff);     /* too narrow */
    set(f, entry(f, 2, 2) + 2, 4, 0xffff); /* not aligned */
    assert_int_equal(get(f, entry(f, 2, 2), 4), 0x4021);
    assert_int_equal(get(f, entry(f, 2, 2), 2), 0);
    set(f, entry(f, VECTORS, 0), 4, 0xffffffff); /* behind the last */
    assert_int_equal(get(f, entry(f, VECTORS, 0), 8), 0);
    assert_int_equal(get(f, bar(f, VIRTIO_PCI_MSIX + 0xffc), 4), 0);
    destroy(f);
}

static void test_msix_no_interrupt_address(void **state)
{
    struct fixture *f = build(false);

    (void)state;
    start_msix(f);
    set_entry(f, 1, 0x00001000, 0x41, 0);
    cause_interrupt(f);
    assert_int_equal(pulses(f, 1), 0);
    set_entry(f, 1, 0xfee00000, 0x41, 0);
    cause_interrupt(f);
    assert_int_equal(pulses(f, 1), 1);
    destroy(f);
}

/* ---- Several CPUs at once: for the thread sanitizer, and against deadlocks. ---- */

#define ROUNDS 2000

/* One CPU moves the BAR about, switches MSI-X, and writes the status through the window. */
static void *configure(void *arg)
{
    struct fixture *f = arg;
    unsigned cap = find_capability(f, 5);

    for (unsigned i = 0; i < ROUNDS; i++) {
        set_config(f, PCI_BASE_ADDRESS_0, 4, i % 2 ? 0xc8000000 : 0xc9000000);
        set_config(f, PCI_COMMAND, 2, i % 8 ? PCI_COMMAND_MEMORY : PCI_COMMAND_INTX_DISABLE);
        set_msix(f, (uint16_t)(i << 14)); /* enabled and masked, by turns */
        set_window(f, cap, VIRTIO_PCI_COMMON + STATUS, 1);
        set_config(f, cap + 16, 1, i % 16 ? 0x0f : 0);
        config(f, PCI_STATUS, 2);
    }
    return NULL;
}

/* Another one uses it, where it was and where it is. */
static void *drive(void *arg)
{
    struct fixture *f = arg;

    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t base = i % 2 ? 0xc8000000 : 0xc9000000;

        set(f, base + VIRTIO_PCI_COMMON + STATUS, 1, i % 32 ? 0x0f : 0);
        set(f, base + VIRTIO_PCI_COMMON + QUEUE_SELECT, 2, i % 3);
        set(f, base + VIRTIO_PCI_COMMON + QUEUE_VECTOR, 2, i % 4);
        set(f, base + VIRTIO_PCI_MSIX + 16 * (i % VECTORS), 4, 0xfee00000 + (i << 12));
        set(f, base + VIRTIO_PCI_MSIX + 16 * (i % VECTORS) + 12, 4, i % 5 == 0);
        get(f, base + VIRTIO_PCI_ISR, 1);
        get(f, base + VIRTIO_PCI_PBA, 8);
        set(f, base + VIRTIO_PCI_NOTIFY, 2, 0);
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct fixture *f = build(false);
    pthread_t threads[2];

    (void)state;
    assert_int_equal(pthread_create(&threads[0], NULL, configure, f), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, drive, f), 0);
    for (unsigned i = 0; i < ROUNDS; i++) { /* the loop's thread: the device has news */
        pthread_mutex_lock(&f->probe.device.lock);
        f->probe.device.transport_ops->interrupt_queue(f->probe.device.transport, i % PROBE_QUEUES);
        f->probe.device.transport_ops->interrupt_config(f->probe.device.transport);
        pthread_mutex_unlock(&f->probe.device.lock);
    }
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    set_msix(f, 0);
    set_config(f, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    set_common(f, STATUS, 0);
    assert_false(line(f));
    destroy(f);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add(&unit, "INTx", test_intx, NULL);
    unit_add(&unit, "INTx disabled", test_intx_disabled, NULL);
    unit_add(&unit, "INTx and a reset", test_intx_reset, NULL);
    unit_add(&unit, "INTx gives way to MSI-X", test_intx_and_msix, NULL);
    unit_add(&unit, "MSI-X", test_msix, NULL);
    unit_add(&unit, "MSI-X: a masked vector", test_msix_masked, NULL);
    unit_add(&unit, "MSI-X: the function masked", test_msix_function_masked, NULL);
    unit_add(&unit, "MSI-X: a reset", test_msix_reset, NULL);
    unit_add(&unit, "MSI-X: off again", test_msix_off, NULL);
    unit_add(&unit, "MSI-X: the table", test_msix_table, NULL);
    unit_add(&unit, "MSI-X: an address that is no interrupt", test_msix_no_interrupt_address, NULL);
    unit_add(&unit, "two CPUs and the loop at once", test_threads, NULL);
    return unit_run(&unit, "virtio_pci_interrupts");
}

/*
 * A virtio-pci function on a PCI host, with the probe device behind it; without a VM, or with a
 * real one; and a driver's accesses to it.
 */
#ifndef OSVM_TESTS_VIRTIO_PCI_FIXTURE_H
#define OSVM_TESTS_VIRTIO_PCI_FIXTURE_H

#include "unit.h"

#include <linux/pci_regs.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/loop.h"
#include "base/util.h"
#include "guest/kvm.h"
#include "probe_device.h"
#include "virtio/pci.h"

/* Virtio 1.2, section 4.1.4.3. */
#define DEVICE_FEATURE_SELECT 0x00
#define DEVICE_FEATURE        0x04
#define DRIVER_FEATURE_SELECT 0x08
#define DRIVER_FEATURE        0x0c
#define CONFIG_VECTOR         0x10
#define NUM_QUEUES            0x12
#define STATUS                0x14
#define GENERATION            0x15
#define QUEUE_SELECT          0x16
#define QUEUE_SIZE            0x18
#define QUEUE_VECTOR          0x1a
#define QUEUE_ENABLE          0x1c
#define QUEUE_NOTIFY_OFF      0x1e
#define QUEUE_DESC            0x20
#define QUEUE_DRIVER          0x28
#define QUEUE_DEVICE          0x30

#define ACKNOWLEDGED 0x03 /* ACKNOWLEDGE, DRIVER */
#define FEATURES_OK  0x08
#define DRIVER_OK    0x04
#define NEEDS_RESET  0x40

#define DEVICE    3 /* INTA: GSI 19 and ISA 11 */
#define INTX_GSI  19
#define INTX_ISA  11
#define MSIX_CAP  0x40
#define VECTORS   (PROBE_QUEUES + 1)
#define NO_VECTOR 0xffff

struct loop_pass {
    struct loop_timer timer;
    struct loop *loop;
};

struct fixture {
    struct guest_memory *mem;
    struct loop *loop;
    struct kvm kvm;
    struct vm vm;
    struct bus mmio;
    struct pci_host host;
    struct probe_device probe;
    struct virtio_pci pci;
};

/* With a real VM, or without one. */
static inline struct fixture *build(bool kvm)
{
    struct guest_memory_options options = {.size = 1 * MIB};
    struct fixture *f = test_calloc(1, sizeof(*f));
    struct virtio_env env;

    f->kvm.fd = f->vm.fd = -1;
    assert_int_equal(guest_memory_create(&options, &f->mem, NULL), 0);
    assert_int_equal(loop_create(&f->loop), 0);
    if (kvm) {
        assert_int_equal(kvm_open(&f->kvm, NULL), 0);
        assert_int_equal(vm_create(&f->vm, &f->kvm, f->mem, NULL), 0);
    }
    env = (struct virtio_env){.loop = f->loop, .mem = f->mem};
    probe_init(&f->probe, &env);
    assert_int_equal(pci_host_init(&f->host, &pci_board_pc, NULL, kvm ? &f->vm : NULL), 0);
    assert_int_equal(virtio_pci_init(&f->pci, &f->probe.device, &f->host, DEVICE, f->loop), 0);
    assert_int_equal(bus_add(&f->mmio, &f->host.ecam_range), 0);
    assert_int_equal(bus_add(&f->mmio, &f->host.window_range), 0);
    return f;
}

static inline void destroy(struct fixture *f)
{
    virtio_pci_destroy(&f->pci);
    pci_host_destroy(&f->host);
    virtio_device_deinit(&f->probe.device);
    vm_destroy(&f->vm);
    kvm_close(&f->kvm);
    loop_destroy(f->loop);
    guest_memory_destroy(f->mem);
    test_free(f);
}

static inline uint64_t get(struct fixture *f, uint64_t gpa, unsigned len)
{
    uint8_t raw[8] = {0};

    memset(raw, 0x55, len);
    bus_read(&f->mmio, gpa, raw, len);
    return load_le64(raw);
}

static inline void set(struct fixture *f, uint64_t gpa, unsigned len, uint64_t value)
{
    uint8_t raw[8];

    store_le64(raw, value);
    bus_write(&f->mmio, gpa, raw, len);
}

static inline uint64_t bar(struct fixture *f, uint64_t offset)
{
    return f->pci.function.bar_base + offset;
}

static inline uint64_t config(struct fixture *f, unsigned offset, unsigned len)
{
    return get(f, LAYOUT_PCI_ECAM + (DEVICE << 15) + offset, len);
}

static inline void set_config(struct fixture *f, unsigned offset, unsigned len, uint64_t value)
{
    set(f, LAYOUT_PCI_ECAM + (DEVICE << 15) + offset, len, value);
}

/* The natural width of a field. */
static inline unsigned width(unsigned reg)
{
    if (reg == STATUS || reg == GENERATION)
        return 1;
    return reg < CONFIG_VECTOR || reg >= QUEUE_DESC ? 4 : 2;
}

static inline uint32_t common(struct fixture *f, unsigned reg)
{
    return (uint32_t)get(f, bar(f, VIRTIO_PCI_COMMON + reg), width(reg));
}

static inline void set_common(struct fixture *f, unsigned reg, uint32_t value)
{
    set(f, bar(f, VIRTIO_PCI_COMMON + reg), width(reg), value);
}

static inline void set_queue(struct fixture *f, unsigned queue)
{
    set_common(f, QUEUE_SELECT, queue);
    set_common(f, QUEUE_DESC, 0x1000 + 0x4000 * queue);
    set_common(f, QUEUE_DRIVER, 0x2000 + 0x4000 * queue);
    set_common(f, QUEUE_DEVICE, 0x3000 + 0x4000 * queue);
    set_common(f, QUEUE_ENABLE, 1);
}

static inline void negotiate(struct fixture *f)
{
    set_common(f, STATUS, ACKNOWLEDGED);
    set_common(f, DRIVER_FEATURE_SELECT, 1);
    set_common(f, DRIVER_FEATURE, 1);
    set_common(f, STATUS, ACKNOWLEDGED | FEATURES_OK);
}

/* Everything up to DRIVER_OK, with both queues at the size that they offer. */
static inline void start(struct fixture *f)
{
    negotiate(f);
    for (unsigned i = 0; i < PROBE_QUEUES; i++)
        set_queue(f, i);
    set_common(f, STATUS, ACKNOWLEDGED | FEATURES_OK | DRIVER_OK);
    assert_int_equal(f->probe.activations, 1);
}

/* One chain in a queue, of one writable byte, made available. */
static inline void make_available(struct fixture *f, unsigned queue)
{
    uint64_t rings = 0x1000 + 0x4000 * queue;
    uint8_t desc[16] = {0}, raw[2];

    store_le64(desc, 0x9000);
    store_le32(desc + 8, 1);
    store_le16(desc + 12, 2);
    assert_int_equal(guest_memory_write(f->mem, rings, desc, sizeof(desc)), 0);
    guest_memory_read(f->mem, rings + 0x1002, raw, 2);
    store_le16(raw, (uint16_t)(load_le16(raw) + 1));
    guest_memory_write(f->mem, rings + 0x1002, raw, 2);
}

static inline void stop_passing(struct loop_timer *timer)
{
    loop_stop(container_of(timer, struct loop_pass, timer)->loop);
}

/* Have the loop serve what is ready now. */
static inline void pass_loop(struct fixture *f)
{
    struct loop_pass pass = {.timer.callback = stop_passing, .loop = f->loop};

    assert_int_equal(loop_timer_add(f->loop, &pass.timer), 0);
    loop_timer_arm(&pass.timer, 0, 0);
    assert_int_equal(loop_run(f->loop), 0);
    loop_timer_remove(f->loop, &pass.timer);
}

/* Where there is a KVM, the work is the loop's, by whatever way the doorbell is rung. */
static inline void notify(struct fixture *f, unsigned queue)
{
    set(f, bar(f, VIRTIO_PCI_NOTIFY + 4 * queue), 2, queue);
    if (f->host.vm)
        pass_loop(f);
}

/* What makes queue 0 interrupt. */
static inline void cause_interrupt(struct fixture *f)
{
    make_available(f, 0);
    notify(f, 0);
}

static inline uint64_t entry(struct fixture *f, unsigned vector, unsigned word)
{
    return bar(f, VIRTIO_PCI_MSIX + 16 * vector + 4 * word);
}

static inline void set_entry(struct fixture *f, unsigned vector, uint32_t address, uint32_t data,
                             uint32_t control)
{
    set(f, entry(f, vector, 0), 4, address);
    set(f, entry(f, vector, 1), 4, 0);
    set(f, entry(f, vector, 2), 4, data);
    set(f, entry(f, vector, 3), 4, control);
}

static inline void set_msix(struct fixture *f, uint16_t flags)
{
    set_config(f, MSIX_CAP + PCI_MSIX_FLAGS, 2, flags);
}

static inline unsigned pulses(struct fixture *f, unsigned vector)
{
    uint64_t count = 0;

    return read(f->pci.vectors[vector].irq.fd, &count, sizeof(count)) == sizeof(count)
               ? (unsigned)count
               : 0;
}

static inline uint64_t pending(struct fixture *f)
{
    return get(f, bar(f, VIRTIO_PCI_PBA), 8);
}

/* MSI-X on: vector 0 for the configuration, 1 for queue 0, all unmasked. */
static inline void start_msix(struct fixture *f)
{
    start(f);
    set_common(f, CONFIG_VECTOR, 0);
    set_common(f, QUEUE_SELECT, 0);
    set_common(f, QUEUE_VECTOR, 1);
    for (unsigned i = 0; i < VECTORS; i++)
        set_entry(f, i, 0xfee00000, 0x40 + i, 0);
    set_msix(f, PCI_MSIX_FLAGS_ENABLE);
}

/* The virtio capability of a type, by walking the list. Returns 0 where there is none. */
static inline unsigned find_capability(struct fixture *f, unsigned type)
{
    unsigned at = (unsigned)config(f, PCI_CAPABILITY_LIST, 1), steps = 0;

    while (at && (config(f, at, 1) != PCI_CAP_ID_VNDR || config(f, at + 3, 1) != type)) {
        assert_true(at >= 0x40 && at % 4 == 0 && ++steps < 48);
        at = (unsigned)config(f, at + 1, 1);
    }
    return at;
}

/* Point the capability of the PCI configuration access at registers. */
static inline void set_window(struct fixture *f, unsigned cap, uint32_t offset, uint32_t len)
{
    set_config(f, cap + 4, 1, 0);
    set_config(f, cap + 8, 4, offset);
    set_config(f, cap + 12, 4, len);
}

/* Whether INTA is asserted, on both of its lines. */
static inline bool line(struct fixture *f)
{
    assert_int_equal(!f->host.asserted[INTX_GSI], !f->host.asserted[INTX_ISA]);
    return f->host.asserted[INTX_GSI];
}

#endif

/* virtio/pci.h through a real VM: interrupts, and doorbells that a guest rings. */
#include "virtio_pci_fixture.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/clock.h"

/* ---- With KVM. ---- */

static struct fixture *build_with_kvm(void)
{
    if (access("/dev/kvm", R_OK | W_OK) < 0)
        skip();
    return build(true);
}

/* A CPU with its local APIC switched on, so that it accepts messages. */
static int create_vcpu(struct fixture *f)
{
    struct kvm_lapic_state lapic;
    int vcpu = ioctl(f->vm.fd, KVM_CREATE_VCPU, 0);

    assert_true(vcpu >= 0);
    assert_int_equal(ioctl(vcpu, KVM_GET_LAPIC, &lapic), 0);
    lapic.regs[0xf1] |= 1; /* the spurious vector register's bit 8 */
    assert_int_equal(ioctl(vcpu, KVM_SET_LAPIC, &lapic), 0);
    return vcpu;
}

/* Whether the local APIC has taken a vector, within a second. */
static bool wait_for_vector(int vcpu, unsigned vector)
{
    uint64_t end = clock_monotonic_ns() + UINT64_C(1000000000);
    struct kvm_lapic_state lapic;

    while (clock_monotonic_ns() < end) {
        assert_int_equal(ioctl(vcpu, KVM_GET_LAPIC, &lapic), 0);
        if (lapic.regs[0x200 + vector / 32 * 16 + vector % 32 / 8] & 1 << vector % 8)
            return true;
    }
    return false;
}

static void test_kvm_msix(void **state)
{
    struct fixture *f = build_with_kvm();
    int vcpu = create_vcpu(f);

    (void)state;
    start_msix(f); /* vector 1: message 0x41 */
    cause_interrupt(f);
    assert_true(wait_for_vector(vcpu, 0x41));
    set_entry(f, 1, 0xfee00000, 0x93, 0); /* routed anew */
    cause_interrupt(f);
    assert_true(wait_for_vector(vcpu, 0x93));
    /* One that KVM refuses (bits 7–0 of the upper half, with 32-bit APIC ids) goes nowhere. */
    set(f, entry(f, 1, 1), 4, 0xff);
    assert_false(f->pci.vectors[1].routed);
    cause_interrupt(f);
    set_entry(f, 1, 0xfee00000, 0x94, 0);
    cause_interrupt(f);
    assert_true(wait_for_vector(vcpu, 0x94));
    close(vcpu);
    destroy(f);
}

static bool pic_and_ioapic_see(struct fixture *f)
{
    struct kvm_irqchip pic = {.chip_id = KVM_IRQCHIP_PIC_SLAVE};
    struct kvm_irqchip ioapic = {.chip_id = KVM_IRQCHIP_IOAPIC};
    bool in_pic, in_ioapic;

    assert_int_equal(ioctl(f->vm.fd, KVM_GET_IRQCHIP, &pic), 0);
    assert_int_equal(ioctl(f->vm.fd, KVM_GET_IRQCHIP, &ioapic), 0);
    assert_int_equal(pic.chip.pic.elcr, 1 << (10 - 8) | 1 << (11 - 8));
    in_pic = pic.chip.pic.irr & 1 << (INTX_ISA - 8);
    in_ioapic = ioapic.chip.ioapic.irr & 1 << INTX_GSI;
    assert_int_equal(in_pic, in_ioapic);
    return in_pic;
}

static void test_kvm_intx(void **state)
{
    struct fixture *f = build_with_kvm();

    (void)state;
    start(f);
    assert_false(pic_and_ioapic_see(f));
    cause_interrupt(f);
    assert_true(pic_and_ioapic_see(f));
    get(f, bar(f, VIRTIO_PCI_ISR), 1);
    assert_false(pic_and_ioapic_see(f));
    destroy(f);
}

/* A pin's pulse is one edge, which has arrived once the call returns: no thread of KVM's brings it.
 */
static void test_kvm_pin_pulse(void **state)
{
    struct fixture *f = build_with_kvm();
    struct kvm_irqchip pic = {.chip_id = KVM_IRQCHIP_PIC_MASTER};
    struct irq_line line;

    (void)state;
    assert_int_equal(vm_irq_connect(&f->vm, IRQ_COUNT, &line), -EINVAL);
    assert_int_equal(vm_irq_connect(&f->vm, IRQ_SERIAL, &line), 0);
    irq_line_pulse(&line);
    assert_int_equal(ioctl(f->vm.fd, KVM_GET_IRQCHIP, &pic), 0);
    assert_true(pic.chip.pic.irr & 1 << IRQ_SERIAL);
    assert_false(pic.chip.pic.last_irr & 1 << IRQ_SERIAL); /* it is low again */
    irq_line_destroy(&line);
    assert_int_equal(ioctl(f->vm.fd, KVM_GET_IRQCHIP, &pic), 0); /* the VM was borrowed */
    destroy(f);
}

/* The pins' routes are still what they were once the table has a message. */
static void test_kvm_pins_after_msix(void **state)
{
    struct fixture *f = build_with_kvm();
    int vcpu = create_vcpu(f);

    (void)state;
    start_msix(f);
    set_msix(f, 0);
    cause_interrupt(f);
    assert_true(pic_and_ioapic_see(f));
    get(f, bar(f, VIRTIO_PCI_ISR), 1);
    assert_false(pic_and_ioapic_see(f));
    close(vcpu);
    destroy(f);
}

/*
 * Real mode with flat segments: mov %ax, (address); out %al, $0x80. Runs it, and returns whether
 * the write stopped the CPU on the way.
 */
static bool guest_writes(struct fixture *f, int vcpu, struct kvm_run *run, uint64_t address)
{
    uint8_t code[] = {0x67, 0xa3, 0, 0, 0, 0, 0xe6, 0x80};
    struct kvm_sregs sregs;
    struct kvm_regs regs = {.rip = 0x8000, .rflags = 2};
    bool stopped = false;

    store_le32(code + 2, (uint32_t)address);
    assert_int_equal(guest_memory_write(f->mem, regs.rip, code, sizeof(code)), 0);
    assert_int_equal(ioctl(vcpu, KVM_GET_SREGS, &sregs), 0);
    sregs.cs.base = sregs.cs.selector = 0;
    sregs.ds.base = 0;
    sregs.ds.limit = 0xffffffff;
    sregs.ds.g = 1;
    assert_int_equal(ioctl(vcpu, KVM_SET_SREGS, &sregs), 0);
    assert_int_equal(ioctl(vcpu, KVM_SET_REGS, &regs), 0);
    for (;;) {
        assert_int_equal(ioctl(vcpu, KVM_RUN, 0), 0);
        if (run->exit_reason != KVM_EXIT_MMIO)
            break;
        assert_int_equal(run->mmio.phys_addr, address);
        bus_write(&f->mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
        stopped = true;
    }
    assert_int_equal(run->exit_reason, KVM_EXIT_IO);
    return stopped;
}

/* How often the doorbell of a queue was rung and not yet heard by the loop. */
static unsigned rings(struct fixture *f, unsigned queue)
{
    uint64_t count = 0;
    int fd = f->pci.notifiers[queue].source.fd;

    return read(fd, &count, sizeof(count)) == sizeof(count) ? (unsigned)count : 0;
}

static void test_kvm_doorbell(void **state)
{
    struct fixture *f = build_with_kvm();
    int vcpu = ioctl(f->vm.fd, KVM_CREATE_VCPU, 0);
    struct kvm_run *run = mmap(NULL, f->kvm.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);

    (void)state;
    assert_true(run != MAP_FAILED);
    assert_true(guest_writes(f, vcpu, run, bar(f, VIRTIO_PCI_NOTIFY))); /* before DRIVER_OK */
    start(f);
    assert_false(guest_writes(f, vcpu, run, bar(f, VIRTIO_PCI_NOTIFY)));
    assert_false(guest_writes(f, vcpu, run, bar(f, VIRTIO_PCI_NOTIFY + 4)));
    assert_false(guest_writes(f, vcpu, run, bar(f, VIRTIO_PCI_NOTIFY + 4)));
    assert_int_equal(rings(f, 0), 1);
    assert_int_equal(rings(f, 1), 2);
    /* The doorbells go where the BAR goes. */
    set_config(f, PCI_BASE_ADDRESS_0, 4, 0xca000000);
    assert_false(guest_writes(f, vcpu, run, 0xca000000 + VIRTIO_PCI_NOTIFY));
    assert_true(guest_writes(f, vcpu, run, 0xc8000000 + VIRTIO_PCI_NOTIFY));
    assert_int_equal(rings(f, 0), 1);
    /* They stay there over a reset, which nobody hears; and go once the BAR moves without a driver.
     */
    set_common(f, STATUS, 0);
    assert_false(guest_writes(f, vcpu, run, 0xca000000 + VIRTIO_PCI_NOTIFY));
    f->pci.notifiers[0].source.callback(&f->pci.notifiers[0].source, EPOLLIN);
    assert_int_equal(rings(f, 0) + f->probe.notifications, 0);
    set_config(f, PCI_BASE_ADDRESS_0, 4, 0xc8000000);
    assert_true(guest_writes(f, vcpu, run, 0xca000000 + VIRTIO_PCI_NOTIFY));
    assert_true(guest_writes(f, vcpu, run, 0xc8000000 + VIRTIO_PCI_NOTIFY));
    assert_int_equal(rings(f, 0) + f->probe.notifications, 0);
    munmap(run, f->kvm.run_size);
    close(vcpu);
    destroy(f);
}

static void test_kvm_two_at_one_address(void **state)
{
    struct fixture *f = build_with_kvm();
    struct virtio_pci *second = test_calloc(1, sizeof(*second));

    (void)state;
    start(f);
    assert_int_equal(virtio_pci_init(second, &f->probe.device, &f->host, 5, f->loop), 0);
    set_config(f, PCI_BASE_ADDRESS_0, 4, second->function.bar_base);
    assert_int_equal(f->pci.notifiers[0].attached, second->function.bar_base + VIRTIO_PCI_NOTIFY);
    second->driver_ok = true;
    set(f, LAYOUT_PCI_ECAM + (5 << 15) + PCI_COMMAND, 2, 0);
    set(f, LAYOUT_PCI_ECAM + (5 << 15) + PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    assert_int_equal(second->notifiers[0].attached, PCI_BAR_UNMAPPED); /* it is taken */
    set(f, LAYOUT_PCI_ECAM + (5 << 15) + PCI_COMMAND, 2, 0);
    virtio_pci_destroy(second);
    f->host.functions[5] = NULL;
    destroy(f);
    test_free(second);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add(&unit, "KVM: MSI-X reaches the local APIC", test_kvm_msix, NULL);
    unit_add(&unit, "KVM: INTx reaches the 8259 and the IOAPIC", test_kvm_intx, NULL);
    unit_add(&unit, "KVM: INTx after MSI-X", test_kvm_pins_after_msix, NULL);
    unit_add(&unit, "KVM: a pin's pulse", test_kvm_pin_pulse, NULL);
    unit_add(&unit, "KVM: doorbells do not stop the CPU", test_kvm_doorbell, NULL);
    unit_add(&unit, "KVM: two doorbells at one address", test_kvm_two_at_one_address, NULL);
    return unit_run(&unit, "virtio_pci_kvm");
}

/* A VM: its memory slots and its in-kernel interrupt controllers (two 8259, IOAPIC, local APICs).
 */
#ifndef OSVM_GUEST_VM_H
#define OSVM_GUEST_VM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "guest/irq.h"
#include "guest/kvm.h"
#include "guest/memory.h"

struct kvm_irq_routing;

struct vm {
    const struct kvm *kvm; /* borrowed */
    int fd;                /* -1: not created */
    pthread_mutex_t routes_lock;
    struct kvm_irq_routing *routes; /* KVM's whole table; NULL where there is no MSI line */
    uint32_t msi_count;
    void *zeroes; /* what a guest finds where a PC has its MP table; NULL: it has RAM there */
};

/**
 * Create a VM over this memory, which must outlive it. Where the memory does not begin at 0, what a
 * kernel searches for an MP table (layout.h) reads as zero.
 * Returns 0 or a negative errno with the reason in err; `vm` is destroyed then.
 */
int vm_create(struct vm *vm, const struct kvm *kvm, const struct guest_memory *mem,
              struct error *err);

/* After its vCPUs are destroyed. Accepts one that was not created (fd -1). */
void vm_destroy(struct vm *vm);

/**
 * Make an edge-triggered line to a pin of the interrupt controllers, by its GSI.
 * @ret_line  borrows the VM; the caller (or the device that takes it over) destroys it
 * Returns 0, or -EINVAL where there is no such pin.
 */
int vm_irq_connect(struct vm *vm, uint32_t gsi, struct irq_line *ret_line);

/**
 * Have a guest's write of `value` with `len` bytes to a memory-mapped address signal an eventfd,
 * without a stop of the vCPU. Other values and lengths still go to the bus.
 *
 * Returns the eventfd (non-blocking; the caller closes it, which ends it) or a negative errno.
 * Before the guest runs.
 */
int vm_notify_on_write(struct vm *vm, uint64_t gpa, unsigned len, uint64_t value);

/**
 * Have a guest's write of anything, in any width, to a memory-mapped address signal this eventfd,
 * without a stop of the vCPU, until it is detached.
 *
 * Returns 0; -EEXIST where that address has one already; or another negative errno: the writes then
 * go to the bus. Any thread.
 */
int vm_notify_attach(struct vm *vm, uint64_t gpa, int fd);

/* End it: the address and the eventfd of a vm_notify_attach() that returned 0. Any thread. */
void vm_notify_detach(struct vm *vm, uint64_t gpa, int fd);

/* The most lines of vm_msi_connect(); KVM's table has room for more. */
#define VM_MAX_MSIS 1024

/**
 * Make a line whose pulses are messages (MSI). It has a GSI of its own, over those of the
 * controllers, and leads nowhere until vm_msi_route().
 * @ret_line  the caller destroys it
 * Returns 0, -ENOSPC where the VM has VM_MAX_MSIS of them, or another negative errno. Before the
 * guest runs.
 */
int vm_msi_connect(struct vm *vm, struct irq_line *ret_line);

/**
 * Say what message the pulses of a line from vm_msi_connect() are: what a PCI function would write
 * where (PCI 3.0, section 6.8.1; Intel SDM volume 3, section 11.11).
 * Returns 0 or a negative errno; the line then leads where it did before. Any thread.
 */
int vm_msi_route(struct vm *vm, uint32_t gsi, uint64_t address, uint32_t data);

/**
 * Drive a level-triggered line. KVM remembers the level, in the 8259s and in the IOAPIC alike; a
 * GSI that is driven so must not have an edge-triggered line (vm_irq_connect()) too.
 * Returns 0 or a negative errno. Any thread; the caller keeps the calls for one GSI in order.
 */
int vm_irq_set_level(struct vm *vm, uint32_t gsi, bool level);

/**
 * Make inputs of the 8259s level-triggered, as a PC's firmware does for those that PCI uses (the
 * ELCR, Intel ICH9 data sheet, section 13.4.10). The IOAPIC's are the guest's to set.
 * @isa_irqs  a bit for each of 0–15
 * Returns 0 or a negative errno. Before the guest runs.
 */
int vm_irq_level_triggered(struct vm *vm, uint16_t isa_irqs);

#endif

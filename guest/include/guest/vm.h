/* A VM: its memory slots and its in-kernel interrupt controllers (two 8259, IOAPIC, local APICs).
 */
#ifndef OSVM_GUEST_VM_H
#define OSVM_GUEST_VM_H

#include <stdint.h>

#include "base/error.h"
#include "guest/irq.h"
#include "guest/kvm.h"
#include "guest/memory.h"

struct vm {
    const struct kvm *kvm; /* borrowed */
    int fd;                /* -1: not created */
};

/**
 * Create a VM over this memory, which must outlive it.
 * Returns 0 or a negative errno with the reason in err; `vm` is destroyed then.
 */
int vm_create(struct vm *vm, const struct kvm *kvm, const struct guest_memory *mem,
              struct error *err);

/* After its vCPUs are destroyed. Accepts one that was not created (fd -1). */
void vm_destroy(struct vm *vm);

/**
 * Make an edge-triggered line to a GSI of the interrupt controllers.
 * @ret_line  the caller (or the device that takes it over) destroys it
 * Returns 0 or a negative errno. Before the guest runs.
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

#endif

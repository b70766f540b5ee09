/*
 * A KVM without the CPU's virtualization emulates ring 0 and runs ring 3 natively. There, it does
 * not tell of a breakpoint or a step: the exception goes to the guest's own handler. But that is in
 * ring 0, where KVM does know breakpoints: so one stands on the handler's first instruction, and
 * what was delivered there for the debugger is taken back.
 *
 * The handler is looked for when the CPU is let go, and until it is there at each exit to user
 * space. What is delivered before that is the guest's, which then mostly dies of it.
 *
 * All functions: on the vCPU's thread, or while all CPUs stand still.
 */
#ifndef OSVM_GUEST_DEBUG_NATIVE_H
#define OSVM_GUEST_DEBUG_NATIVE_H

#include <stdbool.h>
#include <stdint.h>

struct guest_memory;
struct vcpu;

/* What the CPU pushes for an exception without an error code. AMD64 APM vol. 2, section 8.9.3. */
struct exception_frame {
    uint64_t rip, cs, rflags, rsp, ss;
};

/* Whether this host's KVM may be of that kind: the CPU has neither VMX nor SVM. */
bool debug_native_host(void);

/**
 * Find the guest's handlers, as its IDT has them now.
 *
 * @vector       of the exception
 * @ret_handler  linear address
 * Returns 0, or a negative errno where it has no IDT yet, or that names no handler.
 */
int debug_native_handler(const struct vcpu *vcpu, const struct guest_memory *mem, unsigned vector,
                         uint64_t *ret_handler);

/**
 * At the first instruction of a handler: where it came from.
 * Returns 0, or -EINVAL where that was not ring 3, or -EFAULT.
 */
int debug_native_frame(const struct vcpu *vcpu, const struct guest_memory *mem,
                       struct exception_frame *ret_frame);

/* Go back there, as if there had been no exception, to `frame->rip`. Returns 0 or a negative errno.
 */
int debug_native_take_back(const struct vcpu *vcpu, const struct guest_memory *mem,
                           const struct exception_frame *frame);

#endif

/*
 * Port writes that are calls: whoever serves them sees registers of the CPU that makes the call,
 * which a device on the bus does not. Told before the bus is asked.
 *
 * The CPU is seen through two functions, so that calls can be tried without KVM.
 */
#ifndef OSVM_GUEST_HYPERCALL_H
#define OSVM_GUEST_HYPERCALL_H

#include <stdbool.h>
#include <stdint.h>

/* What a walk of the page tables begins with. */
struct cpu_paging {
    uint64_t cr0, cr3, cr4, efer;
};

struct hypercall_cpu;

/* Called on the CPU's own thread, while it is out of the guest. Return 0 or a negative errno. */
struct hypercall_cpu_ops {
    int (*read_rdi)(const struct hypercall_cpu *cpu, uint64_t *ret_rdi);
    int (*read_paging)(const struct hypercall_cpu *cpu, struct cpu_paging *ret_paging);
};

/* Embedded in the CPU, which is found by container_of. */
struct hypercall_cpu {
    const struct hypercall_cpu_ops *ops;
};

/* One exit: `out`, or `rep outs` with a count. */
struct hypercall_out {
    uint16_t port;
    unsigned size;    /* of one datum: 1, 2 or 4 bytes */
    uint32_t count;   /* of data, not 0 */
    const void *data; /* count * size bytes */
};

struct hypercall_sink {
    bool wants_rdi; /* most calls read it: have each exit bring it along, where KVM can */
    /* Returns whether the port is a call's; else the bus gets the data. On vCPU threads, several
     * at once. */
    bool (*out)(struct hypercall_sink *sink, const struct hypercall_cpu *cpu,
                const struct hypercall_out *out);
};

#endif

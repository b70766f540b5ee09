/*
 * What a debugger needs of a vCPU: its registers, its view of memory, breakpoints, single steps.
 *
 * The debugger plants software breakpoints (INT3) in guest memory itself; this file has KVM tell
 * about them, tells the debugger's from the guest's own, and gives the guest's own back to it.
 *
 * All functions but those for guest/vcpu.c: while all CPUs stand still (guest/gate.h), any thread.
 */
#ifndef OSVM_GUEST_DEBUG_H
#define OSVM_GUEST_DEBUG_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

struct guest_memory;
struct vcpu;

struct vcpu_registers {
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    struct kvm_fpu fpu;
};

/* Hardware breakpoints and watchpoints: the four that an x86 CPU has (Intel SDM vol. 3B, 18.2). */
#define VCPU_POINT_COUNT 4

/* The values are those of DR7's R/W fields. x86 cannot watch for reads alone. */
enum vcpu_point_kind { VCPU_POINT_EXECUTE = 0, VCPU_POINT_WRITE = 1, VCPU_POINT_ACCESS = 3 };

struct vcpu_point {
    bool used;
    enum vcpu_point_kind kind;
    uint64_t address; /* linear; aligned to len */
    unsigned len;     /* bytes: 1, 2, 4 or 8; 1 for execution */
};

enum vcpu_stop_kind { VCPU_STOP_STEP, VCPU_STOP_PLANTED, VCPU_STOP_POINT };

struct vcpu_stop {
    enum vcpu_stop_kind kind;
    const struct vcpu_point *point; /* of VCPU_STOP_POINT: which, of those last set */
};

struct vcpu_debugger {
    const struct guest_memory *mem; /* borrowed */
    /* Whether the debugger has an INT3 at this linear address. On the vCPU's thread. */
    bool (*is_planted)(const struct vcpu_debugger *debugger, uint64_t address);
    /*
     * A vCPU has come to a breakpoint, or has done its step; RIP is the instruction that is next,
     * at a breakpoint the one that it is on. On the vCPU's thread, perhaps by several at once; to
     * keep it there, hold the gate.
     */
    void (*stopped)(struct vcpu_debugger *debugger, struct vcpu *vcpu,
                    const struct vcpu_stop *stop);
};

/* Of each vCPU. All zero: nobody debugs it. */
struct vcpu_debug {
    struct vcpu_debugger *debugger; /* borrowed */
    struct vcpu_point points[VCPU_POINT_COUNT];
    bool stepping;
    uint64_t step_from; /* RIP where the step began */
    /* Where KVM runs ring 3 natively (guest/debug_native.h): */
    uint8_t vectors[VCPU_POINT_COUNT]; /* whose handler a hardware point is on; 0: no handler's */
    bool seeking;                      /* not all are there yet: looked for at each exit */
    bool passing;                      /* stepped off a handler's first instruction */
};

/* Read all, or write those of the three parts that `registers` has different from `before`, which
 * was read since the CPU last ran. Returns 0 or a negative errno. */
int vcpu_read_registers(const struct vcpu *vcpu, struct vcpu_registers *ret_registers);
int vcpu_write_registers(const struct vcpu *vcpu, const struct vcpu_registers *before,
                         const struct vcpu_registers *registers);

/**
 * Where a linear address is, as this CPU's paging has it now.
 * Returns 0 or -EFAULT where nothing is mapped there.
 */
int vcpu_translate(const struct vcpu *vcpu, uint64_t address, uint64_t *ret_gpa);

/**
 * Debug a vCPU from its next entry on.
 *
 * @points  copied
 * @step    one instruction alone; interrupts wait meanwhile, where KVM can have them wait
 * Returns 0 or a negative errno.
 */
int vcpu_debug(struct vcpu *vcpu, struct vcpu_debugger *debugger,
               const struct vcpu_point points[VCPU_POINT_COUNT], bool step);

/* Have it run as if there had never been a debugger. */
void vcpu_debug_end(struct vcpu *vcpu);

/*
 * For guest/vcpu.c, on the vCPU's thread: a KVM_EXIT_DEBUG; an instruction that KVM could not
 * emulate (returns whether it was a planted one, which is no failure); an exit of another kind,
 * dispatched; and that KVM_RUN was interrupted, before it passes the gate.
 */
void vcpu_debug_exit(struct vcpu *vcpu);
bool vcpu_debug_unemulated(struct vcpu *vcpu);
void vcpu_debug_dispatched(struct vcpu *vcpu);
void vcpu_debug_interrupted(struct vcpu *vcpu);

#endif

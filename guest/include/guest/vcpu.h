/*
 * A virtual CPU and its thread. What leaves the guest is dispatched to the two buses; what ends
 * the guest is told to an observer.
 */
#ifndef OSVM_GUEST_VCPU_H
#define OSVM_GUEST_VCPU_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/thread.h"
#include "guest/bus.h"
#include "guest/cpuid.h"
#include "guest/debug.h"
#include "guest/entry_state.h"
#include "guest/gate.h"
#include "guest/hypercall.h"
#include "guest/vm.h"

#define VCPU_EXIT_KINDS                                                      \
    48 /* KVM's exit reasons are counted by number, those beyond in the last \
        */

/* How a guest died on a CPU. */
struct vcpu_death {
    unsigned cpu;
    bool rip_known;
    uint64_t rip;
    char text[256]; /* "triple fault at RIP 0x100020 (CPU 0)" */
};

/*
 * Told on the vCPU's thread, perhaps by several at once. The vCPU runs no more after `died`.
 */
struct vcpu_observer {
    void (*died)(struct vcpu_observer *observer, const struct vcpu_death *death);
    /* KVM itself says that the machine is to be switched off or reset. */
    void (*ended)(struct vcpu_observer *observer, bool reset);
};

struct vcpu {
    unsigned id; /* and its APIC id */
    int fd;      /* -1: not created */
    struct kvm_run *run;
    size_t run_size;
    struct bus *ports, *mmio;           /* borrowed */
    struct hypercall_sink *hypercalls;  /* borrowed; NULL: every port is the bus's */
    struct hypercall_cpu hypercall_cpu; /* what a hypercall sees of this CPU */
    bool can_sync_regs;
    struct vcpu_observer *observer; /* borrowed */
    struct thread_hook *hook;       /* borrowed; NULL: none */
    pthread_t thread;
    bool started;
    pthread_t self;     /* the same for the gate, set by the thread itself before it enters there */
    const bool *ending; /* borrowed, atomic: set once all vCPUs are to leave the guest */
    struct vcpu_gate *gate; /* borrowed */
    struct vcpu *gate_next; /* of the gate, under its lock */
    bool frozen; /* the gate keeps it even when it is open; changed while all stand still */
    struct vcpu_debug debug;
    uint64_t first_exit_ns; /* CLOCK_MONOTONIC of the first exit to user space; atomic */
    /* By KVM's exit reason. Written by its thread; read after it has ended, or roughly; atomic. */
    uint64_t exits[VCPU_EXIT_KINDS];
};

/**
 * Create a vCPU with its CPUID and the MSRs that firmware would have set.
 *
 * @cpuid  changed: the APIC id of this one is put into it
 * Returns 0 or a negative errno with the reason in err; `vcpu` is destroyed then.
 */
int vcpu_create(struct vcpu *vcpu, struct vm *vm, unsigned id, struct cpuid *cpuid,
                struct error *err);

/* After its thread was joined. Accepts one that was not created (fd -1). */
void vcpu_destroy(struct vcpu *vcpu);

/**
 * Set where it begins. Of the other CPUs than the first, only where the entry is for all.
 * Returns 0 or a negative errno. Before it is started.
 */
int vcpu_set_entry(struct vcpu *vcpu, const struct entry_state *entry);

/**
 * Start its thread. `ports`, `mmio`, `observer`, `ending` and `gate` are set.
 * Returns 0 or a negative errno.
 */
int vcpu_start(struct vcpu *vcpu);

/**
 * Have it look at `*ending`, which is set already, and end its thread; does not wait. Does nothing
 * where it was not started. The thread that started it; vcpu_install_kick() was called before.
 */
void vcpu_kick(struct vcpu *vcpu);

/* For guest/gate.c: the same without the question whether its thread is alive, which it must be. */
void vcpu_interrupt(struct vcpu *vcpu);

/* Wait for its thread to end. Does nothing where it was not started. */
void vcpu_join(struct vcpu *vcpu);

/* Install the (empty) handler of the signal that takes a vCPU out of the guest. */
void vcpu_install_kick(void);

/* "io", "mmio", "hlt", … for a KVM exit reason; NULL for one without a name here. */
const char *vcpu_exit_name(unsigned reason);

/* vcpu_state.c: apply an entry state, the MSRs. Returns 0 or a negative errno. */
int vcpu_apply_entry(int vcpu_fd, const struct entry_state *entry);
int vcpu_apply_lapic(int vcpu_fd, bool first);
int vcpu_apply_msrs(int vcpu_fd);

#endif

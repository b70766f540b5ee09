/*
 * The gate that all vCPUs pass before they enter the guest: who holds it has the machine stand
 * still. A debugger and the control socket each have a hold of their own, and the guest goes on
 * once nobody holds the gate any more.
 *
 * While it is held no CPU executes a guest instruction, and what a CPU last asked a device for has
 * been answered in full, so registers may be read and written from any thread. The devices'
 * loop goes on: packets wait in their queues, timers run, and an interrupt that comes is pending in
 * the interrupt controllers when the CPUs go on. Guest memory is thus not quite still; who needs
 * that (a snapshot) quiets the devices too.
 */
#ifndef OSVM_GUEST_GATE_H
#define OSVM_GUEST_GATE_H

#include <pthread.h>
#include <stdbool.h>

#include "base/loop.h"

struct vcpu;

/* One user's wish that the machine stand still, embedded in its owner. Zero-initialised: none. */
struct gate_hold {
    /* All CPUs stand still now. On the loop's thread, once for each vcpu_gate_hold(). */
    void (*stopped)(struct gate_hold *hold);
    bool held, told;
    struct gate_hold *next;
};

struct vcpu_gate {
    struct loop *loop;  /* borrowed */
    const bool *ending; /* borrowed, atomic: no CPU is kept once it is set */
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool closed; /* atomic: somebody holds it; written with the lock held */
    struct gate_hold *holds;
    struct vcpu *members;      /* whose threads run; the lock keeps these threads alive */
    unsigned inside;           /* members that are not waiting here */
    struct loop_source source; /* an eventfd: `inside` came to 0 while the gate was closed */
};

/**
 * @ending  set by whoever ends the machine, before vcpu_gate_end()
 * Returns 0 or a negative errno. The loop's thread.
 */
int vcpu_gate_init(struct vcpu_gate *gate, struct loop *loop, const bool *ending);

/* After all vCPUs were joined. Accepts one that is all zero. */
void vcpu_gate_destroy(struct vcpu_gate *gate);

/**
 * Have all CPUs come out of the guest and stay out. Does not wait: `hold->stopped` is called once
 * they are, which takes as long as the longest device access under way; at once where they are
 * already. Does nothing where it holds already. Where the machine ends meanwhile, it is not called.
 *
 * Any thread, that of a vCPU included; `hold->stopped` is set.
 */
void vcpu_gate_hold(struct vcpu_gate *gate, struct gate_hold *hold);

/**
 * Let them go on, unless others hold too. Does nothing where it does not hold.
 * The loop's thread; also from within `stopped`.
 */
void vcpu_gate_release(struct vcpu_gate *gate, struct gate_hold *hold);

/* `*ending` is set: let all CPUs out, held or not. Any thread. */
void vcpu_gate_end(struct vcpu_gate *gate);

/*
 * For guest/vcpu.c, on the vCPU's own thread: the first before it enters the guest for the first
 * time; then each time that KVM_RUN was interrupted; at the end of the thread. The first two wait
 * while the gate is closed or `vcpu->frozen`, and tell the guest's clock about it.
 */
void vcpu_gate_enter(struct vcpu_gate *gate, struct vcpu *vcpu);
void vcpu_gate_pass(struct vcpu_gate *gate, struct vcpu *vcpu);
void vcpu_gate_leave(struct vcpu_gate *gate, struct vcpu *vcpu);

#endif

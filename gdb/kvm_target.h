/*
 * gdb's target: the vCPUs and the memory of this machine. Breakpoints are for all CPUs.
 */
#ifndef OSVM_GDB_KVM_TARGET_H
#define OSVM_GDB_KVM_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "guest/debug.h"
#include "guest/gate.h"
#include "guest/memory.h"
#include "guest/vcpu.h"
#include "session.h"

/* Software breakpoints at a time. */
#define KVM_TARGET_MAX_PLANTED 512

/* An INT3 in guest memory, and the byte that it stands in for. */
struct planted {
    uint64_t address; /* linear, as gdb named it */
    uint64_t gpa;
    uint8_t saved;
};

/* A hardware point, with what gdb calls it by. A watched range may take several. */
struct point_owner {
    enum gdb_point point;
    uint64_t address, len;
};

/* What a CPU has come to and gdb was not told yet. */
struct cpu_event {
    bool pending;
    enum vcpu_stop_kind kind;
    enum gdb_point point; /* where it is at one */
    uint64_t address;
};

struct kvm_target {
    struct gdb_target target;
    struct vcpu_debugger debugger;
    struct vcpu *vcpus; /* borrowed */
    struct guest_memory *mem;
    struct vcpu_gate *gate;
    struct gate_hold *hold; /* of the server; taken here when a CPU stops */
    void (*kill)(struct kvm_target *target);
    struct cpu_event *events; /* one a CPU; each is written on its thread, read once it stands */
    unsigned last_cpu;        /* that was told of last */
    struct planted planted[KVM_TARGET_MAX_PLANTED];
    unsigned planted_count;
    struct vcpu_point points[VCPU_POINT_COUNT];
    struct point_owner owners[VCPU_POINT_COUNT];
};

/**
 * @hold, @kill  as in the structure
 * Returns 0 or -ENOMEM. kvm_target_destroy() follows in both cases.
 */
int kvm_target_init(struct kvm_target *target, struct vcpu *vcpus, unsigned count,
                    struct guest_memory *mem, struct vcpu_gate *gate, struct gate_hold *hold,
                    void (*kill)(struct kvm_target *target));
void kvm_target_destroy(struct kvm_target *target);

/* All CPUs stand still: why. Each call tells of one CPU's event, or that there is none (Ctrl-C). */
struct gdb_stop kvm_target_next_stop(struct kvm_target *target);

/* Take back everything that was done to the guest; it stands still, and is not let go here. */
void kvm_target_clear(struct kvm_target *target);

/*
 * kvm_target_points.c: the debugger's table of breakpoints. Those with a `gpa` see guest-physical
 * bytes; the two for memory put the guest's own bytes over or under the planted ones.
 */
int kvm_target_insert(struct gdb_target *target, unsigned cpu, enum gdb_point point,
                      uint64_t address, uint64_t len);
int kvm_target_remove(struct gdb_target *target, enum gdb_point point, uint64_t address,
                      uint64_t len);
void kvm_target_remove_all(struct kvm_target *target);
bool kvm_target_is_planted(const struct kvm_target *target, uint64_t address);
int kvm_target_read_gpa(const struct kvm_target *target, uint64_t gpa, uint8_t *bytes, size_t len);
int kvm_target_write_gpa(struct kvm_target *target, uint64_t gpa, const uint8_t *bytes, size_t len);

#endif

#include "kvm_target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"

#define PAGE_BYTES UINT64_C(4096)

static struct kvm_target *of_target(struct gdb_target *target)
{
    return container_of(target, struct kvm_target, target);
}

static int read_registers(struct gdb_target *target, unsigned cpu,
                          struct vcpu_registers *ret_registers)
{
    return vcpu_read_registers(&of_target(target)->vcpus[cpu], ret_registers);
}

static int write_registers(struct gdb_target *target, unsigned cpu,
                           const struct vcpu_registers *before,
                           const struct vcpu_registers *registers)
{
    return vcpu_write_registers(&of_target(target)->vcpus[cpu], before, registers);
}

/* Bytes from a linear address to the end of its page, `len` at most; where they are. */
static int next_piece(struct kvm_target *target, unsigned cpu, uint64_t address, size_t len,
                      uint64_t *ret_gpa, size_t *ret_len)
{
    *ret_len = (size_t)min_u64(len, PAGE_BYTES - address % PAGE_BYTES);
    return vcpu_translate(&target->vcpus[cpu], address, ret_gpa);
}

static int read_memory(struct gdb_target *base, unsigned cpu, uint64_t address, void *buf,
                       size_t len)
{
    struct kvm_target *target = of_target(base);
    size_t done = 0, piece;
    uint64_t gpa;

    for (; done < len; done += piece) {
        int r = next_piece(target, cpu, address + done, len - done, &gpa, &piece);

        if (r == 0)
            r = kvm_target_read_gpa(target, gpa, (uint8_t *)buf + done, piece);
        if (r < 0)
            return done ? (int)done : r; /* as far as there is something */
    }
    return (int)done;
}

static int write_memory(struct gdb_target *base, unsigned cpu, uint64_t address, const void *buf,
                        size_t len)
{
    struct kvm_target *target = of_target(base);
    size_t piece;
    uint64_t gpa;

    for (size_t done = 0; done < len; done += piece) {
        int r = next_piece(target, cpu, address + done, len - done, &gpa, &piece);

        if (r == 0)
            r = kvm_target_write_gpa(target, gpa, (const uint8_t *)buf + done, piece);
        if (r < 0)
            return r;
    }
    return 0;
}

/* On a vCPU's thread. */
static bool on_is_planted(const struct vcpu_debugger *debugger, uint64_t address)
{
    const struct kvm_target *target = container_of(debugger, const struct kvm_target, debugger);

    return kvm_target_is_planted(target, address);
}

/* On a vCPU's thread, which the gate keeps from here on; and the lock in it orders the event. */
static void on_stopped(struct vcpu_debugger *debugger, struct vcpu *vcpu,
                       const struct vcpu_stop *stop)
{
    struct kvm_target *target = container_of(debugger, struct kvm_target, debugger);
    struct cpu_event *event = &target->events[vcpu->id];

    *event = (struct cpu_event){.pending = true, .kind = stop->kind, .point = GDB_SOFTWARE};
    if (stop->kind == VCPU_STOP_POINT) {
        event->point = target->owners[stop->point - vcpu->debug.points].point;
        event->address = stop->point->address;
    }
    vcpu_gate_hold(target->gate, target->hold);
}

/* A CPU stands on its breakpoint and comes to it anew; past a watchpoint it is. */
static bool comes_again(const struct cpu_event *event)
{
    return event->kind == VCPU_STOP_PLANTED ||
           (event->kind == VCPU_STOP_POINT && event->point == GDB_HARDWARE);
}

/* The CPU to tell of: one that has done its step, which gdb waits for; else the next one in turn.
 */
static int pick_cpu(const struct kvm_target *target)
{
    unsigned count = target->target.cpu_count;
    int found = -1;

    for (unsigned n = 1; n <= count; n++) {
        unsigned i = (target->last_cpu + n) % count;

        if (!target->events[i].pending)
            continue;
        if (target->events[i].kind == VCPU_STOP_STEP)
            return (int)i;
        if (found < 0)
            found = (int)i;
    }
    return found;
}

struct gdb_stop kvm_target_next_stop(struct kvm_target *target)
{
    int cpu = pick_cpu(target);
    struct cpu_event *event;

    if (cpu < 0)
        return (struct gdb_stop){.cpu = target->last_cpu, .signal = GDB_SIGNAL_INT};
    target->last_cpu = (unsigned)cpu;
    event = &target->events[cpu];
    event->pending = false;
    for (unsigned i = 0; i < target->target.cpu_count; i++) {
        /* gdb may take the breakpoint away before it lets the CPU go on. */
        if (target->events[i].pending && comes_again(&target->events[i]))
            target->events[i].pending = false;
    }
    return (struct gdb_stop){
        .cpu = (unsigned)cpu,
        .signal = GDB_SIGNAL_TRAP,
        .at_point = event->kind != VCPU_STOP_STEP,
        .point = event->point,
        .address = event->address,
    };
}

static bool any_pending(const struct kvm_target *target)
{
    for (unsigned i = 0; i < target->target.cpu_count; i++) {
        if (target->events[i].pending)
            return true;
    }
    return false;
}

static int resume(struct gdb_target *base, const enum gdb_action *actions)
{
    struct kvm_target *target = of_target(base);
    bool told_all = !any_pending(target), any = false;

    for (unsigned i = 0; i < base->cpu_count; i++) {
        struct vcpu *vcpu = &target->vcpus[i];
        int r;

        vcpu->frozen = actions[i] == GDB_STAY || !told_all;
        any = any || actions[i] != GDB_STAY;
        r = vcpu->frozen
                ? 0
                : vcpu_debug(vcpu, &target->debugger, target->points, actions[i] == GDB_STEP);
        if (r < 0)
            return r;
    }
    if (!any)
        return -EINVAL; /* it would never stop again */
    vcpu_gate_release(target->gate, target->hold);
    if (!told_all) /* what is left to tell comes before anything runs */
        vcpu_gate_hold(target->gate, target->hold);
    return 0;
}

static void interrupt(struct gdb_target *base)
{
    struct kvm_target *target = of_target(base);

    vcpu_gate_hold(target->gate, target->hold);
}

static void kill_machine(struct gdb_target *base)
{
    of_target(base)->kill(of_target(base));
}

int kvm_target_init(struct kvm_target *target, struct vcpu *vcpus, unsigned count,
                    struct guest_memory *mem, struct vcpu_gate *gate, struct gate_hold *hold,
                    void (*kill)(struct kvm_target *target))
{
    static const struct gdb_target_ops ops = {
        .read_registers = read_registers,
        .write_registers = write_registers,
        .read_memory = read_memory,
        .write_memory = write_memory,
        .insert = kvm_target_insert,
        .remove = kvm_target_remove,
        .resume = resume,
        .interrupt = interrupt,
        .kill = kill_machine,
    };

    *target = (struct kvm_target){
        .target = {.ops = &ops, .cpu_count = count},
        .debugger = {.mem = mem, .is_planted = on_is_planted, .stopped = on_stopped},
        .vcpus = vcpus,
        .mem = mem,
        .gate = gate,
        .hold = hold,
        .kill = kill,
        .events = calloc(count, sizeof(struct cpu_event)),
    };
    return target->events ? 0 : -ENOMEM;
}

void kvm_target_destroy(struct kvm_target *target)
{
    free(take_ptr(target->events));
}

void kvm_target_clear(struct kvm_target *target)
{
    kvm_target_remove_all(target);
    for (unsigned i = 0; i < target->target.cpu_count; i++) {
        vcpu_debug_end(&target->vcpus[i]);
        target->vcpus[i].frozen = false;
        target->events[i].pending = false;
    }
    target->last_cpu = 0;
}

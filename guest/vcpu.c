#include "guest/vcpu.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"

/* Takes a thread out of KVM_RUN. */
#define KICK_SIGNAL SIGRTMIN

/* Enough for the deepest device; only what is used takes memory. */
#define VCPU_STACK_SIZE (256 * KIB)

static const char *const exit_names[] = {
    [KVM_EXIT_UNKNOWN] = "unknown",
    [KVM_EXIT_EXCEPTION] = "exception",
    [KVM_EXIT_IO] = "io",
    [KVM_EXIT_HYPERCALL] = "hypercall",
    [KVM_EXIT_DEBUG] = "debug",
    [KVM_EXIT_HLT] = "hlt",
    [KVM_EXIT_MMIO] = "mmio",
    [KVM_EXIT_IRQ_WINDOW_OPEN] = "irq_window_open",
    [KVM_EXIT_SHUTDOWN] = "shutdown",
    [KVM_EXIT_FAIL_ENTRY] = "fail_entry",
    [KVM_EXIT_INTR] = "intr",
    [KVM_EXIT_SET_TPR] = "set_tpr",
    [KVM_EXIT_TPR_ACCESS] = "tpr_access",
    [KVM_EXIT_NMI] = "nmi",
    [KVM_EXIT_INTERNAL_ERROR] = "internal_error",
    [KVM_EXIT_SYSTEM_EVENT] = "system_event",
    [KVM_EXIT_IOAPIC_EOI] = "ioapic_eoi",
};

const char *vcpu_exit_name(unsigned reason)
{
    return reason < ARRAY_SIZE(exit_names) ? exit_names[reason] : NULL;
}

/* ---- What a hypercall may ask of its CPU, on the CPU's thread. ---- */

static int read_rdi(const struct hypercall_cpu *cpu, uint64_t *ret_rdi)
{
    const struct vcpu *vcpu = container_of(cpu, const struct vcpu, hypercall_cpu);
    struct kvm_regs regs;

    if (vcpu->run->kvm_valid_regs & KVM_SYNC_X86_REGS) {
        *ret_rdi = vcpu->run->s.regs.regs.rdi;
        return 0;
    }
    if (ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0)
        return -errno;
    *ret_rdi = regs.rdi;
    return 0;
}

static int read_paging(const struct hypercall_cpu *cpu, struct cpu_paging *ret_paging)
{
    const struct vcpu *vcpu = container_of(cpu, const struct vcpu, hypercall_cpu);
    struct kvm_sregs sregs;

    if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
        return -errno;
    *ret_paging = (struct cpu_paging){sregs.cr0, sregs.cr3, sregs.cr4, sregs.efer};
    return 0;
}

static const struct hypercall_cpu_ops hypercall_cpu_ops = {
    .read_rdi = read_rdi,
    .read_paging = read_paging,
};

int vcpu_create(struct vcpu *vcpu, struct vm *vm, unsigned id, struct cpuid *cpuid,
                struct error *err)
{
    int r;

    *vcpu = (struct vcpu){
        .id = id,
        .run_size = vm->kvm->run_size,
        .hypercall_cpu.ops = &hypercall_cpu_ops,
        .can_sync_regs = vm->kvm->has_sync_regs,
    };
    vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)id);
    if (vcpu->fd < 0)
        return error_set_errno(err, -errno, "KVM cannot create CPU %u", id);
    vcpu->run = mmap(NULL, vcpu->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
    if (vcpu->run == MAP_FAILED) {
        r = error_set_errno(err, -errno, "cannot map CPU %u", id);
        vcpu->run = NULL;
        vcpu_destroy(vcpu);
        return r;
    }
    cpuid_set_apic_id(cpuid, id);
    r = ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid) < 0 ? -errno : vcpu_apply_msrs(vcpu->fd);
    if (r < 0) {
        error_set_errno(err, r, "KVM does not take the set-up of CPU %u", id);
        vcpu_destroy(vcpu);
    }
    return r;
}

void vcpu_destroy(struct vcpu *vcpu)
{
    if (vcpu->run)
        munmap(take_ptr(vcpu->run), vcpu->run_size);
    close_fd(take_fd(&vcpu->fd));
}

int vcpu_set_entry(struct vcpu *vcpu, const struct entry_state *entry)
{
    struct entry_state own = *entry;
    struct kvm_mp_state runnable = {.mp_state = KVM_MP_STATE_RUNNABLE};
    int r = vcpu_apply_lapic(vcpu->fd, vcpu->id == 0);

    if (r < 0)
        return r;
    if (vcpu->id > 0) {
        if (!entry->all_cpus)
            return 0; /* KVM has it wait for INIT and SIPI */
        own.rsi = vcpu->id;
        if (ioctl(vcpu->fd, KVM_SET_MP_STATE, &runnable) < 0)
            return -errno;
    }
    return vcpu_apply_entry(vcpu->fd, &own);
}

static void tell_death(struct vcpu *vcpu, const char *what)
{
    struct vcpu_death death = {.cpu = vcpu->id};
    struct kvm_regs regs;

    if (ioctl(vcpu->fd, KVM_GET_REGS, &regs) == 0) {
        death.rip_known = true;
        death.rip = regs.rip;
        snprintf(death.text, sizeof(death.text), "%s at RIP 0x%" PRIx64 " (CPU %u)", what,
                 (uint64_t)regs.rip, vcpu->id);
    } else {
        snprintf(death.text, sizeof(death.text), "%s (CPU %u)", what, vcpu->id);
    }
    vcpu->observer->died(vcpu->observer, &death);
}

/* KVM's own words for an internal error: Linux, Documentation/virt/kvm/api.rst, 5. */
static void tell_internal_error(struct vcpu *vcpu)
{
    const struct kvm_run *run = vcpu->run;
    const uint64_t has_bytes = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
    char what[160];
    int used;

    if (run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION) {
        snprintf(what, sizeof(what), "KVM internal error %u", run->internal.suberror);
        tell_death(vcpu, what);
        return;
    }
    used = snprintf(what, sizeof(what), "KVM cannot emulate the instruction");
    if (run->emulation_failure.ndata >= 3 && (run->emulation_failure.flags & has_bytes)) {
        unsigned count = run->emulation_failure.insn_size;

        if (count > sizeof(run->emulation_failure.insn_bytes))
            count = sizeof(run->emulation_failure.insn_bytes);
        for (unsigned i = 0; i < count; i++)
            used += snprintf(what + used, sizeof(what) - (size_t)used, "%s%02x", i ? " " : " [",
                             run->emulation_failure.insn_bytes[i]);
        if (count)
            snprintf(what + used, sizeof(what) - (size_t)used, "]");
    }
    tell_death(vcpu, what);
}

static void dispatch_io(struct vcpu *vcpu)
{
    const struct kvm_run *run = vcpu->run;
    uint8_t *data = (uint8_t *)run + run->io.data_offset;
    const unsigned size = run->io.size;

    if (vcpu->hypercalls && run->io.direction == KVM_EXIT_IO_OUT) {
        const struct hypercall_out out = {run->io.port, size, run->io.count, data};

        if (vcpu->hypercalls->out(vcpu->hypercalls, &vcpu->hypercall_cpu, &out))
            return;
    }
    for (uint32_t i = 0; i < run->io.count; i++, data += size) {
        if (run->io.direction == KVM_EXIT_IO_IN)
            bus_read(vcpu->ports, run->io.port, data, size);
        else
            bus_write(vcpu->ports, run->io.port, data, size);
    }
}

static void dispatch_mmio(struct vcpu *vcpu)
{
    struct kvm_run *run = vcpu->run;

    if (run->mmio.is_write)
        bus_write(vcpu->mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
    else
        bus_read(vcpu->mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
}

static bool dispatch_system_event(struct vcpu *vcpu)
{
    switch (vcpu->run->system_event.type) {
    case KVM_SYSTEM_EVENT_SHUTDOWN:
        vcpu->observer->ended(vcpu->observer, false);
        return false;
    case KVM_SYSTEM_EVENT_RESET:
        vcpu->observer->ended(vcpu->observer, true);
        return false;
    default:
        tell_death(vcpu, "the guest crashed");
        return false;
    }
}

/* Handle one exit. Returns whether the guest goes on. */
static bool dispatch_exit(struct vcpu *vcpu)
{
    char what[80];

    switch (vcpu->run->exit_reason) {
    case KVM_EXIT_IO:
        dispatch_io(vcpu);
        return true;
    case KVM_EXIT_MMIO:
        dispatch_mmio(vcpu);
        return true;
    case KVM_EXIT_INTR:
    case KVM_EXIT_IRQ_WINDOW_OPEN:
        return true;
    case KVM_EXIT_SHUTDOWN:
        tell_death(vcpu, "triple fault");
        return false;
    case KVM_EXIT_DEBUG:
        vcpu_debug_exit(vcpu);
        return true;
    case KVM_EXIT_INTERNAL_ERROR:
        if (vcpu_debug_unemulated(vcpu))
            return true;
        tell_internal_error(vcpu);
        return false;
    case KVM_EXIT_FAIL_ENTRY:
        snprintf(what, sizeof(what), "the CPU refused to enter the guest (reason 0x%" PRIx64 ")",
                 (uint64_t)vcpu->run->fail_entry.hardware_entry_failure_reason);
        tell_death(vcpu, what);
        return false;
    case KVM_EXIT_SYSTEM_EVENT:
        return dispatch_system_event(vcpu);
    default:
        snprintf(what, sizeof(what), "an exit that nobody handles (KVM reason %u)",
                 vcpu->run->exit_reason);
        tell_death(vcpu, what);
        return false;
    }
}

static void count_exit(struct vcpu *vcpu)
{
    uint32_t reason = vcpu->run->exit_reason;

    if (vcpu->first_exit_ns == 0)
        __atomic_store_n(&vcpu->first_exit_ns, clock_monotonic_ns(), __ATOMIC_RELAXED);
    if (reason >= VCPU_EXIT_KINDS)
        reason = VCPU_EXIT_KINDS - 1;
    /* One writer; atomic so that a status line may read it meanwhile. */
    __atomic_store_n(&vcpu->exits[reason], vcpu->exits[reason] + 1, __ATOMIC_RELAXED);
}

static void vcpu_loop(struct vcpu *vcpu)
{
    while (!__atomic_load_n(vcpu->ending, __ATOMIC_ACQUIRE)) {
        if (ioctl(vcpu->fd, KVM_RUN, 0) < 0) {
            char what[80];

            if (errno == EINTR || errno == EAGAIN) {
                vcpu_debug_interrupted(vcpu);
                vcpu_gate_pass(vcpu->gate, vcpu); /* kicked, or another signal */
                continue;
            }
            snprintf(what, sizeof(what), "KVM cannot run the guest: %s", strerrordesc_np(errno));
            tell_death(vcpu, what);
            return;
        }
        count_exit(vcpu);
        if (!dispatch_exit(vcpu))
            return;
        vcpu_debug_dispatched(vcpu);
    }
}

static void *vcpu_thread(void *arg)
{
    struct vcpu *vcpu = arg;
    char name[16];
    sigset_t kick;

    sigemptyset(&kick);
    sigaddset(&kick, KICK_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
    snprintf(name, sizeof(name), "vcpu%u", vcpu->id);
    pthread_setname_np(pthread_self(), name);
    vcpu->self = pthread_self();
    if (thread_begin(vcpu->hook, THREAD_VCPU) == 0) {
        vcpu_gate_enter(vcpu->gate, vcpu);
        vcpu_loop(vcpu);
        vcpu_gate_leave(vcpu->gate, vcpu);
    }
    return NULL;
}

int vcpu_start(struct vcpu *vcpu)
{
    pthread_attr_t attr;
    int r;

    if (vcpu->hypercalls && vcpu->hypercalls->wants_rdi && vcpu->can_sync_regs)
        vcpu->run->kvm_valid_regs = KVM_SYNC_X86_REGS;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, VCPU_STACK_SIZE);
    r = pthread_create(&vcpu->thread, &attr, vcpu_thread, vcpu);
    pthread_attr_destroy(&attr);
    vcpu->started = r == 0;
    return -r;
}

/* One that is about to enter leaves at once; one that is inside is taken out by the signal. */
static void interrupt_thread(struct vcpu *vcpu, pthread_t thread)
{
    __atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    pthread_kill(thread, KICK_SIGNAL);
}

void vcpu_kick(struct vcpu *vcpu)
{
    if (!vcpu->started)
        return;
    interrupt_thread(vcpu, vcpu->thread);
}

void vcpu_interrupt(struct vcpu *vcpu)
{
    interrupt_thread(vcpu, vcpu->self);
}

void vcpu_join(struct vcpu *vcpu)
{
    if (!vcpu->started)
        return;
    pthread_join(vcpu->thread, NULL);
    vcpu->started = false;
}

static void on_kick(int signal_number)
{
    (void)signal_number; /* that KVM_RUN was interrupted is all that is wanted */
}

void vcpu_install_kick(void)
{
    struct sigaction action = {.sa_handler = on_kick};

    sigemptyset(&action.sa_mask);
    sigaction(KICK_SIGNAL, &action, NULL);
}

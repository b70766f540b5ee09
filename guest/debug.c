#include "guest/debug.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/util.h"
#include "debug_native.h"
#include "guest/vcpu.h"

/* Intel SDM vol. 3B, section 18.2; vol. 3A, table 6-1. */
#define DB_VECTOR        1
#define BP_VECTOR        3
#define DR6_STEP         (UINT64_C(1) << 14)
#define DR7_ALWAYS_SET   UINT64_C(0x400)
#define DR7_GLOBAL(n)    (UINT64_C(2) << (2 * (n)))
#define DR7_KIND(n, rw)  ((uint64_t)(rw) << (16 + 4 * (n)))
#define DR7_LEN(n, bits) ((uint64_t)(bits) << (18 + 4 * (n)))

int vcpu_read_registers(const struct vcpu *vcpu, struct vcpu_registers *ret_registers)
{
    if (ioctl(vcpu->fd, KVM_GET_REGS, &ret_registers->regs) < 0 ||
        ioctl(vcpu->fd, KVM_GET_SREGS, &ret_registers->sregs) < 0 ||
        ioctl(vcpu->fd, KVM_GET_FPU, &ret_registers->fpu) < 0)
        return -errno;
    return 0;
}

static int write_part(int fd, unsigned long request, const void *before, const void *part,
                      size_t size)
{
    if (memcmp(before, part, size) == 0)
        return 0;
    return ioctl(fd, request, part) < 0 ? -errno : 0;
}

int vcpu_write_registers(const struct vcpu *vcpu, const struct vcpu_registers *before,
                         const struct vcpu_registers *registers)
{
    int r = write_part(vcpu->fd, KVM_SET_SREGS, &before->sregs, &registers->sregs,
                       sizeof(registers->sregs));

    if (r == 0)
        r = write_part(vcpu->fd, KVM_SET_REGS, &before->regs, &registers->regs,
                       sizeof(registers->regs));
    if (r == 0)
        r = write_part(vcpu->fd, KVM_SET_FPU, &before->fpu, &registers->fpu,
                       sizeof(registers->fpu));
    return r;
}

int vcpu_translate(const struct vcpu *vcpu, uint64_t address, uint64_t *ret_gpa)
{
    struct kvm_translation translation = {.linear_address = address};

    if (ioctl(vcpu->fd, KVM_TRANSLATE, &translation) < 0 || !translation.valid)
        return -EFAULT;
    *ret_gpa = translation.physical_address;
    return 0;
}

/* DR7's LEN field: 0, 1, 3 and 2 for 1, 2, 4 and 8 bytes. */
static unsigned len_bits(unsigned len)
{
    return len == 8 ? 2 : len - 1;
}

static uint64_t rip_of(const struct vcpu *vcpu)
{
    struct kvm_regs regs;

    return ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0 ? 0 : regs.rip;
}

/* A step without interrupts between, which older KVMs cannot do: then with them. */
static int set_guest_debug(const struct vcpu *vcpu, struct kvm_guest_debug *debug)
{
    if (ioctl(vcpu->fd, KVM_SET_GUEST_DEBUG, debug) == 0)
        return 0;
    if (errno != EINVAL || !(debug->control & KVM_GUESTDBG_BLOCKIRQ))
        return -errno;
    debug->control &= ~(uint32_t)KVM_GUESTDBG_BLOCKIRQ;
    return ioctl(vcpu->fd, KVM_SET_GUEST_DEBUG, debug) < 0 ? -errno : 0;
}

/* Put points on the guest's own handlers, as far as there is room beside the debugger's points. */
static void watch_handlers(struct vcpu *vcpu, struct kvm_guest_debug *guest_debug)
{
    static const uint8_t vectors[] = {BP_VECTOR, DB_VECTOR};
    struct vcpu_debug *debug = &vcpu->debug;
    size_t next = 0;

    for (unsigned i = 0; i < VCPU_POINT_COUNT && next < ARRAY_SIZE(vectors); i++) {
        uint64_t handler;
        int r;

        if (debug->points[i].used)
            continue;
        r = debug_native_handler(vcpu, debug->debugger->mem, vectors[next], &handler);
        debug->seeking = debug->seeking || r < 0;
        if (r == 0) {
            guest_debug->arch.debugreg[i] = handler;
            guest_debug->arch.debugreg[7] |= DR7_GLOBAL(i) | DR7_ALWAYS_SET;
            debug->vectors[i] = vectors[next];
        }
        next++;
    }
}

/* Have KVM do what vcpu->debug says. */
static int apply(struct vcpu *vcpu)
{
    struct kvm_guest_debug guest_debug = {.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP};
    struct vcpu_debug *debug = &vcpu->debug;

    for (unsigned i = 0; i < VCPU_POINT_COUNT; i++) {
        const struct vcpu_point *point = &debug->points[i];

        if (!point->used || debug->passing)
            continue;
        guest_debug.arch.debugreg[i] = point->address;
        guest_debug.arch.debugreg[7] |= DR7_GLOBAL(i) | DR7_KIND(i, point->kind) |
                                        DR7_LEN(i, len_bits(point->len)) | DR7_ALWAYS_SET;
    }
    memset(debug->vectors, 0, sizeof(debug->vectors));
    debug->seeking = false;
    if (!debug->passing && debug_native_host())
        watch_handlers(vcpu, &guest_debug);
    if (guest_debug.arch.debugreg[7])
        guest_debug.control |= KVM_GUESTDBG_USE_HW_BP;
    if (debug->stepping || debug->passing)
        guest_debug.control |= KVM_GUESTDBG_SINGLESTEP;
    if (debug->stepping)
        guest_debug.control |= KVM_GUESTDBG_BLOCKIRQ;
    return set_guest_debug(vcpu, &guest_debug);
}

int vcpu_debug(struct vcpu *vcpu, struct vcpu_debugger *debugger,
               const struct vcpu_point points[VCPU_POINT_COUNT], bool step)
{
    vcpu->debug = (struct vcpu_debug){.debugger = debugger, .stepping = step};
    memcpy(vcpu->debug.points, points, sizeof(vcpu->debug.points));
    if (step)
        vcpu->debug.step_from = rip_of(vcpu);
    return apply(vcpu);
}

void vcpu_debug_end(struct vcpu *vcpu)
{
    struct kvm_guest_debug none = {0};

    ioctl(vcpu->fd, KVM_SET_GUEST_DEBUG, &none);
    vcpu->debug = (struct vcpu_debug){0};
}

/* Give an exception of the guest's own back to it. */
static void inject(struct vcpu *vcpu, uint32_t which)
{
    struct kvm_guest_debug inject = {.control = KVM_GUESTDBG_ENABLE | which};

    /* The injection takes the place of the other settings, so these are set anew. */
    if (ioctl(vcpu->fd, KVM_SET_GUEST_DEBUG, &inject) < 0)
        return; /* EBUSY: another exception is on its way, before this one */
    apply(vcpu);
}

static void tell(struct vcpu *vcpu, enum vcpu_stop_kind kind, const struct vcpu_point *point)
{
    struct vcpu_stop stop = {.kind = kind, .point = point};

    vcpu->debug.stepping = false;
    vcpu->debug.debugger->stopped(vcpu->debug.debugger, vcpu, &stop);
}

static const struct vcpu_point *point_hit(const struct vcpu *vcpu, uint64_t dr6)
{
    for (unsigned i = 0; i < VCPU_POINT_COUNT; i++) {
        if (vcpu->debug.points[i].used && (dr6 >> i & 1))
            return &vcpu->debug.points[i];
    }
    return NULL;
}

/* The exception whose handler was come to; 0: none. */
static unsigned vector_hit(const struct vcpu *vcpu, uint64_t dr6)
{
    for (unsigned i = 0; i < VCPU_POINT_COUNT; i++) {
        if (vcpu->debug.vectors[i] && (dr6 >> i & 1))
            return vcpu->debug.vectors[i];
    }
    return 0;
}

/* At the guest's handler: take back what was the debugger's, and let the guest have its own. */
static void on_delivered(struct vcpu *vcpu, unsigned vector)
{
    struct vcpu_debugger *debugger = vcpu->debug.debugger;
    bool planted = false, stepped = false;
    struct exception_frame frame;

    if (debug_native_frame(vcpu, debugger->mem, &frame) == 0) {
        planted = vector == BP_VECTOR && debugger->is_planted(debugger, frame.rip - 1);
        stepped = vector == DB_VECTOR && vcpu->debug.stepping;
        frame.rip -= planted;
    }
    if ((planted || stepped) && debug_native_take_back(vcpu, debugger->mem, &frame) == 0) {
        tell(vcpu, planted ? VCPU_STOP_PLANTED : VCPU_STOP_STEP, NULL);
        return;
    }
    vcpu->debug.passing = true;
    apply(vcpu);
}

/* A step off a handler's first instruction, of which only this file knows. */
static bool end_passing(struct vcpu *vcpu)
{
    if (!vcpu->debug.passing)
        return false;
    vcpu->debug.passing = false;
    apply(vcpu);
    return true;
}

void vcpu_debug_exit(struct vcpu *vcpu)
{
    const struct kvm_debug_exit_arch *exit = &vcpu->run->debug.arch;
    const struct vcpu_point *point;
    unsigned vector;

    if (!vcpu->debug.debugger)
        return; /* it has gone meanwhile; where the exception was the guest's, that is lost */
    if (exit->exception == BP_VECTOR) {
        if (vcpu->debug.debugger->is_planted(vcpu->debug.debugger, exit->pc))
            tell(vcpu, VCPU_STOP_PLANTED, NULL);
        else
            inject(vcpu, KVM_GUESTDBG_INJECT_BP);
        return;
    }
    vector = vector_hit(vcpu, exit->dr6);
    point = point_hit(vcpu, exit->dr6);
    if (point)
        tell(vcpu, VCPU_STOP_POINT, point);
    else if (vector)
        on_delivered(vcpu, vector);
    else if (vcpu->debug.stepping)
        tell(vcpu, VCPU_STOP_STEP, NULL);
    else if (end_passing(vcpu))
        return;
    else if (exit->dr6 & DR6_STEP)
        inject(vcpu, KVM_GUESTDBG_INJECT_DB); /* the guest steps itself */
}

bool vcpu_debug_unemulated(struct vcpu *vcpu)
{
    struct vcpu_registers registers;

    if (!vcpu->debug.debugger || vcpu->run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION ||
        vcpu_read_registers(vcpu, &registers) < 0)
        return false;
    if (!vcpu->debug.debugger->is_planted(vcpu->debug.debugger,
                                          registers.sregs.cs.base + registers.regs.rip))
        return false;
    tell(vcpu, VCPU_STOP_PLANTED, NULL);
    return true;
}

/*
 * An instruction that leaves to user space (port or memory I/O) ends outside KVM's view, and some
 * KVMs tell of the step only after the next instruction. Entering with immediate_exit completes it
 * and executes nothing else; RIP then says whether it is over.
 */
void vcpu_debug_dispatched(struct vcpu *vcpu)
{
    uint64_t handler;

    if (vcpu->debug.seeking &&
        debug_native_handler(vcpu, vcpu->debug.debugger->mem, BP_VECTOR, &handler) == 0)
        apply(vcpu);
    if (vcpu->debug.stepping)
        __atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
}

void vcpu_debug_interrupted(struct vcpu *vcpu)
{
    if (vcpu->debug.stepping && rip_of(vcpu) != vcpu->debug.step_from)
        tell(vcpu, VCPU_STOP_STEP, NULL);
}

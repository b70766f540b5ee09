/* A CPU's registers before its first instruction. */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/util.h"
#include "guest/vcpu.h"

/* Segment types: AMD64 APM vol. 2, section 4.7. */
#define SEGMENT_CODE     11 /* execute, read, accessed */
#define SEGMENT_DATA     3  /* read, write, accessed */
#define SEGMENT_TSS_BUSY 11

#define RFLAGS_ALWAYS_SET UINT64_C(2)

/* MSRs: Intel SDM vol. 4, table 2-2. */
#define MSR_IA32_MISC_ENABLE     0x1a0
#define MSR_IA32_MTRR_DEF_TYPE   0x2ff
#define MISC_ENABLE_FAST_STRINGS UINT64_C(1)
#define MTRR_ENABLE              (UINT64_C(1) << 11)
#define MTRR_WRITE_BACK          UINT64_C(6)

/* Local APIC registers: Intel SDM vol. 3A, table 11-1 and figures 11-8 and 11-23. */
#define LAPIC_SVR         0xf0
#define LAPIC_SVR_ENABLED UINT32_C(0x100)
#define LAPIC_SVR_VECTOR  UINT32_C(0xff)
#define LAPIC_LINT0       0x350
#define LAPIC_LINT1       0x360
#define LAPIC_LVT_NMI     UINT32_C(0x400)
#define LAPIC_LVT_EXTINT  UINT32_C(0x700)
#define LAPIC_LVT_MASKED  UINT32_C(0x10000)

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type, bool long_mode)
{
    return (struct kvm_segment){
        .base = 0,
        .limit = 0xffffffff,
        .selector = selector,
        .type = type,
        .present = 1,
        .s = 1,
        .g = 1,
        .l = long_mode,
        .db = !long_mode,
    };
}

static void apply_segments(struct kvm_sregs *sregs, const struct entry_state *entry)
{
    struct kvm_segment data = flat_segment(entry->data_selector, SEGMENT_DATA, false);

    sregs->cs = flat_segment(entry->code_selector, SEGMENT_CODE, entry->long_mode);
    sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
    /* A 32-bit TSS, busy: what a CPU must have in TR, PVH and VMX alike. */
    sregs->tr = (struct kvm_segment){.limit = 0x67, .type = SEGMENT_TSS_BUSY, .present = 1};
    sregs->ldt = (struct kvm_segment){.unusable = 1};
    sregs->gdt = (struct kvm_dtable){.base = entry->gdt_base, .limit = entry->gdt_limit};
    sregs->idt = (struct kvm_dtable){0};
}

int vcpu_apply_entry(int vcpu_fd, const struct entry_state *entry)
{
    struct kvm_sregs sregs;
    struct kvm_regs regs = {
        .rip = entry->rip,
        .rsp = entry->rsp,
        .rflags = entry->rflags | RFLAGS_ALWAYS_SET,
        .rax = entry->rax,
        .rbx = entry->rbx,
        .rcx = entry->rcx,
        .rdx = entry->rdx,
        .rsi = entry->rsi,
        .rdi = entry->rdi,
        .rbp = entry->rbp,
    };

    if (ioctl(vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
        return -errno;
    apply_segments(&sregs, entry);
    sregs.cr0 = entry->cr0;
    sregs.cr3 = entry->cr3;
    sregs.cr4 = entry->cr4;
    sregs.efer = entry->efer;
    if (ioctl(vcpu_fd, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu_fd, KVM_SET_REGS, &regs) < 0)
        return -errno;
    return 0;
}

/*
 * The local APIC as a PC's firmware leaves it: enabled, the 8259s on the first CPU's LINT0, the NMI
 * on LINT1. KVM needs it too: it finds the target of an IPI in a table that does not know a CPU
 * before that CPU's APIC has been set once, and drops what it does not find there, INIT included.
 */
int vcpu_apply_lapic(int vcpu_fd, bool first)
{
    const uint32_t svr = LAPIC_SVR_ENABLED | LAPIC_SVR_VECTOR, lint1 = LAPIC_LVT_NMI;
    const uint32_t lint0 = first ? LAPIC_LVT_EXTINT : LAPIC_LVT_MASKED;
    struct kvm_lapic_state lapic;

    if (ioctl(vcpu_fd, KVM_GET_LAPIC, &lapic) < 0)
        return -errno;
    memcpy(lapic.regs + LAPIC_SVR, &svr, sizeof(svr));
    memcpy(lapic.regs + LAPIC_LINT0, &lint0, sizeof(lint0));
    memcpy(lapic.regs + LAPIC_LINT1, &lint1, sizeof(lint1));
    return ioctl(vcpu_fd, KVM_SET_LAPIC, &lapic) < 0 ? -errno : 0;
}

int vcpu_apply_msrs(int vcpu_fd)
{
    static const struct kvm_msr_entry wanted[] = {
        {.index = MSR_IA32_MISC_ENABLE, .data = MISC_ENABLE_FAST_STRINGS},
        {.index = MSR_IA32_MTRR_DEF_TYPE, .data = MTRR_ENABLE | MTRR_WRITE_BACK},
    };
    struct { /* the layout of struct kvm_msrs */
        uint32_t count, padding;
        struct kvm_msr_entry entries[ARRAY_SIZE(wanted)];
    } msrs = {.count = ARRAY_SIZE(wanted)};
    int r;

    memcpy(msrs.entries, wanted, sizeof(wanted));
    r = ioctl(vcpu_fd, KVM_SET_MSRS, &msrs);
    if (r < 0)
        return -errno;
    /* Fewer than asked: the CPU lacks the one it stopped at. All of them can be done without. */
    return 0;
}

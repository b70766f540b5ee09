#include "debug_native.h"

#include <cpuid.h>
#include <errno.h>
#include <sys/ioctl.h>

#include "base/bytes.h"
#include "base/util.h"
#include "guest/entry_state.h"
#include "guest/memory.h"
#include "guest/vcpu.h"

/* Intel SDM vol. 2A, CPUID; AMD64 APM vol. 3, appendix E.4. */
#define CPUID_1_ECX_VMX    (1U << 5)
#define CPUID_EXT_ECX_SVM  (1U << 2)
#define CPUID_EXT_FEATURES 0x80000001

/* AMD64 APM vol. 2, sections 4.8.4 (gates) and 4.8.1 (descriptors). */
#define GATE_BYTES       16
#define GATE_PRESENT     0x80 /* of byte 5 */
#define DESCRIPTOR_BYTES 8
#define SELECTOR_RING    3
#define SELECTOR_LDT     4
#define RFLAGS_TF        UINT64_C(0x100)

bool debug_native_host(void)
{
    unsigned eax, ebx, ecx, edx;

    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & CPUID_1_ECX_VMX))
        return false;
    return !__get_cpuid(CPUID_EXT_FEATURES, &eax, &ebx, &ecx, &edx) || !(ecx & CPUID_EXT_ECX_SVM);
}

/* Copy from linear addresses, which may lie on two pages. */
static int read_linear(const struct vcpu *vcpu, const struct guest_memory *mem, uint64_t address,
                       uint8_t *buf, size_t len)
{
    while (len > 0) {
        size_t piece = (size_t)min_u64(len, 4096 - address % 4096);
        uint64_t gpa;
        int r = vcpu_translate(vcpu, address, &gpa);

        if (r == 0)
            r = guest_memory_read(mem, gpa, buf, piece);
        if (r < 0)
            return r;
        address += piece;
        buf += piece;
        len -= piece;
    }
    return 0;
}

int debug_native_handler(const struct vcpu *vcpu, const struct guest_memory *mem, unsigned vector,
                         uint64_t *ret_handler)
{
    uint8_t gate[GATE_BYTES];
    struct kvm_sregs sregs;
    int r;

    if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
        return -errno;
    if (!(sregs.efer & X86_EFER_LMA) || sregs.idt.base == 0 ||
        sregs.idt.limit < (vector + 1) * GATE_BYTES - 1)
        return -EAGAIN;
    r = read_linear(vcpu, mem, sregs.idt.base + vector * GATE_BYTES, gate, sizeof(gate));
    if (r < 0)
        return r;
    if (!(gate[5] & GATE_PRESENT))
        return -EFAULT;
    *ret_handler =
        load_le16(gate) | (uint64_t)load_le16(gate + 6) << 16 | (uint64_t)load_le32(gate + 8) << 32;
    return 0;
}

int debug_native_frame(const struct vcpu *vcpu, const struct guest_memory *mem,
                       struct exception_frame *ret_frame)
{
    uint8_t bytes[5 * sizeof(uint64_t)];
    struct kvm_regs regs;
    int r;

    if (ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0)
        return -errno;
    r = read_linear(vcpu, mem, regs.rsp, bytes, sizeof(bytes));
    if (r < 0)
        return r;
    if ((load_le64(bytes + 8) & SELECTOR_RING) != SELECTOR_RING)
        return -EINVAL;
    *ret_frame = (struct exception_frame){
        .rip = load_le64(bytes),
        .cs = load_le64(bytes + 8),
        .rflags = load_le64(bytes + 16),
        .rsp = load_le64(bytes + 24),
        .ss = load_le64(bytes + 32),
    };
    return 0;
}

/* What loading a selector would load. */
static int read_segment(const struct vcpu *vcpu, const struct guest_memory *mem,
                        const struct kvm_dtable *gdt, uint16_t selector,
                        struct kvm_segment *ret_segment)
{
    uint64_t offset = selector & ~7U;
    uint8_t bytes[DESCRIPTOR_BYTES];
    uint64_t descriptor;
    uint32_t limit;
    int r;

    if ((selector & SELECTOR_LDT) || offset + DESCRIPTOR_BYTES - 1 > gdt->limit)
        return -EINVAL;
    r = read_linear(vcpu, mem, gdt->base + offset, bytes, sizeof(bytes));
    if (r < 0)
        return r;
    descriptor = load_le64(bytes);
    limit = (uint32_t)((descriptor & 0xffff) | (descriptor >> 32 & 0xf0000));
    *ret_segment = (struct kvm_segment){
        .base = (descriptor >> 16 & 0xffffff) | (descriptor >> 32 & 0xff000000),
        .selector = selector,
        .type = descriptor >> 40 & 15,
        .s = descriptor >> 44 & 1,
        .dpl = descriptor >> 45 & 3,
        .present = descriptor >> 47 & 1,
        .avl = descriptor >> 52 & 1,
        .l = descriptor >> 53 & 1,
        .db = descriptor >> 54 & 1,
        .g = descriptor >> 55 & 1,
    };
    ret_segment->limit = ret_segment->g ? limit << 12 | 0xfff : limit;
    return 0;
}

int debug_native_take_back(const struct vcpu *vcpu, const struct guest_memory *mem,
                           const struct exception_frame *frame)
{
    struct kvm_sregs sregs;
    struct kvm_regs regs;
    int r;

    if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0 || ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0)
        return -errno;
    r = read_segment(vcpu, mem, &sregs.gdt, (uint16_t)frame->cs, &sregs.cs);
    if (r == 0)
        r = read_segment(vcpu, mem, &sregs.gdt, (uint16_t)frame->ss, &sregs.ss);
    if (r < 0)
        return r;
    regs.rip = frame->rip;
    regs.rsp = frame->rsp;
    regs.rflags = frame->rflags & ~RFLAGS_TF; /* which was KVM's, for the step */
    if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu->fd, KVM_SET_REGS, &regs) < 0)
        return -errno;
    return 0;
}

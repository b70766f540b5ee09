/*
 * The floor: what a start costs where a program makes nothing but the ioctls that a VM cannot do
 * without, in the best order known, and runs one instruction that leaves the guest. It then writes
 * the byte that the guest wrote, and ends. Everything osvm-vmm adds is measured against this.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define CPUID_ENTRIES 256

/* mov $'x', %al; mov $0x3f8, %dx; out %al, (%dx); in real mode at 0x1000 */
static const uint8_t guest_code[] = {0xb0, 'x', 0xba, 0xf8, 0x03, 0xee};

#define CHECK(call)                  \
    ({                               \
        long result_ = (long)(call); \
        if (result_ < 0)             \
            _exit(1);                \
        result_;                     \
    })

int main(int argc, char *argv[])
{
    const size_t size = (argc > 1 ? strtoul(argv[1], NULL, 10) : 256) << 20;
    int kvm = (int)CHECK(open("/dev/kvm", O_RDWR | O_CLOEXEC));
    int vm = (int)CHECK(ioctl(kvm, KVM_CREATE_VM, 0));
    int memfd = (int)CHECK(memfd_create("guest-memory", MFD_CLOEXEC));
    static struct { /* the layout of struct kvm_cpuid2 */
        uint32_t count, padding;
        struct kvm_cpuid_entry2 entries[CPUID_ENTRIES];
    } cpuid = {.count = CPUID_ENTRIES};
    struct kvm_regs regs = {.rip = 0x1000, .rflags = 2};
    struct kvm_userspace_memory_region slot = {.memory_size = size};
    struct kvm_sregs sregs;
    struct kvm_run *run;
    uint8_t *memory;
    int vcpu;

    CHECK(ftruncate(memfd, (off_t)size));
    memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, memfd, 0);
    if (memory == MAP_FAILED)
        return 1;
    memcpy(memory + 0x1000, guest_code, sizeof(guest_code));
    slot.userspace_addr = (uintptr_t)memory;
    CHECK(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot));
    CHECK(ioctl(vm, KVM_CREATE_IRQCHIP, 0));
    vcpu = (int)CHECK(ioctl(vm, KVM_CREATE_VCPU, 0));
    run = mmap(NULL, (size_t)CHECK(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0)), PROT_READ | PROT_WRITE,
               MAP_SHARED, vcpu, 0);
    if (run == MAP_FAILED)
        return 1;
    CHECK(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid));
    CHECK(ioctl(vcpu, KVM_SET_CPUID2, &cpuid));
    CHECK(ioctl(vcpu, KVM_GET_SREGS, &sregs));
    sregs.cs.base = 0;
    sregs.cs.selector = 0;
    CHECK(ioctl(vcpu, KVM_SET_SREGS, &sregs));
    CHECK(ioctl(vcpu, KVM_SET_REGS, &regs));
    CHECK(ioctl(vcpu, KVM_RUN, 0));
    if (run->exit_reason != KVM_EXIT_IO || run->io.direction != KVM_EXIT_IO_OUT)
        return 1;
    CHECK(write(STDOUT_FILENO, (uint8_t *)run + run->io.data_offset, 1));
    return 0;
}

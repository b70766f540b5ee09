#include "guest/vm.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "guest/layout.h"

static int create_vm(const struct kvm *kvm)
{
    int fd;

    do {
        fd = ioctl(kvm->fd, KVM_CREATE_VM, 0);
    } while (fd < 0 && errno == EINTR); /* a signal may come while KVM allocates */
    return fd < 0 ? -errno : fd;
}

static int set_memory_slots(struct vm *vm, const struct guest_memory *mem)
{
    size_t count;
    const struct guest_region *regions = guest_memory_regions(mem, &count);

    for (size_t i = 0; i < count; i++) {
        struct kvm_userspace_memory_region slot = {
            .slot = (uint32_t)i,
            .guest_phys_addr = regions[i].gpa,
            .memory_size = regions[i].size,
            .userspace_addr = (uint64_t)(uintptr_t)regions[i].host,
        };

        if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
            return -errno;
    }
    return 0;
}

static int enable_wide_apic_ids(struct vm *vm)
{
    struct kvm_enable_cap cap = {
        .cap = KVM_CAP_X2APIC_API,
        .args = {KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK},
    };

    if (!vm->kvm->has_x2apic_api)
        return 0;
    return ioctl(vm->fd, KVM_ENABLE_CAP, &cap) < 0 ? -errno : 0;
}

int vm_create(struct vm *vm, const struct kvm *kvm, const struct guest_memory *mem,
              struct error *err)
{
    int r = create_vm(kvm);

    *vm = (struct vm){.kvm = kvm, .fd = r < 0 ? -1 : r};
    if (r < 0)
        return error_set_errno(err, r, "KVM cannot create a VM");
    /*
     * Memory before the interrupt controllers: these register devices on KVM's own buses, and a
     * memory slot set after that waits for their grace periods, several milliseconds long.
     */
    r = set_memory_slots(vm, mem);
    if (r < 0)
        error_set_errno(err, r, "KVM does not take the guest's memory");
    if (r == 0 && ioctl(vm->fd, KVM_SET_TSS_ADDR, LAYOUT_KVM_TSS_BASE) < 0)
        r = error_set_errno(err, -errno, "KVM does not take a TSS address");
    if (r == 0 && ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) < 0)
        r = error_set_errno(err, -errno, "KVM cannot create the interrupt controllers");
    if (r == 0) {
        r = enable_wide_apic_ids(vm);
        if (r < 0)
            error_set_errno(err, r, "KVM does not take 32-bit APIC ids");
    }
    if (r < 0)
        vm_destroy(vm);
    return r;
}

void vm_destroy(struct vm *vm)
{
    close_fd(take_fd(&vm->fd));
}

int vm_irq_connect(struct vm *vm, uint32_t gsi, struct irq_line *ret_line)
{
    struct kvm_irqfd irqfd = {.gsi = gsi};
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
        return -errno;
    irqfd.fd = (uint32_t)fd;
    if (ioctl(vm->fd, KVM_IRQFD, &irqfd) < 0) {
        int code = -errno;

        close_fd(fd);
        return code;
    }
    *ret_line = (struct irq_line){.fd = fd, .gsi = gsi};
    return 0;
}

int vm_notify_on_write(struct vm *vm, uint64_t gpa, unsigned len, uint64_t value)
{
    struct kvm_ioeventfd ioeventfd = {
        .datamatch = value,
        .addr = gpa,
        .len = len,
        .flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
    };
    _cleanup_close_ int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
        return -errno;
    ioeventfd.fd = fd;
    if (ioctl(vm->fd, KVM_IOEVENTFD, &ioeventfd) < 0)
        return -errno;
    return take_fd(&fd);
}

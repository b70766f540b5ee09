#include "guest/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/util.h"

#define KVM_DEVICE "/dev/kvm"

static int open_device(struct error *err)
{
    int fd = open(KVM_DEVICE, O_RDWR | O_CLOEXEC);

    if (fd >= 0)
        return fd;
    switch (errno) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
        return error_set(err, -errno,
                         "no KVM on this host (" KVM_DEVICE
                         " is not there): turn on virtualization in the firmware and load the "
                         "module kvm_intel or kvm_amd");
    case EACCES:
    case EPERM:
        return error_set(err, -errno,
                         "no right to open " KVM_DEVICE
                         ": join its group (as root: usermod -aG kvm USER, then log in again)");
    default:
        return error_set_errno(err, -errno, "cannot open " KVM_DEVICE);
    }
}

static int check_capabilities(const struct kvm *kvm, struct error *err)
{
    static const struct {
        int capability;
        const char *name;
    } needed[] = {
        {KVM_CAP_USER_MEMORY, "user memory"},
        {KVM_CAP_IRQCHIP, "an in-kernel interrupt controller"},
        {KVM_CAP_IRQFD, "irqfd"},
        {KVM_CAP_EXT_CPUID, "CPUID"},
        {KVM_CAP_IMMEDIATE_EXIT, "immediate exit"},
    };

    if (ioctl(kvm->fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
        return error_set(err, -ENOTSUP, "this kernel's KVM speaks another API than version %d",
                         KVM_API_VERSION);
    for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
        if (ioctl(kvm->fd, KVM_CHECK_EXTENSION, needed[i].capability) <= 0)
            return error_set(err, -ENOTSUP, "this kernel's KVM lacks %s", needed[i].name);
    }
    return 0;
}

int kvm_open(struct kvm *kvm, struct error *err)
{
    int r, size;

    *kvm = (struct kvm){.fd = open_device(err)};
    if (kvm->fd < 0) {
        r = kvm->fd;
        kvm->fd = -1;
        return r;
    }
    r = check_capabilities(kvm, err);
    if (r < 0) {
        kvm_close(kvm);
        return r;
    }
    size = ioctl(kvm->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (size < (int)sizeof(struct kvm_run)) {
        kvm_close(kvm);
        return error_set(err, -ENOTSUP, "this kernel's KVM gives no vCPU page");
    }
    kvm->run_size = (size_t)size;
    /* Linux, Documentation/virt/kvm/api.rst, 4.7: where it is not told, 4 is the number. */
    r = ioctl(kvm->fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
    kvm->max_vcpus = r > 0 ? (unsigned)r : 4;
    kvm->has_tsc_deadline = ioctl(kvm->fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
    kvm->has_x2apic_api = ioctl(kvm->fd, KVM_CHECK_EXTENSION, KVM_CAP_X2APIC_API) > 0;
    /* Its answer is which sets of registers; negative where it fails. */
    r = ioctl(kvm->fd, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS);
    kvm->has_sync_regs = r > 0 && (r & KVM_SYNC_X86_REGS);
    return 0;
}

void kvm_close(struct kvm *kvm)
{
    close_fd(take_fd(&kvm->fd));
}

/* The host's KVM: opened, and asked once for what a machine needs. */
#ifndef OSVM_GUEST_KVM_H
#define OSVM_GUEST_KVM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct kvm {
    int fd;                /* /dev/kvm; -1: not open */
    size_t run_size;       /* bytes of a vCPU's shared page(s) */
    unsigned max_vcpus;    /* the most that one VM may have */
    bool has_tsc_deadline; /* the local APIC's TSC-deadline timer is emulated */
    bool has_x2apic_api;   /* APIC ids over 254 can be addressed */
    bool has_sync_regs;    /* an exit can bring the general registers along */
};

/**
 * Open /dev/kvm and check that it has what osvm-vmm stands on.
 *
 * Returns 0; -ENOENT, -EACCES, … with what to do about it in err; -ENOTSUP where the kernel's KVM
 * lacks something (named). `kvm` is closed then.
 */
int kvm_open(struct kvm *kvm, struct error *err);

/* Accepts one that is not open. */
void kvm_close(struct kvm *kvm);

#endif

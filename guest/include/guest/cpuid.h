/* What CPU the guest sees: the host's as KVM offers it, with a topology of this machine's own. */
#ifndef OSVM_GUEST_CPUID_H
#define OSVM_GUEST_CPUID_H

#include <linux/kvm.h>
#include <stdint.h>

#include "base/error.h"
#include "guest/vm.h"

#define CPUID_MAX_ENTRIES 256

/* In the layout of struct kvm_cpuid2, which KVM_SET_CPUID2 takes. */
struct cpuid {
    uint32_t count; /* how many entries are used; nent of struct kvm_cpuid2 */
    uint32_t padding;
    struct kvm_cpuid_entry2 entries[CPUID_MAX_ENTRIES];
};

/**
 * Ask KVM what it offers and make of it what all CPUs of the machine have in common.
 *
 * One package of `cpus` cores with one thread each; the hypervisor bit and leaves (with the TSC's
 * and the APIC's frequency at 0x40000010); no performance counters.
 * @tsc_khz  frequency of the guest's TSC, 0 where it is not known
 * Returns 0 or a negative errno with the reason in err.
 */
int cpuid_init(struct cpuid *cpuid, const struct kvm *kvm, unsigned cpus, unsigned tsc_khz,
               struct error *err);

/* Put one CPU's APIC id into the entries that tell it. */
void cpuid_set_apic_id(struct cpuid *cpuid, unsigned apic_id);

#endif

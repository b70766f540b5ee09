/*
 * Leaf numbers and fields: Intel SDM vol. 2A, CPUID; AMD64 APM vol. 3, appendix E. Hypervisor
 * leaves: Linux, Documentation/virt/kvm/x86/cpuid.rst; 0x40000010 is the timing leaf that VMware
 * defined and QEMU and others offer too.
 */
#include "guest/cpuid.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/util.h"

#define CPUID_HYPERVISOR        UINT32_C(0x40000000)
#define CPUID_HYPERVISOR_TIMING UINT32_C(0x40000010)

#define CPUID1_ECX_X2APIC       (UINT32_C(1) << 21)
#define CPUID1_ECX_TSC_DEADLINE (UINT32_C(1) << 24)
#define CPUID1_ECX_HYPERVISOR   (UINT32_C(1) << 31)
#define CPUID1_EDX_HTT          (UINT32_C(1) << 28)

#define CPUID80000001_ECX_CMP_LEGACY    (UINT32_C(1) << 1)
#define CPUID80000001_ECX_PERF_CTR_CORE (UINT32_C(1) << 23)
#define CPUID80000001_ECX_PERF_CTR_NB   (UINT32_C(1) << 24)

/* Leaf 0xb's level types. */
#define TOPOLOGY_SMT  1
#define TOPOLOGY_CORE 2

/* KVM's local APIC timer runs on a bus of 1 GHz (Linux, APIC_BUS_CYCLE_NS = 1). */
#define APIC_BUS_KHZ 1000000

_Static_assert(offsetof(struct cpuid, entries) == sizeof(struct kvm_cpuid2), "the layout of KVM");

static bool is_host_topology(const struct kvm_cpuid_entry2 *entry)
{
    /* Extended topology (Intel 0xb, 0x1f; AMD 0x80000026): the host's, to be replaced by ours. */
    return entry->function == 0xb || entry->function == 0x1f || entry->function == 0x80000026;
}

/* The bits that number `count` things. */
static unsigned bits_for(unsigned count)
{
    return count > 1 ? 32u - (unsigned)__builtin_clz(count - 1) : 0;
}

static unsigned at_most(unsigned value, unsigned limit)
{
    return value < limit ? value : limit;
}

static void cache_set_sharing(struct kvm_cpuid_entry2 *entry, unsigned cpus)
{
    unsigned level = (entry->eax >> 5) & 7;
    unsigned sharing = level >= 3 ? at_most(cpus - 1, 0xfff) : 0;

    entry->eax = (entry->eax & ~(UINT32_C(0xfff) << 14)) | (sharing << 14);
}

static void entry_adapt(struct kvm_cpuid_entry2 *entry, const struct kvm *kvm, unsigned cpus)
{
    switch (entry->function) {
    case 0x1:
        entry->ecx |= CPUID1_ECX_HYPERVISOR | CPUID1_ECX_X2APIC;
        if (kvm->has_tsc_deadline)
            entry->ecx |= CPUID1_ECX_TSC_DEADLINE;
        entry->ebx &= 0x0000ffff;
        entry->ebx |= at_most(1u << bits_for(cpus), 255) << 16;
        if (cpus > 1)
            entry->edx |= CPUID1_EDX_HTT;
        else
            entry->edx &= ~CPUID1_EDX_HTT;
        break;
    case 0x4: /* Intel's caches */
        if ((entry->eax & 0x1f) == 0)
            break;
        cache_set_sharing(entry, cpus);
        entry->eax &= ~(UINT32_C(0x3f) << 26);
        entry->eax |= at_most((1u << bits_for(cpus)) - 1, 0x3f) << 26;
        break;
    case 0xa:        /* Intel's performance counters */
    case 0x80000022: /* AMD's */
        entry->eax = entry->ebx = entry->ecx = entry->edx = 0;
        break;
    case 0x80000001:
        entry->ecx &= ~(CPUID80000001_ECX_PERF_CTR_CORE | CPUID80000001_ECX_PERF_CTR_NB |
                        CPUID80000001_ECX_CMP_LEGACY);
        if (cpus > 1)
            entry->ecx |= CPUID80000001_ECX_CMP_LEGACY;
        break;
    case 0x80000008: /* number of cores, and of APIC id bits */
        entry->ecx =
            (entry->ecx & ~UINT32_C(0xf0ff)) | at_most(cpus - 1, 0xff) | bits_for(cpus) << 12;
        break;
    case 0x8000001d: /* AMD's caches */
        if ((entry->eax & 0x1f) != 0)
            cache_set_sharing(entry, cpus);
        break;
    default:
        break;
    }
}

static struct kvm_cpuid_entry2 *cpuid_find(struct cpuid *cpuid, uint32_t function)
{
    for (uint32_t i = 0; i < cpuid->count; i++) {
        if (cpuid->entries[i].function == function)
            return &cpuid->entries[i];
    }
    return NULL;
}

static struct kvm_cpuid_entry2 *cpuid_append(struct cpuid *cpuid, uint32_t function)
{
    struct kvm_cpuid_entry2 *entry;

    if (cpuid->count == CPUID_MAX_ENTRIES)
        return NULL;
    entry = &cpuid->entries[cpuid->count++];
    *entry = (struct kvm_cpuid_entry2){.function = function};
    return entry;
}

static void add_topology(struct cpuid *cpuid, unsigned cpus)
{
    const struct kvm_cpuid_entry2 levels[] = {
        {.eax = 0, .ebx = 1, .ecx = TOPOLOGY_SMT << 8},
        {.eax = bits_for(cpus), .ebx = cpus, .ecx = TOPOLOGY_CORE << 8},
        {.eax = 0, .ebx = 0, .ecx = 0},
    };
    struct kvm_cpuid_entry2 *basic = cpuid_find(cpuid, 0);

    if (!basic || basic->eax < 0xb)
        return; /* a CPU from before x2APIC: leaf 4 or 0x80000008 has to do */
    for (uint32_t i = 0; i < ARRAY_SIZE(levels); i++) {
        struct kvm_cpuid_entry2 *entry = cpuid_append(cpuid, 0xb);

        if (!entry)
            return;
        *entry = levels[i];
        entry->function = 0xb;
        entry->index = i;
        entry->ecx |= i;
        entry->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
    }
}

static void add_timing(struct cpuid *cpuid, unsigned tsc_khz)
{
    struct kvm_cpuid_entry2 *base = cpuid_find(cpuid, CPUID_HYPERVISOR);
    struct kvm_cpuid_entry2 *timing;

    if (!base || tsc_khz == 0 || cpuid_find(cpuid, CPUID_HYPERVISOR_TIMING))
        return;
    timing = cpuid_append(cpuid, CPUID_HYPERVISOR_TIMING);
    if (!timing)
        return;
    timing->eax = tsc_khz;
    timing->ebx = APIC_BUS_KHZ;
    if (base->eax < CPUID_HYPERVISOR_TIMING)
        base->eax = CPUID_HYPERVISOR_TIMING;
}

int cpuid_init(struct cpuid *cpuid, const struct kvm *kvm, unsigned cpus, unsigned tsc_khz,
               struct error *err)
{
    uint32_t kept = 0;

    memset(cpuid, 0, sizeof(*cpuid));
    cpuid->count = CPUID_MAX_ENTRIES;
    if (ioctl(kvm->fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0)
        return error_set_errno(err, -errno, "KVM does not say what CPUs it offers");
    for (uint32_t i = 0; i < cpuid->count; i++) {
        if (is_host_topology(&cpuid->entries[i]))
            continue;
        cpuid->entries[kept] = cpuid->entries[i];
        entry_adapt(&cpuid->entries[kept], kvm, cpus);
        kept++;
    }
    cpuid->count = kept;
    add_topology(cpuid, cpus);
    add_timing(cpuid, tsc_khz);
    return 0;
}

void cpuid_set_apic_id(struct cpuid *cpuid, unsigned apic_id)
{
    for (uint32_t i = 0; i < cpuid->count; i++) {
        struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

        switch (entry->function) {
        case 0x1:
            entry->ebx = (entry->ebx & 0x00ffffff) | (apic_id & 0xff) << 24;
            break;
        case 0xb:
            entry->edx = apic_id;
            break;
        case 0x8000001e: /* AMD: extended APIC id; core id, one thread a core; one node */
            entry->eax = apic_id;
            entry->ebx = apic_id & 0xff;
            entry->ecx = 0;
            break;
        default:
            break;
        }
    }
}

/* What CPUID tells a guest of `cpus=N`. Leaves: AMD64 APM vol. 3, appendix E; Intel SDM, CPUID. */
#include "sdk/apic.h"
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/cpu.h"
#include "sdk/interrupt.h"
#include "sdk/io.h"
#include "sdk/report.h"
#include "sdk/smp.h"
#include "sdk/string.h"

#define LEAF1_HYPERVISOR  (1u << 31)
#define LEAF1_X2APIC      (1u << 21)
#define LEAF1_APIC        (1u << 9)
#define LEAF1_HTT         (1u << 28)
#define LEAF_KVM          0x40000000
#define LEAF_TOPOLOGY     0xb
#define LEVEL_SMT         1
#define LEVEL_CORE        2
#define LEAF_AMD_FEATURES 0x80000001
#define AMD_TOPOLOGY_EXT  (1u << 22)
#define LEAF_AMD_TOPOLOGY 0x8000001e

static struct {
    uint32_t leaf1_id, topology_id, amd_id;
    bool has_topology, has_amd;
} seen[CPU_MAX];

static void look(void *argument)
{
    unsigned i = cpu_index();

    (void)argument;
    seen[i].leaf1_id = cpuid(1, 0).ebx >> 24;
    seen[i].has_topology = cpuid(0, 0).eax >= LEAF_TOPOLOGY && cpuid(LEAF_TOPOLOGY, 0).ebx != 0;
    seen[i].topology_id = cpuid(LEAF_TOPOLOGY, 0).edx;
    seen[i].has_amd = cpuid(0x80000000, 0).eax >= LEAF_AMD_TOPOLOGY &&
                      (cpuid(LEAF_AMD_FEATURES, 0).ecx & AMD_TOPOLOGY_EXT);
    seen[i].amd_id = cpuid(LEAF_AMD_TOPOLOGY, 0).eax;
}

static void check_ids(unsigned cpus)
{
    unsigned leaf1 = 0, topology = 0, amd = 0;

    look(NULL);
    for (unsigned i = 1; i < cpus; i++) {
        smp_run(i, look, NULL);
        smp_wait(i);
    }
    for (unsigned i = 0; i < cpus; i++) {
        leaf1 += seen[i].leaf1_id == cpu_apic_id(i);
        topology += seen[i].topology_id == cpu_apic_id(i);
        amd += seen[i].amd_id == cpu_apic_id(i);
    }
    report(leaf1 == cpus, "leaf 1 gives each CPU its APIC id");
    if (seen[0].has_topology)
        report(topology == cpus, "leaf 0xb gives each CPU its APIC id");
    else
        report_skip("leaf 0xb");
    if (seen[0].has_amd)
        report(amd == cpus, "leaf 0x8000001e gives each CPU its APIC id");
    else
        report_skip("leaf 0x8000001e");
}

static void check_counts(unsigned cpus)
{
    struct cpuid_result one = cpuid(1, 0), core = cpuid(LEAF_TOPOLOGY, 1);
    struct cpuid_result smt = cpuid(LEAF_TOPOLOGY, 0);
    unsigned count = one.edx & LEAF1_HTT ? one.ebx >> 16 & 0xff : 1;

    /* Some KVMs set the HTT flag by themselves; with a count of 1 that says nothing wrong. */
    report(cpus > 1 ? count >= cpus : count == 1, "leaf 1 has room for %u (%u)", cpus, count);
    if (!seen[0].has_topology)
        return;
    report((smt.ecx >> 8 & 0xff) == LEVEL_SMT && (core.ecx >> 8 & 0xff) == LEVEL_CORE,
           "leaf 0xb names threads, then cores");
    report(core.ebx == cpus, "leaf 0xb counts %u in the package (%u)", cpus, core.ebx);
    report(1u << (core.eax & 0x1f) >= cpus, "its shift has room for them (%u)", core.eax & 0x1f);
    report(cpuid(LEAF_TOPOLOGY, 2).ebx == 0, "its third level is the end");
}

int main(void)
{
    unsigned cpus = smp_start();
    struct cpuid_result one = cpuid(1, 0), kvm = cpuid(LEAF_KVM, 0);

    report(cpus == boot_option_number("cpus", 1), "%u CPUs", cpus);
    report(one.ecx & LEAF1_HYPERVISOR, "leaf 1 says that there is a hypervisor");
    report(kvm.ebx == 0x4b4d564b && kvm.ecx == 0x564b4d56 && kvm.edx == 0x4d,
           "leaf 0x40000000 says KVM");
    report(kvm.eax >= LEAF_KVM + 1, "with its features");
    report(one.edx & LEAF1_APIC, "there is a local APIC");
    report(one.ecx & LEAF1_X2APIC, "which knows x2APIC mode");
    check_ids(cpus);
    check_counts(cpus);
    return report_summary();
}

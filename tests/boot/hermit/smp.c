/* All CPUs begin at once, each with its number; cpus= of the boot arguments says how many. */
#include "hermit.h"

#define CPU_MAX 64

static uint8_t begun[CPU_MAX];
static uint32_t apic_ids[CPU_MAX];
static uint64_t infos[CPU_MAX];

static void begin(const struct boot_info *info, uint64_t cpu)
{
    uint32_t r[4];

    cpuid(1, r);
    apic_ids[cpu] = r[1] >> 24;
    infos[cpu] = (uint64_t)info;
    __atomic_fetch_add(&begun[cpu], 1, __ATOMIC_SEQ_CST);
}

void hermit_main(const struct boot_info *info, uint64_t cpu)
{
    uint64_t cpus = bootargs_number(info, "cpus");

    if (cpu >= CPU_MAX)
        return;
    begin(info, cpu);
    if (cpu != 0)
        return;
    for (uint64_t i = 0; i < cpus; i++) {
        while (!__atomic_load_n(&begun[i], __ATOMIC_SEQ_CST))
            __asm__ volatile("pause"); /* one that does not come is the runner's limit */
        report_equal(begun[i], 1, "a CPU began, once");
        report_equal(apic_ids[i], i, "its APIC id is its number");
        report_equal(infos[i], (uint64_t)info, "it is told of the boot information");
        report_equal(i ? hermit_entry_rsp[i] : hermit_entry_registers.rsp,
                     info->kernel_start - 0x8000, "it has the boot stack's lower end");
    }
    report_equal(info->cpus, cpus, "the number of CPUs");
    for (uint64_t i = cpus; i < CPU_MAX; i++)
        if (begun[i])
            report(false, "a CPU too many");
    report_end();
}

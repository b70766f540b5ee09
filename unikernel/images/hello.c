/*
 * The image inside osvm-vmm, which boots where no kernel is named: it greets, says what machine
 * it sees and how long the way to its first instruction was.
 */
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/cpu.h"
#include "sdk/exit.h"
#include "sdk/io.h"
#include "sdk/smp.h"
#include "sdk/string.h"

#define MIB (UINT64_C(1) << 20)

static void print_hypervisor(void)
{
    struct cpuid_result r = cpuid(0x40000000, 0);
    char signature[13] = {0};

    if (!(cpuid(1, 0).ecx >> 31)) {
        printf("hypervisor: none that says so\n");
        return;
    }
    memcpy(signature, &r.ebx, 4);
    memcpy(signature + 4, &r.ecx, 4);
    memcpy(signature + 8, &r.edx, 4);
    printf("hypervisor: %s\n", signature);
}

int main(void)
{
    const struct boot_info *info = boot_info();
    unsigned cpus = cpu_count();

    printf("Hello from inside the virtual machine.\n");
    printf("CPUs:       %u\n", cpus);
    printf("memory:     %lu MiB\n", (boot_ram_size() + MIB - 1) / MIB);
    print_hypervisor();
    printf("booted by:  %s\n", info->source == BOOT_BY_PVH ? "PVH" : "another protocol");
    if (*info->cmdline)
        printf("command:    %s\n", info->cmdline);
    if (osvm_port_present()) {
        port_out32(OSVM_PORT, OSVM_MILESTONE_READY);
        printf("first instruction %u us after the start of osvm-vmm, this line %u us\n",
               port_in32(OSVM_PORT + OSVM_PORT_FIRST_INSTRUCTION),
               port_in32(OSVM_PORT + OSVM_PORT_NOW));
    }
    return 0;
}

/* The end of the machine. */
#include "sdk/exit.h"

#include "cpu_state.h"
#include "sdk/acpi.h"
#include "sdk/cpu.h"
#include "sdk/io.h"

extern int main(void);

bool osvm_port_present(void)
{
    return port_in32(OSVM_PORT) == OSVM_PORT_SIGNATURE;
}

static uint64_t triple_fault(void *argument)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) none = {0};

    (void)argument;
    __asm__ volatile("lidt %0; ud2" : : "m"(none));
    return 0;
}

void machine_triple_fault(void)
{
    for (;;)
        ring0_call(triple_fault, NULL);
}

void machine_exit(int status)
{
    if (osvm_port_present())
        port_out32(OSVM_PORT + OSVM_PORT_EXIT, (uint32_t)status);
    port_out32(PORT_DEBUG_EXIT, (uint32_t)status);
    acpi_power_off();
    machine_triple_fault();
}

void sdk_start(struct cpu *cpu)
{
    tss_init(cpu);
    interrupts_init();
    boot_init();
    console_init();
    machine_exit(main());
}

/* Ring 0 on behalf of ring 3. */
#include "sdk/cpu.h"

#include "cpu_state.h"

struct cpuid_result cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_result result;

    gate(GATE_CPUID, (uint64_t)subleaf << 32 | leaf, (uintptr_t)&result);
    return result;
}

uint64_t msr_read(uint32_t msr)
{
    return gate(GATE_MSR_READ, msr, 0);
}

void msr_write(uint32_t msr, uint64_t value)
{
    gate(GATE_MSR_WRITE, msr, value);
}

uint64_t ring0_call(uint64_t (*function)(void *), void *argument)
{
    return gate(GATE_CALL, (uintptr_t)function, (uintptr_t)argument);
}

struct cr_access {
    unsigned number;
    uint64_t value;
};

static uint64_t cr_read_ring0(void *argument)
{
    const struct cr_access *access = argument;
    uint64_t value = 0;

    switch (access->number) {
    case 0:
        __asm__ volatile("mov %%cr0, %0" : "=r"(value));
        break;
    case 2:
        __asm__ volatile("mov %%cr2, %0" : "=r"(value));
        break;
    case 3:
        __asm__ volatile("mov %%cr3, %0" : "=r"(value));
        break;
    case 4:
        __asm__ volatile("mov %%cr4, %0" : "=r"(value));
        break;
    case 8:
        __asm__ volatile("mov %%cr8, %0" : "=r"(value));
        break;
    default:
        break;
    }
    return value;
}

static uint64_t cr_write_ring0(void *argument)
{
    const struct cr_access *access = argument;

    switch (access->number) {
    case 0:
        __asm__ volatile("mov %0, %%cr0" : : "r"(access->value) : "memory");
        break;
    case 2:
        __asm__ volatile("mov %0, %%cr2" : : "r"(access->value) : "memory");
        break;
    case 3:
        __asm__ volatile("mov %0, %%cr3" : : "r"(access->value) : "memory");
        break;
    case 4:
        __asm__ volatile("mov %0, %%cr4" : : "r"(access->value) : "memory");
        break;
    case 8:
        __asm__ volatile("mov %0, %%cr8" : : "r"(access->value) : "memory");
        break;
    default:
        break;
    }
    return 0;
}

uint64_t cr_read(unsigned number)
{
    struct cr_access access = {.number = number};

    return ring0_call(cr_read_ring0, &access);
}

void cr_write(unsigned number, uint64_t value)
{
    struct cr_access access = {.number = number, .value = value};

    ring0_call(cr_write_ring0, &access);
}

void tlb_flush_page(const void *address)
{
    gate(GATE_TLB_FLUSH, (uintptr_t)address, 0);
}

/* By the gate and not by `sti` and `popf`: a software KVM that runs ring 3 natively need not honour
 * these there. */
bool interrupts_enable(void)
{
    return gate(GATE_SET_INTERRUPT, RFLAGS_IF, 0) != 0;
}

bool interrupts_disable(void)
{
    return gate(GATE_SET_INTERRUPT, 0, 0) != 0;
}

static void halt_if(const volatile uint32_t *word, uint32_t value)
{
    if (cpu_ring() == 0)
        gate(GATE_HALT_WHILE, (uintptr_t)word, value);
    else
        gate_halt_while_ring3(word, value);
}

void cpu_halt_while(const volatile uint32_t *word, uint32_t value)
{
    while (*word == value)
        halt_if(word, value);
}

void cpu_halt(void)
{
    uint32_t zero = 0;

    halt_if(&zero, 0);
}

unsigned cpu_ring(void)
{
    uint16_t cs;

    __asm__("mov %%cs, %0" : "=r"(cs));
    return cs & 3;
}

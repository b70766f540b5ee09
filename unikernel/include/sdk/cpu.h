/*
 * The CPU's two rings. The application runs in ring 3 with IOPL 3 and all memory writable; what
 * only ring 0 may do goes through one gate (`int $0x80`), whose operations are the functions below.
 * They work from ring 0 too.
 */
#ifndef SDK_CPU_H
#define SDK_CPU_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Marks a function that may run in ring 0 (an interrupt handler, what ring0_call() runs). Where
 * ring 0 is emulated, the emulator knows no SSE; so the compiler is told to use none. Functions of
 * the SDK are all built this way and may be called from one.
 */
#define RING0_CODE __attribute__((target("general-regs-only")))

#define MSR_APIC_BASE 0x1b       /* Intel SDM vol. 4, IA32_APIC_BASE */
#define MSR_EFER      0xc0000080 /* AMD64 APM vol. 2, section 3.1.7 */
#define MSR_GS_BASE   0xc0000101

#define CR4_OSXSAVE (UINT64_C(1) << 18)

struct cpuid_result {
    uint32_t eax, ebx, ecx, edx;
};

/* By ring 0: a software KVM that runs ring 3 natively may show the host's CPUID there. */
struct cpuid_result cpuid(uint32_t leaf, uint32_t subleaf);

uint64_t msr_read(uint32_t msr);
void msr_write(uint32_t msr, uint64_t value);

/* Control register 0, 2, 3, 4 or 8. Another number reads 0 and writes nothing. */
uint64_t cr_read(unsigned number);
void cr_write(unsigned number, uint64_t value);

void tlb_flush_page(const void *address);

/**
 * Run function(argument) in ring 0, interrupts off, on the CPU's ring-0 stack (8 KiB).
 * Returns what it returns. The function must be RING0_CODE.
 */
uint64_t ring0_call(uint64_t (*function)(void *argument), void *argument);

/**
 * Take interrupts in ring 3, or not. A CPU begins with them off.
 * Returns whether they were on.
 */
bool interrupts_enable(void);
bool interrupts_disable(void);

/**
 * Halt until *word differs from value. Interrupts are taken while it halts, whether or not they
 * are on otherwise; each wakes the CPU to look again, so the word must be changed by a handler
 * on this CPU or by a CPU that then sends an interrupt. No wake-up is lost.
 */
void cpu_halt_while(const volatile uint32_t *word, uint32_t value);

/* Halt until one interrupt has been handled. */
void cpu_halt(void);

/* The privilege level that this is called at, 0 or 3. */
unsigned cpu_ring(void);

#endif

/* Exceptions of ring 3 reach their handlers with what the architecture says, and it goes on. */
#include "sdk/cpu.h"
#include "sdk/interrupt.h"
#include "sdk/io.h"
#include "sdk/memory.h"
#include "sdk/report.h"

#define UNMAPPED (UINT64_C(1) << 46)
#define MSR_NONE 0x12345678

static volatile uint64_t vector, error_code, rip, cr2;
static volatile unsigned skip;

static RING0_CODE void on_exception(struct interrupt_frame *frame)
{
    vector = frame->vector;
    error_code = frame->error_code;
    rip = frame->rip;
    cr2 = cr_read(2);
    frame->rip += skip;
}

/* Run one instruction that faults and is `length` bytes long; give its address. */
#define FAULTING(length, instruction, ...)                                                   \
    ({                                                                                       \
        uint64_t here;                                                                       \
        vector = UINT64_MAX;                                                                 \
        skip = (length);                                                                     \
        __asm__ volatile("leaq 1f(%%rip), %0\n1: " instruction : "=&r"(here) : __VA_ARGS__); \
        here;                                                                                \
    })

int main(void)
{
    uint64_t at;

    for (unsigned v = 0; v < 32; v++)
        interrupt_set_handler(v, on_exception);

    at = FAULTING(2, "ud2", "i"(0));
    report(vector == VECTOR_INVALID_OPCODE && rip == at, "an invalid opcode");
    at = FAULTING(3, "divq %%rcx", "a"(1), "d"(0), "c"(0UL));
    report(vector == VECTOR_DIVIDE_ERROR && rip == at, "a division by zero");
    at = FAULTING(0, "int3", "i"(0));
    report(vector == VECTOR_BREAKPOINT && rip == at + 1, "a breakpoint");
    at = FAULTING(2, "movb (%%rcx), %%al", "c"(UNMAPPED) : "rax");
    report(vector == VECTOR_PAGE_FAULT && rip == at && cr2 == UNMAPPED && error_code == 4,
           "a page fault by a read (error %lx, address %lx)", error_code, cr2);
    at = FAULTING(2, "movb %%al, (%%rcx)", "c"(UNMAPPED));
    report(vector == VECTOR_PAGE_FAULT && rip == at && error_code == 6, "by a write (error %lx)",
           error_code);
    at = FAULTING(1, "hlt", "i"(0));
    report(vector == VECTOR_GENERAL_PROTECTION && rip == at && error_code == 0,
           "a privileged instruction");
    at = FAULTING(2, "rdmsr", "c"(MSR_APIC_BASE) : "rax", "rdx");
    report(vector == VECTOR_GENERAL_PROTECTION && rip == at, "rdmsr in ring 3");
    skip = 2; /* rdmsr, in the gate */
    vector = UINT64_MAX;
    msr_read(MSR_NONE);
    report(vector == VECTOR_GENERAL_PROTECTION, "an MSR that is not there, in ring 0");
    return report_summary();
}

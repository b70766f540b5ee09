/*
 * An instruction that a software KVM cannot emulate in ring 0: `opcode=sse|cmpxchg16b|fwait`. The
 * machine must end with status 126 and say where. On a real CPU this prints that it went on.
 */
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/cpu.h"

static uint64_t pair[2] __attribute__((aligned(16)));

static uint64_t sse(void *argument)
{
    __asm__ volatile("addps %%xmm0, %%xmm0" : : : "memory");
    return (uint64_t)argument;
}

static uint64_t compare_and_swap(void *argument)
{
    __asm__ volatile("lock cmpxchg16b %0"
                     : "+m"(pair[0])
                     : "a"(0UL), "d"(0UL), "b"(1UL), "c"(1UL)
                     : "memory", "cc");
    return (uint64_t)argument;
}

static uint64_t wait_for_x87(void *argument)
{
    __asm__ volatile("fwait");
    return (uint64_t)argument;
}

int main(void)
{
    const char *opcode = boot_option("opcode");
    char kind = opcode ? opcode[0] : 0;

    printf("about to run %s in ring 0\n", opcode ? opcode : "nothing");
    ring0_call(kind == 's' ? sse : kind == 'c' ? compare_and_swap : wait_for_x87, NULL);
    printf("it went on\n");
    return 1;
}

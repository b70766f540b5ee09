/*
 * What gdb is tried on (tests/system/rows_gdb.py): unoptimized, with its symbols. Its work is done
 * in ring 0, where a KVM that emulates ring 0 knows breakpoints; `ring3` does a little in ring 3.
 *
 * It ends with the status that `result` has. `spin=1` on the command line has each CPU count until
 * `released` is set, which only a debugger does.
 */
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/cpu.h"
#include "sdk/exit.h"
#include "sdk/smp.h"

#define CPUS_MAX 4

struct pair {
    uint32_t first, second;
};

extern volatile uint32_t released, result;
extern volatile uint64_t spins[CPUS_MAX];
extern struct pair pairs[2];
extern char text[16];

volatile uint32_t released, result = 1;
volatile uint64_t spins[CPUS_MAX];
struct pair pairs[2] = {{1, 2}, {3, 4}};
char text[16] = "as it was";

uint32_t inner(uint32_t number, const struct pair *pair);
uint32_t outer(uint32_t number);
uint64_t ring0(void *argument);
uint32_t ring3(uint32_t number);
uint64_t spin(void *argument);

uint32_t inner(uint32_t number, const struct pair *pair)
{
    uint32_t sum = number + pair->first;

    sum += pair->second;
    return sum;
}

uint32_t outer(uint32_t number)
{
    uint32_t local = number * 2;

    local = inner(local, &pairs[1]);
    result = local;
    return local;
}

uint64_t ring0(void *argument)
{
    outer(*(uint32_t *)argument);
    return 0;
}

uint32_t ring3(uint32_t number)
{
    uint32_t twice = number * 2;

    return twice + 1;
}

uint64_t spin(void *argument)
{
    volatile uint64_t *count = argument;

    while (!released)
        ++*count;
    return 0;
}

static void spin_there(void *argument)
{
    (void)argument;
    ring0_call(spin, (void *)&spins[cpu_index()]);
}

int main(void)
{
    uint32_t number = 10;
    unsigned cpus = smp_start();

    ring0_call(ring0, &number);
    printf("ring3(20) is %u\n", ring3(20));
    if (boot_option("spin")) {
        for (unsigned i = 1; i < cpus && i < CPUS_MAX; i++)
            smp_run(i, spin_there, NULL);
        printf("spinning\n");
        spin_there(NULL);
    }
    printf("text is '%s'\n", text);
    return (int)result;
}

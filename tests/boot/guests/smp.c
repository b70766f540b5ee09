/* All CPUs (`cpus=N`) come up, run in ring 3 with a state of their own, and send interrupts. */
#include "sdk/smp.h"
#include "sdk/apic.h"
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/cpu.h"
#include "sdk/interrupt.h"
#include "sdk/io.h"
#include "sdk/report.h"
#include "sdk/time.h"

#define VECTOR_TO_ALL  VECTOR_FIRST_FREE
#define VECTOR_TO_BOOT (VECTOR_FIRST_FREE + 1)
#define VECTOR_TIMER   (VECTOR_FIRST_FREE + 2)
#define TIME_LIMIT     20000000
#define ROUNDS         1000

static struct {
    uint32_t index, apic_id, ring;
    uint64_t stack;
} seen[CPU_MAX];

static struct spinlock lock;
static uint64_t locked_count;
static volatile uint32_t atomic_count, arrived[CPU_MAX];

static RING0_CODE void on_ipi(struct interrupt_frame *frame)
{
    (void)frame;
    arrived[cpu_index()]++;
}

static void look(void *argument)
{
    unsigned i = cpu_index();

    (void)argument;
    seen[i].index = i;
    seen[i].apic_id = apic_id();
    seen[i].ring = cpu_ring();
    seen[i].stack = (uint64_t)&i;
}

static void count(void *argument)
{
    (void)argument;
    for (unsigned n = 0; n < ROUNDS; n++) {
        spin_lock(&lock);
        locked_count++;
        spin_unlock(&lock);
        __atomic_fetch_add(&atomic_count, 1, __ATOMIC_RELAXED);
    }
}

static void answer(void *argument)
{
    apic_send_ipi(*(uint32_t *)argument, VECTOR_TO_BOOT);
}

static void timer(void *argument)
{
    uint32_t before = arrived[cpu_index()];

    (void)argument;
    apic_timer_once(VECTOR_TIMER, 2000);
    cpu_halt_while(&arrived[cpu_index()], before);
}

/* One after another: with more CPUs than the host has, all at once would measure its scheduler. */
static void on_each(unsigned cpus, void (*function)(void *), void *argument)
{
    for (unsigned i = 1; i < cpus; i++) {
        smp_run(i, function, argument);
        smp_wait(i);
    }
}

static void check_states(unsigned cpus)
{
    unsigned good_index = 0, good_id = 0, good_ring = 0, own_stack = 0;

    look(NULL);
    on_each(cpus, look, NULL);
    for (unsigned i = 0; i < cpus; i++) {
        bool own = true;

        good_index += seen[i].index == i;
        good_id += seen[i].apic_id == cpu_apic_id(i);
        good_ring += seen[i].ring == 3;
        for (unsigned j = 0; j < i; j++)
            own = own && (seen[i].stack > seen[j].stack ? seen[i].stack - seen[j].stack
                                                        : seen[j].stack - seen[i].stack) > 8192;
        own_stack += own;
    }
    report(good_index == cpus, "each has its number");
    report(good_id == cpus, "each has the APIC id that the MADT gives it");
    report(good_ring == cpus, "each runs in ring 3");
    report(own_stack == cpus, "each has a stack of its own");
}

static void check_counting(unsigned cpus)
{
    for (unsigned i = 1; i < cpus; i++)
        smp_run(i, count, NULL);
    count(NULL);
    for (unsigned i = 1; i < cpus; i++)
        smp_wait(i);
    report(locked_count == (uint64_t)cpus * ROUNDS, "all count together under a lock");
    report(atomic_count == cpus * ROUNDS, "all count together atomically");
}

static void check_interrupts(unsigned cpus)
{
    uint32_t boot = apic_id();
    unsigned reached = 0;

    interrupt_set_handler(VECTOR_TO_ALL, on_ipi);
    interrupt_set_handler(VECTOR_TO_BOOT, on_ipi);
    interrupt_set_handler(VECTOR_TIMER, on_ipi);
    for (unsigned i = 1; i < cpus; i++) {
        apic_send_ipi(cpu_apic_id(i), VECTOR_TO_ALL);
        reached += wait_word(&arrived[i], 1, TIME_LIMIT);
    }
    report(reached == cpus - 1, "an interrupt to each reaches it");
    report(*interrupt_count(VECTOR_TO_ALL) == cpus - 1, "and no other");
    apic_send_ipi_all_others(VECTOR_TO_ALL);
    reached = 0;
    for (unsigned i = 1; i < cpus; i++)
        reached += wait_word(&arrived[i], 2, TIME_LIMIT);
    report(reached == cpus - 1 && arrived[0] == 0, "one to all others reaches them");
    interrupts_enable();
    on_each(cpus, answer, &boot);
    report(wait_word(interrupt_count(VECTOR_TO_BOOT), cpus - 1, TIME_LIMIT),
           "each can interrupt the first");
    apic_send_ipi(boot, VECTOR_TO_BOOT);
    report(wait_word(interrupt_count(VECTOR_TO_BOOT), cpus, TIME_LIMIT),
           "the first can interrupt itself");
    interrupts_disable();
    on_each(cpus, timer, NULL);
    report(*interrupt_count(VECTOR_TIMER) == cpus - 1, "each has a timer of its own");
}

int main(void)
{
    unsigned asked = (unsigned)boot_option_number("cpus", 1), cpus;

    report(cpu_count() == asked, "the MADT names %u CPUs (%u)", asked, cpu_count());
    if (boot_option("x2apic"))
        apic_use_x2apic();
    cpus = smp_start();
    report(cpus == asked, "%u CPUs run (%u)", asked, cpus);
    check_states(cpus);
    check_counting(cpus);
    check_interrupts(cpus);
    return report_summary();
}

/* The local APIC's timer, and the time-stamp counter. */
#include "sdk/apic.h"
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/interrupt.h"
#include "sdk/io.h"
#include "sdk/report.h"
#include "sdk/smp.h"
#include "sdk/time.h"

#define VECTOR      VECTOR_FIRST_FREE
#define ONCE_US     20000
#define EVERY_US    5000
#define TIMES       10
#define LATE_FACTOR 20 /* shared machines are late; early is never right */

static RING0_CODE void on_timer(struct interrupt_frame *frame)
{
    (void)frame;
}

static void check_once(void)
{
    uint64_t start = time_us(), took;
    uint32_t before = *interrupt_count(VECTOR);

    apic_timer_once(VECTOR, ONCE_US);
    cpu_halt_while(interrupt_count(VECTOR), before);
    took = time_us() - start;
    report(took >= ONCE_US - ONCE_US / 20 && took < ONCE_US * LATE_FACTOR,
           "one-shot: asked for %u us, took %lu", ONCE_US, took);
    delay_us(2 * ONCE_US);
    report(*interrupt_count(VECTOR) == before + 1, "one-shot: it comes once");
    report(apic_read(APIC_TIMER_CURRENT) == 0, "one-shot: the count stays at 0");
}

static void check_every(void)
{
    uint64_t start, took;
    uint32_t before = *interrupt_count(VECTOR), after;

    start = time_us();
    apic_timer_every(VECTOR, EVERY_US);
    while (*interrupt_count(VECTOR) < before + TIMES)
        cpu_halt();
    took = time_us() - start;
    apic_timer_stop();
    report(took >= (TIMES - 1) * EVERY_US && took < TIMES * EVERY_US * LATE_FACTOR,
           "periodic: %u times %u us took %lu", TIMES, EVERY_US, took);
    after = *interrupt_count(VECTOR);
    delay_us(4 * EVERY_US);
    report(*interrupt_count(VECTOR) <= after + 1, "periodic: it stops");
}

static void check_running(void)
{
    /* In ring 3, without halting: the interrupt breaks into a busy loop. */
    uint32_t before = *interrupt_count(VECTOR);

    interrupts_enable();
    apic_timer_once(VECTOR, EVERY_US);
    report(wait_word(interrupt_count(VECTOR), before + 1, EVERY_US * 100),
           "it interrupts a busy loop");
    interrupts_disable();
    apic_timer_once(VECTOR, EVERY_US);
    delay_us(4 * EVERY_US);
    report(*interrupt_count(VECTOR) == before + 1, "not while interrupts are off");
    interrupts_enable();
    report(wait_word(interrupt_count(VECTOR), before + 2, EVERY_US * 100),
           "but it waits until they are on");
    interrupts_disable();
    apic_timer_once(APIC_LVT_MASKED | VECTOR, EVERY_US);
    interrupts_enable();
    delay_us(4 * EVERY_US);
    interrupts_disable();
    report(*interrupt_count(VECTOR) == before + 2, "not while it is masked");
}

int main(void)
{
    uint64_t khz, a, b;

    smp_start();
    interrupt_set_handler(VECTOR, on_timer);
    khz = tsc_khz();
    a = tsc_read();
    b = tsc_read();
    report(b > a, "the TSC counts up");
    report(khz > 100000 && khz < 20000000, "its frequency is plausible: %lu kHz", khz);
    check_once();
    check_every();
    check_running();
    return report_summary();
}

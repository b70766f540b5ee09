/* SSE in ring 3: it computes, and its registers survive interrupts, on every CPU at once. */
#include "sdk/apic.h"
#include "sdk/boot.h"
#include "sdk/interrupt.h"
#include "sdk/io.h"
#include "sdk/report.h"
#include "sdk/smp.h"
#include "sdk/time.h"

#define VECTOR    VECTOR_FIRST_FREE
#define PERIOD_US 2000
#define RUN_US    60000
#define REGISTERS 16

static volatile uint32_t bad[CPU_MAX], rounds[CPU_MAX];

static RING0_CODE void on_timer(struct interrupt_frame *frame)
{
    (void)frame;
}

/* Fill all sixteen registers, wait a little, look whether they are still the same. */
static bool registers_hold(uint64_t seed)
{
    uint64_t in[2 * REGISTERS] __attribute__((aligned(16)));
    uint64_t out[2 * REGISTERS] __attribute__((aligned(16)));
    uint64_t n = 20000;

    for (unsigned i = 0; i < 2 * REGISTERS; i++) {
        in[i] = seed * (i + 1);
        out[i] = 0;
    }
#define EACH(x) \
    x(0) x(1) x(2) x(3) x(4) x(5) x(6) x(7) x(8) x(9) x(10) x(11) x(12) x(13) x(14) x(15)
#define LOAD(i)  "movaps " #i "*16(%[in]), %%xmm" #i "\n"
#define STORE(i) "movaps %%xmm" #i ", " #i "*16(%[out])\n"
    __asm__ volatile(EACH(LOAD) "1: dec %[n]\njnz 1b\n" EACH(STORE)
                     : [n] "+r"(n)
                     : [in] "r"(in), [out] "r"(out)
                     : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    for (unsigned i = 0; i < 2 * REGISTERS; i++)
        if (in[i] != out[i])
            return false;
    return true;
}

static void hold(void *argument)
{
    unsigned self = cpu_index();
    uint64_t end = time_us() + RUN_US;

    (void)argument;
    interrupts_enable();
    apic_timer_every(VECTOR, PERIOD_US);
    while (time_us() < end) {
        if (!registers_hold(0x0123456789abcdefUL * (self + 1) + rounds[self]))
            bad[self]++;
        rounds[self]++;
    }
    apic_timer_stop();
    interrupts_disable();
}

static double series(unsigned n)
{
    double sum = 0;

    for (unsigned i = 1; i <= n; i++)
        sum += 1.0 / ((double)i * i);
    return sum;
}

int main(void)
{
    unsigned cpus = smp_start();
    volatile unsigned terms = 1000;
    double sum = series(terms); /* 1.6439345667 */

    report(sum > 1.6439345 && sum < 1.6439346, "doubles add up");
    interrupt_set_handler(VECTOR, on_timer);
    for (unsigned i = 1; i < cpus; i++)
        smp_run(i, hold, NULL);
    hold(NULL);
    for (unsigned i = 0; i < cpus; i++) {
        if (i > 0)
            smp_wait(i);
        report(rounds[i] > 0 && bad[i] == 0, "CPU %u: registers held in %u rounds of %u", i,
               rounds[i] - bad[i], rounds[i]);
    }
    report(*interrupt_count(VECTOR) >= cpus * 3, "%u interrupts came in between",
           *interrupt_count(VECTOR));
    return report_summary();
}

/* All CPUs halt for `seconds=N`; the runner measures what the process used meanwhile. */
#include "sdk/apic.h"
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/interrupt.h"
#include "sdk/report.h"
#include "sdk/smp.h"
#include "sdk/time.h"

#define VECTOR VECTOR_FIRST_FREE

static RING0_CODE void on_timer(struct interrupt_frame *frame)
{
    (void)frame;
}

int main(void)
{
    uint64_t start, seconds = boot_option_number("seconds", 1);

    smp_start();
    interrupt_set_handler(VECTOR, on_timer);
    start = time_us();
    for (unsigned i = 0; i < seconds; i++) {
        apic_timer_once(VECTOR, 1000000);
        cpu_halt_while(interrupt_count(VECTOR), i);
    }
    report(time_us() - start >= seconds * 950000, "it slept for %lu us", time_us() - start);
    return report_summary();
}

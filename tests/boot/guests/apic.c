/* The APICs' registers in xAPIC mode, then x2APIC mode, and MSRs around them. */
#include "sdk/apic.h"
#include "sdk/console.h"
#include "sdk/cpu.h"
#include "sdk/interrupt.h"
#include "sdk/io.h"
#include "sdk/report.h"
#include "sdk/smp.h"
#include "sdk/time.h"

#define LAPIC_BASE      UINT64_C(0xfee00000)
#define IOAPIC_VERSION  1
#define IOAPIC_PINS     24
#define VECTOR          VECTOR_FIRST_FREE
#define MSR_X2APIC_SIVR 0x80f
#define EFER_LONG_MODE  (UINT64_C(1) << 10 | UINT64_C(1) << 8)
#define TIME_LIMIT      1000000

static RING0_CODE void on_interrupt(struct interrupt_frame *frame)
{
    (void)frame;
}

static void check_ipi_to_self(const char *mode)
{
    uint32_t before = *interrupt_count(VECTOR);

    interrupts_enable();
    apic_send_ipi(apic_id(), VECTOR);
    report(wait_word(interrupt_count(VECTOR), before + 1, TIME_LIMIT),
           "%s: an interrupt to oneself comes", mode);
    before = *interrupt_count(VECTOR);
    apic_timer_once(VECTOR, 1000);
    report(wait_word(interrupt_count(VECTOR), before + 1, TIME_LIMIT), "%s: the timer works", mode);
    interrupts_disable();
}

static void check_ioapic(void)
{
    uint32_t before = ioapic_read(0x10 + 2 * 23);

    report((ioapic_read(IOAPIC_VERSION) >> 16 & 0xff) == IOAPIC_PINS - 1,
           "the I/O APIC has 24 pins");
    report(before & APIC_LVT_MASKED, "they are masked at first");
    ioapic_write(0x10 + 2 * 23, APIC_LVT_MASKED | 0x55);
    report((ioapic_read(0x10 + 2 * 23) & 0xff) == 0x55, "a redirection entry holds its vector");
    ioapic_write(0x10 + 2 * 23, before);
}

int main(void)
{
    uint64_t base = msr_read(MSR_APIC_BASE);

    report((base & ~UINT64_C(0xfff)) == LAPIC_BASE, "the APIC base MSR says 0x%lx", base);
    report(base & APIC_BASE_ENABLE, "the APIC is on");
    report(base & APIC_BASE_BOOT_CPU, "this CPU booted");
    report(!(base & APIC_BASE_X2APIC), "it begins in xAPIC mode");
    report((msr_read(MSR_EFER) & EFER_LONG_MODE) == EFER_LONG_MODE, "EFER says long mode");
    report(msr_read(MSR_GS_BASE) != 0, "the GS base is what start-up wrote");
    smp_start();
    interrupt_set_handler(VECTOR, on_interrupt);
    report((apic_read(APIC_VERSION) & 0xff) >= 0x10, "the version is that of a built-in APIC");
    apic_write(APIC_TASK_PRIORITY, 0x20);
    report(apic_read(APIC_TASK_PRIORITY) == 0x20, "the task priority register holds a value");
    report(cr_read(8) == 2, "and is CR8");
    apic_write(APIC_TASK_PRIORITY, 0);
    check_ioapic();
    check_ipi_to_self("xAPIC");
    apic_use_x2apic();
    report(msr_read(MSR_APIC_BASE) & APIC_BASE_X2APIC, "it goes over to x2APIC mode");
    report(msr_read(MSR_X2APIC_SIVR) == (0x100 | VECTOR_SPURIOUS), "its registers are MSRs now");
    check_ipi_to_self("x2APIC");
    return report_summary();
}

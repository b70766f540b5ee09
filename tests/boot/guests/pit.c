/* The PIT: channel 0 raises IRQ 0, channel 2 counts behind port 0x61, counters read back. */
#include "sdk/apic.h"
#include "sdk/console.h"
#include "sdk/interrupt.h"
#include "sdk/io.h"
#include "sdk/report.h"
#include "sdk/smp.h"
#include "sdk/time.h"

/* Intel 8254 (231164). */
#define CHANNEL0         0x40
#define CHANNEL2         0x42
#define CONTROL          0x43
#define CHANNEL0_MODE0   0x30
#define CHANNEL0_MODE2   0x34
#define LATCH_CHANNEL0   0x00
#define READ_BACK_STATUS 0xe2 /* channel 0's status only */
#define PIT_HZ           1193182
#define IRQ_TIMER        0
#define VECTOR           VECTOR_FIRST_FREE
#define PERIOD_US        5000
#define TIMES            10
#define LATE_FACTOR      20

static RING0_CODE void on_timer(struct interrupt_frame *frame)
{
    (void)frame;
}

static void start_channel0(uint8_t mode, uint32_t microseconds)
{
    uint32_t count = (uint32_t)((uint64_t)PIT_HZ * microseconds / 1000000);

    port_out8(CONTROL, mode);
    port_out8(CHANNEL0, (uint8_t)count);
    port_out8(CHANNEL0, (uint8_t)(count >> 8));
}

static unsigned read_channel0(void)
{
    unsigned low;

    port_out8(CONTROL, LATCH_CHANNEL0);
    low = port_in8(CHANNEL0);
    return low | (unsigned)port_in8(CHANNEL0) << 8;
}

static void check_channel0(void)
{
    uint64_t start, took;
    uint32_t before = *interrupt_count(VECTOR);

    ioapic_route_isa(IRQ_TIMER, VECTOR, apic_id());
    interrupts_enable();
    start = time_us();
    start_channel0(CHANNEL0_MODE2, PERIOD_US);
    report(wait_word(interrupt_count(VECTOR), before + TIMES, TIMES * PERIOD_US * LATE_FACTOR),
           "mode 2: IRQ 0 comes again and again");
    took = time_us() - start;
    report(took >= (TIMES - 1) * PERIOD_US, "mode 2: not too fast (%lu us)", took);
    start_channel0(CHANNEL0_MODE0, PERIOD_US);
    delay_us(PERIOD_US / 50);
    before = *interrupt_count(VECTOR);
    report(wait_word(interrupt_count(VECTOR), before + 1, PERIOD_US * LATE_FACTOR),
           "mode 0: IRQ 0 comes");
    delay_us(4 * PERIOD_US);
    report(*interrupt_count(VECTOR) == before + 1, "mode 0: once");
    interrupts_disable();
    ioapic_mask_isa(IRQ_TIMER);
}

static void check_counting(void)
{
    unsigned a, b;
    uint8_t status;

    start_channel0(CHANNEL0_MODE2, 50000);
    a = read_channel0();
    delay_us(2000);
    b = read_channel0();
    /* 2 ms are 2,386 counts. */
    report(a > b && a - b > 2000, "the counter counts down (%u, %u)", a, b);
    port_out8(CONTROL, READ_BACK_STATUS);
    status = port_in8(CHANNEL0);
    report((status & 0x3f) == CHANNEL0_MODE2, "read-back tells the mode (%x)", status);
}

static void check_channel2(void)
{
    uint64_t start = time_us(), ticks = pit_spin_us(10000), took = time_us() - start;

    report(ticks > 0 && took >= 9500 && took < 10000 * LATE_FACTOR,
           "channel 2: 10 ms behind port 0x61 took %lu us", took);
}

int main(void)
{
    smp_start();
    interrupt_set_handler(VECTOR, on_timer);
    check_channel0();
    check_counting();
    check_channel2();
    return report_summary();
}

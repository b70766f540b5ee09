/* The local APIC and the I/O APIC. */
#include "sdk/apic.h"

#include "cpu_state.h"
#include "sdk/acpi.h"
#include "sdk/cpu.h"
#include "sdk/interrupt.h"
#include "sdk/io.h"
#include "sdk/time.h"

#define LAPIC_BASE      UINT64_C(0xfee00000)
#define IOAPIC_BASE     UINT64_C(0xfec00000)
#define IOAPIC_DATA     (IOAPIC_BASE + 0x10)
#define IOAPIC_REDIRECT 0x10 /* register of pin 0's lower half */

#define X2APIC_MSR        0x800
#define SPURIOUS_ENABLE   (UINT32_C(1) << 8)
#define ICR_PENDING       (UINT32_C(1) << 12)
#define ICR_ASSERT        (UINT32_C(1) << 14)
#define ICR_ALL_OTHERS    (UINT32_C(3) << 18)
#define DIVIDE_BY_1       0x0b
#define ID_SHIFT          24
#define REDIRECT_MASKED   (UINT32_C(1) << 16)
#define OVERRIDE_LOW(f)   (((f)&3) == 3) /* ACPI 6.5, table 5.26: MPS INTI flags */
#define OVERRIDE_LEVEL(f) (((f) >> 2 & 3) == 3)

#define LEAF_TIMING 0x40000010 /* EBX: the bus clock of the APIC's timer, kHz */

static bool x2apic;
static uint64_t timer_khz;

uint32_t apic_read(unsigned reg)
{
    if (x2apic)
        return (uint32_t)msr_read(X2APIC_MSR + reg / 16);
    return mmio_read32(LAPIC_BASE + reg);
}

void apic_write(unsigned reg, uint32_t value)
{
    if (x2apic)
        msr_write(X2APIC_MSR + reg / 16, value);
    else
        mmio_write32(LAPIC_BASE + reg, value);
}

uint32_t apic_id(void)
{
    return x2apic ? apic_read(APIC_ID) : apic_read(APIC_ID) >> ID_SHIFT;
}

void apic_enable(void)
{
    if (x2apic)
        msr_write(MSR_APIC_BASE, msr_read(MSR_APIC_BASE) | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
    apic_write(APIC_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
}

void apic_use_x2apic(void)
{
    x2apic = true;
    apic_enable();
}

bool apic_is_x2apic(void)
{
    return x2apic;
}

void apic_send(uint32_t to, uint32_t command)
{
    if (x2apic) {
        msr_write(X2APIC_MSR + APIC_ICR_LOW / 16, (uint64_t)to << 32 | command);
        return;
    }
    mmio_write32(LAPIC_BASE + APIC_ICR_HIGH, to << ID_SHIFT);
    mmio_write32(LAPIC_BASE + APIC_ICR_LOW, command);
    while (mmio_read32(LAPIC_BASE + APIC_ICR_LOW) & ICR_PENDING)
        cpu_pause();
}

void apic_send_ipi(uint32_t to_apic_id, unsigned vector)
{
    apic_send(to_apic_id, ICR_ASSERT | vector);
}

void apic_send_ipi_all_others(unsigned vector)
{
    apic_send(0, ICR_ALL_OTHERS | ICR_ASSERT | vector);
}

/* The timer's clock, kHz: told by the hypervisor, else counted during 10 ms. */
static void find_timer_khz(void)
{
    struct cpuid_result top = cpuid(0x40000000, 0);

    if ((cpuid(1, 0).ecx >> 31) && top.eax >= LEAF_TIMING && top.eax < 0x40010000)
        timer_khz = cpuid(LEAF_TIMING, 0).ebx;
    if (timer_khz != 0)
        return;
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
    apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
    apic_write(APIC_TIMER_INITIAL, UINT32_MAX);
    delay_us(10000);
    timer_khz = (UINT32_MAX - apic_read(APIC_TIMER_CURRENT)) / 10;
    apic_write(APIC_TIMER_INITIAL, 0);
}

static void timer_start(uint32_t lvt, uint64_t microseconds)
{
    uint64_t ticks;

    if (timer_khz == 0)
        find_timer_khz();
    ticks = timer_khz * microseconds / 1000;
    if (ticks == 0)
        ticks = 1;
    apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
    apic_write(APIC_LVT_TIMER, lvt);
    apic_write(APIC_TIMER_INITIAL, ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks);
}

void apic_timer_once(unsigned vector, uint64_t microseconds)
{
    timer_start(vector, microseconds);
}

void apic_timer_every(unsigned vector, uint64_t microseconds)
{
    timer_start(vector | APIC_LVT_PERIODIC, microseconds);
}

void apic_timer_stop(void)
{
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
    apic_write(APIC_TIMER_INITIAL, 0);
}

uint32_t ioapic_read(unsigned reg)
{
    mmio_write32(IOAPIC_BASE, reg);
    return mmio_read32(IOAPIC_DATA);
}

void ioapic_write(unsigned reg, uint32_t value)
{
    mmio_write32(IOAPIC_BASE, reg);
    mmio_write32(IOAPIC_DATA, value);
}

void ioapic_route(uint32_t gsi, unsigned vector, uint32_t to_apic_id, uint32_t flags)
{
    ioapic_write(IOAPIC_REDIRECT + 2 * gsi + 1, to_apic_id << ID_SHIFT);
    ioapic_write(IOAPIC_REDIRECT + 2 * gsi, vector | flags);
}

void ioapic_mask(uint32_t gsi)
{
    ioapic_write(IOAPIC_REDIRECT + 2 * gsi, REDIRECT_MASKED);
}

void ioapic_route_isa(unsigned irq, unsigned vector, uint32_t to_apic_id)
{
    uint16_t flags;
    uint32_t pin = acpi_isa_gsi(irq, &flags);

    ioapic_route(pin, vector, to_apic_id,
                 (OVERRIDE_LOW(flags) ? IOAPIC_LOW : 0) |
                     (OVERRIDE_LEVEL(flags) ? IOAPIC_LEVEL : 0));
}

void ioapic_mask_isa(unsigned irq)
{
    uint16_t flags;

    ioapic_mask(acpi_isa_gsi(irq, &flags));
}

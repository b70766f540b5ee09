/*
 * The local APIC (Intel SDM vol. 3, chapter 11) and the I/O APIC (82093AA data sheet). They are
 * reached from ring 3 by their memory registers, or in x2APIC mode through the gate.
 */
#ifndef SDK_APIC_H
#define SDK_APIC_H

#include <stdbool.h>
#include <stdint.h>

/* Register offsets in xAPIC's page; an x2APIC MSR is 0x800 + offset / 16. */
#define APIC_ID            0x020
#define APIC_VERSION       0x030
#define APIC_TASK_PRIORITY 0x080
#define APIC_EOI           0x0b0
#define APIC_SPURIOUS      0x0f0
#define APIC_ERROR         0x280
#define APIC_ICR_LOW       0x300
#define APIC_ICR_HIGH      0x310
#define APIC_LVT_TIMER     0x320
#define APIC_LVT_LINT0     0x350
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_CURRENT 0x390
#define APIC_TIMER_DIVIDE  0x3e0
#define APIC_LVT_MASKED    (UINT32_C(1) << 16)
#define APIC_LVT_PERIODIC  (UINT32_C(1) << 17)
#define APIC_BASE_ENABLE   (UINT64_C(1) << 11)
#define APIC_BASE_X2APIC   (UINT64_C(1) << 10)
#define APIC_BASE_BOOT_CPU (UINT64_C(1) << 8)

uint32_t apic_read(unsigned reg);
void apic_write(unsigned reg, uint32_t value);

/* Switch this CPU's APIC on; smp_start() does it for all. */
void apic_enable(void);

/* This CPU's APIC id. */
uint32_t apic_id(void);

/* Go over to x2APIC mode on this CPU; CPUs started later follow. The caller has looked at CPUID. */
void apic_use_x2apic(void);
bool apic_is_x2apic(void);

/* Send a fixed interrupt to one CPU. Not from handlers. */
void apic_send_ipi(uint32_t to_apic_id, unsigned vector);
void apic_send_ipi_all_others(unsigned vector);

/* This CPU's timer: once after, or every, so many microseconds (up to 2 s); and off. */
void apic_timer_once(unsigned vector, uint64_t microseconds);
void apic_timer_every(unsigned vector, uint64_t microseconds);
void apic_timer_stop(void);

/**
 * Route an ISA interrupt line to a vector on one CPU, by the override in the MADT where there
 * is one, and unmask it. Edge-triggered, active high unless the override says otherwise.
 */
void ioapic_route_isa(unsigned irq, unsigned vector, uint32_t to_apic_id);
void ioapic_mask_isa(unsigned irq);

/* Route a pin of the I/O APIC (a global interrupt) to a vector on one CPU, and unmask it. */
#define IOAPIC_LOW   (UINT32_C(1) << 13)
#define IOAPIC_LEVEL (UINT32_C(1) << 15)
void ioapic_route(uint32_t gsi, unsigned vector, uint32_t to_apic_id, uint32_t flags);
void ioapic_mask(uint32_t gsi);

uint32_t ioapic_read(unsigned reg);
void ioapic_write(unsigned reg, uint32_t value);

#endif

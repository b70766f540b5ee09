/* The other CPUs. */
#ifndef SDK_SMP_H
#define SDK_SMP_H

#include <stdint.h>

#define CPU_MAX 256

/* Usable CPUs that the MADT names (1 where there is none); the first is the one that booted. */
unsigned cpu_count(void);

/**
 * Start them all, one after another, by INIT and SIPI. Each ends up in ring 3, halted, with its
 * own stacks (16 KiB), waiting for work; its interrupts are off unless work turns them on.
 * Returns how many CPUs run now, the caller's included; at most CPU_MAX.
 */
unsigned smp_start(void);

/* This CPU's number (0 the first), and a CPU's APIC id. */
unsigned cpu_index(void);
uint32_t cpu_apic_id(unsigned index);

/**
 * Have another CPU run function(argument) in ring 3. It must be idle (smp_wait).
 * Returns at once.
 */
void smp_run(unsigned index, void (*function)(void *argument), void *argument);

/* Wait until a CPU is idle. Spins. */
void smp_wait(unsigned index);

/* Spin locks; a zeroed one is free. Not in interrupt handlers unless only handlers take it. */
struct spinlock {
    uint32_t taken;
};

void spin_lock(struct spinlock *lock);
void spin_unlock(struct spinlock *lock);

#endif

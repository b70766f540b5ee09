/* What virtio_entry.S and virtio_interrupt.c share. */
#ifndef DRIVERS_VIRTIO_ENTRY_H
#define DRIVERS_VIRTIO_ENTRY_H

#define VIRTIO_VECTOR_FIRST 0x90
#define VIRTIO_VECTORS      95
#define VIRTIO_VECTOR_TIMER 0xef
#define VIRTIO_ENTRY_SIZE   32

#ifndef __ASSEMBLER__

#include <stdint.h>

extern const char virtio_entries[];

/* Interrupts of each vector, and of all and the timer's. */
extern volatile uint32_t virtio_interrupt_counts[VIRTIO_VECTORS];
extern volatile uint32_t virtio_event_count;

_Static_assert(VIRTIO_VECTOR_FIRST + VIRTIO_VECTORS == VIRTIO_VECTOR_TIMER, "vectors");

#endif
#endif

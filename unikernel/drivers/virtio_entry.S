/*
 * Interrupts of virtio devices that only count, as most do. Where ring 0 is emulated each
 * instruction of it costs about a microsecond, so these are entries of the IDT with nothing around
 * them: VIRTIO_VECTORS of them, VIRTIO_ENTRY_SIZE bytes apart.
 */
#include "drivers/virtio_entry.h"

/* Intel SDM vol. 3, table 11-1; not with x2APIC. Less 4 GiB, as an offset of 32 bits is written. */
#define APIC_EOI (0xfee000b0 - 0x100000000)

    .text
    .code64
    .balign VIRTIO_ENTRY_SIZE
    .globl virtio_entries
virtio_entries:
    .set entry, 0
    .rept VIRTIO_VECTORS
    .balign VIRTIO_ENTRY_SIZE
    incl virtio_interrupt_counts + 4 * entry
    incl virtio_event_count
    addr32 movl $0, APIC_EOI /* without the prefix it would be sign-extended to 64 bits */
    iretq
    .set entry, entry + 1
    .endr

    .section .note.GNU-stack, "", @progbits

/*
 * The smallest PVH guests. The very first instructions write one byte to the serial port; then
 * `first_byte` ends with status 0 (the osvm port), `idle` (-DIDLE) halts for ever.
 */
    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 4, 18                  /* name size, descriptor size, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long start

    .text
    .code32
    .globl start
start:
    mov $0x3f8, %edx
    mov $'x', %al
    out %al, (%dx)
#ifdef IDLE
1:  hlt
    jmp 1b
#else
    mov $0x704, %edx
    xor %eax, %eax
    out %eax, (%dx)
1:  hlt
    jmp 1b
#endif
    .section .note.GNU-stack, "", @progbits

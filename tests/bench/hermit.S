/*
 * The smallest Hermit image, of hypercall interface 1: its very first instructions write one byte
 * to the console; then it ends with status 0.
 */
    .section .note.hermit.entry, "a", @note
    .balign 4
    .long 7, 1, 0x5a00
    .asciz "HERMIT"
    .balign 4
    .byte 4
    .balign 4
    .long 4, 16, 1                  /* made with kernel 0.11.0 */
    .asciz "GNU"
    .long 6, 0, 11, 0

    .text
    .globl start
start:
    test %rsi, %rsi
    jnz 1f
    mov $0x800, %edx
    mov $'x', %al
    out %al, (%dx)
    lea status(%rip), %rax
    mov $0x540, %edx
    out %eax, (%dx)
1:  hlt
    jmp 1b

    .section .rodata
    .balign 4
status:
    .long 0
    .section .note.GNU-stack, "", @progbits

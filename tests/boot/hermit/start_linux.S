/* Entered by Linux's 64-bit protocol, as Hermit's loader is: RSI has the boot parameters. */
    .text
    .globl start
    .hidden start, loader_main
start:
    lea stack_end(%rip), %rsp
    mov %rsi, %rdi
    call loader_main
1:  hlt
    jmp 1b

    .bss
    .balign 16
    .skip 0x4000
stack_end:

    .section .note.GNU-stack, "", @progbits

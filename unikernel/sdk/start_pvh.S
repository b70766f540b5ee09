/*
 * Entry by PVH (Xen docs/misc/pvh): 32-bit protected mode, paging off, flat segments, EBX is the
 * physical address of struct hvm_start_info. An image with a start of its own leaves this out.
 */
#define XEN_ELFNOTE_PHYS32_ENTRY 18 /* Xen public/elfnote.h */

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 8, XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad pvh_start

    .section .text.start, "ax"
    .code32
    .globl pvh_start
pvh_start:
    /* Tell osvm-vmm that the first instruction runs (guest/board/osvm_port.h, milestone 1). */
    mov $1, %eax
    mov $0x700, %edx
    out %eax, %dx
    xor %edi, %edi
    jmp start32

    .section .note.GNU-stack, "", @progbits

/* PVH entry that keeps what the registers were, then goes the SDK's way. */
#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define MSR_EFER                 0xc0000080

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 8, XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad pvh_start

    .section .text.start, "ax"
    .code32
    .globl pvh_start
pvh_start:
    mov %cr0, %ecx
    mov %ecx, entry_cr0
    mov %cr4, %ecx
    mov %ecx, entry_cr4
    /* Near the end of the 4 GiB through each segment: the local APIC's version. */
    mov %es:0xfee00030, %ecx
    mov %ecx, entry_through_es
    mov %ss:0xfee00030, %ecx
    mov %ecx, entry_through_ss
    mov $entry_stack_end, %esp
    pushf
    pop %ecx
    mov %ecx, entry_flags
    str %cx
    mov %cx, entry_tr
    mov $MSR_EFER, %ecx
    rdmsr
    mov %eax, entry_efer
    xor %edi, %edi
    jmp start32

    .bss
    .balign 16
    .skip 64
entry_stack_end:
    .globl entry_cr0, entry_cr4, entry_flags, entry_through_es, entry_through_ss, entry_efer
entry_cr0:
    .skip 4
entry_cr4:
    .skip 4
entry_flags:
    .skip 4
entry_through_es:
    .skip 4
entry_through_ss:
    .skip 4
entry_efer:
    .skip 4
entry_tr:
    .skip 4

    .section .note.GNU-stack, "", @progbits

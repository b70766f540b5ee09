/*
 * A Multiboot 1 header and entry (Multiboot Specification 0.6.96, sections 3.1 and 3.2) before the
 * SDK's own start. With ADDRESS_FIELDS the header says itself where the image goes, and the file
 * need not be ELF.
 */
#define HEADER_MAGIC   0x1badb002
#define ALIGN_MODULES  0x00000001
#define MEMORY_INFO    0x00000002
#ifdef ADDRESS_FIELDS
#define FLAGS (0x00010000 | ALIGN_MODULES | MEMORY_INFO)
#else
#define FLAGS (ALIGN_MODULES | MEMORY_INFO)
#endif

    .section .text.header, "ax"
    .code32
    .balign 4
header:
    .long HEADER_MAGIC, FLAGS, -(HEADER_MAGIC + FLAGS)
#ifdef ADDRESS_FIELDS
    .long header, image_start, image_data_end, image_end, multiboot_start
#endif

    .globl multiboot_start
multiboot_start:
    mov %cr0, %ecx
    mov %ecx, entry_cr0
    /* Flat segments: the local APIC's version register (Intel SDM vol. 3, table 11-1), near the
     * end of the 4 GiB, through each. */
    mov %es:0xfee00030, %ecx
    mov %ecx, entry_through_es
    mov %ss:0xfee00030, %ecx
    mov %ecx, entry_through_ss
    mov $entry_stack_end, %esp
    pushf
    pop %ecx
    mov %ecx, entry_flags
    mov %eax, %edi
    jmp start32

    .bss
    .balign 16
    .skip 64
entry_stack_end:
    .globl entry_cr0, entry_flags, entry_through_es, entry_through_ss
entry_cr0:
    .skip 4
entry_flags:
    .skip 4
entry_through_es:
    .skip 4
entry_through_ss:
    .skip 4

    .section .note.GNU-stack, "", @progbits

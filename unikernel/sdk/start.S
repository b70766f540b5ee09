/*
 * From 32-bit protected mode to C in ring 3, for the boot CPU and for those started later. Where
 * ring 0 is emulated each instruction here costs most of a microsecond, so the tables are
 * assembled, not built, and what can wait is done in ring 3.
 */
#include "cpu_state.h"

#define MSR_EFER    0xc0000080
#define MSR_GS_BASE 0xc0000101

    .section .text.start, "ax"
    .code32

/* EBX: hand-over structure. EDI: what EAX was, for an image with a start of its own, else 0. */
    .globl start32
start32:
    cld
    mov %ebx, start_info_address
    mov %edi, start_magic
    mov $boot_cpu, %ebp
    /* The boot CPU's TSS descriptor: its base is in pieces that no relocation can fill in. */
    mov $tss_area, %eax
    mov %ax, gdt + SELECTOR_TSS + 2
    shr $16, %eax
    mov %al, gdt + SELECTOR_TSS + 4
    mov %ah, gdt + SELECTOR_TSS + 7
    lgdt gdt_pointer

/* EBP: this CPU's struct cpu. The GDT is loaded. */
start32_long:
    mov $START_CR4, %eax
    mov %eax, %cr4
    mov $page_table_4, %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    xor %edx, %edx
    mov $EFER_LME, %eax
    wrmsr
    mov $START_CR0, %eax
    mov %eax, %cr0
    ljmp $SELECTOR_CODE64, $start64

    .code64
start64:
    mov %ebp, %ebp /* the upper half is undefined after the switch */
    mov STATE_KERNEL_STACK(%rbp), %rsp
    mov $SELECTOR_USER_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %fs
    mov %eax, %gs
    mov STATE_TSS_SELECTOR(%rbp), %eax
    ltr %ax
    lidt idt_pointer
    mov $MSR_GS_BASE, %ecx
    mov %ebp, %eax
    xor %edx, %edx
    wrmsr
    pushq $SELECTOR_USER_DATA
    pushq STATE_USER_STACK(%rbp)
    pushq $START_USER_FLAGS
    pushq $SELECTOR_USER_CODE
    pushq $start_user
    iretq

/* Ring 3. */
start_user:
    mov %rbp, %rdi
    xor %ebp, %ebp
    call *STATE_ENTRY(%rdi)
    ud2

/*
 * Where INIT and SIPI send the others: real mode, CS is the page that this is copied to, below
 * 1 MiB. The one CPU that is being started finds its state in smp_starting.
 */
    .code16
    .globl trampoline_start, trampoline_end
trampoline_start:
    cli
    mov %cs, %ax
    mov %ax, %ds
    lgdtl trampoline_gdt_pointer - trampoline_start
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    ljmpl $SELECTOR_CODE32, $trampoline32
    .balign 4
trampoline_gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt
trampoline_end:

    .code32
trampoline32:
    mov $SELECTOR_DATA, %eax
    mov %eax, %ds
    mov smp_starting, %ebp
    jmp start32_long

    .data
    .balign 8
gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt
    .balign 8
idt_pointer:
    .word 256 * 16 - 1
    .quad idt

    .balign 16
    .globl gdt
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff /* 0x08: code, 32-bit, flat */
    .quad 0x00af9b000000ffff /* 0x10: code, 64-bit */
    .quad 0x00cf93000000ffff /* 0x18: data, flat */
    .quad 0x00cffb000000ffff /* 0x20: code, 32-bit, ring 3 */
    .quad 0x00cff3000000ffff /* 0x28: data, ring 3 */
    .quad 0x00affb000000ffff /* 0x30: code, 64-bit, ring 3 */
    .quad 0
    .quad 0x0000890000000000 + TSS_LIMIT(0) /* 0x40: the boot CPU's TSS, base 0 so far */
    .fill 2 * STATE_CPU_MAX - 1, 8, 0
gdt_end:

/*
 * The first 4 GiB, mapped to themselves in pages of 2 MiB for both rings; uncached from 3 GiB on,
 * where the devices are. AMD64 APM vol. 2, section 5.3.3: P 1, RW 2, US 4, PWT 8, PCD 0x10, PS 0x80.
 */
    .section .data.page_aligned, "aw"
    .balign 4096
    .globl page_table_4
page_table_4:
    .quad page_table_3 + 7
    .fill 511, 8, 0
    .globl page_table_3
page_table_3:
    .quad page_table_2 + 7, page_table_2 + 0x1007, page_table_2 + 0x2007, page_table_2 + 0x3007
    .fill 508, 8, 0
page_table_2:
    .set address, 0
    .rept 3 * 512
    .quad address + 0x87
    .set address, address + 0x200000
    .endr
    .rept 512
    .quad address + 0x9f
    .set address, address + 0x200000
    .endr

    .bss
    .balign 4
    .globl start_info_address, start_magic
start_info_address:
    .skip 4
start_magic:
    .skip 4

    .section .note.GNU-stack, "", @progbits

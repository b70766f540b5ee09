/*
 * Interrupt entries: 256 stubs that lead to interrupt_dispatch(), and the gate behind `int $0x80`.
 * All ring 0.
 */
#include "cpu_state.h"

    .text
    .code64

/* Each stub has 16 bytes. Vectors 8, 10–14, 17, 21, 29, 30 come with an error code (AMD64 APM
 * vol. 2, table 8-1); the others get a 0 in its place. */
    .balign 16
    .globl interrupt_stubs
interrupt_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
    pushq $0
    .endif
    pushq $vector
    jmp interrupt_common
    .set vector, vector + 1
    .endr

interrupt_common:
    push %rax
    push %rbx
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %rbp
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, %rdi
    cld
    call interrupt_dispatch
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rbp
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rbx
    pop %rax
    add $16, %rsp
    iretq

/* The gate for callers in ring 0: gate_from_ring0(operation, a, b), by the C calling convention. */
    .balign 16
    .globl gate_from_ring0
gate_from_ring0:
    mov %rdi, %rax
    mov %rsi, %rdi
    mov %rdx, %rsi
    mov %rsp, %rcx
    sub $8, %rsp
    pushq $0
    push %rcx
    pushfq
    pushq $SELECTOR_CODE64
    pushq $1f
    jmp gate_entry
1:  ret

/* gate_halt_while_ring3(word, value), by the C calling convention: the gate's GATE_HALT_WHILE for
 * callers in ring 3, by an instruction of its own. */
    .balign 16
    .globl gate_halt_while_ring3
gate_halt_while_ring3:
    xor %eax, %eax
halt_instruction:
    int $GATE_VECTOR
    ret

/* Vector 6, invalid opcode. A software KVM that runs ring 3 natively may know no software interrupt
 * but int3, and raise this instead: then it is the gate all the same. To halt is what each wait for
 * a device does, and such a KVM emulates each instruction here, so that comes first. */
    .balign 16
    .globl invalid_opcode_entry
invalid_opcode_entry:
    cmpq $halt_instruction, (%rsp)
    jne 1f
    addq $2, (%rsp)
    jmp gate_halt_while
1:  push %rax
    mov 8(%rsp), %rax
    cmpw $GATE_INSTRUCTION, (%rax)
    pop %rax
    jne interrupt_stubs + 6 * 16
    addq $2, (%rsp)
/* RAX: operation; RDI, RSI: arguments. Returns in RAX; RCX, RDX, RSI, RDI, R8–R11 are lost. */
    .globl gate_entry
gate_entry:
    cmp $GATE_COUNT, %rax
    jae 1f
    jmp *gate_table(, %rax, 8)
1:  mov $-1, %rax
    iretq

/* While interrupts are off the word cannot change behind the comparison by a handler of this CPU;
 * `sti` takes effect after `hlt` has begun (AMD64 APM vol. 3, STI). `iretq` puts the flag back. */
gate_halt_while:
    cmp %esi, (%rdi)
    jne 1f
    sti
    hlt
1:  iretq

gate_msr_read:
    mov %edi, %ecx
    rdmsr
    shl $32, %rdx
    or %rdx, %rax
    iretq

gate_msr_write:
    mov %edi, %ecx
    mov %esi, %eax
    mov %rsi, %rdx
    shr $32, %rdx
    wrmsr
    iretq

gate_tlb_flush:
    invlpg (%rdi)
    iretq

gate_call:
    mov %rdi, %rax
    mov %rsi, %rdi
    cld
    sub $8, %rsp /* five words of frame are on a stack that was aligned to 16 */
    call *%rax
    add $8, %rsp
    iretq

gate_cpuid:
    mov %rbx, %r8
    mov %edi, %eax
    mov %rdi, %rcx
    shr $32, %rcx
    cpuid
    mov %eax, (%rsi)
    mov %ebx, 4(%rsi)
    mov %ecx, 8(%rsi)
    mov %edx, 12(%rsi)
    mov %r8, %rbx
    iretq

/* In the flags that go back: 16(%rsp). */
gate_set_interrupt:
    mov 16(%rsp), %rax
    and $0x200, %eax
    andq $~0x200, 16(%rsp)
    or %rdi, 16(%rsp)
    iretq

    .section .rodata
    .balign 8
gate_table:
    .quad gate_halt_while, gate_msr_read, gate_msr_write, gate_tlb_flush, gate_call
    .quad gate_set_interrupt, gate_cpuid

    .section .note.GNU-stack, "", @progbits

/* Every CPU begins here, all with the stack of the first: the others have stacks of their own. */
#define BOOT_STACK_SIZE 0x8000
#define CPU_STACK_SIZE  0x2000
#define CPU_MAX         64

    .text
    .globl start
    .hidden start, hermit_main, hermit_entry_registers, hermit_entry_rsp
start:
    test %rsi, %rsi
    jnz 2f
    /* Nothing of the stack is ours before its size is added. No instruction here changes flags
     * before they are kept, but for that test: of them the carry and overflow are clear after it. */
    lea hermit_entry_registers(%rip), %rax
    mov %rsp, (%rax)
    lea BOOT_STACK_SIZE(%rsp), %rsp
    lea start(%rip), %rcx
    mov %rcx, 48(%rax)
    pushfq
    popq 8(%rax)
    mov %cr0, %rcx
    mov %rcx, 16(%rax)
    mov %cr3, %rcx
    mov %rcx, 24(%rax)
    mov %cr4, %rcx
    mov %rcx, 32(%rax)
    mov %cs, 56(%rax)
    mov %ds, 58(%rax)
    mov %es, 60(%rax)
    mov %ss, 62(%rax)
    sgdt 64(%rax)
1:  call hermit_main
halt:
    cli
    hlt
    jmp halt
2:  cmp $CPU_MAX, %rsi
    jae halt
    lea hermit_entry_rsp(%rip), %rax
    mov %rsp, (%rax, %rsi, 8)
    mov %rsi, %rax
    imul $CPU_STACK_SIZE, %rax
    lea cpu_stacks(%rip), %rcx
    lea (%rcx, %rax), %rsp
    jmp 1b

    .bss
    .globl hermit_entry_rsp
    .balign 16
hermit_entry_rsp:
    .skip 8 * CPU_MAX
cpu_stacks: /* of CPU n: the part that ends at n times the size; there is none of CPU 0 */
    .skip CPU_STACK_SIZE * CPU_MAX

    .section .note.GNU-stack, "", @progbits

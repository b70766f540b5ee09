/*
 * The guest of the system tests: a PVH kernel of a few instructions, made with -DGUEST_… for each
 * thing that a guest can do to its VMM. 32-bit, no interrupts, all by programmed I/O.
 */
#define SERIAL      0x3f8
#define SERIAL_LSR  0x3fd
#define LSR_INPUT   0x01
#define LSR_THRE    0x20
#define OSVM_EXIT   0x704
#define SLEEP       0x600
#define SLEEP_S5    0x20
#define RESET       0xcf9
#define DEBUG_EXIT  0xf4

    .section .note.pvh, "a", @note
    .long 4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long start

    .macro await_transmitter
    mov $SERIAL_LSR, %edx
1:  in (%dx), %al
    test $LSR_THRE, %al
    jz 1b
    mov $SERIAL, %edx
    .endm

    .text
    .code32
    .globl start
start:
    cld
#if !defined(QUIET)
    mov $ready, %esi
    mov $ready_end - ready, %ecx
    await_transmitter
    rep outsb
#endif

#if defined(GUEST_SLEEP)
    cli
0:  hlt
    jmp 0b

#elif defined(GUEST_SPIN)
0:  jmp 0b

#elif defined(GUEST_ECHO) /* what comes in goes out; a q ends it */
0:  mov $SERIAL_LSR, %edx
    in (%dx), %al
    test $LSR_INPUT, %al
    jz 0b
    mov $SERIAL, %edx
    in (%dx), %al
    mov %al, %bl
    await_transmitter
    mov %bl, %al
    out %al, (%dx)
    cmp $'q', %bl
    jne 0b

#elif defined(GUEST_FLOOD) /* FLOOD_LINES numbered lines of 16 bytes */
    xor %ebx, %ebx
0:  mov %ebx, %eax
    mov $line + 8, %edi
1:  dec %edi
    mov %eax, %edx
    and $15, %edx
    mov digits(%edx), %cl
    mov %cl, (%edi)
    shr $4, %eax
    cmp $line, %edi
    jne 1b
    mov $line, %esi
    mov $16, %ecx
    await_transmitter
    rep outsb
    inc %ebx
    cmp $FLOOD_LINES, %ebx
    jne 0b

#elif defined(GUEST_EXIT) /* with this status */
    mov $OSVM_EXIT, %edx
    mov $GUEST_EXIT, %eax
    out %eax, (%dx)

#elif defined(GUEST_DEBUG_EXIT)
    mov $DEBUG_EXIT, %edx
    mov $GUEST_DEBUG_EXIT, %eax
    out %eax, (%dx)

#elif defined(GUEST_RESET)
    mov $RESET, %edx
    mov $6, %al
    out %al, (%dx)

#elif defined(GUEST_TRIPLE_FAULT)
    lidt no_table
    ud2
#endif

    mov $SLEEP, %edx
    mov $SLEEP_S5, %al
    out %al, (%dx)
0:  hlt
    jmp 0b

    .data
ready:
    .ascii "READY\n"
ready_end:
digits:
    .ascii "0123456789abcdef"
line:
    .ascii "........-------\n"
no_table:
    .word 0
    .long 0

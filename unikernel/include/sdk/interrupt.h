/*
 * Interrupts and exceptions. A handler runs in ring 0, interrupts off, on the CPU's ring-0 stack;
 * it must be RING0_CODE (sdk/cpu.h), short, and must not print while the application might.
 */
#ifndef SDK_INTERRUPT_H
#define SDK_INTERRUPT_H

#include <stdint.h>

#include "sdk/cpu.h"

/* What the CPU and the entry stub push, lowest address first. */
struct interrupt_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error_code; /* error_code: 0 for vectors that have none */
    uint64_t rip, cs, rflags, rsp, ss;
};

/* May change the frame: what is in it is what the interrupted code goes on with. */
typedef void interrupt_handler(struct interrupt_frame *frame);

#define VECTOR_DIVIDE_ERROR       0
#define VECTOR_BREAKPOINT         3
#define VECTOR_INVALID_OPCODE     6
#define VECTOR_GENERAL_PROTECTION 13
#define VECTOR_PAGE_FAULT         14
#define VECTOR_FIRST_FREE         0x30 /* 0x30–0x7f and 0x81–0x8f are the application's */
#define VECTOR_SMP_WAKE           0xf0 /* sdk/smp.h */
#define VECTOR_SPURIOUS           0xff

/* The status that an unexpected exception ends the machine with, after printing the registers. */
#define EXIT_UNEXPECTED_EXCEPTION 120

/**
 * Give vector 0–255 a handler, or with NULL take it away. From vector 32 on the local APIC is
 * told of the interrupt's end after the handler returns. An interrupt without a handler is
 * counted and dropped; an exception without one ends the machine. All CPUs share the handlers.
 */
void interrupt_set_handler(unsigned vector, interrupt_handler *handler);

/* How often a vector has come, on all CPUs together. A word for cpu_halt_while(). */
const volatile uint32_t *interrupt_count(unsigned vector);

#endif

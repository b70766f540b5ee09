/*
 * What a boot protocol says of a CPU at entry: the loaders fill it in, guest/vcpu.c applies it.
 * x86-64. All segments are flat (base 0, limit 4 GiB, present, accessed).
 */
#ifndef OSVM_GUEST_ENTRY_STATE_H
#define OSVM_GUEST_ENTRY_STATE_H

#include <stdbool.h>
#include <stdint.h>

/* Control bits that the entry states use. AMD64 APM vol. 2, section 3.1. */
#define X86_CR0_PE   (UINT64_C(1) << 0)
#define X86_CR0_MP   (UINT64_C(1) << 1)
#define X86_CR0_ET   (UINT64_C(1) << 4)
#define X86_CR0_NE   (UINT64_C(1) << 5)
#define X86_CR0_WP   (UINT64_C(1) << 16)
#define X86_CR0_PG   (UINT64_C(1) << 31)
#define X86_CR4_PAE  (UINT64_C(1) << 5)
#define X86_EFER_LME (UINT64_C(1) << 8)
#define X86_EFER_LMA (UINT64_C(1) << 10)
#define X86_EFER_NXE (UINT64_C(1) << 11)

struct entry_state {
    uint64_t rip, rsp, rflags; /* rflags: bit 1 is set by the one who applies it */
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp;
    uint64_t cr0, cr3, cr4, efer;
    uint64_t gdt_base; /* guest-physical; what the guest finds if it reloads a selector */
    uint16_t gdt_limit;
    uint16_t code_selector;
    uint16_t data_selector; /* DS, ES, FS, GS, SS */
    bool long_mode;         /* a 64-bit code segment; else a 32-bit one */
    /*
     * Which CPUs begin here at once: the first alone, the others waiting for INIT and SIPI; or
     * (Hermit) all of them, each with its number in RSI.
     */
    bool all_cpus;
};

#endif

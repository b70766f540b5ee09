/* How an x86-64 CPU is entered: the descriptors and page tables in guest memory, and the state. */
#ifndef OSVM_LOADER_X86_ENTRY_H
#define OSVM_LOADER_X86_ENTRY_H

#include <stdint.h>

#include "base/util.h"
#include "boot_format.h"

/*
 * The selectors that Linux calls __BOOT_CS and __BOOT_DS ("The Linux/x86 Boot Protocol", 32-bit
 * boot protocol); the other protocols leave them open.
 */
#define X86_BOOT_CS 0x10
#define X86_BOOT_DS 0x18

/* Page table entries. AMD64 APM vol. 2, section 5.4. */
#define X86_PTE_PRESENT  UINT64_C(0x1)
#define X86_PTE_WRITABLE UINT64_C(0x2)
#define X86_PTE_LARGE    UINT64_C(0x80)

#define X86_PAGE_SIZE       (4 * KIB)
#define X86_LARGE_PAGE_SIZE (2 * MIB)
#define X86_PAGE_ENTRIES    512

/* What page tables made of one page of page-directory pointers reach. */
#define X86_IDENTITY_MAX (512 * GIB)

/**
 * Enter in 32-bit protected mode with flat segments, paging and interrupts off.
 * Puts a GDT in guest memory and fills in job->result.entry but for the general registers.
 * Returns 0 or a negative errno with the reason in job->err.
 */
int x86_enter_32(struct boot_job *job, uint32_t rip);

/**
 * Enter in 64-bit mode with flat segments, interrupts off, and memory mapped one to one from 0 to
 * 4 GiB, or to the end of the kernel where that is higher.
 * Otherwise as x86_enter_32(); -ENOEXEC where the kernel ends above X86_IDENTITY_MAX.
 */
int x86_enter_64(struct boot_job *job, uint64_t rip);

#endif

/*
 * Every relocation that an image may have, and thread-local storage. Linked as a static PIE it has
 * RELATIVE ones; as a shared object, 64 and GLOB_DAT too.
 */
#include "hermit.h"

#define MSR_FS_BASE 0xc0000100

/* Of default visibility, so that a shared object reaches them through its symbols. */
#define REACHED_BY_SYMBOL __attribute__((visibility("default")))

extern int first REACHED_BY_SYMBOL, second[4] REACHED_BY_SYMBOL, bss[100] REACHED_BY_SYMBOL;
extern int nowhere REACHED_BY_SYMBOL __attribute__((weak));

int first = 11, second[4] = {21, 22, 23, 24}, bss[100];

static int hidden = 31;

/* By a number in the data each: 64 with and without an addend, RELATIVE, and a weak one. */
static int *volatile pointers[] = {&first, &second[2], &bss[99], &hidden, &nowhere};

static const char *const volatile words[] = {"one", "two", "three"};

static void check_relocations(const struct boot_info *info)
{
    report_equal((uint64_t)*pointers[0], 11, "a pointer to a number");
    report_equal((uint64_t)*pointers[1], 23, "a pointer into an array");
    report_equal((uint64_t)*pointers[2], 0, "a pointer into the bss");
    report_equal((uint64_t)*pointers[3], 31, "a pointer to what has no symbol");
    report_equal((uint64_t)pointers[4], 0, "a pointer to what is nowhere");
    report((uint64_t)pointers[3] >= info->kernel_start && (uint64_t)pointers[3] < info->kernel_end,
           "pointers lead into the image");
    report(same_text(words[1], "two"), "a table of strings");
    report((uint64_t)&first == (uint64_t)pointers[0], "by the table of addresses, the same");
    report(&nowhere == NULL, "nothing by the table of addresses");
}

#ifdef WITH_TLS
static __thread volatile uint64_t set = UINT64_C(0x1122334455667788);
static __thread volatile uint8_t aligned[64] __attribute__((aligned(64))) = {7};
static __thread volatile uint64_t zero;

/* As the kernel does: variables below the thread pointer, which points to itself (System V ABI,
 * AMD64 supplement; variant II). */
static void check_tls(const struct boot_info *info)
{
    static uint8_t area[4096] __attribute__((aligned(64)));
    uint64_t align = info->tls_alignment;
    uint64_t size = (info->tls_memory_size + align - 1) & ~(align - 1);
    uint64_t *thread = (uint64_t *)(uintptr_t)(area + 2048);
    uint8_t *block = (uint8_t *)thread - size;

    report_equal(align, 64, "the alignment of thread-local storage");
    report(info->tls_start >= info->kernel_start &&
               info->tls_file_size <= info->kernel_end - info->tls_start,
           "thread-local storage lies in the image");
    report(info->tls_file_size >= 72 && info->tls_memory_size >= info->tls_file_size + 8,
           "the sizes of thread-local storage");
    for (uint64_t i = 0; i < info->tls_file_size; i++)
        block[i] = ((const uint8_t *)info->tls_start)[i];
    *thread = (uint64_t)thread;
    write_msr(MSR_FS_BASE, (uint64_t)thread);
    report_equal(set, UINT64_C(0x1122334455667788), "a thread's variable");
    report_equal(aligned[0], 7, "a thread's aligned variable");
    report_equal((uint64_t)aligned % 64, 0, "its alignment");
    report_equal(zero, 0, "a thread's zero");
}
#endif

void hermit_main(const struct boot_info *info, uint64_t cpu)
{
    if (cpu != 0)
        return;
    check_relocations(info);
#ifdef WITH_TLS
    check_tls(info);
#endif
    report_end();
}

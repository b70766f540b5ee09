#include "x86_entry.h"

#include <errno.h>
#include <stddef.h>

#include "base/util.h"

/* Descriptors: flat, present, accessed. AMD64 APM vol. 2, sections 4.7 and 4.8. */
#define DESCRIPTOR_CODE_64 UINT64_C(0x00af9b000000ffff)
#define DESCRIPTOR_CODE_32 UINT64_C(0x00cf9b000000ffff)
#define DESCRIPTOR_DATA    UINT64_C(0x00cf93000000ffff)

static int put_gdt(struct boot_job *job, uint64_t code)
{
    const uint64_t gdt[] = {
        [X86_BOOT_CS / 8] = code,
        [X86_BOOT_DS / 8] = DESCRIPTOR_DATA,
    };
    struct entry_state *entry = &job->result.entry;
    int r;

    r = boot_put(job, "GDT", gdt, sizeof(gdt), 16, &entry->gdt_base);
    if (r < 0)
        return r;
    entry->gdt_limit = sizeof(gdt) - 1;
    entry->code_selector = X86_BOOT_CS;
    entry->data_selector = X86_BOOT_DS;
    return 0;
}

int x86_enter_32(struct boot_job *job, uint32_t rip)
{
    struct entry_state *entry = &job->result.entry;

    entry->rip = rip;
    entry->cr0 = X86_CR0_PE | X86_CR0_ET;
    return put_gdt(job, DESCRIPTOR_CODE_32);
}

/* One page directory: a GiB from `base` on, in 2 MiB pages. */
static int put_page_directory(struct boot_job *job, uint64_t base, uint64_t *ret_gpa)
{
    uint64_t table[X86_PAGE_ENTRIES];

    for (size_t i = 0; i < X86_PAGE_ENTRIES; i++)
        table[i] =
            (base + i * X86_LARGE_PAGE_SIZE) | X86_PTE_PRESENT | X86_PTE_WRITABLE | X86_PTE_LARGE;
    return boot_put(job, "page directory", table, sizeof(table), X86_PAGE_SIZE, ret_gpa);
}

/* Map what the boot needs one to one: the first 4 GiB, and above them the kernel. */
static int put_page_tables(struct boot_job *job, uint64_t *ret_cr3)
{
    uint64_t pointers[X86_PAGE_ENTRIES] = {0}, top[X86_PAGE_ENTRIES] = {0}, gpa;
    uint64_t end = job->result.kernel_end;
    int r;

    if (end > X86_IDENTITY_MAX)
        return error_set(job->err, -ENOEXEC, "the kernel ends above 512 GiB");
    for (size_t i = 0; i * GIB < end || i < 4; i++) {
        /* Between 4 GiB and a kernel far above them there is nothing that it needs mapped. */
        if (i >= 4 && (i + 1) * GIB <= job->result.kernel_start)
            continue;
        r = put_page_directory(job, i * GIB, &gpa);
        if (r < 0)
            return r;
        pointers[i] = gpa | X86_PTE_PRESENT | X86_PTE_WRITABLE;
    }
    r = boot_put(job, "page tables", pointers, sizeof(pointers), X86_PAGE_SIZE, &gpa);
    if (r < 0)
        return r;
    top[0] = gpa | X86_PTE_PRESENT | X86_PTE_WRITABLE;
    return boot_put(job, "page tables", top, sizeof(top), X86_PAGE_SIZE, ret_cr3);
}

int x86_enter_64(struct boot_job *job, uint64_t rip)
{
    struct entry_state *entry = &job->result.entry;
    int r;

    r = put_page_tables(job, &entry->cr3);
    if (r < 0)
        return r;
    entry->rip = rip;
    entry->cr0 = X86_CR0_PE | X86_CR0_ET | X86_CR0_PG;
    entry->cr4 = X86_CR4_PAE;
    entry->efer = X86_EFER_LME | X86_EFER_LMA;
    entry->long_mode = true;
    return put_gdt(job, DESCRIPTOR_CODE_64);
}

/* What a Hermit kernel is told, and how its CPUs begin. */
#include <errno.h>
#include <libfdt.h>
#include <stddef.h>

#include "base/util.h"
#include "hermit_boot.h"
#include "x86_entry.h"

#define SELECTOR_CODE 0x08
#define SELECTOR_DATA 0x10

static const uint64_t gdt[] = {0, UINT64_C(0x00af9b000000ffff), UINT64_C(0x00cf93000000ffff)};

/* Where the first bytes for people go, by port: of interface 1, and of the later ones. */
#define SERIAL_PORT_1 0x800
#define SERIAL_PORT_2 0x1030

#define PLATFORM_UHYVE 1

/* RawBootInfo, with the part that this platform has. */
struct boot_info {
    uint64_t ram_start, ram_end;
    uint64_t serial_port; /* 16 bits of it are read */
    uint64_t fdt;
    uint64_t kernel_start, kernel_end;
    uint64_t tls_start, tls_file_size, tls_memory_size, tls_alignment;
    uint64_t platform; /* 32 bits */
    uint64_t has_pci;  /* 8 bits */
    uint64_t cpus;
    uint64_t tsc_khz;                         /* 32 bits */
    uint64_t boot_time_ns, boot_time_ns_high; /* a number of 128 bits with a sign */
};

_Static_assert(offsetof(struct boot_info, serial_port) == 0x10, "RawBootInfo");
_Static_assert(offsetof(struct boot_info, tls_start) == 0x30, "RawBootInfo");
_Static_assert(offsetof(struct boot_info, platform) == 0x50, "RawBootInfo");
_Static_assert(offsetof(struct boot_info, boot_time_ns) == 0x70, "RawBootInfo");
_Static_assert(sizeof(struct boot_info) == 0x80, "RawBootInfo");

/* Take a fixed place and write it. */
static int put_at(struct boot_job *job, const char *name, uint64_t gpa, const void *bytes,
                  size_t size)
{
    int r = boot_layout_claim(&job->layout, name, gpa, size, job->err);

    if (r == 0 && guest_memory_write(job->mem, gpa, bytes, size) < 0)
        r = error_set(job->err, -EFAULT, "cannot write %s", name);
    return r;
}

static int put_initrd(struct boot_job *job, const struct hermit_kernel *kernel,
                      struct hermit_initrd *ret_initrd)
{
    const struct image *image = job->request->initrd;
    struct boot_range within = {.start = kernel->end, .end = UINT64_MAX};
    int r;

    *ret_initrd = (struct hermit_initrd){0};
    if (!image)
        return 0;
    r = boot_put_image(job, "initrd", image, within, &ret_initrd->gpa);
    if (r == 0)
        ret_initrd->size = image_size(image);
    return r;
}

/* Its whole place is taken; what is written is as long as the tree is. */
static int put_fdt(struct boot_job *job, const struct hermit_kernel *kernel,
                   const struct hermit_handover *handover, struct hermit_initrd initrd)
{
    uint64_t gpa = kernel->ram_base + HERMIT_FDT;
    uint8_t fdt[HERMIT_FDT_SIZE];
    int r = boot_layout_claim(&job->layout, "device tree", gpa, sizeof(fdt), job->err);

    if (r == 0)
        r = hermit_build_fdt(job, handover, initrd, fdt, sizeof(fdt), job->err);
    if (r == 0 && guest_memory_write(job->mem, gpa, fdt, fdt_totalsize(fdt)) < 0)
        r = error_set(job->err, -EFAULT, "cannot write the device tree");
    return r;
}

static int put_boot_info(struct boot_job *job, const struct hermit_kernel *kernel,
                         const struct hermit_handover *handover)
{
    size_t count;
    const struct guest_region *regions = guest_memory_regions(job->mem, &count);
    const struct boot_info info = {
        .ram_start = kernel->ram_base,
        .ram_end = regions[count - 1].gpa + regions[count - 1].size,
        .serial_port = kernel->notes.interface == 1 ? SERIAL_PORT_1 : SERIAL_PORT_2,
        .fdt = kernel->ram_base + HERMIT_FDT,
        .kernel_start = kernel->start,
        .kernel_end = kernel->end,
        .tls_start = kernel->tls.start,
        .tls_file_size = kernel->tls.file_size,
        .tls_memory_size = kernel->tls.memory_size,
        .tls_alignment = kernel->tls.alignment,
        .platform = PLATFORM_UHYVE,
        .has_pci = handover->has_pci,
        .cpus = handover->cpus,
        .tsc_khz = handover->tsc_khz,
        .boot_time_ns = handover->boot_time_ns,
    };

    return put_at(job, "boot information", kernel->ram_base + HERMIT_BOOT_INFO, &info,
                  sizeof(info));
}

/*
 * The end of what is mapped. Kernels that do not map memory themselves count on all of the GiB that
 * holds them, be there memory or not.
 */
static uint64_t mapped_end(const struct hermit_kernel *kernel)
{
    return align_up(kernel->end, kernel->notes.maps_memory ? X86_LARGE_PAGE_SIZE : GIB);
}

/* One page directory: what of a GiB lies in [start, end), one to one. */
static int put_page_directory(struct boot_job *job, uint64_t gpa, uint64_t start, uint64_t end)
{
    uint64_t table[X86_PAGE_ENTRIES] = {0};

    for (uint64_t at = start; at < end; at += X86_LARGE_PAGE_SIZE)
        table[at / X86_LARGE_PAGE_SIZE % X86_PAGE_ENTRIES] =
            at | X86_PTE_PRESENT | X86_PTE_WRITABLE | X86_PTE_LARGE;
    return put_at(job, "page directory", gpa, table, sizeof(table));
}

/* Three levels: the top one, which is its own last entry, one below it, and a directory a GiB. */
static int put_page_tables(struct boot_job *job, const struct hermit_kernel *kernel)
{
    uint64_t top_gpa = kernel->ram_base + HERMIT_PAGE_TABLES;
    uint64_t pointers_gpa = top_gpa + X86_PAGE_SIZE, next = pointers_gpa + X86_PAGE_SIZE;
    uint64_t top[X86_PAGE_ENTRIES] = {0}, pointers[X86_PAGE_ENTRIES] = {0};
    uint64_t end = mapped_end(kernel);
    int r = 0;

    if (end > X86_IDENTITY_MAX)
        return error_set(job->err, -ENOEXEC, "the kernel ends above 512 GiB");
    top[0] = pointers_gpa | X86_PTE_PRESENT | X86_PTE_WRITABLE;
    top[X86_PAGE_ENTRIES - 1] = top_gpa | X86_PTE_PRESENT | X86_PTE_WRITABLE;
    for (uint64_t at = kernel->ram_base; r == 0 && at < end; next += X86_PAGE_SIZE) {
        uint64_t stop = min_u64(align_down(at, GIB) + GIB, end);

        pointers[at / GIB] = next | X86_PTE_PRESENT | X86_PTE_WRITABLE;
        r = put_page_directory(job, next, at, stop);
        at = stop;
    }
    if (r == 0)
        r = put_at(job, "page tables", pointers_gpa, pointers, sizeof(pointers));
    return r < 0 ? r : put_at(job, "page tables", top_gpa, top, sizeof(top));
}

static void set_entry(const struct hermit_kernel *kernel, struct entry_state *entry)
{
    *entry = (struct entry_state){
        .rip = kernel->entry,
        .rsp = kernel->start - HERMIT_STACK_SIZE, /* its lower end: the kernel adds the size */
        .rdi = kernel->ram_base + HERMIT_BOOT_INFO,
        .cr0 = X86_CR0_PE | X86_CR0_ET | X86_CR0_NE | X86_CR0_PG,
        .cr3 = kernel->ram_base + HERMIT_PAGE_TABLES,
        .cr4 = X86_CR4_PAE,
        .efer = X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE,
        .gdt_base = kernel->ram_base + HERMIT_GDT,
        .gdt_limit = sizeof(gdt) - 1,
        .code_selector = SELECTOR_CODE,
        .data_selector = SELECTOR_DATA,
        .long_mode = true,
        .all_cpus = true,
    };
}

int hermit_hand_over(struct boot_job *job, const struct hermit_kernel *kernel)
{
    static const struct hermit_handover nothing = {.cpus = 1};
    const struct hermit_handover *handover = job->request->hermit ? job->request->hermit : &nothing;
    struct hermit_initrd initrd;
    int r = boot_layout_claim(&job->layout, "boot stack", kernel->start - HERMIT_STACK_SIZE,
                              HERMIT_STACK_SIZE, job->err);

    if (r == 0)
        r = put_initrd(job, kernel, &initrd);
    if (r == 0)
        r = put_fdt(job, kernel, handover, initrd);
    if (r == 0)
        r = put_boot_info(job, kernel, handover);
    if (r == 0)
        r = put_page_tables(job, kernel);
    if (r == 0)
        r = put_at(job, "GDT", kernel->ram_base + HERMIT_GDT, gdt, sizeof(gdt));
    if (r == 0)
        set_entry(kernel, &job->result.entry);
    return r;
}

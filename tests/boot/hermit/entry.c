/*
 * Each line of the contract that a running kernel can see: registers, boot information, device
 * tree, page tables. The boot arguments say what is expected: base=, mem= (MiB), cpus=,
 * interface=, fixed=1 (ET_EXEC), maps=1 (a kernel that maps memory itself).
 */
#include "hermit.h"

#define MIB UINT64_C(0x100000)
#define GIB UINT64_C(0x40000000)

#define HOLE_START UINT64_C(0xd0000000)
#define HOLE_END   UINT64_C(0x100000000)

#define MSR_EFER 0xc0000080

extern char __ehdr_start[], _end[];

struct expected {
    uint64_t base, mem, cpus, interface;
    bool fixed, maps;
    uint64_t first_size; /* of the first region of memory */
};

static struct expected expect(const struct boot_info *info)
{
    struct expected e = {
        .base = bootargs_number(info, "base"),
        .mem = bootargs_number(info, "mem") * MIB,
        .cpus = bootargs_number(info, "cpus"),
        .interface = bootargs_number(info, "interface"),
        .fixed = bootargs_number(info, "fixed"),
        .maps = bootargs_number(info, "maps"),
    };

    e.first_size = e.mem;
    if (e.base < HOLE_START && e.mem > HOLE_START - e.base)
        e.first_size = HOLE_START - e.base;
    return e;
}

static void check_registers(const struct boot_info *info, const struct expected *e)
{
    const struct entry_registers *r = &hermit_entry_registers;

    report_equal((uint64_t)info, e->base + 0x5000, "RDI: the boot information");
    report_equal(r->rsp, (uint64_t)__ehdr_start - 0x8000, "RSP: the boot stack's lower end");
    report_equal(r->rflags & ~UINT64_C(0x44), 2, "RFLAGS"); /* the start's test sets ZF and PF */
    report_equal(r->cr0, 0x80000031, "CR0");
    report_equal(r->cr3, e->base + 0x10000, "CR3");
    report_equal(r->cr4, 0x20, "CR4");
    report_equal(read_msr(MSR_EFER), 0xd00, "EFER");
    report_equal(r->cs, 0x08, "CS");
    report_equal(r->ds, 0x10, "DS");
    report_equal(r->es, 0x10, "ES");
    report_equal(r->ss, 0x10, "SS");
    report_equal(r->gdt.limit, 23, "the GDT's limit");
    report_equal(r->gdt.base, e->base, "the GDT's place");
}

static void check_gdt(const struct expected *e)
{
    const uint64_t *gdt = (const uint64_t *)e->base;

    /* Memory at 0 is memory like any other; the compiler shall not think of NULL. */
    __asm__("" : "+r"(gdt));
    report_equal(gdt[0], 0, "GDT entry 0");
    report_equal(gdt[1], UINT64_C(0x00af9b000000ffff), "GDT entry 1");
    report_equal(gdt[2], UINT64_C(0x00cf93000000ffff), "GDT entry 2");
}

static void check_boot_info(const struct boot_info *info, const struct expected *e)
{
    uint64_t start = (uint64_t)__ehdr_start;
    uint64_t end = e->base + e->mem + (e->first_size < e->mem ? HOLE_END - HOLE_START : 0);

    report_equal(start, e->fixed ? 0x800000 : e->base + 0x40000, "where the image is");
    report_equal(info->ram_start, e->base, "memory's start");
    report_equal(info->ram_end, end, "memory's end");
    report_equal(info->serial_port, e->interface == 1 ? 0x800 : 0x1030, "the serial port");
    report_equal(info->fdt, e->base + 0x1000, "the device tree's place");
    report_equal(info->kernel_start, start, "the image's start");
    report_equal(info->kernel_end, (uint64_t)_end, "the image's end");
    report_equal(info->tls_start, 0, "no thread-local storage");
    report_equal(info->platform, 1, "the platform");
    report_equal(info->has_pci, bootargs_number(info, "pci"), "whether there is PCI");
    report_equal(info->cpus, e->cpus, "the number of CPUs");
    report(info->tsc_khz > 100000, "the time-stamp counter's frequency");
    report(info->boot_time_ns / UINT64_C(1000000000) + 60 >= bootargs_number(info, "now") &&
               info->boot_time_ns_high == 0,
           "the wall clock");
}

static void check_text(const struct boot_info *info, const char *node, const char *property,
                       const char *expected)
{
    const char *text = fdt_find(info, node, 0, property, NULL);

    report(text && same_text(text, expected), expected);
}

static void check_fdt(const struct boot_info *info, const struct expected *e)
{
    const uint8_t *reg = fdt_find(info, "memory@", 0, "reg", NULL);
    const uint8_t *second = fdt_find(info, "memory@", 1, "reg", NULL);
    const void *cell;
    uint64_t cpus = 0;

    report_equal(be32((const void *)info->fdt), 0xd00dfeed, "the device tree's magic");
    report(be32((const uint8_t *)info->fdt + 4) <= 0x4000, "the device tree's size");
    check_text(info, "", "compatible", "hermit,uhyve");
    check_text(info, "memory@", "device_type", "memory");
    cell = fdt_find(info, "", 0, "#address-cells", NULL);
    report_equal(cell ? be32(cell) : 0, 2, "#address-cells");
    cell = fdt_find(info, "", 0, "#size-cells", NULL);
    report_equal(cell ? be32(cell) : 0, 2, "#size-cells");
    report_equal(reg ? be64(reg) : 1, e->base, "/memory: where");
    report_equal(reg ? be64(reg + 8) : 0, e->first_size, "/memory: how much");
    report_equal(second ? be64(second + 8) : 0, e->mem - e->first_size, "/memory above 4 GiB");
    while ((cell = fdt_find(info, "cpu@", (unsigned)cpus, "reg", NULL)) && be32(cell) == cpus)
        cpus++;
    report_equal(cpus, e->cpus, "/cpus");
    cell = fdt_find(info, "hermit,tsc", 0, "khz", NULL);
    report_equal(cell ? be32(cell) : 0, info->tsc_khz, "/hermit,tsc");
}

static uint64_t entry_of(uint64_t address)
{
    const uint64_t *top = (const uint64_t *)hermit_entry_registers.cr3;
    const uint64_t *pointers = (const uint64_t *)(top[0] & ~UINT64_C(0xfff));
    uint64_t pointer = pointers[address / GIB];

    return pointer ? ((const uint64_t *)(pointer & ~UINT64_C(0xfff)))[address / (2 * MIB) % 512]
                   : 0;
}

/* An entry less what the CPU itself sets in it: accessed and dirty. */
static void check_mapped(uint64_t address, bool mapped, const char *what)
{
    report_equal(entry_of(address) & ~UINT64_C(0x60), mapped ? address | 0x83 : 0, what);
}

static void check_page_tables(const struct expected *e)
{
    const uint64_t *top = (const uint64_t *)hermit_entry_registers.cr3;
    uint64_t end = ((uint64_t)_end + 2 * MIB - 1) & ~(2 * MIB - 1);
    uint64_t end_of_gib = (end + GIB - 1) & ~(GIB - 1);

    report_equal(top[511] & ~UINT64_C(0x60), (e->base + 0x10000) | 3, "slot 511 is itself");
    report_equal(top[0] & ~UINT64_C(0x60), (e->base + 0x11000) | 3, "slot 0");
    check_mapped(e->base, true, "the beginning of memory is mapped");
    check_mapped(end - 2 * MIB, true, "the end of the image is mapped");
    check_mapped(end, !e->maps && end < end_of_gib, "what follows the image");
    check_mapped(end_of_gib - 2 * MIB, !e->maps, "the end of the GiB");
    check_mapped(end_of_gib, false, "the next GiB is not mapped");
    if (e->base >= GIB)
        check_mapped(e->base - 2 * MIB, false, "what lies below memory is not mapped");
}

static void check_cpuid(void)
{
    uint32_t r[4];

    cpuid(1, r);
    report(r[2] >> 31, "CPUID: a hypervisor");
    report(r[2] >> 24 & 1, "CPUID: the TSC deadline timer");
    cpuid(10, r);
    report_equal(r[0], 0, "CPUID: no performance counters");
}

/* Where a PC has its MP table are zeroes, without an exit for each word. */
static void check_mp_table(void)
{
    static const struct {
        uint64_t start, end;
    } places[] = {{0x9f000, 0xa0000}, {0xf0000, 0x100000}};
    bool zero = true;

    map_large_page(0);
    for (unsigned i = 0; i < 2; i++)
        for (uint64_t at = places[i].start; at < places[i].end; at += 64)
            zero &= *(volatile uint32_t *)at == 0;
    report(zero, "nothing where a PC has an MP table");
}

/* The last page of each region of memory. */
static void check_memory(const struct expected *e)
{
    volatile uint64_t *at = (volatile uint64_t *)(e->base + e->first_size - 4096);

    map_large_page((uint64_t)at);
    report_equal(*at, 0, "the last page is of zeroes");
    *at = UINT64_C(0x123456789abcdef0);
    report_equal(*at, UINT64_C(0x123456789abcdef0), "the last page is memory");
    if (e->first_size == e->mem)
        return;
    at = (volatile uint64_t *)(HOLE_END + e->mem - e->first_size - 4096);
    map_large_page((uint64_t)at);
    *at = UINT64_C(0xfedcba9876543210);
    report_equal(*at, UINT64_C(0xfedcba9876543210), "the last page above 4 GiB is memory");
}

void hermit_main(const struct boot_info *info, uint64_t cpu)
{
    struct expected e;

    if (cpu != 0)
        return;
    e = expect(info);
    check_registers(info, &e);
    check_gdt(&e);
    check_boot_info(info, &e);
    check_fdt(info, &e);
    check_page_tables(&e);
    check_cpuid();
    check_memory(&e);
    check_mp_table();
    report_end();
}

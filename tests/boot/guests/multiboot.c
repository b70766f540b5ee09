/*
 * The Multiboot 1 hand-over, field by field (Multiboot Specification 0.6.96, section 3.3). The
 * command line says `mem=MiB modules=N`; module m's bytes are those of modules.c, its string
 * is `module m`.
 */
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/report.h"
#include "sdk/string.h"

#define BOOT_MAGIC 0x2badb002
#define MIB        (UINT64_C(1) << 20)

#define INFO_MEMORY     (1u << 0)
#define INFO_CMDLINE    (1u << 2)
#define INFO_MODULES    (1u << 3)
#define INFO_MEMORY_MAP (1u << 6)

#define CR0_PE      (1u << 0)
#define CR0_PG      (1u << 31)
#define FLAGS_IF_VM (1u << 9 | 1u << 17)

struct info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
    uint32_t syms[4];
    uint32_t mmap_length, mmap_addr;
};

struct module {
    uint32_t start, end, string, reserved;
};

struct map_entry {
    uint32_t size;
    uint64_t base, length;
    uint32_t type;
} __attribute__((packed));

extern const uint32_t entry_cr0, entry_flags, entry_through_es, entry_through_ss;

/* In the command line, which the SDK does not look for with this protocol. */
static uint64_t option(const char *cmdline, const char *name)
{
    const char *at = strstr(cmdline, name);

    return at ? strtoul(at + strlen(name), NULL, 0) : 0;
}

static void check_entry(void)
{
    report(boot_info()->start_magic == BOOT_MAGIC, "EAX is the magic");
    report((entry_cr0 & CR0_PE) && !(entry_cr0 & CR0_PG), "protected mode, no paging (CR0 %x)",
           entry_cr0);
    report(!(entry_flags & FLAGS_IF_VM), "no interrupts, no virtual-8086 mode (EFLAGS %x)",
           entry_flags);
    report(entry_through_es != 0 && entry_through_es != UINT32_MAX &&
               entry_through_es == entry_through_ss,
           "ES and SS are flat up to 4 GiB");
}

static void check_map(const struct info *info, uint64_t asked)
{
    uint64_t ram = 0, end = 0, at = info->mmap_addr;
    bool ordered = true;

    if (!report(info->flags & INFO_MEMORY_MAP, "there is a memory map"))
        return;
    while (at < (uint64_t)info->mmap_addr + info->mmap_length) {
        const struct map_entry *e = (const void *)at;

        ordered = ordered && e->base >= end && e->size >= 20;
        end = e->base + e->length;
        if (e->type == 1)
            ram += e->length;
        at += e->size + sizeof(e->size);
    }
    report(ordered && at == (uint64_t)info->mmap_addr + info->mmap_length,
           "its entries rise, and fill its length");
    report(asked - ram < MIB, "they have the RAM that was asked for, less %lu KiB",
           (asked - ram) / 1024);
}

static void check_modules(const struct info *info, uint32_t count)
{
    const struct module *m = (const void *)(uint64_t)info->mods_addr;

    if (!report(info->mods_count == count, "%u modules", count) || count == 0)
        return;
    report(info->flags & INFO_MODULES, "the flag says so");
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *bytes = (const void *)(uint64_t)m[i].start;
        char name[16];
        bool same = m[i].end > m[i].start;

        for (uint32_t n = 0; n < m[i].end - m[i].start; n++)
            same = same && bytes[n] == (uint8_t)(n * 7 + n / 251 + i * 13 + 5);
        snprintf(name, sizeof(name), "module %u", i);
        report(same, "module %u is the same byte for byte (%u)", i, m[i].end - m[i].start);
        report(m[i].start % 4096 == 0, "module %u begins on a page", i);
        report(m[i].string && strcmp((const char *)(uint64_t)m[i].string, name) == 0,
               "module %u has its string", i);
        report(m[i].reserved == 0, "module %u: reserved 0", i);
    }
}

int main(void)
{
    const struct info *info = (const void *)boot_info()->start_address;
    const char *cmdline = (const char *)(uint64_t)info->cmdline;
    uint64_t mem, upper;

    check_entry();
    if (!report((info->flags & INFO_CMDLINE) && cmdline, "there is a command line"))
        return report_summary();
    printf("[%s]\n", cmdline);
    mem = option(cmdline, "mem=") * MIB;
    upper = mem < 3072 * MIB ? mem : 3072 * MIB;
    report(info->flags & INFO_MEMORY, "there are memory sizes");
    report(info->mem_lower == 639, "mem_lower is 639 KiB (%u)", info->mem_lower);
    report(info->mem_upper == upper / 1024 - 1024, "mem_upper is what is above 1 MiB (%u)",
           info->mem_upper);
    check_map(info, mem);
    check_modules(info, (uint32_t)option(cmdline, "modules="));
    return report_summary();
}

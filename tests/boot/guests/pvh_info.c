/* The PVH start structure, field by field (Xen public/arch-x86/hvm/start_info.h). */
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/report.h"
#include "sdk/string.h"

struct start_info {
    uint32_t magic, version, flags, modules;
    uint64_t module_list, cmdline, rsdp, memory_map;
    uint32_t memory_map_entries, reserved;
};

struct map_entry {
    uint64_t base, size;
    uint32_t type, reserved;
};

struct module_entry {
    uint64_t base, size, cmdline, reserved;
};

int main(void)
{
    const struct start_info *info = (const void *)boot_info()->start_address;
    const struct map_entry *map = (const void *)info->memory_map;
    const struct module_entry *modules = (const void *)info->module_list;
    uint32_t expected = (uint32_t)boot_option_number("modules", 0);
    bool zero = true;

    report(info->magic == 0x336ec578, "magic");
    report(info->version == 1, "version 1");
    report(info->flags == 0, "flags 0");
    report(info->modules == expected, "%u modules", expected);
    report((info->module_list != 0) == (expected > 0), "the module list is there if they are");
    report(info->cmdline && strstr((const char *)info->cmdline, "marker") != NULL, "command line");
    report(info->rsdp >= 0xe0000 && info->rsdp < 0x100000 &&
               memcmp((const void *)info->rsdp, "RSD PTR ", 8) == 0,
           "the RSDP's address");
    report(map && info->memory_map_entries >= 3, "a memory map of %u entries",
           info->memory_map_entries);
    report(info->reserved == 0, "reserved 0");
    report((uint64_t)info % 4 == 0 && info->memory_map % 8 == 0, "they are aligned");
    for (unsigned i = 0; i < info->memory_map_entries; i++)
        zero = zero && map[i].reserved == 0 && map[i].size > 0 &&
               (map[i].type == 1 || map[i].type == 2 || map[i].type == 3);
    report(zero, "each entry has a type, a size, and reserved 0");
    report(map[0].base == 0 && map[0].type == 1 && map[0].size == 0x9fc00,
           "conventional memory is 639 KiB");
    zero = true;
    for (unsigned i = 0; i < info->modules; i++)
        zero = zero && modules[i].reserved == 0 && modules[i].base != 0;
    report(zero, "each module has an address, and reserved 0");
    return report_summary();
}

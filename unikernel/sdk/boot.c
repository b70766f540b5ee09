/* The PVH hand-over, parsed (Xen public/arch-x86/hvm/start_info.h). */
#include "sdk/boot.h"

#include "cpu_state.h"
#include "sdk/string.h"

#define START_INFO_MAGIC 0x336ec578

struct hvm_start_info {
    uint32_t magic, version, flags, nr_modules;
    uint64_t modlist_paddr, cmdline_paddr, rsdp_paddr;
    uint64_t memmap_paddr; /* from version 1 on */
    uint32_t memmap_entries, reserved;
};

struct hvm_modlist_entry {
    uint64_t paddr, size, cmdline_paddr, reserved;
};

struct hvm_memmap_table_entry {
    uint64_t addr, size;
    uint32_t type, reserved;
};

static struct boot_info info = {.source = BOOT_BY_OTHER, .cmdline = ""};

static const char *string_at(uint64_t address)
{
    return address ? (const char *)address : "";
}

void boot_init(void)
{
    const struct hvm_start_info *start = (const void *)(uintptr_t)start_info_address;
    const struct hvm_modlist_entry *modules;
    const struct hvm_memmap_table_entry *map;

    info.start_address = start_info_address;
    info.start_magic = start_magic;
    if (start_magic != 0 || start->magic != START_INFO_MAGIC)
        return;
    info.source = BOOT_BY_PVH;
    info.cmdline = string_at(start->cmdline_paddr);
    info.rsdp = start->rsdp_paddr;
    modules = (const void *)start->modlist_paddr;
    for (; info.module_count < start->nr_modules && info.module_count < BOOT_MODULE_MAX;
         info.module_count++, modules++)
        info.modules[info.module_count] = (struct boot_module){
            .data = (const uint8_t *)modules->paddr,
            .size = modules->size,
            .arguments = string_at(modules->cmdline_paddr),
        };
    if (start->version < 1)
        return;
    map = (const void *)start->memmap_paddr;
    for (; info.region_count < start->memmap_entries && info.region_count < BOOT_REGION_MAX;
         info.region_count++, map++)
        info.regions[info.region_count] =
            (struct boot_region){.base = map->addr, .size = map->size, .type = map->type};
}

const struct boot_info *boot_info(void)
{
    return &info;
}

const char *boot_option(const char *name)
{
    size_t length = strlen(name);

    for (const char *word = info.cmdline; *word;) {
        if (strncmp(word, name, length) == 0 && word[length] == '=')
            return word + length + 1;
        while (*word && *word != ' ')
            word++;
        while (*word == ' ')
            word++;
    }
    return NULL;
}

uint64_t boot_option_number(const char *name, uint64_t otherwise)
{
    const char *value = boot_option(name);

    return value ? strtoul(value, NULL, 0) : otherwise;
}

uint64_t boot_ram_size(void)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < info.region_count; i++)
        if (info.regions[i].type == REGION_RAM)
            sum += info.regions[i].size;
    return sum;
}

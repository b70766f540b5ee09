/* Multiboot 1. Numbers: "Multiboot Specification", version 0.6.96. */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"
#include "boot_format.h"
#include "guest/layout.h"
#include "x86_entry.h"

/* Section 3.1, "OS image format". */
#define HEADER_MAGIC        0x1badb002
#define HEADER_ALIGNMENT    4
#define HEADER_SIZE         12 /* magic, flags, checksum */
#define HEADER_SIZE_ADDRESS 32 /* and the address fields */
#define FLAG_ALIGN_MODULES  (1U << 0)
#define FLAG_MEMORY_INFO    (1U << 1)
#define FLAG_VIDEO_MODE     (1U << 2) /* taken, and answered with no video information */
#define FLAGS_REQUIRED      0xffffU   /* a loader that does not know one of these must refuse */
#define FLAG_ADDRESS_FIELDS (1U << 16)
#define FLAGS_KNOWN         (FLAG_ALIGN_MODULES | FLAG_MEMORY_INFO | FLAG_VIDEO_MODE)

/* Section 3.2, "Machine state". */
#define BOOT_MAGIC 0x2badb002

/* Section 3.3, "Boot information format": bits of `flags`. */
#define INFO_MEMORY      (1U << 0)
#define INFO_CMDLINE     (1U << 2)
#define INFO_MODULES     (1U << 3)
#define INFO_MEMORY_MAP  (1U << 6)
#define INFO_LOADER_NAME (1U << 9)

#define LOADER_NAME "osvm-vmm"

struct multiboot_header {
    uint32_t offset; /* in the file */
    uint32_t flags;
    /* With FLAG_ADDRESS_FIELDS. */
    uint32_t header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr;
};

struct multiboot_info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
    uint32_t syms[4];
    uint32_t mmap_length, mmap_addr, drives_length, drives_addr, config_table, boot_loader_name;
    uint32_t apm_table, vbe[4];
    uint32_t framebuffer[7];
};

struct multiboot_module {
    uint32_t start, end, string, reserved;
};

struct multiboot_mmap_entry {
    uint32_t size; /* of what follows */
    uint64_t base, length;
    uint32_t type;
} __attribute__((packed));

_Static_assert(offsetof(struct multiboot_info, vbe) == 72, "boot information format");
_Static_assert(sizeof(struct multiboot_info) == 116, "boot information format");
_Static_assert(sizeof(struct multiboot_module) == 16, "module structure");
_Static_assert(sizeof(struct multiboot_mmap_entry) == 24, "memory map entry");

/* Find the header: the first aligned place with the magic and a checksum that adds up to 0. */
static bool find_header(const struct boot_probe *probe, struct multiboot_header *ret_header)
{
    for (uint32_t at = 0; range_inside(at, HEADER_SIZE, probe->head_size); at += HEADER_ALIGNMENT) {
        const uint8_t *p = probe->head + at;
        uint32_t flags = load_le32(p + 4);

        if (load_le32(p) != HEADER_MAGIC || HEADER_MAGIC + flags + load_le32(p + 8) != 0)
            continue;
        *ret_header = (struct multiboot_header){.offset = at, .flags = flags};
        return true;
    }
    return false;
}

static int read_address_fields(const struct boot_probe *probe, struct multiboot_header *header,
                               struct error *err)
{
    const uint8_t *p = probe->head + header->offset;

    if (!range_inside(header->offset, HEADER_SIZE_ADDRESS, probe->head_size))
        return error_set(err, -ENOEXEC,
                         "truncated: its Multiboot header is at byte %" PRIu32
                         " with %u bytes, the file has %" PRIu64,
                         header->offset, HEADER_SIZE_ADDRESS, image_size(probe->image));
    header->header_addr = load_le32(p + 12);
    header->load_addr = load_le32(p + 16);
    header->load_end_addr = load_le32(p + 20);
    header->bss_end_addr = load_le32(p + 24);
    header->entry_addr = load_le32(p + 28);
    return 0;
}

/* Name the flags that are asked for and not known, as "3, 5". */
static int unknown_flags(uint32_t flags, struct error *err)
{
    char list[64] = "";
    size_t used = 0;

    for (unsigned bit = 0; flags >> bit; bit++)
        if (flags >> bit & 1)
            used +=
                (size_t)snprintf(list + used, sizeof(list) - used, "%s%u", used ? ", " : "", bit);
    return error_set(err, -ENOEXEC,
                     "its Multiboot header asks for what this loader does not know (flag %s)",
                     list);
}

/* Read and check the header. Returns 1, 0 where there is none, or -ENOEXEC. */
static int read_multiboot_header(const struct boot_probe *probe,
                                 struct multiboot_header *ret_header, struct error *err)
{
    struct multiboot_header header;
    uint32_t unknown;
    int r;

    if (!find_header(probe, &header))
        return 0;
    unknown = header.flags & FLAGS_REQUIRED & ~FLAGS_KNOWN;
    if (unknown)
        return unknown_flags(unknown, err);
    if (header.flags & FLAG_ADDRESS_FIELDS) {
        r = read_address_fields(probe, &header, err);
        if (r < 0)
            return r;
    } else if (!probe->is_elf) {
        return error_set(err, -ENOEXEC,
                         "a Multiboot image that is not ELF and has no address fields");
    }
    *ret_header = header;
    return 1;
}

static int multiboot_recognise(const struct boot_probe *probe, enum boot_protocol *ret_protocol,
                               struct error *err)
{
    struct multiboot_header header;
    int r = read_multiboot_header(probe, &header, err);

    if (r > 0)
        *ret_protocol = BOOT_MULTIBOOT;
    return r;
}

/* Load by the address fields (section 3.1.3). */
static int load_by_addresses(struct boot_job *job, const struct multiboot_header *header)
{
    uint64_t file_size = image_size(job->probe->image);
    uint64_t offset, size, end;
    int r;

    if (header->load_addr > header->header_addr ||
        header->header_addr - header->load_addr > header->offset)
        return error_set(job->err, -ENOEXEC,
                         "its Multiboot load address 0x%" PRIx32 " does not fit its header's, "
                         "0x%" PRIx32 " at byte %" PRIu32,
                         header->load_addr, header->header_addr, header->offset);
    offset = header->offset - (header->header_addr - header->load_addr);
    if (header->load_end_addr != 0 && header->load_end_addr <= header->load_addr)
        return error_set(job->err, -ENOEXEC,
                         "its Multiboot load end 0x%" PRIx32
                         " is not above its load address 0x%" PRIx32,
                         header->load_end_addr, header->load_addr);
    size = header->load_end_addr ? header->load_end_addr - header->load_addr : file_size - offset;
    end = header->load_addr + size;
    if (header->bss_end_addr != 0 && header->bss_end_addr < end)
        return error_set(job->err, -ENOEXEC,
                         "its Multiboot bss end 0x%" PRIx32 " is below its load end 0x%" PRIx64,
                         header->bss_end_addr, end);
    if (header->entry_addr < header->load_addr || header->entry_addr >= end)
        return error_set(job->err, -ENOEXEC,
                         "its entry point 0x%" PRIx32 " lies outside what it loads",
                         header->entry_addr);
    r = boot_claim_kernel(job, "the kernel", header->load_addr,
                          max_u64(end, header->bss_end_addr) - header->load_addr);
    if (r < 0)
        return r;
    return boot_read_to_guest(job, offset, header->load_addr, size, "the kernel");
}

/* Load as an ELF file; its entry point is virtual, as for the loaders that kernels were made for.
 */
static int load_by_segments(struct boot_job *job, uint32_t *ret_entry)
{
    const struct elf_file *elf = &job->probe->elf;
    uint64_t entry = elf->entry;
    int r;

    r = elf_load_segments(job);
    if (r < 0)
        return r;
    if (!elf_physical_address(elf, elf->entry, &entry) && !elf_is_loaded(elf, entry))
        return error_set(job->err, -ENOEXEC,
                         "its entry point 0x%" PRIx64 " lies outside what it loads", entry);
    if (entry > UINT32_MAX)
        return error_set(job->err, -ENOEXEC, "its entry point 0x%" PRIx64 " lies above 4 GiB",
                         entry);
    *ret_entry = (uint32_t)entry;
    return 0;
}

/* Memory map and the two sizes in KiB: conventional memory, and RAM from 1 MiB to the first hole.
 */
static int put_memory_map(struct boot_job *job, struct multiboot_info *info)
{
    struct memory_map_entry map[MEMORY_MAP_MAX_ENTRIES];
    struct multiboot_mmap_entry table[MEMORY_MAP_MAX_ENTRIES];
    size_t count = guest_memory_map(job->mem, map);
    uint64_t gpa;
    int r;

    for (size_t i = 0; i < count; i++) {
        table[i] = (struct multiboot_mmap_entry){
            .size = sizeof(table[i]) - sizeof(table[i].size),
            .base = map[i].gpa,
            .length = map[i].size,
            .type = map[i].type,
        };
        if (map[i].type == MEMORY_MAP_RAM && map[i].gpa == 0)
            info->mem_lower = (uint32_t)(map[i].size / KIB);
        if (map[i].type == MEMORY_MAP_RAM && map[i].gpa == LAYOUT_HIMEM_BASE)
            info->mem_upper = (uint32_t)(map[i].size / KIB);
    }
    info->mmap_length = (uint32_t)(count * sizeof(table[0]));
    r = boot_put(job, "memory map", table, info->mmap_length, 8, &gpa);
    if (r < 0)
        return r;
    info->mmap_addr = (uint32_t)gpa;
    info->flags |= INFO_MEMORY | INFO_MEMORY_MAP;
    return 0;
}

static int put_modules(struct boot_job *job, struct multiboot_info *info)
{
    struct boot_placed_module placed[BOOT_MAX_MODULES + 1];
    struct multiboot_module list[BOOT_MAX_MODULES + 1];
    size_t count;
    uint64_t gpa;
    int r;

    info->flags |= INFO_MODULES;
    r = boot_put_modules(job, placed, &count);
    if (r < 0 || count == 0)
        return r;
    for (size_t i = 0; i < count; i++)
        list[i] = (struct multiboot_module){
            .start = (uint32_t)placed[i].gpa,
            .end = (uint32_t)(placed[i].gpa + placed[i].size),
            .string = (uint32_t)placed[i].string,
        };
    r = boot_put(job, "module list", list, count * sizeof(list[0]), 8, &gpa);
    if (r < 0)
        return r;
    info->mods_count = (uint32_t)count;
    info->mods_addr = (uint32_t)gpa;
    return 0;
}

static int hand_over(struct boot_job *job, uint32_t entry)
{
    struct multiboot_info info = {.flags = INFO_CMDLINE | INFO_LOADER_NAME};
    uint64_t cmdline, name;
    int r;

    r = boot_put_string(job, "command line", job->request->cmdline, BOOT_CMDLINE_MAX, &cmdline);
    if (r < 0)
        return r;
    r = boot_put_string(job, "loader name", LOADER_NAME, BOOT_CMDLINE_MAX, &name);
    if (r < 0)
        return r;
    info.cmdline = (uint32_t)cmdline; /* structures and modules lie below 4 GiB */
    info.boot_loader_name = (uint32_t)name;
    r = put_memory_map(job, &info);
    if (r < 0)
        return r;
    r = put_modules(job, &info);
    if (r < 0)
        return r;
    r = boot_put(job, "boot information", &info, sizeof(info), 8, &job->result.entry.rbx);
    if (r < 0)
        return r;
    job->result.entry.rax = BOOT_MAGIC;
    return x86_enter_32(job, entry);
}

static int multiboot_load(struct boot_job *job)
{
    struct multiboot_header header = {0};
    uint32_t entry = 0;
    int r;

    r = read_multiboot_header(job->probe, &header, job->err);
    if (r < 0)
        return r;
    if (header.flags & FLAG_ADDRESS_FIELDS) {
        entry = header.entry_addr;
        r = load_by_addresses(job, &header);
    } else {
        r = load_by_segments(job, &entry);
    }
    if (r < 0)
        return r;
    return hand_over(job, entry);
}

const struct boot_format multiboot_format = {
    .recognise = multiboot_recognise,
    .load = multiboot_load,
};

/*
 * PVH: an ELF file with a Xen note that names a 32-bit entry point.
 * Numbers: Xen's public headers, arch-x86/hvm/start_info.h and elfnote.h; the CPU's state:
 * docs/misc/pvh.pandoc in Xen's sources.
 */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>

#include "base/bytes.h"
#include "base/util.h"
#include "boot_format.h"
#include "guest/layout.h"
#include "x86_entry.h"

#define NOTE_PHYS32_ENTRY 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
#define NOTE_NAME         "Xen"

#define START_INFO_MAGIC   0x336ec578 /* "xEn3" with the 0x80 bit of the "E" set */
#define START_INFO_VERSION 1

struct pvh_start_info {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, cmdline, rsdp, memory_map;
    uint32_t memory_map_count, reserved;
};

struct pvh_module {
    uint64_t gpa, size, cmdline, reserved;
};

struct pvh_memory_map_entry {
    uint64_t gpa, size;
    uint32_t type, reserved; /* types: those of ACPI, as in guest/memory.h */
};

_Static_assert(sizeof(struct pvh_start_info) == 56, "hvm_start_info, version 1");
_Static_assert(sizeof(struct pvh_module) == 32, "hvm_modlist_entry");
_Static_assert(sizeof(struct pvh_memory_map_entry) == 24, "hvm_memmap_table_entry");

/* Find the entry point that the note names. Returns 1, 0 where there is no note, or a negative
 * errno.
 */
static int find_entry(const struct boot_probe *probe, uint32_t *ret_entry, struct error *err)
{
    uint8_t desc[8] = {0};
    uint64_t size, entry;
    int r = elf_find_note(probe, NOTE_NAME, NOTE_PHYS32_ENTRY, desc, sizeof(desc), &size, err);

    if (r <= 0)
        return r;
    if (size != 4 && size != 8)
        return error_set(err, -ENOEXEC, "its PVH note has %" PRIu64 " bytes, not 4 or 8", size);
    entry = load_le64(desc); /* of the shorter one the rest is zero */
    if (entry > UINT32_MAX)
        return error_set(err, -ENOEXEC, "its PVH entry point 0x%" PRIx64 " lies above 4 GiB",
                         entry);
    *ret_entry = (uint32_t)entry;
    return 1;
}

static int pvh_recognise(const struct boot_probe *probe, enum boot_protocol *ret_protocol,
                         struct error *err)
{
    uint32_t entry = 0;
    int r;

    if (!probe->is_elf)
        return 0;
    r = find_entry(probe, &entry, err);
    if (r > 0)
        *ret_protocol = BOOT_PVH;
    return r;
}

static int put_memory_map(struct boot_job *job, struct pvh_start_info *info)
{
    struct memory_map_entry map[MEMORY_MAP_MAX_ENTRIES];
    struct pvh_memory_map_entry table[MEMORY_MAP_MAX_ENTRIES];
    size_t count = guest_memory_map(job->mem, map);

    for (size_t i = 0; i < count; i++)
        table[i] = (struct pvh_memory_map_entry){
            .gpa = map[i].gpa,
            .size = map[i].size,
            .type = map[i].type,
        };
    info->memory_map_count = (uint32_t)count;
    return boot_put(job, "memory map", table, count * sizeof(table[0]), 8, &info->memory_map);
}

static int put_modules(struct boot_job *job, struct pvh_start_info *info)
{
    struct boot_placed_module placed[BOOT_MAX_MODULES + 1];
    struct pvh_module list[BOOT_MAX_MODULES + 1];
    size_t count;
    int r;

    r = boot_put_modules(job, placed, &count);
    if (r < 0 || count == 0)
        return r;
    for (size_t i = 0; i < count; i++)
        list[i] = (struct pvh_module){
            .gpa = placed[i].gpa,
            .size = placed[i].size,
            .cmdline = placed[i].string,
        };
    info->module_count = (uint32_t)count;
    return boot_put(job, "module list", list, count * sizeof(list[0]), 8, &info->modules);
}

static int hand_over(struct boot_job *job, uint32_t entry)
{
    struct pvh_start_info info = {
        .magic = START_INFO_MAGIC,
        .version = START_INFO_VERSION,
        .rsdp = job->request->rsdp,
    };
    int r;

    r = boot_put_string(job, "command line", job->request->cmdline, BOOT_CMDLINE_MAX,
                        &info.cmdline);
    if (r < 0)
        return r;
    r = put_memory_map(job, &info);
    if (r < 0)
        return r;
    r = put_modules(job, &info);
    if (r < 0)
        return r;
    r = boot_put(job, "start info", &info, sizeof(info), 8, &job->result.entry.rbx);
    if (r < 0)
        return r;
    return x86_enter_32(job, entry);
}

static int pvh_load(struct boot_job *job)
{
    uint32_t entry = 0;
    int r;

    r = find_entry(job->probe, &entry, job->err);
    if (r < 0)
        return r;
    if (r == 0)
        return error_set(job->err, -ENOEXEC, "its PVH note was changed while it was being read");
    r = elf_load_segments(job);
    if (r < 0)
        return r;
    if (!elf_is_loaded(&job->probe->elf, entry))
        return error_set(job->err, -ENOEXEC,
                         "its PVH entry point 0x%" PRIx32 " lies outside what it loads", entry);
    return hand_over(job, entry);
}

const struct boot_format pvh_format = {
    .recognise = pvh_recognise,
    .load = pvh_load,
};

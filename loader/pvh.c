/*
 * PVH: an ELF file with a Xen note that names a 32-bit entry point.
 * Numbers: Xen's public headers, arch-x86/hvm/start_info.h and elfnote.h; the CPU's state:
 * docs/misc/pvh.pandoc in Xen's sources.
 */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"
#include "boot_format.h"
#include "guest/layout.h"
#include "x86_entry.h"

#define NOTE_PHYS32_ENTRY 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
#define NOTE_NAME         "Xen"

/* A kernel's notes are some hundred bytes; what lies behind this much is not looked at. */
#define NOTES_MAX (64 * KIB)

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

/*
 * Look for the note among `len` bytes of notes. Returns 1, 0 where it is not there, or -ENOEXEC.
 */
static int search_notes(const uint8_t *notes, size_t len, uint64_t alignment, uint32_t *ret_entry,
                        struct error *err)
{
    size_t at = 0;

    while (range_inside(at, sizeof(Elf64_Nhdr), len)) {
        const uint8_t *note = notes + at;
        uint64_t name_size = load_le32(note), desc_size = load_le32(note + 4);
        uint64_t desc = align_up(sizeof(Elf64_Nhdr) + name_size, alignment);
        uint64_t entry;

        if (!range_inside(desc, desc_size, len - at))
            return 0;
        if (load_le32(note + 8) == NOTE_PHYS32_ENTRY && name_size == sizeof(NOTE_NAME) &&
            memcmp(note + sizeof(Elf64_Nhdr), NOTE_NAME, sizeof(NOTE_NAME)) == 0) {
            if (desc_size != 4 && desc_size != 8)
                return error_set(err, -ENOEXEC, "its PVH note has %" PRIu64 " bytes, not 4 or 8",
                                 desc_size);
            entry = desc_size == 4 ? load_le32(note + desc) : load_le64(note + desc);
            if (entry > UINT32_MAX)
                return error_set(err, -ENOEXEC,
                                 "its PVH entry point 0x%" PRIx64 " lies above 4 GiB", entry);
            *ret_entry = (uint32_t)entry;
            return 1;
        }
        at += min_u64(align_up(desc + desc_size, alignment), len - at);
    }
    return 0;
}

/* Find the entry point that the note names. Returns as search_notes(), or the errno of a read. */
static int find_entry(const struct boot_probe *probe, uint32_t *ret_entry, struct error *err)
{
    for (size_t i = 0; i < probe->elf.segment_count; i++) {
        const struct elf_segment *segment = &probe->elf.segments[i];
        size_t len = min_u64(segment->file_size, NOTES_MAX);
        _cleanup_free_ uint8_t *notes = NULL;
        int r;

        if (segment->type != PT_NOTE || len == 0)
            continue;
        notes = malloc(len);
        if (!notes)
            return error_set(err, -ENOMEM, "out of memory");
        r = boot_read(probe->image, segment->offset, notes, len, "its notes", err);
        if (r < 0)
            return r;
        /* Notes are padded to 4 bytes, in segments aligned to 8 to 8 (System V ABI, "Note Section",
         * and what the linkers made of it). */
        r = search_notes(notes, len, segment->align == 8 ? 8 : 4, ret_entry, err);
        if (r != 0)
            return r;
    }
    return 0;
}

static int pvh_recognise(const struct boot_probe *probe, enum boot_protocol *ret_protocol,
                         struct error *err)
{
    uint32_t entry;
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
    uint32_t entry;
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

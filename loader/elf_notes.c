/* Notes of an ELF file. System V ABI, "Note Section". */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/util.h"
#include "boot_format.h"

/* A kernel's notes are some hundred bytes; what lies behind this much is not looked at. */
#define NOTES_MAX (64 * KIB)

struct wanted {
    const char *name;
    uint32_t type;
    void *desc;
    size_t size;
    uint64_t *ret_size;
};

/* Whether the note that begins here, all of which is there, is the one. */
static bool is_wanted(const uint8_t *note, const struct wanted *wanted)
{
    size_t name_size = strlen(wanted->name) + 1;

    return load_le32(note + 8) == wanted->type && load_le32(note) == name_size &&
           memcmp(note + sizeof(Elf64_Nhdr), wanted->name, name_size) == 0;
}

/* Look for it among `len` bytes of notes. Returns whether it is there. */
static bool search(const uint8_t *notes, size_t len, uint64_t alignment,
                   const struct wanted *wanted)
{
    size_t at = 0;

    while (range_inside(at, sizeof(Elf64_Nhdr), len)) {
        const uint8_t *note = notes + at;
        uint64_t name_size = load_le32(note), desc_size = load_le32(note + 4);
        uint64_t desc = align_up(sizeof(Elf64_Nhdr) + name_size, alignment);

        if (!range_inside(desc, desc_size, len - at))
            return false;
        if (is_wanted(note, wanted)) {
            memcpy(wanted->desc, note + desc, min_u64(desc_size, wanted->size));
            *wanted->ret_size = desc_size;
            return true;
        }
        at += min_u64(align_up(desc + desc_size, alignment), len - at);
    }
    return false;
}

int elf_find_note(const struct boot_probe *probe, const char *name, uint32_t type, void *desc,
                  size_t size, uint64_t *ret_size, struct error *err)
{
    const struct wanted wanted = {name, type, desc, size, ret_size};

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
        /* Notes are padded to 4 bytes, in segments aligned to 8 to 8 (what the linkers made of the
         * ABI). */
        if (search(notes, len, segment->align == 8 ? 8 : 4, &wanted))
            return 1;
    }
    return 0;
}

#include "footprint.h"

#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/util.h"

#define MAX_SEGMENTS 8

struct constant_segments {
    struct {
        uint64_t start, end;
    } segments[MAX_SEGMENTS];
    size_t count;
};

/* Called for the program itself first; the walk ends there. */
static int note_segments(struct dl_phdr_info *info, size_t size, void *data)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    struct constant_segments *constant = data;

    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum && constant->count < MAX_SEGMENTS; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uint64_t start = info->dlpi_addr + segment->p_vaddr;

        /* What is never written is the same in the file: code and constants. */
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W))
            continue;
        constant->segments[constant->count].start = align_down(start, page);
        constant->segments[constant->count].end = align_up(start + segment->p_memsz, page);
        constant->count++;
    }
    return 1;
}

void footprint_trim(void)
{
    struct constant_segments constant = {.count = 0};

    dl_iterate_phdr(note_segments, &constant);
    for (size_t i = 0; i < constant.count; i++)
        madvise((void *)(uintptr_t)constant.segments[i].start,
                (size_t)(constant.segments[i].end - constant.segments[i].start), MADV_DONTNEED);
}

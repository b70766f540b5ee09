#include "boot_layout.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/util.h"
#include "guest/layout.h"

#define STRUCTURES_BASE (4 * KIB)

void boot_layout_init(struct boot_layout *layout, const struct guest_memory *mem)
{
    struct memory_map_entry map[MEMORY_MAP_MAX_ENTRIES];
    size_t count = guest_memory_map(mem, map);

    layout->ram_count = 0;
    layout->taken_count = 0;
    layout->memory_size = guest_memory_size(mem);
    for (size_t i = 0; i < count; i++)
        if (map[i].type == MEMORY_MAP_RAM)
            layout->ram[layout->ram_count++] = (struct boot_range){
                .start = map[i].gpa,
                .end = map[i].gpa + map[i].size,
            };
}

void boot_layout_init_flat(struct boot_layout *layout, const struct guest_memory *mem)
{
    const struct guest_region *regions = guest_memory_regions(mem, &layout->ram_count);

    layout->taken_count = 0;
    layout->memory_size = guest_memory_size(mem);
    for (size_t i = 0; i < layout->ram_count; i++)
        layout->ram[i] = (struct boot_range){
            .start = regions[i].gpa,
            .end = regions[i].gpa + regions[i].size,
        };
}

/* How much memory the machine must have for `end` to be RAM: what the hole displaces counts up. */
static uint64_t memory_needed(uint64_t start, uint64_t end)
{
    if (start >= LAYOUT_HIGH_RAM_BASE)
        return end - (LAYOUT_HIGH_RAM_BASE - LAYOUT_LOW_RAM_END);
    return end;
}

/* Say why a range that is not all RAM cannot be had. */
static int not_ram(const struct boot_layout *layout, const char *name, uint64_t start, uint64_t end,
                   struct error *err)
{
    if (start < LAYOUT_HIMEM_BASE)
        return error_set(err, -ENOMEM,
                         "%s (0x%" PRIx64 "-0x%" PRIx64
                         ") lies in memory that is reserved (0x%" PRIx64 "-0x%" PRIx64 ")",
                         name, start, end - 1, LAYOUT_LOW_RAM_TOP, LAYOUT_HIMEM_BASE - 1);
    if (start < LAYOUT_HIGH_RAM_BASE && end > LAYOUT_LOW_RAM_END)
        return error_set(err, -ENOMEM,
                         "%s (0x%" PRIx64 "-0x%" PRIx64
                         ") lies outside memory: 3 GiB to 4 GiB is the devices'",
                         name, start, end - 1);
    return error_set(err, -ENOMEM,
                     "%s (0x%" PRIx64 "-0x%" PRIx64 ") lies outside memory: needs %" PRIu64
                     " MiB of memory, the machine has %" PRIu64 " MiB",
                     name, start, end - 1, (memory_needed(start, end) - 1) / MIB + 1,
                     layout->memory_size / MIB);
}

static bool is_ram(const struct boot_layout *layout, uint64_t start, uint64_t end)
{
    for (size_t i = 0; i < layout->ram_count; i++)
        if (start >= layout->ram[i].start && end <= layout->ram[i].end)
            return true;
    return false;
}

/* Enter a range that is known to be free, at its place in the order. */
static int enter(struct boot_layout *layout, const char *name, uint64_t start, uint64_t end,
                 struct error *err)
{
    size_t i = layout->taken_count;

    if (i == ARRAY_SIZE(layout->taken))
        return error_set(err, -ENOSPC, "more than %zu parts to load", ARRAY_SIZE(layout->taken));
    for (; i > 0 && layout->taken[i - 1].range.start > start; i--)
        layout->taken[i] = layout->taken[i - 1];
    layout->taken[i].range = (struct boot_range){.start = start, .end = end};
    snprintf(layout->taken[i].name, sizeof(layout->taken[i].name), "%s", name);
    layout->taken_count++;
    return 0;
}

int boot_layout_claim(struct boot_layout *layout, const char *name, uint64_t gpa, uint64_t size,
                      struct error *err)
{
    uint64_t end;

    if (size == 0)
        return error_set(err, -EINVAL, "%s is empty", name);
    if (__builtin_add_overflow(gpa, size, &end))
        return error_set(err, -ENOEXEC,
                         "%s (0x%" PRIx64 ", 0x%" PRIx64
                         " bytes) wraps round the end of the address space",
                         name, gpa, size);
    if (!is_ram(layout, gpa, end))
        return not_ram(layout, name, gpa, end, err);
    for (size_t i = 0; i < layout->taken_count; i++)
        if (gpa < layout->taken[i].range.end && end > layout->taken[i].range.start)
            return error_set(err, -ENOEXEC, "%s (0x%" PRIx64 "-0x%" PRIx64 ") overlaps %s", name,
                             gpa, end - 1, layout->taken[i].name);
    return enter(layout, name, gpa, end, err);
}

/* The first free stretch at or above `within.start`, cut to `within`. Gives false at the end. */
static bool next_gap(const struct boot_layout *layout, struct boot_range within,
                     struct boot_range *ret_gap)
{
    for (size_t i = 0; i < layout->ram_count; i++) {
        uint64_t start = max_u64(layout->ram[i].start, within.start);
        uint64_t end = min_u64(layout->ram[i].end, within.end);

        for (size_t j = 0; j < layout->taken_count; j++) {
            const struct boot_range *taken = &layout->taken[j].range;

            if (taken->end <= start)
                continue;
            if (taken->start > start) {
                end = min_u64(end, taken->start);
                break;
            }
            start = taken->end;
        }
        if (start < end) {
            *ret_gap = (struct boot_range){.start = start, .end = end};
            return true;
        }
    }
    return false;
}

/* The aligned place in `gap` for `size` bytes. Gives false where there is none. */
static bool fit(struct boot_range gap, uint64_t size, uint64_t alignment, enum boot_place where,
                uint64_t *ret_gpa)
{
    uint64_t gpa;

    if (size > gap.end - gap.start)
        return false;
    if (where == BOOT_PLACE_HIGHEST) {
        gpa = align_down(gap.end - size, alignment);
        if (gpa < gap.start)
            return false;
    } else {
        uint64_t skip = -gap.start & (alignment - 1);

        if (skip > gap.end - gap.start - size)
            return false;
        gpa = gap.start + skip;
    }
    *ret_gpa = gpa;
    return true;
}

int boot_layout_place(struct boot_layout *layout, const char *name, uint64_t size,
                      uint64_t alignment, struct boot_range within, enum boot_place where,
                      uint64_t *ret_gpa, struct error *err)
{
    uint64_t gpa = 0, largest = 0;
    char size_text[32], largest_text[32];
    struct boot_range rest = within, gap;
    bool found = false;
    int r;

    if (size == 0)
        return error_set(err, -EINVAL, "%s is empty", name);
    for (; next_gap(layout, rest, &gap); rest.start = gap.end) {
        if (where == BOOT_PLACE_LOWEST && found)
            break;
        found |= fit(gap, size, alignment, where, &gpa);
        largest = max_u64(largest, gap.end - gap.start);
    }
    if (!found)
        return error_set(err, -ENOMEM,
                         "%s (%s) does not fit in memory: the machine has %" PRIu64
                         " MiB, the largest free part where it may lie has %s",
                         name, format_size(size, size_text, sizeof(size_text)),
                         layout->memory_size / MIB,
                         format_size(largest, largest_text, sizeof(largest_text)));
    r = enter(layout, name, gpa, gpa + size, err);
    if (r < 0)
        return r;
    *ret_gpa = gpa;
    return 0;
}

int boot_layout_place_structure(struct boot_layout *layout, const char *name, uint64_t size,
                                uint64_t alignment, uint64_t *ret_gpa, struct error *err)
{
    struct boot_range conventional = {.start = STRUCTURES_BASE, .end = LAYOUT_LOW_RAM_TOP};
    struct boot_range high = {.start = LAYOUT_HIMEM_BASE, .end = LAYOUT_HIGH_RAM_BASE};
    int r;

    r = boot_layout_place(layout, name, size, alignment, conventional, BOOT_PLACE_LOWEST, ret_gpa,
                          err);
    if (r != -ENOMEM)
        return r;
    return boot_layout_place(layout, name, size, alignment, high, BOOT_PLACE_HIGHEST, ret_gpa, err);
}

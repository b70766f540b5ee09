/*
 * Who has which part of guest memory while a kernel is being loaded. Only RAM of the guest's
 * memory map is ever given: not the ACPI tables, nothing else that is reserved, no hole; and
 * nothing twice.
 */
#ifndef OSVM_LOADER_BOOT_LAYOUT_H
#define OSVM_LOADER_BOOT_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "guest/memory.h"

/* All segments of an ELF file, all modules with their strings, and the hand-over structures. */
#define BOOT_LAYOUT_MAX_RANGES 512

/* Guest-physical [start, end). */
struct boot_range {
    uint64_t start, end;
};

struct boot_layout {
    struct boot_range ram[MEMORY_MAP_MAX_ENTRIES]; /* by rising address */
    size_t ram_count;
    uint64_t memory_size; /* bytes in all, for error texts */
    struct {
        struct boot_range range;
        char name[24];               /* "segment 2", "initrd", …, for error texts */
    } taken[BOOT_LAYOUT_MAX_RANGES]; /* by rising address, without overlap */
    size_t taken_count;
};

/* Where a place may be looked for. */
enum boot_place {
    BOOT_PLACE_LOWEST,
    BOOT_PLACE_HIGHEST,
};

/* Begin with all of mem's RAM free. */
void boot_layout_init(struct boot_layout *layout, const struct guest_memory *mem);

/* The same, for an image that knows no PC: every byte of memory is RAM. */
void boot_layout_init_flat(struct boot_layout *layout, const struct guest_memory *mem);

/**
 * Take [gpa, gpa + size).
 *
 * @name  what it is for; copied, cut to 23 bytes
 * Returns 0; -ENOMEM where that is not all RAM (the reason in err says how much memory would do,
 * where more would); -ENOEXEC where it wraps round 2^64 or overlaps what is taken; -EINVAL for
 * size 0; -ENOSPC where there are too many ranges.
 */
int boot_layout_claim(struct boot_layout *layout, const char *name, uint64_t gpa, uint64_t size,
                      struct error *err);

/**
 * Find a free place inside [min, max) and take it.
 *
 * @alignment  a power of two, bytes
 * Returns 0; -ENOMEM with the reason in err; -EINVAL for size 0; -ENOSPC as above.
 */
int boot_layout_place(struct boot_layout *layout, const char *name, uint64_t size,
                      uint64_t alignment, struct boot_range within, enum boot_place where,
                      uint64_t *ret_gpa, struct error *err);

/**
 * Find and take a place for a hand-over structure: the lowest in conventional memory from 4 KiB
 * on (address 0 means "not there" to most boot protocols), or, where an image fills that, the
 * highest below 4 GiB. Errors as for boot_layout_place().
 */
int boot_layout_place_structure(struct boot_layout *layout, const char *name, uint64_t size,
                                uint64_t alignment, uint64_t *ret_gpa, struct error *err);

#endif

/*
 * Guest memory: one memfd (or anonymous memory, where the pages asked for need that), mapped once,
 * in at most two regions (below the devices' hole, and from 4 GiB on). A PC's begins at 0; an image
 * that wants it elsewhere (Hermit) gets it there.
 *
 * The guest writes it at any time. Everything read from it is hostile and may change between two
 * reads: copy, check the copy, use the copy.
 */
#ifndef OSVM_GUEST_MEMORY_H
#define OSVM_GUEST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

#define GUEST_MEMORY_MAX_REGIONS 2

struct guest_region {
    uint64_t gpa;  /* guest-physical address, bytes; page-aligned */
    uint64_t size; /* bytes; page-aligned */
    uint8_t *host; /* where it is mapped */
};

/* Transparent huge pages: as the host does with any memory, wherever it can, or never. */
enum guest_memory_thp { GUEST_MEMORY_THP_HOST, GUEST_MEMORY_THP_ON, GUEST_MEMORY_THP_OFF };

struct guest_memory_options {
    uint64_t size;  /* bytes in all; a multiple of 4 KiB (of 2 MiB with hugepages) */
    bool hugepages; /* 2 MiB pages of the host's reserved pool */
    bool prefault;  /* back every page now, so that the guest never waits for one */
    enum guest_memory_thp thp;
    bool merge;    /* the host may merge its pages with equal ones of others (KSM) */
    uint64_t base; /* where it begins: a multiple of 2 MiB, below the hole or from 4 GiB on */
    uint64_t hole; /* where the devices' hole begins, up to 4 GiB; 0: LAYOUT_LOW_RAM_END */
};

struct guest_memory;

/**
 * Make guest memory, all zeroes. Costs the same at any size unless `prefault` is set.
 *
 * @ret_mem  freed by guest_memory_destroy()
 * @err      says what to do where the host cannot promise that much
 * Returns 0; -EINVAL for a size that makes no sense; -ENOMEM where the host has not that much.
 */
int guest_memory_create(const struct guest_memory_options *options, struct guest_memory **ret_mem,
                        struct error *err);
void guest_memory_destroy(struct guest_memory *mem);
DEFINE_CLEANUP(struct guest_memory, guest_memory_destroy)

/*
 * What the options ask for and this host, as it is set now, does not do, in words with the
 * setting's name; NULL: nothing. The memory is made all the same, for the setting may change. Any
 * thread.
 */
const char *guest_memory_host_lacks(const struct guest_memory_options *options);

/* Bytes of RAM in all. Any thread. */
uint64_t guest_memory_size(const struct guest_memory *mem);

/* The regions, by rising address; valid as long as mem. Any thread. */
const struct guest_region *guest_memory_regions(const struct guest_memory *mem, size_t *ret_count);

/**
 * Give a host pointer to guest-physical [gpa, gpa + len).
 *
 * The range must lie in one memory region. The pointer is valid as long as `mem`; what it points
 * to may change under you at any time (the guest runs).
 *
 * @gpa  guest-physical address, bytes
 * @len  length, bytes; 0 is allowed where gpa itself is inside a region
 * Returns 0, or -EFAULT where any byte lies outside guest RAM. Any thread.
 */
int guest_memory_span(const struct guest_memory *mem, uint64_t gpa, uint64_t len, void **ret_host);

/**
 * Copy out of, into, or zero guest memory; the range as for guest_memory_span().
 * Returns 0 or -EFAULT (nothing was copied then). Any thread.
 */
int guest_memory_read(const struct guest_memory *mem, uint64_t gpa, void *buf, size_t len);
int guest_memory_write(struct guest_memory *mem, uint64_t gpa, const void *buf, size_t len);
int guest_memory_zero(struct guest_memory *mem, uint64_t gpa, uint64_t len);

/* Bytes that the host really backs now. Any thread. */
uint64_t guest_memory_resident(const struct guest_memory *mem);

/* Whether it is private anonymous memory, not a memory file. Any thread. */
bool guest_memory_is_anonymous(const struct guest_memory *mem);

/**
 * Where in the guest the host bytes [host, host + len) are: the way back from guest_memory_span().
 * Returns 0, or -EFAULT where they are not all inside one region. Any thread.
 */
int guest_memory_gpa(const struct guest_memory *mem, const void *host, uint64_t len,
                     uint64_t *ret_gpa);

/* Whether guest_memory_discard() does anything. Any thread. */
bool guest_memory_can_discard(const struct guest_memory *mem);

/**
 * Give memory back to the host: the whole pages of 4 KiB inside [gpa, gpa + len) read as zero from
 * then on, and cost nothing until they are touched again. What is left over at the ends stays.
 *
 * The range must lie in one region. Pages of the reserved pool (`hugepages`) are not given back:
 * another VM could take them, and the guest would die at its next touch of its own memory.
 *
 * Returns 0; -EFAULT where any byte lies outside guest RAM; -EOPNOTSUPP with huge pages; or another
 * negative errno. Any thread.
 */
int guest_memory_discard(struct guest_memory *mem, uint64_t gpa, uint64_t len);

/* What the guest is told of its memory. Numbers of the types: ACPI 6.5, table 15.14. */
enum memory_map_type { MEMORY_MAP_RAM = 1, MEMORY_MAP_RESERVED = 2 };

struct memory_map_entry {
    uint64_t gpa;
    uint64_t size;
    enum memory_map_type type;
};

#define MEMORY_MAP_MAX_ENTRIES 8

/**
 * The memory map for the guest (e820, PVH, Multiboot alike), by rising address, without overlap:
 * conventional memory as RAM, the rest of the first MiB reserved, then RAM below and above the
 * hole. Of memory that does not begin at 0, the regions.
 *
 * @ret_entries  room for MEMORY_MAP_MAX_ENTRIES
 * Returns how many there are. Any thread.
 */
size_t guest_memory_map(const struct guest_memory *mem, struct memory_map_entry *ret_entries);

#endif

/*
 * Memory. The first 4 GiB are mapped to themselves from the first instruction on, the hole of the
 * devices without caching; what lies above is mapped on request.
 */
#ifndef SDK_MEMORY_H
#define SDK_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SIZE UINT64_C(4096)

/**
 * Map physical [base, base + length) to itself, in pages of 2 MiB, for all CPUs and rings. What
 * is mapped already stays. base + length is at most 2^47.
 * Returns false where there is no memory for the tables.
 */
bool memory_map(uint64_t base, uint64_t length);

/**
 * The usual ones, from the RAM below 4 GiB that neither the image nor the boot protocol uses;
 * 16-byte aligned, from any CPU, not from interrupt handlers. NULL where there is none.
 */
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void free(void *block);

/* alignment: a power of two. free() takes it back. */
void *aligned_alloc(size_t alignment, size_t size);

/* Bytes that malloc has left, and in how many pieces. */
size_t memory_free_bytes(unsigned *ret_pieces);

#endif

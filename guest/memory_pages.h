/*
 * The pages behind guest memory: transparent huge pages and page merging, which the host does, or
 * does not do, by its own settings.
 */
#ifndef OSVM_GUEST_MEMORY_PAGES_H
#define OSVM_GUEST_MEMORY_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "guest/memory.h"

/*
 * Whether it takes private anonymous memory to get what is asked for. Merging knows no other. Huge
 * pages are had in a memory file too, where the host allows that (shmem_enabled; mostly not).
 */
bool memory_pages_anonymous(const struct guest_memory_options *options);

/**
 * Map private anonymous memory, zeroed, nothing of it backed yet; on a 2 MiB boundary, which huge
 * pages need.
 * Returns 0 or a negative errno.
 */
int memory_pages_map(uint64_t size, uint8_t **ret_mapping);

/**
 * Ask the host for what the options say of pages, before any is touched.
 * Returns 0, or a negative errno with the reason in err where the kernel cannot do such a thing.
 */
int memory_pages_advise(uint8_t *mapping, const struct guest_memory_options *options,
                        struct error *err);

/* How many bytes of anonymous memory are backed. */
uint64_t memory_pages_resident(const uint8_t *mapping, uint64_t size);

#endif

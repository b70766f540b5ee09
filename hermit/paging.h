/* The guest's own page tables, walked from outside: AMD64 APM vol. 2, section 5.3 (long mode). */
#ifndef OSVM_HERMIT_PAGING_H
#define OSVM_HERMIT_PAGING_H

#include <stdbool.h>
#include <stdint.h>

#include "guest/hypercall.h"
#include "guest/memory.h"

/**
 * Translate a guest-virtual address as the guest's kernel would use it (supervisor rights).
 *
 * The tables are the guest's and hostile: each entry is fetched once, from checked memory, and the
 * walk has at most five steps wherever they lead. Accessed and dirty bits are left alone.
 *
 * @write    whether it is to be written: a read-only page is then a fault, where CR0.WP says so
 * @ret_gpa  guest-physical address; not checked to be RAM
 * @ret_len  bytes from there to the end of its page
 * Returns 0, or -EFAULT: not canonical, not mapped, not writable, tables outside RAM, or paging of
 * another kind than long mode's. Any thread.
 */
int paging_translate(const struct guest_memory *mem, const struct cpu_paging *paging, uint64_t gva,
                     bool write, uint64_t *ret_gpa, uint64_t *ret_len);

#endif

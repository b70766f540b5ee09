#include "paging.h"

#include <errno.h>

#include "base/bytes.h"
#include "guest/entry_state.h"

#define X86_CR4_LA57 (UINT64_C(1) << 12)

#define ENTRY_PRESENT  (UINT64_C(1) << 0)
#define ENTRY_WRITABLE (UINT64_C(1) << 1)
#define ENTRY_LARGE    (UINT64_C(1) << 7)
#define ENTRY_ADDRESS  UINT64_C(0x000ffffffffff000)

#define PAGE_BITS    12
#define LEVEL_BITS   9
#define LEVEL_MASK   ((UINT64_C(1) << LEVEL_BITS) - 1)
#define LARGE_LEVELS 2 /* levels 1 (2 MiB) and 2 (1 GiB) may hold a page */

static bool is_canonical(uint64_t gva, unsigned bits)
{
    uint64_t upper = gva >> (bits - 1);

    return upper == 0 || upper == UINT64_MAX >> (bits - 1);
}

int paging_translate(const struct guest_memory *mem, const struct cpu_paging *paging, uint64_t gva,
                     bool write, uint64_t *ret_gpa, uint64_t *ret_len)
{
    unsigned levels = paging->cr4 & X86_CR4_LA57 ? 5 : 4;
    bool check_write = write && (paging->cr0 & X86_CR0_WP);
    uint64_t table = paging->cr3 & ENTRY_ADDRESS, size = 0;

    if (!(paging->cr0 & X86_CR0_PG) || !(paging->efer & X86_EFER_LMA))
        return -EFAULT;
    if (!is_canonical(gva, PAGE_BITS + levels * LEVEL_BITS))
        return -EFAULT;
    for (unsigned level = levels; size == 0; table &= ENTRY_ADDRESS) {
        unsigned shift = PAGE_BITS + --level * LEVEL_BITS;
        uint8_t bytes[8];

        if (guest_memory_read(mem, table + ((gva >> shift) & LEVEL_MASK) * 8, bytes, 8) < 0)
            return -EFAULT;
        table = load_le64(bytes);
        if (!(table & ENTRY_PRESENT) || (check_write && !(table & ENTRY_WRITABLE)))
            return -EFAULT;
        if (level == 0 || (level <= LARGE_LEVELS && (table & ENTRY_LARGE)))
            size = UINT64_C(1) << shift;
    }
    *ret_gpa = (table & ~(size - 1)) | (gva & (size - 1));
    *ret_len = size - (gva & (size - 1));
    return 0;
}

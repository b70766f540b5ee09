/*
 * A buffer that a hypercall names: guest-physical (interfaces 2 and 3) or guest-virtual
 * (interface 1), given out piece by piece as host memory that was checked.
 */
#ifndef OSVM_HERMIT_BUFFER_H
#define OSVM_HERMIT_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "guest/hypercall.h"
#include "guest/memory.h"

/* What one call moves at most, as Linux has it: read(2). What is more is a partial read or write.
 */
#define BUFFER_MAX UINT64_C(0x7ffff000)

/* Pieces that are handed to the host at once. */
#define BUFFER_PIECES 64

struct buffer {
    const struct guest_memory *mem;
    bool is_virtual;
    struct cpu_paging paging; /* of a virtual one */
    bool write;               /* the host writes it */
    uint64_t address, len;
};

/**
 * Look whether the whole of it is memory.
 *
 * A virtual buffer's pages may change before they are used, so that buffer_pieces() looks again:
 * this is for an error before anything was done, not for safety.
 * Returns 0, or -EFAULT where any byte is not. On the vCPU's thread.
 */
int buffer_check(const struct buffer *buffer);

/**
 * The host memory of [offset, …): as much of it as BUFFER_PIECES pieces hold, neighbours joined.
 *
 * @ret_iov  what it points to may change at any time; not kept beyond the call
 * Returns how many pieces, 0 at the end of the buffer; or -EFAULT. On the vCPU's thread.
 */
int buffer_pieces(const struct buffer *buffer, uint64_t offset,
                  struct iovec ret_iov[BUFFER_PIECES]);

/**
 * Copy into it, from its beginning.
 * Returns 0, or -EFAULT where it is shorter or not memory (a part may then have been written).
 */
int buffer_fill(const struct buffer *buffer, const void *bytes, size_t len);

#endif

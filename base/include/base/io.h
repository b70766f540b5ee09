/* Whole reads and writes. EINTR is retried. */
#ifndef OSVM_BASE_IO_H
#define OSVM_BASE_IO_H

#include <stddef.h>
#include <stdint.h>

/**
 * Read exactly `len` bytes at file offset `offset`.
 * Returns 0, -ENODATA where the file ends before them, or another negative errno. Any thread.
 */
int io_pread_exact(int fd, void *buf, size_t len, uint64_t offset);

/**
 * Write all `len` bytes; blocks where the descriptor does.
 * Returns 0 or a negative errno (how much was written is then unknown). Any thread.
 */
int io_write_all(int fd, const void *buf, size_t len);

/**
 * Read a whole regular file, at most `max` bytes, into a new zero-terminated buffer.
 *
 * @ret_buf  the caller frees it
 * @ret_len  its length without the terminator
 * Returns 0, -EFBIG where the file is longer than max, or another negative errno. Any thread.
 */
int io_read_file(const char *path, size_t max, char **ret_buf, size_t *ret_len);

/**
 * Replace or make the file `path` with these bytes, so that a reader sees the old file or the
 * whole new one (a temporary beside it, renamed).
 * Returns 0 or a negative errno; the temporary is gone then. Any thread.
 */
int io_replace_file(const char *path, const void *buf, size_t len);

#endif

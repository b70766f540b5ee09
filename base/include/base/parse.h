/* Numbers and sizes from text, checked to the last character. */
#ifndef OSVM_BASE_PARSE_H
#define OSVM_BASE_PARSE_H

#include <stdint.h>

/**
 * Parse an unsigned number: decimal, or hexadecimal after "0x". No sign, no blanks, nothing behind.
 *
 * Returns 0, -EINVAL where it is not a number, -ERANGE where it is under min or over max.
 * Any thread.
 */
int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value);

/**
 * Parse a size in bytes: a decimal number with K, M, G or T (powers of 1024, either case; an
 * optional "iB" or "B" behind the letter), or a bare number of MiB.
 *
 * Returns 0, -EINVAL where it is not a size, -ERANGE where it does not fit 64 bits. Any thread.
 */
int parse_size(const char *text, uint64_t *ret_bytes);

/**
 * Write a size the way a person says it: "256 MiB", "1.5 GiB", "512 KiB", "17 bytes".
 * Returns buf. Any thread.
 */
const char *format_size(uint64_t bytes, char *buf, int buf_size);

#endif

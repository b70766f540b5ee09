/* Hexadecimal digits, as the remote protocol has them: two a byte, the high one first. */
#ifndef OSVM_GDB_HEX_H
#define OSVM_GDB_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The value of a digit of either case; -1: it is none. */
static inline int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Read `len` bytes from 2 * len digits. Returns whether they all are digits. */
static inline bool hex_bytes(const char *text, uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        int high = hex_digit(text[2 * i]), low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);

        if (low < 0)
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* Read a number of 1 to 16 digits at *text and move behind it. Returns whether there is one. */
static inline bool hex_number(const char **text, uint64_t *ret_value)
{
    uint64_t value = 0;
    unsigned count = 0;

    for (int digit; (digit = hex_digit(**text)) >= 0; (*text)++) {
        if (++count > 16)
            return false;
        value = value << 4 | (unsigned)digit;
    }
    if (count == 0)
        return false;
    *ret_value = value;
    return true;
}

#endif

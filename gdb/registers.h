/*
 * x86-64 registers as gdb sees them: which there are, in which order, how wide, and where each
 * comes from. `g`, `p` and the target description all come from one table.
 */
#ifndef OSVM_GDB_REGISTERS_H
#define OSVM_GDB_REGISTERS_H

#include <stddef.h>
#include <stdint.h>

#include "guest/debug.h"

#define GDB_REGISTER_MAX_BYTES 16
#define GDB_DESCRIPTION_MAX    0x3000

/* How many there are. */
unsigned gdb_register_count(void);

/* Bytes of a register; `n` is under the count. */
unsigned gdb_register_size(unsigned n);

/* Its value, little-endian. Returns the size. */
unsigned gdb_register_get(const struct vcpu_registers *registers, unsigned n,
                          uint8_t ret_value[GDB_REGISTER_MAX_BYTES]);

/**
 * Set it from its size in bytes.
 * Returns 0, or -EPERM where it cannot be written (a selector without its descriptor makes no
 * sense); setting it to what it is already is no error.
 */
int gdb_register_set(struct vcpu_registers *registers, unsigned n, const uint8_t *value);

/* The target description (XML). Returns its length. */
size_t gdb_registers_describe(char ret_text[GDB_DESCRIPTION_MAX]);

#endif

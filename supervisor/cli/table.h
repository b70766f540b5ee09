/* Tables on standard output: as wide as they need to be, and no wider than the terminal. */
#ifndef OSVM_SUPERVISOR_CLI_TABLE_H
#define OSVM_SUPERVISOR_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_MAX_COLUMNS 16

/* Shown on a terminal alone, and not where NO_COLOR is set. */
enum table_colour { TABLE_PLAIN, TABLE_GOOD, TABLE_WARNING, TABLE_BAD, TABLE_FAINT };

struct table_cell {
    char *text;
    enum table_colour colour;
};

struct table {
    const char *const *headers; /* borrowed; NULL behind the last */
    size_t columns;
    unsigned right; /* bits: these columns have numbers */
    struct table_cell *cells;
    size_t count, room;
    bool failed; /* for want of memory; table_print() says so */
};

/* Freed by table_free(). */
void table_init(struct table *table, const char *const headers[], unsigned right);
void table_free(struct table *table);

/* The next cell, row by row. */
void table_add(struct table *table, enum table_colour colour, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "12.3 MiB", "850 KiB": at most 8 characters. */
void table_add_bytes(struct table *table, uint64_t bytes);

/* "3 min", "2 h". */
void table_add_age(struct table *table, double seconds);

/**
 * Print it. On a terminal the widest columns are cut short until all fit, and the last ones left
 * out where that is not enough. Returns the exit status.
 */
int table_print(const struct table *table);

/* Whether standard output is a terminal; its size, where it tells one. */
bool terminal_size(unsigned *ret_columns, unsigned *ret_rows);

#endif

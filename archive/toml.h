/*
 * A strict reader of the part of TOML 1.0 that image archives use: comments, [tables], bare and
 * quoted keys, strings on one line ("basic" and 'literal'), whole numbers, booleans, and arrays of
 * strings over any lines. What else TOML has (dotted keys, inline tables, [[arrays]], long strings,
 * floats, dates) is an error that says so. A file that is read means the same to every TOML reader.
 */
#ifndef OSVM_ARCHIVE_TOML_H
#define OSVM_ARCHIVE_TOML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define TOML_KEY_MAX 64 /* bytes, without the end */

enum toml_kind { TOML_STRING, TOML_INTEGER, TOML_BOOLEAN, TOML_STRINGS };

struct toml_value {
    enum toml_kind kind;
    unsigned line;
    char *string; /* of TOML_STRING; owned by the value: take_ptr() to keep it. No zero bytes */
    int64_t integer;
    bool boolean;
    char **strings; /* of TOML_STRINGS; as `string` */
    size_t count;
};

struct toml_visitor {
    /**
     * A key and its value, in the table `table` ("" for those before the first).
     * Returns 0, or a negative errno with what is wrong in err, to which the line is added.
     */
    int (*value)(struct toml_visitor *visitor, const char *table, const char *key,
                 struct toml_value *value, struct error *err);
    /* A table begins. As above. */
    int (*table)(struct toml_visitor *visitor, const char *table, struct error *err);
};

/**
 * Read a text. Keys and tables that come twice are the visitor's to refuse.
 *
 * Returns 0, or a negative errno with "line N: …" in err; what the visitor was told before that was
 * well-formed. Any thread.
 */
int toml_read(const char *text, size_t len, struct toml_visitor *visitor, struct error *err);

/* Free an array of strings. */
void toml_free_strings(char **strings, size_t count);

#endif

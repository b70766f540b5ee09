/*
 * Records described by tables: one table says a record's keys, and from it come its reading with
 * every mistake named, its defaults, its writing, its release, and its published JSON Schema. So
 * what is read, written and promised can't differ.
 */
#ifndef OSVM_SUPERVISOR_SCHEMA_H
#define OSVM_SUPERVISOR_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "document.h"
#include "mistakes.h"

enum field_kind {
    FIELD_BOOL,    /* bool */
    FIELD_UINT,    /* uint64_t */
    FIELD_STRING,  /* char *, owned; NULL: not said */
    FIELD_WORD,    /* int: an index of `words` */
    FIELD_WORDS,   /* uint64_t: a set of bits, each an index of `words` */
    FIELD_STRINGS, /* struct string_list */
    FIELD_PAIRS,   /* struct string_list of "KEY=VALUE" */
    FIELD_OBJECT,  /* a record inside this one, by `schema` */
    FIELD_OBJECTS, /* struct record_list, by `schema` */
};

/* The value of a FIELD_UINT, and of a FIELD_WORD, that is not said. */
#define FIELD_UNSET      UINT64_MAX
#define FIELD_WORD_UNSET (-1)

/* Owned strings, NULL behind the last where there are any; all zeroes is the empty list. */
struct string_list {
    char **items;
    size_t count;
};

/* Add a text, which is the list's from then on, or is freed. Returns 0 or -ENOMEM. */
int string_list_add(struct string_list *list, char *text);
void string_list_free(struct string_list *list);

/* Add the strings of a JSON list; NULL has none. Returns 0, or -EINVAL where one is no string, or
 * memory is short. */
int string_list_read(const json_t *array, struct string_list *list);

/* All of it as a JSON list. A new reference; NULL where one is not UTF-8, or memory is short. */
json_t *string_list_write(const struct string_list *list);

struct record_list {
    void *items; /* `count` records of the schema's size */
    size_t count;
};

struct words {
    const char *const *list;
    size_t count;
};

struct schema;

struct field {
    const char *key;
    enum field_kind kind;
    size_t offset;    /* in the record */
    const char *help; /* one sentence, for the JSON Schema */
    bool required;
    uint64_t min, max;           /* of a FIELD_UINT; max 0: none. Of strings: bytes, max 0: 4096 */
    uint64_t preset;             /* of BOOL, UINT, WORDS; of WORD plus one, so that 0 is "unset" */
    const struct words *words;   /* of WORD, WORDS */
    const struct schema *schema; /* of OBJECT, OBJECTS */
    const char *shorthand;       /* of OBJECT: a scalar alone means this key */
    bool (*valid)(
        const char *s); /* of STRING, STRINGS, PAIRS: what else must hold; NULL: nothing */
    const char *form;   /* then: what is wanted, in words ("letters, digits and -") */
};

struct schema {
    const char *name;
    size_t size; /* of the record */
    const struct field *fields;
    size_t field_count;
};

/* Make a record of defaults out of memory that says nothing. */
void schema_init(const struct schema *schema, void *record);

/**
 * Read a record. Everything that is wrong is added to `mistakes`, and the field keeps its default.
 *
 * @record  was made by schema_init(); it is to be freed whatever comes of it
 * Returns 0 or -ENOMEM. Any thread.
 */
int schema_read(const struct schema *schema, const struct document *document, json_t *object,
                void *record, struct mistakes *mistakes);

/* The record as JSON, without what is not said. A new reference, or NULL: out of memory. */
json_t *schema_write(const struct schema *schema, const void *record);

/* Release what the record owns; it then says nothing. */
void schema_free(const struct schema *schema, void *record);

/* The JSON Schema (draft 2020-12) of the records. A new reference, or NULL: out of memory. */
json_t *schema_describe(const struct schema *schema);

#endif

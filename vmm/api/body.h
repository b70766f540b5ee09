/*
 * A request's body: a JSON object, of which a table names the members. What the table does not name
 * is an error that names it, and so is what is missing, or of another kind. A null is as if the
 * member were not there.
 */
#ifndef OSVM_VMM_API_BODY_H
#define OSVM_VMM_API_BODY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "net/rate_limit.h"

enum body_kind { BODY_STRING, BODY_FLAG, BODY_NUMBER, BODY_RATE };

/* Where the members of each kind go. A string is borrowed from the JSON; NULL: not given. */
struct body_flag {
    bool given, value;
};

struct body_number {
    bool given;
    uint64_t value;
};

struct body_field {
    const char *name;
    enum body_kind kind;
    bool required;
    size_t offset; /* in the target: const char *, body_flag, body_number, rate_limit_change */
};

/**
 * Parse a body.
 *
 * @ret_root  the caller's, json_decref()
 * Returns 0, or -EINVAL with the reason in err.
 */
int body_parse(const char *text, size_t len, json_t **ret_root, struct error *err);

/**
 * Read the members.
 *
 * @table   ends with a name of NULL
 * @target  zero-initialised; what is not given is left alone
 * Returns 0, or -EINVAL with the reason in err.
 */
int body_read(const json_t *root, const struct body_field *table, void *target, struct error *err);

/**
 * One of some words.
 *
 * @words  ends with NULL
 * Returns its number, or -EINVAL with the reason in err.
 */
int body_choose(const char *name, const char *value, const char *const *words, struct error *err);

/* A limit as it is written; NULL where there is none. */
json_t *body_rate_json(const struct rate_bucket_options *bytes,
                       const struct rate_bucket_options *operations);

/* A string; where it is not in UTF-8, with '?' for what is beyond ASCII. */
json_t *body_string(const char *text);

/* {"fault_message": text}; the caller frees it. NULL: out of memory. */
char *body_fault(const char *text);

#endif

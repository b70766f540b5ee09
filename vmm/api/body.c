#include "body.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"

/* So that milliseconds fit into nanoseconds. */
#define MAX_REFILL_MS (UINT64_MAX / NS_PER_MS)

int body_parse(const char *text, size_t len, json_t **ret_root, struct error *err)
{
    json_error_t json_error;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &json_error);

    if (!root)
        return error_set(err, -EINVAL, "the body is not JSON: line %d: %s", json_error.line,
                         json_error.text);
    if (!json_is_object(root)) {
        json_decref(root);
        return error_set(err, -EINVAL, "the body is not a JSON object");
    }
    *ret_root = root;
    return 0;
}

static int read_number(const char *name, const json_t *value, uint64_t *ret, struct error *err)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return error_set(err, -EINVAL, "'%s' is to be a whole number from 0 on", name);
    *ret = (uint64_t)json_integer_value(value);
    return 0;
}

static int read_bucket(const char *name, const json_t *value, struct rate_bucket_options *ret,
                       struct error *err)
{
    static const struct body_field table[] = {
        {"size", BODY_NUMBER, true, 0},
        {"refill_time", BODY_NUMBER, true, sizeof(struct body_number)},
        {"one_time_burst", BODY_NUMBER, false, 2 * sizeof(struct body_number)},
        {0},
    };
    struct body_number numbers[3] = {{0}};
    int r = json_is_object(value) ? body_read(value, table, numbers, err)
                                  : error_set(err, -EINVAL, "an object is wanted");

    if (r < 0)
        return error_prefix(err, r, "'%s'", name);
    *ret = (struct rate_bucket_options){
        .size = numbers[0].value,
        .refill_ns = min_u64(numbers[1].value, MAX_REFILL_MS) * NS_PER_MS,
        .burst = numbers[2].value,
    };
    return 0;
}

static int read_rate(const char *name, const json_t *value, struct rate_limit_change *ret,
                     struct error *err)
{
    struct rate_limit_change change = {0};
    const char *key;
    json_t *bucket;
    int r;

    if (!json_is_object(value))
        return error_set(err, -EINVAL, "'%s' is to be an object", name);
    /* jansson's iterator wants it writable, and does not write. */
    json_object_foreach((json_t *)(uintptr_t)value, key, bucket)
    {
        bool bytes = strcmp(key, "bandwidth") == 0;

        if (!bytes && strcmp(key, "ops") != 0)
            return error_set(err, -EINVAL, "'%s': unknown field '%.64s'", name, key);
        if (json_is_null(bucket))
            continue;
        r = read_bucket(key, bucket, bytes ? &change.bytes : &change.operations, err);
        if (r < 0)
            return error_prefix(err, r, "'%s'", name);
        *(bytes ? &change.has_bytes : &change.has_operations) = true;
    }
    *ret = change;
    return 0;
}

static int read_field(const struct body_field *field, const json_t *value, void *target,
                      struct error *err)
{
    void *place = (char *)target + field->offset;
    struct body_number *number = place;
    struct body_flag *flag = place;

    switch (field->kind) {
    case BODY_STRING:
        if (!json_is_string(value))
            return error_set(err, -EINVAL, "'%s' is to be a string", field->name);
        *(const char **)place = json_string_value(value);
        return 0;
    case BODY_FLAG:
        if (!json_is_boolean(value))
            return error_set(err, -EINVAL, "'%s' is to be true or false", field->name);
        *flag = (struct body_flag){.given = true, .value = json_is_true(value)};
        return 0;
    case BODY_NUMBER:
        number->given = true;
        return read_number(field->name, value, &number->value, err);
    case BODY_RATE:
        return read_rate(field->name, value, place, err);
    }
    return 0;
}

int body_read(const json_t *root, const struct body_field *table, void *target, struct error *err)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)root, key, value)
    {
        const struct body_field *field = table;
        int r;

        while (field->name && strcmp(field->name, key) != 0)
            field++;
        if (!field->name)
            return error_set(err, -EINVAL, "unknown field '%.64s'", key);
        if (json_is_null(value))
            continue;
        r = read_field(field, value, target, err);
        if (r < 0)
            return r;
    }
    for (; table->name; table++) {
        value = json_object_get(root, table->name);
        if (table->required && (!value || json_is_null(value)))
            return error_set(err, -EINVAL, "the field '%s' is missing", table->name);
    }
    return 0;
}

int body_choose(const char *name, const char *value, const char *const *words, struct error *err)
{
    char list[160] = "";

    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], value) == 0)
            return i;
        strncat(list, i ? ", " : "", sizeof(list) - strlen(list) - 1);
        strncat(list, words[i], sizeof(list) - strlen(list) - 1);
    }
    return error_set(err, -EINVAL, "%s '%.64s' is none of %s", name, value, list);
}

static json_t *bucket_json(const struct rate_bucket_options *bucket)
{
    if (bucket->size == 0 || bucket->refill_ns == 0)
        return json_null();
    return json_pack("{s:I,s:I,s:I}", "size", (json_int_t)bucket->size, "refill_time",
                     (json_int_t)(bucket->refill_ns / NS_PER_MS), "one_time_burst",
                     (json_int_t)bucket->burst);
}

json_t *body_rate_json(const struct rate_bucket_options *bytes,
                       const struct rate_bucket_options *operations)
{
    if ((bytes->size == 0 || bytes->refill_ns == 0) &&
        (operations->size == 0 || operations->refill_ns == 0))
        return json_null();
    return json_pack("{s:o,s:o}", "bandwidth", bucket_json(bytes), "ops", bucket_json(operations));
}

json_t *body_string(const char *text)
{
    json_t *string = json_string(text);
    char *plain;

    if (string)
        return string;
    plain = strdup(text);
    for (char *at = plain; at && *at; at++) {
        if ((unsigned char)*at >= 0x7f)
            *at = '?';
    }
    string = plain ? json_string(plain) : NULL;
    free(plain);
    return string;
}

char *body_fault(const char *text)
{
    json_auto_t *root = json_pack("{s:o*}", "fault_message", body_string(text));

    return root ? json_dumps(root, JSON_ENSURE_ASCII) : NULL;
}

/* JSON: writing. */
#include "sdk/console.h"
#include "sdk/json.h"
#include "sdk/memory.h"
#include "sdk/string.h"

#define FIRST_CAPACITY 1024

struct json_out json_out_init(char *bytes, size_t capacity, size_t limit)
{
    return (struct json_out){.bytes = bytes, .capacity = capacity, .limit = limit};
}

void json_out_free(struct json_out *out)
{
    if (out->owned)
        free(out->bytes);
    *out = (struct json_out){0};
}

void json_out_cut(struct json_out *out, size_t length)
{
    if (length < out->length)
        out->length = length;
    out->failed = false;
}

/* Make room for so many bytes more. */
static bool reserve(struct json_out *out, size_t more)
{
    size_t capacity = out->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : out->capacity;
    char *bytes;

    if (out->failed || out->length > out->limit || more > out->limit - out->length) {
        out->failed = true;
        return false;
    }
    if (more <= out->capacity - out->length)
        return true;
    while (capacity - out->length < more)
        capacity *= 2;
    if (capacity > out->limit) /* which the bytes fit in, as was seen */
        capacity = out->limit;
    bytes = malloc(capacity);
    if (!bytes) {
        out->failed = true;
        return false;
    }
    if (out->length > 0)
        memcpy(bytes, out->bytes, out->length);
    if (out->owned)
        free(out->bytes);
    out->bytes = bytes;
    out->capacity = capacity;
    out->owned = true;
    return true;
}

void json_out_raw(struct json_out *out, const char *bytes, size_t length)
{
    if (length == 0 || !reserve(out, length))
        return;
    memcpy(out->bytes + out->length, bytes, length);
    out->length += length;
}

void json_out_words(struct json_out *out, const char *json)
{
    json_out_raw(out, json, strlen(json));
}

void json_out_value(struct json_out *out, struct json value)
{
    json_out_raw(out, value.at, (size_t)(value.end - value.at));
}

void json_out_string(struct json_out *out, const char *text)
{
    json_out_words(out, "\"");
    json_out_part(out, text, strlen(text));
    json_out_words(out, "\"");
}

/* A byte that does not stand for itself. */
static void put_escaped(struct json_out *out, unsigned char c)
{
    static const char short_ones[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *found = c ? strchr(short_ones, c) : NULL;
    char text[8];

    if (found)
        snprintf(text, sizeof(text), "\\%c", letters[found - short_ones]);
    else
        snprintf(text, sizeof(text), "\\u%04x", c);
    json_out_words(out, text);
}

void json_out_part(struct json_out *out, const char *bytes, size_t length)
{
    const char *at = bytes, *end = bytes + length, *plain = bytes;

    while (at < end && !out->failed) {
        unsigned char c = (unsigned char)*at;
        unsigned character = c < 0x80 ? 1 : json_utf8_length(at, end);

        if (character > 0 && c >= 0x20 && c != '"' && c != '\\') {
            at += character;
            continue;
        }
        json_out_raw(out, plain, (size_t)(at - plain));
        if (character == 0)
            json_out_words(out, "\xef\xbf\xbd"); /* U+FFFD */
        else
            put_escaped(out, c);
        plain = ++at;
    }
    json_out_raw(out, plain, (size_t)(at - plain));
}

void json_out_integer(struct json_out *out, int64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%ld", value);
    json_out_words(out, text);
}

/*
 * JSON (RFC 8259) without a tree: json_parse() looks at a whole text once, strictly, and from then
 * on a value is a span of that text. Reading allocates nothing and needs no stack that grows with
 * the text; a text that was not taken by json_parse() must not be walked.
 *
 * Nothing here knows a device: the same code runs in the guest and, for tests, on the host. Any
 * CPU; the text must not change meanwhile.
 */
#ifndef SDK_JSON_H
#define SDK_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Arrays and objects in one another, at most. */
#define JSON_DEPTH_MAX 64

enum json_type { JSON_NULL, JSON_BOOLEAN, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* A value: its first byte and the one behind its last. Borrowed from the text. */
struct json {
    const char *at, *end;
};

/**
 * Look at a text: one value with blanks around it, in UTF-8 (RFC 3629), with no lone surrogates
 * in its escapes, nested JSON_DEPTH_MAX deep at most. Keys may repeat: whoever reads an object
 * says what that means.
 *
 * @ret_value  the value, without the blanks around it
 * Returns NULL, or what is wrong, in words.
 */
const char *json_parse(const char *text, size_t length, struct json *ret_value);

enum json_type json_type(struct json value);
bool json_is(struct json value, enum json_type type);

/* Whether it is `true`. */
bool json_is_true(struct json value);

/* The members of an object, or the elements of an array, in their order. */
struct json_walk {
    struct json name, value; /* name: of a member, a string */
    const char *at, *end;    /* private */
    bool named;
};

/* Begin. A value that is neither has no members. */
struct json_walk json_walk(struct json container);

/* The next; false at the end. */
bool json_walk_next(struct json_walk *walk);

/* The first member of that name. Returns false where there is none, or `object` is none. */
bool json_member(struct json object, const char *name, struct json *ret_value);

/* Whether it is a string that means this text (escapes are seen through). */
bool json_text_is(struct json string, const char *text);

/* Room that json_text() needs at most, the terminator included. */
size_t json_text_room(struct json string);

/**
 * What a string means: UTF-8, with a zero behind it; it may hold zeroes, too.
 * @buffer  at least json_text_room() bytes
 * Returns its length.
 */
size_t json_text(struct json string, char *buffer);

/* How many characters (code points) a string means. */
size_t json_text_characters(struct json string);

/**
 * A number that is an integer, however it is written (10, 10.0, 1e1).
 * Returns false where it is no number, no integer, or not within 64 bits; *ret_value is untouched.
 */
bool json_integer(struct json number, int64_t *ret_value);

/*
 * A text that is being written. Where memory is short or the limit is passed it says so by
 * `failed` and writes no more, so that only the end needs a look.
 */
struct json_out {
    char *bytes;
    size_t length, capacity;
    size_t limit; /* bytes, at most */
    bool failed;
    bool owned; /* `bytes` came from malloc() */
};

/* Begin, in memory of the caller's (it may be 0 bytes) until that is too small. */
struct json_out json_out_init(char *bytes, size_t capacity, size_t limit);
void json_out_free(struct json_out *out);

/* Take back all from `length` on, and a failure. */
void json_out_cut(struct json_out *out, size_t length);

/* Bytes as they are: the caller's word that they are JSON. */
void json_out_raw(struct json_out *out, const char *bytes, size_t length);
void json_out_words(struct json_out *out, const char *json);

/* A value as it was read. */
void json_out_value(struct json_out *out, struct json value);

/* A string, from text that ends with a zero. */
void json_out_string(struct json_out *out, const char *text);

/*
 * A part of a string, without quotes: what JSON wants escaped is, and what is no UTF-8 becomes
 * U+FFFD. A character must not be split between two calls.
 */
void json_out_part(struct json_out *out, const char *bytes, size_t length);

void json_out_integer(struct json_out *out, int64_t value);

/* The length of the UTF-8 sequence that begins here (RFC 3629, section 4); 0 where there is none.
 */
unsigned json_utf8_length(const char *at, const char *end);

#endif

#include "toml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"

struct reader {
    const char *at, *end;
    unsigned line;
    struct error *err;
};

void toml_free_strings(char **strings, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(strings[i]);
    free(strings);
}

static void free_value(struct toml_value *value)
{
    free(value->string);
    toml_free_strings(value->strings, value->count);
}

#define wrong(reader, ...) error_set((reader)->err, -EINVAL, __VA_ARGS__)

/* The next byte; -1 behind the last. */
static int peek(const struct reader *reader)
{
    return reader->at < reader->end ? (unsigned char)*reader->at : -1;
}

static bool take(struct reader *reader, char c)
{
    if (peek(reader) != c)
        return false;
    reader->at++;
    return true;
}

static bool begins(const struct reader *reader, const char *word)
{
    size_t len = strlen(word);

    return (size_t)(reader->end - reader->at) >= len && memcmp(reader->at, word, len) == 0;
}

static void skip_blanks(struct reader *reader)
{
    while (peek(reader) == ' ' || peek(reader) == '\t')
        reader->at++;
}

/* TOML 1.0, "Comment": no control characters but the tab. */
static bool is_control(int c)
{
    return (c < ' ' && c != '\t') || c == 0x7f;
}

/* Blanks, a comment, and the end of the line or of the text. */
static int end_line(struct reader *reader)
{
    skip_blanks(reader);
    if (take(reader, '#')) {
        while (peek(reader) >= 0 && !is_control(peek(reader)))
            reader->at++;
    }
    if (reader->at == reader->end)
        return 0;
    if (begins(reader, "\r\n"))
        reader->at++;
    if (!take(reader, '\n'))
        return wrong(reader, "there is something behind the value that does not belong there");
    reader->line++;
    return 0;
}

static bool is_bare(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

/* Write a Unicode scalar value as UTF-8. Returns the length, 0 where it is none. */
static size_t put_utf8(char *out, uint32_t c)
{
    if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

static int hex_value(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Behind a backslash; writes at most as many bytes as the escape has characters. */
static int read_escape(struct reader *reader, char **out)
{
    static const char letters[] = "btnfr\"\\", meanings[] = "\b\t\n\f\r\"\\";
    int c = peek(reader);
    const char *letter = c > 0 ? strchr(letters, c) : NULL;
    unsigned digits = c == 'u' ? 4 : c == 'U' ? 8 : 0;
    uint32_t value = 0;
    size_t len;

    if (letter) {
        *(*out)++ = meanings[letter - letters];
        reader->at++;
        return 0;
    }
    if (digits == 0)
        return wrong(reader, "a backslash stands before what is no escape");
    reader->at++;
    for (unsigned i = 0; i < digits; i++) {
        int digit = hex_value(peek(reader));

        if (digit < 0)
            return wrong(reader, "\\%c wants %u hexadecimal digits", c, digits);
        value = value << 4 | (unsigned)digit;
        reader->at++;
    }
    len = put_utf8(*out, value);
    if (len == 0)
        return wrong(reader, "\\%c%0*x is no character that can be had", c, (int)digits, value);
    *out += len;
    return 0;
}

/* A string in quotes of either kind. */
static int read_string(struct reader *reader, char **ret_string)
{
    int quote = peek(reader);
    _cleanup_free_ char *string = NULL;
    char *out;

    if (begins(reader, "\"\"\"") || begins(reader, "'''"))
        return wrong(reader, "strings over several lines are not read here");
    reader->at++;
    string = out = malloc((size_t)(reader->end - reader->at) + 1); /* escapes only shrink it */
    if (!string)
        return error_set(reader->err, -ENOMEM, "out of memory");
    while (peek(reader) != quote) {
        int c = peek(reader), r = 0;

        if (c < 0 || is_control(c))
            return wrong(reader, "a string does not end on its line");
        reader->at++;
        if (c == '\\' && quote == '"')
            r = read_escape(reader, &out);
        else
            *out++ = (char)c;
        if (r < 0)
            return r;
    }
    reader->at++;
    *out = '\0';
    *ret_string = take_ptr(string);
    return 0;
}

/* A key, bare or in quotes, and what is none told apart. */
static int read_key(struct reader *reader, char ret_key[TOML_KEY_MAX + 1])
{
    _cleanup_free_ char *quoted = NULL;
    const char *key = reader->at;
    size_t len;

    if (peek(reader) == '"' || peek(reader) == '\'') {
        int r = read_string(reader, &quoted);

        if (r < 0)
            return r;
        key = quoted;
        len = strlen(quoted);
    } else {
        while (is_bare(peek(reader)))
            reader->at++;
        len = (size_t)(reader->at - key);
        if (len == 0)
            return wrong(reader, "a key is wanted here");
    }
    if (len > TOML_KEY_MAX)
        return wrong(reader, "a key is longer than %d bytes", TOML_KEY_MAX);
    memcpy(ret_key, key, len);
    ret_key[len] = '\0';
    skip_blanks(reader);
    if (peek(reader) == '.')
        return wrong(reader, "dotted keys are not read here; write [%s] and the rest below",
                     ret_key);
    return 0;
}

/* Ends of lines, blanks and comments, as an array may have them between its values. */
static int skip_lines(struct reader *reader)
{
    for (;;) {
        skip_blanks(reader);
        if (peek(reader) != '#' && peek(reader) != '\n' && peek(reader) != '\r')
            return 0;
        if (end_line(reader) < 0)
            return -EINVAL;
    }
}

static int read_strings(struct reader *reader, struct toml_value *value)
{
    int r;

    value->kind = TOML_STRINGS;
    reader->at++;
    for (;;) {
        char **more;

        r = skip_lines(reader);
        if (r < 0 || take(reader, ']'))
            return r;
        if (peek(reader) != '"' && peek(reader) != '\'')
            return wrong(reader, reader->at == reader->end
                                     ? "an array does not end"
                                     : "an array of strings is wanted here, nothing else");
        more = realloc(value->strings, (value->count + 1) * sizeof(*more));
        if (!more)
            return error_set(reader->err, -ENOMEM, "out of memory");
        value->strings = more;
        r = read_string(reader, &value->strings[value->count]);
        if (r < 0)
            return r;
        value->count++;
        r = skip_lines(reader);
        if (r < 0)
            return r;
        if (!take(reader, ',') && peek(reader) != ']')
            return wrong(reader, "a comma or the end of the array is wanted here");
    }
}

/* TOML 1.0, "Integer", decimal: no leading zeros, and underscores between digits. */
static int read_integer(struct reader *reader, struct toml_value *value)
{
    bool negative = peek(reader) == '-';
    bool digit_before = false;
    const char *start;

    value->kind = TOML_INTEGER;
    if (negative || peek(reader) == '+')
        reader->at++;
    start = reader->at;
    for (;; reader->at++) {
        int c = peek(reader);

        if (c == '_' && digit_before) {
            digit_before = false;
            continue;
        }
        if (c < '0' || c > '9')
            break;
        if (reader->at > start && *start == '0')
            return wrong(reader, "a number begins with 0");
        if (__builtin_mul_overflow(value->integer, 10, &value->integer) ||
            __builtin_sub_overflow(value->integer, c - '0', &value->integer))
            return wrong(reader, "a number is too large");
        digit_before = true;
    }
    if (!digit_before || is_bare(peek(reader)) || peek(reader) == '.' || peek(reader) == ':')
        return wrong(reader, "this is no whole decimal number; others are not read here");
    /* It was gathered below zero, where there is one number more. */
    if (!negative && __builtin_sub_overflow(0, value->integer, &value->integer))
        return wrong(reader, "a number is too large");
    return 0;
}

static int read_value(struct reader *reader, struct toml_value *value)
{
    int c = peek(reader);

    value->line = reader->line;
    if (c == '"' || c == '\'') {
        value->kind = TOML_STRING;
        return read_string(reader, &value->string);
    }
    if (c == '[')
        return read_strings(reader, value);
    if ((c >= '0' && c <= '9') || c == '-' || c == '+')
        return read_integer(reader, value);
    if (begins(reader, "true") || begins(reader, "false")) {
        value->kind = TOML_BOOLEAN;
        value->boolean = c == 't';
        reader->at += value->boolean ? 4 : 5;
        return 0;
    }
    return wrong(reader, c == '{' ? "inline tables are not read here; write [the table] of its own"
                                  : "a value is wanted here");
}

static int read_table(struct reader *reader, struct toml_visitor *visitor,
                      char ret_table[TOML_KEY_MAX + 1])
{
    int r;

    reader->at++;
    if (peek(reader) == '[')
        return wrong(reader, "arrays of tables are not read here");
    skip_blanks(reader);
    r = read_key(reader, ret_table);
    if (r < 0)
        return r;
    if (!take(reader, ']'))
        return wrong(reader, "a ']' is wanted behind the table's name");
    r = visitor->table(visitor, ret_table, reader->err);
    return r < 0 ? r : end_line(reader);
}

static int read_pair(struct reader *reader, struct toml_visitor *visitor, const char *table)
{
    char key[TOML_KEY_MAX + 1];
    struct toml_value value = {0};
    unsigned line = reader->line;
    int r = read_key(reader, key);

    if (r == 0 && !take(reader, '='))
        r = wrong(reader, "an '=' is wanted behind the key");
    if (r == 0) {
        skip_blanks(reader);
        r = read_value(reader, &value);
    }
    if (r == 0)
        r = end_line(reader);
    if (r == 0) {
        unsigned behind = reader->line;

        reader->line = line; /* what the visitor finds wrong began there */
        r = visitor->value(visitor, table, key, &value, reader->err);
        if (r == 0)
            reader->line = behind;
    }
    free_value(&value);
    return r;
}

int toml_read(const char *text, size_t len, struct toml_visitor *visitor, struct error *err)
{
    struct reader reader = {.at = text, .end = text + len, .line = 1, .err = err};
    char table[TOML_KEY_MAX + 1] = "";
    int r = 0;

    while (r == 0 && reader.at < reader.end) {
        skip_blanks(&reader);
        if (peek(&reader) == '[')
            r = read_table(&reader, visitor, table);
        else if (peek(&reader) < 0 || strchr("#\r\n", peek(&reader)))
            r = end_line(&reader);
        else
            r = read_pair(&reader, visitor, table);
    }
    return r < 0 ? error_prefix(err, r, "line %u", reader.line) : 0;
}

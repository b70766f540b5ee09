/* JSON: what strings and numbers mean. */
#include "sdk/json.h"
#include "sdk/string.h"

static unsigned hex(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

static uint32_t hex_unit(const char *at)
{
    return hex(at[0]) << 12 | hex(at[1]) << 8 | hex(at[2]) << 4 | hex(at[3]);
}

static unsigned utf8_encode(uint32_t c, char ret_bytes[4])
{
    if (c < 0x80) {
        ret_bytes[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        ret_bytes[0] = (char)(0xc0 | c >> 6);
        ret_bytes[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        ret_bytes[0] = (char)(0xe0 | c >> 12);
        ret_bytes[1] = (char)(0x80 | (c >> 6 & 0x3f));
        ret_bytes[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    ret_bytes[0] = (char)(0xf0 | c >> 18);
    ret_bytes[1] = (char)(0x80 | (c >> 12 & 0x3f));
    ret_bytes[2] = (char)(0x80 | (c >> 6 & 0x3f));
    ret_bytes[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* At a backslash: what the escape means, in UTF-8; *at goes behind it. */
static unsigned decode_escape(const char **at, char ret_bytes[4])
{
    static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    char c = (*at)[1];
    const char *letter = strchr(letters, c);
    uint32_t unit;

    if (c != 'u') {
        *at += 2;
        ret_bytes[0] = letter ? meanings[letter - letters] : c;
        return 1;
    }
    unit = hex_unit(*at + 2);
    *at += 6;
    if (unit >= 0xd800 && unit < 0xdc00) { /* its other half stands behind it: json_parse() */
        unit = 0x10000 + ((unit - 0xd800) << 10 | (hex_unit(*at + 2) - 0xdc00));
        *at += 6;
    }
    return utf8_encode(unit, ret_bytes);
}

bool json_text_is(struct json string, const char *text)
{
    const char *at = string.at + 1, *end = string.end - 1;

    if (*string.at != '"')
        return false;
    while (at < end) {
        char bytes[4];
        unsigned length = 1;

        if (*at == '\\')
            length = decode_escape(&at, bytes);
        else
            bytes[0] = *at++;
        for (unsigned i = 0; i < length; i++, text++)
            if (*text == 0 || *text != bytes[i])
                return false;
    }
    return *text == 0;
}

size_t json_text_room(struct json string)
{
    return (size_t)(string.end - string.at); /* two quotes more than needed, one zero */
}

size_t json_text(struct json string, char *buffer)
{
    const char *at = string.at + 1, *end = string.end - 1;
    char *to = buffer;

    while (at < end) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        size_t plain = (size_t)((escape ? escape : end) - at);

        memcpy(to, at, plain);
        to += plain;
        at += plain;
        if (escape) {
            char bytes[4];
            unsigned length = decode_escape(&at, bytes);

            memcpy(to, bytes, length);
            to += length;
        }
    }
    *to = 0;
    return (size_t)(to - buffer);
}

size_t json_text_characters(struct json string)
{
    const char *at = string.at + 1, *end = string.end - 1;
    size_t count = 0;
    char bytes[4];

    while (at < end) {
        if (*at == '\\') {
            decode_escape(&at, bytes);
            count++;
        } else {
            count += (*at++ & 0xc0) != 0x80; /* not the rest of a character */
        }
    }
    return count;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The exponent, bounded: what lies beyond makes any number but 0 too large, or a fraction. */
static int64_t read_exponent(const char *at, const char *end)
{
    bool negative = at < end && *at == '-';
    int64_t value = 0;

    if (at < end && (*at == '-' || *at == '+'))
        at++;
    for (; at < end; at++)
        if (value < INT32_MAX)
            value = value * 10 + (*at - '0');
    return negative ? -value : value;
}

bool json_integer(struct json number, int64_t *ret_value)
{
    const char *at = number.at, *end = number.end, *mantissa_end, *last;
    int64_t exponent = 0, value = 0;
    bool fraction = false;

    if (json_type(number) != JSON_NUMBER)
        return false;
    for (mantissa_end = at; mantissa_end < end && (*mantissa_end | 0x20) != 'e'; mantissa_end++)
        if (*mantissa_end == '.')
            fraction = true;
    if (mantissa_end < end)
        exponent = read_exponent(mantissa_end + 1, end);
    /* Without the zeroes at its end the mantissa tells whether a fraction is left. */
    for (last = mantissa_end; last > at && (last[-1] == '0' || last[-1] == '.'); last--) {
        if (last[-1] == '.')
            fraction = false;
        else if (!fraction)
            exponent++;
    }
    for (bool behind_point = false; at < last; at++) {
        if (*at == '.')
            behind_point = true;
        if (!is_digit(*at))
            continue;
        exponent -= behind_point;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, *at - '0', &value)) /* downwards: INT64_MIN fits */
            return false;
    }
    if (value == 0)
        exponent = 0;
    if (exponent < 0)
        return false;
    for (; exponent > 0; exponent--)
        if (__builtin_mul_overflow(value, 10, &value))
            return false;
    if (*number.at != '-' && __builtin_sub_overflow(0, value, &value))
        return false;
    *ret_value = value;
    return true;
}

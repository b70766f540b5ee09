/* JSON: looking at a text, and walking in one that was looked at. */
#include "sdk/json.h"

#include "sdk/string.h"

_Static_assert(JSON_DEPTH_MAX <= 64, "the kinds of what is open are bits of a word");

struct reader {
    const char *at, *end;
    const char *wrong; /* NULL so far */
    /* What is open: a bit for each, the innermost lowest; 1 is an object. */
    uint64_t objects;
    unsigned depth;
};

static bool refuse(struct reader *r, const char *why)
{
    r->wrong = why;
    return false;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *past_blanks(const char *at, const char *end)
{
    while (at < end && is_blank(*at))
        at++;
    return at;
}

/* The next byte, or 0 at the end: no place in JSON takes a zero. */
static char peek(const struct reader *r)
{
    return r->at < r->end ? *r->at : 0;
}

unsigned json_utf8_length(const char *at, const char *end)
{
    const unsigned char *b = (const unsigned char *)at;
    size_t left = (size_t)(end - at);
    unsigned length;

    if (left == 0)
        return 0;
    if (b[0] < 0x80)
        return 1;
    length = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
    if (b[0] < 0xc2 || b[0] > 0xf4 || length > left)
        return 0;
    for (unsigned i = 1; i < length; i++)
        if ((b[i] & 0xc0) != 0x80)
            return 0;
    /* Not overlong, no surrogate, not past U+10FFFF. */
    if ((b[0] == 0xe0 && b[1] < 0xa0) || (b[0] == 0xed && b[1] > 0x9f) ||
        (b[0] == 0xf0 && b[1] < 0x90) || (b[0] == 0xf4 && b[1] > 0x8f))
        return 0;
    return length;
}

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The four digits of \uXXXX, or -1. */
static int32_t hex_unit(const char *at, const char *end)
{
    int32_t unit = 0;

    if (end - at < 4)
        return -1;
    for (unsigned i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);

        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* Behind a backslash. */
static bool read_escape(struct reader *r)
{
    char c = peek(r);
    int32_t unit;

    r->at++;
    if (c != 0 && strchr("\"\\/bfnrt", c))
        return true;
    if (c != 'u')
        return refuse(r, "a string has an escape that JSON does not know");
    unit = hex_unit(r->at, r->end);
    if (unit < 0)
        return refuse(r, "a string has a \\u without four hexadecimal digits");
    r->at += 4;
    if (unit < 0xd800 || unit > 0xdfff)
        return true;
    if (unit < 0xdc00 && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u') {
        unit = hex_unit(r->at + 2, r->end);
        r->at += 6;
        if (unit >= 0xdc00 && unit <= 0xdfff)
            return true;
    }
    return refuse(r, "a string has half of a surrogate pair");
}

static bool read_string(struct reader *r)
{
    if (peek(r) != '"')
        return refuse(r, "a string is wanted as the name of a member");
    r->at++;
    while (r->at < r->end) {
        unsigned char c = (unsigned char)*r->at;
        unsigned length = 1;

        if (c == '"') {
            r->at++;
            return true;
        }
        if (c == '\\') {
            r->at++;
            if (!read_escape(r))
                return false;
            continue;
        }
        if (c < 0x20)
            return refuse(r, "a string has a control character that is not escaped");
        if (c >= 0x80)
            length = json_utf8_length(r->at, r->end);
        if (length == 0)
            return refuse(r, "a string is not UTF-8");
        r->at += length;
    }
    return refuse(r, "a string does not end");
}

static bool read_digits(struct reader *r)
{
    if (!is_digit(peek(r)))
        return refuse(r, "a number is cut off");
    while (is_digit(peek(r)))
        r->at++;
    return true;
}

static bool read_number(struct reader *r)
{
    if (peek(r) == '-')
        r->at++;
    if (peek(r) == '0')
        r->at++;
    else if (!read_digits(r))
        return false;
    if (peek(r) == '.') {
        r->at++;
        if (!read_digits(r))
            return false;
    }
    if (peek(r) == 'e' || peek(r) == 'E') {
        r->at++;
        if (peek(r) == '+' || peek(r) == '-')
            r->at++;
        return read_digits(r);
    }
    return true;
}

static bool read_scalar(struct reader *r)
{
    static const char *const words[] = {"null", "true", "false"};

    if (r->at == r->end)
        return refuse(r, "a value is missing");
    if (*r->at == '"')
        return read_string(r);
    if (*r->at == '-' || is_digit(*r->at))
        return read_number(r);
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t length = strlen(words[i]);

        if ((size_t)(r->end - r->at) >= length && memcmp(r->at, words[i], length) == 0) {
            r->at += length;
            return true;
        }
    }
    return refuse(r, "something is no JSON value");
}

/* The name of a member and its colon. */
static bool read_name(struct reader *r)
{
    r->at = past_blanks(r->at, r->end);
    if (!read_string(r))
        return false;
    r->at = past_blanks(r->at, r->end);
    if (peek(r) != ':')
        return refuse(r, "a colon is missing behind a name");
    r->at++;
    return true;
}

/* At the beginning of a value: up to its end, or to where the first value inside it begins.
 * *ret_whole says which. */
static bool read_value(struct reader *r, bool *ret_whole)
{
    char c;

    r->at = past_blanks(r->at, r->end);
    c = peek(r);
    *ret_whole = true;
    if (c != '{' && c != '[')
        return read_scalar(r);
    if (r->depth == JSON_DEPTH_MAX)
        return refuse(r, "it is nested too deep");
    r->at = past_blanks(r->at + 1, r->end);
    if (peek(r) == (c == '{' ? '}' : ']')) {
        r->at++;
        return true;
    }
    r->depth++;
    r->objects = r->objects << 1 | (c == '{');
    *ret_whole = false;
    return c == '[' || read_name(r);
}

/* Behind a value inside something: to where the next one begins, or past the ends of all that end
 * here. *ret_more says which. */
static bool read_behind(struct reader *r, bool *ret_more)
{
    *ret_more = false;
    while (r->depth > 0) {
        bool object = r->objects & 1;
        char c;

        r->at = past_blanks(r->at, r->end);
        c = peek(r);
        if (c == ',') {
            r->at++;
            *ret_more = true;
            return !object || read_name(r);
        }
        if (c != (object ? '}' : ']'))
            return refuse(r, object ? "a comma or } is missing" : "a comma or ] is missing");
        r->at++;
        r->depth--;
        r->objects >>= 1;
    }
    return true;
}

const char *json_parse(const char *text, size_t length, struct json *ret_value)
{
    struct reader r = {.at = text, .end = text + length};
    const char *begin = past_blanks(text, text + length);
    bool more = true;

    while (more) {
        bool whole;

        if (!read_value(&r, &whole))
            return r.wrong;
        if (whole && !read_behind(&r, &more))
            return r.wrong;
    }
    if (past_blanks(r.at, r.end) != r.end)
        return "something stands behind the value";
    *ret_value = (struct json){.at = begin, .end = r.at};
    return NULL;
}

enum json_type json_type(struct json value)
{
    switch (*value.at) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 'n':
        return JSON_NULL;
    case 't':
    case 'f':
        return JSON_BOOLEAN;
    default:
        return JSON_NUMBER;
    }
}

bool json_is(struct json value, enum json_type type)
{
    return json_type(value) == type;
}

bool json_is_true(struct json value)
{
    return *value.at == 't';
}

/* From here on the text was looked at, so that what opens also closes. */

static const char *past_string(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++)
        if (*at == '\\')
            at++;
    return at < end ? at + 1 : end;
}

static const char *past_value(const char *at, const char *end)
{
    unsigned depth = 0;

    while (at < end) {
        char c = *at;

        if (c == '"') {
            at = past_string(at, end);
        } else if (c == '{' || c == '[') {
            depth++;
            at++;
            continue;
        } else if (c == '}' || c == ']') {
            depth--;
            at++;
        } else if (depth > 0) {
            at++;
            continue;
        } else {
            while (at < end && *at != ',' && *at != '}' && *at != ']' && !is_blank(*at))
                at++;
        }
        if (depth == 0)
            break;
    }
    return at;
}

struct json_walk json_walk(struct json container)
{
    struct json_walk walk = {.named = *container.at == '{'};

    if (*container.at == '{' || *container.at == '[') {
        walk.at = container.at + 1;
        walk.end = container.end - 1; /* the closing bracket */
    }
    return walk;
}

bool json_walk_next(struct json_walk *w)
{
    w->at = past_blanks(w->at, w->end);
    if (w->at == w->end)
        return false;
    if (*w->at == ',')
        w->at = past_blanks(w->at + 1, w->end);
    if (w->named) {
        w->name.at = w->at;
        w->name.end = past_string(w->at, w->end);
        w->at = past_blanks(w->name.end, w->end) + 1; /* the colon */
        w->at = past_blanks(w->at, w->end);
    }
    w->value.at = w->at;
    w->value.end = w->at = past_value(w->at, w->end);
    return true;
}

bool json_member(struct json object, const char *name, struct json *ret_value)
{
    struct json_walk walk = json_walk(object);

    while (walk.named && json_walk_next(&walk))
        if (json_text_is(walk.name, name)) {
            *ret_value = walk.value;
            return true;
        }
    return false;
}

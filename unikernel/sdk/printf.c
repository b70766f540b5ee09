/* Formatted output. */
#include <stdbool.h>

#include "sdk/console.h"
#include "sdk/string.h"

#define LINE_MAX 1024 /* longer output of one printf is cut */

struct output {
    char *buffer;
    size_t size, length;
};

struct conversion {
    bool left, zero, negative;
    int width, precision; /* precision: -1 for none */
    int longs;            /* 0 int, 1 long and long long and size_t, -1 short, -2 char */
};

static void put(struct output *out, char c)
{
    if (out->length + 1 < out->size)
        out->buffer[out->length] = c;
    out->length++;
}

static void put_repeated(struct output *out, char c, int count)
{
    while (count-- > 0)
        put(out, c);
}

static void put_string(struct output *out, const char *s, size_t length, const struct conversion *c)
{
    int pad = c->width - (int)length;

    if (!c->left)
        put_repeated(out, ' ', pad);
    for (size_t i = 0; i < length; i++)
        put(out, s[i]);
    if (c->left)
        put_repeated(out, ' ', pad);
}

static void put_number(struct output *out, uint64_t value, unsigned base, bool upper,
                       const struct conversion *c)
{
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char text[24];
    int n = 0, pad, zeroes;

    for (; value > 0 || n == 0; value /= base)
        text[n++] = digits[value % base];
    zeroes = c->precision - n;
    if (zeroes < 0)
        zeroes = 0;
    pad = c->width - n - zeroes - (c->negative ? 1 : 0);
    if (pad > 0 && c->zero && !c->left && c->precision < 0) {
        zeroes = pad;
        pad = 0;
    }
    if (!c->left)
        put_repeated(out, ' ', pad);
    if (c->negative)
        put(out, '-');
    put_repeated(out, '0', zeroes);
    while (n > 0)
        put(out, text[--n]);
    if (c->left)
        put_repeated(out, ' ', pad);
}

static int parse_number(const char **format, va_list *arguments)
{
    int value = 0;

    if (**format == '*') {
        (*format)++;
        return va_arg(*arguments, int);
    }
    for (; **format >= '0' && **format <= '9'; (*format)++)
        value = value * 10 + (**format - '0');
    return value;
}

static struct conversion parse_conversion(const char **format, va_list *arguments)
{
    struct conversion c = {.precision = -1};

    for (;; (*format)++) {
        if (**format == '-')
            c.left = true;
        else if (**format == '0')
            c.zero = true;
        else
            break;
    }
    c.width = parse_number(format, arguments);
    if (**format == '.') {
        (*format)++;
        c.precision = parse_number(format, arguments);
    }
    for (;; (*format)++) {
        if (**format == 'l' || **format == 'z')
            c.longs = 1;
        else if (**format == 'h')
            c.longs--;
        else
            return c;
    }
}

static uint64_t take_unsigned(const struct conversion *c, va_list *arguments)
{
    if (c->longs > 0)
        return va_arg(*arguments, uint64_t);
    if (c->longs == 0)
        return va_arg(*arguments, unsigned);
    return va_arg(*arguments, unsigned) & (c->longs == -1 ? 0xffffu : 0xffu);
}

static void put_conversion(struct output *out, char kind, struct conversion *c, va_list *arguments)
{
    switch (kind) {
    case 'd':
    case 'i': {
        int64_t value = c->longs > 0 ? va_arg(*arguments, int64_t) : va_arg(*arguments, int);

        c->negative = value < 0;
        put_number(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, false, c);
        break;
    }
    case 'u':
        put_number(out, take_unsigned(c, arguments), 10, false, c);
        break;
    case 'x':
    case 'X':
        put_number(out, take_unsigned(c, arguments), 16, kind == 'X', c);
        break;
    case 'p':
        put(out, '0');
        put(out, 'x');
        put_number(out, (uintptr_t)va_arg(*arguments, void *), 16, false, c);
        break;
    case 'c': {
        char byte = (char)va_arg(*arguments, int);

        put_string(out, &byte, 1, c);
        break;
    }
    case 's': {
        const char *s = va_arg(*arguments, const char *);
        size_t length = 0;

        s = s ? s : "(null)";
        while ((c->precision < 0 || length < (size_t)c->precision) && s[length])
            length++;
        put_string(out, s, length, c);
        break;
    }
    default:
        put(out, kind);
        break;
    }
}

int vsnprintf(char *buffer, size_t size, const char *format, va_list arguments)
{
    struct output out = {.buffer = buffer, .size = size};
    va_list copy;

    va_copy(copy, arguments);
    for (; *format; format++) {
        struct conversion c;

        if (*format != '%') {
            put(&out, *format);
            continue;
        }
        format++;
        c = parse_conversion(&format, &copy);
        if (*format == 0)
            break;
        put_conversion(&out, *format, &c, &copy);
    }
    va_end(copy);
    if (size > 0)
        buffer[out.length < size ? out.length : size - 1] = 0;
    return (int)out.length;
}

int snprintf(char *buffer, size_t size, const char *format, ...)
{
    va_list arguments;
    int n;

    va_start(arguments, format);
    n = vsnprintf(buffer, size, format, arguments);
    va_end(arguments);
    return n;
}

int vprintf(const char *format, va_list arguments)
{
    char line[LINE_MAX];
    int n = vsnprintf(line, sizeof(line), format, arguments);

    console_write(line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
    return n;
}

int printf(const char *format, ...)
{
    va_list arguments;
    int n;

    va_start(arguments, format);
    n = vprintf(format, arguments);
    va_end(arguments);
    return n;
}

#include "base/parse.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/util.h"

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Read digits of `base` from *text on, moving it past them. */
static int parse_digits(const char **text, unsigned base, uint64_t *ret_value)
{
    const char *p = *text;
    uint64_t value = 0;
    int digit;

    for (; (digit = digit_value(*p)) >= 0 && (unsigned)digit < base; p++) {
        if (__builtin_mul_overflow(value, (uint64_t)base, &value) ||
            __builtin_add_overflow(value, (uint64_t)digit, &value))
            return -ERANGE;
    }
    if (p == *text)
        return -EINVAL;
    *text = p;
    *ret_value = value;
    return 0;
}

int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
    unsigned base = 10;
    uint64_t value;
    int r;

    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text += 2;
    }
    r = parse_digits(&text, base, &value);
    if (r < 0)
        return r;
    if (*text)
        return -EINVAL;
    if (value < min || value > max)
        return -ERANGE;
    *ret_value = value;
    return 0;
}

int parse_size(const char *text, uint64_t *ret_bytes)
{
    static const char letters[] = "KMGT";
    uint64_t value, unit = MIB;
    int r;

    r = parse_digits(&text, 10, &value);
    if (r < 0)
        return r;
    if (*text) {
        const char *letter = strchr(letters, toupper((unsigned char)*text));

        if (!letter)
            return -EINVAL;
        unit = KIB << (10 * (letter - letters));
        text++;
        if (*text && strcasecmp(text, "iB") != 0 && strcasecmp(text, "B") != 0)
            return -EINVAL;
    }
    if (__builtin_mul_overflow(value, unit, &value))
        return -ERANGE;
    *ret_bytes = value;
    return 0;
}

const char *format_size(uint64_t bytes, char *buf, int buf_size)
{
    static const struct {
        uint64_t unit;
        const char *name;
    } units[] = {{GIB, "GiB"}, {MIB, "MiB"}, {KIB, "KiB"}};

    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        uint64_t tenths;

        if (bytes < units[i].unit)
            continue;
        tenths = bytes % units[i].unit * 10 / units[i].unit;
        if (tenths)
            snprintf(buf, (size_t)buf_size, "%" PRIu64 ".%" PRIu64 " %s", bytes / units[i].unit,
                     tenths, units[i].name);
        else
            snprintf(buf, (size_t)buf_size, "%" PRIu64 " %s", bytes / units[i].unit, units[i].name);
        return buf;
    }
    snprintf(buf, (size_t)buf_size, "%" PRIu64 " byte%s", bytes, bytes == 1 ? "" : "s");
    return buf;
}

/*
 * Arithmetic in fractions of 64-bit integers: exact, or refused. There is no rounding that a model
 * could take for a result.
 */
#include "tools.h"

#define DEPTH_MAX    64
#define POWER_MAX    1024
#define DECIMALS_MAX 64 /* a denominator of 64 bits has no more */
#define ABOUT_DIGITS 12

struct fraction {
    int64_t over, under; /* reduced; under > 0 */
};

struct parser {
    const char *at;
    unsigned depth;
    const char *wrong; /* NULL so far */
};

static const char too_large[] = "a number becomes too large for 64 bits";

static struct fraction expression(struct parser *p);
static struct fraction unary(struct parser *p);

static struct fraction refuse(struct parser *p, const char *why)
{
    if (!p->wrong)
        p->wrong = why;
    return (struct fraction){0, 1};
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b != 0) {
        int64_t rest = a % b;

        a = b;
        b = rest;
    }
    return a < 0 ? -a : a;
}

/* INT64_MIN has no opposite, so it counts as too large, too. */
static bool multiply64(int64_t a, int64_t b, int64_t *ret_product)
{
    return !__builtin_mul_overflow(a, b, ret_product) && *ret_product != INT64_MIN;
}

static bool add64(int64_t a, int64_t b, int64_t *ret_sum)
{
    return !__builtin_add_overflow(a, b, ret_sum) && *ret_sum != INT64_MIN;
}

static struct fraction reduced(struct fraction f)
{
    int64_t divisor = common_divisor(f.over, f.under);

    return (struct fraction){f.over / divisor, f.under / divisor};
}

static struct fraction multiply(struct parser *p, struct fraction a, struct fraction b)
{
    /* Crosswise first, so that the products are no larger than they must be. */
    struct fraction x = reduced((struct fraction){a.over, b.under});
    struct fraction y = reduced((struct fraction){b.over, a.under}), product;

    if (!multiply64(x.over, y.over, &product.over) || !multiply64(x.under, y.under, &product.under))
        return refuse(p, too_large);
    return product;
}

static struct fraction divide(struct parser *p, struct fraction a, struct fraction b)
{
    if (b.over == 0)
        return refuse(p, "a division by zero");
    /* The sign goes above the line. */
    return multiply(p, a,
                    b.over < 0 ? (struct fraction){-b.under, -b.over}
                               : (struct fraction){b.under, b.over});
}

static struct fraction add(struct parser *p, struct fraction a, struct fraction b)
{
    int64_t divisor = common_divisor(a.under, b.under), x, y;
    struct fraction sum;

    if (!multiply64(a.over, b.under / divisor, &x) || !multiply64(b.over, a.under / divisor, &y) ||
        !add64(x, y, &sum.over) || !multiply64(a.under, b.under / divisor, &sum.under))
        return refuse(p, too_large);
    return reduced(sum);
}

static struct fraction remainder_of(struct parser *p, struct fraction a, struct fraction b)
{
    if (a.under != 1 || b.under != 1)
        return refuse(p, "% wants whole numbers");
    if (b.over == 0)
        return refuse(p, "a division by zero");
    return (struct fraction){a.over % b.over, 1};
}

static struct fraction power(struct parser *p, struct fraction base, struct fraction exponent)
{
    struct fraction result = {1, 1};
    int64_t times = exponent.over < 0 ? -exponent.over : exponent.over;

    if (exponent.under != 1 || times > POWER_MAX)
        return refuse(p, "^ wants a whole number from -1024 to 1024 behind it");
    for (int64_t i = 0; i < times && !p->wrong; i++)
        result = multiply(p, result, base);
    return exponent.over < 0 ? divide(p, (struct fraction){1, 1}, result) : result;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char peek(struct parser *p)
{
    while (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r')
        p->at++;
    return *p->at;
}

static bool take(struct parser *p, char c)
{
    if (peek(p) != c)
        return false;
    p->at++;
    return true;
}

static struct fraction number(struct parser *p)
{
    struct fraction f = {0, 1};
    bool behind_point = false, any = false;

    for (; is_digit(*p->at) || (*p->at == '.' && !behind_point); p->at++) {
        if (*p->at == '.') {
            behind_point = true;
            continue;
        }
        any = true;
        if (!multiply64(f.over, 10, &f.over) || !add64(f.over, *p->at - '0', &f.over) ||
            (behind_point && !multiply64(f.under, 10, &f.under)))
            return refuse(p, too_large);
    }
    return any ? reduced(f) : refuse(p, "a number or ( is missing");
}

static struct fraction primary(struct parser *p)
{
    struct fraction f;

    if (!take(p, '('))
        return number(p);
    f = expression(p);
    return take(p, ')') ? f : refuse(p, "a ) is missing");
}

/* -2 ^ 2 is -(2 ^ 2), and 2 ^ 3 ^ 2 is 2 ^ (3 ^ 2), as in mathematics. */
static struct fraction powers(struct parser *p)
{
    struct fraction base = primary(p);

    return take(p, '^') ? power(p, base, unary(p)) : base;
}

static struct fraction unary(struct parser *p)
{
    struct fraction f;

    if (p->depth == DEPTH_MAX)
        return refuse(p, "it is nested too deep");
    p->depth++;
    if (take(p, '-')) {
        f = unary(p);
        f.over = -f.over;
    } else if (take(p, '+')) {
        f = unary(p);
    } else {
        f = powers(p);
    }
    p->depth--;
    return f;
}

static struct fraction term(struct parser *p)
{
    struct fraction f = unary(p);

    while (!p->wrong)
        if (take(p, '*'))
            f = multiply(p, f, unary(p));
        else if (take(p, '/'))
            f = divide(p, f, unary(p));
        else if (take(p, '%'))
            f = remainder_of(p, f, unary(p));
        else
            break;
    return f;
}

static struct fraction expression(struct parser *p)
{
    struct fraction f = term(p);

    while (!p->wrong)
        if (take(p, '+')) {
            f = add(p, f, term(p));
        } else if (take(p, '-')) {
            struct fraction right = term(p);

            right.over = -right.over;
            f = add(p, f, right);
        } else {
            break;
        }
    return f;
}

/* Digits behind the point by long division, at most `most`; returns whether they are all. */
static bool write_decimal(struct mcp_call *call, struct fraction f, unsigned most)
{
    uint64_t over = (uint64_t)(f.over < 0 ? -f.over : f.over), under = (uint64_t)f.under;
    uint64_t rest = over % under;
    char digits[DECIMALS_MAX];
    unsigned count = 0;

    for (; rest != 0 && count < most; count++) {
        rest *= 10;
        digits[count] = (char)('0' + rest / under);
        rest %= under;
    }
    mcp_print(call, "%s%lu%s%.*s", f.over < 0 ? "-" : "", over / under, count ? "." : "",
              (int)count, digits);
    return rest == 0;
}

static void write_fraction(struct mcp_call *call, struct fraction f)
{
    int64_t left = f.under;
    /* Long division multiplies a rest by ten. */
    bool divisible = (uint64_t)f.under <= UINT64_MAX / 10;

    while (left % 2 == 0)
        left /= 2;
    while (left % 5 == 0)
        left /= 5;
    if (left == 1 && divisible) {
        write_decimal(call, f, DECIMALS_MAX);
        return;
    }
    mcp_print(call, "%ld/%ld", f.over, f.under);
    if (divisible) {
        mcp_print(call, ", about ");
        write_decimal(call, f, ABOUT_DIGITS);
    }
}

void tool_calculate(struct mcp_call *call)
{
    struct mcp_text text = mcp_argument_text(call, "expression");
    struct parser p = {.at = text.bytes};
    struct fraction f = expression(&p);

    if (!p.wrong && peek(&p) != 0)
        refuse(&p, "an operator is missing");
    if (!p.wrong && p.at != text.bytes + text.length)
        refuse(&p, "a zero byte is no operator");
    if (p.wrong)
        mcp_fail(call, "%s, at byte %lu of the expression", p.wrong,
                 (unsigned long)(p.at - text.bytes) + 1);
    else
        write_fraction(call, f);
}

/* Memory and strings. The compiler calls the first four of itself, too. */
#include "sdk/string.h"

#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t length)
{
    void *t = to;

    __asm__ volatile("rep movsb" : "+D"(t), "+S"(from), "+c"(length) : : "memory");
    return to;
}

void *memmove(void *to, const void *from, size_t length)
{
    unsigned char *t = to;
    const unsigned char *f = from;

    if ((uintptr_t)to - (uintptr_t)from >= length)
        return memcpy(to, from, length);
    while (length-- > 0) {
        t[length] = f[length];
        __asm__ volatile("" : : : "memory"); /* or the loop becomes a call of memmove */
    }
    return to;
}

void *memset(void *to, int byte, size_t length)
{
    void *t = to;

    __asm__ volatile("rep stosb" : "+D"(t), "+c"(length) : "a"(byte) : "memory");
    return to;
}

int memcmp(const void *a, const void *b, size_t length)
{
    const unsigned char *x = a, *y = b;

    for (; length > 0; length--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

void *memchr(const void *bytes, int byte, size_t length)
{
    const unsigned char *b = bytes;

    for (; length > 0; length--, b++)
        if (*b == (unsigned char)byte)
            return (void *)(uintptr_t)b;
    return NULL;
}

size_t strlen(const char *s)
{
    const char *end = s;

    while (*end) {
        end++;
        __asm__ volatile("" : "+r"(end)); /* or the loop becomes a call of strlen */
    }
    return (size_t)(end - s);
}

int strcmp(const char *a, const char *b)
{
    for (; *a && *a == *b; a++, b++)
        ;
    return (unsigned char)*a - (unsigned char)*b;
}

int strncmp(const char *a, const char *b, size_t length)
{
    for (; length > 0; length--, a++, b++) {
        if (*a != *b)
            return (unsigned char)*a - (unsigned char)*b;
        if (*a == 0)
            return 0;
    }
    return 0;
}

char *strchr(const char *s, int byte)
{
    for (;; s++) {
        if (*s == (char)byte)
            return (char *)(uintptr_t)s;
        if (*s == 0)
            return NULL;
    }
}

char *strstr(const char *haystack, const char *needle)
{
    size_t length = strlen(needle);

    for (;; haystack++) {
        if (strncmp(haystack, needle, length) == 0)
            return (char *)(uintptr_t)haystack;
        if (*haystack == 0)
            return NULL;
    }
}

static unsigned digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    if (c >= 'A' && c <= 'F')
        return (unsigned)(c - 'A') + 10;
    return 16;
}

unsigned long strtoul(const char *s, char **ret_end, int base)
{
    unsigned long value = 0;

    if (base != 10 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') && digit_of(s[2]) < 16) {
        s += 2;
        base = 16;
    }
    if (base == 0)
        base = 10;
    for (unsigned d; (d = digit_of(*s)) < (unsigned)base; s++)
        value = value * (unsigned)base + d;
    if (ret_end)
        *ret_end = (char *)(uintptr_t)s;
    return value;
}

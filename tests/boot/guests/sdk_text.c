/* The SDK's printf and string functions. */
#include "sdk/console.h"
#include "sdk/report.h"
#include "sdk/string.h"

#define CHECK(expected, ...)                                                                \
    do {                                                                                    \
        char text[64];                                                                      \
        int n = snprintf(text, sizeof(text), __VA_ARGS__);                                  \
        report(strcmp(text, expected) == 0 && n == (int)strlen(expected), "%s is %s", text, \
               expected);                                                                   \
    } while (0)

static void check_printf(void)
{
    char small[4];

    CHECK("-1 4294967295 ffffffff", "%d %u %x", -1, UINT32_MAX, UINT32_MAX);
    CHECK("18446744073709551615", "%lu", UINT64_MAX);
    CHECK("-9223372036854775808", "%ld", INT64_MIN);
    CHECK("[  42] [42  ] [0042] [00042]", "[%4d] [%-4d] [%04d] [%.5d]", 42, 42, 42, 42);
    CHECK("[-042] [ -42]", "[%04d] [%4d]", -42, -42);
    CHECK("ab [  ab] [ab  ] [a]", "%s [%4s] [%-4s] [%.1s]", "ab", "ab", "ab", "ab");
    CHECK("x % DEAD 0x10", "%c %% %X %p", 'x', 0xdead, (void *)16);
    CHECK("7f 1", "%hhx %hu", (unsigned char)0x7f, (unsigned short)1);
    CHECK("[   5] [abc]", "[%*d] [%.*s]", 4, 5, 3, "abcdef");
    report(snprintf(small, sizeof(small), "%s", "longer") == 6 && strcmp(small, "lon") == 0,
           "a small buffer cuts, the length is told");
}

static void check_strings(void)
{
    char text[16] = "0123456789";
    char *end;

    memmove(text + 2, text, 8);
    report(strcmp(text, "0101234567") == 0, "memmove upwards");
    memmove(text, text + 2, 8);
    report(strncmp(text, "01234567", 8) == 0, "memmove downwards");
    report(memcmp("abc", "abd", 3) < 0 && memcmp("b", "a", 1) > 0 && memcmp("x", "y", 0) == 0,
           "memcmp");
    report(memchr("abc", 'c', 3) != NULL && memchr("abc", 'c', 2) == NULL, "memchr");
    report(strcmp("a", "ab") < 0 && strncmp("abc", "abd", 2) == 0, "strcmp and strncmp");
    report(strchr("abc", 'b')[1] == 'c' && strchr("abc", 'x') == NULL, "strchr");
    report(strcmp(strstr("haystack", "st"), "stack") == 0 && !strstr("abc", "abcd"), "strstr");
    report(strtoul("123x", &end, 0) == 123 && *end == 'x' && strtoul("0xfF", NULL, 0) == 255,
           "strtoul");
}

int main(void)
{
    check_printf();
    check_strings();
    return report_summary();
}

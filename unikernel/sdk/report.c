/* Test results. */
#include "sdk/report.h"

#include "sdk/console.h"

#define NAME_MAX 256

static unsigned count, bad;

static void result(const char *verdict, const char *name, const char *note)
{
    printf("%s %u - %s%s\n", verdict, ++count, name, note);
}

bool report(bool passed, const char *format, ...)
{
    char name[NAME_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(name, sizeof(name), format, arguments);
    va_end(arguments);
    if (!passed)
        bad++;
    result(passed ? "ok" : "not ok", name, "");
    return passed;
}

void report_skip(const char *format, ...)
{
    char name[NAME_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(name, sizeof(name), format, arguments);
    va_end(arguments);
    result("ok", name, " # SKIP");
}

int report_summary(void)
{
    printf("1..%u\n", count);
    return bad > 0 || count == 0;
}

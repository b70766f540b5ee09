#include "launch.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Takes `text`; NULL: out of memory. */
static void append(struct launch *launch, struct string_list *list, char *text)
{
    if (!text || string_list_add(list, text) < 0)
        launch->failed = true;
}

void launch_add(struct launch *launch, const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    append(launch, &launch->argv, text);
}

void launch_add_list(struct launch *launch, const struct string_list *words)
{
    for (size_t i = 0; i < words->count; i++)
        append(launch, &launch->argv, strdup(words->items[i]));
}

void launch_add_environment(struct launch *launch, const char *pair)
{
    append(launch, &launch->environment, strdup(pair));
}

int launch_check(const struct launch *launch)
{
    return launch->failed ? -ENOMEM : 0;
}

void launch_free(struct launch *launch)
{
    string_list_free(&launch->argv);
    string_list_free(&launch->environment);
    *launch = (struct launch){0};
}

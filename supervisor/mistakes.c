#include "mistakes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void mistakes_add(struct mistakes *mistakes, unsigned line, const char *format, ...)
{
    struct mistake mistake = {.line = line};
    va_list args;

    if (mistakes->count++ >= MISTAKES_KEPT)
        return;
    va_start(args, format);
    if (vasprintf(&mistake.text, format, args) < 0)
        mistake.text = NULL; /* out of memory: the line is still told */
    va_end(args);
    mistakes->kept[mistakes->count - 1] = mistake;
}

size_t mistakes_kept(const struct mistakes *mistakes)
{
    return mistakes->count < MISTAKES_KEPT ? mistakes->count : MISTAKES_KEPT;
}

void mistakes_sort(struct mistakes *mistakes)
{
    /* By insertion: it is stable, and the list is short. */
    for (size_t i = 1; i < mistakes_kept(mistakes); i++) {
        struct mistake moved = mistakes->kept[i];
        size_t at = i;

        for (; at > 0 && mistakes->kept[at - 1].line > moved.line; at--)
            mistakes->kept[at] = mistakes->kept[at - 1];
        mistakes->kept[at] = moved;
    }
}

void mistakes_free(struct mistakes *mistakes)
{
    for (size_t i = 0; i < mistakes_kept(mistakes); i++)
        free(mistakes->kept[i].text);
    *mistakes = (struct mistakes){0};
}

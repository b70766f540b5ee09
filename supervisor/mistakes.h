/* What is wrong with a document: every mistake, each with its place. */
#ifndef OSVM_SUPERVISOR_MISTAKES_H
#define OSVM_SUPERVISOR_MISTAKES_H

#include <stdbool.h>
#include <stddef.h>

/* More are counted, not kept: a file with that many is not the file that was meant. */
#define MISTAKES_KEPT 100

struct mistake {
    unsigned line; /* from 1; 0 where the document has no lines (it came through the API) */
    char *text;    /* "resource_limits.max_memory_mb: 0 is below 1" */
};

/* All zeroes is the empty list. */
struct mistakes {
    struct mistake kept[MISTAKES_KEPT];
    size_t count; /* of all; those beyond MISTAKES_KEPT are not kept */
};

void mistakes_add(struct mistakes *mistakes, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* How many are in `kept`. */
size_t mistakes_kept(const struct mistakes *mistakes);

/* By line; those of one line stay in the order in which they were found. */
void mistakes_sort(struct mistakes *mistakes);

void mistakes_free(struct mistakes *mistakes);

#endif

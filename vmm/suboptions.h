/* Options whose value is a list: `--disk path=FILE,ro,rate=10M`. */
#ifndef OSVM_VMM_SUBOPTIONS_H
#define OSVM_VMM_SUBOPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct suboption {
    const char *name;
    bool has_value; /* name=VALUE, or only the name */
    /* @value  "" for one without. Returns 0 or a negative errno with what is wrong in err. */
    int (*set)(void *target, const char *value, struct error *err);
};

#define SUBOPTIONS_MAX 16

/**
 * Take `text` apart at its commas (a comma in a value is written twice) and set each part.
 *
 * @table  ends with a name of NULL
 * Returns 0, or a negative errno with what is wrong in err: an unknown name, one given twice,
 * one without its value or with one too many, or what its setter says.
 */
int suboptions_parse(const char *text, const struct suboption *table, void *target,
                     struct error *err);

#endif

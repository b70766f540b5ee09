#include "suboptions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* Move one part, up to a single comma, to `part`. Returns where the next one begins, or NULL. */
static const char *next_part(const char *text, char *part)
{
    for (; *text; text++) {
        if (*text == ',') {
            if (text[1] != ',') {
                *part = '\0';
                return text + 1;
            }
            text++;
        }
        *part++ = *text;
    }
    *part = '\0';
    return NULL;
}

static int known_names(const struct suboption *table, const char *name, struct error *err)
{
    char names[160] = "";

    for (; table->name; table++) {
        strncat(names, *names ? ", " : "", sizeof(names) - strlen(names) - 1);
        strncat(names, table->name, sizeof(names) - strlen(names) - 1);
    }
    return error_set(err, -EINVAL, "'%.40s' is none of %s", name, names);
}

static int set_part(char *part, const struct suboption *table, unsigned *seen, void *target,
                    struct error *err)
{
    char *equals = strchr(part, '=');
    const struct suboption *entry = table;

    if (equals)
        *equals = '\0';
    while (entry->name && strcmp(entry->name, part) != 0)
        entry++;
    if (!entry->name)
        return known_names(table, part, err);
    if (*seen & (1U << (entry - table)))
        return error_set(err, -EINVAL, "'%s' is given twice", part);
    *seen |= 1U << (entry - table);
    if (entry->has_value && (!equals || !equals[1]))
        return error_set(err, -EINVAL, "'%s' wants a value: %s=…", part, part);
    if (!entry->has_value && equals)
        return error_set(err, -EINVAL, "'%s' takes no value", part);
    return entry->set(target, equals ? equals + 1 : "", err);
}

int suboptions_parse(const char *text, const struct suboption *table, void *target,
                     struct error *err)
{
    _cleanup_free_ char *part = malloc(strlen(text) + 1);
    unsigned seen = 0;

    if (!part)
        return error_set(err, -ENOMEM, "out of memory");
    do {
        int r;

        text = next_part(text, part);
        r = set_part(part, table, &seen, target, err);
        if (r < 0)
            return r;
    } while (text);
    return 0;
}

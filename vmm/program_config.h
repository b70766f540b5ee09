/* What the program in a Hermit image is given: arguments, environment, files. */
#ifndef OSVM_VMM_PROGRAM_CONFIG_H
#define OSVM_VMM_PROGRAM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "hermit/files.h"

struct string_list {
    char **items; /* all owned */
    size_t count;
};

/* All strings are owned. */
struct program_config {
    struct string_list arguments;   /* without the program's own name */
    struct string_list environment; /* NAME=VALUE each, a name once */
    struct program_mapping {
        char *host, *guest;
        bool read_only;
    } mappings[HERMIT_MAX_MAPPINGS];
    size_t mapping_count;
    char *keep_files; /* NULL: the private folder vanishes */
};

/*
 * One option each; `value` is checked as far as it can be without looking at the host.
 * They return 0 or a negative errno with what is wrong in err. The lists can be cleared.
 */
int program_config_add_argument(struct program_config *program, const char *value,
                                struct error *err);
void program_config_clear_arguments(struct program_config *program);

/* NAME=VALUE; or NAME, for that of the caller's environment, if it has one. The last one of a name
 * counts. */
int program_config_add_variable(struct program_config *program, const char *value,
                                struct error *err);
void program_config_clear_variables(struct program_config *program);

/* HOST:GUEST[:ro]; GUEST is absolute, and begins at the last ":/". */
int program_config_add_mapping(struct program_config *program, const char *value,
                               struct error *err);
void program_config_clear_mappings(struct program_config *program);

/**
 * For a kernel that is no Hermit image: refuse what only such an image could be given.
 * Returns 0, or -EINVAL with what to say instead in err.
 */
int program_config_refuse(const struct program_config *program, struct error *err);

void program_config_free(struct program_config *program);

#endif

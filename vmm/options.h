/* The options of osvm-vmm: one table for the command line, the config file and --help. */
#ifndef OSVM_VMM_OPTIONS_H
#define OSVM_VMM_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "config.h"

enum option_argument {
    OPTION_FLAG,     /* --name; in a config file true or false */
    OPTION_VALUE,    /* --name VALUE or --name=VALUE; a string or a number */
    OPTION_OPTIONAL, /* --name or --name=VALUE; true, false, a string or a number */
    OPTION_LIST,     /* OPTION_VALUE that may be repeated; an array */
};

struct option {
    const char *name;
    enum option_argument argument;
    const char *placeholder; /* "FILE"; NULL for a flag */
    bool command_line_only;
    /**
     * Take a value (NULL for a flag or an absent optional one).
     * Returns 0 or a negative errno with what is wrong with the value in err.
     */
    int (*set)(struct config *config, const char *value, struct error *err);
    void (*clear)(struct config *config); /* of a list: forget what was set */
    const char *group;                    /* heading in --help, given at the first of the group */
    const char *help;
};

/* The table. */
const struct option *option_at(size_t index); /* NULL behind the last */
const struct option *option_find(const char *name, size_t name_len, size_t *ret_index);

#define OPTION_MAX 64

/* What the command line asks for. */
enum options_action { OPTIONS_RUN, OPTIONS_SHOW_HELP, OPTIONS_SHOW_VERSION };

/**
 * Read the command line, and the config file that it names (first, so that the command line
 * has the last word).
 *
 * @config      as config_init() left it
 * @ret_action  what to do; for help and version nothing else was looked at
 * Returns 0, or a negative errno with one line for the user in err.
 */
int options_parse(int argc, char *const argv[], struct config *config,
                  enum options_action *ret_action, struct error *err);

/* Print --help to standard output. */
void options_print_help(void);

#endif

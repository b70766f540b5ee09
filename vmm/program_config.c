#include "program_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* ---- Lists. ---- */

/* Append; the string is taken over, also on failure. */
static int append(struct string_list *list, char *string, struct error *err)
{
    _cleanup_free_ char *own = string;
    char **items;

    if (!own)
        return error_set(err, -ENOMEM, "out of memory");
    items = reallocarray(list->items, list->count + 1, sizeof(*items));
    if (!items)
        return error_set(err, -ENOMEM, "out of memory");
    list->items = items;
    items[list->count++] = take_ptr(own);
    return 0;
}

static void clear(struct string_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(take_ptr(list->items));
    list->count = 0;
}

/* ---- Arguments and environment. ---- */

int program_config_add_argument(struct program_config *program, const char *value,
                                struct error *err)
{
    return append(&program->arguments, strdup(value), err);
}

void program_config_clear_arguments(struct program_config *program)
{
    clear(&program->arguments);
}

/* The place of the variable whose NAME= this begins with, or NULL. */
static char **find_variable(const struct program_config *program, const char *variable)
{
    size_t len = (size_t)(strchr(variable, '=') - variable) + 1;

    for (size_t i = 0; i < program->environment.count; i++) {
        if (strncmp(program->environment.items[i], variable, len) == 0)
            return &program->environment.items[i];
    }
    return NULL;
}

int program_config_add_variable(struct program_config *program, const char *value,
                                struct error *err)
{
    const char *equals = strchr(value, '=');
    char *variable = NULL, **before;

    if (!*value || equals == value)
        return error_set(err, -EINVAL, "'%s' has no name; say NAME=VALUE, or NAME for the caller's",
                         value);
    if (equals) {
        variable = strdup(value);
    } else {
        const char *own = getenv(value);

        if (!own)
            return 0;
        if (asprintf(&variable, "%s=%s", value, own) < 0)
            variable = NULL;
    }
    before = variable ? find_variable(program, variable) : NULL;
    if (!before)
        return append(&program->environment, variable, err);
    free(*before);
    *before = variable;
    return 0;
}

void program_config_clear_variables(struct program_config *program)
{
    clear(&program->environment);
}

/* ---- Mappings. ---- */

/* Where the guest's path begins: behind the last ':' that a '/' follows. NULL: nowhere. */
static const char *find_guest(const char *value)
{
    const char *found = NULL;

    for (const char *at = value; (at = strstr(at, ":/")); at++)
        found = at + 1;
    return found && found - 1 > value ? found : NULL;
}

int program_config_add_mapping(struct program_config *program, const char *value, struct error *err)
{
    static const char read_only[] = ":ro";
    struct program_mapping *mapping = &program->mappings[program->mapping_count];
    const char *guest = find_guest(value);
    size_t guest_len = guest ? strlen(guest) : 0;
    const size_t suffix = sizeof(read_only) - 1;

    if (program->mapping_count == HERMIT_MAX_MAPPINGS)
        return error_set(err, -E2BIG, "at most %d mappings are taken", HERMIT_MAX_MAPPINGS);
    if (!guest)
        return error_set(err, -EINVAL,
                         "'%s' is not HOST:GUEST[:ro]; GUEST is a path that begins with '/'",
                         value);
    *mapping = (struct program_mapping){0};
    if (guest_len > suffix && strcmp(guest + guest_len - suffix, read_only) == 0) {
        mapping->read_only = true;
        guest_len -= suffix;
    }
    mapping->host = strndup(value, (size_t)(guest - 1 - value));
    mapping->guest = strndup(guest, guest_len);
    program->mapping_count++;
    return mapping->host && mapping->guest ? 0 : error_set(err, -ENOMEM, "out of memory");
}

void program_config_clear_mappings(struct program_config *program)
{
    for (size_t i = 0; i < program->mapping_count; i++) {
        free(take_ptr(program->mappings[i].host));
        free(take_ptr(program->mappings[i].guest));
    }
    program->mapping_count = 0;
}

/* ---- Other kernels. ---- */

int program_config_refuse(const struct program_config *program, struct error *err)
{
    if (program->arguments.count > 0)
        return error_set(err, -EINVAL,
                         "'%.64s': arguments (after '--') are for the program in a Hermit image; "
                         "this kernel takes what --cmdline says",
                         program->arguments.items[0]);
    if (program->environment.count > 0)
        return error_set(err, -EINVAL,
                         "--env is for the program in a Hermit image; this kernel takes what "
                         "--cmdline says");
    if (program->mapping_count > 0)
        return error_set(err, -EINVAL,
                         "--map is for the program in a Hermit image; this kernel can be given a "
                         "folder with --share");
    if (program->keep_files)
        return error_set(err, -EINVAL,
                         "--keep-files is for the program in a Hermit image; this kernel has no "
                         "such files");
    return 0;
}

void program_config_free(struct program_config *program)
{
    program_config_clear_arguments(program);
    program_config_clear_variables(program);
    program_config_clear_mappings(program);
    free(take_ptr(program->keep_files));
}

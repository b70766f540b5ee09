#include "archive_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define CONFIG_FILE "hermit.toml"

/* The kernel's arguments, a blank between each, and then the user's command line. */
static int apply_kernel_args(const struct hermit_strings *args, struct config *config,
                             struct error *err)
{
    for (size_t i = args->count; i-- > 0;) {
        char *joined;

        if (asprintf(&joined, "%s%s%s", args->items[i], config->cmdline ? " " : "",
                     config->cmdline ? config->cmdline : "") < 0)
            return error_set(err, -ENOMEM, "out of memory");
        free(config->cmdline);
        config->cmdline = joined;
    }
    return 0;
}

/* The image's first, then the user's: of a variable that both have, the last one counts. */
static int apply_strings(const struct hermit_config *image, struct program_config *program,
                         struct error *err)
{
    struct program_config user = *program;
    int r = 0;

    program->arguments = program->environment = (struct string_list){0};
    for (size_t i = 0; r == 0 && i < image->app_args.count; i++)
        r = program_config_add_argument(program, image->app_args.items[i], err);
    for (size_t i = 0; r == 0 && i < user.arguments.count; i++)
        r = program_config_add_argument(program, user.arguments.items[i], err);
    for (size_t i = 0; r == 0 && i < image->environment.count; i++)
        r = program_config_add_variable(program, image->environment.items[i], err);
    for (size_t i = 0; r == 0 && i < user.environment.count; i++)
        r = program_config_add_variable(program, user.environment.items[i], err);
    program_config_clear_arguments(&user);
    program_config_clear_variables(&user);
    return r;
}

static bool is_mapped(const struct program_config *program, const char *guest)
{
    for (size_t i = 0; i < program->mapping_count; i++) {
        if (strcmp(program->mappings[i].guest, guest) == 0)
            return true;
    }
    return false;
}

static int map_file(const struct image_archive_file *file, struct program_config *program,
                    struct error *err)
{
    struct program_mapping *mapping = &program->mappings[program->mapping_count];
    _cleanup_free_ char *guest = NULL;
    char *host;

    if (asprintf(&guest, "/%s", file->path) < 0)
        return error_set(err, -ENOMEM, "out of memory");
    if (is_mapped(program, guest))
        return 0;
    if (program->mapping_count == HERMIT_MAX_MAPPINGS)
        return error_set(err, -E2BIG, "it has more files than can be mapped (%d)",
                         HERMIT_MAX_MAPPINGS);
    if (asprintf(&host, "/proc/self/fd/%d", file->fd) < 0)
        return error_set(err, -ENOMEM, "out of memory");
    *mapping = (struct program_mapping){.host = host, .guest = take_ptr(guest), .read_only = true};
    program->mapping_count++;
    return 0;
}

int archive_config_apply(const struct hermit_archive *archive, struct config *config,
                         struct error *err)
{
    const struct image_archive *files = archive->files;
    int r = apply_kernel_args(&archive->config.kernel_args, config, err);

    if (r == 0)
        r = apply_strings(&archive->config, &config->program, err);
    for (size_t i = 0; r == 0 && i < files->count; i++) {
        const struct image_archive_file *file = &files->files[i];

        if (file != archive->kernel && strcmp(file->path, CONFIG_FILE) != 0)
            r = map_file(file, &config->program, err);
    }
    return r < 0 ? error_prefix(err, r, "cannot load kernel '%s'", config->kernel) : 0;
}

#include "archive/hermit.h"

#include <errno.h>
#include <stdlib.h>

#include "base/io.h"
#include "base/parse.h"
#include "base/util.h"

static int read_config(struct hermit_archive *archive, struct error *err)
{
    const struct image_archive_file *file = image_archive_find(archive->files, HERMIT_TOML_NAME);
    _cleanup_free_ char *text = NULL;
    int r;

    if (!file)
        return error_set(err, -ENOENT, "it is no image: there is no " HERMIT_TOML_NAME " in it");
    if (file->size > HERMIT_TOML_MAX)
        return error_set(err, -EFBIG, HERMIT_TOML_NAME " is longer than %d bytes", HERMIT_TOML_MAX);
    text = malloc(file->size + 1);
    if (!text)
        return error_set(err, -ENOMEM, "out of memory");
    r = io_pread_exact(file->fd, text, file->size, 0);
    if (r < 0)
        return error_set_errno(err, r, "cannot read " HERMIT_TOML_NAME);
    r = hermit_config_read(text, file->size, &archive->config, err);
    return r < 0 ? error_prefix(err, r, HERMIT_TOML_NAME) : 0;
}

int hermit_archive_open(int fd, const char *helper, const struct image_archive_limits *limits,
                        struct hermit_archive **ret_archive, struct error *err)
{
    _cleanup_(hermit_archive_free_cleanup) struct hermit_archive *archive =
        calloc(1, sizeof(*archive));
    int r;

    if (!archive)
        return error_set(err, -ENOMEM, "out of memory");
    r = image_archive_unpack(fd, helper, limits, &archive->files, err);
    if (r == 0)
        r = read_config(archive, err);
    if (r < 0)
        return r;
    archive->kernel = image_archive_find(archive->files, archive->config.kernel);
    if (!archive->kernel)
        return error_set(err, -ENOENT, HERMIT_TOML_NAME ": its kernel '%s' is not in the archive",
                         archive->config.kernel);
    *ret_archive = take_ptr(archive);
    return 0;
}

void hermit_archive_free(struct hermit_archive *archive)
{
    if (!archive)
        return;
    hermit_config_free(&archive->config);
    image_archive_free(archive->files);
    free(archive);
}

int hermit_config_check(const struct hermit_config *config, uint64_t memory, unsigned cpus,
                        struct error *err)
{
    char wanted[32], have[32];

    if (config->memory > memory)
        return error_set(err, -EINVAL,
                         "the image wants %s of memory, and the machine has %s: give more by --mem",
                         format_size(config->memory, wanted, sizeof(wanted)),
                         format_size(memory, have, sizeof(have)));
    if (config->cpus > cpus)
        return error_set(err, -EINVAL,
                         "the image wants %u CPUs, and the machine has %u: give more by --cpus",
                         config->cpus, cpus);
    return 0;
}

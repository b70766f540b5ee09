/*
 * Hermit images that are archives: a kernel, files beside it, and hermit.toml, which says how it is
 * to be started. The keys are those of the hermit-entry crate, module `config` (0.10.10).
 */
#ifndef OSVM_ARCHIVE_HERMIT_H
#define OSVM_ARCHIVE_HERMIT_H

#include <stddef.h>
#include <stdint.h>

#include "archive/archive.h"
#include "base/cleanup.h"
#include "base/error.h"

#define HERMIT_TOML_NAME "hermit.toml"
#define HERMIT_TOML_MAX  (64 * 1024) /* bytes */

struct hermit_strings {
    char **items;
    size_t count;
};

/* All owned; hermit_config_free(). */
struct hermit_config {
    char *kernel;                      /* its path in the archive */
    struct hermit_strings kernel_args; /* [input] kernel_args: before the "--" of the bootargs */
    struct hermit_strings app_args;    /* [input] app_args: behind it */
    struct hermit_strings environment; /* [input] env_vars: NAME=VALUE each */
    uint64_t memory;                   /* [requirements] memory: bytes at least; 0: nothing said */
    unsigned cpus;                     /* [requirements] cpus: at least; 0: nothing said */
};

/**
 * Read a hermit.toml.
 *
 * @ret_config  filled in whole, or untouched
 * Returns 0, or a negative errno with "line N: …" in err. Any thread.
 */
int hermit_config_read(const char *text, size_t len, struct hermit_config *ret_config,
                       struct error *err);
void hermit_config_free(struct hermit_config *config);

/* An image archive, opened. What is neither hermit.toml nor the kernel is for the guest to see. */
struct hermit_archive {
    struct image_archive *files;
    struct hermit_config config;
    struct image_archive_file *kernel; /* in `files` */
};

/**
 * Unpack an archive and read its hermit.toml; see image_archive_unpack().
 *
 * @ret_archive  freed by hermit_archive_free()
 * Returns 0 or a negative errno with the reason in err.
 */
int hermit_archive_open(int fd, const char *helper, const struct image_archive_limits *limits,
                        struct hermit_archive **ret_archive, struct error *err);
void hermit_archive_free(struct hermit_archive *archive);
DEFINE_CLEANUP(struct hermit_archive, hermit_archive_free)

/**
 * Whether a machine has what the image says that it needs.
 * Returns 0, or -EINVAL with what is missing, and the option that gives it, in err.
 */
int hermit_config_check(const struct hermit_config *config, uint64_t memory, unsigned cpus,
                        struct error *err);

#endif

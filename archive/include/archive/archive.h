/*
 * Image archives (.tar.gz), opened by a helper process that holds nothing but the archive: what it
 * reads is hostile, and libarchive is large. What comes out of it are files in memory, sealed, with
 * names that were checked on both sides.
 */
#ifndef OSVM_ARCHIVE_ARCHIVE_H
#define OSVM_ARCHIVE_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

#define IMAGE_ARCHIVE_PATH_MAX 255 /* bytes, without the end */

struct image_archive_file {
    char path[IMAGE_ARCHIVE_PATH_MAX + 1]; /* relative, of plain components: no "..", no "//" */
    int fd;                                /* a sealed memfd */
    uint64_t size;
};

struct image_archive {
    struct image_archive_file *files; /* no path twice */
    size_t count;
};

struct image_archive_limits {
    uint64_t bytes;    /* of all files, unpacked */
    unsigned files;    /* and folders */
    unsigned cpu_s;    /* seconds of CPU time */
    unsigned patience; /* seconds in all */
};

#define IMAGE_ARCHIVE_DEFAULT_LIMITS \
    ((struct image_archive_limits){  \
        .bytes = UINT64_C(1) << 30, .files = 4096, .cpu_s = 30, .patience = 60})

/* Whether a file begins as gzip does. Any thread. */
bool image_archive_recognise(int fd);

/**
 * Where the helper is: beside the running program.
 * Returns 0 or a negative errno with the reason in err.
 */
int image_archive_helper_path(char *ret_path, size_t size, struct error *err);

/**
 * Unpack an archive. Waits for the helper, which is gone afterwards.
 *
 * @fd           of the archive, which is read from its present offset on
 * @helper       path of osvm-unpack
 * @ret_archive  freed by image_archive_free()
 * Returns 0 or a negative errno with the reason in err: -EINVAL for what an image must not hold
 * (links, devices, paths that lead out), -EFBIG or -ETIMEDOUT over a limit, -EBADMSG where it is
 * damaged. Where this process waits for its children's ends by itself, not while it does that.
 */
int image_archive_unpack(int fd, const char *helper, const struct image_archive_limits *limits,
                         struct image_archive **ret_archive, struct error *err);

void image_archive_free(struct image_archive *archive);
DEFINE_CLEANUP(struct image_archive, image_archive_free)

/* A file by its path ("./" before it is passed over); NULL where there is none. */
struct image_archive_file *image_archive_find(const struct image_archive *archive,
                                              const char *path);

/**
 * Check a path and bring it into the form that struct image_archive_file has.
 * Returns whether it is one. For the helper, which is not trusted with it alone.
 */
bool image_archive_path_normalise(const char *path, char ret_path[IMAGE_ARCHIVE_PATH_MAX + 1]);

#endif

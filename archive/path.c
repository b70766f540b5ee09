#include <string.h>

#include "archive/archive.h"

/* Whether a component of `len` bytes is plain: a name, and none that leads elsewhere. */
static bool plain(const char *component, size_t len)
{
    if (len == 0 || (len == 1 && component[0] == '.') ||
        (len == 2 && component[0] == '.' && component[1] == '.'))
        return false;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)component[i] < ' ' || component[i] == 0x7f)
            return false;
    }
    return true;
}

bool image_archive_path_normalise(const char *path, char ret_path[IMAGE_ARCHIVE_PATH_MAX + 1])
{
    size_t len;

    while (path[0] == '.' && path[1] == '/')
        path += 2;
    len = strnlen(path, IMAGE_ARCHIVE_PATH_MAX + 1);
    if (len == 0 || len > IMAGE_ARCHIVE_PATH_MAX)
        return false;
    for (size_t at = 0; at <= len;) {
        size_t component = strcspn(path + at, "/");

        if (!plain(path + at, component))
            return false;
        at += component + 1;
    }
    memcpy(ret_path, path, len + 1);
    return true;
}

struct image_archive_file *image_archive_find(const struct image_archive *archive, const char *path)
{
    char wanted[IMAGE_ARCHIVE_PATH_MAX + 1];

    if (!image_archive_path_normalise(path, wanted))
        return NULL;
    for (size_t i = 0; i < archive->count; i++) {
        if (strcmp(archive->files[i].path, wanted) == 0)
            return &archive->files[i];
    }
    return NULL;
}

/* The private folder: made, counted, and removed with all that the guest left in it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/tree.h"
#include "base/util.h"
#include "files_internal.h"

#define TEMPORARY_TRIES 100
#define ENTRIES_SIZE    (16 * KIB)

/* ---- The limit. ---- */

int quota_charge(struct hermit_files *files, uint64_t bytes)
{
    if (files->size_limit == 0)
        return 0;
    if (!range_inside(files->size_used, bytes, files->size_limit))
        return -ENOSPC;
    files->size_used += bytes;
    return 0;
}

void quota_credit(struct hermit_files *files, uint64_t bytes)
{
    files->size_used -= min_u64(bytes, files->size_used);
}

/* ---- Making. ---- */

static int open_temporary(struct hermit_files *files, const char *where, struct error *err)
{
    uint64_t number;
    int fd;

    if (!where)
        where = secure_getenv("TMPDIR");
    if (!where || !*where)
        where = "/tmp";
    files->temporary_fd = open(where, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (files->temporary_fd < 0)
        return error_set_errno(err, -errno, "cannot make a temporary folder in '%s'", where);
    for (unsigned i = 0; i < TEMPORARY_TRIES; i++) {
        if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
            break;
        snprintf(files->temporary_name, sizeof(files->temporary_name), "osvm-%016" PRIx64, number);
        if (mkdirat(files->temporary_fd, files->temporary_name, 0700) == 0) {
            fd = openat(files->temporary_fd, files->temporary_name,
                        O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            return fd < 0 ? error_set_errno(err, -errno, "cannot open a temporary folder") : fd;
        }
        if (errno != EEXIST)
            break;
    }
    files->temporary_name[0] = '\0';
    return error_set_errno(err, -errno, "cannot make a temporary folder in '%s'", where);
}

static int open_folder(int folder, const char *name)
{
    return openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool is_empty(int top)
{
    _Alignas(struct dirent64) uint8_t entries[ENTRIES_SIZE];
    _cleanup_close_ int folder = open_folder(top, ".");
    ssize_t n = folder < 0 ? -1 : getdents64(folder, entries, sizeof(entries));

    for (ssize_t at = 0; at < n;) {
        const struct dirent64 *entry = (const void *)(entries + at);

        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            return false;
        at += entry->d_reclen;
    }
    return n >= 0;
}

static int open_kept(const char *path, struct error *err)
{
    _cleanup_close_ int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return error_set_errno(err, -errno, "cannot open the folder '%s'", path);
    if (faccessat(fd, "", R_OK | W_OK | X_OK, AT_EMPTY_PATH | AT_EACCESS) < 0)
        return error_set(err, -EACCES, "no right to read and write the folder '%s'", path);
    if (!is_empty(fd))
        return error_set(err, -ENOTEMPTY,
                         "the folder '%s' is not empty; name a new or an empty one", path);
    return take_fd(&fd);
}

/* Look whether a folder could be kept there. */
static int try_kept(const char *path, struct error *err)
{
    _cleanup_close_ int fd = -1;

    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    fd = open_kept(path, err);
    return fd < 0 ? take_fd(&fd) : 0;
}

static int make_kept(const char *path, struct error *err)
{
    if (mkdir(path, 0777) < 0 && errno != EEXIST)
        return error_set_errno(err, -errno, "cannot make the folder '%s'", path);
    return open_kept(path, err);
}

int private_create(struct hermit_files *files, const struct hermit_files_options *options,
                   struct error *err)
{
    struct mount *mount = &files->mounts[0];
    int r = options->keep && options->try_only ? try_kept(options->keep, err) : 0;

    if (r < 0)
        return r;
    files->size_limit = options->size_limit;
    mount->fd = options->keep && !options->try_only
                    ? make_kept(options->keep, err)
                    : open_temporary(files, options->temporary, err);
    if (mount->fd < 0)
        return mount->fd;
    mount->guest = strdup("");
    if (!mount->guest)
        return error_set(err, -ENOMEM, "out of memory");
    mount->is_folder = mount->is_private = true;
    mount->links = BENEATH_NO_LINKS; /* mappings lie inside; and the guest cannot make any */
    return 0;
}

/*
 * ---- Where mappings begin. ----
 * A listing shows a mapping by an empty file or folder of its name in the private folder; the guest
 * cannot reach it, since the mapping has its path. For one inside another mapping none is made: it
 * would be made on the host.
 */

static const struct mount *mount_around(const struct hermit_files *files, const struct mount *inner)
{
    char path[PATH_MAX];
    struct place place;

    snprintf(path, sizeof(path), "%s/..", inner->guest);
    return files_place(files, path, &place) < 0 ? NULL : place.mount;
}

static int make_place(int top, const struct mount *mount)
{
    char path[PATH_MAX];
    _cleanup_close_ int fd = -1;

    for (const char *at = mount->guest + 1; (at = strchr(at, '/')); at++) {
        snprintf(path, sizeof(path), "%.*s", (int)(at - mount->guest - 1), mount->guest + 1);
        if (mkdirat(top, path, 0755) < 0 && errno != EEXIST)
            return -errno;
    }
    if (mount->is_folder)
        return mkdirat(top, mount->guest + 1, 0755) < 0 && errno != EEXIST ? -errno : 0;
    fd = beneath_open(top, mount->guest + 1, O_WRONLY | O_CREAT | O_EXCL, 0600, BENEATH_NO_LINKS);
    return fd < 0 ? take_fd(&fd) : 0;
}

int private_make_places(struct hermit_files *files, struct error *err)
{
    for (size_t i = 1; i < files->mount_count; i++) {
        const struct mount *mount = &files->mounts[i];
        int r;

        if (mount->guest_len == 0 || mount_around(files, mount) != &files->mounts[0])
            continue;
        r = make_place(files->mounts[0].fd, mount);
        if (r < 0)
            return error_set_errno(err, r, "cannot make a place for '%s'", mount->guest);
    }
    return 0;
}

/* Of a folder that is kept: what is left of the places, empty as they are. */
static void remove_places(const struct hermit_files *files)
{
    for (size_t i = files->mount_count; i-- > 1;) {
        char path[PATH_MAX], *slash;

        if (files->mounts[i].guest_len == 0)
            continue;
        snprintf(path, sizeof(path), "%s", files->mounts[i].guest + 1);
        unlinkat(files->mounts[0].fd, path, files->mounts[i].is_folder ? AT_REMOVEDIR : 0);
        while ((slash = strrchr(path, '/'))) {
            *slash = '\0';
            unlinkat(files->mounts[0].fd, path, AT_REMOVEDIR);
        }
    }
}

void private_destroy(struct hermit_files *files)
{
    if (files->temporary_fd < 0) {
        if (files->mounts[0].fd >= 0)
            remove_places(files);
        return;
    }
    if (files->mounts[0].fd >= 0)
        tree_empty(files->mounts[0].fd);
    if (files->temporary_name[0])
        unlinkat(files->temporary_fd, files->temporary_name, AT_REMOVEDIR);
    close_fd(take_fd(&files->temporary_fd));
}

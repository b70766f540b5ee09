/* What is done with names. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "files_internal.h"

/* A private name is gone; `st` is what it had been. quota_lock held. */
static void name_removed(struct hermit_files *files, const struct stat *st)
{
    quota_credit(files, FILES_NAME_BYTES);
    if (S_ISREG(st->st_mode) && st->st_nlink == 1 && !table_has(files, st->st_dev, st->st_ino))
        quota_credit(files, (uint64_t)st->st_size); /* else with the last descriptor */
}

static int remove_private(struct hermit_files *files, int parent, const char *name)
{
    struct stat st;
    int r = 0;

    pthread_mutex_lock(&files->quota_lock);
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || unlinkat(parent, name, 0) < 0)
        r = -errno;
    else
        name_removed(files, &st);
    pthread_mutex_unlock(&files->quota_lock);
    return r;
}

static int remove_name(struct hermit_files *files, const struct place *place)
{
    _cleanup_close_ int parent = -1;
    const char *name;

    if (*place->rest && place->mount->read_only)
        return -EROFS;
    parent = files_open_parent(place, &name);
    if (parent < 0)
        return take_fd(&parent);
    if (place->mount->is_private)
        return remove_private(files, parent, name);
    return unlinkat(parent, name, 0) < 0 ? -errno : 0;
}

int files_unlink(struct hermit_files *files, const char *path)
{
    struct place place;
    int r = files_place(files, path, &place);

    return r < 0 ? r : remove_name(files, &place);
}

static int make_folder(int parent, const char *name, uint32_t mode)
{
    return mkdirat(parent, name, mode & 0777) < 0 ? -errno : 0;
}

static int make_private_folder(struct hermit_files *files, int parent, const char *name,
                               uint32_t mode)
{
    int r;

    pthread_mutex_lock(&files->quota_lock);
    r = quota_charge(files, FILES_NAME_BYTES);
    if (r == 0) {
        r = make_folder(parent, name, mode);
        if (r < 0)
            quota_credit(files, FILES_NAME_BYTES);
    }
    pthread_mutex_unlock(&files->quota_lock);
    return r;
}

int files_mkdir(struct hermit_files *files, const char *path, uint32_t mode)
{
    _cleanup_close_ int parent = -1;
    struct place place;
    const char *name;
    int r = files_place(files, path, &place);

    if (r < 0)
        return r;
    if (!*place.rest)
        return -EEXIST;
    if (place.mount->read_only)
        return -EROFS;
    parent = files_open_parent(&place, &name);
    if (parent < 0)
        return take_fd(&parent);
    return place.mount->is_private ? make_private_folder(files, parent, name, mode)
                                   : make_folder(parent, name, mode);
}

int files_stat(struct hermit_files *files, const char *path, bool follow, struct stat *ret_st)
{
    _cleanup_close_ int fd = -1;
    struct place place;
    struct stat st;
    int r = files_place(files, path, &place);

    if (r < 0)
        return r;
    if (*place.rest && !place.mount->is_folder)
        return -ENOTDIR;
    if (*place.rest) {
        fd = beneath_open(place.mount->fd, place.rest, O_PATH | (follow ? 0 : O_NOFOLLOW), 0,
                          place.mount->links);
        if (fd < 0)
            return take_fd(&fd);
    }
    if (fstat(*place.rest ? fd : place.mount->fd, &st) < 0)
        return -errno;
    *ret_st = st;
    return 0;
}

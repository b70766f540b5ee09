/* Opening and closing. */
#include <errno.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "files_internal.h"

/*
 * What of the guest's flags comes to the host. O_CREAT, O_EXCL, O_TRUNC and O_DIRECTORY are dealt
 * with one by one; O_PATH and O_TMPFILE are refused; the rest is dropped: O_DIRECT, because the
 * guest's buffers have no such alignment, O_NONBLOCK, O_NOCTTY and O_CLOEXEC, because they are set
 * or mean nothing for what is opened here.
 */
#define KEPT_FLAGS    (O_ACCMODE | O_APPEND | O_SYNC | O_DSYNC)
#define REFUSED_FLAGS (O_PATH | (O_TMPFILE & ~O_DIRECTORY))

static bool is_readable(uint32_t flags)
{
    return (flags & O_ACCMODE) != O_WRONLY;
}

static bool is_writable(uint32_t flags)
{
    return (flags & O_ACCMODE) != O_RDONLY;
}

static int check_flags(uint32_t flags)
{
    if ((flags & O_ACCMODE) == O_ACCMODE || (flags & REFUSED_FLAGS))
        return -EINVAL;
    if ((flags & O_CREAT) && (flags & O_DIRECTORY))
        return -EINVAL;
    return 0;
}

static const char *or_dot(const char *rest)
{
    return *rest ? rest : ".";
}

/*
 * Open what is there: a regular file or a folder. What it is is looked at without opening it, since
 * opening a device or a fifo may already do something, and once more on what was opened.
 */
static int open_existing(const struct place *place, uint32_t flags, struct stat *ret_st)
{
    const struct mount *mount = place->mount;
    int nofollow = flags & O_NOFOLLOW;
    _cleanup_close_ int seen =
        beneath_open(mount->fd, or_dot(place->rest), O_PATH | nofollow, 0, mount->links);
    _cleanup_close_ int fd = -1;
    struct stat before, st;

    if (seen < 0)
        return seen;
    if (fstat(seen, &before) < 0)
        return -errno;
    if (S_ISLNK(before.st_mode))
        return -ELOOP;
    if (S_ISDIR(before.st_mode) && (is_writable(flags) || (flags & (O_CREAT | O_TRUNC))))
        return -EISDIR;
    if (!S_ISDIR(before.st_mode) && (flags & O_DIRECTORY))
        return -ENOTDIR;
    if (!S_ISDIR(before.st_mode) && !S_ISREG(before.st_mode))
        return -ENXIO;
    fd =
        beneath_open(mount->fd, or_dot(place->rest),
                     (int)(flags & KEPT_FLAGS) | nofollow | O_NONBLOCK | O_NOCTTY, 0, mount->links);
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_dev != before.st_dev || st.st_ino != before.st_ino)
        return -ESTALE; /* the host put another in its place meanwhile */
    *ret_st = st;
    return take_fd(&fd);
}

/* Make a new file. A link of that name, wherever it leads, is a file that exists. quota_lock held
 * for a private one. */
static int create_new(struct hermit_files *files, const struct place *place, uint32_t flags,
                      uint32_t mode, struct stat *ret_st)
{
    const struct mount *mount = place->mount;
    _cleanup_close_ int fd = -1;
    int r = mount->is_private ? quota_charge(files, FILES_NAME_BYTES) : 0;

    if (r < 0)
        return r;
    fd = beneath_open(mount->fd, place->rest, (int)(flags & KEPT_FLAGS) | O_CREAT | O_EXCL,
                      mode & 0777, mount->links);
    if (fd < 0) {
        if (mount->is_private)
            quota_credit(files, FILES_NAME_BYTES);
        return fd;
    }
    return fstat(fd, ret_st) < 0 ? -errno : take_fd(&fd);
}

/* quota_lock held for a private file. */
static int cut_off(struct hermit_files *files, const struct mount *mount, int fd,
                   const struct stat *st)
{
    if (st->st_size == 0)
        return 0;
    if (ftruncate(fd, 0) < 0)
        return -errno;
    if (mount->is_private)
        quota_credit(files, (uint64_t)st->st_size);
    return 0;
}

/* Open beneath a folder. Returns a descriptor of the caller's or a negative errno. */
static int open_beneath(struct hermit_files *files, const struct place *place, uint32_t flags,
                        uint32_t mode, struct stat *ret_st)
{
    bool read_only = place->mount->read_only;
    _cleanup_close_ int fd = -EEXIST;
    int r;

    if (read_only && (is_writable(flags) || (flags & O_TRUNC)))
        return -EROFS;
    if ((flags & O_CREAT) && !read_only && *place->rest) {
        fd = create_new(files, place, flags, mode, ret_st);
        if (fd != -EEXIST)
            return take_fd(&fd);
    }
    if ((flags & O_CREAT) && (flags & O_EXCL))
        return read_only ? -EROFS : -EEXIST;
    /* Linux cuts off a file that is opened for reading alone, too. */
    if ((flags & O_TRUNC) && !is_writable(flags))
        flags = (flags & ~(uint32_t)O_ACCMODE) | O_RDWR;
    fd = open_existing(place, flags, ret_st);
    if (fd < 0)
        return fd == -ENOENT && (flags & O_CREAT) && read_only ? -EROFS : take_fd(&fd);
    if (flags & O_TRUNC) {
        r = cut_off(files, place->mount, fd, ret_st);
        if (r < 0)
            return r;
    }
    return take_fd(&fd);
}

/* A mapped file: the descriptor is there already, and shared. */
static int open_mapped_file(struct hermit_files *files, const struct place *place, uint32_t flags,
                            struct stat *ret_st)
{
    const struct mount *mount = place->mount;

    if (*place->rest || (flags & O_DIRECTORY))
        return -ENOTDIR;
    if ((flags & O_CREAT) && (flags & O_EXCL))
        return -EEXIST;
    if (mount->read_only && (is_writable(flags) || (flags & O_TRUNC)))
        return -EROFS;
    if (fstat(mount->fd, ret_st) < 0)
        return -errno;
    if (flags & O_TRUNC) {
        int r = cut_off(files, mount, mount->fd, ret_st);

        if (r < 0)
            return r;
    }
    return mount->fd;
}

/* Keep what was opened. Returns the guest's descriptor; or a negative errno, the fd being closed.
 */
static int keep_open(struct hermit_files *files, const struct place *place, int fd, uint32_t flags,
                     const struct stat *st)
{
    const struct open_file file = {
        .fd = fd,
        .owns_fd = place->mount->is_folder,
        .is_folder = S_ISDIR(st->st_mode),
        .readable = is_readable(flags),
        .writable = is_writable(flags),
        .append = flags & O_APPEND,
        .is_private = place->mount->is_private,
        .is_top = !*place->rest,
        .dev = st->st_dev,
        .ino = st->st_ino,
    };
    int r = table_add(files, &file);

    if (r < 0 && file.owns_fd)
        close_fd(fd);
    return r;
}

static int open_place(struct hermit_files *files, const struct place *place, uint32_t flags,
                      uint32_t mode)
{
    struct stat st;
    int fd = place->mount->is_folder ? open_beneath(files, place, flags, mode, &st)
                                     : open_mapped_file(files, place, flags, &st);

    return fd < 0 ? fd : keep_open(files, place, fd, flags, &st);
}

int files_open(struct hermit_files *files, const char *path, uint32_t flags, uint32_t mode)
{
    struct place place;
    int r = check_flags(flags);

    if (r == 0)
        r = files_place(files, path, &place);
    if (r < 0)
        return r;
    if (!place.mount->is_private)
        return open_place(files, &place, flags, mode);
    pthread_mutex_lock(&files->quota_lock);
    r = open_place(files, &place, flags, mode);
    pthread_mutex_unlock(&files->quota_lock);
    return r;
}

int files_close(struct hermit_files *files, int32_t fd)
{
    return table_close(files, fd);
}

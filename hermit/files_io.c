/* What is done with an open file. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "files_internal.h"

#define GETDENTS_SIZE (16 * KIB)

/* ---- Data, straight between the file and guest memory. ---- */

static uint64_t pieces_length(const struct iovec *iov, int count)
{
    uint64_t len = 0;

    for (int i = 0; i < count; i++)
        len += iov[i].iov_len;
    return len;
}

static ssize_t read_pieces(const struct open_file *file, const struct iovec *iov, int count)
{
    ssize_t n;

    do {
        n = preadv(file->fd, iov, count, (off_t)file->position);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* A mapped file's descriptor is shared, so that appending is said with each write. */
static ssize_t write_to_host(const struct open_file *file, const struct iovec *iov, int count)
{
    ssize_t n;

    do {
        n = pwritev2(file->fd, iov, count, (off_t)file->position, file->append ? RWF_APPEND : 0);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* How far a file grows when it is written up to `end`. */
static uint64_t growth(uint64_t size, uint64_t end)
{
    return end > size ? end - size : 0;
}

/* A write into the private folder: counted by what the file has really grown. */
static ssize_t write_counted(struct hermit_files *files, const struct open_file *file,
                             const struct iovec *iov, int count)
{
    uint64_t reserved, size, start, len = pieces_length(iov, count);
    struct stat st;
    ssize_t n;

    if (fstat(file->fd, &st) < 0)
        return -errno;
    size = (uint64_t)st.st_size;
    start = file->append ? size : file->position;
    if (len > INT64_MAX - start)
        return -EFBIG;
    reserved = growth(size, start + len);
    n = quota_charge(files, reserved);
    if (n < 0)
        return n;
    n = write_to_host(file, iov, count);
    quota_credit(files, reserved - (n > 0 ? growth(size, start + (uint64_t)n) : 0));
    return n;
}

static ssize_t write_pieces(struct hermit_files *files, struct open_file *file,
                            const struct iovec *iov, int count)
{
    struct stat st;
    ssize_t n;

    if (file->is_private)
        pthread_mutex_lock(&files->quota_lock);
    n = file->is_private ? write_counted(files, file, iov, count) : write_to_host(file, iov, count);
    if (file->is_private)
        pthread_mutex_unlock(&files->quota_lock);
    if (n > 0 && file->append && fstat(file->fd, &st) == 0)
        file->position = (uint64_t)st.st_size - (uint64_t)n; /* where it went */
    return n;
}

/* Move a buffer, chunk by chunk, until one is not moved whole. The file's lock held. */
static int64_t transfer(struct hermit_files *files, struct open_file *file,
                        const struct buffer *buffer)
{
    struct iovec iov[BUFFER_PIECES];
    uint64_t done = 0;
    ssize_t n;
    int count;

    for (;;) {
        count = buffer_pieces(buffer, done, iov);
        if (count <= 0)
            return done > 0 ? (int64_t)done : count;
        n = buffer->write ? read_pieces(file, iov, count) : write_pieces(files, file, iov, count);
        if (n < 0)
            return done > 0 ? (int64_t)done : n;
        file->position += (uint64_t)n;
        done += (uint64_t)n;
        if ((uint64_t)n < pieces_length(iov, count))
            return (int64_t)done;
    }
}

/* A read or a write, with the file counted as in use. */
static int64_t transfer_on(struct hermit_files *files, struct open_file *file,
                           const struct buffer *buffer)
{
    int64_t r;

    if (buffer->write ? !file->readable : !file->writable)
        return -EBADF;
    if (file->is_folder)
        return -EISDIR;
    r = buffer_check(buffer);
    if (r < 0)
        return r;
    pthread_mutex_lock(&file->lock);
    r = transfer(files, file, buffer);
    pthread_mutex_unlock(&file->lock);
    return r;
}

int64_t files_read(struct hermit_files *files, int32_t fd, const struct buffer *buffer)
{
    struct open_file *file = table_get(files, fd);
    int64_t r;

    if (!file)
        return -EBADF;
    r = transfer_on(files, file, buffer);
    table_put(files, file);
    return r;
}

int64_t files_write(struct hermit_files *files, int32_t fd, const struct buffer *buffer)
{
    return files_read(files, fd, buffer); /* the buffer says which way */
}

/* ---- Position. ---- */

/* SEEK_DATA and SEEK_HOLE move the host descriptor's own position, which nobody uses. */
static int64_t seek_file(struct open_file *file, int64_t offset, uint32_t whence)
{
    uint64_t base = 0;
    struct stat st;
    int64_t r;

    switch (whence) {
    case SEEK_SET:
        break;
    case SEEK_CUR:
        base = file->position;
        break;
    case SEEK_END:
        if (fstat(file->fd, &st) < 0)
            return -errno;
        base = (uint64_t)st.st_size;
        break;
    case SEEK_DATA:
    case SEEK_HOLE:
        r = lseek(file->fd, offset, (int)whence);
        return r < 0 ? -errno : r;
    default:
        return -EINVAL;
    }
    if (__builtin_add_overflow((int64_t)base, offset, &r))
        return -EOVERFLOW;
    return r < 0 ? -EINVAL : r;
}

static int64_t seek_folder(struct open_file *file, int64_t offset, uint32_t whence)
{
    int64_t r;

    if (whence != SEEK_SET && whence != SEEK_CUR)
        return -EINVAL;
    r = lseek(file->fd, offset, (int)whence);
    return r < 0 ? -errno : r;
}

int64_t files_lseek(struct hermit_files *files, int32_t fd, int64_t offset, uint32_t whence)
{
    struct open_file *file = table_get(files, fd);
    int64_t r;

    if (!file)
        return -EBADF;
    pthread_mutex_lock(&file->lock);
    if (file->is_folder) {
        r = seek_folder(file, offset, whence);
    } else {
        r = seek_file(file, offset, whence);
        if (r >= 0)
            file->position = (uint64_t)r;
    }
    pthread_mutex_unlock(&file->lock);
    table_put(files, file);
    return r;
}

int files_fstat(struct hermit_files *files, int32_t fd, struct stat *ret_st)
{
    struct open_file *file = table_get(files, fd);
    int r;

    if (!file)
        return -EBADF;
    r = fstat(file->fd, ret_st) < 0 ? -errno : 0;
    table_put(files, file);
    return r;
}

/* ---- Folders. ---- */

/* What is above the folder of a mapping is none of the guest's business. */
static void hide_parent(const struct open_file *file, uint8_t *entries, ssize_t len)
{
    for (ssize_t at = 0; at < len;) {
        struct dirent64 *entry = (void *)(entries + at);

        if (strcmp(entry->d_name, "..") == 0)
            entry->d_ino = file->ino;
        at += entry->d_reclen;
    }
}

static int64_t read_folder(struct open_file *file, const struct buffer *buffer)
{
    _Alignas(struct dirent64) uint8_t entries[GETDENTS_SIZE];
    ssize_t n;
    int r;

    if (!file->is_folder)
        return -ENOTDIR;
    r = buffer_check(buffer); /* before the position moves */
    if (r < 0)
        return r;
    n = getdents64(file->fd, entries, (size_t)min_u64(buffer->len, sizeof(entries)));
    if (n < 0)
        return -errno;
    if (file->is_top)
        hide_parent(file, entries, n);
    r = buffer_fill(buffer, entries, (size_t)n);
    return r < 0 ? r : n;
}

int64_t files_getdents(struct hermit_files *files, int32_t fd, const struct buffer *buffer)
{
    struct open_file *file = table_get(files, fd);
    int64_t r;

    if (!file)
        return -EBADF;
    pthread_mutex_lock(&file->lock);
    r = read_folder(file, buffer);
    pthread_mutex_unlock(&file->lock);
    table_put(files, file);
    return r;
}

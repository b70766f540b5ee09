#include "loader/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/util.h"

struct image {
    int fd;               /* -1 for an image in memory */
    const uint8_t *bytes; /* NULL for a file; borrowed */
    uint64_t size;
};

/* Refuse all but regular files that hold something, each in its own words. */
static int check_kind(const struct stat *st, struct error *err)
{
    if (S_ISDIR(st->st_mode))
        return error_set(err, -EISDIR, "is a directory, not a file");
    if (S_ISFIFO(st->st_mode) || S_ISSOCK(st->st_mode))
        return error_set(err, -EINVAL, "is a pipe or a socket, not a regular file");
    if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
        return error_set(err, -EINVAL, "is a device, not a regular file");
    if (!S_ISREG(st->st_mode))
        return error_set(err, -EINVAL, "is not a regular file");
    if (st->st_size == 0)
        return error_set(err, -ENODATA, "is empty");
    return 0;
}

static int open_error(int code, struct error *err)
{
    if (code == -ENOENT)
        return error_set(err, code, "no such file");
    return error_set_errno(err, code, "cannot open it");
}

int image_open(const char *path, struct image **ret_image, struct error *err)
{
    _cleanup_(image_close_cleanup) struct image *image = NULL;
    struct stat st;
    int r;

    /* Looked at before it is opened, because opening a device can already do something. */
    if (stat(path, &st) < 0)
        return open_error(-errno, err);
    r = check_kind(&st, err);
    if (r < 0)
        return r;
    r = image_from_bytes(NULL, 0, &image);
    if (r < 0)
        return error_set_errno(err, r, "cannot open it");
    image->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (image->fd < 0)
        return open_error(-errno, err);
    if (fstat(image->fd, &st) < 0)
        return open_error(-errno, err);
    r = check_kind(&st, err);
    if (r < 0)
        return r;
    image->size = (uint64_t)st.st_size;
    *ret_image = take_ptr(image);
    return 0;
}

int image_from_fd(int fd, struct image **ret_image)
{
    struct stat st;
    int r;

    if (fstat(fd, &st) < 0)
        return -errno;
    r = image_from_bytes(NULL, (size_t)st.st_size, ret_image);
    if (r == 0)
        (*ret_image)->fd = fd;
    return r;
}

int image_from_bytes(const void *bytes, size_t size, struct image **ret_image)
{
    struct image *image = malloc(sizeof(*image));

    if (!image)
        return -ENOMEM;
    *image = (struct image){.fd = -1, .bytes = bytes, .size = size};
    *ret_image = image;
    return 0;
}

void image_close(struct image *image)
{
    if (!image)
        return;
    close_fd(image->fd);
    free(image);
}

uint64_t image_size(const struct image *image)
{
    return image->size;
}

int image_read(const struct image *image, uint64_t offset, void *buf, size_t len)
{
    if (!range_inside(offset, len, image->size))
        return -ENODATA;
    if (len == 0)
        return 0;
    if (image->fd >= 0)
        return io_pread_exact(image->fd, buf, len, offset);
    memcpy(buf, image->bytes + offset, len);
    return 0;
}

int image_read_to_guest(const struct image *image, uint64_t offset, struct guest_memory *mem,
                        uint64_t gpa, uint64_t len)
{
    void *host;
    int r;

    if (!range_inside(offset, len, image->size))
        return -ENODATA;
    r = guest_memory_span(mem, gpa, len, &host);
    if (r < 0)
        return r;
    return image_read(image, offset, host, len);
}

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"

int io_pread_exact(int fd, void *buf, size_t len, uint64_t offset)
{
    char *p = buf;

    while (len > 0) {
        ssize_t n = pread(fd, p, len, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -ENODATA;
        p += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

int io_write_all(int fd, const void *buf, size_t len)
{
    const char *p = buf;

    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

int io_read_file(const char *path, size_t max, char **ret_buf, size_t *ret_len)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    _cleanup_free_ char *buf = NULL;
    size_t used = 0, room = 0;

    if (fd < 0)
        return -errno;
    for (;;) {
        ssize_t n;

        if (used == room) {
            char *bigger;

            if (room > max)
                return -EFBIG;
            room = room ? room * 2 : 4096;
            bigger = realloc(buf, room + 1);
            if (!bigger)
                return -ENOMEM;
            buf = bigger;
        }
        n = read(fd, buf + used, room - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        used += (size_t)n;
        if (used > max)
            return -EFBIG;
    }
    buf[used] = '\0';
    *ret_buf = take_ptr(buf);
    *ret_len = used;
    return 0;
}

int io_replace_file(const char *path, const void *buf, size_t len)
{
    _cleanup_close_ int fd = -1;
    char temporary[PATH_MAX];
    int r;

    if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= (int)sizeof(temporary))
        return -ENAMETOOLONG;
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    r = io_write_all(fd, buf, len);
    if (r == 0 && rename(temporary, path) < 0)
        r = -errno;
    if (r < 0)
        unlink(temporary);
    return r;
}

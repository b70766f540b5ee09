#include "console_open.h"

#include <errno.h>
#include <fcntl.h>

int console_open_file(const char *path, int *ret_fd, bool *ret_is_new, struct error *err)
{
    const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY;
    bool is_new = false;
    int fd = open(path, flags);

    if (fd < 0 && errno == ENOENT) {
        fd = open(path, flags | O_CREAT | O_EXCL, 0666);
        is_new = fd >= 0;
    }
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot open it");
    *ret_fd = fd;
    *ret_is_new = is_new;
    return 0;
}

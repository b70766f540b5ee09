#include "base/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A rename on the host while a ".." of a link is walked makes the kernel give up: -EAGAIN. */
#define BENEATH_TRIES 16

int beneath_open(int folder_fd, const char *path, int flags, mode_t mode, enum beneath_links links)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
        .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV |
                   (links == BENEATH_NO_LINKS ? RESOLVE_NO_SYMLINKS : 0),
    };
    long fd = -1;

    for (unsigned i = 0; i < BENEATH_TRIES; i++) {
        fd = syscall(SYS_openat2, folder_fd, path, &how, sizeof(how));
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    }
    return fd < 0 ? -errno : (int)fd;
}

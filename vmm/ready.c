#include "ready.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "base/parse.h"
#include "base/util.h"
#include "config.h"

int ready_config_set_fd(struct config *config, const char *value, struct error *err)
{
    uint64_t fd;

    if (parse_u64(value, STDERR_FILENO + 1, INT32_MAX, &fd) < 0)
        return error_set(err, -EINVAL, "'%s' is not the number of a descriptor above %d", value,
                         STDERR_FILENO);
    if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
        return error_set_errno(err, -errno, "descriptor %s", value);
    config->ready_fd = (int)fd;
    return 0;
}

static void on_milestone(struct milestone_observer *observer, unsigned milestone)
{
    const struct ready *ready = container_of(observer, struct ready, observer);

    /* An error is the reader's business: it sees the end of file. */
    if (milestone == OSVM_MILESTONE_READY && ready->fd >= 0)
        io_write_all(ready->fd, "\n", 1);
}

void ready_init(struct ready *ready, int fd)
{
    *ready = (struct ready){.observer.reached = on_milestone, .fd = fd};
}

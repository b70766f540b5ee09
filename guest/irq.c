#include "guest/irq.h"

#include <errno.h>
#include <unistd.h>

#include "base/cleanup.h"

void irq_line_pulse(const struct irq_line *line)
{
    const uint64_t one = 1;
    int saved = errno;

    if (line->fd >= 0 && write(line->fd, &one, sizeof(one)) < 0) {
        /* EAGAIN: the counter is full, so an edge that nobody took yet is pending. */
    }
    errno = saved;
}

void irq_line_destroy(struct irq_line *line)
{
    close_fd(take_fd(&line->fd));
}

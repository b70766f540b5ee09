#include "guest/irq.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"

static void pulse_pin(const struct irq_line *line)
{
    struct kvm_irq_level level = {.irq = line->gsi, .level = 1};

    ioctl(line->fd, KVM_IRQ_LINE, &level); /* fails for a VM without controllers alone */
    level.level = 0;
    ioctl(line->fd, KVM_IRQ_LINE, &level);
}

void irq_line_pulse(const struct irq_line *line)
{
    const uint64_t one = 1;
    int saved = errno;

    if (line->is_pin) {
        pulse_pin(line);
    } else if (line->fd >= 0 && write(line->fd, &one, sizeof(one)) < 0) {
        /* EAGAIN: the counter is full, so an edge that nobody took yet is pending. */
    }
    errno = saved;
}

void irq_line_destroy(struct irq_line *line)
{
    if (!line->is_pin)
        close_fd(line->fd);
    *line = (struct irq_line){.fd = -1};
}

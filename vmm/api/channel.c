#include "channel.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/pass.h"
#include "base/util.h"

/* As long as the slowest thing that a machine does for an answer: its CPUs coming to a stop. */
#define ANSWER_NS (5 * NS_PER_SEC)

int channel_make(int ret_fds[2])
{
    int type = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK;

    return socketpair(AF_UNIX, type, 0, ret_fds) < 0 ? -errno : 0;
}

static void tell(struct channel *channel, const struct channel_answer *answer, const char *why)
{
    channel->waiting = false;
    loop_timer_disarm(&channel->timer);
    channel->answered(channel, answer, why);
}

/* Nothing of it is believed any more. */
static void give_up(struct channel *channel, const char *why)
{
    loop_remove(channel->loop, &channel->source);
    close_fd(take_fd(&channel->source.fd));
    if (channel->waiting)
        tell(channel, NULL, why);
}

/* Whether it is one that may come: to the last command, or to one before that was given up. */
static bool is_due(const struct channel *channel, const struct channel_answer *answer)
{
    if (!channel->started)
        return answer->number == 0;
    return answer->number > channel->answered_to && answer->number <= channel->number;
}

static void on_readable(struct loop_source *source, uint32_t events)
{
    struct channel *channel = container_of(source, struct channel, source);
    struct channel_answer answer;
    ssize_t n = recv(source->fd, &answer, sizeof(answer), MSG_DONTWAIT | MSG_TRUNC);
    bool last;

    (void)events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        give_up(channel, "the machine has ended");
        return;
    }
    if (n != sizeof(answer) || !is_due(channel, &answer)) {
        give_up(channel, "the machine's process answers what makes no sense");
        return;
    }
    if (answer.error)
        answer.text[sizeof(answer.text) - 1] = '\0';
    last = channel->waiting && answer.number == channel->number;
    channel->started = true;
    channel->answered_to = answer.number;
    if (last)
        tell(channel, &answer, NULL);
    else
        channel->late(channel, &answer);
}

static void on_timer(struct loop_timer *timer)
{
    struct channel *channel = container_of(timer, struct channel, timer);

    if (channel->waiting)
        tell(channel, NULL, "the machine has not answered in 5 seconds");
}

int channel_open(struct channel *channel, struct loop *loop, int fd)
{
    int r;

    channel->loop = loop;
    channel->source = (struct loop_source){.fd = fd, .events = EPOLLIN, .callback = on_readable};
    channel->timer.callback = on_timer;
    channel->waiting = true; /* without end: a start takes as long as it takes */
    r = loop_timer_add(loop, &channel->timer);
    return r < 0 ? r : loop_add(loop, &channel->source);
}

void channel_close(struct channel *channel)
{
    if (!channel->loop)
        return;
    loop_timer_remove(channel->loop, &channel->timer);
    if (channel->source.fd >= 0) {
        loop_remove(channel->loop, &channel->source);
        close_fd(take_fd(&channel->source.fd));
    }
    channel->loop = NULL;
}

int channel_send(struct channel *channel, struct channel_command *command, const int *fds,
                 unsigned count)
{
    int r;

    if (channel->source.fd < 0)
        return -EPIPE;
    command->number = channel->number + 1;
    r = pass_send(channel->source.fd, command, sizeof(*command), fds, count, MSG_DONTWAIT);
    if (r < 0)
        return r;
    channel->number++;
    channel->waiting = true;
    loop_timer_arm(&channel->timer, ANSWER_NS, 0);
    return 0;
}

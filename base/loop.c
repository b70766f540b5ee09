#include "base/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"

#define LOOP_BATCH 16

struct loop {
    int epoll_fd;
    bool stopping;
    struct loop_source wake; /* an eventfd that loop_stop() writes */
    /* The events being delivered: loop_remove() strikes a removed source out of them. */
    struct epoll_event batch[LOOP_BATCH];
    int batch_len;
};

static void loop_on_wake(struct loop_source *source, uint32_t events)
{
    uint64_t count;

    (void)events;
    if (read(source->fd, &count, sizeof(count)) < 0)
        return; /* EAGAIN: somebody else's wake-up was read already */
}

DEFINE_CLEANUP(struct loop, loop_destroy)

int loop_create(struct loop **ret_loop)
{
    _cleanup_(loop_destroy_cleanup) struct loop *loop = calloc(1, sizeof(*loop));
    int r;

    if (!loop)
        return -ENOMEM;
    loop->wake.fd = -1;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0)
        return -errno;
    loop->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake.fd < 0)
        return -errno;
    loop->wake.events = EPOLLIN;
    loop->wake.callback = loop_on_wake;
    r = loop_add(loop, &loop->wake);
    if (r < 0)
        return r;
    *ret_loop = take_ptr(loop);
    return 0;
}

void loop_destroy(struct loop *loop)
{
    if (!loop)
        return;
    close_fd(loop->wake.fd);
    close_fd(loop->epoll_fd);
    free(loop);
}

int loop_add(struct loop *loop, struct loop_source *source)
{
    struct epoll_event event = {.events = source->events, .data.ptr = source};

    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) < 0)
        return -errno;
    source->added = true;
    return 0;
}

int loop_modify(struct loop *loop, struct loop_source *source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};

    if (!source->added)
        return -ENOENT;
    if (source->events == events)
        return 0;
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event) < 0)
        return -errno;
    source->events = events;
    return 0;
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
    if (!source->added)
        return;
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
    source->added = false;
    for (int i = 0; i < loop->batch_len; i++) {
        if (loop->batch[i].data.ptr == source)
            loop->batch[i].data.ptr = NULL;
    }
}

static void loop_on_timer(struct loop_source *source, uint32_t events)
{
    struct loop_timer *timer = container_of(source, struct loop_timer, source);
    uint64_t expirations;

    (void)events;
    if (read(source->fd, &expirations, sizeof(expirations)) != sizeof(expirations))
        return; /* disarmed or set anew since epoll saw it */
    timer->callback(timer);
}

int loop_timer_add(struct loop *loop, struct loop_timer *timer)
{
    int r;

    timer->source.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (timer->source.fd < 0)
        return -errno;
    timer->source.events = EPOLLIN;
    timer->source.callback = loop_on_timer;
    r = loop_add(loop, &timer->source);
    if (r < 0)
        close(take_fd(&timer->source.fd));
    return r;
}

static struct timespec timespec_from_ns(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_SEC),
                             .tv_nsec = (long)(ns % NS_PER_SEC)};
}

void loop_timer_arm(struct loop_timer *timer, uint64_t after_ns, uint64_t interval_ns)
{
    struct itimerspec spec = {
        .it_value = timespec_from_ns(after_ns ? after_ns : 1), /* 0 would disarm it */
        .it_interval = timespec_from_ns(interval_ns),
    };

    timerfd_settime(timer->source.fd, 0, &spec, NULL);
}

void loop_timer_disarm(struct loop_timer *timer)
{
    struct itimerspec spec = {0};

    timerfd_settime(timer->source.fd, 0, &spec, NULL);
}

void loop_timer_remove(struct loop *loop, struct loop_timer *timer)
{
    if (!timer->source.added)
        return;
    loop_remove(loop, &timer->source);
    close(take_fd(&timer->source.fd));
}

static void loop_on_signal(struct loop_source *source, uint32_t events)
{
    struct loop_signals *signals = container_of(source, struct loop_signals, source);
    struct signalfd_siginfo info;

    (void)events;
    if (read(source->fd, &info, sizeof(info)) == sizeof(info))
        signals->callback(signals, &info);
}

int loop_signals_add(struct loop *loop, struct loop_signals *signals, const sigset_t *mask)
{
    int r;

    signals->source.fd = signalfd(-1, mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals->source.fd < 0)
        return -errno;
    signals->source.events = EPOLLIN;
    signals->source.callback = loop_on_signal;
    r = loop_add(loop, &signals->source);
    if (r < 0)
        close(take_fd(&signals->source.fd));
    return r;
}

void loop_signals_remove(struct loop *loop, struct loop_signals *signals)
{
    if (!signals->source.added)
        return;
    loop_remove(loop, &signals->source);
    close(take_fd(&signals->source.fd));
}

int loop_run(struct loop *loop)
{
    while (!__atomic_load_n(&loop->stopping, __ATOMIC_ACQUIRE)) {
        int n = epoll_wait(loop->epoll_fd, loop->batch, LOOP_BATCH, -1);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        loop->batch_len = n;
        for (int i = 0; i < n; i++) {
            struct loop_source *source = loop->batch[i].data.ptr;

            if (source)
                source->callback(source, loop->batch[i].events);
        }
        loop->batch_len = 0;
    }
    __atomic_store_n(&loop->stopping, false, __ATOMIC_RELAXED);
    return 0;
}

size_t loop_descriptors(const struct loop *loop, int *fds)
{
    fds[0] = loop->epoll_fd;
    fds[1] = loop->wake.fd;
    return LOOP_MAX_DESCRIPTORS;
}

void loop_stop(struct loop *loop)
{
    const uint64_t one = 1;
    int saved = errno;

    __atomic_store_n(&loop->stopping, true, __ATOMIC_RELEASE);
    if (write(loop->wake.fd, &one, sizeof(one)) < 0) {
        /* EAGAIN: the counter is full, so the loop is awake anyway. */
    }
    errno = saved;
}

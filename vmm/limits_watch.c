#include "limits_watch.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/parse.h"
#include "base/util.h"

const char *limit_name(enum limit_kind kind)
{
    static const char *const names[] = {
        [LIMIT_NONE] = "none",
        [LIMIT_TIME] = "time-limit",
        [LIMIT_CPU_TIME] = "cpu-time-limit",
        [LIMIT_BOOT] = "boot-timeout",
        [LIMIT_MEMORY] = "memory",
    };

    return names[kind];
}

const char *limit_breach_text(const struct limit_breach *breach, char *buf, size_t size)
{
    const char *name = limit_name(breach->kind);
    char bytes[32];

    switch (breach->kind) {
    case LIMIT_TIME:
        snprintf(buf, size, "ended by --%s: it has run for %" PRIu64 " s", name, breach->value);
        break;
    case LIMIT_CPU_TIME:
        snprintf(buf, size, "ended by --%s: it has used %" PRIu64 " s of CPU time", name,
                 breach->value);
        break;
    case LIMIT_BOOT:
        snprintf(buf, size,
                 "ended by --%s: in %" PRIu64 " s the guest has not said that it is "
                 "ready",
                 name, breach->value);
        break;
    default:
        snprintf(buf, size, "ended by the limit of %s: osvm-vmm and its guest wanted more than %s",
                 name, format_size(breach->value, bytes, sizeof(bytes)));
        break;
    }
    return buf;
}

static void on_time(struct loop_timer *timer)
{
    struct limits_watch *watch = container_of(timer, struct limits_watch, time);
    struct limit_breach breach = {LIMIT_TIME, watch->limits->time_s};

    watch->exceeded(watch, &breach);
}

static void on_boot(struct loop_timer *timer)
{
    struct limits_watch *watch = container_of(timer, struct limits_watch, boot);
    struct limit_breach breach = {LIMIT_BOOT, watch->limits->boot_s};

    if (!watch->is_ready(watch))
        watch->exceeded(watch, &breach);
}

static void on_cpu_time(struct loop_signals *signals, const struct signalfd_siginfo *info)
{
    struct limits_watch *watch = container_of(signals, struct limits_watch, cpu_time);
    struct limit_breach breach = {LIMIT_CPU_TIME, watch->limits->cpu_time_s};

    (void)info;
    watch->exceeded(watch, &breach);
}

static int take_cpu_time_signal(struct limits_watch *watch)
{
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGXCPU);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    return loop_signals_add(watch->loop, &watch->cpu_time, &mask);
}

int limits_watch_create(struct limits_watch *watch, const struct limits_config *limits,
                        struct loop *loop, struct error *err)
{
    int r = 0;

    watch->limits = limits;
    watch->loop = loop;
    watch->time.callback = on_time;
    watch->boot.callback = on_boot;
    watch->cpu_time.callback = on_cpu_time;
    if (limits->time_s)
        r = loop_timer_add(loop, &watch->time);
    if (r == 0 && limits->boot_s)
        r = loop_timer_add(loop, &watch->boot);
    if (r == 0 && limits->cpu_time_s)
        r = take_cpu_time_signal(watch);
    return r < 0 ? error_set_errno(err, r, "cannot watch the limits of time") : 0;
}

void limits_watch_start(struct limits_watch *watch)
{
    if (watch->limits->time_s)
        loop_timer_arm(&watch->time, watch->limits->time_s * NS_PER_SEC, 0);
    if (watch->limits->boot_s)
        loop_timer_arm(&watch->boot, watch->limits->boot_s * NS_PER_SEC, 0);
}

void limits_watch_destroy(struct limits_watch *watch)
{
    if (!watch->loop)
        return;
    loop_timer_remove(watch->loop, &watch->time);
    loop_timer_remove(watch->loop, &watch->boot);
    loop_signals_remove(watch->loop, &watch->cpu_time);
    watch->loop = NULL;
}

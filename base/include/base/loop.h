/*
 * The event loop: one epoll, sources embedded in their owners, no allocation for an event.
 *
 * All functions are for the loop's own thread, but for loop_stop(), loop_timer_arm(),
 * loop_timer_disarm() and loop_modify(), which any thread may call. A callback never blocks. It may
 * remove any source, its own included.
 */
#ifndef OSVM_BASE_LOOP_H
#define OSVM_BASE_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/signalfd.h>

struct loop;
struct loop_source;

/* @events  EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR as epoll gave them */
typedef void loop_source_fn(struct loop_source *source, uint32_t events);

/* One watched descriptor, embedded in its owner. Zero-initialised means "not added". */
struct loop_source {
    int fd; /* borrowed: the owner closes it, after loop_remove() */
    uint32_t events;
    bool added;
    loop_source_fn *callback;
};

/* A one-shot or repeating timer on CLOCK_MONOTONIC. */
struct loop_timer {
    struct loop_source source;
    void (*callback)(struct loop_timer *timer);
};

/* Signals as events. The caller blocks them in every thread first. */
struct loop_signals {
    struct loop_source source;
    void (*callback)(struct loop_signals *signals, const struct signalfd_siginfo *info);
};

/**
 * Make a loop. @ret_loop is freed by loop_destroy(), after its sources are removed.
 * Returns 0 or a negative errno.
 */
int loop_create(struct loop **ret_loop);
void loop_destroy(struct loop *loop);

/**
 * Watch a descriptor. `source->fd`, `events` and `callback` are set by the caller.
 * Returns 0; -EPERM where the descriptor cannot be polled (a regular file: it is always ready);
 * or another negative errno.
 */
int loop_add(struct loop *loop, struct loop_source *source);

/*
 * Change what is waited for; 0 pauses the source (errors and hang-ups are still told). Any thread,
 * where the owner's lock keeps the calls for one source apart; an event that was under way may then
 * still be told, so the callback looks at its owner's state under that lock.
 */
int loop_modify(struct loop *loop, struct loop_source *source, uint32_t events);

/* Stop watching. Does nothing where the source is not added. No callback comes after it. */
void loop_remove(struct loop *loop, struct loop_source *source);

/* Make a timer, disarmed. `callback` is set by the caller. Returns 0 or a negative errno. */
int loop_timer_add(struct loop *loop, struct loop_timer *timer);

/**
 * Arm it for `after_ns` from now (0: as soon as possible) and then each `interval_ns` (0: once).
 * A timer that ran out several times while nobody looked calls back once. Any thread.
 */
void loop_timer_arm(struct loop_timer *timer, uint64_t after_ns, uint64_t interval_ns);
void loop_timer_disarm(struct loop_timer *timer);
void loop_timer_remove(struct loop *loop, struct loop_timer *timer);

/* Take the signals of `mask` from now on. `callback` is set. Returns 0 or a negative errno. */
int loop_signals_add(struct loop *loop, struct loop_signals *signals, const sigset_t *mask);
void loop_signals_remove(struct loop *loop, struct loop_signals *signals);

/**
 * Run until loop_stop(). Returns 0, or a negative errno where epoll itself fails.
 */
int loop_run(struct loop *loop);

/* The descriptors of the loop itself, for who closes all others. @fds  room for
 * LOOP_MAX_DESCRIPTORS. Returns how many. */
#define LOOP_MAX_DESCRIPTORS 2
size_t loop_descriptors(const struct loop *loop, int *fds);

/* End loop_run() soon. Any thread; async-signal-safe. */
void loop_stop(struct loop *loop);

#endif

/*
 * The limits of time, watched on the machine's own loop: --time-limit, --boot-timeout, and the
 * guardian's word (SIGXCPU) that --cpu-time-limit is reached. A process that does not end by them
 * is killed by the guardian (limits.h).
 */
#ifndef OSVM_VMM_LIMITS_WATCH_H
#define OSVM_VMM_LIMITS_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/loop.h"
#include "limits_config.h"

/* Limits that end a machine. */
enum limit_kind { LIMIT_NONE, LIMIT_TIME, LIMIT_CPU_TIME, LIMIT_BOOT, LIMIT_MEMORY };

/* One that did. */
struct limit_breach {
    enum limit_kind kind;
    uint64_t value; /* seconds; LIMIT_MEMORY: bytes */
};

struct limits_watch {
    const struct limits_config *limits; /* borrowed */
    struct loop *loop;                  /* borrowed; NULL: not created */
    struct loop_timer time, boot;
    struct loop_signals cpu_time;
    /* Set by the owner. The loop's thread. */
    void (*exceeded)(struct limits_watch *watch, const struct limit_breach *breach);
    bool (*is_ready)(struct limits_watch *watch); /* whether the guest has said so */
};

/**
 * Make what it needs, while that may still be made. `exceeded` and `is_ready` are set.
 * Where there is a --cpu-time-limit, SIGXCPU is blocked from here on.
 * Returns 0 or a negative errno with the reason in err. Before other threads are started.
 */
int limits_watch_create(struct limits_watch *watch, const struct limits_config *limits,
                        struct loop *loop, struct error *err);

/* The guest starts now. */
void limits_watch_start(struct limits_watch *watch);

/* Accepts one that is all zero. */
void limits_watch_destroy(struct limits_watch *watch);

/* As the option, and so the exit record, names it: "time-limit", … */
const char *limit_name(enum limit_kind kind);

/* In words for a person: "ended by --time-limit: it has run for 10 s". Returns buf. */
const char *limit_breach_text(const struct limit_breach *breach, char *buf, size_t size);

#endif

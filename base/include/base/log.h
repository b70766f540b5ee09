/*
 * Log lines to one descriptor. A log is a plain object that its users are given; nothing is
 * global. A line is one write(), so lines of several threads or processes do not mix.
 */
#ifndef OSVM_BASE_LOG_H
#define OSVM_BASE_LOG_H

#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

struct log {
    int fd;               /* borrowed; -1 discards everything */
    enum log_level level; /* lines above it are dropped */
    const char *prefix;   /* program name, put before each line; borrowed */
};

/* How often something that a guest can cause is said: `burst` lines, then one each interval. */
struct log_limit {
    uint64_t window_start_ns;
    uint32_t said;
    uint32_t held_back;
};

#define LOG_LIMIT_BURST       5
#define LOG_LIMIT_INTERVAL_NS UINT64_C(10000000000)

/**
 * Write one line. Control characters in it (a guest may have had a hand in the text) come out
 * as '?'. A failed write is ignored: there is nobody to tell.
 * Any thread.
 */
void log_write(const struct log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/**
 * The same for what a guest can cause as often as it likes: at most LOG_LIMIT_BURST lines in each
 * LOG_LIMIT_INTERVAL_NS for one `limit`; the first line of the next interval says how many were
 * held back. Any thread, also for one limit (the counts are atomic).
 */
void log_write_limited(const struct log *log, struct log_limit *limit, enum log_level level,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Parse "error", "warning", "info" or "debug". Returns 0 or -EINVAL. */
int log_level_parse(const char *text, enum log_level *ret_level);

#define log_error(log, ...)   log_write(log, LOG_ERROR, __VA_ARGS__)
#define log_warning(log, ...) log_write(log, LOG_WARNING, __VA_ARGS__)
#define log_info(log, ...)    log_write(log, LOG_INFO, __VA_ARGS__)
#define log_debug(log, ...)   log_write(log, LOG_DEBUG, __VA_ARGS__)

#endif

/*
 * Log lines to one descriptor. A log is a plain object that its users are given; nothing is
 * global. A line is one write(), so lines of several threads or processes do not mix.
 */
#ifndef OSVM_BASE_LOG_H
#define OSVM_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

struct log {
    int fd;               /* borrowed; -1 discards everything */
    enum log_level level; /* lines above it are dropped */
    const char *prefix;   /* program name, put before each line; borrowed */
    bool shows_level;     /* of every line; else of warnings and what is for debugging */
    bool shows_origin;    /* the place in the source that it comes from */
};

/* Where in the source a line comes from. */
struct log_origin {
    const char *file;
    int line;
};

#define LOG_HERE ((struct log_origin){__FILE_NAME__, __LINE__})

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
void log_write_from(const struct log *log, enum log_level level, struct log_origin origin,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));
#define log_write(log, level, ...) log_write_from(log, level, LOG_HERE, __VA_ARGS__)

/**
 * The same for what a guest can cause as often as it likes: at most LOG_LIMIT_BURST lines in each
 * LOG_LIMIT_INTERVAL_NS for one `limit`; the first line of the next interval says how many were
 * held back. Any thread, also for one limit (the counts are atomic).
 */
void log_write_limited_from(const struct log *log, struct log_limit *limit, enum log_level level,
                            struct log_origin origin, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
#define log_write_limited(log, limit, level, ...) \
    log_write_limited_from(log, limit, level, LOG_HERE, __VA_ARGS__)

/* Parse "error", "warning", "info" or "debug". Returns 0 or -EINVAL. */
int log_level_parse(const char *text, enum log_level *ret_level);

#define log_error(log, ...)   log_write(log, LOG_ERROR, __VA_ARGS__)
#define log_warning(log, ...) log_write(log, LOG_WARNING, __VA_ARGS__)
#define log_info(log, ...)    log_write(log, LOG_INFO, __VA_ARGS__)
#define log_debug(log, ...)   log_write(log, LOG_DEBUG, __VA_ARGS__)

#endif

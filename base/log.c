#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"

static const char *const level_names[] = {
    [LOG_ERROR] = "error",
    [LOG_WARNING] = "warning",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
};

static void log_line(const struct log *log, enum log_level level, struct log_origin origin,
                     uint32_t held_back, const char *format, va_list args)
    __attribute__((format(printf, 5, 0)));

static void log_line(const struct log *log, enum log_level level, struct log_origin origin,
                     uint32_t held_back, const char *format, va_list args)
{
    char line[1024];
    size_t used;
    ssize_t n;

    /* Errors and plain facts need no label; the others say what they are. */
    if (log->shows_level || level == LOG_WARNING || level == LOG_DEBUG)
        used = (size_t)snprintf(line, sizeof(line), "%s: %s: ", log->prefix, level_names[level]);
    else
        used = (size_t)snprintf(line, sizeof(line), "%s: ", log->prefix);
    if (used > sizeof(line) / 2)
        used = sizeof(line) / 2;
    if (log->shows_origin)
        used += (size_t)snprintf(line + used, sizeof(line) - used, "%.64s:%d: ", origin.file,
                                 origin.line);
    vsnprintf(line + used, sizeof(line) - used - 1, format, args);
    used = strlen(line);
    if (held_back)
        snprintf(line + used, sizeof(line) - used - 1, " (%u more like it held back)", held_back);
    used = strlen(line);
    for (size_t i = 0; i < used; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    }
    line[used++] = '\n';
    do {
        n = write(log->fd, line, used);
    } while (n < 0 && errno == EINTR);
}

void log_write_from(const struct log *log, enum log_level level, struct log_origin origin,
                    const char *format, ...)
{
    int saved = errno;
    va_list args;

    if (!log || log->fd < 0 || level > log->level)
        return;
    va_start(args, format);
    log_line(log, level, origin, 0, format, args);
    va_end(args);
    errno = saved;
}

void log_write_limited_from(const struct log *log, struct log_limit *limit, enum log_level level,
                            struct log_origin origin, const char *format, ...)
{
    uint64_t now, start;
    uint32_t held_back = 0;
    int saved = errno;
    va_list args;

    if (!log || log->fd < 0 || level > log->level)
        return;
    now = clock_monotonic_ns();
    start = __atomic_load_n(&limit->window_start_ns, __ATOMIC_RELAXED);
    if ((start == 0 || now - start >= LOG_LIMIT_INTERVAL_NS) &&
        __atomic_compare_exchange_n(&limit->window_start_ns, &start, now, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED)) {
        __atomic_store_n(&limit->said, 0, __ATOMIC_RELAXED);
        held_back = __atomic_exchange_n(&limit->held_back, 0, __ATOMIC_RELAXED);
    }
    if (__atomic_fetch_add(&limit->said, 1, __ATOMIC_RELAXED) >= LOG_LIMIT_BURST) {
        __atomic_fetch_add(&limit->held_back, 1, __ATOMIC_RELAXED);
        return;
    }
    va_start(args, format);
    log_line(log, level, origin, held_back, format, args);
    va_end(args);
    errno = saved;
}

int log_level_parse(const char *text, enum log_level *ret_level)
{
    for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

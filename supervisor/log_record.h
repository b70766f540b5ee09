/*
 * Output of a component as records: one a line of text or a part of it. The form is the one of the
 * Kubernetes Container Runtime Interface ("CRI logging"): "TIME STREAM TAG TEXT\n", TIME as RFC
 * 3339 in UTC with nanoseconds, STREAM stdout or stderr, TAG F where the text ends a line and P
 * where it does not. TEXT has every byte but newline, so what was said can be told back byte for
 * byte.
 */
#ifndef OSVM_SUPERVISOR_LOG_RECORD_H
#define OSVM_SUPERVISOR_LOG_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_stream { LOG_STDOUT, LOG_STDERR };

/* "2026-01-02T03:04:05.678901234Z stdout F " */
#define LOG_HEAD_BYTES 40

/* The longest text of one record; longer lines are several. */
#define LOG_TEXT_MAX (16 * 1024)

struct log_record {
    uint64_t time_ns; /* since the epoch */
    enum log_stream stream;
    bool ends_line;
    const char *text; /* borrowed from what was parsed */
    size_t len;
};

/* Write a record's head into `head`, unterminated: LOG_HEAD_BYTES bytes. */
void log_record_head(const struct log_record *record, char *head);

/**
 * Take a line of a log file (without its newline) apart.
 * Returns 0, or -EINVAL where it is no record. Any thread.
 */
int log_record_parse(const char *line, size_t len, struct log_record *ret_record);

/* "2026-01-02T03:04:05.678901234Z" or a part of it, down to the day. Returns 0 or -EINVAL. */
int log_time_parse(const char *text, uint64_t *ret_time_ns);

#endif

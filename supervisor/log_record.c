#include "log_record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#define TIME_BYTES 30 /* "2026-01-02T03:04:05.678901234Z" */

static const char *const stream_names[] = {[LOG_STDOUT] = "stdout", [LOG_STDERR] = "stderr"};

void log_record_head(const struct log_record *record, char *head)
{
    time_t seconds = (time_t)(record->time_ns / NS_PER_SEC);
    char text[64]; /* the year has more than four digits in another age */
    struct tm tm;

    gmtime_r(&seconds, &tm);
    snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%09uZ %s %c ",
             (tm.tm_year + 1900) % 10000, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
             tm.tm_sec, (unsigned)(record->time_ns % NS_PER_SEC), stream_names[record->stream],
             record->ends_line ? 'F' : 'P');
    memcpy(head, text, LOG_HEAD_BYTES);
}

/* `count` digits; -1 where one is none. */
static int digits(const char *text, size_t count)
{
    int value = 0;

    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

static int time_parse(const char *text, size_t len, uint64_t *ret_time_ns)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd";
    char whole[] = "0000-00-00T00:00:00";
    uint64_t fraction = 0, unit = NS_PER_SEC / 10;
    struct tm tm = {0};
    time_t seconds;
    size_t used = len < sizeof(form) - 1 ? len : sizeof(form) - 1;

    /* Down to the day, the hour, the minute or the second. */
    if (used < 10 || (used != 10 && used != 13 && used != 16 && used != 19))
        return -EINVAL;
    for (size_t i = 0; i < used; i++) {
        if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
            return -EINVAL;
        whole[i] = text[i];
    }
    if (len > used && text[used] == '.') {
        for (used++; used < len && text[used] >= '0' && text[used] <= '9'; used++, unit /= 10)
            fraction += (uint64_t)(text[used] - '0') * unit;
    }
    if (used < len && text[used] == 'Z')
        used++;
    if (used != len)
        return -EINVAL;
    tm.tm_year = digits(whole, 4) - 1900;
    tm.tm_mon = digits(whole + 5, 2) - 1;
    tm.tm_mday = digits(whole + 8, 2);
    tm.tm_hour = digits(whole + 11, 2);
    tm.tm_min = digits(whole + 14, 2);
    tm.tm_sec = digits(whole + 17, 2);
    if (tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 ||
        tm.tm_min > 59 || tm.tm_sec > 60 || tm.tm_year < 70)
        return -EINVAL;
    seconds = timegm(&tm);
    *ret_time_ns = (uint64_t)seconds * NS_PER_SEC + fraction;
    return 0;
}

int log_time_parse(const char *text, uint64_t *ret_time_ns)
{
    return time_parse(text, strlen(text), ret_time_ns);
}

int log_record_parse(const char *line, size_t len, struct log_record *ret_record)
{
    struct log_record record = {0};
    const char *stream = line + TIME_BYTES + 1, *tag = stream + 7;

    if (len < LOG_HEAD_BYTES || line[TIME_BYTES] != ' ' || stream[6] != ' ' || tag[1] != ' ' ||
        time_parse(line, TIME_BYTES, &record.time_ns) < 0)
        return -EINVAL;
    if (memcmp(stream, "stdout", 6) == 0)
        record.stream = LOG_STDOUT;
    else if (memcmp(stream, "stderr", 6) == 0)
        record.stream = LOG_STDERR;
    else
        return -EINVAL;
    if (*tag != 'F' && *tag != 'P')
        return -EINVAL;
    record.ends_line = *tag == 'F';
    record.text = line + LOG_HEAD_BYTES;
    record.len = len - LOG_HEAD_BYTES;
    *ret_record = record;
    return 0;
}

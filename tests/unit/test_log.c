/* base/log.h: lines, levels, control characters, the rate limit. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* A log into a pipe, and what came out of it. */
struct fixture {
    int fds[2];
    struct log log;
    char text[8192];
};

static void open_log(struct fixture *f, enum log_level level)
{
    assert_int_equal(pipe2(f->fds, O_CLOEXEC | O_NONBLOCK), 0);
    f->log = (struct log){.fd = f->fds[1], .level = level, .prefix = "osvm"};
}

static const char *logged(struct fixture *f)
{
    ssize_t n = read(f->fds[0], f->text, sizeof(f->text) - 1);

    f->text[n > 0 ? n : 0] = '\0';
    return f->text;
}

static void close_log(struct fixture *f)
{
    close(f->fds[0]);
    close(f->fds[1]);
}

struct line_row {
    const char *name;
    enum log_level level, at;
    const char *text, *line;
};

static const struct line_row lines[] = {
    {"an error has the prefix alone", LOG_INFO, LOG_ERROR, "bad", "osvm: bad\n"},
    {"a warning says so", LOG_INFO, LOG_WARNING, "hm", "osvm: warning: hm\n"},
    {"a fact has the prefix alone", LOG_INFO, LOG_INFO, "so", "osvm: so\n"},
    {"debug says so", LOG_DEBUG, LOG_DEBUG, "x=1", "osvm: debug: x=1\n"},
    {"above the level is dropped", LOG_INFO, LOG_DEBUG, "x=1", ""},
    {"errors pass every level", LOG_ERROR, LOG_ERROR, "bad", "osvm: bad\n"},
    {"warnings do not pass level error", LOG_ERROR, LOG_WARNING, "hm", ""},
    {"control characters", LOG_INFO, LOG_INFO, "a\nb\x1b[2Jc\td\x7f", "osvm: a?b?[2Jc?d?\n"},
    {"UTF-8 passes", LOG_INFO, LOG_INFO, "\xc2\xb5s", "osvm: \xc2\xb5s\n"},
    {"a per cent sign in the text", LOG_INFO, LOG_INFO, "100%s", "osvm: 100%s\n"},
    {"an empty line", LOG_INFO, LOG_INFO, "", "osvm: \n"},
};

static void test_line(void **state)
{
    const struct line_row *row = *state;
    struct fixture f;

    open_log(&f, row->level);
    log_write(&f.log, row->at, "%s", row->text);
    assert_string_equal(logged(&f), row->line);
    close_log(&f);
}

static void test_long_line(void **state)
{
    char words[4096];
    struct fixture f;
    const char *text;

    (void)state;
    memset(words, 'w', sizeof(words) - 1);
    words[sizeof(words) - 1] = '\0';
    open_log(&f, LOG_INFO);
    log_write(&f.log, LOG_INFO, "%s", words);
    text = logged(&f);
    assert_int_equal(strlen(text), 1023);
    assert_int_equal(text[1022], '\n');
    close_log(&f);
}

static void test_nowhere(void **state)
{
    struct log log = {.fd = -1, .level = LOG_DEBUG, .prefix = "osvm"};
    struct log_limit limit = {0};

    (void)state;
    log_write(&log, LOG_ERROR, "x");
    log_write(NULL, LOG_ERROR, "x");
    log_write_limited(NULL, &limit, LOG_ERROR, "x");
}

static void test_errno_is_kept(void **state)
{
    struct log closed = {.fd = 1000000, .level = LOG_DEBUG, .prefix = "osvm"};
    struct log_limit limit = {0};

    (void)state;
    errno = EXDEV;
    log_write(&closed, LOG_ERROR, "x");
    assert_int_equal(errno, EXDEV);
    log_write_limited(&closed, &limit, LOG_ERROR, "x");
    assert_int_equal(errno, EXDEV);
}

static unsigned count_lines(const char *text)
{
    unsigned n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void test_burst(void **state)
{
    struct log_limit limit = {0};
    struct fixture f;

    (void)state;
    open_log(&f, LOG_INFO);
    for (unsigned i = 0; i < 100; i++)
        log_write_limited(&f.log, &limit, LOG_WARNING, "again");
    assert_int_equal(count_lines(logged(&f)), LOG_LIMIT_BURST);
    assert_int_equal(limit.held_back, 100 - LOG_LIMIT_BURST);
    close_log(&f);
}

static void test_next_interval(void **state)
{
    struct log_limit limit = {0};
    struct fixture f;

    (void)state;
    open_log(&f, LOG_INFO);
    for (unsigned i = 0; i < LOG_LIMIT_BURST + 3; i++)
        log_write_limited(&f.log, &limit, LOG_INFO, "again");
    logged(&f);
    limit.window_start_ns = clock_monotonic_ns() - LOG_LIMIT_INTERVAL_NS; /* time passes */
    log_write_limited(&f.log, &limit, LOG_INFO, "again");
    assert_string_equal(logged(&f), "osvm: again (3 more like it held back)\n");
    log_write_limited(&f.log, &limit, LOG_INFO, "again");
    assert_string_equal(logged(&f), "osvm: again\n");
    close_log(&f);
}

static void test_dropped_by_level_is_not_counted(void **state)
{
    struct log_limit limit = {0};
    struct fixture f;

    (void)state;
    open_log(&f, LOG_ERROR);
    log_write_limited(&f.log, &limit, LOG_DEBUG, "x");
    assert_int_equal(limit.said, 0);
    assert_string_equal(logged(&f), "");
    close_log(&f);
}

struct level_row {
    const char *name;
    int result;
    enum log_level level;
};

static const struct level_row levels[] = {
    {"error", 0, LOG_ERROR}, {"warning", 0, LOG_WARNING}, {"info", 0, LOG_INFO},
    {"debug", 0, LOG_DEBUG}, {"Error", -EINVAL, 0},       {"", -EINVAL, 0},
    {"errors", -EINVAL, 0},
};

static void test_level(void **state)
{
    const struct level_row *row = *state;
    enum log_level level = LOG_DEBUG;

    assert_int_equal(log_level_parse(row->name, &level), row->result);
    assert_int_equal(level, row->result == 0 ? row->level : LOG_DEBUG);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, lines, test_line);
    unit_add_rows(&unit, levels, test_level);
    unit_add(&unit, "a long line is cut and ends", test_long_line, NULL);
    unit_add(&unit, "no log, no descriptor: nothing", test_nowhere, NULL);
    unit_add(&unit, "errno is kept", test_errno_is_kept, NULL);
    unit_add(&unit, "a burst is cut off", test_burst, NULL);
    unit_add(&unit, "the next interval says what was held back", test_next_interval, NULL);
    unit_add(&unit, "what the level drops is not counted", test_dropped_by_level_is_not_counted,
             NULL);
    return unit_run(&unit, "log");
}

/* osvm logs: read from the files, so that a daemon is not needed. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../log_reader.h"
#include "base/clock.h"
#include "command.h"

#define FOLLOW_NS (200 * NS_PER_MS)

struct wish {
    const char *name;
    uint64_t since_ns;
    bool follow;
};

static int take_arguments(const struct invocation *invocation, struct wish *ret_wish)
{
    for (int i = 0; i < invocation->argument_count; i++) {
        const char *word = invocation->arguments[i];

        if (strcmp(word, "-f") == 0 || strcmp(word, "--follow") == 0) {
            ret_wish->follow = true;
        } else if (strcmp(word, "--since") == 0) {
            const char *time = invocation->arguments[++i];

            if (!time || log_time_parse(time, &ret_wish->since_ns) < 0)
                return fail(EXIT_USAGE, "--since wants a time (UTC): 2026-01-31 or "
                                        "2026-01-31T23:59:59Z");
        } else if (ret_wish->name || !component_name_valid(word)) {
            return fail(EXIT_USAGE, "usage: osvm logs [-f] [--since TIME] NAME");
        } else {
            ret_wish->name = word;
        }
    }
    return ret_wish->name ? 0 : fail(EXIT_USAGE, "usage: osvm logs [-f] [--since TIME] NAME");
}

/* Each byte goes to the stream that it came from, as it came. */
static bool print_record(const struct log_record *record)
{
    FILE *file = record->stream == LOG_STDOUT ? stdout : stderr;

    fwrite(record->text, 1, record->len, file);
    if (record->ends_line)
        fputc('\n', file);
    return !ferror(file);
}

int command_logs(const struct invocation *invocation)
{
    const struct timespec pause = {.tv_nsec = FOLLOW_NS};
    struct wish wish = {0};
    struct log_reader reader;
    struct log_record record;
    struct paths paths;
    struct error err = {0};
    int r = take_arguments(invocation, &wish);

    if (r)
        return r;
    if (paths_init(&paths, invocation->state, invocation->run, &err) < 0)
        return fail(EXIT_FAILED, "%s", err.text);
    r = log_reader_open(&reader, &paths, wish.name, &err);
    paths_free(&paths);
    if (r < 0)
        return fail(EXIT_FAILED, "%s", err.text);
    for (;;) {
        r = log_reader_next(&reader, &record);
        if (r == 1 && record.time_ns >= wish.since_ns && !print_record(&record))
            break;
        if (r == 0) {
            fflush(stdout);
            if (!wish.follow || ferror(stdout))
                break;
            nanosleep(&pause, NULL);
        }
        if (r < 0)
            break;
    }
    log_reader_close(&reader);
    return r < 0 ? fail(EXIT_FAILED, "cannot read its log: %s", strerror(-r)) : 0;
}

#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>

#include "base/parse.h"
#include "base/util.h"

enum {
    NAME = 1,
    RUN,
    LOG,
    LOG_MAX,
    LOG_FILES,
    TIME_LIMIT,
    GRACE,
    NOTIFY,
    SAYS_READY,
    READY_AT_START,
    STREAMS,
    ECHO,
    CGROUP,
    MEMORY,
    CPU,
    PIDS
};

static const struct option table[] = {
    {"name", required_argument, NULL, NAME},
    {"run", required_argument, NULL, RUN},
    {"log", required_argument, NULL, LOG},
    {"log-max", required_argument, NULL, LOG_MAX},
    {"log-files", required_argument, NULL, LOG_FILES},
    {"time-limit", required_argument, NULL, TIME_LIMIT},
    {"grace", required_argument, NULL, GRACE},
    {"notify", required_argument, NULL, NOTIFY},
    {"says-ready", no_argument, NULL, SAYS_READY},
    {"ready-at-start", no_argument, NULL, READY_AT_START},
    {"streams", no_argument, NULL, STREAMS},
    {"echo", no_argument, NULL, ECHO},
    {"cgroup", required_argument, NULL, CGROUP},
    {"cgroup-memory", required_argument, NULL, MEMORY},
    {"cgroup-cpu", required_argument, NULL, CPU},
    {"cgroup-pids", required_argument, NULL, PIDS},
    {NULL, 0, NULL, 0},
};

/* A number that is an argument; `at` is where it goes. */
static int take_number(const char *option, const char *text, uint64_t *at, struct error *err)
{
    if (parse_u64(text, 1, INT64_MAX, at) < 0)
        return error_set(err, -EINVAL, "--%s: '%s' is not a number of 1 or more", option, text);
    return 0;
}

static int take(int which, const char *value, struct monitor_options *options, struct error *err)
{
    switch (which) {
    case NAME:
        options->name = value;
        return 0;
    case RUN:
        options->run = value;
        return 0;
    case LOG:
        options->log = value;
        return 0;
    case NOTIFY:
        options->notify = value;
        return 0;
    case CGROUP:
        options->cgroup = value;
        return 0;
    case MEMORY:
        return take_number("cgroup-memory", value, &options->memory, err);
    case CPU:
        return take_number("cgroup-cpu", value, &options->cpu_percent, err);
    case PIDS:
        return take_number("cgroup-pids", value, &options->processes, err);
    case LOG_MAX:
        return take_number("log-max", value, &options->log_max, err);
    case LOG_FILES:
        return take_number("log-files", value, &options->log_files, err);
    case TIME_LIMIT:
        return take_number("time-limit", value, &options->time_limit_ms, err);
    case GRACE:
        return take_number("grace", value, &options->grace_ms, err);
    case SAYS_READY:
        options->says_ready = true;
        return 0;
    case READY_AT_START:
        options->ready_at_start = true;
        return 0;
    case STREAMS:
        options->streams = true;
        return 0;
    case ECHO:
        options->echo = true;
        return 0;
    default:
        return error_set(err, -EINVAL,
                         "usage: osvm-monitor --name NAME --run DIR --log DIR [OPTION]... -- "
                         "PROGRAM [ARG]...");
    }
}

int monitor_options_parse(int argc, char *argv[], struct monitor_options *ret_options,
                          struct error *err)
{
    struct monitor_options options = {.log_max = 10 * MIB, .log_files = 3, .grace_ms = 10 * 1000};
    int which;

    opterr = 0;
    while ((which = getopt_long(argc, argv, "+", table, NULL)) != -1) {
        int r = take(which, optarg, &options, err);

        if (r < 0)
            return r;
    }
    options.program = argv + optind;
    if (!options.name || !options.run || !options.log || !options.program[0])
        return take(0, NULL, &options, err);
    *ret_options = options;
    return 0;
}

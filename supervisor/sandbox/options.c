#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "base/parse.h"
#include "base/util.h"

enum {
    NAME = 1,
    ROOT,
    BIND,
    TMP,
    UID,
    GID,
    DIRECTORY,
    NOFILE,
    NPROC,
    MEMORY,
    CPU_TIME,
    CGROUP,
    SECCOMP,
    APPARMOR,
    KEEP_NETWORK,
    NO_ASLR,
    JOIN,
    PROBE,
};

static const struct option table[] = {
    {"name", required_argument, NULL, NAME},
    {"root", required_argument, NULL, ROOT},
    {"bind", required_argument, NULL, BIND},
    {"tmp", required_argument, NULL, TMP},
    {"uid", required_argument, NULL, UID},
    {"gid", required_argument, NULL, GID},
    {"directory", required_argument, NULL, DIRECTORY},
    {"nofile", required_argument, NULL, NOFILE},
    {"nproc", required_argument, NULL, NPROC},
    {"memory", required_argument, NULL, MEMORY},
    {"cpu-time", required_argument, NULL, CPU_TIME},
    {"cgroup", required_argument, NULL, CGROUP},
    {"seccomp", required_argument, NULL, SECCOMP},
    {"apparmor", required_argument, NULL, APPARMOR},
    {"keep-network", no_argument, NULL, KEEP_NETWORK},
    {"no-aslr", no_argument, NULL, NO_ASLR},
    {"join", required_argument, NULL, JOIN},
    {"probe", required_argument, NULL, PROBE},
    {NULL, 0, NULL, 0},
};

/* Cut ":rw" off; whether it was there. */
static bool cut_writable(char *text)
{
    size_t len = strlen(text);

    if (len < 3 || strcmp(text + len - 3, ":rw") != 0)
        return false;
    text[len - 3] = '\0';
    return true;
}

/* HOST:INSIDE[:rw], both absolute, neither with a colon. */
static int take_bind(char *text, struct sandbox_options *options, struct error *err)
{
    struct bind *bind = &options->binds[options->bind_count];
    char *colon;

    if (options->bind_count == SANDBOX_MAX_BINDS)
        return error_set(err, -EINVAL, "--bind: at most %d are taken", SANDBOX_MAX_BINDS);
    bind->writable = cut_writable(text);
    colon = strchr(text, ':');
    if (!colon || text[0] != '/' || colon[1] != '/' || strchr(colon + 1, ':'))
        return error_set(err, -EINVAL, "--bind: '%s' is not HOST:INSIDE[:rw] with absolute paths",
                         text);
    *colon = '\0';
    bind->host = text;
    bind->inside = colon + 1;
    options->bind_count++;
    return 0;
}

static int take_root(char *text, struct sandbox_options *options, struct error *err)
{
    options->root_writable = cut_writable(text);
    options->root = text;
    return text[0] == '/' ? 0 : error_set(err, -EINVAL, "--root: an absolute path is wanted");
}

static int take_cgroup(const char *text, struct sandbox_options *options, struct error *err)
{
    if (options->cgroup_count == SANDBOX_MAX_CGROUPS)
        return error_set(err, -EINVAL, "--cgroup: at most %d are taken", SANDBOX_MAX_CGROUPS);
    options->cgroups[options->cgroup_count++] = text;
    return 0;
}

/* Where the number of this option goes; NULL: it is no option with a number. */
static uint64_t *number_of(int which, struct sandbox_options *options)
{
    switch (which) {
    case TMP:
        return &options->tmp_bytes;
    case UID:
        return &options->uid;
    case GID:
        return &options->gid;
    case NOFILE:
        return &options->files;
    case NPROC:
        return &options->processes;
    case MEMORY:
        return &options->memory;
    case CPU_TIME:
        return &options->cpu_seconds;
    default:
        return NULL;
    }
}

static int take(int which, char *value, struct sandbox_options *options, struct error *err)
{
    uint64_t *number = number_of(which, options);

    if (number)
        return parse_u64(value, 0, INT64_MAX, number) == 0
                   ? 0
                   : error_set(err, -EINVAL, "'%s' is not a number", value);
    switch (which) {
    case NAME:
        options->name = value;
        return 0;
    case ROOT:
        return take_root(value, options, err);
    case BIND:
        return take_bind(value, options, err);
    case DIRECTORY:
        options->directory = value;
        return 0;
    case CGROUP:
        return take_cgroup(value, options, err);
    case SECCOMP:
        options->seccomp = value;
        return 0;
    case APPARMOR:
        options->apparmor = value;
        return 0;
    case KEEP_NETWORK:
        options->keep_network = true;
        return 0;
    case NO_ASLR:
        options->no_aslr = true;
        return 0;
    case JOIN:
        options->join = value;
        return 0;
    case PROBE:
        options->probe = value;
        return 0;
    default:
        return error_set(err, -EINVAL,
                         "usage: osvm-sandbox --name NAME [OPTION]... -- PROGRAM [ARG]...");
    }
}

int sandbox_options_parse(int argc, char *argv[], struct sandbox_options *ret_options,
                          struct error *err)
{
    struct sandbox_options options = {
        .tmp_bytes = 16 * MIB,
        .directory = "/",
        .uid = UINT64_MAX,
        .gid = UINT64_MAX,
        .files = UINT64_MAX,
        .processes = UINT64_MAX,
        .memory = UINT64_MAX,
        .cpu_seconds = UINT64_MAX,
    };
    int which;

    opterr = 0;
    while ((which = getopt_long(argc, argv, "+", table, NULL)) != -1) {
        int r = take(which, optarg, &options, err);

        if (r < 0)
            return r;
    }
    options.program = argv + optind;
    if (options.probe ? options.program[0] != NULL
                      : !options.program[0] || (!options.join && !options.name))
        return take(0, NULL, &options, err);
    *ret_options = options;
    return 0;
}

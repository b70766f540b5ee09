#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "base/parse.h"

enum { NAME = 1, PROGRAM, KIND, CONFIG, ROOT, DISK, BIND, NO_ASLR };

static const struct option table[] = {
    {"name", required_argument, NULL, NAME},
    {"program", required_argument, NULL, PROGRAM},
    {"kind", required_argument, NULL, KIND},
    {"config", required_argument, NULL, CONFIG},
    {"root", required_argument, NULL, ROOT},
    {"disk", required_argument, NULL, DISK},
    {"bind", required_argument, NULL, BIND},
    {"no-aslr", no_argument, NULL, NO_ASLR},
    {NULL, 0, NULL, 0},
};

static int take_kind(const char *value, struct oci_options *options, struct error *err)
{
    options->runc = strcmp(value, "runc") == 0;
    if (!options->runc && strcmp(value, "crun") != 0)
        return error_set(err, -EINVAL, "--kind: '%s' is neither crun nor runc", value);
    return 0;
}

static int take_bind(char *value, struct oci_options *options, struct error *err)
{
    struct oci_bind *bind = &options->binds[options->bind_count];
    size_t len = strlen(value);

    if (options->bind_count == OCI_MAX_BINDS)
        return error_set(err, -EINVAL, "--bind: there can be %d at most", OCI_MAX_BINDS);
    bind->writable = len > 3 && strcmp(value + len - 3, ":rw") == 0;
    if (bind->writable)
        value[len - 3] = '\0';
    bind->host = value;
    options->bind_count++;
    return 0;
}

static int take(int which, char *value, struct oci_options *options, struct error *err)
{
    switch (which) {
    case NAME:
        options->name = value;
        return 0;
    case PROGRAM:
        options->program = value;
        return 0;
    case KIND:
        return take_kind(value, options, err);
    case CONFIG:
        options->config = value;
        return 0;
    case ROOT:
        options->root = value;
        return 0;
    case DISK:
        if (parse_u64(value, 1, INT64_MAX, &options->disk_bytes) < 0)
            return error_set(err, -EINVAL, "--disk: '%s' is not a number of bytes", value);
        return 0;
    case BIND:
        return take_bind(value, options, err);
    case NO_ASLR:
        options->no_aslr = true;
        return 0;
    default:
        return error_set(err, -EINVAL, "it is started by osvm; see supervisor/oci.h");
    }
}

int oci_options_parse(int argc, char *argv[], struct oci_options *options, struct error *err)
{
    int which, r = 0;

    *options = (struct oci_options){0};
    opterr = 0;
    while (r == 0 && (which = getopt_long(argc, argv, "+", table, NULL)) != -1)
        r = take(which, optarg, options, err);
    if (r == 0 && (optind != argc || !options->name || !options->program || !options->config ||
                   !options->root || !options->disk_bytes))
        r = error_set(err, -EINVAL, OCI_USAGE ", and no words besides");
    return r;
}

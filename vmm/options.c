/* The command line: taken apart, checked for its form, applied; and --help. */
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "config_file.h"

/* Once all options are known. */
static int check_consoles(const struct config *config, struct error *err)
{
    if (config->console == CONSOLE_STDIO && config->virtio_console == CONSOLE_STDIO)
        return error_set(
            err, -EINVAL,
            "--virtio-console stdio: the serial console has standard input and output; "
            "say --console none (or file=, socket=) too");
    return 0;
}

/* One option of the command line, taken apart. */
struct given {
    const struct option *option;
    size_t index;
    const char *value;
};

/**
 * Take the option at argv[*at] apart and move *at past it.
 * Returns 0, or -EINVAL with what is wrong.
 */
static int next_option(int argc, char *const argv[], int *at, struct given *ret_given,
                       struct error *err)
{
    const char *word = argv[*at];
    const char *name, *equals;
    struct given given = {0};

    if (strcmp(word, "-h") == 0)
        word = "--help";
    else if (strcmp(word, "-V") == 0)
        word = "--version";
    else if (strcmp(word, "-e") == 0)
        word = "--env";
    if (strncmp(word, "--", 2) != 0 || !word[2])
        return error_set(err, -EINVAL,
                         "unexpected argument '%s' (a kernel is given with --kernel FILE)", word);
    name = word + 2;
    equals = strchrnul(name, '=');
    given.option = option_find(name, (size_t)(equals - name), &given.index);
    if (!given.option)
        return error_set(err, -EINVAL, "unknown option '--%.*s'; --help shows them all",
                         (int)min_u64((uint64_t)(equals - name), 64), name);
    given.value = *equals ? equals + 1 : NULL;
    if (given.option->argument == OPTION_FLAG && given.value)
        return error_set(err, -EINVAL, "option '--%s' takes no value", given.option->name);
    if ((given.option->argument == OPTION_VALUE || given.option->argument == OPTION_LIST) &&
        !given.value) {
        if (*at + 1 >= argc)
            return error_set(err, -EINVAL, "option '--%s' wants a value: --%s %s",
                             given.option->name, given.option->name, given.option->placeholder);
        given.value = argv[++*at];
    }
    ++*at;
    *ret_given = given;
    return 0;
}

/* Whether there is an option at argv[at], before the end and "--". */
static bool is_option(int argc, char *const argv[], int at)
{
    return at < argc && strcmp(argv[at], "--") != 0;
}

/* Look over the command line: its form, repetitions, and what comes before everything else. */
static int scan(int argc, char *const argv[], const char **ret_config_file,
                enum options_action *ret_action, struct error *err)
{
    bool seen[OPTION_MAX] = {0};
    bool help = false, version = false;

    for (int at = 1; is_option(argc, argv, at);) {
        struct given given;
        int r = next_option(argc, argv, &at, &given, err);

        if (r < 0)
            return r;
        if (seen[given.index] && given.option->argument != OPTION_LIST)
            return error_set(err, -EINVAL, "option '--%s' is given twice", given.option->name);
        seen[given.index] = true;
        help = help || strcmp(given.option->name, "help") == 0;
        version = version || strcmp(given.option->name, "version") == 0;
        if (strcmp(given.option->name, "config") == 0)
            *ret_config_file = given.value;
    }
    *ret_action = help ? OPTIONS_SHOW_HELP : version ? OPTIONS_SHOW_VERSION : OPTIONS_RUN;
    return 0;
}

/* Set one after the other what the command line says, and what is behind "--". */
static int apply(int argc, char *const argv[], struct config *config, struct error *err)
{
    bool cleared[OPTION_MAX] = {0};
    size_t arg = 0;
    int at = 1;

    option_find("arg", strlen("arg"), &arg);
    while (is_option(argc, argv, at)) {
        struct given given;
        int r;

        r = next_option(argc, argv, &at, &given, err);
        if (r < 0)
            return r;
        /* A list of the command line replaces that of the file, as any other value does. */
        if (given.option->clear && !cleared[given.index])
            given.option->clear(config);
        cleared[given.index] = true;
        r = given.option->set(config, given.value, err);
        if (r < 0)
            return error_prefix(err, r, "--%s", given.option->name);
    }
    if (at < argc && !cleared[arg])
        option_at(arg)->clear(config);
    while (++at < argc) {
        int r = option_at(arg)->set(config, argv[at], err);

        if (r < 0)
            return r;
    }
    return 0;
}

int options_parse(int argc, char *const argv[], struct config *config,
                  enum options_action *ret_action, struct error *err)
{
    const char *config_file = NULL;
    enum options_action action = OPTIONS_RUN;
    int r = scan(argc, argv, &config_file, &action, err);

    if (r < 0)
        return r;
    if (action == OPTIONS_RUN) {
        r = config_file ? config_file_read(config_file, config, err) : 0;
        if (r == 0)
            r = apply(argc, argv, config, err);
        if (r < 0)
            return r;
    }
    r = action == OPTIONS_RUN ? check_consoles(config, err) : 0;
    if (r == 0)
        *ret_action = action;
    return r;
}

void options_print_help(void)
{
    printf("Usage: osvm-vmm [OPTION]... [-- ARGUMENT...]\n"
           "Run one virtual machine on /dev/kvm: boot a kernel image, show its console, end with "
           "its status.\n");
    for (size_t i = 0; option_at(i); i++) {
        const struct option *option = option_at(i);
        const char *line = option->help;
        char left[40];

        if (option->group)
            printf("\n%s:\n", option->group);
        snprintf(left, sizeof(left), "--%s%s%s%s", option->name,
                 option->argument == OPTION_OPTIONAL ? "[="
                 : option->placeholder               ? " "
                                                     : "",
                 option->placeholder ? option->placeholder : "",
                 option->argument == OPTION_OPTIONAL ? "]" : "");
        printf("  %-24s", left);
        for (;;) {
            const char *end = strchrnul(line, '\n');

            printf("%.*s\n", (int)(end - line), line);
            if (!*end)
                break;
            line = end + 1;
            printf("  %-24s", "");
        }
    }
    printf("\nExit status: the guest's own where it gave one; 0 after power-off or reset; 124 a "
           "limit\nended it; 125 refused (options, image, host); 126 the guest died; 128+N ended "
           "by signal N.\n"
           "\nExamples:\n"
           "  osvm-vmm\n"
           "  osvm-vmm --kernel bzImage --initrd initrd.img --cmdline console=ttyS0 --mem 512 "
           "--cpus 2\n"
           "  osvm-vmm --config vm.json --check\n");
}

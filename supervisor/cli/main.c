/* osvm: the command line. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "command.h"
#include "version.h"

static int command_help(const struct invocation *invocation);
static int command_version(const struct invocation *invocation);

static const struct command commands[] = {
    {"daemon", "", "keep components; all the commands below but `run` and `check` talk to it", 0, 0,
     command_daemon},
    {"create", "FILE...", "keep components, without starting them", 1, -1, command_create},
    {"start", "NAME...", "start them, and what they depend on, and wait until they are ready", 1,
     -1, command_start},
    {"stop", "NAME...", "ask them to end, and wait; by force after their grace time", 1, -1,
     command_stop},
    {"restart", "NAME...", "stop and start", 1, -1, command_restart},
    {"kill", "NAME...", "end them by force", 1, -1, command_kill},
    {"rm", "[--force] NAME...", "forget them, with their logs", 1, -1, command_rm},
    {"ps", "", "what there is, and how it fares", 0, 0, command_ps},
    {"inspect", "NAME", "all that is known of one", 1, 1, command_inspect},
    {"logs", "[-f] [--since TIME] NAME", "what it has said; -f goes on", 1, 4, command_logs},
    {"exec", "[-it] [-w DIR] [-e NAME=VALUE]... NAME [--] COMMAND...",
     "run a command inside one, with its limits and its filter", 2, COMMAND_ALL_WORDS,
     command_exec},
    {"stats", "[NAME...]", "what they use", 0, -1, command_stats},
    {"top", "", "the same, again and again, until q", 0, 0, command_top},
    {"health", "[NAME...]", "how they fare; the status is 1 where one does not", 0, -1,
     command_health},
    {"events", "", "what happens, as it happens", 0, 0, command_events},
    {"mcp", "NAME", "speak MCP with it on standard input and output; it is started if need be", 1,
     1, command_mcp},
    {"run", "FILE", "run a component in the foreground, without the daemon", 1, 1, command_run},
    {"check", "FILE...", "name every mistake in component files, with its line", 1, -1,
     command_check},
    {"runtimes", "", "what can be had here, and what to install for the rest", 0, 0,
     command_runtimes},
    {"doctor", "", "look at all that is wanted of this host, and say each remedy", 0, 0,
     command_doctor},
    {"schema", "", "the JSON Schema of component files", 0, 0, command_schema},
    {"completion", "bash|zsh|fish", "a script that completes these commands in a shell", 1, 1,
     command_completion},
    {"version", "", "show the version", 0, 0, command_version},
    {"help", "", "show this help", 0, 0, command_help},
};

const struct command *commands_table(size_t *ret_count)
{
    *ret_count = ARRAY_SIZE(commands);
    return commands;
}

int fail(int status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("osvm: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return status;
}

int print_json(json_t *value)
{
    int r = value ? json_dumpf(value, stdout, JSON_INDENT(2)) : -1;

    json_decref(value);
    if (r < 0)
        return fail(EXIT_FAILED, "cannot print it");
    putchar('\n');
    return 0;
}

const char *text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

bool is_named(const struct invocation *invocation, const char *name)
{
    for (int i = 0; i < invocation->argument_count; i++) {
        if (strcmp(invocation->arguments[i], name) == 0)
            return true;
    }
    return invocation->argument_count == 0;
}

static int command_version(const struct invocation *invocation)
{
    if (invocation->json)
        printf("{\"version\": \"" OSVM_VERSION "\"}\n");
    else
        puts("osvm " OSVM_VERSION);
    return 0;
}

static int command_help(const struct invocation *invocation)
{
    (void)invocation;
    puts("Usage: osvm [--state DIR] [--run DIR] [--json] COMMAND [ARGUMENT]...\n"
         "Keep components, each as isolated as it says.\n");
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        char left[48];

        snprintf(left, sizeof(left), "%s %s", commands[i].name, commands[i].usage);
        printf("  %-24s%s\n", left, commands[i].help);
    }
    puts("\nExit status: 0; 1 it failed; 2 a wrong command line; 125 refused. `osvm run` ends with "
         "the\ncomponent's own, 124 where its time was over, 128+N where signal N ended it.");
    return 0;
}

/* Take the options off the front. Returns the index of the command, or -1 with a message said. */
static int take_options(int argc, char *argv[], struct invocation *invocation)
{
    int at = 1;

    for (; at < argc && argv[at][0] == '-'; at++) {
        const char *word = argv[at];

        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            command_help(invocation);
            return 0;
        }
        if (strcmp(word, "--json") == 0) {
            invocation->json = true;
        } else if (strcmp(word, "--version") == 0) {
            command_version(invocation);
            return 0;
        } else if (strcmp(word, "--state") == 0 && at + 1 < argc) {
            invocation->state = argv[++at];
        } else if (strcmp(word, "--run") == 0 && at + 1 < argc) {
            invocation->run = argv[++at];
        } else {
            fail(EXIT_USAGE,
                 "unknown option '%s', or its value is missing; osvm help shows them all", word);
            return -1;
        }
    }
    if (at == argc) {
        fail(EXIT_USAGE, "a command is wanted; osvm help shows them all");
        return -1;
    }
    return at;
}

/* --json is taken behind the command too, as people write it, unless the words are another's. */
static void take_rest(char *words[], bool verbatim, struct invocation *invocation)
{
    int count = 0;

    for (int i = 0; words[i]; i++) {
        if (!verbatim && strcmp(words[i], "--json") == 0)
            invocation->json = true;
        else
            words[count++] = words[i];
    }
    words[count] = NULL;
    invocation->arguments = words;
    invocation->argument_count = count;
}

static int dispatch(const struct command *command, const struct invocation *invocation)
{
    if (invocation->argument_count < command->least ||
        (command->most >= 0 && invocation->argument_count > command->most))
        return fail(EXIT_USAGE, "usage: osvm %s %s", command->name, command->usage);
    return command->run(invocation);
}

int main(int argc, char *argv[])
{
    struct invocation invocation = {0};
    int at = take_options(argc, argv, &invocation);

    if (at <= 0)
        return at < 0 ? EXIT_USAGE : 0;
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        if (strcmp(argv[at], commands[i].name) != 0)
            continue;
        take_rest(argv + at + 1, commands[i].most == COMMAND_ALL_WORDS, &invocation);
        return dispatch(&commands[i], &invocation);
    }
    return fail(EXIT_USAGE, "'%s' is no command; osvm help shows them all", argv[at]);
}

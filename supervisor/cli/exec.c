/* osvm exec: a command inside a component that runs, with its limits and its filter. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../launch.h"
#include "client.h"
#include "pty.h"

#define USAGE                                                                         \
    "usage: osvm exec [-i] [-t] [-w DIRECTORY] [-e NAME=VALUE]... NAME [--] COMMAND " \
    "[ARGUMENT]..."

struct wish {
    bool terminal;
    const char *directory, *name;
    char **environment; /* pointers into the arguments, and their number */
    int environment_count;
    char **command;
};

/* Options end at the name. Returns 0, or the exit status with a message said. */
static int take_arguments(const struct invocation *invocation, struct wish *wish)
{
    char **word = invocation->arguments;

    for (; *word && (*word)[0] == '-'; word++) {
        if (strcmp(*word, "-i") == 0) /* its standard input is always there */
            continue;
        if (strcmp(*word, "-t") == 0 || strcmp(*word, "-it") == 0 || strcmp(*word, "-ti") == 0)
            wish->terminal = true;
        else if (strcmp(*word, "-w") == 0 && word[1])
            wish->directory = *++word;
        else if (strcmp(*word, "-e") == 0 && word[1] && strchr(word[1], '='))
            wish->environment[wish->environment_count++] = *++word;
        else
            return fail(EXIT_USAGE, USAGE);
    }
    wish->name = *word ? *word++ : NULL;
    if (*word && strcmp(*word, "--") == 0)
        word++;
    wish->command = word;
    if (!wish->name || !*word)
        return fail(EXIT_USAGE, USAGE);
    if (!component_name_valid(wish->name))
        return fail(EXIT_USAGE, "'%s' is no component's name", wish->name);
    return 0;
}

static char *describe(const struct wish *wish)
{
    json_auto_t *body = json_object();
    json_t *words = json_array();

    for (char **word = wish->command; *word; word++)
        json_array_append_new(words, json_string(*word));
    json_object_set_new(body, "command", words);
    if (wish->directory)
        json_object_set_new(body, "directory", json_string(wish->directory));
    return json_array_size(words) ? json_dumps(body, JSON_COMPACT) : NULL;
}

/* The words of a JSON list, NULL behind the last, and room for `more`. Never freed: exec follows.
 */
static char **words_of(json_t *list, size_t more, size_t *ret_count)
{
    size_t count = json_array_size(list);
    char **words = calloc(count + more + 1, sizeof(*words));

    for (size_t i = 0; words && i < count; i++)
        words[i] = strdup(json_string_value(json_array_get(list, i)));
    *ret_count = count;
    return words;
}

/* Become it, or, where it is to have a terminal of its own, its parent. */
static int start(json_t *answer, const struct wish *wish)
{
    size_t words, pairs;
    char **argv = words_of(json_object_get(answer, "argv"), 0, &words);
    char **environment = words_of(json_object_get(answer, "environment"),
                                  (size_t)wish->environment_count + 1, &pairs);
    const char *term = getenv("TERM");
    char *pair;

    if (!argv || !argv[0] || !environment)
        return fail(EXIT_FAILED, "the daemon's answer is not one");
    if (wish->terminal && term && asprintf(&pair, "TERM=%s", term) >= 0)
        environment[pairs++] = pair;
    for (int i = 0; i < wish->environment_count; i++)
        environment[pairs++] = wish->environment[i];
    if (wish->terminal)
        return pty_run(argv, environment);
    execvpe(argv[0], argv, environment);
    return fail(EXIT_CANNOT_RUN, "cannot start '%s': %s", argv[0], strerror(errno));
}

int command_exec(const struct invocation *invocation)
{
    struct wish wish = {.environment =
                            calloc((size_t)invocation->argument_count + 1, sizeof(char *))};
    struct client *client;
    json_t *answer = NULL;
    char path[128];
    int status =
        wish.environment ? take_arguments(invocation, &wish) : fail(EXIT_FAILED, "out of memory");
    char *body = status ? NULL : describe(&wish);

    if (!status && !body)
        status = fail(EXIT_USAGE, "a word of the command is not UTF-8");
    if (!status)
        status = client_open(invocation, &client);
    if (!status) {
        snprintf(path, sizeof(path), "/v1/components/%s/exec", wish.name);
        status = client_ask(client, "POST", path, body, strlen(body), &answer);
        client_close(client);
    }
    if (!status)
        status = start(answer, &wish);
    free(body);
    free(wish.environment);
    json_decref(answer);
    return status;
}

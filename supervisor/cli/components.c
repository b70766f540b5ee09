/* The commands that ask the daemon about components. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../document.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/util.h"
#include "client.h"
#include "table.h"

/* --- create
 * ------------------------------------------------------------------------------------------ */

static int create_one(struct client *client, const char *path, bool json)
{
    _cleanup_free_ char *text = NULL;
    struct component component;
    json_t *answer = NULL;
    size_t len;
    /* Its mistakes are told here, by the file's name. */
    int status = read_component_file(path, &component);

    component_free(&component);
    if (status)
        return status;
    if (io_read_file(path, DOCUMENT_MAX_BYTES, &text, &len) < 0)
        return fail(EXIT_FAILED, "cannot read '%s'", path);
    status = client_ask(client, "POST", "/v1/components", text, len, &answer);
    if (status)
        return status;
    if (json)
        return print_json(answer);
    puts(text_of(answer, "name"));
    json_decref(answer);
    return 0;
}

int command_create(const struct invocation *invocation)
{
    struct client *client;
    int status = client_open(invocation, &client);

    if (status)
        return status;
    for (int i = 0; i < invocation->argument_count; i++) {
        int r = create_one(client, invocation->arguments[i], invocation->json);

        status = status ? status : r;
    }
    client_close(client);
    return status;
}

/* --- start, stop, restart, kill
 * ------------------------------------------------------------------------ */

/* A small guest is ready within milliseconds; what takes longer is looked at less and less often.
 */
#define FIRST_POLL_NS (1 * NS_PER_MS)
#define SOON_NS       (30 * NS_PER_MS)
#define LAST_POLL_NS  (20 * NS_PER_MS)
#define PATIENT_NS    (2 * NS_PER_SEC) /* then a person is told what is waited for */

/* Ask until its status is the one that is wanted, or one from which it never comes. */
static int await_status(struct client *client, const char *name, const char *wanted)
{
    struct timespec pause = {.tv_nsec = FIRST_POLL_NS};
    uint64_t begun = clock_monotonic_ns(), told = begun + PATIENT_NS;
    char path[128];

    snprintf(path, sizeof(path), "/v1/components/%s", name);
    for (;;) {
        json_auto_t *answer = NULL;
        int r = client_ask(client, "GET", path, NULL, 0, &answer);
        const char *status = text_of(answer, "status");

        if (r || strcmp(status, wanted) == 0)
            return r;
        if (strcmp(status, "failed") == 0 || strcmp(status, "stopped") == 0)
            return fail(EXIT_FAILED, "%s: %s: %s", name, status, text_of(answer, "message"));
        if (clock_monotonic_ns() > told) {
            fail(0, "%s is %s%s%s ...", name, status, *text_of(answer, "message") ? ": " : "",
                 text_of(answer, "message"));
            told = UINT64_MAX;
        }
        nanosleep(&pause, NULL);
        if (clock_monotonic_ns() - begun > SOON_NS)
            pause.tv_nsec = (long)min_u64(2 * (uint64_t)pause.tv_nsec, LAST_POLL_NS);
    }
}

/* Do something to a component, and wait for what that leads to. */
static int act_on(struct client *client, const char *name, const char *action, const char *wanted)
{
    char path[160];
    int r;

    snprintf(path, sizeof(path), "/v1/components/%s/%s", name, action);
    r = client_ask(client, "POST", path, NULL, 0, NULL);
    return r ? r : await_status(client, name, wanted);
}

int client_start(struct client *client, const char *name)
{
    return act_on(client, name, "start", "running");
}

static int act(const struct invocation *invocation, const char *action, const char *wanted)
{
    struct client *client;
    int status = client_open(invocation, &client);

    if (status)
        return status;
    for (int i = 0; i < invocation->argument_count; i++) {
        const char *name = invocation->arguments[i];
        int r;

        if (!component_name_valid(name)) {
            status = fail(EXIT_USAGE, "'%s' is no component's name", name);
            continue;
        }
        r = act_on(client, name, action, wanted);
        if (!r)
            puts(name);
        status = status ? status : r;
    }
    client_close(client);
    return status;
}

int command_start(const struct invocation *invocation)
{
    return act(invocation, "start", "running");
}

int command_stop(const struct invocation *invocation)
{
    return act(invocation, "stop", "stopped");
}

int command_restart(const struct invocation *invocation)
{
    return act(invocation, "restart", "running");
}

int command_kill(const struct invocation *invocation)
{
    return act(invocation, "kill", "stopped");
}

int command_rm(const struct invocation *invocation)
{
    struct client *client;
    bool force = false;
    int status = client_open(invocation, &client);

    if (status)
        return status;
    for (int i = 0; i < invocation->argument_count; i++) {
        const char *name = invocation->arguments[i];
        char path[128];
        int r;

        if (strcmp(name, "--force") == 0 || strcmp(name, "-f") == 0) {
            force = true;
            continue;
        }
        if (!component_name_valid(name)) {
            status = fail(EXIT_USAGE, "'%s' is no component's name", name);
            continue;
        }
        snprintf(path, sizeof(path), "/v1/components/%s%s", name, force ? "?force=1" : "");
        r = client_ask(client, "DELETE", path, NULL, 0, NULL);
        if (!r)
            puts(name);
        status = status ? status : r;
    }
    client_close(client);
    return status;
}

/* --- ps, inspect, events
 * -------------------------------------------------------------------------------- */

static enum table_colour colour_of(const char *status)
{
    return strcmp(status, "running") == 0   ? TABLE_GOOD
           : strcmp(status, "failed") == 0  ? TABLE_BAD
           : strcmp(status, "stopped") == 0 ? TABLE_FAINT
                                            : TABLE_WARNING;
}

static void add_row(struct table *table, json_t *component)
{
    const char *level = text_of(component, "level"), *status = text_of(component, "status");
    double started = json_number_value(json_object_get(component, "started"));
    /* What runs weaker than it was meant to stays visible. */
    bool weak = json_is_true(json_object_get(component, "weaker")) || strcmp(level, "none") == 0;

    table_add(table, TABLE_PLAIN, "%s", text_of(component, "name"));
    table_add(table, TABLE_PLAIN, "%s", text_of(component, "type"));
    table_add(table, weak ? TABLE_BAD : TABLE_PLAIN, "%s%s", level, weak ? " (!)" : "");
    table_add(table, colour_of(status), "%s", status);
    table_add(table, TABLE_PLAIN, "%s", text_of(component, "health"));
    table_add(table, TABLE_PLAIN, "%d",
              (int)json_integer_value(json_object_get(component, "restarts")));
    table_add_age(table, started > 0 ? (double)clock_realtime_ns() / 1e9 - started : 0);
    table_add(table, TABLE_PLAIN, "%s", text_of(component, "message"));
}

int command_ps(const struct invocation *invocation)
{
    static const char *const headers[] = {"NAME",     "TYPE", "LEVEL",   "STATUS", "HEALTH",
                                          "RESTARTS", "UP",   "MESSAGE", NULL};
    json_t *answer = NULL, *component;
    struct table table;
    int status = client_get(invocation, "/v1/components", &answer);
    size_t i;

    if (status)
        return status;
    if (invocation->json)
        return print_json(answer);
    table_init(&table, headers, 1 << 5);
    json_array_foreach(answer, i, component)
    {
        add_row(&table, component);
    }
    status = table_print(&table);
    table_free(&table);
    json_decref(answer);
    return status;
}

int command_inspect(const struct invocation *invocation)
{
    json_t *answer = NULL;
    char path[128];
    int status;

    if (!component_name_valid(invocation->arguments[0]))
        return fail(EXIT_USAGE, "'%s' is no component's name", invocation->arguments[0]);
    snprintf(path, sizeof(path), "/v1/components/%s", invocation->arguments[0]);
    status = client_get(invocation, path, &answer);
    return status ? status : print_json(answer);
}

static bool print_event(void *context, const char *line, size_t len)
{
    const struct invocation *invocation = context;
    json_auto_t *event = json_loadb(line, len, 0, NULL);
    time_t seconds = (time_t)json_number_value(json_object_get(event, "time"));
    char when[32];
    struct tm tm;

    if (invocation->json) {
        printf("%.*s\n", (int)len, line);
    } else {
        localtime_r(&seconds, &tm);
        strftime(when, sizeof(when), "%F %T", &tm);
        printf("%s  %-20s %-8s %s%s%s\n", when, text_of(event, "component"),
               text_of(event, "event"),
               strcmp(text_of(event, "event"), "health") == 0 ? text_of(event, "health")
                                                              : text_of(event, "status"),
               *text_of(event, "message") ? ": " : "", text_of(event, "message"));
    }
    return fflush(stdout) == 0;
}

int command_events(const struct invocation *invocation)
{
    struct client *client;
    struct invocation context = *invocation;
    int status = client_open(invocation, &client);

    if (status)
        return status;
    status = client_follow(client, "/v1/events", print_event, &context);
    client_close(client);
    return status;
}

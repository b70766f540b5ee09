/* osvm health: how components fare, and what the last probe found. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "client.h"
#include "table.h"

/* Running, and not known to be unwell. One that rests is as it should be unless it was asked for.
 */
static bool is_well(const struct invocation *invocation, json_t *component)
{
    const char *status = text_of(component, "status"), *health = text_of(component, "health");

    if (strcmp(status, "stopped") == 0)
        return invocation->argument_count == 0;
    return strcmp(status, "running") == 0 &&
           (strcmp(health, "healthy") == 0 || strcmp(health, "unknown") == 0);
}

static json_t *pick(const struct invocation *invocation, json_t *all, int *status)
{
    json_t *list = json_array(), *component;
    size_t i;

    json_array_foreach(all, i, component)
    {
        json_t *entry;

        if (!is_named(invocation, text_of(component, "name")))
            continue;
        entry = json_object();
        json_object_set(entry, "name", json_object_get(component, "name"));
        json_object_set(entry, "status", json_object_get(component, "status"));
        json_object_set(entry, "health", json_object_get(component, "health"));
        json_object_set(entry, "probed", json_object_get(component, "probed"));
        json_object_set(entry, "detail", json_object_get(component, "probe_detail"));
        json_object_set(entry, "message", json_object_get(component, "message"));
        json_array_append_new(list, entry);
        if (!is_well(invocation, component))
            *status = EXIT_FAILED;
    }
    return list;
}

static int print(json_t *list)
{
    static const char *const headers[] = {"NAME", "STATUS", "HEALTH", "PROBED", "DETAIL", NULL};
    double now = (double)clock_realtime_ns() / 1e9;
    struct table table;
    json_t *entry;
    size_t i;
    int status;

    table_init(&table, headers, 0);
    json_array_foreach(list, i, entry)
    {
        const char *health = text_of(entry, "health"), *detail = text_of(entry, "detail");
        double probed = json_number_value(json_object_get(entry, "probed"));

        table_add(&table, TABLE_PLAIN, "%s", text_of(entry, "name"));
        table_add(&table, TABLE_PLAIN, "%s", text_of(entry, "status"));
        table_add(&table,
                  strcmp(health, "healthy") == 0     ? TABLE_GOOD
                  : strcmp(health, "degraded") == 0  ? TABLE_WARNING
                  : strcmp(health, "unhealthy") == 0 ? TABLE_BAD
                                                     : TABLE_PLAIN,
                  "%s", health);
        if (probed > 0)
            table_add_age(&table, now > probed ? now - probed + 1e-9 : 1e-9);
        else
            table_add(&table, TABLE_PLAIN, "never");
        table_add(&table, TABLE_PLAIN, "%s", *detail ? detail : text_of(entry, "message"));
    }
    status = table_print(&table);
    table_free(&table);
    return status;
}

int command_health(const struct invocation *invocation)
{
    json_auto_t *answer = NULL;
    json_t *list;
    int status = client_get(invocation, "/v1/components", &answer), well = 0;

    if (status)
        return status;
    list = pick(invocation, answer, &well);
    if (invocation->argument_count > (int)json_array_size(list)) {
        json_decref(list);
        return fail(EXIT_FAILED,
                    "one of these components is not kept here; osvm ps shows them all");
    }
    if (invocation->json) {
        status = print_json(list);
    } else {
        status = print(list);
        json_decref(list);
    }
    return status ? status : well;
}

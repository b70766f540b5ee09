/* osvm runtimes: what was tried here, and how it went. */
#include <stdio.h>

#include "../runtime_manager.h"
#include "command.h"
#include "table.h"

int command_runtimes(const struct invocation *invocation)
{
    static const char *const headers[] = {"LEVEL", "RUNTIME", "SCORE", "AVAILABLE", "DETAIL", NULL};
    struct runtime_manager manager;
    struct table table;
    int status;

    runtime_manager_init(&manager);
    if (invocation->json)
        return print_json(runtime_manager_describe(&manager));
    table_init(&table, headers, 1 << 2);
    for (size_t i = 0; i < manager.count; i++) {
        const struct runtime_probe *probe = &manager.probes[i];

        table_add(&table, TABLE_PLAIN, "%s", isolation_level_name(manager.runtimes[i]->level));
        table_add(&table, TABLE_PLAIN, "%s", manager.runtimes[i]->name);
        table_add(&table, TABLE_PLAIN, "%u", isolation_score(manager.runtimes[i]->level));
        table_add(&table, probe->available ? TABLE_GOOD : TABLE_WARNING, "%s",
                  probe->available ? "yes" : "no");
        table_add(&table, TABLE_PLAIN, "%s", probe->available ? probe->detail : probe->why);
    }
    status = table_print(&table);
    table_free(&table);
    for (size_t i = 0; i < manager.count; i++) {
        const struct runtime_probe *probe = &manager.probes[i];

        if (!probe->available && *probe->remedy)
            printf("%s (%s): %s\n", isolation_level_name(manager.runtimes[i]->level),
                   manager.runtimes[i]->name, probe->remedy);
    }
    return status;
}

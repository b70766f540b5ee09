/* osvm runtimes: what was tried here, and how it went. */
#include <stdio.h>

#include "../runtime_manager.h"
#include "command.h"

int command_runtimes(const struct invocation *invocation)
{
    struct runtime_manager manager;

    runtime_manager_init(&manager);
    if (invocation->json)
        return print_json(runtime_manager_describe(&manager));
    printf("%-16s %-13s %5s  %-9s  %s\n", "LEVEL", "RUNTIME", "SCORE", "AVAILABLE", "DETAIL");
    for (size_t i = 0; i < manager.count; i++) {
        const struct runtime_probe *probe = &manager.probes[i];

        printf("%-16s %-13s %5u  %-9s  %s\n", isolation_level_name(manager.runtimes[i]->level),
               manager.runtimes[i]->name, isolation_score(manager.runtimes[i]->level),
               probe->available ? "yes" : "no", probe->available ? probe->detail : probe->why);
        if (!probe->available && *probe->remedy)
            printf("%-47s  %s\n", "", probe->remedy);
    }
    return 0;
}

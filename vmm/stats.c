#include "stats.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "exits.h"
#include "hermit_machine.h"

static void print_stages(const struct stages *stages)
{
    uint64_t before = stages->process_start_ns;

    fprintf(stderr, "stage                    at, us     took, us\n");
    for (unsigned i = 0; i < STAGE_COUNT; i++) {
        uint64_t at = stages->reached_ns[i];

        if (!at)
            continue;
        /* The guest's own stages may lie anywhere among the last ones. */
        fprintf(stderr, "%-20s %10" PRIu64 " %12" PRIu64 "\n", stage_name(i),
                (at - stages->process_start_ns) / NS_PER_US,
                at > before ? (at - before) / NS_PER_US : 0);
        before = at > before ? at : before;
    }
}

static void print_exits(const struct machine *machine)
{
    struct exit_counts counts;

    exit_counts_read(machine, &counts);
    fprintf(stderr, "exit                      count\n");
    for (unsigned kind = 0; kind < VCPU_EXIT_KINDS; kind++) {
        const char *name = vcpu_exit_name(kind);
        uint64_t count = counts.by_kind[kind];

        if (count > 0 && name)
            fprintf(stderr, "%-20s %10" PRIu64 "\n", name, count);
        else if (count > 0)
            fprintf(stderr, "reason %-13u %10" PRIu64 "\n", kind, count);
    }
}

static void print_hypercalls(const struct hermit_calls *calls)
{
    const char *name;
    uint64_t count;
    size_t at = 0;

    fprintf(stderr, "hypercall                 count\n");
    while ((name = hermit_calls_count(calls, &at, &count))) {
        if (count > 0)
            fprintf(stderr, "%-20s %10" PRIu64 "\n", name, count);
    }
}

void stats_print(const struct machine *machine, const struct stages *stages)
{
    print_stages(stages);
    print_exits(machine);
    if (machine->hermit)
        print_hypercalls(hermit_machine_calls(machine->hermit));
}

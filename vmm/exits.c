#include "exits.h"

#include <stdio.h>

#include "machine.h"

void exit_counts_read(const struct machine *machine, struct exit_counts *ret_counts)
{
    *ret_counts = (struct exit_counts){
        .unclaimed_ports = __atomic_load_n(&machine->ports.unclaimed, __ATOMIC_RELAXED),
        .unclaimed_memory = __atomic_load_n(&machine->mmio.unclaimed, __ATOMIC_RELAXED),
    };
    for (unsigned i = 0; i < machine->vcpu_count; i++) {
        for (unsigned kind = 0; kind < VCPU_EXIT_KINDS; kind++)
            ret_counts->by_kind[kind] +=
                __atomic_load_n(&machine->vcpus[i].exits[kind], __ATOMIC_RELAXED);
    }
}

/* JSON's numbers have a sign. */
static void put(json_t *object, const char *name, uint64_t value)
{
    json_object_set_new(object, name, json_integer((json_int_t)(value & INT64_MAX)));
}

json_t *exit_counts_json(const struct exit_counts *counts)
{
    json_t *object = json_object();
    uint64_t total = 0;

    for (unsigned kind = 0; kind < VCPU_EXIT_KINDS; kind++) {
        const char *name = vcpu_exit_name(kind);
        char number[24];

        total += counts->by_kind[kind];
        if (counts->by_kind[kind] == 0)
            continue;
        snprintf(number, sizeof(number), "reason-%u", kind);
        put(object, name ? name : number, counts->by_kind[kind]);
    }
    put(object, "total", total);
    put(object, "unclaimed-ports", counts->unclaimed_ports);
    put(object, "unclaimed-memory", counts->unclaimed_memory);
    return object;
}

/* How often a machine's CPUs have come out to this program, and why. */
#ifndef OSVM_VMM_EXITS_H
#define OSVM_VMM_EXITS_H

#include <jansson.h>
#include <stdint.h>

#include "guest/vcpu.h"

struct machine;

/* Fixed in size: it crosses between processes (api/channel.h). */
struct exit_counts {
    uint64_t by_kind[VCPU_EXIT_KINDS]; /* of all CPUs together */
    uint64_t unclaimed_ports, unclaimed_memory;
};

/* The counts so far. Any thread. */
void exit_counts_read(const struct machine *machine, struct exit_counts *ret_counts);

/* By kind, those that there were, and in all. A new reference; the counts may be anything. */
json_t *exit_counts_json(const struct exit_counts *counts);

#endif

/* What a component that runs uses: from its control group where it has one, from /proc for the
 * rest. */
#ifndef OSVM_SUPERVISOR_USAGE_H
#define OSVM_SUPERVISOR_USAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "process.h"

struct usage {
    uint64_t cpu_ns;
    uint64_t memory;      /* bytes: of the group; or what its processes have of their own (Pss) */
    uint64_t memory_peak; /* bytes; 0: not known */
    uint64_t processes;   /* and threads; ours between its monitor and it included */
    uint64_t read_bytes, write_bytes;    /* to and from disks */
    uint64_t throttled, oom_kills;       /* periods in which it was stopped; kills */
    bool has_network;                    /* a network namespace of its own, with these counters */
    uint64_t received_bytes, sent_bytes; /* its loopback interface left out */
};

/**
 * Look at all processes from this one downwards.
 *
 * @child  what its monitor started
 * @group  the name of its control group
 * Returns 0, or -ESRCH where it has ended. Any thread.
 */
int usage_read(const struct process_id *child, const char *group, struct usage *ret_usage);

#endif

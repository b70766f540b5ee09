/* The arguments of osvm-monitor; see ../monitor.h. */
#ifndef OSVM_SUPERVISOR_MONITOR_OPTIONS_H
#define OSVM_SUPERVISOR_MONITOR_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct monitor_options {
    const char *name, *run, *log, *notify; /* of argv; notify: NULL for none */
    uint64_t log_max, log_files;
    uint64_t time_limit_ms, grace_ms;        /* 0: no time limit */
    const char *cgroup;                      /* NULL: none */
    uint64_t memory, cpu_percent, processes; /* of the control group; 0: no limit */
    bool says_ready, ready_at_start, streams, echo;
    char **program; /* NULL behind the last argument */
};

/* Returns 0, or -EINVAL with what is wrong in err. */
int monitor_options_parse(int argc, char *argv[], struct monitor_options *ret_options,
                          struct error *err);

#endif

/*
 * A share of CPU time for a process without the kernel's help: it is stopped (SIGSTOP) when it has
 * used more than its share of the time that has passed, and continued when the time has caught up.
 * As this goes by the CPU time that the kernel has counted, the share is exact in the long run,
 * whatever the delays.
 *
 * It is done from outside, by the parent: the process has no say in it.
 */
#ifndef OSVM_VMM_DUTY_CYCLE_H
#define OSVM_VMM_DUTY_CYCLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct duty_cycle {
    unsigned percent, cpus; /* of one CPU; how many it can use at once */
    int64_t credit_ns;      /* CPU time that it may use now; under 0: owed */
    uint64_t last_ns, last_cpu_ns;
    bool stopped;
};

/* @cpus  how many CPUs the process can keep busy at once, 1 at least */
void duty_cycle_init(struct duty_cycle *duty, unsigned percent, unsigned cpus);

/**
 * Count what has passed: wall time and CPU time, both ever growing.
 *
 * `duty->stopped` then says whether the process is to stand still.
 * Returns after how many nanoseconds to count again.
 */
uint64_t duty_cycle_count(struct duty_cycle *duty, uint64_t now_ns, uint64_t cpu_ns);

/**
 * Count, and stop or continue the child `pid` (which was not waited for) accordingly.
 * Returns after how many nanoseconds to call again.
 */
uint64_t duty_cycle_step(struct duty_cycle *duty, pid_t pid);

#endif

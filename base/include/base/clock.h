#ifndef OSVM_BASE_CLOCK_H
#define OSVM_BASE_CLOCK_H

#include <stdint.h>
#include <sys/types.h>

#define NS_PER_US  UINT64_C(1000)
#define NS_PER_MS  UINT64_C(1000000)
#define NS_PER_SEC UINT64_C(1000000000)

/* CLOCK_MONOTONIC in nanoseconds. Any thread. */
uint64_t clock_monotonic_ns(void);

/* CLOCK_REALTIME in nanoseconds since the epoch. Any thread. */
uint64_t clock_realtime_ns(void);

/* CPU time that this process has used, in nanoseconds. Any thread. */
uint64_t clock_process_cpu_ns(void);

/* That which a child has used, of all its threads. Returns 0, or -ESRCH where it has ended. */
int clock_child_cpu_ns(pid_t pid, uint64_t *ret_ns);

#endif

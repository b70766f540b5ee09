/* --check: who holds each limit on this host. */
#include <inttypes.h>
#include <stdio.h>

#include "base/parse.h"
#include "limits.h"

static const char *const means[] = {
    [MEANS_NONE] = "nobody",
    [MEANS_CGROUP_V1] = "a cgroup, version 1",
    [MEANS_CGROUP_V2] = "a cgroup, version 2",
    [MEANS_RLIMIT] = "an rlimit",
    [MEANS_GUARDIAN] = "the guardian, which stops and continues the machine's process",
};

static void print_cpus(const struct limits_config *wanted)
{
    printf("limit:    CPU i on one CPU of the host each:");
    for (unsigned i = 0; i < wanted->cpu_count; i++)
        printf(" %u", wanted->cpus[i]);
    printf(" (by its affinity)\n");
}

static void print_shares(const struct limits *limits)
{
    const struct limits_config *wanted = &limits->config->limits;
    char size[32];

    if (wanted->cpu_count)
        print_cpus(wanted);
    if (wanted->cpu_percent)
        printf("limit:    %u %% of a CPU (by %s)\n", wanted->cpu_percent, means[limits->quota]);
    if (limits->memory)
        printf("limit:    %s of memory, with osvm-vmm and the kernel's part (by %s)\n",
               format_size(limits->memory_bytes, size, sizeof(size)), means[limits->memory]);
    if (wanted->disk_bytes)
        printf("limit:    %s on writable disks and shares (by the devices)\n",
               format_size(wanted->disk_bytes, size, sizeof(size)));
    if (wanted->net_bytes_per_second)
        printf("limit:    %s a second each way over the network (by the devices)\n",
               format_size(wanted->net_bytes_per_second, size, sizeof(size)));
    if (wanted->fds)
        printf("limit:    %" PRIu64 " open files (by an rlimit)\n", wanted->fds);
    if (wanted->processes)
        printf("limit:    %" PRIu64 " processes and threads (by %s)\n", wanted->processes,
               means[limits->processes]);
}

void limits_print(const struct limits *limits)
{
    const struct limits_config *wanted = &limits->config->limits;

    print_shares(limits);
    if (wanted->time_s)
        printf("limit:    %" PRIu64 " s of time (by a timer; behind it by the guardian)\n",
               wanted->time_s);
    if (wanted->cpu_time_s)
        printf("limit:    %" PRIu64 " s of CPU time (by the guardian)\n", wanted->cpu_time_s);
    if (wanted->boot_s)
        printf("limit:    %" PRIu64 " s until the guest is ready (by a timer)\n", wanted->boot_s);
}

#include "usage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/util.h"

/* A component has its limit of processes, ours are few. */
#define MAX_PROCESSES 4096

static char *read_proc(pid_t pid, const char *file)
{
    char path[64], *text;
    size_t len;

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
    return io_read_file(path, 1 * MIB, &text, &len) < 0 ? NULL : text;
}

/* The number behind a key at the beginning of a line; 0 where it is not there. */
static uint64_t number_of(const char *text, const char *key)
{
    size_t len = strlen(key);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, len) == 0)
            return strtoull(line + len, NULL, 10);
    }
    return 0;
}

/* proc(5), stat: fields 14 to 17 are its time and that of its children that were waited for, in
 * ticks; field 20 its threads. */
static void add_stat(pid_t pid, struct usage *usage)
{
    _cleanup_free_ char *text = read_proc(pid, "stat");
    const char *at = text ? strrchr(text, ')') : NULL;
    uint64_t ticks = 0, per_second = (uint64_t)sysconf(_SC_CLK_TCK);

    for (unsigned field = 3; at && field <= 20; field++) {
        at = strchr(at + 1, ' ');
        if (at && field >= 14 && field <= 17)
            ticks += strtoull(at, NULL, 10);
        else if (at && field == 20)
            usage->processes += strtoull(at, NULL, 10);
    }
    usage->cpu_ns += ticks * (NS_PER_SEC / per_second);
}

/* What one process has of its own. Where a group counts that, it is not asked: to add up a
 * process's pages takes the kernel long. */
static void add_own(pid_t pid, struct usage *usage)
{
    _cleanup_free_ char *memory = read_proc(pid, "smaps_rollup");

    add_stat(pid, usage);
    usage->memory += memory ? number_of(memory, "Pss:") * KIB : 0;
}

static void add_disk(pid_t pid, struct usage *usage)
{
    _cleanup_free_ char *io = read_proc(pid, "io");

    usage->read_bytes += io ? number_of(io, "read_bytes:") : 0;
    usage->write_bytes += io ? number_of(io, "write_bytes:") : 0;
}

/* proc(5), net/dev: for each interface bytes and seven more numbers received, then bytes sent. */
static void add_network(pid_t pid, struct usage *usage)
{
    struct stat own, its;
    char path[64];
    _cleanup_free_ char *text = NULL;

    snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
    if (usage->has_network || stat("/proc/self/ns/net", &own) < 0 || stat(path, &its) < 0 ||
        own.st_ino == its.st_ino)
        return;
    text = read_proc(pid, "net/dev");
    for (char *line = text; line; line = strchr(line, '\n')) {
        uint64_t in, out;
        char name[32];

        line += *line == '\n';
        if (sscanf(line, " %31[^:]: %" SCNu64 " %*u %*u %*u %*u %*u %*u %*u %" SCNu64, name, &in,
                   &out) != 3 ||
            strcmp(name, "lo") == 0)
            continue;
        usage->received_bytes += in;
        usage->sent_bytes += out;
    }
    usage->has_network = text != NULL;
}

/* The group counts what has ended, too, and is what the limits are about. Returns whether there is
 * one. */
static bool read_group(pid_t pid, const char *group, struct usage *usage)
{
    struct cgroup_usage counted;
    struct cgroup_host host;
    bool found =
        cgroup_host_of(pid, &host) == 0 && cgroup_read_usage_of(&host, group, &counted) == 0;

    if (found) {
        usage->cpu_ns = counted.cpu_ns;
        usage->memory = counted.memory;
        usage->memory_peak = counted.memory_peak;
        usage->processes = counted.pids;
        usage->throttled = counted.throttled;
        usage->oom_kills = counted.oom_kills;
    }
    cgroup_host_free(&host);
    return found;
}

int usage_read(const struct process_id *child, const char *group, struct usage *ret_usage)
{
    _cleanup_free_ pid_t *queue = calloc(MAX_PROCESSES, sizeof(*queue));
    struct usage usage = {0};
    size_t count = 0;
    bool grouped;

    if (!queue)
        return -ENOMEM;
    grouped = read_group(child->pid, group, &usage);
    queue[count++] = child->pid;
    for (size_t i = 0; i < count; i++) {
        if (!grouped)
            add_own(queue[i], &usage);
        add_disk(queue[i], &usage);
        add_network(queue[i], &usage);
        process_add_children(queue[i], queue, MAX_PROCESSES, &count);
    }
    if (process_start_time(child->pid) != child->start)
        return -ESRCH; /* the numbers may have been another's */
    *ret_usage = usage;
    return 0;
}

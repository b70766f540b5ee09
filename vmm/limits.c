#include "limits.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/util.h"
#include "virtio/vsock.h"

#define GROUP_PREFIX "osvm-vmm-"

/* What osvm-vmm itself may take for its own data, and with a vsock device for slow readers. */
#define OWN_DATA_BYTES   (64 * MIB)
#define VSOCK_DATA_BYTES (VIRTIO_VSOCK_MAX_CONNECTIONS * (uint64_t)VIRTIO_VSOCK_BUF_ALLOC)
#define CPU_DATA_BYTES   MIB /* its thread's stack and the like */

/* What the kernel takes for a machine besides: page tables, at least; shadow page tables where KVM
 * has no better. A part of the guest's memory. */
#define KERNEL_PART      16
#define KERNEL_MIN_BYTES (32 * MIB)

/* So long has the machine's own loop to end it and to say so; then the guardian kills it. */
#define GRACE_NS (2 * NS_PER_SEC)

/* CPU time is looked at no more often. */
#define CPU_TIME_STEP_NS (5 * NS_PER_MS)

/* The loop's; and since Linux 6.13 KVM's worker that recovers huge pages, which is the process's.
 */
#define OWN_THREADS 2u

/* The file of /proc that has VmData is less than half of that. */
#define STATUS_MAX 4096

/* ---- Who holds what. ---- */

static enum limit_means cgroup_means(const struct cgroup_host *host,
                                     enum cgroup_controller controller)
{
    switch (cgroup_host_version(host, controller)) {
    case 1:
        return MEANS_CGROUP_V1;
    case 2:
        return MEANS_CGROUP_V2;
    default:
        return MEANS_NONE;
    }
}

/*
 * RLIMIT_NPROC counts by user and user namespace: in one of its own, which an ordinary user's jail
 * has, that is this machine alone. It does not bind the host's root.
 */
static bool rlimit_holds_processes(const struct config *config)
{
    return geteuid() != 0 && !config->no_jail;
}

static int choose(struct limits *limits, const struct cgroup_host *host, struct error *err)
{
    const struct config *config = limits->config;
    const struct limits_config *wanted = &config->limits;

    if (wanted->cpu_percent) {
        limits->quota = cgroup_means(host, CGROUP_CPU);
        if (!limits->quota)
            limits->quota = MEANS_GUARDIAN;
    }
    if (wanted->processes) {
        limits->processes = cgroup_means(host, CGROUP_PIDS);
        if (!limits->processes && rlimit_holds_processes(config))
            limits->processes = MEANS_RLIMIT;
        if (!limits->processes)
            return error_set(err, -ENOTSUP,
                             "--limit-processes cannot be held here: there is no pids cgroup that "
                             "may be used; %s",
                             geteuid() == 0 ? "have the pids controller mounted"
                                            : "run in the jail, or have one delegated");
        if (wanted->processes < config->cpus + OWN_THREADS)
            return error_set(err, -EINVAL,
                             "--limit-processes %" PRIu64 ": %u CPUs, the loop and KVM's own "
                             "worker are %u threads already",
                             wanted->processes, config->cpus, config->cpus + OWN_THREADS);
    }
    return 0;
}

static int check_affinity(const struct limits_config *wanted, struct error *err)
{
    cpu_set_t allowed;

    if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
        return wanted->cpu_count ? error_set_errno(err, -errno, "--cpu-affinity") : 0;
    for (unsigned i = 0; i < wanted->cpu_count; i++) {
        if (!CPU_ISSET(wanted->cpus[i], &allowed))
            return error_set(err, -EINVAL,
                             "--cpu-affinity: CPU %u is not there, or not for this process to use "
                             "(see Cpus_allowed_list in /proc/self/status)",
                             wanted->cpus[i]);
    }
    return 0;
}

/* How many CPUs of the host this process may use. */
static unsigned host_cpus(const struct limits_config *wanted)
{
    cpu_set_t allowed;

    if (wanted->cpu_count)
        return wanted->cpu_count;
    return sched_getaffinity(0, sizeof(allowed), &allowed) < 0 ? 1 : (unsigned)CPU_COUNT(&allowed);
}

/* Of osvm-vmm itself, beyond what it has as the machine begins to run. */
static uint64_t own_data(const struct config *config)
{
    uint64_t bytes = OWN_DATA_BYTES + config->cpus * CPU_DATA_BYTES;

    return config->devices.vsock.cid ? bytes + VSOCK_DATA_BYTES : bytes;
}

/* Of everything: a scratch file may be in memory, too. Page cache is given back when it is short.
 */
static uint64_t all_memory(const struct config *config)
{
    uint64_t bytes = config->mem_size + own_data(config) +
                     max_u64(config->mem_size / KERNEL_PART, KERNEL_MIN_BYTES);

    for (unsigned i = 0; i < config->devices.disk_count; i++) {
        if (!config->devices.disks[i].path)
            bytes += config->devices.disks[i].size;
    }
    return bytes;
}

static bool is_cgroup(enum limit_means means)
{
    return means == MEANS_CGROUP_V1 || means == MEANS_CGROUP_V2;
}

static void group_name(const struct config *config, char *buf, size_t size)
{
    if (config->id)
        snprintf(buf, size, GROUP_PREFIX "%s", config->id);
    else
        snprintf(buf, size, GROUP_PREFIX "%d", (int)getpid());
}

/* Where there is a group at all, memory is bounded by it too. */
static int make_group(struct limits *limits, const struct cgroup_host *host, struct error *err)
{
    struct cgroup_limits group_limits = {0};
    char name[CGROUP_NAME_MAX];

    if (is_cgroup(limits->quota))
        group_limits.cpu_percent = limits->config->limits.cpu_percent;
    if (is_cgroup(limits->processes))
        group_limits.pids = (unsigned)limits->config->limits.processes;
    if (!group_limits.cpu_percent && !group_limits.pids)
        return 0;
    limits->memory = cgroup_means(host, CGROUP_MEMORY);
    if (limits->memory) {
        limits->memory_bytes = all_memory(limits->config);
        group_limits.memory = limits->memory_bytes;
    }
    if (!limits->config->id)
        cgroup_sweep(host, GROUP_PREFIX);
    group_name(limits->config, name, sizeof(name));
    return cgroup_create(host, name, &group_limits, &limits->group, err);
}

static void kill_at(struct limits *limits, uint64_t ns, enum limit_kind why)
{
    limits->kill_ns = ns;
    limits->kill_for = why;
}

/* Tell the VM process, once, that it has used its CPU time. Returns when to look again. */
static uint64_t watch_cpu_time(struct limits *limits, pid_t vm, uint64_t now_ns)
{
    const struct limits_config *wanted = &limits->config->limits;
    uint64_t most_ns = wanted->cpu_time_s * NS_PER_SEC, used_ns;

    if (limits->kill_for == LIMIT_CPU_TIME)
        return UINT64_MAX;
    if (clock_child_cpu_ns(vm, &used_ns) < 0)
        return UINT64_MAX; /* it has ended */
    if (used_ns >= most_ns) {
        kill(vm, SIGXCPU);
        kill_at(limits, now_ns + GRACE_NS, LIMIT_CPU_TIME);
        return UINT64_MAX;
    }
    return max_u64((most_ns - used_ns) / host_cpus(wanted), CPU_TIME_STEP_NS);
}

static uint64_t guard(struct guardian_task *task, pid_t vm)
{
    struct limits *limits = container_of(task, struct limits, task);
    uint64_t again_ns = UINT64_MAX, now_ns = clock_monotonic_ns();

    if (limits->quota == MEANS_GUARDIAN)
        again_ns = duty_cycle_step(&limits->duty, vm);
    if (limits->config->limits.cpu_time_s)
        again_ns = min_u64(again_ns, watch_cpu_time(limits, vm, now_ns));
    if (limits->kill_ns && now_ns >= limits->kill_ns) {
        limits->killed = true;
        kill(vm, SIGKILL);
    } else if (limits->kill_ns) {
        again_ns = min_u64(again_ns, limits->kill_ns - now_ns);
    }
    return again_ns;
}

int limits_begin(struct limits *limits, const struct config *config, struct error *err)
{
    const struct limits_config *wanted = &config->limits;
    struct cgroup_host host = {0};
    int r;

    *limits = (struct limits){.config = config, .task.run = guard};
    r = check_affinity(wanted, err);
    if (r == 0 && (wanted->cpu_percent || wanted->processes)) {
        r = cgroup_host_probe(&host);
        if (r < 0)
            error_set_errno(err, r, "cannot look for cgroups");
    }
    if (r == 0)
        r = choose(limits, &host, err);
    if (r == 0)
        r = make_group(limits, &host, err);
    cgroup_host_free(&host);
    if (limits->quota == MEANS_GUARDIAN)
        duty_cycle_init(&limits->duty, wanted->cpu_percent, host_cpus(wanted));
    if (wanted->time_s && !config->check)
        kill_at(limits, clock_monotonic_ns() + wanted->time_s * NS_PER_SEC + GRACE_NS, LIMIT_TIME);
    return r;
}

/* ---- In the VM process. ---- */

/* Both, so that it cannot be raised again; never above what the caller may have. */
static int set_rlimit(int resource, uint64_t soft, uint64_t hard)
{
    struct rlimit limit;

    if (getrlimit((__rlimit_resource_t)resource, &limit) < 0)
        return -errno;
    limit.rlim_max = min_u64(limit.rlim_max, hard);
    limit.rlim_cur = min_u64(limit.rlim_max, soft);
    return setrlimit((__rlimit_resource_t)resource, &limit) < 0 ? -errno : 0;
}

static int set_affinity(const struct limits_config *wanted)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    for (unsigned i = 0; i < wanted->cpu_count; i++)
        CPU_SET(wanted->cpus[i], &set);
    return sched_setaffinity(0, sizeof(set), &set) < 0 ? -errno : 0;
}

int limits_enter(struct limits *limits, struct error *err)
{
    const struct limits_config *wanted = &limits->config->limits;
    int r = limits->group ? cgroup_attach(limits->group, 0) : 0;

    cgroup_forget(take_ptr(limits->group)); /* from here on it is the guardian's alone */
    if (r < 0)
        return error_set_errno(err, r, "cannot enter the machine's cgroup");
    if (wanted->cpu_count)
        r = set_affinity(wanted);
    if (r < 0)
        return error_set_errno(err, r, "--cpu-affinity");
    if (wanted->fds)
        r = set_rlimit(RLIMIT_NOFILE, wanted->fds, wanted->fds);
    return r < 0 ? error_set_errno(err, r, "--limit-fds") : 0;
}

int limits_explain(const struct limits *limits, int code, struct error *err)
{
    const struct limits_config *wanted = &limits->config->limits;

    if (code == -EMFILE && wanted->fds)
        return error_prefix(err, code, "--limit-fds %" PRIu64 " is too few for this machine",
                            wanted->fds);
    if (code == -EAGAIN && wanted->processes)
        return error_prefix(err, code, "--limit-processes %" PRIu64 " is too few for this machine",
                            wanted->processes);
    return code;
}

/* What of RLIMIT_DATA is used by now: Linux, Documentation/filesystems/proc.rst, VmData. */
static int data_used(uint64_t *ret_bytes)
{
    _cleanup_free_ char *status = NULL;
    const char *line;
    uint64_t kib;
    size_t len;
    int r = io_read_file("/proc/self/status", STATUS_MAX, &status, &len);

    if (r < 0)
        return r;
    line = strstr(status, "VmData:");
    if (!line || sscanf(line, "VmData: %" SCNu64, &kib) != 1)
        return -ENODATA;
    *ret_bytes = kib * KIB;
    return 0;
}

/* The sanitizers' shadow memory alone is more than any machine has. */
#ifdef OSVM_SANITIZED
#define DATA_IS_BOUNDED false
#else
#define DATA_IS_BOUNDED true
#endif

static int bound_data(const struct config *config)
{
    uint64_t used, most;
    int r = data_used(&used);

    if (r < 0 || !DATA_IS_BOUNDED)
        return r;
    most = used + own_data(config);
    return set_rlimit(RLIMIT_DATA, most, most);
}

int limits_lock(const struct limits *limits, struct error *err)
{
    const struct limits_config *wanted = &limits->config->limits;
    int r = bound_data(limits->config);

    if (r < 0)
        return error_set_errno(err, r, "cannot bound osvm-vmm's own memory");
    if (limits->processes == MEANS_RLIMIT) /* the guardian is of this user namespace, too */
        r = set_rlimit(RLIMIT_NPROC, wanted->processes + 1, wanted->processes + 1);
    return r < 0 ? error_set_errno(err, r, "--limit-processes") : 0;
}

int limits_pin(const struct limits_config *limits, unsigned index, pthread_t thread)
{
    cpu_set_t set;

    if (!limits->cpu_count)
        return 0;
    CPU_ZERO(&set);
    CPU_SET(limits->cpus[index % limits->cpu_count], &set);
    return -pthread_setaffinity_np(thread, sizeof(set), &set);
}

/* ---- In the guardian. ---- */

bool limits_judge(const struct limits *limits, int signal, struct limit_breach *ret_breach)
{
    const struct limits_config *wanted = &limits->config->limits;
    struct cgroup_usage usage = {0};

    if (signal != SIGKILL)
        return false;
    if (limits->killed) {
        *ret_breach = (struct limit_breach){
            .kind = limits->kill_for,
            .value = limits->kill_for == LIMIT_TIME ? wanted->time_s : wanted->cpu_time_s,
        };
        return true;
    }
    if (limits->group)
        cgroup_read_usage(limits->group, &usage);
    if (usage.oom_kills > 0)
        *ret_breach = (struct limit_breach){LIMIT_MEMORY, limits->memory_bytes};
    return usage.oom_kills > 0;
}

size_t limits_descriptors(const struct limits *limits, int *ret_fds)
{
    return limits->group ? cgroup_descriptors(limits->group, ret_fds) : 0;
}

void limits_finish(struct limits *limits)
{
    cgroup_destroy(take_ptr(limits->group));
}

unsigned limits_clean_up(const struct config *config)
{
    struct cgroup_host host = {0};
    char name[CGROUP_NAME_MAX] = GROUP_PREFIX;
    unsigned removed;

    if (cgroup_host_probe(&host) < 0)
        return 0;
    if (config->id)
        group_name(config, name, sizeof(name));
    removed = cgroup_sweep(&host, name);
    cgroup_host_free(&host);
    return removed;
}

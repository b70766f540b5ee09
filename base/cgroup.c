/* One group: in a folder of each tree that its controllers need. */
#include "base/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/util.h"
#include "cgroup_internal.h"

/* The kernel's own choice for bandwidth control; a quota is at least 1 ms. */
#define PERIOD_US UINT64_C(100000)

#define REMOVE_WAIT_NS (2 * NS_PER_SEC)
#define REMOVE_STEP_NS (NS_PER_MS / 2)

/* How often a name that another keeps removing is made anew; and a folder that fills again is
 * killed. */
#define TRIES 100

/* The group in one tree. */
struct part {
    int version;
    unsigned controllers; /* of the tree */
    int parent_fd, fd;
};

struct cgroup {
    char name[CGROUP_NAME_MAX + 1];
    struct part parts[CGROUP_MAX_TREES];
    unsigned count;
};

/* ---- Files of a group. ---- */

__attribute__((format(printf, 3, 4))) static int put(int folder_fd, const char *file,
                                                     const char *format, ...)
{
    _cleanup_close_ int fd = openat(folder_fd, file, O_WRONLY | O_CLOEXEC);
    char text[512];
    va_list args;

    if (fd < 0)
        return -errno;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return io_write_all(fd, text, strlen(text));
}

/* At most size - 1 bytes; "" where there is no such file. */
static void get_text(int folder_fd, const char *file, char *text, size_t size)
{
    _cleanup_close_ int fd = openat(folder_fd, file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);

    text[n > 0 ? n : 0] = '\0';
}

static uint64_t get_number(int folder_fd, const char *file)
{
    char text[64];

    get_text(folder_fd, file, text, sizeof(text));
    return strtoull(text, NULL, 10);
}

/* Of a file of lines "key number". */
static uint64_t get_key(int folder_fd, const char *file, const char *key)
{
    char text[4096];
    size_t len = strlen(key);

    get_text(folder_fd, file, text, sizeof(text));
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        if (strncmp(line, key, len) == 0 && line[len] == ' ')
            return strtoull(line + len + 1, NULL, 10);
    }
    return 0;
}

/* ---- Killing and removing. ---- */

static void pause_ns(uint64_t ns)
{
    struct timespec time = {.tv_nsec = (long)ns};

    nanosleep(&time, NULL);
}

/* SIGKILL to each that is in the folder now. Returns how many there were. */
static unsigned kill_listed(int folder_fd)
{
    int fd = openat(folder_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    _cleanup_fclose_ FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    unsigned count = 0;
    int pid;

    while (file && fscanf(file, "%d", &pid) == 1) {
        if (pid <= 0)
            continue; /* of another PID namespace: cannot be named from here */
        kill(pid, SIGKILL);
        count++;
    }
    return count;
}

static int kill_part(const struct part *part)
{
    if (part->version == 2 && put(part->fd, "cgroup.kill", "1") == 0)
        return 0; /* since Linux 5.14 */
    if (part->version == 1 && (part->controllers & CGROUP_BIT(CGROUP_FREEZER)) &&
        put(part->fd, "freezer.state", "FROZEN") == 0) {
        kill_listed(part->fd); /* none of them forks meanwhile */
        return put(part->fd, "freezer.state", "THAWED");
    }
    /* One that forks is overtaken: its children are in the list of the next turn. */
    for (unsigned i = 0; i < TRIES && kill_listed(part->fd) > 0; i++)
        pause_ns(REMOVE_STEP_NS);
    return 0;
}

/* Kill what is in it, and remove the folder once that has ended. */
static int remove_part(const struct part *part, const char *name)
{
    uint64_t end_ns = clock_monotonic_ns() + REMOVE_WAIT_NS;

    if (unlinkat(part->parent_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    kill_part(part);
    while (unlinkat(part->parent_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT) {
        if (errno != EBUSY || clock_monotonic_ns() > end_ns)
            return -errno;
        pause_ns(REMOVE_STEP_NS);
    }
    return 0;
}

/* ---- Making. ---- */

/*
 * Open and lock the folder, as the one that has this name now. Returns the descriptor; -EWOULDBLOCK
 * where it is another's; -ENOENT where it is gone, or was made anew meanwhile.
 */
static int open_locked(int parent_fd, const char *name)
{
    _cleanup_close_ int fd =
        openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    struct stat mine, named;

    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return -errno;
    if (fstat(fd, &mine) < 0 || fstatat(parent_fd, name, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
        mine.st_ino != named.st_ino)
        return -ENOENT;
    return take_fd(&fd);
}

/* Remove it where nobody has it locked. Returns 0, -EWOULDBLOCK, or another negative errno. */
static int remove_leftover(const struct cgroup_tree *tree, int parent_fd, const char *name)
{
    struct part part = {
        .version = tree->version,
        .controllers = tree->controllers,
        .parent_fd = parent_fd,
        .fd = open_locked(parent_fd, name),
    };
    int r;

    if (part.fd < 0)
        return part.fd == -ENOENT ? 0 : part.fd;
    r = remove_part(&part, name);
    close_fd(part.fd);
    return r;
}

static int make_folder(const struct cgroup_tree *tree, const char *name, struct part *part)
{
    int r = -EAGAIN;

    for (unsigned i = 0; i < TRIES && r < 0; i++) {
        if (mkdirat(part->parent_fd, name, 0755) == 0) {
            /* Another that took it for a leftover may remove it before it is locked. */
            r = open_locked(part->parent_fd, name);
            continue;
        }
        if (errno != EEXIST)
            return -errno;
        r = remove_leftover(tree, part->parent_fd, name);
        if (r < 0)
            return r == -EWOULDBLOCK ? -EBUSY : r;
        r = -EAGAIN;
    }
    if (r < 0)
        return r;
    part->fd = r;
    return 0;
}

/* Version 2: have the folder hand its controllers down. */
static int hand_down(int parent_fd, unsigned controllers)
{
    char text[512];
    unsigned enabled;
    int r = 0;

    get_text(parent_fd, "cgroup.subtree_control", text, sizeof(text));
    enabled = cgroup_controller_bits(text, strlen(text));
    for (unsigned i = 0; r == 0 && i < CGROUP_CONTROLLERS; i++) {
        if (i != CGROUP_CPUACCT && i != CGROUP_FREEZER && (controllers & CGROUP_BIT(i)) &&
            !(enabled & CGROUP_BIT(i)))
            r = put(parent_fd, "cgroup.subtree_control", "+%s", cgroup_controller_name(i));
    }
    return r;
}

static int make_part(const struct cgroup_tree *tree, const char *name, unsigned wanted,
                     struct part *ret_part)
{
    struct part part = {.version = tree->version, .controllers = tree->controllers, .fd = -1};
    int r = 0;

    part.parent_fd = open(tree->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (part.parent_fd < 0)
        return -errno;
    if (tree->version == 2)
        r = hand_down(part.parent_fd, wanted);
    if (r == 0)
        r = make_folder(tree, name, &part);
    if (r < 0) {
        close_fd(part.parent_fd);
        return r;
    }
    *ret_part = part;
    return 0;
}

/* ---- Limits. ---- */

static int limit_cpu(const struct part *part, unsigned percent)
{
    uint64_t quota_us = PERIOD_US * percent / 100;
    int r;

    if (part->version == 2)
        return put(part->fd, "cpu.max", "%" PRIu64 " %" PRIu64, quota_us, PERIOD_US);
    r = put(part->fd, "cpu.cfs_period_us", "%" PRIu64, PERIOD_US);
    return r < 0 ? r : put(part->fd, "cpu.cfs_quota_us", "%" PRIu64, quota_us);
}

/* Where swap is not counted here, memory alone is limited. */
static int limit_memory(const struct part *part, uint64_t bytes)
{
    int r;

    if (part->version == 1) {
        r = put(part->fd, "memory.limit_in_bytes", "%" PRIu64, bytes);
        if (r == 0)
            r = put(part->fd, "memory.memsw.limit_in_bytes", "%" PRIu64, bytes);
        return r == -ENOENT || r == -EOPNOTSUPP ? 0 : r;
    }
    r = put(part->fd, "memory.max", "%" PRIu64, bytes);
    if (r == 0)
        r = put(part->fd, "memory.swap.max", "0");
    if (r == 0 || r == -ENOENT)
        r = put(part->fd, "memory.oom.group", "1"); /* since Linux 4.19 */
    return r == -ENOENT ? 0 : r;
}

/* Version 1 wants to be told of the memory nodes too: all that the group above has. */
static int limit_cpus(const struct part *part, const char *cpus)
{
    char nodes[256];
    int r = 0;

    if (part->version == 1) {
        get_text(part->parent_fd, "cpuset.effective_mems", nodes, sizeof(nodes));
        r = put(part->fd, "cpuset.mems", "%s", nodes);
    }
    return r < 0 ? r : put(part->fd, "cpuset.cpus", "%s", cpus);
}

static int set_limits(const struct part *part, unsigned wanted, const struct cgroup_limits *limits,
                      struct error *err)
{
    unsigned mine = part->controllers & wanted;
    int r = 0;

    if (limits->cpu_percent && (mine & CGROUP_BIT(CGROUP_CPU)))
        r = limit_cpu(part, limits->cpu_percent);
    if (r < 0)
        return error_set_errno(err, r, "the kernel does not take a quota of %u %%",
                               limits->cpu_percent);
    if (limits->memory && (mine & CGROUP_BIT(CGROUP_MEMORY)))
        r = limit_memory(part, limits->memory);
    if (r < 0)
        return error_set_errno(err, r, "the kernel does not take a limit of %" PRIu64 " bytes",
                               limits->memory);
    if (limits->pids && (mine & CGROUP_BIT(CGROUP_PIDS)))
        r = put(part->fd, "pids.max", "%u", limits->pids);
    if (r < 0)
        return error_set_errno(err, r, "the kernel does not take a limit of %u processes",
                               limits->pids);
    if ((mine & CGROUP_BIT(CGROUP_CPUSET)))
        r = limits->cpus ? limit_cpus(part, limits->cpus) : 0;
    return r < 0 ? error_set_errno(err, r, "the kernel does not take CPUs %s", limits->cpus) : 0;
}

static unsigned wanted_controllers(const struct cgroup_limits *limits)
{
    unsigned wanted = limits->controllers;

    if (limits->cpu_percent)
        wanted |= CGROUP_BIT(CGROUP_CPU);
    if (limits->memory)
        wanted |= CGROUP_BIT(CGROUP_MEMORY);
    if (limits->pids)
        wanted |= CGROUP_BIT(CGROUP_PIDS);
    if (limits->cpus)
        wanted |= CGROUP_BIT(CGROUP_CPUSET);
    return wanted;
}

/* Each tree that has something of what is wanted, once. */
static int make_parts(const struct cgroup_host *host, unsigned wanted,
                      const struct cgroup_limits *limits, struct cgroup *group, struct error *err)
{
    for (unsigned i = 0; i < host->count; i++) {
        const struct cgroup_tree *tree = &host->trees[i];
        unsigned mine = tree->controllers & wanted;
        struct part *part = &group->parts[group->count];
        int r;

        if (!mine)
            continue;
        wanted &= ~mine;
        r = make_part(tree, group->name, mine, part);
        if (r == -EBUSY)
            return error_set(err, r, "cgroup '%s' is in use: another with this name runs",
                             group->name);
        if (r < 0)
            return error_set_errno(err, r, "cannot make cgroup '%s' in %s", group->name,
                                   tree->folder);
        group->count++;
        r = set_limits(part, mine, limits, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int cgroup_create(const struct cgroup_host *host, const char *name,
                  const struct cgroup_limits *limits, struct cgroup **ret_group, struct error *err)
{
    unsigned wanted = wanted_controllers(limits);
    struct cgroup *group;
    int r;

    if (!*name || strlen(name) > CGROUP_NAME_MAX || strchr(name, '/'))
        return error_set(err, -EINVAL, "'%s' cannot be the name of a cgroup", name);
    for (unsigned i = 0; i < CGROUP_CONTROLLERS; i++) {
        if ((wanted & CGROUP_BIT(i)) && !cgroup_host_version(host, i))
            return error_set(err, -ENOSYS, "there is no cgroup controller %s that may be used here",
                             cgroup_controller_name(i));
    }
    group = calloc(1, sizeof(*group));
    if (!group)
        return error_set(err, -ENOMEM, "out of memory");
    strcpy(group->name, name); /* its length was looked at */
    r = make_parts(host, wanted, limits, group, err);
    if (r < 0) {
        cgroup_destroy(group);
        return r;
    }
    *ret_group = group;
    return 0;
}

/* ---- Use. ---- */

int cgroup_attach(const struct cgroup *group, pid_t pid)
{
    for (unsigned i = 0; i < group->count; i++) {
        int r = put(group->parts[i].fd, "cgroup.procs", "%d", (int)pid);

        if (r < 0)
            return r;
    }
    return 0;
}

int cgroup_v2_fd(const struct cgroup *group)
{
    for (unsigned i = 0; i < group->count; i++) {
        if (group->parts[i].version == 2)
            return group->parts[i].fd;
    }
    return -1;
}

static int compare_ints(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

size_t cgroup_descriptors(const struct cgroup *group, int *ret_fds)
{
    size_t count = 0;

    for (unsigned i = 0; i < group->count; i++) {
        ret_fds[count++] = group->parts[i].parent_fd;
        ret_fds[count++] = group->parts[i].fd;
    }
    qsort(ret_fds, count, sizeof(*ret_fds), compare_ints);
    return count;
}

static void read_v2(int fd, struct cgroup_usage *usage)
{
    usage->cpu_ns = get_key(fd, "cpu.stat", "usage_usec") * NS_PER_US;
    usage->throttled = get_key(fd, "cpu.stat", "nr_throttled");
    usage->throttle_periods = get_key(fd, "cpu.stat", "nr_periods");
    usage->memory = get_number(fd, "memory.current");
    usage->memory_peak = get_number(fd, "memory.peak"); /* since Linux 5.19 */
    usage->oom_kills = get_key(fd, "memory.events", "oom_kill");
    usage->pids = get_number(fd, "pids.current");
}

static void read_v1(int fd, unsigned controllers, struct cgroup_usage *usage)
{
    if (controllers & CGROUP_BIT(CGROUP_CPUACCT))
        usage->cpu_ns = get_number(fd, "cpuacct.usage");
    if (controllers & CGROUP_BIT(CGROUP_CPU)) {
        usage->throttled = get_key(fd, "cpu.stat", "nr_throttled");
        usage->throttle_periods = get_key(fd, "cpu.stat", "nr_periods");
    }
    if (controllers & CGROUP_BIT(CGROUP_MEMORY)) {
        usage->memory = get_number(fd, "memory.usage_in_bytes");
        usage->memory_peak = get_number(fd, "memory.max_usage_in_bytes");
        usage->oom_kills = get_key(fd, "memory.oom_control", "oom_kill");
    }
    if (controllers & CGROUP_BIT(CGROUP_PIDS))
        usage->pids = get_number(fd, "pids.current");
}

/* Add what the part of a group in one tree tells. */
static void read_part(int fd, int version, unsigned controllers, struct cgroup_usage *usage)
{
    if (version == 2)
        read_v2(fd, usage);
    else
        read_v1(fd, controllers, usage);
}

void cgroup_read_usage(const struct cgroup *group, struct cgroup_usage *ret_usage)
{
    struct cgroup_usage usage = {0};

    for (unsigned i = 0; i < group->count; i++) {
        const struct part *part = &group->parts[i];

        read_part(part->fd, part->version, part->controllers, &usage);
    }
    *ret_usage = usage;
}

int cgroup_read_usage_of(const struct cgroup_host *host, const char *name,
                         struct cgroup_usage *ret_usage)
{
    struct cgroup_usage usage = {0};
    bool found = false;

    for (unsigned i = 0; i < host->count; i++) {
        const struct cgroup_tree *tree = &host->trees[i];
        const char *slash = strrchr(tree->folder, '/');
        _cleanup_close_ int fd = -1;

        if (!slash || strcmp(slash + 1, name) != 0)
            continue;
        fd = open(tree->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            continue;
        found = true;
        read_part(fd, tree->version, tree->controllers, &usage);
    }
    if (!found)
        return -ENOENT;
    *ret_usage = usage;
    return 0;
}

int cgroup_kill(const struct cgroup *group)
{
    /* All parts have the same processes; the one that kills best does it. */
    for (unsigned i = 0; i < group->count; i++) {
        const struct part *part = &group->parts[i];

        if (part->version == 2 || (part->controllers & CGROUP_BIT(CGROUP_FREEZER)))
            return kill_part(part);
    }
    return group->count > 0 ? kill_part(&group->parts[0]) : 0;
}

void cgroup_forget(struct cgroup *group)
{
    if (!group)
        return;
    for (unsigned i = 0; i < group->count; i++) {
        close_fd(group->parts[i].fd);
        close_fd(group->parts[i].parent_fd);
    }
    free(group);
}

int cgroup_destroy(struct cgroup *group)
{
    int result = 0;

    if (!group)
        return 0;
    for (unsigned i = 0; i < group->count; i++) {
        int r = remove_part(&group->parts[i], group->name);

        if (r < 0)
            result = r;
    }
    cgroup_forget(group);
    return result;
}

static unsigned sweep_tree(const struct cgroup_tree *tree, const char *prefix)
{
    DIR *folder = opendir(tree->folder);
    unsigned removed = 0;
    struct dirent *entry;

    while (folder && (entry = readdir(folder))) {
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
            remove_leftover(tree, dirfd(folder), entry->d_name) == 0)
            removed++;
    }
    if (folder)
        closedir(folder);
    return removed;
}

unsigned cgroup_sweep(const struct cgroup_host *host, const char *prefix)
{
    unsigned removed = 0;

    for (unsigned i = 0; i < host->count; i++)
        removed += sweep_tree(&host->trees[i], prefix);
    return removed;
}

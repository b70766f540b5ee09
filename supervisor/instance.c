#include "instance.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/util.h"
#include "monitor.h"

#define EXIT_TIME_LIMIT 124

/* How long a monitor that is being started is waited for, in steps of 10 ms. */
#define START_TRIES 200

int instance_new_id(char *buf)
{
    unsigned char bytes[16];

    if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
        return -errno;
    /* RFC 4122, section 4.4: the version and the variant; the rest is random. */
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof(bytes); i++)
        buf += sprintf(buf, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", bytes[i]);
    return 0;
}

/*
 * Everything in a folder, and in its folders, but no deeper. The inner ones may be another user's,
 * who could put anything there: no link is followed, and nothing below is waited for.
 */
static void empty_folder(int folder, bool inner)
{
    DIR *dir = folder < 0 ? NULL : fdopendir(folder);
    struct dirent *entry;

    if (!dir) {
        close_fd(folder);
        return;
    }
    while ((entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            unlinkat(dirfd(dir), entry->d_name, 0) == 0 || inner)
            continue;
        empty_folder(
            openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
            true);
        unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
    }
    closedir(dir);
}

void instance_remove_run(const struct paths *paths, const char *name)
{
    _cleanup_free_ char *run = paths_run(paths, name, NULL);

    if (!run)
        return;
    empty_folder(open(run, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), false);
    rmdir(run);
}

/* A monitor removes its component's control group; one that was killed does not. */
static void sweep_group(const struct component *component)
{
    struct cgroup_host host;
    char name[CGROUP_NAME_MAX];

    snprintf(name, sizeof(name), "osvm-%s", component->id);
    if (cgroup_host_probe(&host) == 0)
        cgroup_sweep(&host, name);
    cgroup_host_free(&host);
}

void instance_clean(const struct paths *paths, const struct component *component,
                    const struct runtime *runtime)
{
    _cleanup_free_ char *said = paths_run(paths, component->metadata.name, RUN_EXIT);

    if (said && access(said, F_OK) < 0)
        sweep_group(component);
    if (runtime && runtime->clean)
        runtime->clean(component);
    instance_remove_run(paths, component->metadata.name);
}

/* Beside the run folder, which comes and goes. */
static char *lock_path(const struct paths *paths, const char *name)
{
    char *path;

    return asprintf(&path, "%s/%s.lock", paths->run, name) < 0 ? NULL : path;
}

/*
 * The lock is the monitor's: it has the descriptor for as long as it lives. So a component is never
 * started twice, whatever became of a daemon between a start and its being written down.
 */
static int take_lock(const struct paths *paths, const char *name, struct error *err)
{
    _cleanup_free_ char *path = lock_path(paths, name);
    _cleanup_close_ int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;

    if (fd < 0)
        return error_set_errno(err, -errno, "cannot make a lock for '%s'", name);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return error_set(err, -EBUSY, "'%s' runs already", name);
    return take_fd(&fd);
}

void instance_remove_lock(const struct paths *paths, const char *name)
{
    _cleanup_free_ char *path = lock_path(paths, name);

    if (path)
        unlink(path);
}

static int make_folder(const char *path, struct error *err)
{
    if (!path)
        return error_set(err, -ENOMEM, "out of memory");
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return error_set_errno(err, -errno, "cannot make the folder '%s'", path);
    return 0;
}

static int make_folders(const struct paths *paths, const char *name, struct error *err)
{
    _cleanup_free_ char *run = paths_run(paths, name, NULL);
    _cleanup_free_ char *state = paths_state(paths, name, NULL);
    _cleanup_free_ char *log = paths_state(paths, name, "log");
    int r;

    instance_remove_run(paths, name);
    r = make_folder(run, err);
    if (r == 0)
        r = make_folder(state, err);
    return r == 0 ? make_folder(log, err) : r;
}

/* The monitor's arguments around the launch's. */
static int describe_monitor(const struct component *component, enum isolation_level level,
                            const struct paths *paths, bool echo, const struct launch *launch,
                            struct launch *ret_monitor, struct error *err)
{
    const char *name = component->metadata.name;
    _cleanup_free_ char *program = NULL;
    _cleanup_free_ char *run = paths_run(paths, name, NULL);
    _cleanup_free_ char *log = paths_state(paths, name, "log");
    int r = paths_program("osvm-monitor", &program, err);

    if (r < 0)
        return r;
    launch_add(ret_monitor, "%s", program);
    launch_add(ret_monitor, "--name=%s", name);
    launch_add(ret_monitor, "--run=%s", run ? run : "");
    launch_add(ret_monitor, "--log=%s", log ? log : "");
    launch_add(ret_monitor, "--notify=%s/" RUN_NOTIFY, paths->run);
    launch_add(ret_monitor, "--log-max=%" PRIu64, component->log.max_kb * KIB);
    launch_add(ret_monitor, "--log-files=%" PRIu64, component->log.files);
    launch_add(ret_monitor, "--grace=%" PRIu64, max_u64(component->stop_grace_ms, 1));
    if (launch->time_limit_ms)
        launch_add(ret_monitor, "--time-limit=%" PRIu64, launch->time_limit_ms);
    if (launch->says_ready)
        launch_add(ret_monitor, "--says-ready");
    if (component_readiness(component, level) == PROBE_STARTED)
        launch_add(ret_monitor, "--ready-at-start");
    if (component_has_streams(component, level) && !echo)
        launch_add(ret_monitor, "--streams");
    if (launch->wants_cgroup) {
        launch_add(ret_monitor, "--cgroup=osvm-%s", component->id);
        launch_add(ret_monitor, "--cgroup-memory=%" PRIu64, component->limits.memory_mb * MIB);
        launch_add(ret_monitor, "--cgroup-cpu=%" PRIu64, component->limits.cpu_cores * 100);
        launch_add(ret_monitor, "--cgroup-pids=%" PRIu64,
                   component->limits.processes + launch->own_processes);
    }
    if (echo)
        launch_add(ret_monitor, "--echo");
    launch_add(ret_monitor, "--");
    launch_add_list(ret_monitor, &launch->argv);
    return launch_check(ret_monitor) < 0 || !run || !log ? error_set(err, -ENOMEM, "out of memory")
                                                         : 0;
}

static int spawn_monitor(const struct launch *monitor, const struct launch *launch, int lock,
                         pid_t *ret_monitor, struct error *err)
{
    posix_spawn_file_actions_t actions;
    char *const no_environment[] = {NULL};
    int r;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, lock, MONITOR_LOCK_FD);
    r = posix_spawn(ret_monitor, monitor->argv.items[0], &actions, NULL, monitor->argv.items,
                    launch->environment.count ? launch->environment.items : no_environment);
    posix_spawn_file_actions_destroy(&actions);
    return r ? error_set_errno(err, -r, "cannot start '%s'", monitor->argv.items[0]) : 0;
}

int instance_start(const struct component *component, const struct runtime_choice *choice,
                   const struct paths *paths, bool echo, pid_t *ret_monitor, struct error *err)
{
    struct launch launch = {0}, monitor = {0};
    _cleanup_close_ int lock = take_lock(paths, component->metadata.name, err);
    int r = lock < 0 ? lock : make_folders(paths, component->metadata.name, err);

    if (lock < 0)
        return lock;
    if (r == 0)
        r = choice->runtime->prepare(component, paths, &launch, err);
    if (r == 0)
        r = describe_monitor(component, choice->level, paths, echo, &launch, &monitor, err);
    if (r == 0)
        r = spawn_monitor(&monitor, &launch, lock, ret_monitor, err);
    if (r < 0)
        instance_remove_run(paths, component->metadata.name);
    launch_free(&launch);
    launch_free(&monitor);
    return r;
}

/* A small JSON file of the run folder, or NULL. */
static json_t *read_file(const struct paths *paths, const char *name, const char *file)
{
    _cleanup_free_ char *path = paths_run(paths, name, file);
    _cleanup_free_ char *text = NULL;
    size_t len;

    if (!path || io_read_file(path, 64 * KIB, &text, &len) < 0)
        return NULL;
    return json_loadb(text, len, 0, NULL);
}

/* Whether a monitor has it, perhaps one that has only just been started. */
static bool is_locked(const struct paths *paths, const char *name)
{
    _cleanup_free_ char *path = lock_path(paths, name);
    _cleanup_close_ int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0;
}

int instance_read_monitor(const struct paths *paths, const char *name,
                          struct process_id *ret_monitor, struct process_id *ret_child,
                          double *ret_started)
{
    const struct timespec pause = {.tv_nsec = 10 * (long)NS_PER_MS};
    json_int_t pid, start, child_pid, child_start;
    json_auto_t *root = read_file(paths, name, RUN_MONITOR);

    for (unsigned tries = 0; !root && tries < START_TRIES && is_locked(paths, name); tries++) {
        nanosleep(&pause, NULL);
        root = read_file(paths, name, RUN_MONITOR);
    }
    if (!root || json_unpack(root, "{s:{s:I, s:I}, s:{s:I, s:I}, s:F}", "monitor", "pid", &pid,
                             "start", &start, "child", "pid", &child_pid, "start", &child_start,
                             "started", ret_started) < 0)
        return -ENOENT;
    *ret_monitor = (struct process_id){.pid = (pid_t)pid, .start = (uint64_t)start};
    *ret_child = (struct process_id){.pid = (pid_t)child_pid, .start = (uint64_t)child_start};
    return 0;
}

/* Where it was a virtual machine, its own record says why it ended. */
static void read_record(const struct paths *paths, const char *name, struct instance_end *end)
{
    json_auto_t *root = read_file(paths, name, RUN_RECORD);
    const char *reason, *message;

    if (root && json_unpack(root, "{s:s, s:s}", "reason", &reason, "message", &message) == 0 &&
        (end->signalled || end->code != 0))
        snprintf(end->message, sizeof(end->message), "%s", message);
    /* Its writer is not trusted as a monitor is, and people read it on terminals. */
    for (char *at = end->message; *at; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
    }
}

int instance_read_end(const struct paths *paths, const char *name, struct instance_end *ret_end)
{
    json_auto_t *root = read_file(paths, name, RUN_EXIT);
    struct instance_end end = {0};
    const char *reason, *message;
    int status = -1, signal_number = -1;

    if (!root ||
        json_unpack(root, "{s:s, s?i, s?i, s:F, s:s}", "reason", &reason, "status", &status,
                    "signal", &signal_number, "ended", &end.ended, "message", &message) < 0)
        return -ENOENT;
    end.signalled = signal_number >= 0;
    end.code = end.signalled ? signal_number : status;
    snprintf(end.reason, sizeof(end.reason), "%s", reason);
    snprintf(end.message, sizeof(end.message), "%s", message);
    if (!*message)
        read_record(paths, name, &end);
    *ret_end = end;
    return 0;
}

int instance_exit_status(const struct instance_end *end)
{
    if (strcmp(end->reason, "time-limit") == 0)
        return EXIT_TIME_LIMIT;
    return end->signalled ? 128 + end->code : end->code;
}

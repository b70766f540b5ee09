/*
 * A program in the namespaces of a sandbox that runs. What is in there already is hostile, and from
 * setns() on it can see this process: so this process can't be traced by it, what it executes is a
 * sealed copy of the program's file (a script whose interpreter is /proc/self/exe would otherwise
 * hold the file itself; CVE-2019-5736 was that), and no descriptor but 0 to 3 is left to it.
 */
#include "join.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "../process.h"
#include "../reaper.h"
#include "../sandbox.h"
#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/util.h"
#include "confine.h"
#include "net_probe.h"
#include "program.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* POSIX, Shell and Utilities, 2.8.2. */
#define EXIT_CANNOT_RUN 126
#define EXIT_NOT_FOUND  127

struct target {
    struct process_id id;
    int pidfd;
    int namespaces; /* CLONE_NEW…: those that are not ours already */
    uid_t uid;      /* who it is, as its user namespace counts */
    gid_t gid;
    int groups[CGROUP_MAX_TREES]; /* its control groups' lists of processes */
    size_t group_count;
};

static int refuse(const struct log *log, const struct error *err)
{
    log_error(log, "%s", err->text);
    return SANDBOX_EXIT_REFUSED;
}

/* --- the copy -----------------------------------------------------------------------------------
 */

/* Go on as a sealed copy of this program, unless this is one. Returns where that failed. */
static int become_copy(char *argv[], struct error *err)
{
    _cleanup_close_ int own = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), copy = -1;
    struct stat st;
    off_t at = 0;
    int seals;

    if (own < 0 || fstat(own, &st) < 0)
        return error_set_errno(err, -errno, "cannot read the program's own file");
    seals = fcntl(own, F_GET_SEALS);
    if (seals >= 0 && (seals & SEALS) == SEALS)
        return 0;
    copy = memfd_create("osvm-sandbox", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (copy < 0)
        return error_set_errno(err, -errno, "cannot make a copy of the program");
    while (at < st.st_size) {
        ssize_t n = sendfile(copy, own, &at, (size_t)(st.st_size - at));

        if (n <= 0 && errno != EINTR)
            return error_set_errno(err, n < 0 ? -errno : -EIO, "cannot copy the program");
    }
    if (fcntl(copy, F_ADD_SEALS, SEALS) < 0)
        return error_set_errno(err, -errno, "cannot seal the program's copy");
    fexecve(copy, argv, environ);
    return error_set_errno(err, -errno, "cannot start the program's copy");
}

/* --- the target ---------------------------------------------------------------------------------
 */

/* A map of one id (user_namespaces(7)): "INSIDE OUTSIDE 1". */
static int read_map(pid_t pid, const char *file, unsigned *ret_inside)
{
    _cleanup_free_ char *text = NULL;
    unsigned inside, outside, count;
    char path[64];
    size_t len;
    int r;

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
    r = io_read_file(path, 4 * KIB, &text, &len);
    if (r < 0)
        return r;
    if (sscanf(text, "%u %u %u", &inside, &outside, &count) != 3 || count != 1)
        return -EINVAL;
    *ret_inside = inside;
    return 0;
}

/* Which namespaces it has that this process has not; a negative errno. */
static int compare_namespaces(pid_t pid)
{
    static const struct {
        const char *name;
        int flag;
    } kinds[] = {
        {"user", CLONE_NEWUSER},     {"mnt", CLONE_NEWNS},  {"pid", CLONE_NEWPID},
        {"ipc", CLONE_NEWIPC},       {"uts", CLONE_NEWUTS}, {"net", CLONE_NEWNET},
        {"cgroup", CLONE_NEWCGROUP},
    };
    int flags = 0;

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct stat own, its;
        char path[64];

        snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i].name);
        if (stat(path, &own) < 0)
            return -errno;
        snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kinds[i].name);
        if (stat(path, &its) < 0)
            return -errno;
        if (own.st_ino != its.st_ino)
            flags |= kinds[i].flag;
    }
    return flags;
}

static int open_groups(struct target *target, struct error *err)
{
    struct cgroup_host host;
    int r = cgroup_host_of(target->id.pid, &host);

    for (unsigned i = 0; r == 0 && i < host.count; i++) {
        char path[4096];
        int fd;

        snprintf(path, sizeof(path), "%s/cgroup.procs", host.trees[i].folder);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
            r = -errno;
        else
            target->groups[target->group_count++] = fd;
    }
    cgroup_host_free(&host);
    return r < 0 ? error_set_errno(err, r, "cannot join its control groups") : 0;
}

static int open_target(const char *text, struct target *ret_target, struct error *err)
{
    struct target target = {.pidfd = -1};
    unsigned long long start;
    int pid, end = 0, r;

    if (sscanf(text, "%d:%llu%n", &pid, &start, &end) != 2 || text[end])
        return error_set(err, -EINVAL, "--join: '%s' is not PID:START", text);
    target.id = (struct process_id){.pid = pid, .start = start};
    target.pidfd = process_open(&target.id);
    if (target.pidfd < 0)
        return error_set(err, -ESRCH, "it does not run any more");
    target.namespaces = compare_namespaces(pid);
    r = target.namespaces < 0 ? target.namespaces : read_map(pid, "uid_map", &target.uid);
    if (r == 0)
        r = read_map(pid, "gid_map", &target.gid);
    if (r == 0 && !(target.namespaces & CLONE_NEWUSER))
        return error_set(err, -EINVAL, "--join: process %d is in no sandbox", pid);
    if (r < 0)
        return error_set_errno(err, r, "cannot look at the sandbox of process %d", pid);
    *ret_target = target;
    return 0;
}

/* All at once, and first the user namespace, which gives the rights to the others. */
static int enter(const struct target *target, int namespaces, struct error *err)
{
    /* May be denied (to who is not root), and then is as it was for the sandbox, too. */
    if (geteuid() == 0 && setgroups(0, NULL) < 0)
        return error_set_errno(err, -errno, "cannot give up the groups");
    if (setns(target->pidfd, namespaces) < 0)
        return error_set_errno(err, -errno, "cannot enter the sandbox");
    return 0;
}

static int become_user(const struct target *target, struct error *err)
{
    if (setresgid(target->gid, target->gid, target->gid) < 0 ||
        setresuid(target->uid, target->uid, target->uid) < 0)
        return error_set_errno(err, -errno, "cannot become the sandbox's user");
    return 0;
}

/* --- what is run --------------------------------------------------------------------------------
 */

static int inside(const struct sandbox_options *options, const struct target *target, int filter,
                  int outside, const struct log *log)
{
    struct error err = {0};
    int r = 0;

    for (size_t i = 0; r == 0 && i < target->group_count; i++)
        r = io_write_all(target->groups[i], "0\n", 2);
    if (r < 0)
        error_set_errno(&err, r, "cannot join its control groups");
    if (r == 0)
        r = become_user(target, &err);
    program_outlive_not(outside);
    if (r == 0)
        r = confine_drop_rights(&err);
    if (r < 0)
        return refuse(log, &err);
    r = program_become(options, filter, true, &err);
    refuse(log, &err);
    return r == -ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}

/* A terminal that was made for the program is to be the program's: its session begins inside. */
static void leave_terminal(void)
{
    if (tcgetsid(STDIN_FILENO) != getpid())
        return;
    signal(SIGHUP, SIG_IGN); /* which this gives (tty_ioctl(4), TIOCNOTTY) */
    ioctl(STDIN_FILENO, TIOCNOTTY);
    signal(SIGHUP, SIG_DFL);
}

static int run_program(const struct sandbox_options *options, struct target *target,
                       const struct log *log)
{
    _cleanup_close_ int outside = (int)syscall(SYS_pidfd_open, getpid(), 0);
    struct error err = {0};
    sigset_t all;
    int filter;
    pid_t pid;

    if (confine_open_filter(options, &filter, &err) < 0 || open_groups(target, &err) < 0)
        return refuse(log, &err);
    leave_terminal();
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    if (enter(target, target->namespaces, &err) < 0)
        return refuse(log, &err);
    pid = fork();
    if (pid < 0) {
        error_set_errno(&err, -errno, "cannot make a process");
        return refuse(log, &err);
    }
    if (pid == 0)
        return inside(options, target, filter, outside, log);
    return reaper_wait(pid);
}

/* @target  NULL: the caller's own network is looked at */
static int run_probe(const struct sandbox_options *options, const struct target *target,
                     const struct log *log)
{
    struct error err = {0};
    int r = 0;

    if (target)
        r = enter(target, target->namespaces & (CLONE_NEWUSER | CLONE_NEWNET), &err);
    if (target && r == 0)
        r = become_user(target, &err);
    if (r < 0 || confine_drop_rights(&err) < 0)
        return refuse(log, &err);
    return net_probe(options->probe);
}

int join_run(const struct sandbox_options *options, char *argv[], const struct log *log)
{
    struct error err = {0};
    struct target target;

    if (!options->join)
        return run_probe(options, NULL, log);
    if (become_copy(argv, &err) < 0)
        return refuse(log, &err);
    for (char **word = argv + 1; *word;
         word++) /* where things are on the host: not for the inside */
        memset(*word, 0, strlen(*word));
    if (prctl(PR_SET_DUMPABLE, 0) < 0) {
        error_set_errno(&err, -errno, "cannot keep others from tracing this");
        return refuse(log, &err);
    }
    if (open_target(options->join, &target, &err) < 0)
        return refuse(log, &err);
    return options->probe ? run_probe(options, &target, log) : run_program(options, &target, log);
}

/* base/cgroup.h: where groups can be made, from the texts of /proc; and real groups, where this
 * process may make some. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cgroup.h"

#define CPU     CGROUP_BIT(CGROUP_CPU)
#define CPUACCT CGROUP_BIT(CGROUP_CPUACCT)
#define MEMORY  CGROUP_BIT(CGROUP_MEMORY)
#define PIDS    CGROUP_BIT(CGROUP_PIDS)

/* ---- What /proc says. ---- */

struct place_row {
    const char *name, *mountinfo, *self;
    unsigned count; /* of trees; the last one is looked at */
    int version;
    unsigned controllers;
    const char *folder;
};

#define ROOT_MOUNT "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
#define V1(point, root, words) \
    "33 24 0:29 " root " " point " rw,nosuid shared:9 - cgroup cgroup rw," words "\n"
#define V2(point, root) \
    "30 23 0:26 " root " " point " rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"

static const struct place_row places[] = {
    {"nothing", "", "", 0, 0, 0, NULL},
    {"no tree is mounted", ROOT_MOUNT, "0::/\n", 0, 0, 0, NULL},
    {"version 2", ROOT_MOUNT V2("/sys/fs/cgroup", "/"), "0::/user.slice/a.scope\n", 1, 2, 0,
     "/sys/fs/cgroup/user.slice/a.scope"},
    {"version 2, in the root", V2("/sys/fs/cgroup", "/"), "0::/\n", 1, 2, 0, "/sys/fs/cgroup"},
    {"version 2, mounted from a group on", V2("/mnt", "/a"), "0::/a/b\n", 1, 2, 0, "/mnt/b"},
    {"version 2, exactly that group", V2("/mnt", "/a"), "0::/a\n", 1, 2, 0, "/mnt"},
    {"version 2, a group beside what is mounted", V2("/mnt", "/a"), "0::/ab\n", 0, 0, 0, NULL},
    {"version 2, above the namespace's root", V2("/mnt", "/"), "0::/../x\n", 0, 0, 0, NULL},
    {"version 1", V1("/sys/fs/cgroup/memory", "/", "memory"), "5:memory:/jobs/7\n", 1, 1, MEMORY,
     "/sys/fs/cgroup/memory/jobs/7"},
    {"version 1, two in one tree", V1("/c", "/", "cpu,cpuacct"), "3:cpu,cpuacct:/x\n", 1, 1,
     CPU | CPUACCT, "/c/x"},
    {"version 1, named otherwise in the other file", V1("/c", "/", "cpu,cpuacct"),
     "3:cpuacct,cpu:/x\n", 1, 1, CPU | CPUACCT, "/c/x"},
    {"version 1, not those of another", V1("/c", "/", "cpu"), "2:cpuset:/y\n3:cpu:/x\n", 1, 1, CPU,
     "/c/x"},
    {"a tree without a controller that matters", V1("/s", "/", "name=systemd"),
     "1:name=systemd:/x\n", 0, 0, 0, NULL},
    {"both", V1("/c", "/", "pids") V2("/u", "/"), "8:pids:/p\n0::/q\n", 2, 2, 0, "/u/q"},
    {"a blank in the path", V1("/my\\040groups", "/", "pids"), "8:pids:/p\n", 1, 1, PIDS,
     "/my groups/p"},
    {"a colon in the path", V1("/c", "/", "pids"), "8:pids:/a:b\n", 1, 1, PIDS, "/c/a:b"},
    {"no newline at the end", V1("/c", "/", "pids"), "8:pids:/p", 1, 1, PIDS, "/c/p"},
    {"lines that make no sense", "x\n- -\n33 24\n" V1("/c", "/", "pids"), "::\n8\n8:pids:/p\n", 1,
     1, PIDS, "/c/p"},
};

static void test_place(void **state)
{
    const struct place_row *row = *state;
    struct cgroup_host host;

    assert_int_equal(cgroup_host_parse(row->mountinfo, row->self, &host), 0);
    assert_int_equal(host.count, row->count);
    if (row->count > 0) {
        const struct cgroup_tree *tree = &host.trees[row->count - 1];

        assert_int_equal(tree->version, row->version);
        assert_int_equal(tree->controllers, row->controllers);
        assert_string_equal(tree->folder, row->folder);
    }
    cgroup_host_free(&host);
}

/* ---- Real ones. ---- */

static void probe(struct cgroup_host *host, unsigned controllers)
{
    assert_int_equal(cgroup_host_probe(host), 0);
    for (unsigned i = 0; i < CGROUP_CONTROLLERS; i++) {
        if ((controllers & CGROUP_BIT(i)) && !cgroup_host_version(host, i)) {
            cgroup_host_free(host);
            skip(); /* no such controller that this process may use */
        }
    }
}

/* A name that no other run has at the same time. */
static const char *own_name(const char *what, char buf[64])
{
    snprintf(buf, 64, "osvm-unit-%s-%d", what, (int)getpid());
    return buf;
}

static bool is_there(const struct cgroup_host *host, const char *name)
{
    bool found = false;

    for (unsigned i = 0; i < host->count; i++) {
        char path[512];

        snprintf(path, sizeof(path), "%s/%s", host->trees[i].folder, name);
        found = found || access(path, F_OK) == 0;
    }
    return found;
}

/* A child that waits to be killed, or (busy) uses a CPU meanwhile. */
static pid_t fork_idle(bool busy)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    while (pid == 0) {
        if (!busy)
            pause();
    }
    return pid;
}

static void await_killed(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void test_life(void **state)
{
    const struct cgroup_limits limits = {.pids = 7, .controllers = CPUACCT};
    struct cgroup_usage usage;
    struct cgroup_host host;
    struct cgroup *group;
    char name[64];
    pid_t child;

    (void)state;
    probe(&host, PIDS | CPUACCT);
    assert_int_equal(cgroup_create(&host, own_name("life", name), &limits, &group, NULL), 0);
    assert_true(is_there(&host, name));
    child = fork_idle(true);
    assert_int_equal(cgroup_attach(group, child), 0);
    do /* until it has run there */
        cgroup_read_usage(group, &usage);
    while (usage.cpu_ns == 0);
    assert_int_equal(usage.pids, 1);
    assert_int_equal(cgroup_kill(group), 0);
    await_killed(child);
    cgroup_read_usage(group, &usage);
    assert_int_equal(usage.pids, 0);
    assert_int_equal(cgroup_destroy(group), 0);
    assert_false(is_there(&host, name));
    cgroup_host_free(&host);
}

/* Whether one of the groups that this process is in has the name; an exit status. */
static int look_for_own(const char *name)
{
    struct cgroup_usage usage;
    struct cgroup_host host;
    bool found = cgroup_host_of(0, &host) == 0 && cgroup_read_usage_of(&host, name, &usage) == 0;

    cgroup_host_free(&host);
    return found ? 0 : 1;
}

/* A process that is called 1, while /proc is that of a namespace where another one is. */
static void test_own_groups(void **state)
{
    const struct cgroup_limits limits = {.controllers = CPUACCT};
    struct cgroup_host host;
    struct cgroup *group;
    char name[64];
    pid_t child;
    int status;

    (void)state;
    probe(&host, CPUACCT);
    assert_int_equal(cgroup_create(&host, own_name("own", name), &limits, &group, NULL), 0);
    child = fork();
    if (child == 0) {
        pid_t inner;

        if (cgroup_attach(group, 0) < 0 || unshare(CLONE_NEWPID) < 0)
            _exit(77);
        inner = fork();
        if (inner == 0)
            _exit(look_for_own(name));
        _exit(waitpid(inner, &status, 0) == inner && WIFEXITED(status) ? WEXITSTATUS(status) : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(cgroup_destroy(group), 0);
    cgroup_host_free(&host);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip(); /* no right to a PID namespace */
    assert_int_equal(status, 0);
}

static void test_kills_at_the_end(void **state)
{
    const struct cgroup_limits limits = {.controllers = CPUACCT};
    struct cgroup_host host;
    struct cgroup *group;
    char name[64];
    pid_t child;

    (void)state;
    probe(&host, CPUACCT);
    signal(SIGCHLD, SIG_IGN); /* so that nobody has to wait for them */
    assert_int_equal(cgroup_create(&host, own_name("end", name), &limits, &group, NULL), 0);
    child = fork_idle(false);
    assert_int_equal(cgroup_attach(group, child), 0);
    assert_int_equal(cgroup_destroy(group), 0);
    assert_int_equal(kill(child, 0), -1);
    assert_false(is_there(&host, name));
    signal(SIGCHLD, SIG_DFL);
    cgroup_host_free(&host);
}

static void test_in_use(void **state)
{
    const struct cgroup_limits limits = {.controllers = CPUACCT};
    struct cgroup *group, *other = NULL;
    struct cgroup_host host;
    char name[64];

    (void)state;
    probe(&host, CPUACCT);
    assert_int_equal(cgroup_create(&host, own_name("use", name), &limits, &group, NULL), 0);
    assert_int_equal(cgroup_create(&host, name, &limits, &other, NULL), -EBUSY);
    assert_null(other);
    assert_int_equal(cgroup_sweep(&host, name), 0);
    assert_true(is_there(&host, name));
    assert_int_equal(cgroup_destroy(group), 0);
    cgroup_host_free(&host);
}

/* Its maker was killed, and a process of it is still there. */
static void leave_over(const struct cgroup_host *host, const char *name, pid_t *ret_orphan)
{
    const struct cgroup_limits limits = {.controllers = CPUACCT};
    struct cgroup *group;
    int tell[2], status;
    pid_t maker;

    assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
    maker = fork();
    assert_true(maker >= 0);
    if (maker == 0) {
        pid_t orphan;

        if (cgroup_create(host, name, &limits, &group, NULL) < 0)
            _exit(1);
        orphan = fork();
        if (orphan == 0) { /* as after exec: without the lock, before anybody hears of it */
            cgroup_forget(group);
            orphan = getpid();
            if (write(tell[1], &orphan, sizeof(orphan)) != sizeof(orphan))
                _exit(1);
            for (;;)
                pause();
        }
        _exit(cgroup_attach(group, orphan) < 0);
    }
    assert_int_equal(read(tell[0], ret_orphan, sizeof(*ret_orphan)), sizeof(*ret_orphan));
    assert_int_equal(waitpid(maker, &status, 0), maker);
    assert_int_equal(status, 0);
    close(tell[0]);
    close(tell[1]);
}

static void await_gone(pid_t pid)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    for (;;) { /* a zombie, until who took it over waits for it, has an empty one */
        FILE *file = fopen(path, "r");
        int first = file ? fgetc(file) : EOF;

        if (file)
            fclose(file);
        if (first == EOF)
            return;
    }
}

static void test_leftover(void **state)
{
    const struct cgroup_limits limits = {.controllers = CPUACCT};
    struct cgroup_host host;
    struct cgroup *group;
    char name[64];
    pid_t orphan;

    (void)state;
    probe(&host, CPUACCT);
    leave_over(&host, own_name("left", name), &orphan);
    assert_int_equal(cgroup_create(&host, name, &limits, &group, NULL), 0);
    await_gone(orphan);
    assert_int_equal(cgroup_destroy(group), 0);
    assert_false(is_there(&host, name));
    cgroup_host_free(&host);
}

static void test_sweep(void **state)
{
    struct cgroup_host host;
    char name[64];
    pid_t orphan;

    (void)state;
    probe(&host, CPUACCT);
    leave_over(&host, own_name("sweep", name), &orphan);
    assert_int_equal(cgroup_sweep(&host, name), 1);
    await_gone(orphan);
    assert_false(is_there(&host, name));
    cgroup_host_free(&host);
}

static void test_pids(void **state)
{
    const struct cgroup_limits limits = {.pids = 2};
    struct cgroup_host host;
    struct cgroup *group;
    char name[64];
    pid_t child;
    int status;

    (void)state;
    probe(&host, PIDS);
    assert_int_equal(cgroup_create(&host, own_name("pids", name), &limits, &group, NULL), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        pid_t second, third;

        if (cgroup_attach(group, 0) < 0)
            _exit(1);
        second = fork();
        if (second == 0) {
            cgroup_forget(group);
            for (;;)
                pause();
        }
        third = second > 0 ? fork() : 0;
        if (third == 0)
            _exit(2);
        _exit(third < 0 && errno == EAGAIN ? 0 : 3);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(cgroup_destroy(group), 0);
    cgroup_host_free(&host);
}

static void test_memory(void **state)
{
    const struct cgroup_limits limits = {.memory = 16 * MIB};
    struct cgroup_usage usage;
    struct cgroup_host host;
    struct cgroup *group;
    char name[64];
    pid_t child;

    (void)state;
    probe(&host, MEMORY);
    assert_int_equal(cgroup_create(&host, own_name("memory", name), &limits, &group, NULL), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        volatile char *bytes; /* not malloc()'s: MALLOC_PERTURB_ fills it outside the group */

        if (cgroup_attach(group, 0) < 0)
            _exit(1);
        bytes = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (bytes == MAP_FAILED)
            _exit(1);
        for (size_t i = 0; i < 64 * MIB; i += 4096)
            bytes[i] = 1;
        _exit(2);
    }
    await_killed(child);
    cgroup_read_usage(group, &usage);
    assert_true(usage.oom_kills > 0);
    assert_true(usage.memory_peak <= 16 * MIB);
    assert_int_equal(cgroup_destroy(group), 0);
    cgroup_host_free(&host);
}

static void test_refuses(void **state)
{
    const struct cgroup_limits none = {.controllers = CPUACCT};
    struct cgroup_host host = {0};
    struct cgroup *group = NULL;
    struct error err = {0};

    (void)state;
    assert_int_equal(cgroup_create(&host, "a/b", &none, &group, &err), -EINVAL);
    assert_int_equal(cgroup_create(&host, "", &none, &group, &err), -EINVAL);
    assert_int_equal(cgroup_create(&host, "a", &none, &group, &err), -ENOSYS);
    assert_non_null(strstr(err.text, "cpuacct"));
    assert_null(group);
}

int main(void)
{
    struct unit unit = {0};

    unit_add_rows(&unit, places, test_place);
    unit_add(&unit, "a group: made, entered, counted, killed, removed", test_life, NULL);
    unit_add(&unit, "its own groups, whatever number a process has", test_own_groups, NULL);
    unit_add(&unit, "what runs in it at its end is killed", test_kills_at_the_end, NULL);
    unit_add(&unit, "a name in use is refused and not swept", test_in_use, NULL);
    unit_add(&unit, "a leftover is replaced, and its orphans killed", test_leftover, NULL);
    unit_add(&unit, "a leftover is swept", test_sweep, NULL);
    unit_add(&unit, "one more process than allowed is not had", test_pids, NULL);
    unit_add(&unit, "more memory than allowed kills", test_memory, NULL);
    unit_add(&unit, "what cannot be is refused", test_refuses, NULL);
    return unit_run(&unit, "cgroup");
}

/* osvm doctor: everything that osvm wants of this host, tried, with the remedy of what is wrong. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

#include "../runtime_manager.h"
#include "base/cleanup.h"
#include "base/util.h"
#include "command.h"

/* A component has some five descriptors in the daemon. */
#define FEW_DESCRIPTORS 4096
#define LITTLE_SPACE    (256 * MIB)

enum verdict { GOOD, MISSING, WRONG };

struct doctor {
    const struct invocation *invocation;
    json_t *list;  /* with --json */
    bool anything; /* is wrong */
};

/* Tell one finding. @remedy  "": none is known, or wanted */
static void tell(struct doctor *doctor, enum verdict verdict, const char *what, const char *detail,
                 const char *remedy)
{
    static const char *const words[] = {[GOOD] = "ok", [MISSING] = "missing", [WRONG] = "wrong"};

    doctor->anything = doctor->anything || verdict == WRONG;
    if (doctor->invocation->json) {
        json_array_append_new(doctor->list,
                              json_pack("{s:s, s:s, s:s, s:s}", "what", what, "verdict",
                                        words[verdict], "detail", detail, "remedy", remedy));
        return;
    }
    printf("%-8s %-31s %s\n", words[verdict], what, detail);
    if (*remedy)
        printf("%-8s %-31s -> %s\n", "", "", remedy);
}

/* A level with a runtime that works is well, whatever the others of it lack. */
static bool level_works(const struct runtime_manager *manager, enum isolation_level level)
{
    for (size_t i = 0; i < manager->count; i++) {
        if (manager->runtimes[i]->level == level && manager->probes[i].available)
            return true;
    }
    return false;
}

static void look_at_runtimes(struct doctor *doctor)
{
    struct runtime_manager manager;

    runtime_manager_init(&manager);
    for (size_t i = 0; i < manager.count; i++) {
        const struct runtime_probe *probe = &manager.probes[i];
        enum isolation_level level = manager.runtimes[i]->level;
        char what[64];

        snprintf(what, sizeof(what), "%s (%s)", isolation_level_name(level),
                 manager.runtimes[i]->name);
        if (probe->available)
            tell(doctor, GOOD, what, probe->detail, "");
        else
            tell(doctor, level == LEVEL_TEE || level_works(&manager, level) ? MISSING : WRONG, what,
                 probe->why, probe->remedy);
    }
}

static void look_at_groups(struct doctor *doctor)
{
    struct error err = {0};

    if (runtime_check_groups(&err) == 0)
        tell(doctor, GOOD, "control groups", "memory, cpu and pids can be limited", "");
    else
        tell(doctor, WRONG, "control groups", err.text, "");
}

static void look_at_files(struct doctor *doctor)
{
    static const char *const programs[] = {"osvm-monitor", "osvm-sandbox", "osvm-oci", "osvm-vmm"};

    for (size_t i = 0; i <= ARRAY_SIZE(programs); i++) {
        bool program = i < ARRAY_SIZE(programs);
        const char *name = program ? programs[i] : "mcp_tools";
        _cleanup_free_ char *path = NULL;
        struct error err = {0};
        int r = program ? paths_program(name, &path, &err) : paths_image(name, &path, &err);

        tell(doctor, r == 0 ? GOOD : WRONG, name, r == 0 ? path : err.text,
             r == 0 ? "" : "install all of osvm: meson install -C build");
    }
}

static void look_at_limits(struct doctor *doctor)
{
    struct rlimit files;
    char detail[64];

    getrlimit(RLIMIT_NOFILE, &files);
    snprintf(detail, sizeof(detail), "%llu at most", (unsigned long long)files.rlim_max);
    tell(doctor, files.rlim_max < FEW_DESCRIPTORS ? WRONG : GOOD, "open files", detail,
         files.rlim_max < FEW_DESCRIPTORS ? "raise it: ulimit -Hn, or LimitNOFILE= of its unit"
                                          : "");
}

/* How much the components' logs and states may still take. */
static void look_at_space(struct doctor *doctor, const struct paths *paths)
{
    char path[4096], detail[4200];
    struct statvfs fs;
    uint64_t free_bytes;

    snprintf(path, sizeof(path), "%s", paths->state);
    while (statvfs(path, &fs) < 0) { /* what is above it is there, the root at least */
        char *slash = strrchr(path, '/');

        if (slash == path || !slash)
            return;
        *slash = '\0';
    }
    free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    snprintf(detail, sizeof(detail), "%llu MiB free in %s", (unsigned long long)(free_bytes / MIB),
             path);
    tell(doctor, free_bytes < LITTLE_SPACE ? WRONG : GOOD, "space for state", detail,
         free_bytes < LITTLE_SPACE ? "make room there, or say --state DIR" : "");
}

static void look_at_daemon(struct doctor *doctor, const struct paths *paths)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int len = snprintf(address.sun_path, sizeof(address.sun_path), "%s/" RUN_DAEMON, paths->run);

    if (len >= (int)sizeof(address.sun_path))
        tell(doctor, WRONG, "daemon", "the folder's name is too long for a socket in it",
             "say a shorter --run DIR");
    else if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        tell(doctor, MISSING, "daemon", strerror(errno), "start it: osvm daemon");
    else
        tell(doctor, GOOD, "daemon", address.sun_path, "");
}

int command_doctor(const struct invocation *invocation)
{
    struct doctor doctor = {.invocation = invocation, .list = json_array()};
    struct paths paths;
    struct error err = {0};

    look_at_files(&doctor);
    look_at_runtimes(&doctor);
    look_at_groups(&doctor);
    look_at_limits(&doctor);
    if (paths_init(&paths, invocation->state, invocation->run, &err) < 0) {
        tell(&doctor, WRONG, "folders", err.text, "");
    } else {
        look_at_space(&doctor, &paths);
        look_at_daemon(&doctor, &paths);
        paths_free(&paths);
    }
    if (invocation->json)
        print_json(doctor.list);
    else
        json_decref(doctor.list);
    return doctor.anything ? EXIT_FAILED : 0;
}

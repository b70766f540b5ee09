/* Level container: an OCI runtime, crun or runc, by osvm-oci. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/util.h"
#include "host_command.h"
#include "oci.h"
#include "oci_config.h"
#include "runtime.h"

#define CONFIG_FILE "config.json"

/* What a container of a read-only root cannot do without. */
static const char *const needed[] = {"proc", "dev", "tmp"};

/*
 * How many processes and threads are ours in its control group: osvm-oci's two, and the runtime's,
 * with those that it needs to start. The component's own are held to their number by an rlimit too.
 */
#define OWN_CRUN 6
#define OWN_RUNC 48

static int find_program(const char *kind, char *buf, size_t size)
{
    static const char *const folders[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                          "/usr/bin"};

    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        snprintf(buf, size, "%s/%s", folders[i], kind);
        if (access(buf, X_OK) == 0)
            return 0;
    }
    return -ENOENT;
}

/* --- the launch ---------------------------------------------------------------------------------
 */

static int write_config(const struct component *component, const struct oci_bundle *bundle,
                        const char *path, struct error *err)
{
    json_auto_t *config = NULL;
    _cleanup_free_ char *text = NULL;
    int r = oci_config_make(component, bundle, &config, err);

    if (r < 0)
        return r;
    text = json_dumps(config, JSON_INDENT(1));
    if (!text)
        return error_set(err, -ENOMEM, "out of memory");
    r = io_replace_file(path, text, strlen(text));
    return r < 0 ? error_set_errno(err, r, "cannot write '%s'", path) : 0;
}

/* osvm-oci's arguments. */
static int describe(const struct component *component, const char *kind, const char *root,
                    const char *config, struct launch *launch, struct error *err)
{
    const struct mount *mounts = component->mounts.items;
    _cleanup_free_ char *program = NULL;
    char runtime[64];
    int r = paths_program("osvm-oci", &program, err);

    if (r == 0 && find_program(kind, runtime, sizeof(runtime)) < 0)
        r = error_set(err, -ENOENT, "there is no %s any more", kind);
    if (r < 0)
        return r;
    launch_add(launch, "%s", program);
    launch_add(launch, "--name=%s", component->id);
    launch_add(launch, "--program=%s", runtime);
    launch_add(launch, "--kind=%s", kind);
    launch_add(launch, "--config=%s", config);
    launch_add(launch, "--root=%s", root);
    launch_add(launch, "--disk=%" PRIu64, component->limits.disk_mb * MIB);
    for (size_t i = 0; i < component->mounts.count; i++)
        launch_add(launch, "--bind=%s%s", mounts[i].host_path, mounts[i].read_only ? "" : ":rw");
    if (!component->security.aslr)
        launch_add(launch, "--no-aslr");
    return launch_check(launch) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;
}

static int prepare(const struct component *component, const char *kind, const struct paths *paths,
                   struct launch *launch, struct error *err)
{
    const struct isolation *isolation = &component->isolation;
    _cleanup_free_ char *config = paths_run(paths, component->metadata.name, CONFIG_FILE);
    _cleanup_free_ char *filter = NULL; /* for what is run beside it later */
    struct oci_bundle bundle = {0};
    int r = config ? runtime_write_filter(component, paths, &filter, err)
                   : error_set(err, -ENOMEM, "out of memory");

    if (r == 0 && isolation->bundle)
        r = oci_bundle_read(isolation->bundle, &bundle, err);
    if (r == 0)
        r = write_config(component, isolation->bundle ? &bundle : NULL, config, err);
    if (r == 0)
        r = describe(component, kind, isolation->bundle ? bundle.root : isolation->root_path,
                     config, launch, err);
    oci_bundle_free(&bundle);
    launch->wants_cgroup = true;
    launch->own_processes = strcmp(kind, "crun") == 0 ? OWN_CRUN : OWN_RUNC;
    if (component->limits.execution_time_sec != FIELD_UNSET)
        launch->time_limit_ms = component->limits.execution_time_sec * 1000;
    return r;
}

/* --- the probe ----------------------------------------------------------------------------------
 */

/* A root folder that has nothing but a place for a program. */
static int make_root(const char *root, struct error *err)
{
    _cleanup_close_ int dir =
        mkdir(root, 0755) < 0 ? -1 : open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = -1;

    for (size_t i = 0; dir >= 0 && i < ARRAY_SIZE(needed); i++)
        mkdirat(dir, needed[i], 0755); /* what is missing, the last step or the runtime says */
    if (dir >= 0)
        fd = openat(dir, "probe", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot make a root folder for a trial");
    close_fd(fd);
    return 0;
}

/* Run a container that says a word, of a program of ours. Returns its status or a negative errno.
 */
static int try_container(const char *kind, const char *folder, char *output, size_t size,
                         struct error *err)
{
    _cleanup_free_ char *program = NULL;
    char config[64], root[64];
    char guest_path[] = "/probe", *command[] = {guest_path};
    char id[] = "00000000-0000-4000-8000-000000000000", name[] = "probe";
    struct mount mount = {.guest_path = guest_path, .read_only = true};
    const struct component component = {
        .id = id,
        .metadata.name = name,
        .command = {.items = command, .count = 1},
        .mounts = {.items = &mount, .count = 1},
        .limits = {.disk_mb = 1, .file_descriptors = 64, .processes = 10},
        .security.aslr = true,
    };
    struct launch launch = {0};
    int r = paths_program("osvm-oci", &program, err);

    mount.host_path = program;
    snprintf(root, sizeof(root), "%.40s/root", folder);
    snprintf(config, sizeof(config), "%.40s/" CONFIG_FILE, folder);
    if (r == 0)
        r = make_root(root, err);
    if (r == 0)
        r = write_config(&component, NULL, config, err);
    if (r == 0)
        r = describe(&component, kind, root, config, &launch, err);
    if (r == 0)
        r = host_command_run(&launch, output, size);
    launch_free(&launch);
    return r;
}

static void remove_probe(const char *folder)
{
    static const char *const names[] = {"root/proc",  "root/dev", "root/tmp",
                                        "root/probe", "root",     CONFIG_FILE};
    char path[64];

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        snprintf(path, sizeof(path), "%.40s/%s", folder, names[i]);
        remove(path);
    }
    rmdir(folder);
}

static int ask_version(const char *program, char *buf, size_t size)
{
    struct launch launch = {0};
    int status = -ENOMEM;

    launch_add(&launch, "%s", program);
    launch_add(&launch, "--version");
    if (launch_check(&launch) == 0)
        status = host_command_run(&launch, buf, size);
    launch_free(&launch);
    buf[strcspn(buf, "\n")] = '\0';
    return status;
}

static void probe(const char *kind, struct runtime_probe *ret_probe)
{
    char folder[] = "/tmp/osvm-probe.XXXXXX", program[64], version[128] = "", output[256] = "";
    struct error err = {0};
    int status;

    *ret_probe = (struct runtime_probe){0};
    if (find_program(kind, program, sizeof(program)) < 0) {
        snprintf(ret_probe->why, sizeof(ret_probe->why), "there is no %s", kind);
        snprintf(ret_probe->remedy, sizeof(ret_probe->remedy), "install it: sudo apt install %s",
                 kind);
        return;
    }
    if (geteuid() != 0) {
        snprintf(ret_probe->why, sizeof(ret_probe->why), "containers are made by root here");
        snprintf(ret_probe->remedy, sizeof(ret_probe->remedy),
                 "run osvm as root, or choose process_sandbox, micro_vm or unikernel");
        return;
    }
    if (ask_version(program, version, sizeof(version)) != 0 || !mkdtemp(folder)) {
        snprintf(ret_probe->why, sizeof(ret_probe->why), "%s --version: %.150s", program, version);
        return;
    }
    status = try_container(kind, folder, output, sizeof(output), &err);
    remove_probe(folder);
    ret_probe->available = status == OCI_EXIT_REFUSED && strstr(output, OCI_USAGE);
    if (ret_probe->available)
        snprintf(ret_probe->detail, sizeof(ret_probe->detail), "%.100s", version);
    else
        snprintf(ret_probe->why, sizeof(ret_probe->why), "%.60s runs no container: %.150s", version,
                 *output ? output : err.text);
}

/* --- what it can run ----------------------------------------------------------------------------
 */

static int check_root(const char *root, struct error *err)
{
    struct stat st;

    for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
        char path[4096];

        snprintf(path, sizeof(path), "%s/%s", root, needed[i]);
        if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
            return error_set(err, -ENOENT,
                             "the container's root '%s' has no folder '%s', which is mounted on; "
                             "make proc, dev and tmp in it",
                             root, needed[i]);
    }
    return 0;
}

static int check_bundle(const struct component *component, struct error *err)
{
    struct oci_bundle bundle;
    int r = oci_bundle_read(component->isolation.bundle, &bundle, err);

    if (r == 0 && !component->command.count && !bundle.command.count)
        r = error_set(err, -EINVAL, "command: neither the component nor its bundle says one");
    if (r == 0)
        r = check_root(bundle.root, err);
    oci_bundle_free(&bundle);
    return r;
}

static int check(const struct component *component, struct error *err)
{
    const struct isolation *isolation = &component->isolation;
    int r = runtime_check_files(component, err);

    if (r < 0)
        return r;
    if (isolation->image)
        return error_set(err, -EOPNOTSUPP,
                         "isolation.image: images are not run yet; unpack it (podman export "
                         "CONTAINER | tar -x) and name the folder as root_path");
    if (!component->security.read_only_root)
        return error_set(err, -EOPNOTSUPP,
                         "security.read_only_root: what a container writes into its root could not "
                         "be held to max_disk_mb; say true, and mount a folder where it writes");
    if (component->mounts.count > OCI_MAX_BINDS)
        return error_set(err, -E2BIG, "mounts: there can be %d at most", OCI_MAX_BINDS);
    if (component->network.access == NETWORK_RESTRICTED ||
        component->network.access == NETWORK_FULL)
        return error_set(err, -EOPNOTSUPP,
                         "network.access: %s can't be had with its bandwidth enforced at level "
                         "container; say internal or none, or choose a micro_vm",
                         network_access_name((enum network_access)component->network.access));
    r = runtime_check_groups(err);
    if (r == 0)
        r = isolation->bundle ? check_bundle(component, err)
                              : check_root(isolation->root_path, err);
    return r;
}

/* --- crun and runc, which differ in little ------------------------------------------------------
 */

static void probe_crun(struct runtime_probe *ret_probe)
{
    probe("crun", ret_probe);
}

static int prepare_crun(const struct component *component, const struct paths *paths,
                        struct launch *ret_launch, struct error *err)
{
    return prepare(component, "crun", paths, ret_launch, err);
}

static void probe_runc(struct runtime_probe *ret_probe)
{
    probe("runc", ret_probe);
}

static int prepare_runc(const struct component *component, const struct paths *paths,
                        struct launch *ret_launch, struct error *err)
{
    return prepare(component, "runc", paths, ret_launch, err);
}

static int enter(const struct component *component, const struct process_id *inner,
                 const struct paths *paths, struct launch *launch, struct error *err)
{
    return runtime_enter_sandbox(component, inner, paths, component->limits.processes, launch, err);
}

/* osvm-oci removes it as well, where it lives to. */
static void clean_runc(const struct component *component)
{
    char path[128];

    snprintf(path, sizeof(path), OCI_GROUP_PATH "%.64s", component->id);
    rmdir(path);
}

const struct runtime runtime_crun = {
    .name = "crun",
    .level = LEVEL_CONTAINER,
    .probe = probe_crun,
    .check = check,
    .prepare = prepare_crun,
    .enter = enter,
};

const struct runtime runtime_runc = {
    .name = "runc",
    .level = LEVEL_CONTAINER,
    .probe = probe_runc,
    .check = check,
    .prepare = prepare_runc,
    .enter = enter,
    .clean = clean_runc,
};

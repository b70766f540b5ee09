#include "oci_config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/util.h"
#include "launch.h"
#include "oci.h"
#include "seccomp_profile.h"

#define BUNDLE_MAX_BYTES (1 * MIB)

/* What of /proc tells of the host, or lets it be changed, is not there or can't be written. */
static const char *const masked[] = {"/proc/acpi",          "/proc/kcore",      "/proc/keys",
                                     "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                                     "/proc/sched_debug",   "/proc/scsi",       NULL};
static const char *const read_only[] = {"/proc/bus",           "/proc/fs", "/proc/irq", "/proc/sys",
                                        "/proc/sysrq-trigger", NULL};

/* --- a bundle ----------------------------------------------------------------------------------
 */

/* A path of a bundle's is below its folder where it is not absolute. */
static char *below(const char *folder, const char *path)
{
    char *whole;

    if (path[0] == '/')
        return strdup(path);
    return asprintf(&whole, "%s/%s", folder, path) < 0 ? NULL : whole;
}

int oci_bundle_read(const char *folder, struct oci_bundle *ret_bundle, struct error *err)
{
    _cleanup_free_ char *path = below(folder, "config.json");
    _cleanup_free_ char *text = NULL;
    json_t *args = NULL, *env = NULL;
    const char *root_path, *cwd = "/";
    json_auto_t *root = NULL;
    json_error_t json_error;
    size_t len;
    int r = path ? io_read_file(path, BUNDLE_MAX_BYTES, &text, &len) : -ENOMEM;

    *ret_bundle = (struct oci_bundle){0};
    if (r < 0)
        return error_set_errno(err, r, "isolation.bundle: cannot read '%s/config.json'", folder);
    root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &json_error);
    if (!root)
        return error_set(err, -EINVAL, "isolation.bundle: '%s', line %d: %s", path, json_error.line,
                         json_error.text);
    if (json_unpack(root, "{s:{s:s}, s:{s?o, s?o, s?s}}", "root", "path", &root_path, "process",
                    "args", &args, "env", &env, "cwd", &cwd) < 0 ||
        string_list_read(args, &ret_bundle->command) < 0 ||
        string_list_read(env, &ret_bundle->environment) < 0)
        return error_set(err, -EINVAL,
                         "isolation.bundle: '%s' has no root.path, or no words in process.args and "
                         "process.env",
                         path);
    ret_bundle->root = below(folder, root_path);
    ret_bundle->directory = strdup(cwd);
    return ret_bundle->root && ret_bundle->directory ? 0 : error_set(err, -ENOMEM, "out of memory");
}

void oci_bundle_free(struct oci_bundle *bundle)
{
    free(bundle->root);
    free(bundle->directory);
    string_list_free(&bundle->command);
    string_list_free(&bundle->environment);
    *bundle = (struct oci_bundle){0};
}

/* --- config.json: json_pack() of a NULL is NULL, so that one look at the end finds all that failed
 */

/* Takes `value`. A list to which one could not be added is none any more: nothing is left out. */
static void add(json_t **list, json_t *value)
{
    if (json_array_append_new(*list, value) < 0) {
        json_decref(*list);
        *list = NULL;
    }
}

static json_t *strings(const char *const *words)
{
    json_t *list = json_array();

    for (; *words; words++)
        add(&list, json_string(*words));
    return list;
}

static json_t *environment_of(const struct component *component, const struct oci_bundle *bundle)
{
    json_t *list = json_array();

    add(&list, json_string(LAUNCH_DEFAULT_PATH));
    for (size_t i = 0; bundle && i < bundle->environment.count; i++)
        add(&list, json_string(bundle->environment.items[i]));
    for (size_t i = 0; i < component->environment.count; i++) /* the last of a name counts */
        add(&list, json_string(component->environment.items[i]));
    return list;
}

static json_t *rlimit(const char *type, uint64_t value)
{
    return json_pack("{s:s, s:I, s:I}", "type", type, "hard", (json_int_t)value, "soft",
                     (json_int_t)value);
}

static json_t *process_of(const struct component *component, const struct oci_bundle *bundle)
{
    const char *directory = component->working_directory ? component->working_directory
                            : bundle                     ? bundle->directory
                                                         : "/";
    json_t *process = json_pack(
        "{s:b, s:{s:i, s:i}, s:o, s:o, s:s, s:b, s:[o, o, o], s:{s:[], s:[], s:[], s:[], s:[]}}",
        "terminal", 0, "user", "uid", 0, "gid", 0, "args",
        string_list_write(component->command.count || !bundle ? &component->command
                                                              : &bundle->command),
        "env", environment_of(component, bundle), "cwd", directory, "noNewPrivileges", 1, "rlimits",
        rlimit("RLIMIT_NOFILE", component->limits.file_descriptors),
        rlimit("RLIMIT_NPROC", component->limits.processes), rlimit("RLIMIT_CORE", 0),
        "capabilities", "bounding", "effective", "inheritable", "permitted", "ambient");

    if (process && component->isolation.apparmor_profile)
        json_object_set_new(process, "apparmorProfile",
                            json_string(component->isolation.apparmor_profile));
    return process;
}

static json_t *bind_mount(const char *source, const char *destination)
{
    /* Whether it can be written, and that nothing on it has rights, is so of the source already. */
    return json_pack("{s:s, s:s, s:s, s:[s]}", "destination", destination, "type", "bind", "source",
                     source, "options", "rbind");
}

static json_t *mounts_of(const struct component *component)
{
    const struct mount *mounts = component->mounts.items;
    json_t *list = json_pack(
        "[{s:s, s:s, s:s, s:[s, s, s]}, {s:s, s:s, s:s, s:[s, s, s, s]}, o, o]", "destination",
        "/proc", "type", "proc", "source", "proc", "options", "nosuid", "noexec", "nodev",
        "destination", "/dev", "type", "tmpfs", "source", "tmpfs", "options", "nosuid", "noexec",
        "mode=755", "size=65536", bind_mount(OCI_STAGE "/scratch/tmp", "/tmp"),
        bind_mount(OCI_STAGE "/scratch/shm", "/dev/shm"));

    for (size_t i = 0; i < component->mounts.count; i++) {
        char source[64];

        snprintf(source, sizeof(source), OCI_STAGE "/mounts/%zu", i);
        add(&list, bind_mount(source, mounts[i].guest_path));
    }
    return list;
}

static json_t *linux_of(const struct component *component, json_t *seccomp)
{
    static const char *const kinds[] = {"pid", "network", "ipc", "uts", "mount", "user", "cgroup"};
    unsigned user = component_user(component);
    json_t *namespaces = json_array();

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        add(&namespaces, json_pack("{s:s}", "type", kinds[i]));
    return json_pack("{s:o, s:[{s:i, s:I, s:i}], s:[{s:i, s:I, s:i}], s:o, s:o, s:O, s:s+}",
                     "namespaces", namespaces, "uidMappings", "containerID", 0, "hostID",
                     (json_int_t)user, "size", 1, "gidMappings", "containerID", 0, "hostID",
                     (json_int_t)user, "size", 1, "maskedPaths", strings(masked), "readonlyPaths",
                     strings(read_only), "seccomp", seccomp, "cgroupsPath", OCI_GROUP,
                     component->id);
}

int oci_config_make(const struct component *component, const struct oci_bundle *bundle,
                    json_t **ret_config, struct error *err)
{
    const char *profile = component->isolation.seccomp_profile;
    json_auto_t *seccomp = NULL;
    int r = seccomp_profile_describe(profile ? profile : "default", &seccomp, err);

    if (r < 0)
        return r;
    *ret_config = json_pack("{s:s, s:o, s:{s:s, s:b}, s:s, s:o, s:o}", "ociVersion", "1.0.0",
                            "process", process_of(component, bundle), "root", "path", "root",
                            "readonly", 1, "hostname", component->metadata.name, "mounts",
                            mounts_of(component), "linux", linux_of(component, seccomp));
    return *ret_config ? 0 : error_set(err, -ENOMEM, "cannot describe the container");
}

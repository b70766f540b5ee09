/* Levels micro_vm and unikernel: osvm-vmm, with a Linux kernel or with any image that it boots. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "monitor.h"
#include "runtime.h"

/* What a Linux guest is told besides: its console, and to end the machine when it ends. */
#define LINUX_CMDLINE "console=ttyS0 reboot=t panic=-1"

/* Its own are some 30 (docs/limits.md); the rest is for what connects to the guest. */
#define LEAST_DESCRIPTORS 64

/* The image of an mcp_server that names none: the SDK's, unikernel/images/mcp. */
#define MCP_IMAGE "mcp_tools"

/* Make a virtual machine with a CPU, and throw it away. */
static void probe(struct runtime_probe *ret_probe)
{
    _cleanup_close_ int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    _cleanup_close_ int vm = -1, vcpu = -1;
    _cleanup_free_ char *program = NULL;
    struct error err = {0};

    *ret_probe = (struct runtime_probe){0};
    if (kvm < 0) {
        int code = errno;

        snprintf(ret_probe->why, sizeof(ret_probe->why), "/dev/kvm: %s", strerror(code));
        snprintf(ret_probe->remedy, sizeof(ret_probe->remedy), "%s",
                 code == EACCES
                     ? "join the group kvm: sudo usermod -aG kvm $USER, and log in again"
                     : "switch virtualization on in the firmware, and load the module kvm");
        return;
    }
    vm = ioctl(kvm, KVM_CREATE_VM, 0);
    vcpu = vm < 0 ? -1 : ioctl(vm, KVM_CREATE_VCPU, 0);
    if (vcpu < 0) {
        snprintf(ret_probe->why, sizeof(ret_probe->why), "KVM makes no %s: %s",
                 vm < 0 ? "VM" : "CPU", strerror(errno));
        snprintf(ret_probe->remedy, sizeof(ret_probe->remedy),
                 "look at what the kernel says of kvm: dmesg | grep kvm");
        return;
    }
    if (paths_program("osvm-vmm", &program, &err) < 0) {
        snprintf(ret_probe->why, sizeof(ret_probe->why), "%s", err.text);
        snprintf(ret_probe->remedy, sizeof(ret_probe->remedy), "install it where osvm is");
        return;
    }
    ret_probe->available = true;
    snprintf(ret_probe->detail, sizeof(ret_probe->detail), "KVM API %d",
             ioctl(kvm, KVM_GET_API_VERSION, 0));
}

static int check_file(const char *key, const char *path, struct error *err)
{
    if (path && access(path, R_OK) < 0)
        return error_set_errno(err, -errno, "isolation.%s: cannot read '%s'", key, path);
    return 0;
}

/* What is enforced here is that, or it is refused. */
static int check_limits(const struct component *component, struct error *err)
{
    if (component->limits.file_descriptors < LEAST_DESCRIPTORS)
        return error_set(err, -EINVAL,
                         "resource_limits.max_file_descriptors: in a virtual machine they are "
                         "osvm-vmm's, which needs %d at least",
                         LEAST_DESCRIPTORS);
    return 0;
}

/* A kernel's command line knows no quotes that all kernels agree on. */
static int check_words(const struct component *component, struct error *err)
{
    for (size_t i = 0; i < component->command.count; i++) {
        if (!*component->command.items[i] || strpbrk(component->command.items[i], " \t\n\"'"))
            return error_set(
                err, -EINVAL,
                "command.%zu: a virtual machine's words are its kernel's command line, "
                "so there is no blank and no quote in them",
                i + 1);
    }
    return 0;
}

static int check(const struct component *component, struct error *err)
{
    const struct isolation *isolation = &component->isolation;
    int r = check_file("kernel_path", isolation->kernel_path, err);

    if (r == 0)
        r = check_file("initrd_path", isolation->initrd_path, err);
    if (r == 0)
        r = check_file("rootfs_path", isolation->rootfs_path, err);
    if (r == 0)
        r = check_file("image_path", isolation->image_path, err);
    if (r == 0)
        r = check_limits(component, err);
    if (r == 0)
        r = check_words(component, err);
    if (r < 0)
        return r;
    if (component->security.memory_encryption || component->security.attestation ||
        component->security.secure_boot)
        return error_set(err, -EOPNOTSUPP,
                         "security: memory_encryption, secure_boot and attestation want hardware "
                         "that level %s has not; say false, or choose level tee",
                         isolation_level_name((enum isolation_level)isolation->level));
    if (component->network.access == NETWORK_RESTRICTED || component->network.firewall_rules.count)
        return error_set(
            err, -EOPNOTSUPP,
            "network: no packet filter is there yet for virtual machines; say internal, "
            "vsock_only or none");
    if (component->type.kind == TYPE_MCP_SERVER && !isolation->image_path &&
        !isolation->kernel_path && component->network.access == NETWORK_NONE)
        return error_set(err, -EINVAL,
                         "network.access: osvm's own MCP server is reached by vsock; say "
                         "vsock_only, or name an image");
    return 0;
}

static void add_limits(const struct component *component, enum isolation_level level,
                       struct launch *launch)
{
    const struct resource_limits *limits = &component->limits;

    launch_add(launch, "--mem=%" PRIu64, limits->memory_mb);
    launch_add(launch, "--cpus=%" PRIu64, limits->cpu_cores);
    launch_add(launch, "--disk-limit=%" PRIu64 "M", limits->disk_mb);
    launch_add(launch, "--net-rate=%" PRIu64, limits->network_mbps * 1000 * 1000 / 8);
    launch_add(launch, "--limit-fds=%" PRIu64, limits->file_descriptors);
    if (limits->execution_time_sec != FIELD_UNSET)
        launch_add(launch, "--time-limit=%" PRIu64, limits->execution_time_sec);
    if (component_readiness(component, level) == PROBE_GUEST) {
        launch_add(launch, "--boot-timeout=%" PRIu64, limits->boot_timeout_sec);
        launch_add(launch, "--ready-fd=%d", MONITOR_READY_FD);
        launch->says_ready = true;
    }
}

/*
 * The folder of its sockets. As root its owner is who osvm-vmm's process becomes: the owner of the
 * first share where there is one, as osvm-vmm itself has it, or else a user that only this
 * component has.
 */
static int make_folder(const struct component *component, const char *path, struct error *err)
{
    const struct mount *mounts = component->mounts.items;
    uid_t uid = component_user(component);
    gid_t gid = uid;
    struct stat st;

    if (mkdir(path, 0700) < 0)
        return error_set_errno(err, -errno, "cannot make the folder '%s'", path);
    if (component->mounts.count) {
        if (stat(mounts[0].host_path, &st) < 0)
            return error_set_errno(err, -errno, "mounts.1: '%s'", mounts[0].host_path);
        uid = st.st_uid;
        gid = st.st_gid;
    }
    if (geteuid() == 0 && chown(path, uid, gid) < 0)
        return error_set_errno(err, -errno, "cannot give the folder '%s' to user %u", path, uid);
    return 0;
}

static int add_vsock(const struct component *component, const struct paths *paths,
                     struct launch *launch, struct error *err)
{
    _cleanup_free_ char *folder = paths_run(paths, component->metadata.name, RUN_VM);
    _cleanup_free_ char *vsock = paths_run(paths, component->metadata.name, RUN_VSOCK);
    int r;

    if (component->network.access == NETWORK_NONE)
        return 0;
    if (!folder || !vsock)
        return error_set(err, -ENOMEM, "out of memory");
    r = make_folder(component, folder, err);
    if (r == 0)
        launch_add(launch, "--vsock=cid=3,path=%s", vsock);
    return r;
}

static int add_devices(const struct component *component, const struct paths *paths,
                       struct launch *launch, struct error *err)
{
    const struct mount *mounts = component->mounts.items;
    _cleanup_free_ char *record = paths_run(paths, component->metadata.name, RUN_RECORD);

    if (!record)
        return error_set(err, -ENOMEM, "out of memory");
    launch_add(launch, "--exit-record=%s", record);
    launch_add(launch, "--rng");
    if (component->network.access == NETWORK_FULL)
        launch_add(launch, "--net=passt");
    for (size_t i = 0; i < component->mounts.count; i++)
        launch_add(launch, "--share=%s=%s%s", mounts[i].guest_path, mounts[i].host_path,
                   mounts[i].read_only ? ",ro" : "");
    return add_vsock(component, paths, launch, err);
}

static int begin(const struct component *component, enum isolation_level level,
                 const struct paths *paths, struct launch *launch, struct error *err)
{
    _cleanup_free_ char *program = NULL;
    int r = paths_program("osvm-vmm", &program, err);

    if (r < 0)
        return r;
    launch_add(launch, "%s", program);
    launch_add(launch, "--id=%s", component->id);
    add_limits(component, level, launch);
    return add_devices(component, paths, launch, err);
}

static int prepare_micro_vm(const struct component *component, const struct paths *paths,
                            struct launch *ret_launch, struct error *err)
{
    const struct isolation *isolation = &component->isolation;
    const char *more = isolation->kernel_args ? isolation->kernel_args : "";
    const char *root = !isolation->rootfs_path              ? ""
                       : component->security.read_only_root ? " root=/dev/vda ro"
                                                            : " root=/dev/vda rw";
    int r = begin(component, LEVEL_MICRO_VM, paths, ret_launch, err);

    if (r < 0)
        return r;
    launch_add(ret_launch, "--kernel=%s", isolation->kernel_path);
    launch_add(ret_launch, "--cmdline=" LINUX_CMDLINE "%s%s%s%s", root,
               component->security.aslr ? "" : " nokaslr", *more ? " " : "", more);
    if (isolation->initrd_path)
        launch_add(ret_launch, "--initrd=%s", isolation->initrd_path);
    if (isolation->rootfs_path)
        launch_add(ret_launch, "--disk=path=%s%s", isolation->rootfs_path,
                   component->security.read_only_root ? ",ro" : "");
    return launch_check(ret_launch) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;
}

/* The command is the image's command line. Returns it, to be freed, or NULL: out of memory. */
static char *command_line(const struct component *component)
{
    char *line = strdup("");

    for (size_t i = 0; line && i < component->command.count; i++) {
        _cleanup_free_ char *before = line;

        if (asprintf(&line, "%s%s%s", before, *before ? " " : "", component->command.items[i]) < 0)
            line = NULL;
    }
    return line;
}

static int prepare_unikernel(const struct component *component, const struct paths *paths,
                             struct launch *ret_launch, struct error *err)
{
    const char *image = component->isolation.image_path;
    _cleanup_free_ char *own = NULL;
    _cleanup_free_ char *cmdline = command_line(component);
    int r = begin(component, LEVEL_UNIKERNEL, paths, ret_launch, err);

    if (r == 0 && !image) { /* component.c lets only an mcp_server come without one */
        r = paths_image(MCP_IMAGE, &own, err);
        image = own;
    }
    if (r < 0)
        return r;
    launch_add(ret_launch, "--kernel=%s", image);
    if (cmdline && *cmdline)
        launch_add(ret_launch, "--cmdline=%s", cmdline);
    ret_launch->failed = ret_launch->failed || !cmdline;
    return launch_check(ret_launch) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;
}

const struct runtime runtime_micro_vm = {
    .name = "osvm-vmm",
    .level = LEVEL_MICRO_VM,
    .probe = probe,
    .check = check,
    .prepare = prepare_micro_vm,
};

const struct runtime runtime_unikernel = {
    .name = "osvm-vmm",
    .level = LEVEL_UNIKERNEL,
    .probe = probe,
    .check = check,
    .prepare = prepare_unikernel,
};

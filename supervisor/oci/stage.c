#include "stage.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/util.h"

#define CGROUPS          "/sys/fs/cgroup"
#define CONFIG_MAX_BYTES (4 * MIB)

/* For the folders, config.json and what the runtime notes down. */
#define STAGE_BYTES "16m"

#define SAFE (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

/* A copy of what is at a path, not attached: the stage is about to cover where it may be. */
static int copy_tree(const char *path, bool writable)
{
    struct mount_attr attributes = {.attr_set = SAFE | (writable ? 0 : MOUNT_ATTR_RDONLY)};
    _cleanup_close_ int fd =
        open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

    if (fd < 0 ||
        mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof(attributes)) < 0)
        return -errno;
    return take_fd(&fd);
}

static int attach(int tree, const char *path, struct error *err)
{
    struct stat st;
    int r = fstat(tree, &st) < 0 ? -errno : 0;

    if (r == 0 && S_ISDIR(st.st_mode))
        r = mkdir(path, 0755) < 0 ? -errno : 0;
    else if (r == 0)
        r = mknod(path, S_IFREG | 0644, 0) < 0 ? -errno : 0;
    if (r == 0 && move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        r = -errno;
    return r < 0 ? error_set_errno(err, r, "cannot mount '%s'", path) : 0;
}

static int copy_config(const char *from, struct error *err)
{
    _cleanup_close_ int fd = open(OCI_STAGE "/config.json", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    _cleanup_free_ char *text = NULL;
    size_t len;
    int r = fd < 0 ? -errno : io_read_file(from, CONFIG_MAX_BYTES, &text, &len);

    if (r == 0)
        r = io_write_all(fd, text, len);
    return r < 0 ? error_set_errno(err, r, "cannot copy '%s'", from) : 0;
}

/* A tmpfs of its own for all that the container may write. */
static int make_scratch(uint64_t bytes, struct error *err)
{
    static const char *const folders[] = {OCI_STAGE "/scratch/tmp", OCI_STAGE "/scratch/shm"};
    char data[64];
    int r;

    snprintf(data, sizeof(data), "mode=755,size=%" PRIu64, bytes);
    r = mkdir(OCI_STAGE "/scratch", 0755) < 0 ||
                mount("tmpfs", OCI_STAGE "/scratch", "tmpfs", MS_NOSUID | MS_NODEV, data) < 0
            ? -errno
            : 0;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(folders); i++)
        r = mkdir(folders[i], 01777) < 0 || chmod(folders[i], 01777) < 0 ? -errno : 0;
    return r < 0 ? error_set_errno(err, r, "cannot make what the container may write to") : 0;
}

static int make_folders(const struct oci_options *options, const char *config, int root,
                        const int *binds, struct error *err)
{
    int r = 0;

    if (mount("tmpfs", OCI_STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=" STAGE_BYTES) < 0)
        return error_set_errno(err, -errno, "cannot mount a tmpfs");
    if (mkdir(OCI_STAGE "/state", 0700) < 0 || mkdir(OCI_STAGE "/mounts", 0755) < 0)
        return error_set_errno(err, -errno, "cannot make a folder");
    r = copy_config(config, err);
    if (r == 0)
        r = attach(root, OCI_STAGE "/root", err);
    for (size_t i = 0; r == 0 && i < options->bind_count; i++) {
        char path[64];

        snprintf(path, sizeof(path), OCI_STAGE "/mounts/%zu", i);
        r = attach(binds[i], path, err);
    }
    return r == 0 ? make_scratch(options->disk_bytes, err) : r;
}

/*
 * A crun that is told to leave control groups alone still wants to know which kind there is, and
 * cannot tell where both are. runc makes one in each tree that it sees: it sees devices alone,
 * which it can't do without. Where there is one tree only (version 2), it would take the container
 * out of the caller's group, and its limits.
 */
static int hide_groups(bool runc, struct error *err)
{
    static const char *const trees[] = {"cpu",     "cpuacct", "cpu,cpuacct", "cpuset",
                                        "memory",  "freezer", "blkio",       "pids",
                                        "hugetlb", "systemd", "perf_event",  "net_cls",
                                        "rdma",    "misc",    "net_prio",    "net_cls,net_prio"};
    bool mixed = access(CGROUPS "/devices", F_OK) == 0;

    if (runc && !mixed)
        return error_set(err, -EOPNOTSUPP,
                         "runc would take the container out of its limits on a host with control "
                         "groups of version 2 alone; install crun");
    if (mixed)
        umount2(CGROUPS "/unified", MNT_DETACH);
    for (size_t i = 0; runc && i < ARRAY_SIZE(trees); i++) {
        char path[64];

        snprintf(path, sizeof(path), CGROUPS "/%s", trees[i]);
        umount2(path, MNT_DETACH);
    }
    return 0;
}

/* The config file, by the way of a descriptor: its folder may be beneath what is covered. */
int stage_make(const struct oci_options *options, struct error *err)
{
    _cleanup_close_ int config = open(options->config, O_RDONLY | O_CLOEXEC), root = -1;
    int binds[OCI_MAX_BINDS];
    char path[32];
    int r;

    if (config < 0)
        return error_set_errno(err, -errno, "cannot open '%s'", options->config);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return error_set_errno(err, -errno, "cannot make a /proc of its own");
    root = copy_tree(options->root, false);
    if (root < 0)
        return error_set_errno(err, root, "cannot see the root folder '%s'", options->root);
    for (size_t i = 0; i < options->bind_count; i++) {
        binds[i] = copy_tree(options->binds[i].host, options->binds[i].writable);
        if (binds[i] < 0) /* the process ends */
            return error_set_errno(err, binds[i], "cannot see '%s'", options->binds[i].host);
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", config);
    r = make_folders(options, path, root, binds, err);
    for (size_t i = 0; i < options->bind_count; i++)
        close_fd(binds[i]);
    return r == 0 ? hide_groups(options->runc, err) : r;
}

void stage_remove_group(const struct oci_options *options)
{
    char path[256];

    if (!options->runc)
        return;
    /* Where it is not, or has processes again, there is nothing to do. */
    snprintf(path, sizeof(path), OCI_GROUP_PATH "%.128s", options->name);
    rmdir(path);
}

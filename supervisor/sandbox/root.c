#include "root.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"

/* Where the new root is put together; it covers what is there, in this mount namespace alone. */
#define STAGE "/tmp"

/* For the folders and the mount points of the root itself, which is read-only later. */
#define ROOT_BYTES "1m"

#define SAFE (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

/* A new file system, not attached to anything. Returns its descriptor or a negative errno. */
static int new_filesystem(const char *type, const char *const options[][2], uint64_t attributes)
{
    _cleanup_close_ int context = fsopen(type, FSOPEN_CLOEXEC);
    int fd;

    if (context < 0)
        return -errno;
    for (size_t i = 0; options[i][0]; i++) {
        if (fsconfig(context, FSCONFIG_SET_STRING, options[i][0], options[i][1], 0) < 0)
            return -errno;
    }
    if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -errno;
    fd = fsmount(context, FSMOUNT_CLOEXEC, (unsigned)attributes);
    return fd < 0 ? -errno : fd;
}

static int new_tmpfs(const char *size, const char *mode, uint64_t attributes)
{
    const char *const options[][2] = {{"size", size}, {"mode", mode}, {NULL, NULL}};

    return new_filesystem("tmpfs", options, attributes);
}

/* A copy of what is mounted at a path, with all below it, not attached. A descriptor or -errno. */
static int copy_tree(int dir, const char *path, uint64_t set)
{
    _cleanup_close_ int fd =
        open_tree(dir, path,
                  OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | (*path ? 0 : AT_EMPTY_PATH));
    struct mount_attr attributes = {.attr_set = set};

    if (fd < 0)
        return -errno;
    if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof(attributes)) < 0)
        return -errno;
    return take_fd(&fd);
}

/*
 * Open a path of the new root as its user would see it: a root folder is somebody's, and its links
 * may point anywhere. A descriptor or -errno.
 */
static int open_inside(int root, const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC), .resolve = RESOLVE_IN_ROOT};
    int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

    return fd < 0 ? -errno : fd;
}

/* Make the folders on the way to `path`, and at its end a folder or an empty file. */
static int make_point(int root, const char *path, bool folder)
{
    char part[PATH_MAX];
    size_t len = strlen(path);

    if (len >= sizeof(part))
        return -ENAMETOOLONG;
    for (size_t end = 1; end <= len; end++) {
        _cleanup_close_ int parent = -1;
        char *slash;

        if (path[end] != '/' && path[end] != '\0')
            continue;
        memcpy(part, path, end);
        part[end] = '\0';
        slash = strrchr(part, '/');
        if (!slash[1])
            continue;
        *slash = '\0';
        parent = open_inside(root, *part ? part : "/", O_PATH | O_DIRECTORY);
        if (parent < 0)
            return parent;
        if (path[end] == '/' || folder) {
            if (mkdirat(parent, slash + 1, 0755) < 0 && errno != EEXIST)
                return -errno;
        } else if (mknodat(parent, slash + 1, S_IFREG | 0644, 0) < 0 && errno != EEXIST) {
            return -errno;
        }
    }
    return 0;
}

/* Attach a mount to a path of the new root, which is made where it can be and is not there. */
static int attach(int mount, int root, const char *path)
{
    _cleanup_close_ int point = -1;
    struct stat st;
    int r = fstat(mount, &st) < 0 ? -errno : 0;

    if (r == 0) {
        point = open_inside(root, path, O_PATH);
        if (point == -ENOENT) {
            r = make_point(root, path, S_ISDIR(st.st_mode));
            if (r == 0)
                point = open_inside(root, path, O_PATH);
        }
    }
    if (r < 0 || point < 0)
        return r < 0 ? r : point;
    return move_mount(mount, "", point, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0
               ? -errno
               : 0;
}

/* Attach, and name what could not be. Takes the descriptor, or the error that it is. */
static int attach_named(int mount, int root, const char *path, struct error *err)
{
    int r = mount < 0 ? mount : attach(mount, root, path);

    close_fd(mount);
    return r < 0 ? error_set_errno(err, r, "cannot make %s", path) : 0;
}

/* --- its parts ----------------------------------------------------------------------------------
 */

/* All that can be written is one tmpfs, so that its size bounds it all. Its two folders. */
struct scratch {
    int tmp, shm, upper; /* copies of its folders, not attached; -1 */
};

static void scratch_close(struct scratch *scratch)
{
    close_fd(scratch->tmp);
    close_fd(scratch->shm);
    close_fd(scratch->upper);
}

static int scratch_open(uint64_t bytes, struct scratch *ret_scratch, struct error *err)
{
    static const char *const folders[] = {"tmp", "shm", "upper", "work"};
    _cleanup_close_ int fd = -1;
    char size[24];

    snprintf(size, sizeof(size), "%" PRIu64, bytes);
    fd = new_tmpfs(size, "0755", SAFE);
    if (fd < 0)
        return error_set_errno(err, fd, "cannot make a tmpfs");
    /* It has to be somewhere to be copied from. */
    if (move_mount(fd, "", AT_FDCWD, STAGE, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return error_set_errno(err, -errno, "cannot mount a tmpfs");
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        if (mkdirat(fd, folders[i], 0755) < 0 || (i < 2 && fchmodat(fd, folders[i], 01777, 0) < 0))
            return error_set_errno(err, -errno, "cannot make folders in a tmpfs");
    }
    ret_scratch->tmp = copy_tree(fd, "tmp", SAFE);
    ret_scratch->shm = copy_tree(fd, "shm", SAFE);
    ret_scratch->upper = take_fd(&fd);
    if (ret_scratch->tmp < 0 || ret_scratch->shm < 0)
        return error_set_errno(err, -errno, "cannot copy a tmpfs");
    return 0;
}

/* The root folder with a layer above it that takes the changes and vanishes. */
static int overlay_root(const char *lower)
{
    const char *const options[][2] = {{"lowerdir", lower},
                                      {"upperdir", STAGE "/upper"},
                                      {"workdir", STAGE "/work"},
                                      {NULL, NULL}};

    /* Both separate lists in overlayfs's options. */
    if (strpbrk(lower, ":,\\"))
        return -EINVAL;
    return new_filesystem("overlay", options, SAFE);
}

static int open_root(const struct sandbox_options *options, struct error *err)
{
    int fd;

    if (!options->root)
        fd = new_tmpfs(ROOT_BYTES, "0755", SAFE);
    else if (options->root_writable)
        fd = overlay_root(options->root);
    else
        fd = copy_tree(AT_FDCWD, options->root, SAFE | MOUNT_ATTR_RDONLY);
    if (fd >= 0)
        return fd;
    return error_set_errno(err, fd, "cannot make the root%s%s", options->root ? " from " : "",
                           options->root ? options->root : "");
}

/* The host's devices that are harmless, and no others. */
static int attach_devices(int root, int shm, struct error *err)
{
    static const char *const names[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random",
                                        "/dev/urandom"};
    static const char *const links[][2] = {{"/proc/self/fd", "fd"},
                                           {"/proc/self/fd/0", "stdin"},
                                           {"/proc/self/fd/1", "stdout"},
                                           {"/proc/self/fd/2", "stderr"}};
    _cleanup_close_ int dev = -1;
    int devices[ARRAY_SIZE(names)];
    int r;

    /* Before /dev is covered, where the root is the host's own. */
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        devices[i] = copy_tree(AT_FDCWD, names[i], MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
    r = attach_named(new_tmpfs("64k", "0755", SAFE | MOUNT_ATTR_NOEXEC), root, "/dev", err);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (r == 0)
            r = attach_named(devices[i], root, names[i], err);
        else
            close_fd(devices[i]);
    }
    if (r < 0)
        return r;
    dev = open_inside(root, "/dev", O_RDONLY | O_DIRECTORY);
    for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
        if (dev < 0 || symlinkat(links[i][0], dev, links[i][1]) < 0)
            return error_set_errno(err, -errno, "cannot make /dev/%s", links[i][1]);
    }
    return attach_named(shm, root, "/dev/shm", err);
}

/* The OCI runtime specification's default masked and read-only paths (config-linux.md). */
static int cover_proc(int root, struct error *err)
{
    static const char *const masked[] = {
        "/proc/acpi",       "/proc/kcore",       "/proc/keys",        "/proc/latency_stats",
        "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi"};
    static const char *const fixed[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                        "/proc/sysrq-trigger"};
    struct stat st;
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(masked); i++) {
        _cleanup_close_ int point = open_inside(root, masked[i], O_PATH);
        bool folder;

        if (point < 0 || fstat(point, &st) < 0)
            continue; /* this kernel has none */
        folder = S_ISDIR(st.st_mode);
        r = attach_named(folder ? new_tmpfs("4k", "0555", SAFE | MOUNT_ATTR_RDONLY)
                                : copy_tree(AT_FDCWD, "/dev/null", MOUNT_ATTR_NOSUID),
                         root, masked[i], err);
    }
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(fixed); i++) {
        _cleanup_close_ int point = open_inside(root, fixed[i], O_PATH);

        if (point >= 0)
            r = attach_named(copy_tree(point, "", SAFE | MOUNT_ATTR_RDONLY), root, fixed[i], err);
    }
    return r;
}

static int attach_proc(int root, struct error *err)
{
    const char *const options[][2] = {{NULL, NULL}};
    int r =
        attach_named(new_filesystem("proc", options, SAFE | MOUNT_ATTR_NOEXEC), root, "/proc", err);

    return r < 0 ? r : cover_proc(root, err);
}

/* Leave the old root behind: pivot_root(2), "pivot_root(".", ".")". */
static int pivot(int root)
{
    if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
        chdir("/") < 0)
        return -errno;
    return 0;
}

/* The binds' sources, before the stage covers any of them. Descriptors or negative errnos. */
static int open_binds(const struct sandbox_options *options, int *fds, struct error *err)
{
    for (size_t i = 0; i < options->bind_count; i++)
        fds[i] = -1;
    for (size_t i = 0; i < options->bind_count; i++) {
        const struct bind *bind = &options->binds[i];

        fds[i] = copy_tree(AT_FDCWD, bind->host, SAFE | (bind->writable ? 0 : MOUNT_ATTR_RDONLY));
        if (fds[i] < 0)
            return error_set_errno(err, fds[i], "cannot see '%s'", bind->host);
    }
    return 0;
}

static int furnish(const struct sandbox_options *options, int root, struct scratch *scratch,
                   int *binds, struct error *err)
{
    struct mount_attr fixed = {.attr_set = MOUNT_ATTR_RDONLY};
    int r = attach_devices(root, take_fd(&scratch->shm), err);

    if (r == 0)
        r = attach_proc(root, err);
    if (r == 0)
        r = attach_named(take_fd(&scratch->tmp), root, "/tmp", err);
    for (size_t i = 0; r == 0 && i < options->bind_count; i++)
        r = attach_named(take_fd(&binds[i]), root, options->binds[i].inside, err);
    if (r == 0 && !options->root_writable &&
        mount_setattr(root, "", AT_EMPTY_PATH, &fixed, sizeof(fixed)) < 0)
        r = error_set_errno(err, -errno, "cannot make the root read-only");
    return r;
}

int sandbox_enter_root(const struct sandbox_options *options, struct error *err)
{
    struct scratch scratch = {-1, -1, -1};
    _cleanup_close_ int root = -1;
    int binds[SANDBOX_MAX_BINDS];
    int r;

    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return error_set_errno(err, -errno, "cannot make the mounts private");
    r = open_binds(options, binds, err);
    if (r == 0 && !options->root_writable && options->root) {
        root = open_root(options, err);
        r = root < 0 ? root : 0;
    }
    if (r == 0)
        r = scratch_open(options->tmp_bytes, &scratch, err);
    if (r == 0 && root < 0) {
        root = open_root(options, err);
        r = root < 0 ? root : 0;
    }
    if (r == 0 && move_mount(root, "", AT_FDCWD, STAGE, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        r = error_set_errno(err, -errno, "cannot mount the root");
    if (r == 0)
        r = furnish(options, root, &scratch, binds, err);
    if (r == 0) {
        r = pivot(root);
        if (r < 0)
            error_set_errno(err, r, "cannot enter the root");
    }
    scratch_close(&scratch);
    for (size_t i = 0; i < options->bind_count; i++)
        close_fd(binds[i]);
    return r;
}

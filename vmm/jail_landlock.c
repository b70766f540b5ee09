#include "jail_landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"

/* struct landlock_ruleset_attr as of version 6; the build machine's header may be older. */
struct ruleset {
    uint64_t fs;
    uint64_t net;
    uint64_t scoped;
};

#define FS_REFER     (UINT64_C(1) << 13) /* version 2: link or rename between folders */
#define FS_TRUNCATE  (UINT64_C(1) << 14) /* 3 */
#define FS_IOCTL_DEV (UINT64_C(1) << 15) /* 5 */
#define NET_ALL      (UINT64_C(3))       /* 4: bind and connect TCP */
#define SCOPE_ALL    (UINT64_C(3))       /* 6: abstract Unix sockets, signals */

/* Version 1 has the 13 rights from EXECUTE to MAKE_SYM. */
#define FS_VERSION_1 ((UINT64_C(1) << 13) - 1)

#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
/* virtio-fs makes no device nodes, sockets and fifos, and runs nothing. */
#define FS_WRITE                                                                                  \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                              \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | \
     LANDLOCK_ACCESS_FS_MAKE_SYM | FS_REFER | FS_TRUNCATE)

static struct ruleset everything(int version, size_t *ret_size)
{
    struct ruleset all = {.fs = FS_VERSION_1};

    *ret_size = sizeof(all.fs);
    if (version >= 2)
        all.fs |= FS_REFER;
    if (version >= 3)
        all.fs |= FS_TRUNCATE;
    if (version >= 4) {
        all.net = NET_ALL;
        *ret_size = offsetof(struct ruleset, scoped);
    }
    if (version >= 5)
        all.fs |= FS_IOCTL_DEV;
    if (version >= 6) {
        all.scoped = SCOPE_ALL;
        *ret_size = sizeof(all);
    }
    return all;
}

static int allow_folder(int ruleset_fd, const char *path, bool read_only, uint64_t handled)
{
    _cleanup_close_ int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct landlock_path_beneath_attr beneath = {
        .allowed_access = (read_only ? FS_READ : FS_READ | FS_WRITE) & handled,
        .parent_fd = fd,
    };

    if (fd < 0 ||
        syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0)
        return -errno;
    return 0;
}

static int allow_folders(int fd, const struct config *config, const char *private_folder,
                         uint64_t handled, struct error *err)
{
    const struct device_config *devices = &config->devices;
    const struct program_config *program = &config->program;
    const char *path = NULL;
    int r = 0;

    for (unsigned i = 0; r == 0 && i < devices->share_count; i++) {
        path = devices->shares[i].path;
        r = allow_folder(fd, path, devices->shares[i].read_only, handled);
    }
    for (size_t i = 0; r == 0 && i < program->mapping_count; i++) {
        path = program->mappings[i].host;
        r = allow_folder(fd, path, program->mappings[i].read_only, handled);
        r = r == -ENOTDIR ? 0 : r; /* a file that is mapped is open already */
    }
    if (r == 0 && private_folder) {
        path = private_folder;
        r = allow_folder(fd, path, false, handled);
    }
    return r < 0 ? error_set_errno(err, r, "cannot allow '%s' to Landlock", path) : 0;
}

int jail_landlock_prepare(const struct config *config, const char *private_folder, int *ret_version,
                          int *ret_fd, struct error *err)
{
    int version =
        (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    _cleanup_close_ int fd = -1;
    struct ruleset all;
    size_t size;
    int r;

    if (version <= 0) { /* not built into this kernel, or not turned on */
        *ret_version = 0;
        *ret_fd = -1;
        return 0;
    }
    all = everything(version, &size);
    fd = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot make a Landlock ruleset");
    r = allow_folders(fd, config, private_folder, all.fs, err);
    if (r < 0)
        return r;
    *ret_version = version;
    *ret_fd = take_fd(&fd);
    return 0;
}

int jail_landlock_enforce(int fd, struct error *err)
{
    if (fd >= 0 && syscall(SYS_landlock_restrict_self, fd, 0) < 0)
        return error_set_errno(err, -errno, "cannot enforce the Landlock ruleset");
    return 0;
}

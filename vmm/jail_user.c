#include "jail_user.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

/* One byte of it stands for each user and is locked while a machine has it. It stays empty. */
#define CLAIMS "/run/osvm-vmm.uids"

/* Lock the byte of one user. Returns 0, or a negative errno: -EAGAIN where another has it. */
static int claim(int fd, uint32_t uid)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = uid, .l_len = 1};

    return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

/* The search begins anywhere, so that a user is not given again right after its machine's end. */
static int claim_one(const struct config *config, struct jail_user *user, struct error *err)
{
    _cleanup_close_ int fd = open(CLAIMS, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    uint64_t count = (uint64_t)config->uid_last - config->uid_first + 1;
    uint32_t start = 0;

    if (fd < 0)
        return error_set_errno(err, -errno,
                               "cannot keep account of the machines' users in '" CLAIMS
                               "' (or say which with --uid)");
    if (getrandom(&start, sizeof(start), 0) < 0)
        start = (uint32_t)getpid();
    for (uint64_t i = 0; i < count; i++) {
        uint32_t uid = config->uid_first + (uint32_t)((start + i) % count);
        int r = claim(fd, uid);

        if (r == 0) {
            user->uid = uid;
            user->gid = uid;
            user->claim_fd = take_fd(&fd);
            user->why = "its own, of --uid-range";
            return 0;
        }
        if (r != -EAGAIN && r != -EACCES)
            return error_set_errno(err, r, "cannot lock '" CLAIMS "'");
    }
    return error_set(err, -EUSERS,
                     "all %" PRIu64 " users of --uid-range are taken by running machines", count);
}

/* Returns whether there is such a folder; if not, the device's making says what is wrong. */
static bool take_owner(struct jail_user *user, const char *folder, const char *why)
{
    struct stat st;

    if (stat(folder, &st) < 0)
        return false;
    user->uid = st.st_uid;
    user->gid = st.st_gid;
    user->why = why;
    return true;
}

/* What the guest reaches by paths at any time is reached with the rights of whom it belongs to. */
static bool take_owner_of_paths(const struct config *config, struct jail_user *user)
{
    const struct device_config *devices = &config->devices;
    const struct program_config *program = &config->program;
    _cleanup_free_ char *path = NULL;

    if (devices->share_count > 0)
        return take_owner(user, devices->shares[0].path, "the owner of the first share");
    if (program->mapping_count > 0)
        return take_owner(user, program->mappings[0].host, "the owner of the first mapping");
    if (program->keep_files && take_owner(user, program->keep_files, "the owner of --keep-files"))
        return true;
    if (!devices->vsock.cid)
        return false;
    path = strdup(devices->vsock.path);
    return path && take_owner(user, dirname(path), "the owner of the vsock's folder");
}

int jail_choose_user(const struct config *config, struct jail_user *ret_user, struct error *err)
{
    struct jail_user user = {.change = geteuid() == 0, .claim_fd = -1, .why = "the caller"};
    int r = 0;

    user.uid = geteuid();
    user.gid = getegid();
    if (!user.change && (config->uid != CONFIG_NO_ID || config->gid != CONFIG_NO_ID))
        return error_set(err, -EPERM, "--uid and --gid are for root to say");
    if (user.change && config->uid != CONFIG_NO_ID) {
        user.uid = (uid_t)config->uid;
        user.gid = (gid_t)config->uid;
        user.why = "chosen by --uid";
    } else if (user.change && !take_owner_of_paths(config, &user)) {
        r = claim_one(config, &user, err);
    }
    if (r == 0 && config->gid != CONFIG_NO_ID)
        user.gid = (gid_t)config->gid;
    if (r == 0)
        *ret_user = user;
    return r;
}

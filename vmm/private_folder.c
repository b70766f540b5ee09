#include "private_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/tree.h"

int private_folder_make(struct private_folder *folder, const struct jail_user *user,
                        struct error *err)
{
    const char *where = secure_getenv("TMPDIR");
    struct private_folder made = PRIVATE_FOLDER_NONE;
    uint64_t number;
    int code = 0;

    if (!where || !*where)
        where = "/tmp";
    /* 64 random bits: the name is nobody's. */
    if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
        return error_set(err, -EIO, "the host has no random numbers");
    snprintf(made.name, sizeof(made.name), "osvm-%016" PRIx64, number);
    made.parent_fd = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (made.parent_fd < 0 || mkdirat(made.parent_fd, made.name, 0700) < 0) {
        code = -errno;
    } else if ((user->change && fchownat(made.parent_fd, made.name, user->uid, user->gid, 0) < 0) ||
               asprintf(&made.path, "%s/%s", where, made.name) < 0) {
        code = -errno;
        made.path = NULL;
        unlinkat(made.parent_fd, made.name, AT_REMOVEDIR);
    }
    if (code < 0) {
        close_fd(made.parent_fd);
        return error_set_errno(err, code, "cannot make a temporary folder in '%s'", where);
    }
    *folder = made;
    return 0;
}

int private_folder_keep(const char *path, const struct jail_user *user, struct error *err)
{
    if (mkdir(path, 0777) < 0)
        return errno == EEXIST ? 0
                               : error_set_errno(err, -errno, "cannot make the folder '%s'", path);
    if (user->change && chown(path, user->uid, user->gid) < 0)
        return error_set_errno(err, -errno, "cannot give the folder '%s' away", path);
    return 0;
}

void private_folder_remove(struct private_folder *folder)
{
    if (folder->parent_fd >= 0)
        tree_remove(folder->parent_fd, folder->name);
    private_folder_forget(folder);
}

void private_folder_forget(struct private_folder *folder)
{
    close_fd(folder->parent_fd);
    free(folder->path);
    *folder = PRIVATE_FOLDER_NONE;
}

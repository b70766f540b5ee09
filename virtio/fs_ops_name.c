/* The FUSE requests about names in folders. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs_session.h"

/* The descriptor of the folder that the request is about, borrowed. */
static int folder_fd(struct fs_session *session, struct fs_node *node)
{
    return S_ISDIR(node->type) ? fs_node_fd(&session->nodes, node) : -ENOTDIR;
}

/* Look up what was just made, and tell the guest of it. */
static int reply_new(struct fs_session *session, struct fs_request *request, const char *name)
{
    struct fs_node *node;
    struct stat st;
    int r = fs_node_lookup(&session->nodes, request->node, name, &st, &node);

    if (r == 0)
        fs_reply_entry(request, node, &st);
    return r;
}

int fs_op_lookup(struct fs_session *session, struct fs_request *request)
{
    const char *name;
    int r = fs_request_name(request, 0, &name);

    return r < 0 ? r : reply_new(session, request, name);
}

int fs_op_readlink(struct fs_session *session, struct fs_request *request)
{
    char target[FS_LINK_MAX + 1];
    ssize_t len;
    int fd;

    if (!S_ISLNK(request->node->type))
        return -EINVAL;
    fd = fs_node_fd(&session->nodes, request->node);
    if (fd < 0)
        return fd;
    len = readlinkat(fd, "", target, sizeof(target));
    if (len < 0)
        return -errno;
    if ((uint32_t)len > request->reply_room)
        return -ENAMETOOLONG;
    fs_reply(request, target, (uint32_t)len);
    return 0;
}

/* ---- New names. ---- */

int fs_op_symlink(struct fs_session *session, struct fs_request *request)
{
    const char *name, *target;
    struct fs_node *node;
    struct stat st;
    size_t left, len;
    int fd, r = fs_request_name(request, 0, &name);

    if (r < 0)
        return r;
    target = name + strlen(name) + 1;
    left = request->args_len - (uint32_t)r;
    len = strnlen(target, left);
    if (len == left || len == 0)
        return -EINVAL;
    if (len > FS_LINK_MAX)
        return -ENAMETOOLONG;
    fd = folder_fd(session, request->node);
    r = fd < 0 ? fd : fs_charge(session, FS_NAME_BYTES);
    if (r < 0)
        return r;
    if (symlinkat(target, fd, name) < 0) {
        r = -errno;
        fs_credit(session, FS_NAME_BYTES);
        return r;
    }
    r = fs_node_lookup(&session->nodes, request->node, name, &st, &node);
    if (r < 0)
        return r;
    fs_settle_new(request, node->fd, 0);
    r = fs_stat(session, node, &st);
    if (r == 0)
        fs_reply_entry(request, node, &st);
    return r;
}

int fs_op_mknod(struct fs_session *session, struct fs_request *request)
{
    _cleanup_close_ int fd = -1;
    struct fuse_mknod_in in;
    const char *name;
    int folder, r;

    memcpy(&in, request->args, sizeof(in));
    r = fs_request_name(request, sizeof(in), &name);
    if (r < 0)
        return r;
    if ((in.mode & S_IFMT) != 0 && !S_ISREG(in.mode))
        return -EPERM;
    folder = folder_fd(session, request->node);
    r = folder < 0 ? folder : fs_charge(session, FS_NAME_BYTES);
    if (r < 0)
        return r;
    fd = fs_open_beneath(folder, name, O_CREAT | O_EXCL | O_WRONLY, in.mode & 0777);
    if (fd < 0) {
        fs_credit(session, FS_NAME_BYTES);
        return fd;
    }
    fs_settle_new(request, fd, in.mode);
    return reply_new(session, request, name);
}

int fs_op_mkdir(struct fs_session *session, struct fs_request *request)
{
    _cleanup_close_ int fd = -1;
    struct fuse_mkdir_in in;
    const char *name;
    int folder, r;

    memcpy(&in, request->args, sizeof(in));
    r = fs_request_name(request, sizeof(in), &name);
    if (r < 0)
        return r;
    folder = folder_fd(session, request->node);
    r = folder < 0 ? folder : fs_charge(session, FS_NAME_BYTES);
    if (r < 0)
        return r;
    /* Its owner may open it until the mode is settled. */
    if (mkdirat(folder, name, (in.mode & 01777) | S_IRWXU) < 0) {
        r = -errno;
        fs_credit(session, FS_NAME_BYTES);
        return r;
    }
    fd = fs_open_beneath(folder, name, O_RDONLY | O_DIRECTORY, 0);
    if (fd >= 0)
        fs_settle_new(request, fd, in.mode);
    return reply_new(session, request, name);
}

/*
 * Without privileges linkat() wants a name, not a descriptor, so it links whatever has the name by
 * now. That is inside the folder in any case, no link is followed, and it is undone where it is
 * not the node's file.
 */
int fs_op_link(struct fs_session *session, struct fs_request *request)
{
    struct fs_node *from, *from_folder, *linked = NULL;
    struct fuse_link_in in;
    int from_fd, to_fd, r;
    const char *name;
    struct stat st;

    memcpy(&in, request->args, sizeof(in));
    r = fs_request_name(request, sizeof(in), &name);
    if (r < 0)
        return r;
    from = fs_node_find(&session->nodes, in.oldnodeid);
    from_folder = from ? fs_node_find(&session->nodes, from->parent) : NULL;
    if (!from_folder)
        return -ESTALE;
    if (S_ISDIR(from->type))
        return -EPERM;
    from_fd = folder_fd(session, from_folder);
    to_fd = folder_fd(session, request->node);
    if (from_fd < 0 || to_fd < 0)
        return from_fd < 0 ? from_fd : to_fd;
    r = fs_charge(session, FS_NAME_BYTES);
    if (r < 0)
        return r;
    if (linkat(from_fd, from->name, to_fd, name, 0) < 0) {
        r = errno == ENOENT ? -ESTALE : -errno;
        fs_credit(session, FS_NAME_BYTES);
        return r;
    }
    if (fstatat(to_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    linked = fs_node_find_file(&session->nodes, &st);
    if (linked != from) {
        if (unlinkat(to_fd, name, 0) == 0)
            fs_credit(session, FS_NAME_BYTES);
        return -ESTALE;
    }
    fs_reply_entry(request, from, &st);
    return 0;
}

/* ---- Names that end. ---- */

/* A name is gone; `st` is what it had been. Space that nothing holds any more counts back. */
static void name_removed(struct fs_session *session, const struct stat *st)
{
    struct fs_node *node = fs_node_find_file(&session->nodes, st);

    fs_credit(session, FS_NAME_BYTES);
    if (!S_ISREG(st->st_mode) || st->st_nlink > 1)
        return;
    if (node)
        fs_node_close(&session->nodes, node);
    if (!fs_handle_find_file(&session->handles, st->st_dev, st->st_ino))
        fs_credit(session, (uint64_t)st->st_size);
}

static int remove_name(struct fs_session *session, struct fs_request *request, int flags)
{
    const char *name;
    struct stat st;
    int fd, r = fs_request_name(request, 0, &name);

    if (r < 0)
        return r;
    fd = folder_fd(session, request->node);
    if (fd < 0)
        return fd;
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || unlinkat(fd, name, flags) < 0)
        return -errno;
    name_removed(session, &st);
    return 0;
}

int fs_op_unlink(struct fs_session *session, struct fs_request *request)
{
    return remove_name(session, request, 0);
}

int fs_op_rmdir(struct fs_session *session, struct fs_request *request)
{
    return remove_name(session, request, AT_REMOVEDIR);
}

/* ---- Names that change. ---- */

/* Note where a node is now, if it is known: the guest does not look it up again. */
static void note_moved(struct fs_session *session, int fd, const struct fs_node *folder,
                       const char *name)
{
    struct fs_node *node;
    struct stat st;

    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    if (fs_node_find_file(&session->nodes, &st))
        fs_node_get(&session->nodes, folder, name, &st, &node);
}

static int rename_name(struct fs_session *session, struct fs_request *request, uint32_t names_at,
                       uint64_t to_id, unsigned flags)
{
    struct fs_node *from = request->node, *to = fs_node_find(&session->nodes, to_id);
    const char *old_name, *new_name;
    struct stat moved, replaced;
    bool replaces;
    int from_fd, to_fd, r = fs_request_name(request, names_at, &old_name);

    r = r < 0 ? r : fs_request_name(request, (uint32_t)r, &new_name);
    if (r < 0)
        return r;
    if (!to)
        return -ESTALE;
    from_fd = folder_fd(session, from);
    to_fd = folder_fd(session, to);
    if (from_fd < 0 || to_fd < 0)
        return from_fd < 0 ? from_fd : to_fd;
    if (fstatat(from_fd, old_name, &moved, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    replaces = flags == 0 && fstatat(to_fd, new_name, &replaced, AT_SYMLINK_NOFOLLOW) == 0 &&
               (replaced.st_dev != moved.st_dev || replaced.st_ino != moved.st_ino);
    if (renameat2(from_fd, old_name, to_fd, new_name, flags) < 0)
        return -errno;
    if (replaces)
        name_removed(session, &replaced);
    note_moved(session, to_fd, to, new_name);
    if (flags & RENAME_EXCHANGE)
        note_moved(session, from_fd, from, old_name);
    return 0;
}

int fs_op_rename(struct fs_session *session, struct fs_request *request)
{
    struct fuse_rename_in in;

    memcpy(&in, request->args, sizeof(in));
    return rename_name(session, request, sizeof(in), in.newdir, 0);
}

int fs_op_rename2(struct fs_session *session, struct fs_request *request)
{
    struct fuse_rename2_in in;

    memcpy(&in, request->args, sizeof(in));
    if (in.flags & ~(uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE))
        return -EINVAL;
    return rename_name(session, request, sizeof(in), in.newdir, in.flags);
}

/* The FUSE requests about open folders. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "fs_session.h"

int fs_op_opendir(struct fs_session *session, struct fs_request *request)
{
    _cleanup_close_ int fd = -1;
    struct fuse_open_out out = {0};
    struct fs_handle *handle;
    int r;

    if (!S_ISDIR(request->node->type))
        return -ENOTDIR;
    fd = fs_node_open(&session->nodes, request->node, O_RDONLY);
    if (fd < 0)
        return fd;
    r = fs_handle_add(&session->handles, fd, true, false, request->node->id, &handle);
    if (r < 0)
        return r;
    take_fd(&fd);
    out.fh = handle->id;
    fs_reply(request, &out, sizeof(out));
    return 0;
}

int fs_op_releasedir(struct fs_session *session, struct fs_request *request)
{
    struct fuse_release_in in;
    struct fs_handle *handle;

    memcpy(&in, request->args, sizeof(in));
    handle = fs_handle_find(&session->handles, in.fh, true);
    if (!handle)
        return -EBADF;
    fs_handle_close(&session->handles, handle);
    return 0;
}

int fs_op_fsyncdir(struct fs_session *session, struct fs_request *request)
{
    struct fuse_fsync_in in;
    struct fs_handle *handle;

    memcpy(&in, request->args, sizeof(in));
    handle = fs_handle_find(&session->handles, in.fh, true);
    if (!handle)
        return -EBADF;
    return fsync(handle->fd) < 0 ? -errno : 0;
}

/* ---- Reading. ---- */

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* What of one name in a folder the guest may know at once. Nothing (a node id of 0) where it is
 * gone already, on another filesystem, or one too many: the guest then looks it up. */
static void fill_plus(struct fs_session *session, const struct fs_handle *handle, const char *name,
                      struct fuse_entry_out *entry)
{
    struct fs_node *folder = fs_node_find(&session->nodes, handle->node), *node;
    struct stat st;

    *entry = (struct fuse_entry_out){0};
    if (!folder || is_dots(name) ||
        fstatat(handle->fd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0 ||
        st.st_dev != handle->dev)
        return;
    if (fs_node_get(&session->nodes, folder, name, &st, &node) == 0)
        fs_fill_entry(entry, node, &st);
}

/* Put one name into the reply, with room for `left` bytes more. Returns whether it fitted. */
static bool put_entry(struct fs_session *session, struct fs_request *request,
                      const struct fs_handle *handle, const struct dirent64 *found, bool plus,
                      uint32_t left)
{
    static const uint8_t padding[8];
    uint32_t namelen = (uint32_t)strlen(found->d_name);
    uint32_t len = (uint32_t)((plus ? sizeof(struct fuse_entry_out) : 0) + FUSE_NAME_OFFSET);
    struct fuse_dirent out = {
        .ino = found->d_ino,
        .off = (uint64_t)found->d_off,
        .namelen = namelen,
        .type = found->d_type,
    };

    if (FUSE_REC_ALIGN(len + namelen) > left)
        return false;
    if (handle->node == FUSE_ROOT_ID && strcmp(found->d_name, "..") == 0)
        out.ino = handle->ino; /* what is above is none of the guest's business */
    if (plus) {
        struct fuse_entry_out entry;

        fill_plus(session, handle, found->d_name, &entry);
        fs_reply(request, &entry, sizeof(entry));
    }
    fs_reply(request, &out, FUSE_NAME_OFFSET);
    fs_reply(request, found->d_name, namelen);
    fs_reply(request, padding, (uint32_t)(FUSE_REC_ALIGN(len + namelen) - (len + namelen)));
    return true;
}

static int read_folder(struct fs_session *session, struct fs_request *request, bool plus)
{
    struct fuse_read_in in;
    struct fs_handle *handle;
    uint32_t room;
    ssize_t n;

    memcpy(&in, request->args, sizeof(in));
    handle = fs_handle_find(&session->handles, in.fh, true);
    if (!handle)
        return -EBADF;
    if (in.offset > INT64_MAX)
        return -EINVAL;
    room = (uint32_t)min_u64(in.size, request->reply_room);
    if (lseek(handle->fd, (off_t)in.offset, SEEK_SET) < 0)
        return -errno;
    n = getdents64(handle->fd, session->entries, sizeof(session->entries));
    if (n < 0)
        return -errno;
    for (ssize_t at = 0; at < n;) {
        const struct dirent64 *found = (const void *)(session->entries + at);

        if (!put_entry(session, request, handle, found, plus, room - request->reply_len))
            return request->reply_len > 0 ? 0 : -EINVAL; /* not even one */
        at += found->d_reclen;
    }
    return 0;
}

int fs_op_readdir(struct fs_session *session, struct fs_request *request)
{
    return read_folder(session, request, false);
}

int fs_op_readdirplus(struct fs_session *session, struct fs_request *request)
{
    return read_folder(session, request, true);
}

/* The FUSE requests about files that are open or to be opened. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "fs_session.h"

#define DATA_AT_READ  ((uint32_t)sizeof(struct fuse_out_header))
#define DATA_AT_WRITE ((uint32_t)(sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in)))

/* What of the guest's open flags is the host's business. x86-64's numbers are the same on both
 * sides. O_DIRECT is not: the guest's buffers have no such alignment. */
#define KEPT_FLAGS (O_ACCMODE | O_APPEND | O_SYNC | O_DSYNC)

static bool wants_write(uint32_t flags)
{
    return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_TRUNC | O_APPEND));
}

static int host_flags(uint32_t flags)
{
    if ((flags & O_TRUNC) && (flags & O_ACCMODE) == O_RDONLY)
        flags |= O_RDWR; /* Linux cuts off such a file, too */
    return (int)(flags & KEPT_FLAGS);
}

/* Keep it as the guest's, and tell. The descriptor is taken over where it succeeds. */
static int reply_open(struct fs_session *session, struct fs_request *request, int *fd,
                      uint32_t flags, uint64_t node)
{
    struct fuse_open_out out = {0};
    struct fs_handle *handle;
    int r = fs_handle_add(&session->handles, *fd, false, flags & O_APPEND, node, &handle);

    if (r < 0)
        return r;
    take_fd(fd);
    out.fh = handle->id;
    fs_reply(request, &out, sizeof(out));
    return 0;
}

int fs_op_open(struct fs_session *session, struct fs_request *request)
{
    _cleanup_close_ int fd = -1;
    struct fuse_open_in in;
    int r = 0;

    memcpy(&in, request->args, sizeof(in));
    if (S_ISDIR(request->node->type))
        return -EISDIR;
    if (session->read_only && wants_write(in.flags))
        return -EROFS;
    fd = fs_node_open(&session->nodes, request->node, host_flags(in.flags));
    if (fd < 0)
        return fd;
    if (in.flags & O_TRUNC) /* only now is it known to be the right file */
        r = fs_truncate(session, fd, 0);
    return r < 0 ? r : reply_open(session, request, &fd, in.flags, request->node->id);
}

/* Make the file, or open what is there already. Returns a descriptor or a negative errno. */
static int create_file(struct fs_session *session, struct fs_request *request,
                       const struct fuse_create_in *in, const char *name)
{
    int flags = host_flags(in->flags), fd, r;
    int folder = fs_node_fd(&session->nodes, request->node);

    r = folder < 0 ? folder : fs_charge(session, FS_NAME_BYTES);
    if (r < 0)
        return r;
    fd = fs_open_beneath(folder, name, flags | O_CREAT | O_EXCL, in->mode & 0777);
    if (fd >= 0) {
        fs_settle_new(request, fd, in->mode);
        return fd;
    }
    fs_credit(session, FS_NAME_BYTES);
    return fd;
}

/* CREATE where the name is there: as LOOKUP and OPEN. */
static int open_existing(struct fs_session *session, struct fs_request *request,
                         const struct fuse_create_in *in, const char *name)
{
    _cleanup_close_ int fd = -1;
    struct fs_node *node;
    struct stat st;
    int r = fs_node_lookup(&session->nodes, request->node, name, &st, &node);

    if (r < 0)
        return r;
    if (S_ISDIR(node->type))
        r = -EISDIR;
    else
        r = fd = fs_node_open(&session->nodes, node, host_flags(in->flags));
    if (r >= 0 && (in->flags & O_TRUNC))
        r = fs_truncate(session, fd, 0);
    if (node->lookups == 0)
        fs_node_forget(&session->nodes, node, 0); /* it was not told of yet */
    return r < 0 ? r : take_fd(&fd);
}

int fs_op_create(struct fs_session *session, struct fs_request *request)
{
    _cleanup_close_ int fd = -1;
    struct fuse_create_in in;
    struct fuse_entry_out entry;
    struct fs_node *node = NULL;
    struct stat st;
    const char *name;
    int r;

    memcpy(&in, request->args, sizeof(in));
    r = fs_request_name(request, sizeof(in), &name);
    if (r < 0)
        return r;
    if (!S_ISDIR(request->node->type))
        return -ENOTDIR;
    if (session->handles.count >= session->handles.max)
        return -EMFILE; /* before anything is made */
    fd = create_file(session, request, &in, name);
    if (fd == -EEXIST && !(in.flags & O_EXCL))
        fd = open_existing(session, request, &in, name);
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    r = fs_node_get(&session->nodes, request->node, name, &st, &node);
    if (r < 0)
        return r;
    fs_fill_entry(&entry, node, &st);
    fs_reply(request, &entry, sizeof(entry));
    r = reply_open(session, request, &fd, in.flags, node->id);
    if (r < 0)
        fs_node_forget(&session->nodes, node, 1);
    return r;
}

int fs_op_release(struct fs_session *session, struct fs_request *request)
{
    struct fuse_release_in in;
    struct fs_handle *handle;
    struct stat st;
    bool removed;

    memcpy(&in, request->args, sizeof(in));
    handle = fs_handle_find(&session->handles, in.fh, false);
    if (!handle)
        return -EBADF;
    removed = fstat(handle->fd, &st) == 0 && st.st_nlink == 0;
    fs_handle_close(&session->handles, handle);
    if (removed && !fs_handle_find_file(&session->handles, st.st_dev, st.st_ino))
        fs_credit(session, (uint64_t)st.st_size); /* nothing holds its space any more */
    return 0;
}

/* ---- Data, straight between the file and guest memory. ---- */

int fs_op_read(struct fs_session *session, struct fs_request *request)
{
    struct iovec iov[VIRTQUEUE_MAX_SIZE];
    struct fuse_read_in in;
    struct fs_handle *handle;
    unsigned count;
    ssize_t n = 0;

    memcpy(&in, request->args, sizeof(in));
    handle = fs_handle_find(&session->handles, in.fh, false);
    if (!handle)
        return -EBADF;
    if (in.offset > INT64_MAX)
        return -EINVAL;
    count = fs_request_iov(request, true, DATA_AT_READ,
                           (uint32_t)min_u64(in.size, request->reply_room), iov);
    if (count > 0)
        n = preadv(handle->fd, iov, (int)count, (off_t)in.offset);
    if (n < 0)
        return -errno;
    request->reply_len = (uint32_t)n;
    return 0;
}

/* How far a file grows when it is written up to `end`. */
static uint64_t growth(const struct stat *st, uint64_t end)
{
    return end > (uint64_t)st->st_size ? end - (uint64_t)st->st_size : 0;
}

/* Write, counted against the limit. Returns how many bytes or a negative errno. */
static ssize_t write_counted(struct fs_session *session, const struct fs_handle *handle,
                             const struct iovec *iov, unsigned count, uint64_t offset,
                             uint32_t size)
{
    uint64_t reserved, used;
    struct stat st;
    ssize_t n;
    int r;

    if (fstat(handle->fd, &st) < 0)
        return -errno;
    if (handle->append)
        offset = (uint64_t)st.st_size;
    if (offset > INT64_MAX - (uint64_t)size)
        return -EFBIG;
    reserved = growth(&st, offset + size);
    r = fs_charge(session, reserved);
    if (r < 0)
        return r;
    n = pwritev(handle->fd, iov, (int)count, (off_t)offset);
    n = n < 0 ? -errno : n;
    used = n > 0 ? growth(&st, offset + (uint64_t)n) : 0;
    fs_credit(session, reserved - used);
    return n;
}

int fs_op_write(struct fs_session *session, struct fs_request *request)
{
    struct iovec iov[VIRTQUEUE_MAX_SIZE];
    struct fuse_write_out out = {0};
    struct fuse_write_in in;
    struct fs_handle *handle;
    unsigned count;
    ssize_t n = 0;

    memcpy(&in, request->args, sizeof(in));
    handle = fs_handle_find(&session->handles, in.fh, false);
    if (!handle)
        return -EBADF;
    if (in.size > request->body_len - sizeof(in) || in.offset > INT64_MAX)
        return -EINVAL;
    count = fs_request_iov(request, false, DATA_AT_WRITE, in.size, iov);
    if (count > 0)
        n = write_counted(session, handle, iov, count, in.offset, in.size);
    if (n < 0)
        return (int)n;
    out.size = (uint32_t)n;
    fs_reply(request, &out, sizeof(out));
    return 0;
}

int fs_op_fallocate(struct fs_session *session, struct fs_request *request)
{
    struct fuse_fallocate_in in;
    struct fs_handle *handle;
    uint64_t reserved = 0;
    struct stat st;
    int r;

    memcpy(&in, request->args, sizeof(in));
    handle = fs_handle_find(&session->handles, in.fh, false);
    if (!handle)
        return -EBADF;
    /* Space beyond the end of a file would not be counted. */
    if (in.mode != 0 && in.mode != FALLOC_FL_ZERO_RANGE &&
        in.mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
        return -EOPNOTSUPP;
    if (in.offset > INT64_MAX || in.length == 0 || in.length > INT64_MAX - in.offset)
        return -EINVAL;
    if (fstat(handle->fd, &st) < 0)
        return -errno;
    if (!(in.mode & FALLOC_FL_KEEP_SIZE))
        reserved = growth(&st, in.offset + in.length);
    r = fs_charge(session, reserved);
    if (r < 0)
        return r;
    if (fallocate(handle->fd, (int)in.mode, (off_t)in.offset, (off_t)in.length) < 0) {
        r = -errno;
        fs_credit(session, reserved);
    }
    return r;
}

int fs_op_lseek(struct fs_session *session, struct fs_request *request)
{
    struct fuse_lseek_out out;
    struct fuse_lseek_in in;
    struct fs_handle *handle;
    off_t offset;

    memcpy(&in, request->args, sizeof(in));
    handle = fs_handle_find(&session->handles, in.fh, false);
    if (!handle)
        return -EBADF;
    if (in.whence > SEEK_HOLE)
        return -EINVAL;
    offset = lseek(handle->fd, (off_t)in.offset, (int)in.whence);
    if (offset < 0)
        return -errno;
    out.offset = (uint64_t)offset;
    fs_reply(request, &out, sizeof(out));
    return 0;
}

/* ---- To disk. ---- */

int fs_op_fsync(struct fs_session *session, struct fs_request *request)
{
    struct fuse_fsync_in in;
    struct fs_handle *handle;

    memcpy(&in, request->args, sizeof(in));
    handle = fs_handle_find(&session->handles, in.fh, false);
    if (!handle)
        return -EBADF;
    if (in.fsync_flags & FUSE_FSYNC_FDATASYNC)
        return fdatasync(handle->fd) < 0 ? -errno : 0;
    return fsync(handle->fd) < 0 ? -errno : 0;
}

/* The guest closes one of the descriptors that share the handle. Network filesystems of the host
 * tell at a close what they could not write. */
int fs_op_flush(struct fs_session *session, struct fs_request *request)
{
    struct fuse_flush_in in;
    struct fs_handle *handle;
    int copy;

    memcpy(&in, request->args, sizeof(in));
    handle = fs_handle_find(&session->handles, in.fh, false);
    if (!handle)
        return -EBADF;
    copy = fcntl(handle->fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return -errno;
    return close(copy) < 0 && errno != EINTR ? -errno : 0;
}

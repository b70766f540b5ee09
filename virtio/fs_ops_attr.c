/* The FUSE requests about the share as a whole, and about attributes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "fs_session.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452 /* Linux 6.6 */
#endif

#define MIN_MINOR 23 /* of protocol 7: from then on the reply to INIT is what it is now */
#define MAJOR_OUT 8  /* bytes of the reply that every major version understands */

/* What is taken of what the guest offers. */
#define INIT_FLAGS                                                                         \
    (FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_AUTO_INVAL_DATA |      \
     FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS | \
     FUSE_MAX_PAGES)

#define GUEST_PAGE     4096
#define MAX_BACKGROUND 64 /* requests that the guest does not wait for */

int fs_op_init(struct fs_session *session, struct fs_request *request)
{
    struct fuse_init_in in = {0};
    struct fuse_init_out out = {
        .major = FUSE_KERNEL_VERSION,
        .minor = FS_MINOR,
        .max_background = MAX_BACKGROUND,
        .congestion_threshold = MAX_BACKGROUND / 4 * 3,
        .max_write = FS_MAX_WRITE,
        .time_gran = 1,
        .max_pages = FS_MAX_WRITE / GUEST_PAGE,
    };

    memcpy(&in, request->args, min_u64(sizeof(in), request->args_len));
    if (in.major > FUSE_KERNEL_VERSION) {
        fs_reply(request, &out, MAJOR_OUT); /* it then comes again with ours */
        return 0;
    }
    if (in.major < FUSE_KERNEL_VERSION || in.minor < MIN_MINOR)
        return -EPROTO;
    if (request->reply_room < sizeof(out))
        return -EINVAL;
    fs_session_clear(session);
    session->initialised = true;
    out.minor = (uint32_t)min_u64(in.minor, FS_MINOR);
    out.max_readahead = in.max_readahead;
    out.flags = in.flags & INIT_FLAGS;
    fs_reply(request, &out, sizeof(out));
    return 0;
}

int fs_op_destroy(struct fs_session *session, struct fs_request *request)
{
    (void)request;
    fs_session_clear(session);
    return 0;
}

int fs_op_statfs(struct fs_session *session, struct fs_request *request)
{
    struct fs_node *root = fs_node_find(&session->nodes, FUSE_ROOT_ID);
    struct fuse_statfs_out out = {0};
    struct statfs st;

    if (fstatfs(root->fd, &st) < 0)
        return -errno;
    out.st = (struct fuse_kstatfs){
        .blocks = st.f_blocks,
        .bfree = st.f_bfree,
        .bavail = st.f_bavail,
        .files = st.f_files,
        .ffree = st.f_ffree,
        .bsize = (uint32_t)st.f_bsize,
        .namelen = FS_NAME_MAX,
        .frsize = (uint32_t)(st.f_frsize ? st.f_frsize : st.f_bsize),
    };
    if (out.st.frsize > 0) {
        uint64_t left = fs_space_left(session) / out.st.frsize;

        out.st.bavail = min_u64(out.st.bavail, left);
        out.st.bfree = min_u64(out.st.bfree, left);
    }
    fs_reply(request, &out, sizeof(out));
    return 0;
}

int fs_op_getattr(struct fs_session *session, struct fs_request *request)
{
    struct fuse_getattr_in in;
    struct stat st;
    int r;

    memcpy(&in, request->args, sizeof(in));
    if (in.getattr_flags & FUSE_GETATTR_FH) {
        struct fs_handle *handle = fs_handle_find(&session->handles, in.fh, false);

        if (!handle)
            handle = fs_handle_find(&session->handles, in.fh, true);
        if (!handle)
            return -EBADF;
        r = fstat(handle->fd, &st) < 0 ? -errno : 0;
    } else {
        r = fs_stat(session, request->node, &st);
    }
    if (r == 0)
        fs_reply_attr(request, &st);
    return r;
}

int fs_op_access(struct fs_session *session, struct fs_request *request)
{
    struct fuse_access_in in;
    int fd;

    memcpy(&in, request->args, sizeof(in));
    if (in.mask & ~(uint32_t)(R_OK | W_OK | X_OK))
        return -EINVAL;
    if ((in.mask & W_OK) && session->read_only)
        return -EROFS;
    fd = fs_any_fd(session, request->node);
    if (fd < 0)
        return fd;
    return faccessat(fd, "", (int)in.mask, AT_EMPTY_PATH | AT_EACCESS) < 0 ? -errno : 0;
}

/* ---- SETATTR. ---- */

/* Where the host's kernel cannot change an O_PATH descriptor's mode, the file must be openable. */
static int set_mode(struct fs_session *session, struct fs_node *node, uint32_t mode)
{
    mode_t wanted = fs_mode(node->type, mode);
    _cleanup_close_ int opened = -1;
    int fd = fs_any_fd(session, node);

    if (fd < 0)
        return fd;
    if (syscall(SYS_fchmodat2, fd, "", wanted, AT_EMPTY_PATH) == 0)
        return 0;
    if (errno != ENOSYS && errno != EPERM) /* a filter of system calls says EPERM, too */
        return -errno;
    if (fchmod(fd, wanted) == 0) /* it is a handle's */
        return 0;
    opened = fs_node_open(&session->nodes, node, O_RDONLY);
    if (opened == -EACCES && S_ISREG(node->type))
        opened = fs_node_open(&session->nodes, node, O_WRONLY);
    if (opened < 0)
        return opened;
    return fchmod(opened, wanted) < 0 ? -errno : 0;
}

static int set_owner(struct fs_session *session, struct fs_node *node,
                     const struct fuse_setattr_in *in)
{
    uid_t uid = in->valid & FATTR_UID ? in->uid : (uid_t)-1;
    gid_t gid = in->valid & FATTR_GID ? in->gid : (gid_t)-1;
    int fd = fs_any_fd(session, node);

    if (fd < 0)
        return fd;
    if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH) == 0)
        return 0;
    return errno == EINVAL ? -EPERM : -errno; /* EINVAL: the jail's user namespace has no such id */
}

static int set_size(struct fs_session *session, struct fs_node *node,
                    const struct fuse_setattr_in *in)
{
    _cleanup_close_ int opened = -1;

    if (in->valid & FATTR_FH) {
        struct fs_handle *handle = fs_handle_find(&session->handles, in->fh, false);

        return handle ? fs_truncate(session, handle->fd, in->size) : -EBADF;
    }
    if (!S_ISREG(node->type))
        return S_ISDIR(node->type) ? -EISDIR : -EINVAL;
    opened = fs_node_open(&session->nodes, node, O_WRONLY);
    return opened < 0 ? opened : fs_truncate(session, opened, in->size);
}

static struct timespec wanted_time(uint32_t valid, uint32_t set, uint32_t now, uint64_t seconds,
                                   uint32_t nanoseconds)
{
    if (!(valid & set))
        return (struct timespec){.tv_nsec = UTIME_OMIT};
    if (valid & now)
        return (struct timespec){.tv_nsec = UTIME_NOW};
    return (struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = (long)nanoseconds};
}

static int set_times(struct fs_session *session, struct fs_node *node,
                     const struct fuse_setattr_in *in)
{
    const struct timespec times[] = {
        wanted_time(in->valid, FATTR_ATIME, FATTR_ATIME_NOW, in->atime, in->atimensec),
        wanted_time(in->valid, FATTR_MTIME, FATTR_MTIME_NOW, in->mtime, in->mtimensec),
    };
    int fd = fs_any_fd(session, node);

    if (fd < 0)
        return fd;
    return utimensat(fd, "", times, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

int fs_op_setattr(struct fs_session *session, struct fs_request *request)
{
    struct fs_node *node = request->node;
    struct fuse_setattr_in in;
    struct stat st;
    int r = 0;

    memcpy(&in, request->args, sizeof(in));
    if (in.valid & FATTR_SIZE)
        r = set_size(session, node, &in);
    if (r == 0 && (in.valid & (FATTR_UID | FATTR_GID)))
        r = set_owner(session, node, &in);
    if (r == 0 && (in.valid & FATTR_MODE)) /* after chown, which clears bits of it */
        r = set_mode(session, node, in.mode);
    if (r == 0 && (in.valid & (FATTR_ATIME | FATTR_MTIME)))
        r = set_times(session, node, &in);
    if (r == 0)
        r = fs_stat(session, node, &st);
    if (r == 0)
        fs_reply_attr(request, &st);
    return r;
}

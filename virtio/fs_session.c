#include "fs_session.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"

#define IN_HEADER  ((uint32_t)sizeof(struct fuse_in_header))
#define OUT_HEADER ((uint32_t)sizeof(struct fuse_out_header))

/* For how long the guest may believe names and attributes: the host writes, too. */
#define VALID_S 1

int fs_session_init(struct fs_session *session, int root_fd, unsigned open_max)
{
    int r = fs_nodes_init(&session->nodes, root_fd, open_max);

    return r < 0 ? r : fs_handles_init(&session->handles, open_max);
}

void fs_session_deinit(struct fs_session *session)
{
    if (session->handles.slots)
        fs_handles_deinit(&session->handles);
    fs_nodes_deinit(&session->nodes);
}

void fs_session_clear(struct fs_session *session)
{
    fs_handles_clear(&session->handles);
    fs_nodes_clear(&session->nodes);
    session->initialised = false;
}

/* ---- Arguments. ---- */

int fs_request_name(const struct fs_request *request, uint32_t offset, const char **ret_name)
{
    const char *name = (const char *)request->args + offset;
    size_t left = request->args_len - min_u64(offset, request->args_len);
    size_t len = strnlen(name, left);

    if (len == left || len == 0)
        return -EINVAL;
    if (len > FS_NAME_MAX)
        return -ENAMETOOLONG;
    if (memchr(name, '/', len) || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return -EINVAL;
    *ret_name = name;
    return (int)(offset + len + 1);
}

unsigned fs_request_iov(const struct fs_request *request, bool writable, uint32_t offset,
                        uint32_t len, struct iovec iov[VIRTQUEUE_MAX_SIZE])
{
    const struct virtq_chain *chain = request->chain;
    const struct iovec *from = chain->iov + (writable ? chain->readable_count : 0);
    unsigned from_count = writable ? chain->writable_count : chain->readable_count;
    unsigned count = 0;

    for (unsigned i = 0; i < from_count && len > 0; i++) {
        size_t part;

        if (offset >= from[i].iov_len) {
            offset -= (uint32_t)from[i].iov_len;
            continue;
        }
        part = min_u64(from[i].iov_len - offset, len);
        iov[count++] = (struct iovec){(uint8_t *)from[i].iov_base + offset, part};
        len -= (uint32_t)part;
        offset = 0;
    }
    return count;
}

/* ---- Replies. ---- */

void fs_reply(struct fs_request *request, const void *buf, uint32_t len)
{
    len = (uint32_t)min_u64(len, request->reply_room - request->reply_len);
    request->reply_len += virtq_copy_to(request->chain, OUT_HEADER + request->reply_len, buf, len);
}

static void fill_attr(struct fuse_attr *attr, const struct stat *st)
{
    *attr = (struct fuse_attr){
        .ino = st->st_ino,
        .size = (uint64_t)st->st_size,
        .blocks = (uint64_t)st->st_blocks,
        .atime = (uint64_t)st->st_atim.tv_sec,
        .mtime = (uint64_t)st->st_mtim.tv_sec,
        .ctime = (uint64_t)st->st_ctim.tv_sec,
        .atimensec = (uint32_t)st->st_atim.tv_nsec,
        .mtimensec = (uint32_t)st->st_mtim.tv_nsec,
        .ctimensec = (uint32_t)st->st_ctim.tv_nsec,
        .mode = st->st_mode,
        .nlink = (uint32_t)st->st_nlink,
        .uid = st->st_uid,
        .gid = st->st_gid,
        .rdev = (uint32_t)st->st_rdev,
        .blksize = (uint32_t)st->st_blksize,
    };
}

void fs_fill_entry(struct fuse_entry_out *entry, struct fs_node *node, const struct stat *st)
{
    *entry = (struct fuse_entry_out){
        .nodeid = node->id,
        .entry_valid = VALID_S,
        .attr_valid = VALID_S,
    };
    fill_attr(&entry->attr, st);
    node->lookups++;
}

void fs_reply_entry(struct fs_request *request, struct fs_node *node, const struct stat *st)
{
    struct fuse_entry_out entry;

    fs_fill_entry(&entry, node, st);
    fs_reply(request, &entry, sizeof(entry));
}

void fs_reply_attr(struct fs_request *request, const struct stat *st)
{
    struct fuse_attr_out out = {.attr_valid = VALID_S};

    fill_attr(&out.attr, st);
    fs_reply(request, &out, sizeof(out));
}

/* ---- What several ops do. ---- */

int fs_any_fd(struct fs_session *session, struct fs_node *node)
{
    int fd = fs_node_fd(&session->nodes, node);
    struct fs_handle *handle;

    if (fd >= 0)
        return fd;
    handle = fs_handle_find_file(&session->handles, node->dev, node->ino);
    return handle ? handle->fd : fd;
}

int fs_stat(struct fs_session *session, struct fs_node *node, struct stat *ret_st)
{
    int fd = fs_any_fd(session, node);

    if (fd < 0)
        return fd;
    return fstat(fd, ret_st) < 0 ? -errno : 0;
}

/* Other shares take from it at the same time. */
static bool take_from_budget(struct virtio_fs_budget *budget, uint64_t bytes)
{
    uint64_t left = __atomic_load_n(&budget->left, __ATOMIC_RELAXED);

    do {
        if (bytes > left)
            return false;
    } while (!__atomic_compare_exchange_n(&budget->left, &left, left - bytes, true,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return true;
}

int fs_charge(struct fs_session *session, uint64_t bytes)
{
    if (session->size_limit == 0 && !session->budget)
        return 0;
    if (session->size_limit > 0 && !range_inside(session->size_used, bytes, session->size_limit))
        return -ENOSPC;
    if (session->budget && !take_from_budget(session->budget, bytes))
        return -ENOSPC;
    session->size_used += bytes;
    return 0;
}

void fs_credit(struct fs_session *session, uint64_t bytes)
{
    /* What was there before the guest came is not the guest's to get back. */
    uint64_t own = min_u64(bytes, session->size_used);

    session->size_used -= own;
    if (session->budget)
        __atomic_fetch_add(&session->budget->left, own, __ATOMIC_RELAXED);
}

uint64_t fs_space_left(const struct fs_session *session)
{
    uint64_t left = UINT64_MAX;

    if (session->size_limit > 0)
        left = session->size_limit - session->size_used;
    if (session->budget)
        left = min_u64(left, __atomic_load_n(&session->budget->left, __ATOMIC_RELAXED));
    return left;
}

int fs_truncate(struct fs_session *session, int fd, uint64_t size)
{
    uint64_t before, grown;
    struct stat st;
    int r;

    if (size > INT64_MAX)
        return -EFBIG;
    if (fstat(fd, &st) < 0)
        return -errno;
    before = (uint64_t)st.st_size;
    grown = size > before ? size - before : 0;
    r = fs_charge(session, grown);
    if (r < 0)
        return r;
    if (ftruncate(fd, (off_t)size) < 0) {
        r = -errno;
        fs_credit(session, grown);
        return r;
    }
    if (size < before)
        fs_credit(session, before - size);
    return 0;
}

void fs_settle_new(const struct fs_request *request, int fd, mode_t mode)
{
    struct stat st;
    mode_t wanted;

    if (fstat(fd, &st) < 0)
        return;
    /* Where it may not be given away it stays ours. A group that came from the folder stays. */
    if (request->header.uid != st.st_uid || request->header.gid != st.st_gid) {
        gid_t gid = st.st_gid == getegid() ? request->header.gid : (gid_t)-1;

        if (fchownat(fd, "", request->header.uid, gid, AT_EMPTY_PATH) < 0) {
            /* The guest sees whose it is. */
        }
    }
    /* Our own umask had a hand in it; the guest's kernel has applied its user's. */
    wanted = (mode & 01777) | (st.st_mode & S_ISGID);
    if (!S_ISLNK(st.st_mode) && wanted != (st.st_mode & 07777) && fchmod(fd, wanted) < 0) {
        /* As above. */
    }
}

/* ---- The table. ---- */

#define OP_MUTATES  0x1 /* refused where the share is read only */
#define OP_NO_NODE  0x2 /* header.nodeid is not looked at */
#define OP_ANY_TIME 0x4 /* also before INIT */

struct op {
    fs_op *serve;
    uint16_t in_len;  /* of what follows the header, at least */
    uint16_t out_len; /* the room for the reply that it needs beside the header */
    uint8_t flags;
};

#define ATTR_OUT  sizeof(struct fuse_attr_out)
#define ENTRY_OUT sizeof(struct fuse_entry_out)
#define OPEN_OUT  sizeof(struct fuse_open_out)
#define NAME_IN   2 /* a byte and its terminator */

static const struct op ops[] = {
    [FUSE_LOOKUP] = {fs_op_lookup, NAME_IN, ENTRY_OUT, 0},
    [FUSE_GETATTR] = {fs_op_getattr, sizeof(struct fuse_getattr_in), ATTR_OUT, 0},
    [FUSE_SETATTR] = {fs_op_setattr, sizeof(struct fuse_setattr_in), ATTR_OUT, OP_MUTATES},
    [FUSE_READLINK] = {fs_op_readlink, 0, 1, 0},
    [FUSE_SYMLINK] = {fs_op_symlink, 2 * NAME_IN, ENTRY_OUT, OP_MUTATES},
    [FUSE_MKNOD] = {fs_op_mknod, sizeof(struct fuse_mknod_in) + NAME_IN, ENTRY_OUT, OP_MUTATES},
    [FUSE_MKDIR] = {fs_op_mkdir, sizeof(struct fuse_mkdir_in) + NAME_IN, ENTRY_OUT, OP_MUTATES},
    [FUSE_UNLINK] = {fs_op_unlink, NAME_IN, 0, OP_MUTATES},
    [FUSE_RMDIR] = {fs_op_rmdir, NAME_IN, 0, OP_MUTATES},
    [FUSE_RENAME] = {fs_op_rename, sizeof(struct fuse_rename_in) + 2 * NAME_IN, 0, OP_MUTATES},
    [FUSE_RENAME2] = {fs_op_rename2, sizeof(struct fuse_rename2_in) + 2 * NAME_IN, 0, OP_MUTATES},
    [FUSE_LINK] = {fs_op_link, sizeof(struct fuse_link_in) + NAME_IN, ENTRY_OUT, OP_MUTATES},
    [FUSE_OPEN] = {fs_op_open, sizeof(struct fuse_open_in), OPEN_OUT, 0},
    [FUSE_READ] = {fs_op_read, sizeof(struct fuse_read_in), 0, OP_NO_NODE},
    [FUSE_WRITE] = {fs_op_write, sizeof(struct fuse_write_in), sizeof(struct fuse_write_out),
                    OP_MUTATES | OP_NO_NODE},
    [FUSE_STATFS] = {fs_op_statfs, 0, sizeof(struct fuse_statfs_out), OP_NO_NODE},
    [FUSE_RELEASE] = {fs_op_release, sizeof(struct fuse_release_in), 0, OP_NO_NODE},
    [FUSE_FSYNC] = {fs_op_fsync, sizeof(struct fuse_fsync_in), 0, OP_NO_NODE},
    [FUSE_FLUSH] = {fs_op_flush, sizeof(struct fuse_flush_in), 0, OP_NO_NODE},
    [FUSE_INIT] = {fs_op_init, 16, 8, OP_NO_NODE | OP_ANY_TIME}, /* as it was before 7.36 */
    [FUSE_OPENDIR] = {fs_op_opendir, sizeof(struct fuse_open_in), OPEN_OUT, 0},
    [FUSE_READDIR] = {fs_op_readdir, sizeof(struct fuse_read_in), 0, OP_NO_NODE},
    [FUSE_RELEASEDIR] = {fs_op_releasedir, sizeof(struct fuse_release_in), 0, OP_NO_NODE},
    [FUSE_FSYNCDIR] = {fs_op_fsyncdir, sizeof(struct fuse_fsync_in), 0, OP_NO_NODE},
    [FUSE_ACCESS] = {fs_op_access, sizeof(struct fuse_access_in), 0, 0},
    [FUSE_CREATE] = {fs_op_create, sizeof(struct fuse_create_in) + NAME_IN, ENTRY_OUT + OPEN_OUT,
                     OP_MUTATES},
    [FUSE_DESTROY] = {fs_op_destroy, 0, 0, OP_NO_NODE},
    [FUSE_FALLOCATE] = {fs_op_fallocate, sizeof(struct fuse_fallocate_in), 0,
                        OP_MUTATES | OP_NO_NODE},
    [FUSE_READDIRPLUS] = {fs_op_readdirplus, sizeof(struct fuse_read_in), 0, OP_NO_NODE},
    [FUSE_LSEEK] = {fs_op_lseek, sizeof(struct fuse_lseek_in), sizeof(struct fuse_lseek_out),
                    OP_NO_NODE},
};

/* Everything that can be refused by the table, and then the op. */
static int serve_op(struct fs_session *session, struct fs_request *request)
{
    uint32_t opcode = request->header.opcode;
    const struct op *op = opcode < ARRAY_SIZE(ops) ? &ops[opcode] : NULL;

    if (request->header.len < IN_HEADER || request->header.len > request->chain->readable_len)
        return -EINVAL;
    if (!op || !op->serve)
        return -ENOSYS;
    if (!session->initialised && !(op->flags & OP_ANY_TIME))
        return -EIO;
    if (request->args_len < op->in_len || request->reply_room < op->out_len)
        return -EINVAL;
    if ((op->flags & OP_MUTATES) && session->read_only)
        return -EROFS;
    if (!(op->flags & OP_NO_NODE)) {
        request->node = fs_node_find(&session->nodes, request->header.nodeid);
        if (!request->node)
            return -ESTALE;
    }
    return op->serve(session, request);
}

/* ---- What the guest forgets: no reply, no errors. ---- */

static void forget(struct fs_session *session, uint64_t id, uint64_t lookups)
{
    struct fs_node *node = fs_node_find(&session->nodes, id);

    if (node)
        fs_node_forget(&session->nodes, node, lookups);
}

static void forget_one(struct fs_session *session, const struct fs_request *request)
{
    struct fuse_forget_in in;

    if (request->args_len < sizeof(in))
        return;
    memcpy(&in, request->args, sizeof(in));
    forget(session, request->header.nodeid, in.nlookup);
}

static void forget_batch(struct fs_session *session, const struct fs_request *request)
{
    struct fuse_batch_forget_in in;
    struct fuse_forget_one one;
    uint32_t offset = IN_HEADER + sizeof(in);

    if (request->args_len < sizeof(in))
        return;
    memcpy(&in, request->args, sizeof(in));
    for (; in.count > 0 && request->header.len - offset >= sizeof(one); in.count--) {
        if (virtq_copy_from(request->chain, offset, &one, sizeof(one)) < sizeof(one))
            return;
        forget(session, one.nodeid, one.nlookup);
        offset += (uint32_t)sizeof(one);
    }
}

/* Returns whether the request was one that has no reply. INTERRUPT has none: what is to be
 * interrupted is done soon. */
static bool serve_silent(struct fs_session *session, const struct fs_request *request)
{
    switch (request->header.opcode) {
    case FUSE_FORGET:
        forget_one(session, request);
        return true;
    case FUSE_BATCH_FORGET:
        forget_batch(session, request);
        return true;
    case FUSE_INTERRUPT:
        return true;
    default:
        return false;
    }
}

/* Copy the header and the arguments; after this the guest can change nothing but data. */
static void fetch(struct fs_session *session, struct fs_request *request)
{
    uint32_t max = sizeof(session->args), len;

    virtq_copy_from(request->chain, 0, &request->header, IN_HEADER);
    if (request->header.opcode == FUSE_WRITE)
        max = sizeof(struct fuse_write_in); /* the data goes straight to the file */
    len = (uint32_t)min_u64(request->header.len, request->chain->readable_len);
    request->body_len = len > IN_HEADER ? len - IN_HEADER : 0;
    request->args = session->args;
    request->args_len = virtq_copy_from(request->chain, IN_HEADER, session->args,
                                        (uint32_t)min_u64(request->body_len, max));
}

int fs_session_serve(struct fs_session *session, const struct virtq_chain *chain, uint32_t *ret_len)
{
    struct fs_request request = {.chain = chain};
    struct fuse_out_header out;
    int r;

    if (chain->readable_len < IN_HEADER)
        return -EPROTO;
    fetch(session, &request);
    if (serve_silent(session, &request)) {
        *ret_len = 0;
        return 0;
    }
    if (chain->writable_len < OUT_HEADER)
        return -EPROTO;
    request.reply_room = chain->writable_len - OUT_HEADER;
    r = serve_op(session, &request);
    fs_nodes_trim(&session->nodes);
    out = (struct fuse_out_header){
        .len = OUT_HEADER + (r < 0 ? 0 : request.reply_len),
        .error = r < 0 ? r : 0,
        .unique = request.header.unique,
    };
    virtq_copy_to(chain, 0, &out, sizeof(out));
    *ret_len = out.len;
    return 0;
}

/*
 * What a share knows about its guest, and the serving of one FUSE request (numbers and structs:
 * linux/fuse.h). Nothing here locks: it is one thread's at a time (virtio/fs.c).
 */
#ifndef OSVM_VIRTIO_FS_SESSION_H
#define OSVM_VIRTIO_FS_SESSION_H

#include <linux/fuse.h>

#include "fs_handle.h"
#include "fs_node.h"
#include "virtio/fs.h"
#include "virtio/virtqueue.h"

#define FS_MINOR 31 /* of protocol 7 */

#define FS_MAX_WRITE  (UINT32_C(1) << 20)
#define FS_NAME_MAX   255
#define FS_LINK_MAX   4095 /* bytes in a symbolic link */
#define FS_ARGS_SIZE  8192 /* the longest: SYMLINK's name and target */
#define FS_NAME_BYTES 4096 /* what a new name counts for the size limit */

struct fs_session {
    bool read_only;
    uint64_t size_limit, size_used;
    struct virtio_fs_budget *budget; /* borrowed; NULL: none */
    bool initialised;                /* INIT came */
    struct fs_nodes nodes;
    struct fs_handles handles;
    uint8_t args[FS_ARGS_SIZE];
    _Alignas(8) uint8_t entries[16384]; /* what getdents64() gave */
};

/* One request while it is served. */
struct fs_request {
    const struct virtq_chain *chain;
    struct fuse_in_header header; /* a copy, checked */
    const uint8_t *args;          /* a copy of what follows the header, up to FS_ARGS_SIZE */
    uint32_t args_len;            /* of the copy */
    uint32_t body_len;            /* all that follows the header */
    uint32_t reply_room;          /* bytes that the guest has for what follows the reply's header */
    uint32_t reply_len;           /* of them, put */
    struct fs_node *node;         /* of header.nodeid; NULL for the ops that have none */
};

/* Serves one kind of request. Returns 0 or the negative errno for the guest. */
typedef int fs_op(struct fs_session *session, struct fs_request *request);

/**
 * Begin.
 *
 * @root_fd     O_PATH of the folder; taken over, also on failure
 * @open_max    how many descriptors it may have for nodes, and again for handles
 */
int fs_session_init(struct fs_session *session, int root_fd, unsigned open_max);
void fs_session_deinit(struct fs_session *session);

/* As if the guest had never spoken. What it used of size_limit stays used. */
void fs_session_clear(struct fs_session *session);

/**
 * Serve the request in a chain. May block on the host's filesystem.
 *
 * @ret_len  how many bytes were written into the chain
 * Returns 0, or -EPROTO where the chain is no request, or has no room even for an error.
 */
int fs_session_serve(struct fs_session *session, const struct virtq_chain *chain,
                     uint32_t *ret_len);

/* ---- For the ops. ---- */

/* Append to the reply. The room for an op's fixed reply is checked before it is called. */
void fs_reply(struct fs_request *request, const void *buf, uint32_t len);

/* Tell the guest of a node (fuse_entry_out), which counts as a lookup. */
void fs_reply_entry(struct fs_request *request, struct fs_node *node, const struct stat *st);
void fs_fill_entry(struct fuse_entry_out *entry, struct fs_node *node, const struct stat *st);
void fs_reply_attr(struct fs_request *request, const struct stat *st);

/**
 * The name that begins at `offset` of the arguments: not empty, one component, no dots alone.
 *
 * @ret_name  inside the arguments, terminated
 * Returns the offset behind its terminator, or a negative errno.
 */
int fs_request_name(const struct fs_request *request, uint32_t offset, const char **ret_name);

/* The iovecs of [offset, offset + len) of the readable or writable bytes. Returns how many. */
unsigned fs_request_iov(const struct fs_request *request, bool writable, uint32_t offset,
                        uint32_t len, struct iovec iov[VIRTQUEUE_MAX_SIZE]);

/* A node's descriptor, borrowed, for what needs no right to read or write: O_PATH, or that of a
 * handle where the file was removed while it is open. Or a negative errno. */
int fs_any_fd(struct fs_session *session, struct fs_node *node);

int fs_stat(struct fs_session *session, struct fs_node *node, struct stat *ret_st);

/* Count against the size limit and the budget, or back. Returns 0 or -ENOSPC. */
int fs_charge(struct fs_session *session, uint64_t bytes);
void fs_credit(struct fs_session *session, uint64_t bytes);

/* What may still be added by both of them; UINT64_MAX where neither is there. */
uint64_t fs_space_left(const struct fs_session *session);

/* Set a file's length, counted. Returns 0 or a negative errno. */
int fs_truncate(struct fs_session *session, int fd, uint64_t size);

/* Give what was just made the mode and, where it may be, the owner that the guest wants.
 * @fd  open for I/O; or O_PATH of a symbolic link, whose mode is left */
void fs_settle_new(const struct fs_request *request, int fd, mode_t mode);

/* The mode bits that may come to the host. */
static inline mode_t fs_mode(mode_t type, uint32_t mode)
{
    return mode & (S_ISDIR(type) ? 07777 : 01777);
}

fs_op fs_op_init, fs_op_destroy, fs_op_statfs;
fs_op fs_op_getattr, fs_op_setattr, fs_op_access;
fs_op fs_op_lookup, fs_op_readlink, fs_op_symlink, fs_op_mknod, fs_op_mkdir, fs_op_unlink,
    fs_op_rmdir, fs_op_rename, fs_op_rename2, fs_op_link;
fs_op fs_op_open, fs_op_create, fs_op_read, fs_op_write, fs_op_release, fs_op_fsync, fs_op_flush,
    fs_op_lseek, fs_op_fallocate;
fs_op fs_op_opendir, fs_op_readdir, fs_op_readdirplus, fs_op_releasedir, fs_op_fsyncdir;

#endif

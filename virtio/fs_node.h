/*
 * The files that the guest knows, by FUSE node id, each with the way to it.
 *
 * A node is a name in a parent node, and what was found there: device, inode number and type. Its
 * O_PATH descriptor is opened when it is wanted, by way of the parent's, and is one of a bounded
 * number that are kept, the least recently used closed first. What is found under the name is
 * compared with what was looked up, so a file that was replaced meanwhile is -ESTALE (upon which a
 * Linux guest looks it up again), and never another file under the same node.
 *
 * That way also serves for reading and writing: an O_PATH descriptor cannot be reopened without
 * /proc, so the file is opened by its name beneath the parent and compared in the same manner.
 *
 * Parents are named by id, never by pointer: a guest that forgets a parent before its child gets
 * -ESTALE. Ids are not used twice.
 */
#ifndef OSVM_VIRTIO_FS_NODE_H
#define OSVM_VIRTIO_FS_NODE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define FS_MAX_NODES (UINT32_C(1) << 17) /* at most some 350 bytes each */
#define FS_MAX_DEPTH 256                 /* names on the way to a node that is not open */

struct fs_node {
    uint64_t id;
    uint64_t lookups; /* how often the guest was told of it and has not forgotten */
    dev_t dev;
    ino_t ino;
    mode_t type;     /* S_IFMT bits */
    uint64_t parent; /* id */
    char *name;
    int fd;             /* O_PATH; -1: not open now */
    uint32_t hash_next; /* slot; 0: the last */
    struct fs_node *newer, *older;
};

struct fs_nodes {
    struct fs_node **slots; /* slot 0 is never used, slot 1 is the root */
    uint32_t slot_count, slots_used;
    uint32_t *free_slots; /* a stack */
    uint32_t free_count;
    uint32_t *hash; /* slots by device and inode number; 0: none */
    uint64_t serial;
    struct fs_node *newest, *oldest; /* those with a descriptor, without the root */
    unsigned open_count, open_max;
};

/**
 * Begin with the root alone.
 *
 * @root_fd   O_PATH of a folder; taken over, also on failure
 * @open_max  how many descriptors may be kept
 */
int fs_nodes_init(struct fs_nodes *nodes, int root_fd, unsigned open_max);
void fs_nodes_deinit(struct fs_nodes *nodes);

/* Forget all but the root. */
void fs_nodes_clear(struct fs_nodes *nodes);

/* Close what is more than open_max. A descriptor from fs_node_fd() is good until then. */
void fs_nodes_trim(struct fs_nodes *nodes);

/* NULL: the guest was not told of it, or has forgotten it. */
struct fs_node *fs_node_find(struct fs_nodes *nodes, uint64_t id);
struct fs_node *fs_node_find_file(struct fs_nodes *nodes, const struct stat *st);

/* Open one name beneath a folder; never further. Returns a descriptor or a negative errno. */
int fs_open_beneath(int folder_fd, const char *name, int flags, mode_t mode);

/* The node's O_PATH descriptor, borrowed. Or a negative errno. */
int fs_node_fd(struct fs_nodes *nodes, struct fs_node *node);

/* Open a folder or a regular file for I/O. Returns a descriptor of the caller's, or a negative
 * errno; -ENXIO for what is neither. O_TRUNC and O_CREAT are not among the flags. */
int fs_node_open(struct fs_nodes *nodes, struct fs_node *node, int flags);

/* Find the node of what was found under a name, or make it, and note the name. It counts as a
 * lookup only when the caller says so. -ENFILE where there are FS_MAX_NODES. */
int fs_node_get(struct fs_nodes *nodes, const struct fs_node *parent, const char *name,
                const struct stat *st, struct fs_node **ret_node);

/* Look a name up beneath a folder, with everything that can go wrong. */
int fs_node_lookup(struct fs_nodes *nodes, struct fs_node *parent, const char *name,
                   struct stat *ret_st, struct fs_node **ret_node);

/* The guest forgets it so many times. A node that nobody knows any more is freed. */
void fs_node_forget(struct fs_nodes *nodes, struct fs_node *node, uint64_t lookups);

/* Close the descriptor, so that a removed file's space is given back. Not the root's. */
void fs_node_close(struct fs_nodes *nodes, struct fs_node *node);

#endif

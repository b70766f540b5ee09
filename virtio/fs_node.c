#include "fs_node.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/cleanup.h"
#include "base/util.h"

#define ROOT_SLOT    1
#define SLOT_BITS    17
#define HASH_BUCKETS (UINT32_C(1) << 15)
#define FIRST_SLOTS  64

_Static_assert(UINT32_C(1) << SLOT_BITS == FS_MAX_NODES, "a slot fits its bits");
_Static_assert(ROOT_SLOT == FUSE_ROOT_ID, "the root's id, which has serial 0");

static uint32_t slot_of(const struct fs_node *node)
{
    return (uint32_t)(node->id & (FS_MAX_NODES - 1));
}

static uint32_t *bucket_of(const struct fs_nodes *nodes, dev_t dev, ino_t ino)
{
    uint64_t mixed = ((uint64_t)ino ^ (uint64_t)dev << 32) * UINT64_C(0x9e3779b97f4a7c15);

    return &nodes->hash[mixed >> 32 & (HASH_BUCKETS - 1)];
}

static bool is_root(const struct fs_node *node)
{
    return node->id == FUSE_ROOT_ID;
}

static bool is_same_file(const struct fs_node *node, const struct stat *st)
{
    return node->dev == st->st_dev && node->ino == st->st_ino &&
           node->type == (st->st_mode & S_IFMT);
}

/* ---- Those with a descriptor, in the order of use. ---- */

static void list_remove(struct fs_nodes *nodes, struct fs_node *node)
{
    *(node->newer ? &node->newer->older : &nodes->newest) = node->older;
    *(node->older ? &node->older->newer : &nodes->oldest) = node->newer;
    node->newer = node->older = NULL;
}

static void list_add(struct fs_nodes *nodes, struct fs_node *node)
{
    node->newer = NULL;
    node->older = nodes->newest;
    *(nodes->newest ? &nodes->newest->newer : &nodes->oldest) = node;
    nodes->newest = node;
}

static void touch(struct fs_nodes *nodes, struct fs_node *node)
{
    if (is_root(node) || nodes->newest == node)
        return;
    list_remove(nodes, node);
    list_add(nodes, node);
}

static void keep_fd(struct fs_nodes *nodes, struct fs_node *node, int fd)
{
    node->fd = fd;
    list_add(nodes, node);
    nodes->open_count++;
}

void fs_node_close(struct fs_nodes *nodes, struct fs_node *node)
{
    if (node->fd < 0 || is_root(node))
        return;
    list_remove(nodes, node);
    nodes->open_count--;
    close_fd(take_fd(&node->fd));
}

void fs_nodes_trim(struct fs_nodes *nodes)
{
    while (nodes->open_count > nodes->open_max)
        fs_node_close(nodes, nodes->oldest);
}

/* ---- The table. ---- */

static int grow(struct fs_nodes *nodes)
{
    uint32_t count = nodes->slot_count ? nodes->slot_count * 2 : FIRST_SLOTS;
    struct fs_node **slots;
    uint32_t *free_slots;

    if (count > FS_MAX_NODES)
        return -ENFILE;
    slots = reallocarray(nodes->slots, count, sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    nodes->slots = slots;
    free_slots = reallocarray(nodes->free_slots, count, sizeof(*free_slots));
    if (!free_slots)
        return -ENOMEM;
    nodes->free_slots = free_slots;
    memset(slots + nodes->slot_count, 0, (count - nodes->slot_count) * sizeof(*slots));
    nodes->slot_count = count;
    return 0;
}

static int get_slot(struct fs_nodes *nodes, uint32_t *ret_slot)
{
    int r;

    if (nodes->free_count > 0) {
        *ret_slot = nodes->free_slots[--nodes->free_count];
        return 0;
    }
    if (nodes->slots_used == nodes->slot_count) {
        r = grow(nodes);
        if (r < 0)
            return r;
    }
    *ret_slot = nodes->slots_used++;
    return 0;
}

static int add_node(struct fs_nodes *nodes, const struct stat *st, uint64_t parent,
                    const char *name, struct fs_node **ret_node)
{
    _cleanup_free_ struct fs_node *node = calloc(1, sizeof(*node));
    _cleanup_free_ char *copy = strdup(name);
    uint32_t *bucket = bucket_of(nodes, st->st_dev, st->st_ino);
    uint32_t slot = 0;
    int r;

    if (!node || !copy)
        return -ENOMEM;
    r = get_slot(nodes, &slot);
    if (r < 0)
        return r;
    *node = (struct fs_node){
        .id = nodes->serial++ << SLOT_BITS | slot,
        .dev = st->st_dev,
        .ino = st->st_ino,
        .type = st->st_mode & S_IFMT,
        .parent = parent,
        .name = take_ptr(copy),
        .fd = -1,
        .hash_next = *bucket,
    };
    *bucket = slot;
    *ret_node = nodes->slots[slot] = take_ptr(node);
    return 0;
}

static void unhash(struct fs_nodes *nodes, const struct fs_node *node)
{
    uint32_t *at = bucket_of(nodes, node->dev, node->ino);

    while (nodes->slots[*at] != node)
        at = &nodes->slots[*at]->hash_next;
    *at = node->hash_next;
}

static void free_node(struct fs_nodes *nodes, struct fs_node *node)
{
    uint32_t slot = slot_of(node);

    fs_node_close(nodes, node);
    unhash(nodes, node);
    nodes->slots[slot] = NULL;
    nodes->free_slots[nodes->free_count++] = slot;
    free(node->name);
    free(node);
}

int fs_nodes_init(struct fs_nodes *nodes, int root_fd, unsigned open_max)
{
    _cleanup_close_ int fd = root_fd;
    struct fs_node *root = NULL;
    struct stat st;
    int r;

    *nodes = (struct fs_nodes){.slots_used = ROOT_SLOT, .open_max = open_max};
    if (fstat(fd, &st) < 0)
        return -errno;
    nodes->hash = calloc(HASH_BUCKETS, sizeof(*nodes->hash));
    if (!nodes->hash)
        return -ENOMEM;
    r = grow(nodes);
    if (r == 0)
        r = add_node(nodes, &st, FUSE_ROOT_ID, "", &root);
    if (r < 0)
        return r;
    root->fd = take_fd(&fd);
    return 0;
}

void fs_nodes_clear(struct fs_nodes *nodes)
{
    for (uint32_t slot = ROOT_SLOT + 1; slot < nodes->slots_used; slot++) {
        if (nodes->slots[slot])
            free_node(nodes, nodes->slots[slot]);
    }
}

void fs_nodes_deinit(struct fs_nodes *nodes)
{
    struct fs_node *root = nodes->slot_count ? nodes->slots[ROOT_SLOT] : NULL;

    fs_nodes_clear(nodes);
    if (root) {
        close_fd(root->fd);
        free(root->name);
        free(root);
    }
    free(nodes->slots);
    free(nodes->free_slots);
    free(nodes->hash);
    *nodes = (struct fs_nodes){0};
}

struct fs_node *fs_node_find(struct fs_nodes *nodes, uint64_t id)
{
    uint64_t slot = id & (FS_MAX_NODES - 1);
    struct fs_node *node = slot < nodes->slots_used ? nodes->slots[slot] : NULL;

    return node && node->id == id ? node : NULL;
}

struct fs_node *fs_node_find_file(struct fs_nodes *nodes, const struct stat *st)
{
    uint32_t slot = *bucket_of(nodes, st->st_dev, st->st_ino);

    while (slot != 0 && !is_same_file(nodes->slots[slot], st))
        slot = nodes->slots[slot]->hash_next;
    return slot ? nodes->slots[slot] : NULL;
}

void fs_node_forget(struct fs_nodes *nodes, struct fs_node *node, uint64_t lookups)
{
    if (is_root(node))
        return;
    node->lookups -= min_u64(lookups, node->lookups);
    if (node->lookups == 0)
        free_node(nodes, node);
}

/* ---- The way to a file. ---- */

int fs_open_beneath(int folder_fd, const char *name, int flags, mode_t mode)
{
    return beneath_open(folder_fd, name, flags | O_NOFOLLOW, mode, BENEATH_NO_LINKS);
}

/* Open what should be this node by its name, and compare. */
static int open_and_compare(int folder_fd, const struct fs_node *node, int flags)
{
    _cleanup_close_ int fd = fs_open_beneath(folder_fd, node->name, flags, 0);
    struct stat st;

    if (fd == -ENOENT || fd == -ELOOP || fd == -ENOTDIR || fd == -ENXIO)
        return -ESTALE; /* there is something else by now, or nothing */
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    return is_same_file(node, &st) ? take_fd(&fd) : -ESTALE;
}

int fs_node_fd(struct fs_nodes *nodes, struct fs_node *node)
{
    struct fs_node *way[FS_MAX_DEPTH], *at = node;
    unsigned depth = 0;

    /* Up to what is open (the root always is); a loop, which renames on the host can make of
     * names that were looked up at different times, ends by the depth. */
    while (at->fd < 0) {
        if (depth == FS_MAX_DEPTH)
            return -ENAMETOOLONG;
        way[depth++] = at;
        at = fs_node_find(nodes, at->parent);
        if (!at)
            return -ESTALE;
    }
    touch(nodes, at);
    while (depth > 0) {
        int fd = open_and_compare(at->fd, way[--depth], O_PATH);

        if (fd < 0)
            return fd;
        at = way[depth];
        keep_fd(nodes, at, fd);
    }
    return at->fd;
}

int fs_node_open(struct fs_nodes *nodes, struct fs_node *node, int flags)
{
    struct fs_node *parent;
    int fd;

    if (S_ISDIR(node->type)) {
        fd = fs_node_fd(nodes, node);
        return fd < 0 ? fd : fs_open_beneath(fd, ".", flags | O_DIRECTORY, 0);
    }
    if (S_ISLNK(node->type))
        return -ELOOP;
    if (!S_ISREG(node->type))
        return -ENXIO;
    parent = fs_node_find(nodes, node->parent);
    if (!parent)
        return -ESTALE;
    fd = fs_node_fd(nodes, parent);
    /* What took its place on the host meanwhile may be a fifo or a terminal. */
    return fd < 0 ? fd : open_and_compare(fd, node, flags | O_NONBLOCK | O_NOCTTY);
}

static int set_name(struct fs_node *node, const struct fs_node *parent, const char *name)
{
    char *copy;

    node->parent = parent->id;
    if (strcmp(node->name, name) == 0)
        return 0;
    copy = strdup(name);
    if (!copy)
        return -ENOMEM;
    free(node->name);
    node->name = copy;
    return 0;
}

int fs_node_get(struct fs_nodes *nodes, const struct fs_node *parent, const char *name,
                const struct stat *st, struct fs_node **ret_node)
{
    struct fs_node *node = fs_node_find_file(nodes, st);
    int r;

    if (!node)
        return add_node(nodes, st, parent->id, name, ret_node);
    if (is_root(node))
        return -ELOOP; /* the folder inside itself */
    r = set_name(node, parent, name);
    if (r == 0)
        *ret_node = node;
    return r;
}

int fs_node_lookup(struct fs_nodes *nodes, struct fs_node *parent, const char *name,
                   struct stat *ret_st, struct fs_node **ret_node)
{
    _cleanup_close_ int fd = -1;
    struct fs_node *node = NULL;
    struct stat st;
    int r;

    if (!S_ISDIR(parent->type))
        return -ENOTDIR;
    r = fs_node_fd(nodes, parent);
    if (r < 0)
        return r;
    fd = fs_open_beneath(r, name, O_PATH, 0);
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    r = fs_node_get(nodes, parent, name, &st, &node);
    if (r < 0)
        return r;
    if (node->fd < 0)
        keep_fd(nodes, node, take_fd(&fd));
    *ret_st = st;
    *ret_node = node;
    return 0;
}

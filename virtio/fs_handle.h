/* The files and folders that the guest has open, by FUSE file handle. Handles are not used twice.
 */
#ifndef OSVM_VIRTIO_FS_HANDLE_H
#define OSVM_VIRTIO_FS_HANDLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define FS_MAX_HANDLES 1024

struct fs_handle {
    uint64_t id; /* 0: the slot is free */
    int fd;
    bool folder;
    bool append;   /* O_APPEND */
    uint64_t node; /* id */
    dev_t dev;
    ino_t ino;
};

struct fs_handles {
    struct fs_handle *slots;   /* FS_MAX_HANDLES; memory is touched only as they are used */
    unsigned max, count, next; /* next: where to look for a free one first */
    uint64_t serial;
};

/* At most `max` at a time, up to FS_MAX_HANDLES. Returns 0 or -ENOMEM. */
int fs_handles_init(struct fs_handles *handles, unsigned max);
void fs_handles_deinit(struct fs_handles *handles);

/* Close all. */
void fs_handles_clear(struct fs_handles *handles);

/**
 * Keep an open descriptor.
 *
 * @fd  taken over where it succeeds
 * Returns 0; -EMFILE where there are too many, or another negative errno.
 */
int fs_handle_add(struct fs_handles *handles, int fd, bool folder, bool append, uint64_t node,
                  struct fs_handle **ret_handle);

/* NULL: there is none of that kind. */
struct fs_handle *fs_handle_find(struct fs_handles *handles, uint64_t id, bool folder);

/* Any handle on this file. NULL: it is not open. */
struct fs_handle *fs_handle_find_file(struct fs_handles *handles, dev_t dev, ino_t ino);

void fs_handle_close(struct fs_handles *handles, struct fs_handle *handle);

#endif

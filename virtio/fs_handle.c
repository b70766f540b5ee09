#include "fs_handle.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/util.h"

int fs_handles_init(struct fs_handles *handles, unsigned max)
{
    *handles = (struct fs_handles){.max = (unsigned)min_u64(max, FS_MAX_HANDLES), .serial = 1};
    handles->slots = calloc(FS_MAX_HANDLES, sizeof(*handles->slots));
    return handles->slots ? 0 : -ENOMEM;
}

void fs_handles_deinit(struct fs_handles *handles)
{
    fs_handles_clear(handles);
    free(handles->slots);
    handles->slots = NULL;
}

void fs_handles_clear(struct fs_handles *handles)
{
    for (unsigned i = 0; handles->count > 0; i++) {
        if (handles->slots[i].id)
            fs_handle_close(handles, &handles->slots[i]);
    }
}

static unsigned free_slot(const struct fs_handles *handles)
{
    unsigned slot = handles->next;

    while (handles->slots[slot].id)
        slot = (slot + 1) % FS_MAX_HANDLES;
    return slot;
}

int fs_handle_add(struct fs_handles *handles, int fd, bool folder, bool append, uint64_t node,
                  struct fs_handle **ret_handle)
{
    struct stat st;
    unsigned slot;

    if (handles->count >= handles->max)
        return -EMFILE;
    if (fstat(fd, &st) < 0)
        return -errno;
    slot = free_slot(handles);
    handles->next = (slot + 1) % FS_MAX_HANDLES;
    handles->count++;
    handles->slots[slot] = (struct fs_handle){
        .id = handles->serial++ * FS_MAX_HANDLES + slot,
        .fd = fd,
        .folder = folder,
        .append = append,
        .node = node,
        .dev = st.st_dev,
        .ino = st.st_ino,
    };
    *ret_handle = &handles->slots[slot];
    return 0;
}

struct fs_handle *fs_handle_find(struct fs_handles *handles, uint64_t id, bool folder)
{
    struct fs_handle *handle = &handles->slots[id % FS_MAX_HANDLES];

    return id != 0 && handle->id == id && handle->folder == folder ? handle : NULL;
}

struct fs_handle *fs_handle_find_file(struct fs_handles *handles, dev_t dev, ino_t ino)
{
    unsigned left = handles->count;

    for (unsigned i = 0; left > 0; i++) {
        struct fs_handle *handle = &handles->slots[i];

        if (!handle->id)
            continue;
        left--;
        if (handle->dev == dev && handle->ino == ino)
            return handle;
    }
    return NULL;
}

void fs_handle_close(struct fs_handles *handles, struct fs_handle *handle)
{
    close_fd(handle->fd);
    *handle = (struct fs_handle){0};
    handles->count--;
}

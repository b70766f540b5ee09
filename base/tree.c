#include "base/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"

#define ENTRIES_SIZE (16 * KIB)

enum step {
    STEP_DONE,   /* nothing is left */
    STEP_AGAIN,  /* something was removed: what a listing shows after that is not certain */
    STEP_DOWN,   /* an entry has something in it */
    STEP_FAILED, /* an entry cannot be removed */
};

/*
 * Remove one entry, or say that there is something in it. Nothing is removed that the guest did not
 * make: links are removed and not followed.
 */
static enum step remove_entry(int folder, const char *name)
{
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return STEP_DONE;
    if (unlinkat(folder, name, 0) == 0 || unlinkat(folder, name, AT_REMOVEDIR) == 0)
        return STEP_AGAIN;
    return errno == ENOTEMPTY || errno == EEXIST ? STEP_DOWN : STEP_FAILED;
}

/* One pass over a folder, up to the first entry that has something in it (ret_name). */
static enum step remove_entries(int folder, char ret_name[NAME_MAX + 1])
{
    _Alignas(struct dirent64) uint8_t entries[ENTRIES_SIZE];
    enum step step = STEP_DONE;
    ssize_t n;

    if (lseek(folder, 0, SEEK_SET) < 0)
        return STEP_FAILED;
    while ((n = getdents64(folder, entries, sizeof(entries))) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct dirent64 *entry = (const void *)(entries + at);
            enum step this = remove_entry(folder, entry->d_name);

            if (this == STEP_FAILED)
                return STEP_FAILED;
            if (this == STEP_DOWN) {
                snprintf(ret_name, NAME_MAX + 1, "%s", entry->d_name);
                return STEP_DOWN;
            }
            if (this == STEP_AGAIN)
                step = STEP_AGAIN;
            at += entry->d_reclen;
        }
    }
    return step;
}

static int open_folder(int folder, const char *name)
{
    return openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/*
 * Down into what is not empty, and up again by "..", which leads back, since nobody else moves what
 * is in there.
 */
void tree_empty(int top_fd)
{
    _cleanup_close_ int folder = open_folder(top_fd, ".");
    char name[NAME_MAX + 1];
    uint64_t depth = 0;

    while (folder >= 0) {
        enum step step = remove_entries(folder, name);
        int next;

        if (step == STEP_AGAIN)
            continue;
        if (step == STEP_FAILED || (step == STEP_DONE && depth == 0))
            return;
        depth = step == STEP_DOWN ? depth + 1 : depth - 1;
        next = open_folder(folder, step == STEP_DOWN ? name : "..");
        close_fd(folder);
        folder = next;
    }
}

void tree_remove(int parent_fd, const char *name)
{
    _cleanup_close_ int folder = open_folder(parent_fd, name);

    if (folder < 0)
        return;
    tree_empty(folder);
    unlinkat(parent_fd, name, AT_REMOVEDIR);
}

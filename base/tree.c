#include "base/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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
 * Remove one entry, or say that there is something in it. Links are removed and not followed.
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

/* The folders above the one that is being emptied, by what they are: a name may be another's. */
struct way {
    struct place {
        dev_t dev;
        ino_t ino;
    } * places;
    size_t count, room;
};

static int way_push(struct way *way, int folder)
{
    struct place *places = way->places;
    struct stat st;

    if (fstat(folder, &st) < 0)
        return -errno;
    if (way->count == way->room) {
        way->room = way->room ? way->room * 2 : 64;
        places = reallocarray(places, way->room, sizeof(*places));
        if (!places)
            return -ENOMEM;
        way->places = places;
    }
    places[way->count++] = (struct place){.dev = st.st_dev, .ino = st.st_ino};
    return 0;
}

/* Whether this is the folder that was come from last. */
static bool way_pop(struct way *way, int folder)
{
    const struct place *place = &way->places[--way->count];
    struct stat st;

    return fstat(folder, &st) == 0 && st.st_dev == place->dev && st.st_ino == place->ino;
}

/*
 * Down into what is not empty, and up again by "..", so that a deep tree takes no more descriptors
 * than a flat one. Whoever owns what is in there may move a folder away meanwhile, and ".." would
 * lead to wherever it is now: where it does not lead back, that is the end.
 */
static int empty(int top_fd, struct way *way)
{
    _cleanup_close_ int folder = open_folder(top_fd, ".");
    char name[NAME_MAX + 1];

    while (folder >= 0) {
        enum step step = remove_entries(folder, name);
        int next;

        if (step == STEP_AGAIN)
            continue;
        if (step == STEP_FAILED)
            return -errno;
        if (step == STEP_DONE && way->count == 0)
            return 0;
        next = open_folder(folder, step == STEP_DOWN ? name : "..");
        if (next >= 0 && (step == STEP_DOWN ? way_push(way, folder) < 0 : !way_pop(way, next))) {
            close_fd(next);
            return -ESTALE;
        }
        close_fd(folder);
        folder = next;
    }
    return -errno;
}

int tree_empty(int top_fd)
{
    struct way way = {0};
    int r = empty(top_fd, &way);

    free(way.places);
    return r;
}

int tree_remove(int parent_fd, const char *name)
{
    _cleanup_close_ int folder = open_folder(parent_fd, name);
    int r;

    if (folder < 0)
        return -errno;
    r = tree_empty(folder);
    return r < 0 ? r : unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

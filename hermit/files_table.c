/* The guest's descriptors: from 3 up, the lowest free one first, as programs expect it. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "files_internal.h"

int table_add(struct hermit_files *files, struct open_file *file)
{
    int fd = -EMFILE;

    pthread_mutex_lock(&files->table_lock);
    for (unsigned i = 0; fd < 0 && i < files->open_max; i++) {
        if (!files->slots[i]) {
            file->users = 1;
            file->older = files->newest;
            if (file->older)
                file->older->newer = file;
            files->newest = files->slots[i] = file;
            fd = (int)i + FILES_FIRST;
        }
    }
    pthread_mutex_unlock(&files->table_lock);
    return fd;
}

/* The slot of a descriptor, or NULL. table_lock held. */
static struct open_file **find_slot(struct hermit_files *files, int32_t fd)
{
    if (fd < FILES_FIRST || fd - FILES_FIRST >= (int32_t)files->open_max)
        return NULL;
    return files->slots[fd - FILES_FIRST] ? &files->slots[fd - FILES_FIRST] : NULL;
}

struct open_file *table_get(struct hermit_files *files, int32_t fd)
{
    struct open_file **slot, *file = NULL;

    pthread_mutex_lock(&files->table_lock);
    slot = find_slot(files, fd);
    if (slot) {
        file = *slot;
        file->users++;
    }
    pthread_mutex_unlock(&files->table_lock);
    return file;
}

/* table_lock held. */
static bool is_in_use(const struct hermit_files *files, dev_t dev, ino_t ino)
{
    const struct open_file *file = files->newest;

    while (file && (file->dev != dev || file->ino != ino))
        file = file->older;
    return file;
}

bool table_has(struct hermit_files *files, dev_t dev, ino_t ino)
{
    bool found;

    pthread_mutex_lock(&files->table_lock);
    found = is_in_use(files, dev, ino);
    pthread_mutex_unlock(&files->table_lock);
    return found;
}

/* Take it off the list. Returns whether nobody has the same file any more. */
static bool forget(struct hermit_files *files, struct open_file *file)
{
    bool last;

    pthread_mutex_lock(&files->table_lock);
    *(file->newer ? &file->newer->older : &files->newest) = file->older;
    if (file->older)
        file->older->newer = file->newer;
    last = !is_in_use(files, file->dev, file->ino);
    pthread_mutex_unlock(&files->table_lock);
    return last;
}

/* Nobody uses it any more. Space of a private file that was removed counts back with the last. */
static void free_file(struct hermit_files *files, struct open_file *file)
{
    struct stat st;
    bool last;

    pthread_mutex_lock(&files->quota_lock);
    last = forget(files, file);
    if (last && file->is_private && !file->is_folder && fstat(file->fd, &st) == 0 &&
        st.st_nlink == 0)
        quota_credit(files, (uint64_t)st.st_size);
    pthread_mutex_unlock(&files->quota_lock);
    if (file->owns_fd)
        close_fd(file->fd);
    pthread_mutex_destroy(&file->lock);
    free(file);
}

void table_put(struct hermit_files *files, struct open_file *file)
{
    bool last;

    pthread_mutex_lock(&files->table_lock);
    last = --file->users == 0;
    pthread_mutex_unlock(&files->table_lock);
    if (last)
        free_file(files, file);
}

int table_close(struct hermit_files *files, int32_t fd)
{
    struct open_file **slot, *file = NULL;

    pthread_mutex_lock(&files->table_lock);
    slot = find_slot(files, fd);
    if (slot)
        file = take_ptr(*slot);
    pthread_mutex_unlock(&files->table_lock);
    if (!file)
        return -EBADF;
    table_put(files, file);
    return 0;
}

void table_clear(struct hermit_files *files)
{
    for (unsigned i = 0; i < files->open_max; i++) {
        if (files->slots[i])
            table_put(files, take_ptr(files->slots[i]));
    }
}

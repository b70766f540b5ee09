/* The guest's descriptors: from 3 up, the lowest free one first, as programs expect it. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "files_internal.h"

int table_init(struct hermit_files *files, unsigned open_max)
{
    files->open_max = open_max;
    files->pool = calloc(open_max + FILES_CLOSING, sizeof(*files->pool));
    return files->pool ? 0 : -ENOMEM;
}

void table_deinit(struct hermit_files *files)
{
    table_clear(files);
    free(files->pool);
}

/* One from the pool, or NULL. table_lock held. */
static struct open_file *take_free(struct hermit_files *files)
{
    struct open_file *file = files->free;

    if (file)
        files->free = file->older;
    else if (files->pool_used < files->open_max + FILES_CLOSING)
        file = &files->pool[files->pool_used++];
    return file;
}

/* Put a copy into the free slot i. Returns its descriptor or -EMFILE. table_lock held. */
static int fill_slot(struct hermit_files *files, unsigned i, const struct open_file *file)
{
    struct open_file *own = take_free(files);

    if (!own)
        return -EMFILE;
    *own = *file;
    pthread_mutex_init(&own->lock, NULL);
    own->users = 1;
    own->newer = NULL;
    own->older = files->newest;
    if (own->older)
        own->older->newer = own;
    files->newest = files->slots[i] = own;
    return (int)i + FILES_FIRST;
}

int table_add(struct hermit_files *files, const struct open_file *file)
{
    int fd = -EMFILE;
    unsigned i = 0;

    pthread_mutex_lock(&files->table_lock);
    while (i < files->open_max && files->slots[i])
        i++;
    if (i < files->open_max)
        fd = fill_slot(files, i, file);
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
    pthread_mutex_lock(&files->table_lock);
    file->older = files->free;
    files->free = file;
    pthread_mutex_unlock(&files->table_lock);
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

/*
 * What the parts of hermit/files*.c share.
 *
 * Locks, in this order: a descriptor's `lock` (its position, held across its reads and writes, so
 * that two CPUs on one descriptor do not mix), `quota_lock` (the private folder: held across each
 * change of what it holds, opening included, so that its size is exact), `table_lock` (which files
 * are open; never held across I/O). A file in use is counted: closing it on one CPU while another
 * reads leaves that read its file.
 */
#ifndef OSVM_HERMIT_FILES_INTERNAL_H
#define OSVM_HERMIT_FILES_INTERNAL_H

#include <limits.h>
#include <pthread.h>

#include "base/beneath.h"
#include "buffer.h"
#include "hermit/files.h"

#define FILES_MAX_OPEN   1024
#define FILES_CLOSING    64   /* closed while calls on other CPUs still use them */
#define FILES_FIRST      3    /* the guest's first descriptor: those below are the console */
#define FILES_NAME_BYTES 4096 /* what a name costs of the size limit */

/* A place in the guest's tree where something else begins. */
struct mount {
    char *guest; /* "/data/in", normalised; "" for the private folder */
    size_t guest_len;
    int fd;         /* of a folder: O_PATH; of a file: open for reading, and writing if it may be */
    bool is_folder; /* else a file */
    bool read_only;
    bool is_private;
    enum beneath_links links;
    dev_t dev;
    ino_t ino;
};

/* Where a guest's path leads. */
struct place {
    const struct mount *mount;
    const char *rest;     /* beneath the mount: "a/b"; "" is the mount itself */
    char guest[PATH_MAX]; /* the whole path, normalised; `rest` is a part of it */
};

struct open_file {
    int fd;
    bool owns_fd; /* false: the fd is the mount's */
    bool is_folder, readable, writable, append, is_private;
    bool is_top; /* the folder of a mount: what is above it is not the guest's */
    dev_t dev;
    ino_t ino;
    pthread_mutex_t lock; /* of what follows */
    uint64_t position;    /* of a file; a folder's is the host descriptor's */

    unsigned users; /* under table_lock, as what follows; 1 for the table itself */
    struct open_file *newer, *older;
};

struct hermit_files {
    struct mount *mounts; /* [0] is the private folder */
    size_t mount_count;

    pthread_mutex_t table_lock;
    struct open_file *slots[FILES_MAX_OPEN];
    unsigned open_max;
    struct open_file *newest; /* all that are in use, those that were closed meanwhile too */
    /* Where they live, so that no vCPU thread allocates memory: the first pool_used were used, and
     * those that are free again hang on `older`. */
    struct open_file *pool, *free;
    unsigned pool_used;

    pthread_mutex_t quota_lock;
    uint64_t size_limit, size_used; /* limit 0: none */

    int temporary_fd; /* the folder that the temporary folder is in; -1: it is kept */
    char temporary_name[32];
};

/* ---- files_path.c ---- */

/**
 * Take a path apart by its names alone.
 * @ret_path  "/a/b", or "" for the top
 * Returns 0; -ENOENT for an empty one; -ENAMETOOLONG.
 */
int path_normalise(const char *path, char ret_path[PATH_MAX]);

/* Find whose it is. Returns 0 or as path_normalise(). */
int files_place(const struct hermit_files *files, const char *path, struct place *ret_place);

/**
 * Open the folder that a place's last name is in (O_PATH).
 * @ret_name  that name, inside `place`
 * Returns a descriptor of the caller's, or a negative errno; -EBUSY where the place is a mount.
 */
int files_open_parent(const struct place *place, const char **ret_name);

/* ---- files_private.c ---- */

/* Make the private folder as mount 0, and in it the places where mappings begin. */
int private_create(struct hermit_files *files, const struct hermit_files_options *options,
                   struct error *err);
int private_make_places(struct hermit_files *files, struct error *err);

/* Remove what was made. Before the mounts are closed. */
void private_destroy(struct hermit_files *files);

/* Count bytes against the limit, or back. quota_lock held. Returns 0 or -ENOSPC. */
int quota_charge(struct hermit_files *files, uint64_t bytes);
void quota_credit(struct hermit_files *files, uint64_t bytes);

/* ---- files_table.c ---- */

int table_init(struct hermit_files *files, unsigned open_max);
void table_deinit(struct hermit_files *files);

/**
 * Keep an open file as the guest's.
 * @file  copied; without its lock, and what is under table_lock
 * Returns its descriptor, or -EMFILE (its fd is still the caller's then).
 */
int table_add(struct hermit_files *files, const struct open_file *file);

/* Take a descriptor in use, or give it back; NULL: there is none. */
struct open_file *table_get(struct hermit_files *files, int32_t fd);
void table_put(struct hermit_files *files, struct open_file *file);

/* Whether any descriptor, or call that is under way, has this file. quota_lock held. */
bool table_has(struct hermit_files *files, dev_t dev, ino_t ino);

int table_close(struct hermit_files *files, int32_t fd);
void table_clear(struct hermit_files *files);

/* ---- What the hypercalls do. All return a negative errno where they fail. Any thread. ---- */

/* Paths are the guest's, terminated. Flags are Linux's for x86-64, which Hermit's are too. */
int files_open(struct hermit_files *files, const char *path, uint32_t flags, uint32_t mode);
int files_unlink(struct hermit_files *files, const char *path);
int files_mkdir(struct hermit_files *files, const char *path, uint32_t mode);
int files_stat(struct hermit_files *files, const char *path, bool follow, struct stat *ret_st);

int files_close(struct hermit_files *files, int32_t fd);
int files_fstat(struct hermit_files *files, int32_t fd, struct stat *ret_st);
int64_t files_lseek(struct hermit_files *files, int32_t fd, int64_t offset, uint32_t whence);

/* They return how many bytes; fewer than asked for at the end of the file, or where the buffer
 * holds no more memory. */
int64_t files_read(struct hermit_files *files, int32_t fd, const struct buffer *buffer);
int64_t files_write(struct hermit_files *files, int32_t fd, const struct buffer *buffer);

/* Entries as getdents64(2) has them. Returns how many bytes, 0 at the end. */
int64_t files_getdents(struct hermit_files *files, int32_t fd, const struct buffer *buffer);

#endif

/*
 * The host's side of a disk request: jobs on open files, done out of the way of the loop. Two
 * engines, io_uring and threads; who submits does not know which.
 *
 * A job is its owner's and must stay, with its iovecs and what they point to, until
 * block_io_reap() has given it back. At most `depth` are under way at a time; the owner counts.
 * All functions of one block_io are called one at a time (under the device's lock).
 */
#ifndef OSVM_VIRTIO_BLOCK_IO_H
#define OSVM_VIRTIO_BLOCK_IO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/thread.h"
#include "virtio/block.h"

#define BLOCK_IO_FILES 2

enum block_io_op {
    BLOCK_IO_READ,
    BLOCK_IO_WRITE,
    BLOCK_IO_SYNC,     /* fdatasync() */
    BLOCK_IO_ALLOCATE, /* fallocate() with `mode` */
};

struct block_io_job {
    enum block_io_op op;
    unsigned file;           /* which of the files */
    const struct iovec *iov; /* READ, WRITE */
    unsigned iov_count;
    bool durable; /* WRITE: on disk when it is done (RWF_DSYNC) */
    int mode;     /* ALLOCATE: FALLOC_FL_… */
    uint64_t offset, len;
    int64_t result; /* bytes moved, 0, or a negative errno */
    struct block_io_job *next;
};

struct block_io;

struct block_io_ops {
    const char *name;
    int (*start)(struct block_io *io); /* NULL: nothing to start */
    int (*submit)(struct block_io *io, struct block_io_job *job);
    int (*kick)(struct block_io *io);
    struct block_io_job *(*reap)(struct block_io *io);
    void (*destroy)(struct block_io *io);
};

struct block_io {
    const struct block_io_ops *ops;
    int poll_fd; /* readable while something is done and not reaped; for the loop, or poll() */
    int files[BLOCK_IO_FILES]; /* borrowed; -1: not there */
    struct thread_hook *hook;  /* borrowed; NULL: none */
};

/**
 * Make an engine for these files.
 *
 * @files   borrowed until block_io_destroy()
 * @depth   a power of two
 * @ret_io  freed by block_io_destroy(), when no job is under way any more
 * Returns 0 or a negative errno.
 */
int block_io_create(enum block_engine engine, const int files[BLOCK_IO_FILES], unsigned depth,
                    struct block_io **ret_io, struct error *err);
void block_io_destroy(struct block_io *io);
DEFINE_CLEANUP(struct block_io, block_io_destroy)

/*
 * Start its threads, where it has any; else the first block_io_kick() does it.
 * @hook  of the threads; borrowed for the engine's life. Returns 0 or a negative errno.
 */
int block_io_start(struct block_io *io, struct thread_hook *hook);

/* Take a job. It may begin only with block_io_kick(). Returns 0, or -EBUSY: it was not taken. */
int block_io_submit(struct block_io *io, struct block_io_job *job);

/* Begin all that was submitted. Returns 0, or a negative errno where the host could not take it
 * now: call again later. */
int block_io_kick(struct block_io *io);

/* Give back a job that is done, or NULL. */
struct block_io_job *block_io_reap(struct block_io *io);

/* The two engines. -ENOSYS or -EPERM from the first where the host allows no io_uring. */
int block_io_uring_create(const int files[BLOCK_IO_FILES], unsigned depth,
                          struct block_io **ret_io);
int block_io_threads_create(const int files[BLOCK_IO_FILES], struct block_io **ret_io);

#endif

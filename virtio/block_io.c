#include "block_io.h"

#include <errno.h>

int block_io_create(enum block_engine engine, const int files[BLOCK_IO_FILES], unsigned depth,
                    struct block_io **ret_io, struct error *err)
{
    int r = -ENOSYS;

    if (engine != BLOCK_ENGINE_THREADS)
        r = block_io_uring_create(files, depth, ret_io);
    /* ENOSYS: not in this kernel; EPERM: kernel.io_uring_disabled, or a container's seccomp. */
    if (engine == BLOCK_ENGINE_THREADS ||
        (engine == BLOCK_ENGINE_AUTO && (r == -ENOSYS || r == -EPERM)))
        r = block_io_threads_create(files, ret_io);
    return r < 0 ? error_set_errno(err, r, "cannot prepare asynchronous I/O") : 0;
}

void block_io_destroy(struct block_io *io)
{
    if (io)
        io->ops->destroy(io);
}

int block_io_start(struct block_io *io, struct thread_hook *hook)
{
    io->hook = hook;
    return io->ops->start ? io->ops->start(io) : 0;
}

int block_io_submit(struct block_io *io, struct block_io_job *job)
{
    return io->ops->submit(io, job);
}

int block_io_kick(struct block_io *io)
{
    return io->ops->kick(io);
}

struct block_io_job *block_io_reap(struct block_io *io)
{
    return io->ops->reap(io);
}

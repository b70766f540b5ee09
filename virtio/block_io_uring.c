/*
 * Jobs by io_uring. The ring's own descriptor is what the loop polls: it is readable while a
 * completion waits.
 *
 * The files are not registered with the ring: it would keep them open, and so locked, for a while
 * after this process has ended, and the next VM would find its disk in use.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

#include "base/util.h"
#include "block_io.h"

struct uring {
    struct block_io io;
    struct io_uring ring;
};

static struct uring *uring_of(struct block_io *io)
{
    return container_of(io, struct uring, io);
}

static int uring_submit(struct block_io *io, struct block_io_job *job)
{
    struct uring *uring = uring_of(io);
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
    int file = io->files[job->file];

    if (!sqe)
        return -EBUSY;
    switch (job->op) {
    case BLOCK_IO_READ:
        io_uring_prep_readv(sqe, file, job->iov, job->iov_count, job->offset);
        break;
    case BLOCK_IO_WRITE:
        io_uring_prep_writev2(sqe, file, job->iov, job->iov_count, job->offset,
                              job->durable ? RWF_DSYNC : 0);
        break;
    case BLOCK_IO_SYNC:
        io_uring_prep_fsync(sqe, file, IORING_FSYNC_DATASYNC);
        break;
    case BLOCK_IO_ALLOCATE:
        io_uring_prep_fallocate(sqe, file, job->mode, (off_t)job->offset, (off_t)job->len);
        break;
    }
    io_uring_sqe_set_data(sqe, job);
    return 0;
}

static int uring_kick(struct block_io *io)
{
    struct uring *uring = uring_of(io);

    while (io_uring_sq_ready(&uring->ring) > 0) {
        int r = io_uring_submit(&uring->ring);

        if (r < 0 && r != -EINTR)
            return r;
        if (r == 0)
            return -EAGAIN;
    }
    return 0;
}

static struct block_io_job *uring_reap(struct block_io *io)
{
    struct uring *uring = uring_of(io);
    struct io_uring_cqe *cqe = NULL;
    struct block_io_job *job;

    if (io_uring_peek_cqe(&uring->ring, &cqe) < 0 || !cqe)
        return NULL;
    job = io_uring_cqe_get_data(cqe);
    job->result = cqe->res;
    io_uring_cqe_seen(&uring->ring, cqe);
    return job;
}

static void uring_destroy(struct block_io *io)
{
    struct uring *uring = uring_of(io);

    io_uring_queue_exit(&uring->ring);
    free(uring);
}

static const struct block_io_ops uring_ops = {
    .name = "io_uring",
    .submit = uring_submit,
    .kick = uring_kick,
    .reap = uring_reap,
    .destroy = uring_destroy,
};

int block_io_uring_create(const int files[BLOCK_IO_FILES], unsigned depth, struct block_io **ret_io)
{
    _cleanup_free_ struct uring *uring = calloc(1, sizeof(*uring));
    int r;

    if (!uring)
        return -ENOMEM;
    /* COOP_TASKRUN (Linux 5.19): a completion does not interrupt the loop at what it is doing. */
    r = io_uring_queue_init(depth, &uring->ring, IORING_SETUP_COOP_TASKRUN);
    if (r == -EINVAL)
        r = io_uring_queue_init(depth, &uring->ring, 0);
    if (r < 0)
        return r;
    uring->io.ops = &uring_ops;
    uring->io.poll_fd = uring->ring.ring_fd;
    for (unsigned i = 0; i < BLOCK_IO_FILES; i++)
        uring->io.files[i] = files[i];
    *ret_io = &take_ptr(uring)->io;
    return 0;
}

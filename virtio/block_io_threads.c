/* Jobs by two threads that do blocking calls, for hosts without io_uring. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/util.h"
#include "block_io.h"

#define THREADS 2 /* so that a long flush does not hold up a read */

struct job_list {
    struct block_io_job *first, **end;
};

struct pool {
    struct block_io io;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    struct job_list waiting, done;
    bool ending;
    unsigned started;
    pthread_t threads[THREADS];
    struct job_list submitted; /* not kicked yet: the owner's */
};

static struct pool *pool_of(struct block_io *io)
{
    return container_of(io, struct pool, io);
}

static void list_init(struct job_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

static void list_add(struct job_list *list, struct block_io_job *job)
{
    job->next = NULL;
    *list->end = job;
    list->end = &job->next;
}

static struct block_io_job *list_take(struct job_list *list)
{
    struct block_io_job *job = list->first;

    if (!job)
        return NULL;
    list->first = job->next;
    if (!list->first)
        list->end = &list->first;
    return job;
}

static int64_t do_job(int fd, const struct block_io_job *job)
{
    ssize_t r = -1;

    switch (job->op) {
    case BLOCK_IO_READ:
        r = preadv(fd, job->iov, (int)job->iov_count, (off_t)job->offset);
        break;
    case BLOCK_IO_WRITE:
        r = pwritev2(fd, job->iov, (int)job->iov_count, (off_t)job->offset,
                     job->durable ? RWF_DSYNC : 0);
        break;
    case BLOCK_IO_SYNC:
        r = fdatasync(fd);
        break;
    case BLOCK_IO_ALLOCATE:
        r = fallocate(fd, job->mode, (off_t)job->offset, (off_t)job->len);
        break;
    }
    return r < 0 ? -errno : r;
}

static void tell(const struct pool *pool)
{
    const uint64_t one = 1;

    if (write(pool->io.poll_fd, &one, sizeof(one)) < 0) {
        /* EAGAIN: the counter is full, so the owner is told anyway. */
    }
}

static void *run_thread(void *arg)
{
    struct pool *pool = arg;

    if (thread_begin(pool->io.hook, THREAD_BLOCK) < 0)
        return NULL;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        struct block_io_job *job;

        while (!pool->waiting.first && !pool->ending)
            pthread_cond_wait(&pool->wake, &pool->lock);
        job = list_take(&pool->waiting);
        if (!job)
            break;
        pthread_mutex_unlock(&pool->lock);
        job->result = do_job(pool->io.files[job->file], job);
        pthread_mutex_lock(&pool->lock);
        list_add(&pool->done, job);
        tell(pool); /* under the lock, or the one who reaps could clear it before it is set */
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static int pool_submit(struct block_io *io, struct block_io_job *job)
{
    list_add(&pool_of(io)->submitted, job);
    return 0;
}

/* No signal is theirs: the loop takes the program's. */
static int pool_start(struct block_io *io)
{
    struct pool *pool = pool_of(io);
    sigset_t all, before;
    int r = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (r == 0 && pool->started < THREADS) {
        r = -pthread_create(&pool->threads[pool->started], NULL, run_thread, pool);
        if (r == 0)
            pool->started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

static int pool_kick(struct block_io *io)
{
    struct pool *pool = pool_of(io);
    struct block_io_job *job;

    if (!pool->submitted.first)
        return 0;
    if (pool->started < THREADS) {
        int r = pool_start(io);

        if (r < 0)
            return r;
    }
    pthread_mutex_lock(&pool->lock);
    for (job = list_take(&pool->submitted); job; job = list_take(&pool->submitted))
        list_add(&pool->waiting, job);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    return 0;
}

static struct block_io_job *pool_reap(struct block_io *io)
{
    struct pool *pool = pool_of(io);
    struct block_io_job *job;
    uint64_t count;

    pthread_mutex_lock(&pool->lock);
    job = list_take(&pool->done);
    if (!job && read(pool->io.poll_fd, &count, sizeof(count)) < 0) {
        /* EAGAIN: nothing was told since it was cleared last. */
    }
    pthread_mutex_unlock(&pool->lock);
    return job;
}

static void pool_destroy(struct block_io *io)
{
    struct pool *pool = pool_of(io);

    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->started; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    close_fd(pool->io.poll_fd);
    free(pool);
}

static const struct block_io_ops pool_ops = {
    .name = "threads",
    .start = pool_start,
    .submit = pool_submit,
    .kick = pool_kick,
    .reap = pool_reap,
    .destroy = pool_destroy,
};

int block_io_threads_create(const int files[BLOCK_IO_FILES], struct block_io **ret_io)
{
    struct pool *pool = calloc(1, sizeof(*pool));

    if (!pool)
        return -ENOMEM;
    pool->io.ops = &pool_ops;
    for (unsigned i = 0; i < BLOCK_IO_FILES; i++)
        pool->io.files[i] = files[i];
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    list_init(&pool->waiting);
    list_init(&pool->done);
    list_init(&pool->submitted);
    pool->io.poll_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pool->io.poll_fd < 0) {
        int r = -errno;

        pool_destroy(&pool->io);
        return r;
    }
    *ret_io = &pool->io;
    return 0;
}

/* Section numbers are those of virtio 1.2. */
#include "virtio/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/util.h"
#include "fs_session.h"

/* 5.11.2: without notifications, which are not offered. */
enum { QUEUE_HIPRIO, QUEUE_REQUEST, QUEUE_COUNT };

#define QUEUE_SIZE VIRTQUEUE_MAX_SIZE

/* 5.11.4: struct virtio_fs_config. */
enum {
    CONFIG_TAG = 0,
    CONFIG_NUM_REQUEST_QUEUES = VIRTIO_FS_TAG_MAX,
    CONFIG_SIZE = 40,
};

/*
 * Who owns what: the worker takes one chain at a time, under the device's lock, and is then busy
 * with it; while it is, the session, the chain and the guest memory of the chain are its own.
 * A reset waits until it is not, and begins a new epoch, so that what the worker has to say about
 * the old one is dropped. Locks: the device's first, then `lock`; the worker waits for the former
 * only while it is not busy.
 */
struct virtio_fs {
    struct virtio_device device;
    uint8_t config[CONFIG_SIZE];
    uint64_t epoch; /* under the device's lock */

    struct fs_session session;
    struct virtq_chain chain;

    struct thread_hook *hook; /* borrowed; NULL: none */
    pthread_t worker;
    bool has_worker;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake, idle;
    bool called, busy, ending;
};

static struct virtio_fs *fs_of(struct virtio_device *device)
{
    return container_of(device, struct virtio_fs, device);
}

/* ---- The worker. ---- */

static void set_busy(struct virtio_fs *fs, bool busy)
{
    pthread_mutex_lock(&fs->lock);
    fs->busy = busy;
    if (!busy)
        pthread_cond_broadcast(&fs->idle);
    pthread_mutex_unlock(&fs->lock);
}

/* Returns false when the worker is to end. */
static bool wait_for_call(struct virtio_fs *fs)
{
    bool ending;

    pthread_mutex_lock(&fs->lock);
    while (!fs->called && !fs->ending)
        pthread_cond_wait(&fs->wake, &fs->lock);
    fs->called = false;
    ending = fs->ending;
    pthread_mutex_unlock(&fs->lock);
    return !ending;
}

static bool can_work(const struct virtio_fs *fs)
{
    return fs->device.active && !(fs->device.status & VIRTIO_STATUS_NEEDS_RESET);
}

/* Take from one queue. Returns 1; 0 where there is none, or -EPROTO. Device's lock held. */
static int pop(struct virtio_fs *fs, unsigned queue)
{
    struct virtqueue *vq = &fs->device.queues[queue];
    int r;

    if (!vq->ready)
        return 0;
    virtqueue_quiet(vq);
    do {
        r = virtqueue_pop(vq, &fs->chain);
    } while (r == 0 && virtqueue_listen(vq));
    return r;
}

/* Take the next request. Returns whether there is one. Device's lock held. */
static bool take_request(struct virtio_fs *fs, unsigned *ret_queue)
{
    unsigned queue = QUEUE_HIPRIO;
    int r = 0;

    if (!can_work(fs))
        return false;
    while (r == 0 && queue < QUEUE_COUNT) {
        r = pop(fs, queue);
        if (r == 0)
            queue++;
    }
    if (r < 0)
        virtio_device_break(&fs->device, "the driver filled a queue with nonsense");
    *ret_queue = queue;
    return r > 0;
}

/* Serve one request. Returns whether there was one. */
static bool serve_one(struct virtio_fs *fs)
{
    unsigned queue = 0;
    uint32_t len = 0;
    uint64_t epoch;
    bool taken;
    int r;

    pthread_mutex_lock(&fs->device.lock);
    epoch = fs->epoch;
    taken = take_request(fs, &queue);
    if (taken)
        set_busy(fs, true);
    pthread_mutex_unlock(&fs->device.lock);
    if (!taken)
        return false;

    r = fs_session_serve(&fs->session, &fs->chain, &len);
    set_busy(fs, false);
    pthread_mutex_lock(&fs->device.lock);
    if (epoch == fs->epoch && can_work(fs)) {
        if (r < 0) {
            virtio_device_break(&fs->device, "the driver made a request that is none");
        } else {
            virtqueue_push(&fs->device.queues[queue], fs->chain.head, len);
            virtio_device_flush(&fs->device, queue);
        }
    }
    pthread_mutex_unlock(&fs->device.lock);
    return true;
}

static void *run_worker(void *arg)
{
    struct virtio_fs *fs = arg;

    if (thread_begin(fs->hook, THREAD_FS) < 0)
        return NULL;
    while (wait_for_call(fs)) {
        while (serve_one(fs)) {
        }
    }
    return NULL;
}

/* No signal is the worker's: the loop takes the program's. SIGXFSZ too becomes -EFBIG so. */
static int start_worker(struct virtio_fs *fs)
{
    sigset_t all, before;
    int r;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = -pthread_create(&fs->worker, NULL, run_worker, fs);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    fs->has_worker = r == 0;
    return r;
}

/* ---- The device. ---- */

static int fs_start(struct virtio_device *device, struct thread_hook *hook)
{
    struct virtio_fs *fs = fs_of(device);

    fs->hook = hook;
    return start_worker(fs);
}

static int fs_activate(struct virtio_device *device)
{
    struct virtio_fs *fs = fs_of(device);

    return fs->has_worker ? 0 : start_worker(fs);
}

static void fs_notify(struct virtio_device *device, unsigned queue)
{
    struct virtio_fs *fs = fs_of(device);

    (void)queue;
    pthread_mutex_lock(&fs->lock);
    fs->called = true;
    pthread_cond_signal(&fs->wake);
    pthread_mutex_unlock(&fs->lock);
}

static void fs_reset(struct virtio_device *device)
{
    struct virtio_fs *fs = fs_of(device);

    fs->epoch++;
    pthread_mutex_lock(&fs->lock);
    while (fs->busy)
        pthread_cond_wait(&fs->idle, &fs->lock);
    pthread_mutex_unlock(&fs->lock);
    fs_session_clear(&fs->session);
}

static void end_worker(struct virtio_fs *fs)
{
    if (!fs->has_worker)
        return;
    pthread_mutex_lock(&fs->device.lock);
    fs->device.active = false; /* nothing more is taken */
    pthread_mutex_unlock(&fs->device.lock);
    pthread_mutex_lock(&fs->lock);
    fs->ending = true;
    pthread_cond_signal(&fs->wake);
    pthread_mutex_unlock(&fs->lock);
    pthread_join(fs->worker, NULL);
}

static void fs_destroy(struct virtio_device *device)
{
    struct virtio_fs *fs = fs_of(device);

    end_worker(fs);
    fs_session_deinit(&fs->session);
    pthread_cond_destroy(&fs->wake);
    pthread_cond_destroy(&fs->idle);
    pthread_mutex_destroy(&fs->lock);
    virtio_device_deinit(device);
    free(fs);
}

static const struct virtio_device_ops fs_ops = {
    .start = fs_start,
    .activate = fs_activate,
    .reset = fs_reset,
    .notify = fs_notify,
    .destroy = fs_destroy,
};

/* ---- Making it. ---- */

static int check_tag(const char *tag, struct error *err)
{
    if (!tag || !*tag)
        return error_set(err, -EINVAL, "the tag is empty");
    if (strlen(tag) > VIRTIO_FS_TAG_MAX)
        return error_set(err, -ENAMETOOLONG, "the tag is longer than %d bytes", VIRTIO_FS_TAG_MAX);
    return 0;
}

/* Open the folder and see that what is wanted of it can be done. */
static int open_folder(const struct virtio_fs_options *options, int *ret_fd, struct error *err)
{
    _cleanup_close_ int fd = open(options->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int inside = -1;

    if (fd < 0) {
        switch (errno) {
        case ENOENT:
            return error_set(err, -ENOENT, "there is no such folder");
        case ENOTDIR:
            return error_set(err, -ENOTDIR, "it is not a folder");
        case EACCES:
            return error_set(err, -EACCES, "no right to reach the folder");
        default:
            return error_set_errno(err, -errno, "cannot open the folder");
        }
    }
    if (faccessat(fd, "", R_OK | X_OK, AT_EMPTY_PATH | AT_EACCESS) < 0)
        return error_set(err, -EACCES, "no right to read the folder");
    if (!options->read_only && faccessat(fd, "", W_OK, AT_EMPTY_PATH | AT_EACCESS) < 0)
        return errno == EROFS
                   ? error_set(err, -EROFS, "the folder is on a filesystem that is read only")
                   : error_set(err, -EACCES, "no right to write in the folder");
    inside = fs_open_beneath(fd, ".", O_RDONLY | O_DIRECTORY, 0);
    if (inside < 0)
        return error_set_errno(err, inside, "cannot open the folder with openat2()");
    *ret_fd = take_fd(&fd);
    return 0;
}

static unsigned descriptors_each(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return FS_MAX_HANDLES / 4;
    return (unsigned)max_u64(min_u64(limit.rlim_cur / 4, FS_MAX_HANDLES), 1);
}

int virtio_fs_create(const struct virtio_env *env, const char *name,
                     const struct virtio_fs_options *options, struct virtio_device **ret,
                     struct error *err)
{
    _cleanup_close_ int root_fd = -1;
    struct virtio_fs *fs;
    int r = check_tag(options->tag, err);

    if (r == 0)
        r = open_folder(options, &root_fd, err);
    if (r < 0)
        return r;
    fs = calloc(1, sizeof(*fs));
    if (!fs)
        return error_set(err, -ENOMEM, "out of memory");
    memcpy(fs->config + CONFIG_TAG, options->tag, strlen(options->tag));
    store_le32(fs->config + CONFIG_NUM_REQUEST_QUEUES, 1);
    fs->device.id = VIRTIO_ID_FS;
    fs->device.name = name;
    fs->device.ops = &fs_ops;
    fs->device.queue_count = QUEUE_COUNT;
    fs->device.queue_size = QUEUE_SIZE;
    fs->device.config = fs->config;
    fs->device.config_size = CONFIG_SIZE;
    virtio_device_init(&fs->device, env);
    pthread_mutex_init(&fs->lock, NULL);
    pthread_cond_init(&fs->wake, NULL);
    pthread_cond_init(&fs->idle, NULL);
    fs->session.read_only = options->read_only;
    fs->session.size_limit = options->size_limit;
    fs->session.budget = options->budget;
    r = fs_session_init(&fs->session, take_fd(&root_fd), descriptors_each());
    if (r < 0) {
        fs_destroy(&fs->device);
        return error_set_errno(err, r, "cannot begin to share");
    }
    *ret = &fs->device;
    return 0;
}

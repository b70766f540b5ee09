/* Section numbers are those of virtio 1.2. */
#include "virtio/block.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"
#include "block_config.h"
#include "block_io.h"
#include "block_request.h"
#include "virtio/block_file.h"

/* Of the queue, and so of the requests under way. A guest may put one head in several times, so
 * they are counted. */
#define QUEUE_SIZE VIRTQUEUE_MAX_SIZE

#define RETRY_NS (10 * NS_PER_MS) /* where the host takes no I/O for the moment */
#define SLOW_MS  5000             /* waiting for it longer than that is said */

struct virtio_block {
    struct virtio_device device;
    struct block_disk disk;
    struct block_io *io;
    struct loop_source io_source;
    struct loop_timer timer; /* to go on by itself */
    struct rate_limit limit;
    uint8_t config[BLOCK_CONFIG_SIZE];
    struct log_limit error_limit;
    uint8_t *bounce; /* BLOCK_BOUNCE_SIZE for each request; NULL without direct */

    struct block_request *requests; /* QUEUE_SIZE; memory is touched only as they are used */
    unsigned requests_used;         /* of them, how many ever were */
    struct block_request *free;     /* those that were and are no more */
    unsigned in_flight;             /* with the engine */
    struct block_request *parked;   /* waits for the rate limit; nothing is taken meanwhile */
    bool starved;                   /* the queue may hold more than there were requests for */

    bool has_next; /* another file is to take this one's place; nothing is taken meanwhile */
    struct block_file next;
    struct virtio_block_counters counters;
};

static struct virtio_block *block_of(struct virtio_device *device)
{
    return container_of(device, struct virtio_block, device);
}

/* ---- Requests. ---- */

static struct block_request *get_request(struct virtio_block *block)
{
    struct block_request *request = block->free;

    if (request) {
        block->free = request->next_free;
        return request;
    }
    if (block->requests_used == QUEUE_SIZE)
        return NULL;
    request = &block->requests[block->requests_used];
    if (block->bounce)
        request->bounce = block->bounce + block->requests_used * BLOCK_BOUNCE_SIZE;
    block->requests_used++;
    return request;
}

static void put_request(struct virtio_block *block, struct block_request *request)
{
    request->next_free = block->free;
    block->free = request;
}

static void log_failure(struct virtio_block *block, const struct block_request *request)
{
    static const char *const what[] = {
        [BLOCK_IO_READ] = "reading",
        [BLOCK_IO_WRITE] = "writing",
        [BLOCK_IO_SYNC] = "a flush",
        [BLOCK_IO_ALLOCATE] = "a discard or zeroing",
    };

    log_write_limited(block->device.env.log, &block->error_limit, LOG_WARNING,
                      "%s: %s at byte %llu failed: %s%s", block->device.name, what[request->job.op],
                      (unsigned long long)request->offset, strerror(-request->error),
                      request->job.op == BLOCK_IO_SYNC && block->disk.flush_lost
                          ? "; so will every later one"
                          : "");
}

static void count(struct virtio_block_counters *counters, const struct block_request *request)
{
    counters->failed += request->error < 0;
    if (request->status != BLOCK_STATUS_OK)
        return;
    if (request->type == BLOCK_TYPE_IN) {
        counters->read_ops++;
        counters->read_bytes += request->cost;
    } else if (request->type == BLOCK_TYPE_OUT) {
        counters->write_ops++;
        counters->write_bytes += request->cost;
    } else if (request->type == BLOCK_TYPE_FLUSH) {
        counters->flushes++;
    }
}

/* Answer. The driver sees it with the next virtio_device_flush(). */
static void finish(struct virtio_block *block, struct block_request *request)
{
    count(&block->counters, request);
    if (request->error < 0)
        log_failure(block, request);
    if (!(block->device.status & VIRTIO_STATUS_NEEDS_RESET)) {
        *request->status_byte = (uint8_t)request->status;
        virtqueue_push(&block->device.queues[0], request->chain.head,
                       block_request_used_len(request));
    }
    put_request(block, request);
}

/* Do the next thing for it. */
static void advance(struct virtio_block *block, struct block_request *request)
{
    if (!block_request_next(&block->disk, request)) {
        finish(block, request);
        return;
    }
    if (block_io_submit(block->io, &request->job) < 0) {
        request->status = BLOCK_STATUS_IOERR;
        request->error = -EBUSY;
        finish(block, request);
        return;
    }
    block->in_flight++;
}

/* Begin it, or let it wait for its tokens. Returns whether another one may be taken. */
static bool admit(struct virtio_block *block, struct block_request *request)
{
    uint64_t wait = 0;

    if (rate_limit_is_set(&block->limit))
        wait = rate_limit_take(&block->limit, request->cost, clock_monotonic_ns());
    if (wait == 0) {
        advance(block, request);
        return true;
    }
    block->parked = request;
    block->counters.throttled++;
    loop_timer_arm(&block->timer, wait, 0);
    return false;
}

/* ---- The queue. ---- */

/* Take one request. Returns 1; 0 where no more is to be taken now; -EPROTO for nonsense. */
static int take_one(struct virtio_block *block)
{
    struct virtqueue *vq = &block->device.queues[0];
    struct block_request *request = get_request(block);
    int r;

    block->starved = !request;
    if (!request)
        return 0;
    r = virtqueue_pop(vq, &request->chain);
    if (r > 0)
        r = block_request_parse(&block->disk, request) < 0 ? -EPROTO : 1;
    if (r <= 0) {
        put_request(block, request);
        if (r < 0 || !virtqueue_listen(vq))
            return r;
        virtqueue_quiet(vq); /* something came meanwhile */
        return 1;
    }
    return admit(block, request);
}

/* Take in what the engine has done. */
static void reap(struct virtio_block *block)
{
    struct block_io_job *job;

    while ((job = block_io_reap(block->io))) {
        struct block_request *request = container_of(job, struct block_request, job);

        block->in_flight--;
        block_request_take_result(&block->disk, request);
        if (block->device.status & VIRTIO_STATUS_NEEDS_RESET)
            put_request(block, request);
        else
            advance(block, request);
    }
}

/* Go on with everything, one turn: no more than a queue's worth, so that the loop gets round. */
static void work(struct virtio_block *block)
{
    struct virtqueue *vq = &block->device.queues[0];
    unsigned turns = QUEUE_SIZE;
    int r = 1;

    reap(block);
    virtqueue_quiet(vq);
    if (block->has_next)
        r = 0;
    else if (block->parked)
        r = admit(block, take_ptr(block->parked));
    while (r > 0 && turns-- > 0)
        r = take_one(block);
    if (block_io_kick(block->io) < 0)
        loop_timer_arm(&block->timer, RETRY_NS, 0);
    reap(block); /* what the page cache has is done already */
    if (block_io_kick(block->io) < 0)
        loop_timer_arm(&block->timer, RETRY_NS, 0);
    virtio_device_flush(&block->device, 0);
    if (r < 0)
        virtio_device_break(&block->device, "the driver made a request that is none");
    else if (block->has_next ? block->in_flight == 0
                             : r > 0 || (block->starved && block->in_flight < QUEUE_SIZE))
        loop_timer_arm(&block->timer, 0, 0); /* no completion need come to go on by */
}

/* ---- Another file. ---- */

/* What waits for its tokens was judged by the old file's size: it is taken anew. */
static void unpark(struct virtio_block *block)
{
    if (!block->parked)
        return;
    put_request(block, take_ptr(block->parked));
    virtqueue_unpop(&block->device.queues[0]);
}

static void take_size(struct virtio_block *block, uint64_t size)
{
    block->disk.file.size = size;
    store_le64(block->config + BLOCK_CONFIG_CAPACITY, size / BLOCK_SECTOR_SIZE);
    virtio_device_config_changed(&block->device);
}

/* Once nothing uses the old one. The loop's thread. Returns whether it was done. */
static bool change_file(struct virtio_block *block)
{
    struct block_file *file = &block->disk.file;

    if (!block->has_next || block->in_flight > 0)
        return false;
    unpark(block);
    block->has_next = false;
    if (block->next.fd >= 0) {
        block_file_close(file);
        *file = block->next;
        block->io->files[BLOCK_FILE_MAIN] = file->fd;
        block->io->files[BLOCK_FILE_BUFFERED] = file->buffered_fd;
        block->disk.flush_lost = block->disk.no_zero_range = false;
    }
    take_size(block, block->next.size);
    return true;
}

static bool can_work(const struct virtio_block *block)
{
    return block->device.active && block->device.queues[0].ready &&
           !(block->device.status & VIRTIO_STATUS_NEEDS_RESET);
}

static void go_on(struct virtio_block *block)
{
    if (can_work(block))
        work(block);
    else
        reap(block);
}

static void on_event(struct virtio_block *block)
{
    pthread_mutex_lock(&block->device.lock);
    go_on(block);
    if (change_file(block))
        go_on(block);
    pthread_mutex_unlock(&block->device.lock);
}

static void on_io(struct loop_source *source, uint32_t events)
{
    (void)events;
    on_event(container_of(source, struct virtio_block, io_source));
}

static void on_timer(struct loop_timer *timer)
{
    on_event(container_of(timer, struct virtio_block, timer));
}

/* ---- The device. ---- */

/* 5.2.6.2: without FLUSH the driver relies on every write; with CONFIG_WCE it chooses. */
static void choose_cache(struct virtio_block *block)
{
    bool writeback = virtio_device_has(&block->device, VIRTIO_BLK_F_FLUSH);

    if (writeback && virtio_device_has(&block->device, VIRTIO_BLK_F_CONFIG_WCE))
        writeback = block->config[BLOCK_CONFIG_WRITEBACK];
    block->disk.writethrough = !writeback && !block->disk.ignore_flush;
}

static int block_activate(struct virtio_device *device)
{
    choose_cache(block_of(device));
    return 0;
}

static void block_notify(struct virtio_device *device, unsigned queue)
{
    (void)queue;
    work(block_of(device));
}

/* Wait for what is in flight, because the host writes into guest memory until it is done. */
static void drain(struct virtio_block *block)
{
    bool said = false;

    while (block->in_flight > 0) {
        int kicked = block_io_kick(block->io);
        struct block_io_job *job = block_io_reap(block->io);
        struct pollfd pollfd = {.fd = block->io->poll_fd, .events = POLLIN};

        if (job) {
            block->in_flight--;
            put_request(block, container_of(job, struct block_request, job));
        } else if (poll(&pollfd, 1, kicked < 0 ? (int)(RETRY_NS / NS_PER_MS) : SLOW_MS) == 0 &&
                   kicked == 0 && !said) {
            said = true;
            log_warning(block->device.env.log,
                        "%s: a reset waits for %u requests that the host does not finish",
                        block->device.name, block->in_flight);
        }
    }
}

static void block_reset(struct virtio_device *device)
{
    struct virtio_block *block = block_of(device);

    loop_timer_disarm(&block->timer);
    drain(block);
    if (block->parked)
        put_request(block, take_ptr(block->parked));
    block->starved = false;
    if (block->has_next) /* another one's thread must not close files */
        loop_timer_arm(&block->timer, 0, 0);
    block->config[BLOCK_CONFIG_WRITEBACK] = 1; /* 5.2.5: where FLUSH is offered */
}

/* 5.2.4: one byte of it is the driver's. */
static void block_config_write(struct virtio_device *device, uint32_t offset, const void *buf,
                               uint32_t len)
{
    struct virtio_block *block = block_of(device);
    const uint8_t *bytes = buf;

    if (!virtio_device_has(device, VIRTIO_BLK_F_CONFIG_WCE) || offset > BLOCK_CONFIG_WRITEBACK ||
        len <= BLOCK_CONFIG_WRITEBACK - offset)
        return;
    block->config[BLOCK_CONFIG_WRITEBACK] = bytes[BLOCK_CONFIG_WRITEBACK - offset] & 1;
    choose_cache(block);
}

static void block_free(struct virtio_block *block)
{
    struct loop *loop;

    if (!block)
        return;
    loop = block->device.env.loop;
    if (block->io)
        drain(block);
    loop_remove(loop, &block->io_source);
    loop_timer_remove(loop, &block->timer);
    block_io_destroy(block->io);
    if (block->bounce)
        munmap(block->bounce, QUEUE_SIZE * BLOCK_BOUNCE_SIZE);
    if (block->disk.zeroes)
        munmap(block->disk.zeroes, BLOCK_ZEROES_SIZE);
    block_file_close(&block->disk.file);
    if (block->has_next)
        block_file_close(&block->next);
    virtio_device_deinit(&block->device);
    free(block->requests);
    free(block);
}

static void block_destroy(struct virtio_device *device)
{
    block_free(block_of(device));
}

static int block_start(struct virtio_device *device, struct thread_hook *hook)
{
    return block_io_start(container_of(device, struct virtio_block, device)->io, hook);
}

static const struct virtio_device_ops block_ops = {
    .start = block_start,
    .activate = block_activate,
    .reset = block_reset,
    .notify = block_notify,
    .config_write = block_config_write,
    .destroy = block_destroy,
};

/* ---- Making it. ---- */

static int map_anonymous(size_t size, int protection, uint8_t **ret_memory)
{
    void *memory = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED)
        return -errno;
    *ret_memory = memory;
    return 0;
}

static int fill_disk(struct virtio_block *block, const struct virtio_block_options *options,
                     struct error *err)
{
    struct block_disk *disk = &block->disk;
    int r = block_file_open(options, &disk->file, err);

    if (r < 0)
        return r;
    disk->read_only = options->read_only;
    disk->direct = options->cache == BLOCK_CACHE_DIRECT;
    disk->ignore_flush = options->cache == BLOCK_CACHE_UNSAFE || !options->path;
    disk->offers_discard = disk->file.can_punch_holes;
    disk->offers_zeroes = !disk->read_only;
    memcpy(disk->serial, options->serial, sizeof(disk->serial));
    if (!disk->read_only)
        r = map_anonymous(BLOCK_ZEROES_SIZE, PROT_READ, &disk->zeroes);
    if (r == 0 && disk->direct)
        r = map_anonymous(QUEUE_SIZE * BLOCK_BOUNCE_SIZE, PROT_READ | PROT_WRITE, &block->bounce);
    block->requests = calloc(QUEUE_SIZE, sizeof(*block->requests));
    if (r < 0 || !block->requests)
        return error_set(err, -ENOMEM, "out of memory");
    return 0;
}

static int start_engine(struct virtio_block *block, enum block_engine engine, struct error *err)
{
    const int files[BLOCK_IO_FILES] = {block->disk.file.fd, block->disk.file.buffered_fd};
    struct loop *loop = block->device.env.loop;
    int r = block_io_create(engine, files, QUEUE_SIZE, &block->io, err);

    if (r < 0)
        return r;
    block->io_source =
        (struct loop_source){.fd = block->io->poll_fd, .events = EPOLLIN, .callback = on_io};
    block->timer.callback = on_timer;
    r = loop_add(loop, &block->io_source);
    if (r == 0)
        r = loop_timer_add(loop, &block->timer);
    return r < 0 ? error_set_errno(err, r, "cannot watch its I/O") : 0;
}

DEFINE_CLEANUP(struct virtio_block, block_free)

int virtio_block_create(const struct virtio_env *env, const char *name,
                        const struct virtio_block_options *options, struct virtio_device **ret,
                        struct error *err)
{
    _cleanup_(block_free_cleanup) struct virtio_block *block = calloc(1, sizeof(*block));
    int r;

    if (!block)
        return error_set(err, -ENOMEM, "out of memory");
    block->disk.file.fd = block->disk.file.buffered_fd = -1;
    block->device.name = name;
    block->device.id = VIRTIO_ID_BLOCK;
    block->device.ops = &block_ops;
    block->device.queue_count = 1;
    block->device.queue_size = QUEUE_SIZE;
    block->device.config = block->config;
    block->device.config_size = BLOCK_CONFIG_SIZE;
    virtio_device_init(&block->device, env);
    r = fill_disk(block, options, err);
    if (r == 0)
        r = start_engine(block, options->engine, err);
    if (r < 0)
        return r;
    block->device.features |= block_config_features(&block->disk);
    block_config_fill(&block->disk, QUEUE_SIZE, block->config);
    rate_limit_init(&block->limit, &options->bytes, &options->ops, clock_monotonic_ns());
    if (options->cache == BLOCK_CACHE_UNSAFE)
        log_info(env->log, "%s: cache=unsafe: the guest's flushes are answered and not done", name);
    *ret = &take_ptr(block)->device;
    return 0;
}

void virtio_block_replace(struct virtio_device *device, const struct block_file *file)
{
    struct virtio_block *block = block_of(device);

    pthread_mutex_lock(&device->lock);
    if (block->has_next && (file->fd >= 0 || block->next.fd < 0)) {
        block_file_close(&block->next);
        block->next = *file;
    } else if (block->has_next) {
        block->next.size = file->size;
    } else {
        block->next = *file;
    }
    block->has_next = true;
    if (change_file(block))
        go_on(block);
    pthread_mutex_unlock(&device->lock);
}

void virtio_block_set_rate(struct virtio_device *device, const struct rate_limit_change *change)
{
    struct virtio_block *block = block_of(device);

    pthread_mutex_lock(&device->lock);
    rate_limit_apply(&block->limit, change, clock_monotonic_ns());
    if (block->parked)
        loop_timer_arm(&block->timer, 0, 0);
    pthread_mutex_unlock(&device->lock);
}

void virtio_block_counters_get(struct virtio_device *device, struct virtio_block_counters *ret)
{
    pthread_mutex_lock(&device->lock);
    *ret = block_of(device)->counters;
    pthread_mutex_unlock(&device->lock);
}

uint64_t virtio_block_size(const struct virtio_device *device)
{
    const uint8_t *config = device->config;

    return load_le64(config + BLOCK_CONFIG_CAPACITY) * BLOCK_SECTOR_SIZE;
}

const char *virtio_block_engine(const struct virtio_device *device)
{
    const struct virtio_block *block = container_of(device, const struct virtio_block, device);

    return block->io->ops->name;
}

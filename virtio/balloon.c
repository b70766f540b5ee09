/* Section numbers are those of virtio 1.2. */
#include "virtio/balloon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"

#define QUEUE_SIZE  128
#define QUEUE_COUNT 5

/* 5.5.2. The two of reporting are explained at queue_role(). */
#define QUEUE_INFLATE 0
#define QUEUE_DEFLATE 1
#define QUEUE_STATS   2

#define BALLOON_PAGE_SIZE 4096 /* 5.5.6: whatever the pages of the guest are */
#define PFN_SIZE          4
#define STAT_SIZE         10 /* 5.5.6.4: le16 tag, le64 value, packed */
#define MAX_STATS         64 /* in one buffer; what is behind them is ignored */

/* 5.5.4: struct virtio_balloon_config, as far as its features are offered. */
enum { CONFIG_NUM_PAGES = 0, CONFIG_ACTUAL = 4, CONFIG_SIZE = 8 };

/* Work is done in pieces, a few in each turn of the loop: a piece takes about a millisecond. */
#define PIECE_PAGES 256
#define PIECE_BYTES (16 * MIB)
#define TURN_PIECES 4
#define NO_QUEUE    QUEUE_COUNT

enum role { ROLE_NONE, ROLE_INFLATE, ROLE_DEFLATE, ROLE_STATS, ROLE_REPORTING };

struct virtio_balloon {
    struct virtio_device device;
    struct virtio_balloon_options options;
    struct loop_timer work_timer; /* to go on by itself */
    struct loop_timer stats_timer;
    uint8_t config[CONFIG_SIZE];
    struct log_limit discard_limit;
    uint64_t discarded_bytes;

    unsigned next_queue; /* to look into first */
    unsigned open_queue; /* whose chain is being worked on; NO_QUEUE: none */
    uint32_t at;         /* how many bytes of it are done */
    struct virtq_chain chain;

    bool stats_held; /* the driver's one buffer is here, to be given back for the next statistics */
    uint16_t stats_head;
    uint64_t stats_updated_ns;
    uint32_t stats_known;
    uint64_t stats[VIRTIO_BALLOON_STAT_COUNT];
};

static struct virtio_balloon *balloon_of(struct virtio_device *device)
{
    return container_of(device, struct virtio_balloon, device);
}

/*
 * 5.5.2 gives each queue its number whether or not those before it are there; drivers before Linux
 * 6.11 (as QEMU) move them up where a feature is missing. So any queue from number 2 on that is not
 * the statistics' is one of reporting: the driver uses one of them and leaves the others alone.
 */
static enum role queue_role(const struct virtio_balloon *balloon, unsigned queue)
{
    if (queue == QUEUE_INFLATE)
        return ROLE_INFLATE;
    if (queue == QUEUE_DEFLATE)
        return ROLE_DEFLATE;
    if (queue == QUEUE_STATS && virtio_device_has(&balloon->device, VIRTIO_BALLOON_F_STATS_VQ))
        return ROLE_STATS;
    return virtio_device_has(&balloon->device, VIRTIO_BALLOON_F_PAGE_REPORTING) ? ROLE_REPORTING
                                                                                : ROLE_NONE;
}

/* ---- Giving memory back. ---- */

static void discard(struct virtio_balloon *balloon, uint64_t gpa, uint64_t len)
{
    int r = guest_memory_discard(balloon->device.env.mem, gpa, len);

    if (r == 0)
        balloon->discarded_bytes += len;
    else if (r != -EOPNOTSUPP) /* huge pages: said at the start */
        log_write_limited(balloon->device.env.log, &balloon->discard_limit, LOG_WARNING,
                          "%s: cannot give memory back: %s", balloon->device.name, strerror(-r));
}

static bool page_is_ram(const struct virtio_balloon *balloon, uint64_t gpa)
{
    void *host;

    return guest_memory_span(balloon->device.env.mem, gpa, BALLOON_PAGE_SIZE, &host) == 0;
}

/*
 * 5.5.6: the next page numbers of the chain. Neighbours go in one call, upwards or downwards; what
 * is not RAM is dropped. Returns whether the chain is done.
 */
static bool inflate_piece(struct virtio_balloon *balloon)
{
    uint8_t raw[PIECE_PAGES * PFN_SIZE];
    uint32_t len = virtq_copy_from(&balloon->chain, balloon->at, raw, sizeof(raw));
    uint64_t start = 0, end = 0; /* of the run so far */

    for (uint32_t i = 0; i + PFN_SIZE <= len; i += PFN_SIZE) {
        uint64_t gpa = (uint64_t)load_le32(raw + i) * BALLOON_PAGE_SIZE;

        if (!page_is_ram(balloon, gpa))
            continue;
        if (end > start && gpa == end) {
            end += BALLOON_PAGE_SIZE;
        } else if (end > start && gpa + BALLOON_PAGE_SIZE == start) {
            start = gpa;
        } else {
            if (end > start)
                discard(balloon, start, end - start);
            start = gpa;
            end = gpa + BALLOON_PAGE_SIZE;
        }
    }
    if (end > start)
        discard(balloon, start, end - start);
    balloon->at += len;
    return len < sizeof(raw);
}

/* 5.5.6.6: the buffers themselves are the free memory. Returns whether the chain is done. */
static bool report_piece(struct virtio_balloon *balloon)
{
    const struct virtq_chain *chain = &balloon->chain;
    uint64_t skip = balloon->at, left = PIECE_BYTES;

    for (unsigned i = 0; i < chain->writable_count && left > 0; i++) {
        const struct iovec *iov = &chain->iov[chain->readable_count + i];
        uint64_t part, gpa;

        if (skip >= iov->iov_len) {
            skip -= iov->iov_len;
            continue;
        }
        part = min_u64(iov->iov_len - skip, left);
        if (guest_memory_gpa(balloon->device.env.mem, (uint8_t *)iov->iov_base + skip, part,
                             &gpa) == 0)
            discard(balloon, gpa, part);
        left -= part;
        balloon->at += (uint32_t)part;
        skip = 0;
    }
    return balloon->at == chain->writable_len;
}

/* ---- The queues of work: inflate, deflate, reporting. ---- */

static bool has_work(const struct virtio_balloon *balloon, unsigned queue)
{
    enum role role = queue_role(balloon, queue);

    return balloon->device.queues[queue].ready && role != ROLE_NONE && role != ROLE_STATS;
}

/* Take the next chain, from each queue in turn. Returns 1, 0 where there is none, or -EPROTO. */
static int open_chain(struct virtio_balloon *balloon)
{
    for (unsigned i = 0; i < QUEUE_COUNT; i++) {
        unsigned queue = (balloon->next_queue + i) % QUEUE_COUNT;
        struct virtqueue *vq = &balloon->device.queues[queue];
        int r;

        if (!has_work(balloon, queue))
            continue;
        r = virtqueue_pop(vq, &balloon->chain);
        if (r == 0 && virtqueue_listen(vq))
            r = virtqueue_pop(vq, &balloon->chain);
        if (r > 0) {
            balloon->open_queue = queue;
            balloon->next_queue = queue + 1;
            balloon->at = 0;
        }
        if (r != 0)
            return r;
    }
    return 0;
}

/* Returns whether the chain is done. */
static bool do_piece(struct virtio_balloon *balloon)
{
    switch (queue_role(balloon, balloon->open_queue)) {
    case ROLE_INFLATE:
        return inflate_piece(balloon);
    case ROLE_REPORTING:
        return report_piece(balloon);
    default: /* deflate: the pages come back when they are touched */
        return true;
    }
}

static void work(struct virtio_balloon *balloon)
{
    unsigned pieces = TURN_PIECES;
    int r = 1;

    while (pieces-- > 0) {
        if (balloon->open_queue == NO_QUEUE)
            r = open_chain(balloon);
        if (r <= 0)
            break;
        if (do_piece(balloon)) {
            virtqueue_push(&balloon->device.queues[balloon->open_queue], balloon->chain.head, 0);
            balloon->open_queue = NO_QUEUE;
        }
    }
    for (unsigned queue = 0; queue < QUEUE_COUNT; queue++) {
        if (has_work(balloon, queue))
            virtio_device_flush(&balloon->device, queue);
    }
    if (r < 0)
        virtio_device_break(&balloon->device, "the driver made a list of pages that is none");
    else if (r > 0)
        loop_timer_arm(&balloon->work_timer, 0, 0);
}

/* ---- Statistics, 5.5.6.3. ---- */

static void read_stats(struct virtio_balloon *balloon, const struct virtq_chain *chain)
{
    uint8_t raw[MAX_STATS * STAT_SIZE];
    uint32_t len = virtq_copy_from(chain, 0, raw, sizeof(raw));

    balloon->stats_known = 0;
    for (uint32_t i = 0; i + STAT_SIZE <= len; i += STAT_SIZE) {
        uint16_t tag = load_le16(raw + i);

        if (tag >= VIRTIO_BALLOON_STAT_COUNT)
            continue;
        balloon->stats[tag] = load_le64(raw + i + 2);
        balloon->stats_known |= UINT32_C(1) << tag;
    }
    balloon->stats_updated_ns = clock_monotonic_ns();
}

/* Take the driver's buffer, read it, and hold it until there is to be another one. */
static void take_stats(struct virtio_balloon *balloon)
{
    struct virtqueue *vq = &balloon->device.queues[QUEUE_STATS];
    struct virtq_chain chain;
    int r;

    if (balloon->stats_held)
        return;
    r = virtqueue_pop(vq, &chain);
    if (r == 0 && virtqueue_listen(vq))
        r = virtqueue_pop(vq, &chain);
    if (r < 0)
        virtio_device_break(&balloon->device, "the driver gave statistics that are none");
    if (r <= 0)
        return;
    read_stats(balloon, &chain);
    balloon->stats_held = true;
    balloon->stats_head = chain.head;
    virtqueue_listen(vq); /* what else is there waits until this one was given back */
}

static bool is_running(const struct virtio_balloon *balloon)
{
    return balloon->device.active && !(balloon->device.status & VIRTIO_STATUS_NEEDS_RESET);
}

static void on_work_timer(struct loop_timer *timer)
{
    struct virtio_balloon *balloon = container_of(timer, struct virtio_balloon, work_timer);

    pthread_mutex_lock(&balloon->device.lock);
    if (is_running(balloon))
        work(balloon);
    if (is_running(balloon) && queue_role(balloon, QUEUE_STATS) == ROLE_STATS &&
        balloon->device.queues[QUEUE_STATS].ready)
        take_stats(balloon);
    pthread_mutex_unlock(&balloon->device.lock);
}

static void on_stats_timer(struct loop_timer *timer)
{
    struct virtio_balloon *balloon = container_of(timer, struct virtio_balloon, stats_timer);

    pthread_mutex_lock(&balloon->device.lock);
    if (is_running(balloon) && balloon->stats_held) {
        balloon->stats_held = false;
        virtqueue_push(&balloon->device.queues[QUEUE_STATS], balloon->stats_head, 0);
        virtio_device_flush(&balloon->device, QUEUE_STATS);
        take_stats(balloon);
    }
    pthread_mutex_unlock(&balloon->device.lock);
}

/* ---- The device. ---- */

static int balloon_activate(struct virtio_device *device)
{
    struct virtio_balloon *balloon = balloon_of(device);
    uint64_t interval = balloon->options.stats_interval_s * NS_PER_SEC;

    if (interval && virtio_device_has(device, VIRTIO_BALLOON_F_STATS_VQ))
        loop_timer_arm(&balloon->stats_timer, interval, interval);
    /* Linux gives its first statistics before DRIVER_OK, when a notification is not heard yet. */
    loop_timer_arm(&balloon->work_timer, 0, 0);
    return 0;
}

static void balloon_reset(struct virtio_device *device)
{
    struct virtio_balloon *balloon = balloon_of(device);

    loop_timer_disarm(&balloon->work_timer);
    loop_timer_disarm(&balloon->stats_timer);
    balloon->open_queue = NO_QUEUE;
    balloon->stats_held = false;
    store_le32(balloon->config + CONFIG_ACTUAL, 0);
}

static void balloon_notify(struct virtio_device *device, unsigned queue)
{
    struct virtio_balloon *balloon = balloon_of(device);

    if (queue_role(balloon, queue) == ROLE_STATS)
        take_stats(balloon);
    else
        work(balloon);
}

/* 5.5.4: `actual` is the driver's, the target is not. */
static void balloon_config_write(struct virtio_device *device, uint32_t offset, const void *buf,
                                 uint32_t len)
{
    struct virtio_balloon *balloon = balloon_of(device);
    const uint8_t *bytes = buf;

    for (uint32_t i = 0; i < len; i++) {
        if (offset + i >= CONFIG_ACTUAL && offset + i < CONFIG_SIZE)
            balloon->config[offset + i] = bytes[i];
    }
}

static void balloon_destroy(struct virtio_device *device)
{
    struct virtio_balloon *balloon = balloon_of(device);

    loop_timer_remove(device->env.loop, &balloon->work_timer);
    loop_timer_remove(device->env.loop, &balloon->stats_timer);
    virtio_device_deinit(device);
    free(balloon);
}

static const struct virtio_device_ops balloon_ops = {
    .activate = balloon_activate,
    .reset = balloon_reset,
    .notify = balloon_notify,
    .config_write = balloon_config_write,
    .destroy = balloon_destroy,
};

/* ---- From outside. ---- */

int virtio_balloon_set_target(struct virtio_device *device, uint64_t bytes)
{
    struct virtio_balloon *balloon = balloon_of(device);
    uint64_t pages = bytes / BALLOON_PAGE_SIZE;

    if (bytes > guest_memory_size(device->env.mem) || pages > UINT32_MAX)
        return -ERANGE;
    pthread_mutex_lock(&device->lock);
    if (load_le32(balloon->config + CONFIG_NUM_PAGES) != pages) {
        store_le32(balloon->config + CONFIG_NUM_PAGES, (uint32_t)pages);
        virtio_device_config_changed(device);
    }
    pthread_mutex_unlock(&device->lock);
    return 0;
}

void virtio_balloon_set_interval(struct virtio_device *device, unsigned seconds)
{
    struct virtio_balloon *balloon = balloon_of(device);

    pthread_mutex_lock(&device->lock);
    balloon->options.stats_interval_s = seconds;
    loop_timer_disarm(&balloon->stats_timer);
    if (seconds && is_running(balloon))
        loop_timer_arm(&balloon->stats_timer, seconds * NS_PER_SEC, seconds * NS_PER_SEC);
    pthread_mutex_unlock(&device->lock);
}

void virtio_balloon_get_info(struct virtio_device *device, struct virtio_balloon_info *ret_info)
{
    struct virtio_balloon *balloon = balloon_of(device);
    uint64_t pages;

    pthread_mutex_lock(&device->lock);
    pages = load_le32(balloon->config + CONFIG_NUM_PAGES);
    *ret_info = (struct virtio_balloon_info){
        .target_bytes = pages * BALLOON_PAGE_SIZE,
        .actual_bytes = (uint64_t)load_le32(balloon->config + CONFIG_ACTUAL) * BALLOON_PAGE_SIZE,
        .discarded_bytes = balloon->discarded_bytes,
        .stats_updated_ns = balloon->stats_updated_ns,
        .stats_known = balloon->stats_known,
    };
    memcpy(ret_info->stats, balloon->stats, sizeof(balloon->stats));
    pthread_mutex_unlock(&device->lock);
}

static uint64_t offered_features(const struct virtio_env *env,
                                 const struct virtio_balloon_options *options)
{
    uint64_t features = VIRTIO_BALLOON_F_STATS_VQ;

    if (options->deflate_on_oom)
        features |= VIRTIO_BALLOON_F_DEFLATE_ON_OOM;
    if (options->free_page_reporting && guest_memory_can_discard(env->mem))
        features |= VIRTIO_BALLOON_F_PAGE_REPORTING;
    return features;
}

static int add_timers(struct virtio_balloon *balloon)
{
    struct loop *loop = balloon->device.env.loop;
    int r;

    balloon->work_timer.callback = on_work_timer;
    balloon->stats_timer.callback = on_stats_timer;
    r = loop_timer_add(loop, &balloon->work_timer);
    return r < 0 ? r : loop_timer_add(loop, &balloon->stats_timer);
}

int virtio_balloon_create(const struct virtio_env *env, const char *name,
                          const struct virtio_balloon_options *options, struct virtio_device **ret,
                          struct error *err)
{
    struct virtio_balloon *balloon = calloc(1, sizeof(*balloon));
    int r;

    if (!balloon)
        return error_set(err, -ENOMEM, "out of memory");
    balloon->options = *options;
    balloon->open_queue = NO_QUEUE;
    balloon->device.name = name;
    balloon->device.id = VIRTIO_ID_BALLOON;
    balloon->device.ops = &balloon_ops;
    balloon->device.features = offered_features(env, options);
    balloon->device.queue_count = QUEUE_COUNT;
    balloon->device.queue_size = QUEUE_SIZE;
    balloon->device.config = balloon->config;
    balloon->device.config_size = CONFIG_SIZE;
    virtio_device_init(&balloon->device, env);
    r = add_timers(balloon);
    if (r < 0)
        error_set_errno(err, r, "cannot make a timer");
    if (r == 0) {
        r = virtio_balloon_set_target(&balloon->device, options->target_bytes);
        if (r < 0)
            error_set(err, r, "it cannot hold more than the guest has");
    }
    if (r < 0) {
        balloon_destroy(&balloon->device);
        return r;
    }
    if (!guest_memory_can_discard(env->mem))
        log_info(env->log, "%s: memory in huge pages is not given back to the host", name);
    *ret = &balloon->device;
    return 0;
}

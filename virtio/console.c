/* Section numbers are those of virtio 1.2. */
#include "virtio/console.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"

enum { QUEUE_RX, QUEUE_TX, QUEUE_COUNT }; /* 5.3.2, without multiport */

#define QUEUE_SIZE 64
#define TURN_BYTES (64 * KIB)

/* 5.3.4: struct virtio_console_config. Ports and emergency writes are not offered. */
enum { CONFIG_COLS = 0, CONFIG_ROWS = 2, CONFIG_SIZE = 12 };

struct virtio_console {
    struct virtio_device device;
    struct virtio_console_host *host;
    struct loop_timer timer; /* to go on with output by itself */
    uint8_t config[CONFIG_SIZE];
    bool size_told[QUEUE_COUNT]; /* announce_size() */
    bool input_short;            /* virtio_console_input() turned bytes away */
    bool stalled;                /* the host takes no more until it says so */
    bool has_output;             /* `output` was taken and not put back */
    uint32_t sent;               /* of its bytes */
    struct virtq_chain output;
};

static struct virtio_console *console_of(struct virtio_device *device)
{
    return container_of(device, struct virtio_console, device);
}

static bool can_work(const struct virtio_console *console, unsigned queue)
{
    return console->device.active && console->device.queues[queue].ready &&
           !(console->device.status & VIRTIO_STATUS_NEEDS_RESET);
}

/*
 * Linux reads the size only when it is told of a change, and takes no heed of that before its port
 * is complete, which shows in nothing. So a size that was there before is told as one that has
 * changed: with the first output, and with the first input, which a user's shell has waited for.
 */
static void announce_size(struct virtio_console *console, unsigned queue)
{
    if (console->size_told[queue] || load_le32(console->config + CONFIG_COLS) == 0)
        return;
    console->size_told[queue] = true;
    if (virtio_device_has(&console->device, VIRTIO_CONSOLE_F_SIZE))
        virtio_device_config_changed(&console->device);
}

/* ---- Output. ---- */

/* Where the chain goes on. There are bytes left. */
static struct iovec next_output(const struct virtio_console *console)
{
    const struct iovec *iov = console->output.iov;
    size_t at = console->sent;

    for (; at >= iov->iov_len; iov++)
        at -= iov->iov_len;
    return (struct iovec){(uint8_t *)iov->iov_base + at, iov->iov_len - at};
}

/* Send of the chain at hand up to `max` bytes. Returns how many. */
static uint32_t send_some(struct virtio_console *console, uint32_t max)
{
    uint32_t done = 0;

    while (!console->stalled && done < max && console->sent < console->output.readable_len) {
        struct iovec next = next_output(console);
        size_t len = min_u64(next.iov_len, max - done);
        size_t taken = console->host->write(console->host, next.iov_base, len);

        console->stalled = taken == 0;
        console->sent += (uint32_t)taken;
        done += (uint32_t)taken;
    }
    return done;
}

/* Have a chain to send from. Returns 1; 0 where there is none, or -EPROTO. */
static int get_output(struct virtio_console *console)
{
    struct virtqueue *vq = &console->device.queues[QUEUE_TX];
    int r;

    if (console->has_output)
        return 1;
    do {
        r = virtqueue_pop(vq, &console->output);
    } while (r == 0 && virtqueue_listen(vq));
    if (r <= 0)
        return r;
    if (console->output.readable_len == 0)
        return -EPROTO;
    console->has_output = true;
    console->sent = 0;
    return 1;
}

static void send_output(struct virtio_console *console)
{
    uint32_t left = TURN_BYTES;
    int r = 1;

    virtqueue_quiet(&console->device.queues[QUEUE_TX]);
    while (r > 0 && left > 0 && !console->stalled) {
        r = get_output(console);
        if (r <= 0)
            break;
        left -= send_some(console, left);
        if (console->sent == console->output.readable_len) {
            virtqueue_push(&console->device.queues[QUEUE_TX], console->output.head, 0);
            console->has_output = false;
        }
    }
    virtio_device_flush(&console->device, QUEUE_TX);
    if (r < 0)
        virtio_device_break(&console->device, "the driver sent a buffer that is none");
    else if (r > 0 && !console->stalled)
        loop_timer_arm(&console->timer, 0, 0);
}

static void on_timer(struct loop_timer *timer)
{
    struct virtio_console *console = container_of(timer, struct virtio_console, timer);

    pthread_mutex_lock(&console->device.lock);
    if (can_work(console, QUEUE_TX))
        send_output(console);
    pthread_mutex_unlock(&console->device.lock);
}

void virtio_console_output_ready(struct virtio_device *device)
{
    struct virtio_console *console = console_of(device);

    pthread_mutex_lock(&device->lock);
    console->stalled = false;
    if (can_work(console, QUEUE_TX))
        send_output(console);
    pthread_mutex_unlock(&device->lock);
}

bool virtio_console_output_waiting(struct virtio_device *device)
{
    struct virtio_console *console = console_of(device);
    bool waiting;

    pthread_mutex_lock(&device->lock);
    waiting = can_work(console, QUEUE_TX) && get_output(console) > 0;
    pthread_mutex_unlock(&device->lock);
    return waiting;
}

/* ---- Input. ---- */

/* Fill one buffer. Returns how many bytes; 0 where there is none, or -EPROTO. */
static int64_t fill_one(struct virtio_console *console, const uint8_t *bytes, size_t len)
{
    struct virtqueue *vq = &console->device.queues[QUEUE_RX];
    struct virtq_chain chain;
    uint32_t done;
    int r = virtqueue_pop(vq, &chain);

    if (r <= 0)
        return r;
    if (chain.writable_len == 0)
        return -EPROTO;
    done = virtq_copy_to(&chain, 0, bytes, (uint32_t)min_u64(len, chain.writable_len));
    virtqueue_push(vq, chain.head, done);
    return done;
}

/* Returns how many bytes were taken. */
static size_t fill(struct virtio_console *console, const uint8_t *bytes, size_t len)
{
    struct virtqueue *vq = &console->device.queues[QUEUE_RX];
    size_t done = 0;
    int64_t r = 1;

    while (r > 0 && done < len) {
        r = fill_one(console, bytes + done, len - done);
        done += r > 0 ? (size_t)r : 0;
        if (r == 0 && virtqueue_listen(vq))
            r = 1; /* a buffer came meanwhile */
    }
    virtio_device_flush(&console->device, QUEUE_RX);
    if (r < 0)
        virtio_device_break(&console->device, "the driver gave a buffer that cannot be filled");
    return done;
}

size_t virtio_console_input(struct virtio_device *device, const uint8_t *bytes, size_t len)
{
    struct virtio_console *console = console_of(device);
    size_t taken = 0;

    pthread_mutex_lock(&device->lock);
    if (can_work(console, QUEUE_RX)) {
        virtqueue_quiet(&device->queues[QUEUE_RX]);
        taken = fill(console, bytes, len);
        if (taken > 0)
            announce_size(console, QUEUE_RX);
    }
    console->input_short = taken < len;
    pthread_mutex_unlock(&device->lock);
    return taken;
}

static void want_input(struct virtio_console *console)
{
    if (!console->input_short)
        return;
    console->input_short = false;
    if (console->host->input_wanted)
        console->host->input_wanted(console->host);
}

/* ---- The device. ---- */

void virtio_console_resize(struct virtio_device *device, uint16_t cols, uint16_t rows)
{
    struct virtio_console *console = console_of(device);

    pthread_mutex_lock(&device->lock);
    if (load_le16(console->config + CONFIG_COLS) != cols ||
        load_le16(console->config + CONFIG_ROWS) != rows) {
        store_le16(console->config + CONFIG_COLS, cols);
        store_le16(console->config + CONFIG_ROWS, rows);
        if (virtio_device_has(device, VIRTIO_CONSOLE_F_SIZE))
            virtio_device_config_changed(device);
    }
    pthread_mutex_unlock(&device->lock);
}

static int console_activate(struct virtio_device *device)
{
    (void)device;
    return 0;
}

static void console_reset(struct virtio_device *device)
{
    struct virtio_console *console = console_of(device);

    loop_timer_disarm(&console->timer);
    memset(console->size_told, 0, sizeof(console->size_told));
    console->has_output = false; /* `stalled` stays: it is the host's */
}

static void console_notify(struct virtio_device *device, unsigned queue)
{
    struct virtio_console *console = console_of(device);

    if (queue == QUEUE_RX) {
        want_input(console);
        return;
    }
    announce_size(console, QUEUE_TX);
    send_output(console);
}

static void console_destroy(struct virtio_device *device)
{
    struct virtio_console *console = console_of(device);

    loop_timer_remove(device->env.loop, &console->timer);
    virtio_device_deinit(device);
    free(console);
}

static const struct virtio_device_ops console_ops = {
    .activate = console_activate,
    .reset = console_reset,
    .notify = console_notify,
    .destroy = console_destroy,
};

int virtio_console_create(const struct virtio_env *env, const char *name,
                          struct virtio_console_host *host, struct virtio_device **ret,
                          struct error *err)
{
    struct virtio_console *console = calloc(1, sizeof(*console));
    int r;

    if (!console)
        return error_set(err, -ENOMEM, "out of memory");
    console->host = host;
    console->device.id = VIRTIO_ID_CONSOLE;
    console->device.name = name;
    console->device.ops = &console_ops;
    console->device.features = VIRTIO_CONSOLE_F_SIZE;
    console->device.queue_count = QUEUE_COUNT;
    console->device.queue_size = QUEUE_SIZE;
    console->device.config = console->config;
    console->device.config_size = CONFIG_SIZE;
    virtio_device_init(&console->device, env);
    console->timer.callback = on_timer;
    r = loop_timer_add(env->loop, &console->timer);
    if (r < 0) {
        console_destroy(&console->device);
        return error_set_errno(err, r, "cannot make a timer");
    }
    *ret = &console->device;
    return 0;
}

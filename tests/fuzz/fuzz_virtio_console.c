/*
 * virtio/console.h: a program of writes to guest memory, notifications, input, a host that stalls,
 * resizes and resets, against rings that lie at fixed places.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"
#include "virtio/console.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEMORY_SIZE (64 * KIB)
#define RING_SIZE   8
#define RING_STRIDE 0x400 /* each queue: descriptors, available at 0x100, used at 0x200 */

/* One step: what to do, where (16 bits), a value. */
#define STEP_SIZE 8

struct host {
    struct virtio_console_host host;
    size_t room;
    uint8_t sum;
};

static size_t on_write(struct virtio_console_host *console_host, const uint8_t *bytes, size_t len)
{
    struct host *host = container_of(console_host, struct host, host);
    size_t taken = min_u64(len, host->room);

    for (size_t i = 0; i < taken; i++)
        host->sum = (uint8_t)(host->sum + bytes[i]);
    host->room -= taken;
    return taken;
}

static void on_wanted(struct virtio_console_host *host)
{
    (void)host;
}

static void start(struct virtio_device *device)
{
    virtio_device_set_status(device, 0);
    virtio_device_set_status(device, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    virtio_device_set_driver_features(device, 0, VIRTIO_CONSOLE_F_SIZE | VIRTIO_F_INDIRECT_DESC);
    virtio_device_set_driver_features(device, 1, VIRTIO_F_VERSION_1 >> 32);
    virtio_device_set_status(device, VIRTIO_STATUS_FEATURES_OK);
    for (unsigned i = 0; i < 2; i++) {
        virtio_device_queue_write(device, i, VIRTIO_QUEUE_SIZE, RING_SIZE);
        virtio_device_queue_write(device, i, VIRTIO_QUEUE_DESC_LOW, i * RING_STRIDE);
        virtio_device_queue_write(device, i, VIRTIO_QUEUE_AVAIL_LOW, i * RING_STRIDE + 0x100);
        virtio_device_queue_write(device, i, VIRTIO_QUEUE_USED_LOW, i * RING_STRIDE + 0x200);
        virtio_device_queue_write(device, i, VIRTIO_QUEUE_READY, 1);
    }
    virtio_device_set_status(device, VIRTIO_STATUS_DRIVER_OK);
}

static void run_step(struct virtio_device *device, struct host *host, const uint8_t *step)
{
    uint16_t value = load_le16(step + 1);

    switch (step[0] & 7) {
    case 0:
        virtio_device_notify(device, value & 1);
        break;
    case 1:
        virtio_console_input(device, step + 1, value % (STEP_SIZE - 1));
        break;
    case 2:
        host->room = value;
        virtio_console_output_ready(device);
        break;
    case 3:
        virtio_console_resize(device, value, load_le16(step + 3));
        break;
    case 4:
        start(device);
        break;
    default:
        guest_memory_write(device->env.mem, value, step + 3, 5);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct guest_memory *mem;
    static struct loop *loop;
    struct host host = {.host = {.write = on_write, .input_wanted = on_wanted}, .room = 100};
    struct virtio_device *device = NULL;
    struct virtio_env env;

    if (!mem) {
        struct guest_memory_options options = {.size = MEMORY_SIZE};

        if (guest_memory_create(&options, &mem, NULL) < 0 || loop_create(&loop) < 0)
            abort();
    }
    guest_memory_zero(mem, 0, MEMORY_SIZE);
    env = (struct virtio_env){.loop = loop, .mem = mem};
    if (virtio_console_create(&env, "console0", &host.host, &device, NULL) < 0)
        abort();
    start(device);
    for (; size >= STEP_SIZE; data += STEP_SIZE, size -= STEP_SIZE)
        run_step(device, &host, data);
    device->ops->destroy(device);
    return 0;
}

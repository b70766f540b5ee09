/*
 * What the fuzz targets of single virtio devices share: the input is a program of steps, by which a
 * driver without sense works at the device: descriptors, ring entries, raw bytes of memory,
 * notifications, configuration, resets, turns of the loop.
 *
 * The first 8 bytes choose the features that the driver accepts (of those offered).
 */
#ifndef OSVM_TESTS_DEVICE_FUZZ_H
#define OSVM_TESTS_DEVICE_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"
#include "virtio/device.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_MEMORY_SIZE (128 * KIB)
#define FUZZ_QUEUE_SIZE  16

/* Where the rings lie: the first pages, in reach of the raw writes like all else. */
#define FUZZ_RING_SIZE 0x400
#define FUZZ_DESC(q)   ((uint64_t)(q)*FUZZ_RING_SIZE)
#define FUZZ_AVAIL(q)  (FUZZ_DESC(q) + 0x100)
#define FUZZ_USED(q)   (FUZZ_DESC(q) + 0x200)

/* A step: what (and to which queue), and up to 14 bytes of what with. */
#define FUZZ_STEP_SIZE 16

struct device_fuzz {
    struct guest_memory *mem;
    struct loop *loop;
    struct log log;
    struct loop_timer stop;
    struct virtio_env env;
    struct virtio_device *device;
    uint64_t features;
};

static inline void fuzz_on_stop(struct loop_timer *timer)
{
    loop_stop(container_of(timer, struct device_fuzz, stop)->loop);
}

/* Once a process. */
static inline void fuzz_init(struct device_fuzz *fuzz)
{
    struct guest_memory_options options = {.size = FUZZ_MEMORY_SIZE};

    if (guest_memory_create(&options, &fuzz->mem, NULL) < 0 || loop_create(&fuzz->loop) < 0)
        abort();
    fuzz->log = (struct log){.fd = -1};
    fuzz->stop.callback = fuzz_on_stop;
    if (loop_timer_add(fuzz->loop, &fuzz->stop) < 0)
        abort();
    fuzz->env = (struct virtio_env){.loop = fuzz->loop, .mem = fuzz->mem, .log = &fuzz->log};
}

static inline void fuzz_start_device(struct device_fuzz *fuzz)
{
    struct virtio_device *device = fuzz->device;
    uint64_t features = (fuzz->features & virtio_device_features(device)) | VIRTIO_F_VERSION_1;

    virtio_device_set_status(device, 0);
    virtio_device_set_status(device, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    virtio_device_set_driver_features(device, 0, (uint32_t)features);
    virtio_device_set_driver_features(device, 1, (uint32_t)(features >> 32));
    virtio_device_set_status(device, VIRTIO_STATUS_FEATURES_OK);
    for (unsigned q = 0; q < device->queue_count; q++) {
        virtio_device_queue_write(device, q, VIRTIO_QUEUE_SIZE, FUZZ_QUEUE_SIZE);
        virtio_device_queue_write(device, q, VIRTIO_QUEUE_DESC_LOW, (uint32_t)FUZZ_DESC(q));
        virtio_device_queue_write(device, q, VIRTIO_QUEUE_AVAIL_LOW, (uint32_t)FUZZ_AVAIL(q));
        virtio_device_queue_write(device, q, VIRTIO_QUEUE_USED_LOW, (uint32_t)FUZZ_USED(q));
        virtio_device_queue_write(device, q, VIRTIO_QUEUE_READY, 1);
    }
    virtio_device_set_status(device, VIRTIO_STATUS_DRIVER_OK);
}

/* As far as the loop gets without waiting. */
static inline void fuzz_turn(struct device_fuzz *fuzz)
{
    loop_timer_arm(&fuzz->stop, 0, 0);
    if (loop_run(fuzz->loop) < 0)
        abort();
}

static inline void fuzz_put_avail(struct device_fuzz *fuzz, unsigned q, uint16_t head)
{
    uint8_t idx[2] = {0}, entry[2];

    guest_memory_read(fuzz->mem, FUZZ_AVAIL(q) + 2, idx, 2);
    store_le16(entry, head);
    guest_memory_write(fuzz->mem, FUZZ_AVAIL(q) + 4 + 2 * (load_le16(idx) % FUZZ_QUEUE_SIZE), entry,
                       2);
    store_le16(idx, (uint16_t)(load_le16(idx) + 1));
    guest_memory_write(fuzz->mem, FUZZ_AVAIL(q) + 2, idx, 2);
}

static inline void fuzz_step(struct device_fuzz *fuzz, const uint8_t *step)
{
    unsigned q = step[1] % fuzz->device->queue_count;
    const uint8_t *args = step + 2;
    uint8_t buf[16];

    switch (step[0] % 8) {
    case 0: /* a descriptor, as it stands in the ring */
        guest_memory_write(fuzz->mem, FUZZ_DESC(q) + 16 * (step[1] / 8 % FUZZ_QUEUE_SIZE), args,
                           14);
        break;
    case 1:
        fuzz_put_avail(fuzz, q, load_le16(args));
        break;
    case 2:
        virtio_device_notify(fuzz->device, q);
        break;
    case 3:
        fuzz_turn(fuzz);
        break;
    case 4: /* bytes of memory */
        guest_memory_write(fuzz->mem, load_le32(args) % FUZZ_MEMORY_SIZE, args + 4, 10);
        break;
    case 5:
        virtio_device_config_write(fuzz->device, args[0], args + 4, 1U << (args[1] % 4));
        virtio_device_config_read(fuzz->device, args[0], buf, 1U << (args[1] % 4));
        break;
    case 6: /* the tail of a descriptor: flags and next */
        guest_memory_write(fuzz->mem, FUZZ_DESC(q) + 16 * (step[1] / 8 % FUZZ_QUEUE_SIZE) + 12,
                           args, 4);
        break;
    default:
        fuzz_start_device(fuzz);
        break;
    }
}

/* Run the whole program from a fresh start; the device is at rest afterwards. */
static inline void fuzz_run(struct device_fuzz *fuzz, const uint8_t *data, size_t size)
{
    if (size < 8)
        return;
    fuzz->features = load_le64(data);
    guest_memory_zero(fuzz->mem, 0, FUZZ_MEMORY_SIZE);
    fuzz_start_device(fuzz);
    for (data += 8, size -= 8; size >= FUZZ_STEP_SIZE;
         data += FUZZ_STEP_SIZE, size -= FUZZ_STEP_SIZE)
        fuzz_step(fuzz, data);
    fuzz_turn(fuzz);
    virtio_device_set_status(fuzz->device, 0);
}

#endif

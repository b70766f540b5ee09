/*
 * virtio/mmio.h, device.h and virtqueue.h: a program of register accesses and writes to guest
 * memory, against a device that takes every chain and touches all its bytes.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/probe_device.h"
#include "base/bytes.h"
#include "base/util.h"
#include "virtio/mmio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEMORY_SIZE (64 * KIB)

/* One step: what to do (and how wide), where, a value. */
#define STEP_SIZE 8

static void touching_notify(struct virtio_device *device, unsigned queue)
{
    struct probe_device *probe = container_of(device, struct probe_device, device);
    struct virtqueue *vq = &device->queues[queue];
    uint8_t buf[64];
    int r;

    while ((r = virtqueue_pop(vq, &probe->chain)) == 1) {
        uint32_t n = virtq_copy_from(&probe->chain, 1, buf, sizeof(buf));

        for (unsigned i = 0; i < probe->chain.readable_count + probe->chain.writable_count; i++) {
            struct iovec *iov = &probe->chain.iov[i];

            volatile uint8_t *bytes = iov->iov_base;

            (void)bytes[0];
            (void)bytes[iov->iov_len - 1];
        }
        virtqueue_push(vq, probe->chain.head, virtq_copy_to(&probe->chain, 3, buf, n));
    }
    if (r < 0)
        virtio_device_break(device, "a chain makes no sense");
    virtio_device_flush(device, queue);
    virtqueue_quiet(vq);
    virtqueue_listen(vq);
}

static void run_step(struct virtio_mmio *mmio, struct guest_memory *mem, const uint8_t *step)
{
    unsigned len = 1U << (step[0] >> 2 & 3);
    uint64_t offset = load_le16(step + 1) % (VIRTIO_MMIO_SIZE - 8);
    uint8_t buf[8] = {0};

    memcpy(buf, step + 3, 5);
    switch (step[0] & 3) {
    case 0:
        mmio->range.ops->read(&mmio->range, offset, buf, len);
        break;
    case 1:
        mmio->range.ops->write(&mmio->range, offset, buf, len);
        break;
    case 2: /* a register, aligned: most accesses that do anything */
        mmio->range.ops->write(&mmio->range, offset % 0x100 & ~3ULL, buf, 4);
        break;
    default:
        guest_memory_write(mem, load_le16(step + 1), buf, 5);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct guest_memory *mem;
    static struct loop *loop;
    static const struct virtio_device_ops ops = {
        .activate = probe_activate,
        .reset = probe_reset,
        .notify = touching_notify,
        .config_read = probe_config_read,
        .config_write = probe_config_write,
    };
    struct irq_line irq = {.fd = -1};
    struct probe_device probe;
    struct virtio_mmio mmio;
    struct virtio_env env;

    if (!mem) {
        struct guest_memory_options options = {.size = MEMORY_SIZE};

        if (guest_memory_create(&options, &mem, NULL) < 0 || loop_create(&loop) < 0)
            abort();
    }
    guest_memory_zero(mem, 0, MEMORY_SIZE);
    env = (struct virtio_env){.loop = loop, .mem = mem};
    probe_init(&probe, &env);
    probe.device.ops = &ops;
    if (virtio_mmio_init(&mmio, &probe.device, 0xd0000000, VIRTIO_MMIO_SIZE, irq, NULL, loop) < 0)
        abort();
    for (; size >= STEP_SIZE; data += STEP_SIZE, size -= STEP_SIZE)
        run_step(&mmio, mem, data);
    virtio_device_set_status(&probe.device, 0);
    virtio_mmio_destroy(&mmio);
    virtio_device_deinit(&probe.device);
    return 0;
}

/* A virtio device's life from the driver's side: found, agreed with, started, stopped. */
#include "sdk/virtio.h"

#include "drivers/virtio_private.h"
#include "sdk/apic.h"
#include "sdk/boot.h"
#include "sdk/io.h"
#include "sdk/string.h"
#include "sdk/time.h"

#define RESET_LIMIT_US 5000000

static struct virtio_dev devices[VIRTIO_DEVICES_MAX];
static unsigned device_count;
static bool scanned;

static bool word_starts(const char *option, const char *value)
{
    size_t length = strlen(value);

    return option && strncmp(option, value, length) == 0 &&
           (option[length] == ' ' || option[length] == 0);
}

static void scan(void)
{
    const char *only = boot_option("transport");

    scanned = true;
    if (!only || word_starts(only, virtio_mmio_transport.name))
        device_count = virtio_mmio_scan(devices, VIRTIO_DEVICES_MAX);
    if (!only || word_starts(only, virtio_pci_transport.name))
        device_count += virtio_pci_scan(devices + device_count, VIRTIO_DEVICES_MAX - device_count);
    for (unsigned i = 0; i < device_count; i++)
        devices[i].offered = devices[i].transport->features(&devices[i]);
}

struct virtio_dev *virtio_device_at(unsigned n)
{
    if (!scanned)
        scan();
    return n < device_count ? &devices[n] : NULL;
}

struct virtio_dev *virtio_find(uint32_t id, unsigned n)
{
    struct virtio_dev *dev;

    for (unsigned i = 0; (dev = virtio_device_at(i)); i++)
        if (dev->id == id && n-- == 0)
            return dev;
    return NULL;
}

uint8_t virtio_status(const struct virtio_dev *dev)
{
    return dev->transport->status(dev);
}

bool virtio_is_broken(struct virtio_dev *dev)
{
    uint32_t said = virtio_config_interrupts(dev);

    if (!dev->interrupts || said != dev->status_seen) {
        dev->status_seen = said;
        dev->broken = virtio_status(dev) & VIRTIO_STATUS_NEEDS_RESET;
    }
    return dev->broken;
}

static void add_status(const struct virtio_dev *dev, uint8_t bits)
{
    dev->transport->set_status(dev, virtio_status(dev) | bits);
}

/* 2.1.2: the device has been reset once its status reads 0. */
static bool reset(const struct virtio_dev *dev)
{
    uint64_t end = time_us() + RESET_LIMIT_US;

    dev->transport->set_status(dev, 0);
    while (virtio_status(dev) != 0) {
        if (time_us() >= end)
            return false;
        cpu_pause();
    }
    return true;
}

static void free_queues(struct virtio_dev *dev)
{
    for (unsigned i = 0; i < dev->queue_count; i++)
        virtio_queue_free(&dev->queues[i]);
    dev->queue_count = 0;
}

void virtio_stop(struct virtio_dev *dev)
{
    reset(dev);
    virtio_vectors_release(dev);
    free_queues(dev);
    dev->features = 0;
    dev->broken = false;
}

bool virtio_begin(struct virtio_dev *dev, uint64_t wanted)
{
    uint64_t allowed = boot_option_number("features", UINT64_MAX);

    virtio_stop(dev);
    add_status(dev, VIRTIO_STATUS_ACKNOWLEDGE);
    add_status(dev, VIRTIO_STATUS_DRIVER);
    dev->offered = dev->transport->features(dev);
    dev->features = dev->offered & ((wanted & allowed) | VIRTIO_F_VERSION_1);
    dev->transport->set_features(dev, dev->features);
    add_status(dev, VIRTIO_STATUS_FEATURES_OK);
    return virtio_status(dev) & VIRTIO_STATUS_FEATURES_OK;
}

bool virtio_queues_create(struct virtio_dev *dev, unsigned count)
{
    uint64_t limit = boot_option_number("queue_size", UINT16_MAX);

    for (unsigned i = 0; i < count; i++) {
        struct virtio_queue *q = &dev->queues[i];
        uint16_t size = dev->transport->queue_size_max(dev, i);

        if (size > limit)
            size = (uint16_t)limit;
        if (size == 0 || !virtio_queue_create(q, dev, i, size))
            return false;
        dev->queue_count = i + 1;
        dev->transport->queue_place(dev, i, size, (uintptr_t)q->desc, (uintptr_t)q->avail,
                                    (uintptr_t)q->used);
        if (!dev->transport->queue_ready(dev, i))
            return false;
    }
    return true;
}

bool virtio_start(struct virtio_dev *dev)
{
    dev->interrupts = boot_option_number("interrupts", 1) != 0;
    if (dev->interrupts) {
        apic_enable();
        dev->interrupts = dev->transport->interrupts_on(dev);
    }
    add_status(dev, VIRTIO_STATUS_DRIVER_OK);
    return (virtio_status(dev) & (VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET)) ==
           VIRTIO_STATUS_DRIVER_OK;
}

uint8_t virtio_config8(const struct virtio_dev *dev, unsigned offset)
{
    return mmio_read8(dev->transport->config(dev) + offset);
}

uint16_t virtio_config16(const struct virtio_dev *dev, unsigned offset)
{
    return mmio_read16(dev->transport->config(dev) + offset);
}

uint32_t virtio_config32(const struct virtio_dev *dev, unsigned offset)
{
    return mmio_read32(dev->transport->config(dev) + offset);
}

uint64_t virtio_config64(const struct virtio_dev *dev, unsigned offset)
{
    uint8_t generation;
    uint64_t value;

    do { /* 2.5.1: two reads of one value */
        generation = dev->transport->generation(dev);
        value = virtio_config32(dev, offset) | (uint64_t)virtio_config32(dev, offset + 4) << 32;
    } while (dev->transport->generation(dev) != generation);
    return value;
}

void virtio_config_write8(const struct virtio_dev *dev, unsigned offset, uint8_t value)
{
    mmio_write8(dev->transport->config(dev) + offset, value);
}

void virtio_config_write32(const struct virtio_dev *dev, unsigned offset, uint32_t value)
{
    mmio_write32(dev->transport->config(dev) + offset, value);
}

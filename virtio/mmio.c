#include "virtio/mmio.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/util.h"

/* Virtio 1.2, table 4.1. */
enum {
    REG_MAGIC = 0x000,
    REG_VERSION = 0x004,
    REG_DEVICE_ID = 0x008,
    REG_VENDOR_ID = 0x00c,
    REG_DEVICE_FEATURES = 0x010,
    REG_DEVICE_FEATURES_SEL = 0x014,
    REG_DRIVER_FEATURES = 0x020,
    REG_DRIVER_FEATURES_SEL = 0x024,
    REG_QUEUE_SEL = 0x030,
    REG_QUEUE_NUM_MAX = 0x034,
    REG_QUEUE_NUM = 0x038,
    REG_QUEUE_READY = 0x044,
    REG_QUEUE_NOTIFY = 0x050,
    REG_INTERRUPT_STATUS = 0x060,
    REG_INTERRUPT_ACK = 0x064,
    REG_STATUS = 0x070,
    REG_QUEUE_DESC_LOW = 0x080,
    REG_QUEUE_DESC_HIGH = 0x084,
    REG_QUEUE_AVAIL_LOW = 0x090,
    REG_QUEUE_AVAIL_HIGH = 0x094,
    REG_QUEUE_USED_LOW = 0x0a0,
    REG_QUEUE_USED_HIGH = 0x0a4,
    REG_SHM_LEN_LOW = 0x0b0, /* to 0x0bc: no shared memory region has a length of all ones */
    REG_SHM_BASE_HIGH = 0x0bc,
    REG_CONFIG_GENERATION = 0x0fc,
    REG_CONFIG = 0x100,
};

#define MAGIC     0x74726976 /* "virt" */
#define VERSION   2
#define VENDOR_ID 0x4d56534f /* "OSVM" */

#define INTERRUPT_QUEUE  1
#define INTERRUPT_CONFIG 2

static uint32_t get(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void set(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/* The register of a queue, or -1 where the offset is another one's. */
static int queue_field(uint64_t offset)
{
    switch (offset) {
    case REG_QUEUE_NUM_MAX:
        return VIRTIO_QUEUE_SIZE_MAX;
    case REG_QUEUE_NUM:
        return VIRTIO_QUEUE_SIZE;
    case REG_QUEUE_READY:
        return VIRTIO_QUEUE_READY;
    case REG_QUEUE_DESC_LOW:
        return VIRTIO_QUEUE_DESC_LOW;
    case REG_QUEUE_DESC_HIGH:
        return VIRTIO_QUEUE_DESC_HIGH;
    case REG_QUEUE_AVAIL_LOW:
        return VIRTIO_QUEUE_AVAIL_LOW;
    case REG_QUEUE_AVAIL_HIGH:
        return VIRTIO_QUEUE_AVAIL_HIGH;
    case REG_QUEUE_USED_LOW:
        return VIRTIO_QUEUE_USED_LOW;
    case REG_QUEUE_USED_HIGH:
        return VIRTIO_QUEUE_USED_HIGH;
    default:
        return -1;
    }
}

/*
 * An acknowledgement of a queue's interrupt alone, as nearly all are, does not stop the guest: it
 * is an ioeventfd's count, which is taken in before anything else is done with the status. The lock
 * is held.
 */
static void take_in_acks(struct virtio_mmio *mmio)
{
    uint64_t count;

    if (mmio->ack_fd >= 0 && (mmio->interrupt_status & INTERRUPT_QUEUE) &&
        read(mmio->ack_fd, &count, sizeof(count)) == sizeof(count))
        mmio->interrupt_status &= ~(uint32_t)INTERRUPT_QUEUE;
}

/* Take back these causes. Returns those that are left. */
static uint32_t acknowledge(struct virtio_mmio *mmio, uint32_t causes)
{
    uint32_t left;

    pthread_mutex_lock(&mmio->interrupt_lock);
    take_in_acks(mmio);
    left = mmio->interrupt_status &= ~causes;
    pthread_mutex_unlock(&mmio->interrupt_lock);
    return left;
}

static uint32_t read_register(struct virtio_mmio *mmio, uint64_t offset)
{
    struct virtio_device *device = mmio->device;
    uint32_t select;

    switch (offset) {
    case REG_MAGIC:
        return MAGIC;
    case REG_VERSION:
        return VERSION;
    case REG_DEVICE_ID:
        return device->id;
    case REG_VENDOR_ID:
        return VENDOR_ID;
    case REG_DEVICE_FEATURES:
        select = get(&mmio->features_select);
        return select < 2 ? (uint32_t)(virtio_device_features(device) >> (32 * select)) : 0;
    case REG_INTERRUPT_STATUS:
        return acknowledge(mmio, 0);
    case REG_STATUS:
        return virtio_device_status(device);
    case REG_CONFIG_GENERATION:
        return virtio_device_generation(device);
    case REG_QUEUE_NUM_MAX:
    case REG_QUEUE_READY:
        return virtio_device_queue_read(device, get(&mmio->queue_select),
                                        (enum virtio_queue_field)queue_field(offset));
    default:
        /* 4.2.2: a region that is not there has a length of all ones. The others are write-only. */
        return offset >= REG_SHM_LEN_LOW && offset <= REG_SHM_BASE_HIGH ? UINT32_MAX : 0;
    }
}

static void write_status(struct virtio_mmio *mmio, uint32_t value)
{
    virtio_device_set_status(mmio->device, (uint8_t)value);
    if ((uint8_t)value == 0) /* 4.2.2.1: a reset clears all interrupts */
        acknowledge(mmio, UINT32_MAX);
}

static void write_register(struct virtio_mmio *mmio, uint64_t offset, uint32_t value)
{
    struct virtio_device *device = mmio->device;
    int field;

    switch (offset) {
    case REG_DEVICE_FEATURES_SEL:
        set(&mmio->features_select, value);
        break;
    case REG_DRIVER_FEATURES_SEL:
        set(&mmio->driver_features_select, value);
        break;
    case REG_DRIVER_FEATURES:
        virtio_device_set_driver_features(device, get(&mmio->driver_features_select), value);
        break;
    case REG_QUEUE_SEL:
        set(&mmio->queue_select, value);
        break;
    case REG_QUEUE_NOTIFY: /* by a value that no ioeventfd matches, or without them */
        virtio_device_notify(device, value);
        break;
    case REG_INTERRUPT_ACK: /* of the configuration's too, or without ioeventfds */
        acknowledge(mmio, value);
        break;
    case REG_STATUS:
        write_status(mmio, value);
        break;
    default:
        field = queue_field(offset);
        if (field >= 0)
            virtio_device_queue_write(device, get(&mmio->queue_select),
                                      (enum virtio_queue_field)field, value);
        break;
    }
}

/* 4.2.2.2: registers are read and written by aligned words; anything else is nonsense. */
static bool is_word(uint64_t offset, unsigned len)
{
    return len == 4 && offset % 4 == 0;
}

static void mmio_read(struct bus_range *range, uint64_t offset, void *data, unsigned len)
{
    struct virtio_mmio *mmio = container_of(range, struct virtio_mmio, range);

    if (offset >= REG_CONFIG)
        virtio_device_config_read(mmio->device, offset - REG_CONFIG, data, len);
    else if (is_word(offset, len))
        store_le32(data, read_register(mmio, offset));
    else
        memset(data, 0, len);
}

static void mmio_write(struct bus_range *range, uint64_t offset, const void *data, unsigned len)
{
    struct virtio_mmio *mmio = container_of(range, struct virtio_mmio, range);

    if (offset >= REG_CONFIG)
        virtio_device_config_write(mmio->device, offset - REG_CONFIG, data, len);
    else if (is_word(offset, len))
        write_register(mmio, offset, load_le32(data));
}

static const struct bus_ops mmio_ops = {.read = mmio_read, .write = mmio_write};

/* What was acknowledged up to here is not this one. A driver that acknowledges an earlier one from
 * here on looks at the queues after that, and they show already what this one is for. */
static void raise_interrupt(struct virtio_mmio *mmio, uint32_t cause)
{
    pthread_mutex_lock(&mmio->interrupt_lock);
    take_in_acks(mmio);
    mmio->interrupt_status |= cause;
    pthread_mutex_unlock(&mmio->interrupt_lock);
    irq_line_pulse(&mmio->irq);
}

static void interrupt_queue(void *transport, unsigned queue)
{
    (void)queue; /* one line for all */
    raise_interrupt(transport, INTERRUPT_QUEUE);
}

static void interrupt_config(void *transport)
{
    raise_interrupt(transport, INTERRUPT_CONFIG);
}

static const struct virtio_transport_ops transport_ops = {
    .interrupt_queue = interrupt_queue,
    .interrupt_config = interrupt_config,
};

static void on_notification(struct loop_source *source, uint32_t events)
{
    struct virtio_mmio_notifier *notifier =
        container_of(source, struct virtio_mmio_notifier, source);
    uint64_t count;

    (void)events;
    if (read(source->fd, &count, sizeof(count)) == sizeof(count))
        virtio_device_notify(notifier->mmio->device,
                             (unsigned)(notifier - notifier->mmio->notifiers));
}

static int add_notifier(struct virtio_mmio *mmio, unsigned queue, struct vm *vm)
{
    struct virtio_mmio_notifier *notifier = &mmio->notifiers[queue];
    int fd = vm_notify_on_write(vm, mmio->range.base + REG_QUEUE_NOTIFY, 4, queue);

    if (fd < 0)
        return fd;
    notifier->mmio = mmio;
    notifier->source =
        (struct loop_source){.fd = fd, .events = EPOLLIN, .callback = on_notification};
    return loop_add(mmio->loop, &notifier->source);
}

static int add_acks(struct virtio_mmio *mmio, struct vm *vm)
{
    int fd = vm_notify_on_write(vm, mmio->range.base + REG_INTERRUPT_ACK, 4, INTERRUPT_QUEUE);

    if (fd < 0)
        return fd;
    mmio->ack_fd = fd;
    return 0;
}

int virtio_mmio_init(struct virtio_mmio *mmio, struct virtio_device *device, uint64_t base,
                     uint64_t size, struct irq_line irq, struct vm *vm, struct loop *loop)
{
    int r = 0;

    *mmio = (struct virtio_mmio){
        .range = {.base = base, .size = size, .ops = &mmio_ops, .name = device->name},
        .device = device,
        .irq = {.fd = -1},
        .loop = loop,
        .ack_fd = -1,
    };
    pthread_mutex_init(&mmio->interrupt_lock, NULL);
    for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++)
        mmio->notifiers[i].source.fd = -1;
    for (unsigned i = 0; vm && r == 0 && i < device->queue_count; i++)
        r = add_notifier(mmio, i, vm);
    if (vm && r == 0)
        r = add_acks(mmio, vm);
    if (r < 0) {
        virtio_mmio_destroy(mmio);
        return r;
    }
    mmio->irq = irq;
    virtio_device_connect(device, &transport_ops, mmio);
    return 0;
}

void virtio_mmio_destroy(struct virtio_mmio *mmio)
{
    for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++) {
        struct loop_source *source = &mmio->notifiers[i].source;

        loop_remove(mmio->loop, source);
        close_fd(take_fd(&source->fd));
    }
    close_fd(take_fd(&mmio->ack_fd));
    irq_line_destroy(&mmio->irq);
    pthread_mutex_destroy(&mmio->interrupt_lock);
}

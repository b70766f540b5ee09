/* Section numbers are those of virtio 1.2. */
#include "pci_internal.h"

#include "base/bytes.h"
#include "base/util.h"

/* Struct virtio_pci_common_cfg, section 4.1.4.3. */
enum {
    REG_DEVICE_FEATURE_SELECT = 0x00,
    REG_DEVICE_FEATURE = 0x04,
    REG_DRIVER_FEATURE_SELECT = 0x08,
    REG_DRIVER_FEATURE = 0x0c,
    REG_CONFIG_VECTOR = 0x10,
    REG_NUM_QUEUES = 0x12,
    REG_STATUS = 0x14,
    REG_CONFIG_GENERATION = 0x15,
    REG_QUEUE_SELECT = 0x16,
    REG_QUEUE_SIZE = 0x18,
    REG_QUEUE_VECTOR = 0x1a,
    REG_QUEUE_ENABLE = 0x1c,
    REG_QUEUE_NOTIFY_OFF = 0x1e,
    REG_QUEUE_DESC_LOW = 0x20,
    REG_QUEUE_DESC_HIGH = 0x24,
    REG_QUEUE_DRIVER_LOW = 0x28,
    REG_QUEUE_DRIVER_HIGH = 0x2c,
    REG_QUEUE_DEVICE_LOW = 0x30,
    REG_QUEUE_DEVICE_HIGH = 0x34,
    REG_QUEUE_NOTIFY_DATA = 0x38,
    REG_QUEUE_RESET = 0x3a,
    REG_END = 0x3c,
};

/* 4.1.3.1: each field is read and written by its own width; the two halves of one of 64 bits are
 * fields of 32. By offset; 0 where no field begins. */
static const uint8_t widths[REG_END] = {
    [REG_DEVICE_FEATURE_SELECT] = 4,
    [REG_DEVICE_FEATURE] = 4,
    [REG_DRIVER_FEATURE_SELECT] = 4,
    [REG_DRIVER_FEATURE] = 4,
    [REG_CONFIG_VECTOR] = 2,
    [REG_NUM_QUEUES] = 2,
    [REG_STATUS] = 1,
    [REG_CONFIG_GENERATION] = 1,
    [REG_QUEUE_SELECT] = 2,
    [REG_QUEUE_SIZE] = 2,
    [REG_QUEUE_VECTOR] = 2,
    [REG_QUEUE_ENABLE] = 2,
    [REG_QUEUE_NOTIFY_OFF] = 2,
    [REG_QUEUE_DESC_LOW] = 4,
    [REG_QUEUE_DESC_HIGH] = 4,
    [REG_QUEUE_DRIVER_LOW] = 4,
    [REG_QUEUE_DRIVER_HIGH] = 4,
    [REG_QUEUE_DEVICE_LOW] = 4,
    [REG_QUEUE_DEVICE_HIGH] = 4,
    [REG_QUEUE_NOTIFY_DATA] = 2,
    [REG_QUEUE_RESET] = 2,
};

static bool is_field(uint64_t offset, unsigned len)
{
    return offset < REG_END && widths[offset] == len;
}

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
    case REG_QUEUE_SIZE:
        return VIRTIO_QUEUE_SIZE;
    case REG_QUEUE_ENABLE:
        return VIRTIO_QUEUE_READY;
    case REG_QUEUE_DESC_LOW:
        return VIRTIO_QUEUE_DESC_LOW;
    case REG_QUEUE_DESC_HIGH:
        return VIRTIO_QUEUE_DESC_HIGH;
    case REG_QUEUE_DRIVER_LOW:
        return VIRTIO_QUEUE_AVAIL_LOW;
    case REG_QUEUE_DRIVER_HIGH:
        return VIRTIO_QUEUE_AVAIL_HIGH;
    case REG_QUEUE_DEVICE_LOW:
        return VIRTIO_QUEUE_USED_LOW;
    case REG_QUEUE_DEVICE_HIGH:
        return VIRTIO_QUEUE_USED_HIGH;
    default:
        return -1;
    }
}

/* The queue that the driver selected, or -1 where there is no such queue. */
static int selected_queue(struct virtio_pci *pci)
{
    uint32_t queue = get(&pci->queue_select);

    return queue < pci->device->queue_count ? (int)queue : -1;
}

static uint32_t read_queue_register(struct virtio_pci *pci, uint64_t offset)
{
    int queue = selected_queue(pci), field = queue_field(offset);

    if (queue < 0)
        return offset == REG_QUEUE_VECTOR ? VIRTIO_PCI_NO_VECTOR : 0;
    if (offset == REG_QUEUE_VECTOR)
        return virtio_pci_vector(pci, queue);
    if (offset == REG_QUEUE_NOTIFY_OFF)
        return (uint32_t)queue;
    return field < 0 ? 0
                     : virtio_device_queue_read(pci->device, (unsigned)queue,
                                                (enum virtio_queue_field)field);
}

/* Other transports do not show them. */
static uint64_t driver_features(struct virtio_device *device)
{
    uint64_t features;

    pthread_mutex_lock(&device->lock);
    features = device->driver_features;
    pthread_mutex_unlock(&device->lock);
    return features;
}

static uint32_t read_register(struct virtio_pci *pci, uint64_t offset)
{
    struct virtio_device *device = pci->device;
    uint32_t select;

    switch (offset) {
    case REG_DEVICE_FEATURE_SELECT:
        return get(&pci->features_select);
    case REG_DEVICE_FEATURE:
        select = get(&pci->features_select);
        return select < 2 ? (uint32_t)(virtio_device_features(device) >> (32 * select)) : 0;
    case REG_DRIVER_FEATURE_SELECT:
        return get(&pci->driver_features_select);
    case REG_DRIVER_FEATURE:
        select = get(&pci->driver_features_select);
        return select < 2 ? (uint32_t)(driver_features(device) >> (32 * select)) : 0;
    case REG_CONFIG_VECTOR:
        return virtio_pci_vector(pci, -1);
    case REG_NUM_QUEUES:
        return device->queue_count;
    case REG_STATUS:
        return virtio_device_status(device);
    case REG_CONFIG_GENERATION:
        return virtio_device_generation(device);
    case REG_QUEUE_SELECT:
        return get(&pci->queue_select);
    default:
        return read_queue_register(pci, offset);
    }
}

void virtio_pci_common_read(struct virtio_pci *pci, uint64_t offset, void *data, unsigned len)
{
    uint8_t value[4];

    memset(data, 0, len);
    if (!is_field(offset, len))
        return;
    store_le32(value, read_register(pci, offset));
    memcpy(data, value, len);
}

void virtio_pci_reset_queue_sizes(struct virtio_pci *pci)
{
    for (unsigned i = 0; i < pci->device->queue_count; i++)
        virtio_device_queue_write(pci->device, i, VIRTIO_QUEUE_SIZE,
                                  virtio_device_queue_read(pci->device, i, VIRTIO_QUEUE_SIZE_MAX));
}

static void write_status(struct virtio_pci *pci, uint8_t value)
{
    virtio_device_set_status(pci->device, value);
    virtio_pci_status_changed(pci);
    if (value == 0) {
        virtio_pci_interrupts_reset(pci);
        virtio_pci_reset_queue_sizes(pci);
    }
}

static void write_queue_register(struct virtio_pci *pci, uint64_t offset, uint32_t value)
{
    int queue = selected_queue(pci), field = queue_field(offset);

    if (queue < 0)
        return;
    if (offset == REG_QUEUE_VECTOR)
        virtio_pci_set_vector(pci, queue, (uint16_t)value);
    else if (offset == REG_QUEUE_ENABLE && value != 1)
        return; /* 4.1.4.3.2: a driver writes nothing else; a queue is disabled by a reset */
    else if (field >= 0)
        virtio_device_queue_write(pci->device, (unsigned)queue, (enum virtio_queue_field)field,
                                  value);
}

static void write_register(struct virtio_pci *pci, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case REG_DEVICE_FEATURE_SELECT:
        set(&pci->features_select, value);
        break;
    case REG_DRIVER_FEATURE_SELECT:
        set(&pci->driver_features_select, value);
        break;
    case REG_DRIVER_FEATURE:
        virtio_device_set_driver_features(pci->device, get(&pci->driver_features_select), value);
        break;
    case REG_CONFIG_VECTOR:
        virtio_pci_set_vector(pci, -1, (uint16_t)value);
        break;
    case REG_STATUS:
        write_status(pci, (uint8_t)value);
        break;
    case REG_QUEUE_SELECT:
        set(&pci->queue_select, value);
        break;
    default:
        write_queue_register(pci, offset, value);
        break;
    }
}

void virtio_pci_common_write(struct virtio_pci *pci, uint64_t offset, const void *data,
                             unsigned len)
{
    uint8_t value[4] = {0};

    if (!is_field(offset, len))
        return;
    memcpy(value, data, len);
    write_register(pci, offset, load_le32(value));
}

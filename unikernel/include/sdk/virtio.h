/*
 * Virtio from the driver's side (virtio 1.2): devices found on mmio and pci, split rings with
 * INDIRECT_DESC and EVENT_IDX where they are wanted, interrupts or polling. The headers of the
 * single devices (sdk/block.h, …) stand on this one; a test that must do wrong uses it directly.
 *
 * One CPU drives a device. Words of the command line that the whole machine goes by:
 *   features=MASK        only these of the feature bits that a device offers (VERSION_1 is kept)
 *   queue_size=N         queues are at most so long
 *   interrupts=0         poll
 *   virtio_mmio.device=4K@ADDRESS:GSI   a device, where ACPI names none; may be repeated
 *   acpi=0               do not look whether ACPI names any
 *   transport=mmio, transport=pci   only devices there
 *   msix=0               pci: by the line, not by MSI-X
 */
#ifndef SDK_VIRTIO_H
#define SDK_VIRTIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Device ids, section 5. */
#define VIRTIO_ID_NET     1
#define VIRTIO_ID_BLOCK   2
#define VIRTIO_ID_CONSOLE 3
#define VIRTIO_ID_RNG     4
#define VIRTIO_ID_BALLOON 5
#define VIRTIO_ID_VSOCK   19

/* Section 2.1. */
#define VIRTIO_STATUS_ACKNOWLEDGE 0x01
#define VIRTIO_STATUS_DRIVER      0x02
#define VIRTIO_STATUS_DRIVER_OK   0x04
#define VIRTIO_STATUS_FEATURES_OK 0x08
#define VIRTIO_STATUS_NEEDS_RESET 0x40
#define VIRTIO_STATUS_FAILED      0x80

/* Section 6. */
#define VIRTIO_F_INDIRECT_DESC (UINT64_C(1) << 28)
#define VIRTIO_F_EVENT_IDX     (UINT64_C(1) << 29)
#define VIRTIO_F_VERSION_1     (UINT64_C(1) << 32)

/* Registers of virtio-mmio, table 4.1. */
#define VIRTIO_MMIO_MAGIC               0x000
#define VIRTIO_MMIO_VERSION             0x004
#define VIRTIO_MMIO_DEVICE_ID           0x008
#define VIRTIO_MMIO_VENDOR_ID           0x00c
#define VIRTIO_MMIO_DEVICE_FEATURES     0x010
#define VIRTIO_MMIO_DEVICE_FEATURES_SEL 0x014
#define VIRTIO_MMIO_DRIVER_FEATURES     0x020
#define VIRTIO_MMIO_DRIVER_FEATURES_SEL 0x024
#define VIRTIO_MMIO_QUEUE_SEL           0x030
#define VIRTIO_MMIO_QUEUE_NUM_MAX       0x034
#define VIRTIO_MMIO_QUEUE_NUM           0x038
#define VIRTIO_MMIO_QUEUE_READY         0x044
#define VIRTIO_MMIO_QUEUE_NOTIFY        0x050
#define VIRTIO_MMIO_INTERRUPT_STATUS    0x060
#define VIRTIO_MMIO_INTERRUPT_ACK       0x064
#define VIRTIO_MMIO_STATUS              0x070
#define VIRTIO_MMIO_QUEUE_DESC_LOW      0x080
#define VIRTIO_MMIO_QUEUE_AVAIL_LOW     0x090
#define VIRTIO_MMIO_QUEUE_USED_LOW      0x0a0
#define VIRTIO_MMIO_CONFIG_GENERATION   0x0fc
#define VIRTIO_MMIO_CONFIG              0x100
#define VIRTIO_MMIO_MAGIC_VALUE         UINT32_C(0x74726976)

/* Struct virtio_pci_common_cfg, section 4.1.4.3. */
#define VIRTIO_PCI_DEVICE_FEATURE_SELECT 0x00
#define VIRTIO_PCI_DEVICE_FEATURE        0x04
#define VIRTIO_PCI_DRIVER_FEATURE_SELECT 0x08
#define VIRTIO_PCI_DRIVER_FEATURE        0x0c
#define VIRTIO_PCI_MSIX_CONFIG           0x10
#define VIRTIO_PCI_NUM_QUEUES            0x12
#define VIRTIO_PCI_DEVICE_STATUS         0x14
#define VIRTIO_PCI_CONFIG_GENERATION     0x15
#define VIRTIO_PCI_QUEUE_SELECT          0x16
#define VIRTIO_PCI_QUEUE_SIZE            0x18
#define VIRTIO_PCI_QUEUE_MSIX_VECTOR     0x1a
#define VIRTIO_PCI_QUEUE_ENABLE          0x1c
#define VIRTIO_PCI_QUEUE_NOTIFY_OFF      0x1e
#define VIRTIO_PCI_QUEUE_DESC            0x20
#define VIRTIO_PCI_QUEUE_DRIVER          0x28
#define VIRTIO_PCI_QUEUE_DEVICE          0x30
#define VIRTIO_PCI_NO_VECTOR             0xffff

/* Split rings, section 2.7. */
#define VIRTQ_DESC_F_NEXT          1
#define VIRTQ_DESC_F_WRITE         2
#define VIRTQ_DESC_F_INDIRECT      4
#define VIRTQ_AVAIL_F_NO_INTERRUPT 1
#define VIRTQ_USED_F_NO_NOTIFY     1

struct virtq_desc {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

struct virtq_avail {
    volatile uint16_t flags, idx, ring[]; /* and used_event behind the ring */
};

struct virtq_used_entry {
    uint32_t id, length;
};

struct virtq_used {
    volatile uint16_t flags, idx;
    volatile struct virtq_used_entry ring[]; /* and avail_event behind it */
};

#define VIRTIO_QUEUES_MAX 8
#define VIRTIO_CHAIN_MAX  64 /* buffers in one chain */

struct virtio_queue {
    struct virtio_dev *dev;
    uint16_t index, size;
    struct virtq_desc *desc;
    struct virtq_avail *avail;
    struct virtq_used *used;
    bool indirect, event_idx;
    struct virtq_desc *tables; /* with `indirect`: VIRTIO_CHAIN_MAX for each descriptor */
    void **tokens;             /* by head */
    uint16_t *lengths;         /* descriptors of the chain, by head */
    uint16_t free_head, free_count;
    uint16_t next_avail, kicked; /* avail.idx to come, and at the last kick */
    uint16_t last_used;          /* next entry of the used ring to look at */
    uint32_t notifications;      /* sent */
    void *rings;                 /* what free() takes */
    unsigned vector;             /* with MSI-X; 0: none */
    uint64_t notify;             /* pci: where */
};

struct virtio_transport;

struct virtio_dev {
    const struct virtio_transport *transport;
    uint32_t id;
    uint64_t offered, features; /* all that it has; what was agreed */
    uint64_t mmio;              /* mmio: its registers */
    uint32_t gsi;               /* its line; UINT32_MAX for none */
    struct virtio_pci_place {
        uint8_t device, function;
        uint64_t common, notify, isr, config, msix; /* addresses; 0 where it has none */
        uint32_t notify_multiplier, config_length;
        uint16_t msix_capability, msix_count;
        bool msix_on;
    } pci;
    bool interrupts;
    unsigned config_vector;                     /* with MSI-X; 0: none */
    volatile uint32_t line_queues, line_config; /* what its line has come for, and how often */
    uint32_t status_seen; /* its interrupts for the configuration at the last look at its status */
    bool broken;          /* it said NEEDS_RESET */
    unsigned queue_count; /* that were set up */
    struct virtio_queue queues[VIRTIO_QUEUES_MAX];
};

struct virtio_transport {
    const char *name; /* "mmio", "pci" */
    uint8_t (*status)(const struct virtio_dev *dev);
    void (*set_status)(const struct virtio_dev *dev, uint8_t status);
    uint64_t (*features)(const struct virtio_dev *dev);
    void (*set_features)(const struct virtio_dev *dev, uint64_t features);
    uint16_t (*queue_size_max)(const struct virtio_dev *dev, unsigned queue);
    /* Give the device a queue's size and addresses, and make it ready. */
    void (*queue_place)(struct virtio_dev *dev, unsigned queue, uint16_t size, uint64_t desc,
                        uint64_t avail, uint64_t used);
    bool (*queue_ready)(const struct virtio_dev *dev, unsigned queue);
    void (*notify)(const struct virtio_dev *dev, unsigned queue);
    uint8_t (*generation)(const struct virtio_dev *dev);
    uint64_t (*config)(const struct virtio_dev *dev); /* its address; 0 where there is none */
    /* Interrupts: on for all queues that were set up; and, in ring 0, what a shared line was for
     * (bit 0 a queue, bit 1 the configuration), which takes it back. */
    bool (*interrupts_on)(struct virtio_dev *dev);
    uint32_t (*interrupt_cause)(const struct virtio_dev *dev);
};

/**
 * Find device number n (from 0) of this id, in the order of their addresses: those of ACPI or of
 * the command line first, then those of PCI bus 0. `transport=mmio` or `transport=pci` on the
 * command line leaves out the others.
 * Returns NULL where there are not so many.
 */
struct virtio_dev *virtio_find(uint32_t id, unsigned n);

/* Every device, in that order. Returns NULL past the last. */
struct virtio_dev *virtio_device_at(unsigned n);

/**
 * Reset it and agree on features: of `wanted`, what it offers and `features=` allows; VERSION_1
 * always. Queues of before are freed.
 * Returns whether it took them; dev->features has them.
 */
bool virtio_begin(struct virtio_dev *dev, uint64_t wanted);

/* Set up queues 0 … count - 1, on RAM of the heap. Returns whether it did. */
bool virtio_queues_create(struct virtio_dev *dev, unsigned count);

/* Interrupts on unless `interrupts=0` or there is no line, then DRIVER_OK. Returns whether the
 * device took it. */
bool virtio_start(struct virtio_dev *dev);

/* Reset, and free its queues. */
void virtio_stop(struct virtio_dev *dev);

static inline bool virtio_has(const struct virtio_dev *dev, uint64_t feature)
{
    return dev->features & feature;
}

uint8_t virtio_status(const struct virtio_dev *dev);

/* Whether it has said NEEDS_RESET. With interrupts it is asked only after it has called for that,
 * because asking stops the guest. */
bool virtio_is_broken(struct virtio_dev *dev);

/* Device-specific configuration, by the widths of section 4.2.2.2: fields of 1, 2, 4 or 8 bytes. */
uint8_t virtio_config8(const struct virtio_dev *dev, unsigned offset);
uint16_t virtio_config16(const struct virtio_dev *dev, unsigned offset);
uint32_t virtio_config32(const struct virtio_dev *dev, unsigned offset);
uint64_t virtio_config64(const struct virtio_dev *dev, unsigned offset);
void virtio_config_write8(const struct virtio_dev *dev, unsigned offset, uint8_t value);
void virtio_config_write32(const struct virtio_dev *dev, unsigned offset, uint32_t value);

struct virtio_buffer {
    void *data;
    uint32_t length;
};

/**
 * Put a chain into the available ring: `readable` buffers that the device reads, then `writable`
 * ones, at most VIRTIO_CHAIN_MAX together, which stay the device's until it is taken back.
 * @token  what virtio_queue_take() gives back; not NULL
 * Returns whether there was room.
 */
bool virtio_queue_add(struct virtio_queue *queue, const struct virtio_buffer *buffers,
                      unsigned readable, unsigned writable, void *token);

/* Show the device what was added, and notify it unless it said that it need not be. */
void virtio_queue_kick(struct virtio_queue *queue);

/**
 * Take back the next chain that the device has used.
 * @ret_length  how many bytes it says it wrote; may be NULL
 * Returns its token, or NULL where there is none.
 */
void *virtio_queue_take(struct virtio_queue *queue, uint32_t *ret_length);

/* How many interrupts were for the queue, or may have been; and how many for the configuration. */
uint32_t virtio_queue_interrupts(const struct virtio_queue *queue);
uint32_t virtio_config_interrupts(const struct virtio_dev *dev);

/* Wait until there is something to take. Returns whether there is within so many microseconds. */
bool virtio_queue_wait(struct virtio_queue *queue, uint64_t microseconds);

/**
 * Waiting for any of several things: look at the count of events, look at the things, wait while
 * the count is still the same. Each interrupt of a device is an event. The queues to be woken by
 * must be told so with virtio_queue_listen() between the first and the second; it returns true
 * where something can be taken already.
 */
uint32_t virtio_events(void);
bool virtio_queue_listen(struct virtio_queue *queue);

/* Returns once the count differs from `seen`, or after so many microseconds, or (polling) soon. */
void virtio_events_wait(uint32_t seen, uint64_t microseconds);

#endif

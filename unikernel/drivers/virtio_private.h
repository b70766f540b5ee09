/* What the parts of the virtio drivers share. */
#ifndef DRIVERS_VIRTIO_PRIVATE_H
#define DRIVERS_VIRTIO_PRIVATE_H

#include "sdk/virtio.h"

#define VIRTIO_DEVICES_MAX 32

/* Interrupt causes, section 4.1.4.5 and 4.2.2. */
#define VIRTIO_CAUSE_QUEUE  1
#define VIRTIO_CAUSE_CONFIG 2

extern const struct virtio_transport virtio_mmio_transport, virtio_pci_transport;

/* Fill in what is there, up to max. Return how many. */
unsigned virtio_mmio_scan(struct virtio_dev *ret_devices, unsigned max);
unsigned virtio_pci_scan(struct virtio_dev *ret_devices, unsigned max);

bool virtio_queue_create(struct virtio_queue *queue, struct virtio_dev *dev, unsigned index,
                         uint16_t size);
void virtio_queue_free(struct virtio_queue *queue);

/* Take a vector, whose interrupts are counted. Returns it, or 0 where there is none left. */
unsigned virtio_vector_take(struct virtio_dev *dev);

/**
 * Take a vector for the device's line (dev->gsi), which others may have too, and route it there.
 * @flags  IOAPIC_*
 * Returns whether there was one.
 */
bool virtio_line_take(struct virtio_dev *dev, uint32_t flags);

/* Give back what a device has of either. A line that others have goes on to them. */
void virtio_vectors_release(struct virtio_dev *dev);

#endif

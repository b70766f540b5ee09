/*
 * The virtio-mmio transport, version 2 (virtio 1.2, section 4.2): a page of registers, one
 * interrupt line. Notifications, and most acknowledgements of interrupts, come by ioeventfd and do
 * not stop the guest.
 */
#ifndef OSVM_VIRTIO_MMIO_H
#define OSVM_VIRTIO_MMIO_H

#include <pthread.h>
#include <stdint.h>

#include "base/error.h"
#include "base/loop.h"
#include "guest/bus.h"
#include "guest/irq.h"
#include "guest/vm.h"
#include "virtio/device.h"

#define VIRTIO_MMIO_SIZE 0x1000

struct virtio_mmio {
    struct bus_range range;
    struct virtio_device *device; /* borrowed */
    struct irq_line irq;          /* owned */
    struct loop *loop;
    pthread_mutex_t interrupt_lock; /* below the device's; of the next two */
    uint32_t interrupt_status;
    int ack_fd; /* acknowledgements of queues' interrupts; -1: they come as writes */
    /* What the driver selects with one register for the next; vCPU threads, atomic. */
    uint32_t features_select, driver_features_select, queue_select;
    struct virtio_mmio_notifier {
        struct loop_source source;
        struct virtio_mmio *mmio;
    } notifiers[VIRTIO_MAX_QUEUES];
};

/**
 * Put a device behind registers at `base`. The caller adds `mmio->range` to the memory bus.
 *
 * @size  how much of the address space they take: VIRTIO_MMIO_SIZE, or less where a board has its
 *        devices closer together
 * @vm    for ioeventfds; NULL in tests: then all comes through the registers
 * @irq   taken over
 * Returns 0 or a negative errno; `irq` is not taken over then. Before the guest runs.
 */
int virtio_mmio_init(struct virtio_mmio *mmio, struct virtio_device *device, uint64_t base,
                     uint64_t size, struct irq_line irq, struct vm *vm, struct loop *loop);

/* On the loop's thread, or after it has ended. The device is the caller's. */
void virtio_mmio_destroy(struct virtio_mmio *mmio);

#endif

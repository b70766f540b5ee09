/*
 * The virtio-pci transport, modern devices only (virtio 1.2, section 4.1): a PCI function with one
 * memory BAR that has all registers. Interrupts come by MSI-X (where the board has it), a vector
 * for the configuration and one for each queue, or by INTA. Notifications come by ioeventfd and do
 * not stop the guest.
 *
 * Locks are taken in this order, and each may be left out: the PCI host's, notify_lock, the
 * device's, `lock`, and last those of the host's interrupt lines and of the VM's routes.
 */
#ifndef OSVM_VIRTIO_PCI_H
#define OSVM_VIRTIO_PCI_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "guest/irq.h"
#include "guest/pci_host.h"
#include "virtio/device.h"

#define VIRTIO_PCI_MAX_VECTORS (VIRTIO_MAX_QUEUES + 1)
#define VIRTIO_PCI_NO_VECTOR   0xffff

/* The parts of the BAR, a page each, so that none shares a page with the doorbells. */
#define VIRTIO_PCI_COMMON 0x0000
#define VIRTIO_PCI_ISR    0x1000
#define VIRTIO_PCI_DEVICE 0x2000
#define VIRTIO_PCI_NOTIFY 0x3000 /* four bytes a queue */
#define VIRTIO_PCI_MSIX   0x4000
#define VIRTIO_PCI_PBA    0x5000
#define VIRTIO_PCI_PART   0x1000
#define VIRTIO_PCI_PARTS_SIZE                                          \
    0x8000 /* of them all; the BAR is as large, or as the board has it \
            */

/* An entry of the MSI-X table (PCI 3.0, section 6.8.2). */
struct virtio_pci_vector {
    struct irq_line irq;
    uint32_t address_low, address_high, data, control;
    bool pending; /* it is masked, and has something to say */
    bool changed; /* since it was routed */
    bool routed;  /* a pulse is the message that the entry has */
};

struct virtio_pci {
    struct pci_function function;
    struct virtio_device *device; /* borrowed */
    struct pci_host *host;        /* borrowed */
    struct loop *loop;
    unsigned msix_capability, window_capability; /* offsets in the configuration; 0: none */
    /* What the driver selects with one register for the next; vCPU threads, atomic. */
    uint32_t features_select, driver_features_select, queue_select;

    pthread_mutex_t lock; /* interrupts */
    uint8_t isr;
    bool msix_enabled, msix_masked, intx_disabled;
    uint16_t config_vector, queue_vectors[VIRTIO_MAX_QUEUES];
    unsigned vector_count;
    struct virtio_pci_vector vectors[VIRTIO_PCI_MAX_VECTORS];

    pthread_mutex_t notify_lock;
    bool driver_ok;
    uint64_t bar_base; /* PCI_BAR_UNMAPPED: it answers nowhere */
    struct virtio_pci_notifier {
        struct loop_source source;
        struct virtio_pci *pci;
        uint64_t attached; /* guest-physical; PCI_BAR_UNMAPPED: not */
    } notifiers[VIRTIO_MAX_QUEUES];
};

/**
 * Put a device on the bus as device number `number`, in the shape that the host's board has.
 *
 * Without a VM behind the host (tests) notifications come through the register, and the vectors'
 * lines are eventfds that the test reads.
 * Returns 0 or a negative errno, those of pci_host_add() among them. Before the guest runs.
 */
int virtio_pci_init(struct virtio_pci *pci, struct virtio_device *device, struct pci_host *host,
                    unsigned number, struct loop *loop);

/* On the loop's thread, or after it has ended; after the vCPUs have. The device is the caller's. */
void virtio_pci_destroy(struct virtio_pci *pci);

#endif

/* What the files of the virtio-pci transport share. */
#ifndef OSVM_VIRTIO_PCI_INTERNAL_H
#define OSVM_VIRTIO_PCI_INTERNAL_H

#include "virtio/pci.h"

/* ---- pci_common.c: the registers of section 4.1.4.3. ---- */

/* As the driver's access: any offset inside the part, len 1, 2 or 4. */
void virtio_pci_common_read(struct virtio_pci *pci, uint64_t offset, void *data, unsigned len);
void virtio_pci_common_write(struct virtio_pci *pci, uint64_t offset, const void *data,
                             unsigned len);

/* Each queue as large as it can be, until the driver says otherwise (4.1.4.3, queue_size). */
void virtio_pci_reset_queue_sizes(struct virtio_pci *pci);

/* ---- pci_interrupt.c: MSI-X, the ISR register, INTA. All take pci->lock. ---- */

extern const struct virtio_transport_ops virtio_pci_transport_ops;

/* Make the vectors' lines. What was made is undone by virtio_pci_interrupts_deinit(). Returns 0 or
 * a negative errno. */
int virtio_pci_interrupts_init(struct virtio_pci *pci);
void virtio_pci_interrupts_deinit(struct virtio_pci *pci);

/* The driver has reset the device: nothing is pending any more, no vector is used. */
void virtio_pci_interrupts_reset(struct virtio_pci *pci);

/* Reading the ISR register clears it (4.1.4.5). */
uint8_t virtio_pci_take_isr(struct virtio_pci *pci);
/* Whether INTA would be asserted if nothing kept it from it: the status register's bit. */
bool virtio_pci_interrupt_status(struct virtio_pci *pci);

/* Enable and function mask of the MSI-X capability, and the command register's INTx disable. */
void virtio_pci_set_msix_control(struct virtio_pci *pci, bool enabled, bool masked);
void virtio_pci_set_intx_disabled(struct virtio_pci *pci, bool disabled);

/* Which vector an event is told by; queue -1 is the configuration. A vector that is not there is
 * none (4.1.5.1.2.1). */
uint16_t virtio_pci_vector(struct virtio_pci *pci, int queue);
void virtio_pci_set_vector(struct virtio_pci *pci, int queue, uint16_t vector);

/* The table and the pending bits, any offset inside their part, len 1, 2, 4 or 8. */
void virtio_pci_msix_read(struct virtio_pci *pci, uint64_t offset, void *data, unsigned len);
void virtio_pci_msix_write(struct virtio_pci *pci, uint64_t offset, const void *data, unsigned len);
void virtio_pci_pba_read(struct virtio_pci *pci, uint64_t offset, void *data, unsigned len);

/* ---- pci.c ---- */

/* The status register was written: attach the doorbells, if the driver is ready. */
void virtio_pci_status_changed(struct virtio_pci *pci);

#endif

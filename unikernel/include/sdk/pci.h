/* PCI configuration space by ports 0xcf8 and 0xcfc (PCI 3.0, section 3.2.2.3.2). Bus 0 only. */
#ifndef SDK_PCI_H
#define SDK_PCI_H

#include <stdbool.h>
#include <stdint.h>

#define PCI_VENDOR_ID       0x00
#define PCI_DEVICE_ID       0x02
#define PCI_COMMAND         0x04
#define PCI_STATUS          0x06
#define PCI_HEADER_TYPE     0x0e
#define PCI_BAR0            0x10
#define PCI_CAPABILITIES    0x34
#define PCI_INTERRUPT_LINE  0x3c
#define PCI_INTERRUPT_PIN   0x3d
#define PCI_COMMAND_MEMORY  0x002
#define PCI_COMMAND_MASTER  0x004
#define PCI_COMMAND_NO_INTX 0x400
#define PCI_STATUS_CAPS     0x10
#define PCI_CAP_VENDOR      0x09
#define PCI_CAP_MSIX        0x11

struct pci_function {
    uint8_t device, function;
};

/* Whether the ports are there: the address register holds what is written to it. */
bool pci_present(void);

/* offset is a multiple of the width. */
uint8_t pci_read8(struct pci_function at, unsigned offset);
uint16_t pci_read16(struct pci_function at, unsigned offset);
uint32_t pci_read32(struct pci_function at, unsigned offset);
void pci_write16(struct pci_function at, unsigned offset, uint16_t value);
void pci_write32(struct pci_function at, unsigned offset, uint32_t value);

/* The next capability with this id after `after` (0: the first). Returns its offset, or 0. */
unsigned pci_capability(struct pci_function at, uint8_t id, unsigned after);

/* Where memory BAR 0–5 lies, placed first where firmware did not. 0: none, or not of memory. */
uint64_t pci_bar(struct pci_function at, unsigned bar);

#endif

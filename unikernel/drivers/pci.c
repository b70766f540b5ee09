/* PCI configuration space. */
#include "sdk/pci.h"

#include "sdk/io.h"
#include "sdk/memory.h"

#define PORT_ADDRESS   0xcf8
#define PORT_DATA      0xcfc
#define ADDRESS_ENABLE UINT32_C(0x80000000)

#define CAPABILITIES_MAX 48 /* as many as fit; a list that loops ends */

/* PCI 3.0, section 6.2.5.1. */
#define BAR_IO           0x1
#define BAR_TYPE_MASK    0x6
#define BAR_TYPE_64      0x4
#define BAR_ADDRESS_MASK UINT64_C(0xfffffffffffffff0)
#define BAR_COUNT        6

/* Where BARs are placed that firmware left at 0: in the hole of the devices, below the I/O APIC. */
#define WINDOW_BASE UINT64_C(0xe8000000)
#define WINDOW_END  UINT64_C(0xfe000000)
#define MAPPED_END  (UINT64_C(1) << 32) /* the SDK's first page tables */

static uint16_t select_register(struct pci_function at, unsigned offset)
{
    port_out32(PORT_ADDRESS, ADDRESS_ENABLE | (uint32_t)at.device << 11 |
                                 (uint32_t)at.function << 8 | (offset & 0xfc));
    return (uint16_t)(PORT_DATA + (offset & 3));
}

bool pci_present(void)
{
    port_out32(PORT_ADDRESS, ADDRESS_ENABLE);
    return port_in32(PORT_ADDRESS) == ADDRESS_ENABLE;
}

uint8_t pci_read8(struct pci_function at, unsigned offset)
{
    return port_in8(select_register(at, offset));
}

uint16_t pci_read16(struct pci_function at, unsigned offset)
{
    return port_in16(select_register(at, offset));
}

uint32_t pci_read32(struct pci_function at, unsigned offset)
{
    return port_in32(select_register(at, offset));
}

void pci_write16(struct pci_function at, unsigned offset, uint16_t value)
{
    port_out16(select_register(at, offset), value);
}

void pci_write32(struct pci_function at, unsigned offset, uint32_t value)
{
    port_out32(select_register(at, offset), value);
}

unsigned pci_capability(struct pci_function at, uint8_t id, unsigned after)
{
    unsigned offset;

    if (!(pci_read16(at, PCI_STATUS) & PCI_STATUS_CAPS))
        return 0;
    offset = pci_read8(at, after ? after + 1 : PCI_CAPABILITIES) & 0xfc;
    for (unsigned i = 0; offset != 0 && i < CAPABILITIES_MAX; i++) {
        if (pci_read8(at, offset) == id)
            return offset;
        offset = pci_read8(at, offset + 1) & 0xfc;
    }
    return 0;
}

/* Write all ones, read back which bits stay: PCI 3.0, section 6.2.5.1. Decoding is off meanwhile.
 */
static uint64_t bar_size(struct pci_function at, unsigned offset, bool wide)
{
    uint64_t mask;

    pci_write32(at, offset, UINT32_MAX);
    mask = pci_read32(at, offset) & (uint32_t)BAR_ADDRESS_MASK;
    if (wide) {
        pci_write32(at, offset + 4, UINT32_MAX);
        mask |= (uint64_t)pci_read32(at, offset + 4) << 32;
    } else {
        mask |= UINT64_C(0xffffffff00000000);
    }
    return mask ? ~mask + 1 : 0;
}

static uint64_t place(struct pci_function at, unsigned offset, bool wide)
{
    static uint64_t next = WINDOW_BASE;
    uint16_t command = pci_read16(at, PCI_COMMAND);
    uint64_t size, base;

    pci_write16(at, PCI_COMMAND, command & (uint16_t)~PCI_COMMAND_MEMORY);
    size = bar_size(at, offset, wide);
    base = (next + size - 1) & ~(size - 1);
    if (size == 0 || size > WINDOW_END - WINDOW_BASE || base > WINDOW_END - size)
        base = 0;
    else
        next = base + size;
    pci_write32(at, offset, (uint32_t)base);
    if (wide)
        pci_write32(at, offset + 4, 0);
    pci_write16(at, PCI_COMMAND, command);
    return base;
}

uint64_t pci_bar(struct pci_function at, unsigned bar)
{
    unsigned offset = PCI_BAR0 + 4 * bar;
    uint64_t base;
    bool wide;

    if (bar >= BAR_COUNT)
        return 0;
    base = pci_read32(at, offset);
    if (base & BAR_IO)
        return 0;
    wide = (base & BAR_TYPE_MASK) == BAR_TYPE_64 && bar + 1 < BAR_COUNT;
    if (wide)
        base |= (uint64_t)pci_read32(at, offset + 4) << 32;
    base &= BAR_ADDRESS_MASK;
    if (base == 0)
        base = place(at, offset, wide);
    if (base >= MAPPED_END && !memory_map(base, PAGE_SIZE))
        return 0;
    return base;
}

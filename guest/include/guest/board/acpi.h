/*
 * The ACPI tables: RSDP, XSDT, FADT (hardware-reduced), MADT, DSDT (ACPI 6.5), and where there is
 * PCI, MCFG (PCI Firmware Specification 3.3). They are written once, before the guest starts, into
 * [LAYOUT_ACPI_BASE, LAYOUT_ACPI_END).
 */
#ifndef OSVM_GUEST_BOARD_ACPI_H
#define OSVM_GUEST_BOARD_ACPI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "guest/memory.h"

/* A virtio-mmio device for the DSDT (HID LNRO0005). */
struct acpi_mmio_device {
    uint64_t base;
    uint64_t size;
    uint32_t gsi;
};

struct acpi_options {
    unsigned cpus; /* APIC ids 0 to cpus - 1 */
    const struct acpi_mmio_device *mmio_devices;
    unsigned mmio_device_count;
    bool pci;      /* there is a PCI host (guest/pci_host.h) */
    bool keyboard; /* there is one behind the i8042 */
};

/**
 * Build the tables.
 *
 * @ret_rsdp  guest-physical address of the RSDP (LAYOUT_ACPI_BASE)
 * Returns 0; -ENOSPC where so many CPUs or devices do not fit; -EFAULT where guest memory does
 * not reach LAYOUT_ACPI_END.
 */
int acpi_build(struct guest_memory *mem, const struct acpi_options *options, uint64_t *ret_rsdp,
               struct error *err);

#endif

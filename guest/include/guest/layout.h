/*
 * The PC's physical address map and ports, as this machine has them. Every fixed number of the
 * board stands here once.
 */
#ifndef OSVM_GUEST_LAYOUT_H
#define OSVM_GUEST_LAYOUT_H

#include "base/util.h"

/* RAM: [0, 3 GiB), then from 4 GiB on what does not fit below; between them the devices' hole. */
#define LAYOUT_LOW_RAM_END   (3 * GIB)
#define LAYOUT_HIGH_RAM_BASE (4 * GIB)

/*
 * The first MiB. It is RAM throughout; what a PC keeps from programs (EBDA, video, ROM) is
 * reserved in the memory map that the guest is told, and the ACPI tables lie in the ROM area,
 * where scanners of the last 128 KiB find the RSDP (ACPI 6.5, section 5.2.5.1).
 */
#define LAYOUT_LOW_RAM_TOP  UINT64_C(0x9fc00) /* conventional memory ends: below is usable */
#define LAYOUT_ACPI_BASE    UINT64_C(0xe0000)
#define LAYOUT_ACPI_END     UINT64_C(0xffff0)
#define LAYOUT_RESET_VECTOR UINT64_C(0xffff0) /* FFFF:0 of real mode, 16 bytes */
#define LAYOUT_HIMEM_BASE   UINT64_C(0x100000)

/*
 * Where a PC's firmware would have left an MP table: from the last KiB of conventional memory, by
 * its page, to the last 64 KiB of ROM (MultiProcessor Specification 1.4, section 4). Kernels look
 * there word by word, so it must not be nothing, which would cost an exit a word.
 */
#define LAYOUT_MP_SEARCH_BASE UINT64_C(0x9f000)
#define LAYOUT_MP_SEARCH_END  UINT64_C(0x100000)

/* In the hole, 3 to 4 GiB. */
#define LAYOUT_DEVICE_BASE \
    UINT64_C(0xc0000000) /* virtio-mmio and PCI windows: 0xc0000000–0xfebfffff */
#define LAYOUT_PCI_WINDOW   UINT64_C(0xc8000000) /* memory BARs: 0xc8000000–0xcfffffff */
#define LAYOUT_VIRTIO_MMIO  UINT64_C(0xd0000000) /* one page a device */
#define LAYOUT_PCI_ECAM     UINT64_C(0xe0000000) /* configuration of bus 0: 1 MiB */
#define LAYOUT_IOAPIC_BASE  UINT64_C(0xfec00000)
#define LAYOUT_LAPIC_BASE   UINT64_C(0xfee00000)
#define LAYOUT_KVM_TSS_BASE UINT64_C(0xfffbd000) /* three pages that KVM wants on Intel hosts */

#define LAYOUT_PCI_WINDOW_SIZE (128 * MIB)

/*
 * What is elsewhere in a machine for a Hermit image (docs/hermit.md): its kernels look for
 * virtio-mmio devices at fixed places, 512 bytes apart, and take what lies below the hole that the
 * hypervisor of theirs has for RAM.
 */
#define LAYOUT_HERMIT_HOLE        UINT64_C(0xd0000000)
#define LAYOUT_HERMIT_BARS        UINT64_C(0xfe000000) /* memory BARs, 2 MiB each; by PCI */
#define LAYOUT_HERMIT_BARS_SIZE   (12 * MIB)
#define LAYOUT_HERMIT_MMIO        UINT64_C(0xfeb00000) /* without PCI */
#define LAYOUT_HERMIT_MMIO_STRIDE UINT64_C(0x200)
#define LAYOUT_HERMIT_MMIO_COUNT  8
#define LAYOUT_PCI_ECAM_SIZE      MIB

/* Ports. */
#define PORT_PIT            0x40 /* 0x40–0x43 */
#define PORT_SYSTEM_CONTROL 0x61 /* PIT channel 2's gate and output */
#define PORT_I8042_DATA     0x60
#define PORT_I8042_COMMAND  0x64
#define PORT_CMOS           0x70 /* 0x70 index, 0x71 data */
#define PORT_DEBUG_EXIT     0xf4 /* default of --debug-exit */
#define PORT_SERIAL         0x3f8
#define PORT_SLEEP_CONTROL  0x600 /* ACPI hardware-reduced sleep control, 0x601 sleep status */
#define PORT_PM1A_CONTROL   0x604 /* the same by the older register, for guests that only know it */
#define PORT_OSVM           0x700 /* guest/board/osvm_port.h, 0x700–0x70f */
#define PORT_PCI            0xcf8 /* 0xcf8 address, 0xcfc–0xcff data */
#define PORT_RESET          0xcf9

/* Interrupt lines: the ISA number, the GSI and the IOAPIC pin are the same here. */
#define IRQ_TIMER    0
#define IRQ_KEYBOARD 1
#define IRQ_SERIAL   4
#define IRQ_COUNT    24
/* For devices, from here up to IRQ_COUNT: pins that no ISA device has. */
#define IRQ_DEVICE_FIRST 16
/* Of virtio-mmio devices for a Hermit image: this one and the next. */
#define IRQ_HERMIT_MMIO_FIRST 5

#endif

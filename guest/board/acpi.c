#include "guest/board/acpi.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aml.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/util.h"
#include "guest/board/reset.h"
#include "guest/board/serial.h"
#include "guest/layout.h"
#include "guest/pci_host.h"

/* Sections and tables are those of ACPI 6.5. */

#define OEM_ID       "OSVM  "
#define OEM_TABLE_ID "OSVM-VMM"
#define CREATOR_ID   "OSVM"
#define REVISION     1

#define TABLE_ALIGNMENT 16
#define AREA_SIZE       (LAYOUT_ACPI_END - LAYOUT_ACPI_BASE)

/* Section 5.2.5.3. */
#define RSDP_SIZE            36
#define RSDP_CHECKSUM        8
#define RSDP_REVISION        15
#define RSDP_RSDT            16
#define RSDP_LENGTH          20
#define RSDP_XSDT            24
#define RSDP_FULL_CHECKSUM   32
#define RSDP_FIRST_PART_SIZE 20 /* what ACPI 1.0 knew, with a checksum of its own */
#define RSDP_REVISION_2      2

/* Section 5.2.6, table 5.4. */
#define HEADER_SIZE             36
#define HEADER_LENGTH           4
#define HEADER_REVISION         8
#define HEADER_CHECKSUM         9
#define HEADER_OEM_ID           10
#define HEADER_OEM_TABLE_ID     16
#define HEADER_OEM_REVISION     24
#define HEADER_CREATOR_ID       28
#define HEADER_CREATOR_REVISION 32

/* Where the tables are built: an image of [LAYOUT_ACPI_BASE, LAYOUT_ACPI_END). */
struct builder {
    struct aml out;
    uint64_t dsdt, fadt, madt, mcfg, rsdt, xsdt; /* guest-physical; mcfg: 0 for none */
};

static uint64_t here(const struct builder *builder)
{
    return LAYOUT_ACPI_BASE + builder->out.used;
}

/* What makes all bytes sum to zero in eight bits. */
static uint8_t checksum(const uint8_t *bytes, size_t len)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + bytes[i]);
    return (uint8_t)-sum;
}

/* Begin a table on its alignment. Returns its guest-physical address. */
static uint64_t open_table(struct builder *builder, const char *signature, uint8_t revision)
{
    static const uint8_t padding[TABLE_ALIGNMENT];
    uint8_t header[HEADER_SIZE] = {0};
    uint64_t address;

    aml_bytes(&builder->out, padding,
              align_up(builder->out.used, TABLE_ALIGNMENT) - builder->out.used);
    address = here(builder);
    memcpy(header, signature, 4);
    header[HEADER_REVISION] = revision;
    memcpy(header + HEADER_OEM_ID, OEM_ID, 6);
    memcpy(header + HEADER_OEM_TABLE_ID, OEM_TABLE_ID, 8);
    store_le32(header + HEADER_OEM_REVISION, REVISION);
    memcpy(header + HEADER_CREATOR_ID, CREATOR_ID, 4);
    store_le32(header + HEADER_CREATOR_REVISION, REVISION);
    aml_bytes(&builder->out, header, sizeof(header));
    return address;
}

static void close_table(struct builder *builder, uint64_t address)
{
    uint8_t *table = builder->out.buf + (address - LAYOUT_ACPI_BASE);
    size_t len = here(builder) - address;

    if (builder->out.overflow)
        return;
    store_le32(table + HEADER_LENGTH, (uint32_t)len);
    table[HEADER_CHECKSUM] = checksum(table, len);
}

/* The parts of the DSDT, section 5.2.11.1. */

/* \_S5: SLP_TYPa, SLP_TYPb and two reserved, section 7.4.2. */
static void write_s5(struct aml *out)
{
    size_t package;

    aml_name(out, "_S5_");
    package = aml_open_package(out, 4);
    for (unsigned i = 0; i < 4; i++)
        aml_integer(out, i < 2 ? ACPI_S5_SLEEP_TYPE : 0);
    aml_close(out, package);
}

static void write_serial(struct aml *out)
{
    size_t device = aml_open_device(out, "COM1"), resources;

    aml_name(out, "_HID");
    aml_eisa_id(out, "PNP0501");
    aml_name(out, "_UID");
    aml_integer(out, 1);
    aml_name(out, "_CRS");
    resources = aml_open_resources(out);
    aml_resource_io(out, PORT_SERIAL, SERIAL_PORT_COUNT);
    aml_resource_edge_interrupt(out, IRQ_SERIAL);
    aml_close_resources(out, resources);
    aml_close(out, device);
}

static void write_rtc(struct aml *out)
{
    size_t device = aml_open_device(out, "RTC_"), resources;

    aml_name(out, "_HID");
    aml_eisa_id(out, "PNP0B00");
    aml_name(out, "_CRS");
    resources = aml_open_resources(out);
    aml_resource_io(out, PORT_CMOS, 2);
    aml_close_resources(out, resources);
    aml_close(out, device);
}

static void write_keyboard(struct aml *out)
{
    size_t device = aml_open_device(out, "KBD_"), resources;

    aml_name(out, "_HID");
    aml_eisa_id(out, "PNP0303");
    aml_name(out, "_CRS");
    resources = aml_open_resources(out);
    aml_resource_io(out, PORT_I8042_DATA, 1);
    aml_resource_io(out, PORT_I8042_COMMAND, 1);
    aml_resource_edge_interrupt(out, IRQ_KEYBOARD);
    aml_close_resources(out, resources);
    aml_close(out, device);
}

/* A letter and three hexadecimal digits. */
static void numbered_name(char ret_name[5], char letter, unsigned number)
{
    static const char digits[] = "0123456789ABCDEF";

    ret_name[0] = letter;
    ret_name[1] = digits[number >> 8 & 0xf];
    ret_name[2] = digits[number >> 4 & 0xf];
    ret_name[3] = digits[number & 0xf];
    ret_name[4] = '\0';
}

#define NUMBERED_NAMES 0x1000

/* Section 8.4: the _UID is that of the CPU's entry in the MADT. */
static void write_processor(struct aml *out, unsigned cpu)
{
    char name[5];
    size_t device;

    numbered_name(name, 'C', cpu);
    device = aml_open_device(out, name);
    aml_name(out, "_HID");
    aml_string(out, "ACPI0007");
    aml_name(out, "_UID");
    aml_integer(out, cpu);
    aml_close(out, device);
}

/*
 * What Linux's drivers/virtio/virtio_mmio.c looks for: the HID, one memory range, one interrupt.
 * An edge, because that is what an irqfd without a resampler makes.
 */
static void write_virtio(struct aml *out, unsigned number, const struct acpi_mmio_device *mmio)
{
    size_t device, resources;
    char name[5];

    numbered_name(name, 'V', number);
    device = aml_open_device(out, name);
    aml_name(out, "_HID");
    aml_string(out, "LNRO0005");
    aml_name(out, "_UID");
    aml_integer(out, number);
    aml_name(out, "_CRS");
    resources = aml_open_resources(out);
    if (range_inside(mmio->base, mmio->size, 4 * GIB) && mmio->size <= UINT32_MAX)
        aml_resource_memory32(out, (uint32_t)mmio->base, (uint32_t)mmio->size);
    else
        aml_resource_memory64(out, mmio->base, mmio->size);
    aml_resource_edge_interrupt(out, mmio->gsi);
    aml_close_resources(out, resources);
    aml_close(out, device);
}

static void write_pci_resources(struct aml *out)
{
    size_t resources;

    aml_name(out, "_CRS");
    resources = aml_open_resources(out);
    aml_resource_buses(out, 0, 0);
    aml_resource_io(out, PORT_PCI, PCI_PORT_COUNT);
    aml_resource_window32(out, LAYOUT_PCI_WINDOW, LAYOUT_PCI_WINDOW_SIZE);
    aml_close_resources(out, resources);
}

/* Section 6.2.13: of each device, any function, INTA (pin 0), by no link device, to its GSI. */
static void write_pci_interrupts(struct aml *out)
{
    size_t table, entry;

    aml_name(out, "_PRT");
    table = aml_open_package(out, PCI_DEVICES - 1); /* all but the bridge */
    for (unsigned i = 1; i < PCI_DEVICES; i++) {
        entry = aml_open_package(out, 4);
        aml_integer(out, i << 16 | 0xffff);
        aml_integer(out, 0);
        aml_integer(out, 0);
        aml_integer(out, pci_intx_gsi(i));
        aml_close(out, entry);
    }
    aml_close(out, table);
}

/* Without _OSC: what it would hand over to the guest, hot-plug and errors, is not here. */
static void write_pci_root(struct aml *out)
{
    size_t device = aml_open_device(out, "PCI0");

    aml_name(out, "_HID");
    aml_eisa_id(out, "PNP0A08");
    aml_name(out, "_CID");
    aml_eisa_id(out, "PNP0A03");
    aml_name(out, "_UID");
    aml_integer(out, 0);
    aml_name(out, "_SEG");
    aml_integer(out, 0);
    aml_name(out, "_BBN");
    aml_integer(out, 0);
    write_pci_resources(out);
    write_pci_interrupts(out);
    aml_close(out, device);
}

/*
 * The board's own resources, among them ECAM: Linux uses it only where a PNP0C02 (or the memory
 * map) reserves it (arch/x86/pci/mmconfig-shared.c; PCI Firmware Specification 3.3, section 4.1.2).
 */
static void write_board(struct aml *out)
{
    size_t device = aml_open_device(out, "MBRD"), resources;

    aml_name(out, "_HID");
    aml_eisa_id(out, "PNP0C02");
    aml_name(out, "_UID");
    aml_integer(out, 0);
    aml_name(out, "_CRS");
    resources = aml_open_resources(out);
    aml_resource_memory32(out, LAYOUT_PCI_ECAM, LAYOUT_PCI_ECAM_SIZE);
    aml_close_resources(out, resources);
    aml_close(out, device);
}

static void write_dsdt(struct builder *builder, const struct acpi_options *options)
{
    struct aml *out = &builder->out;
    size_t scope;

    builder->dsdt = open_table(builder, "DSDT", 2);
    write_s5(out);
    scope = aml_open_scope(out, "_SB_");
    for (unsigned i = 0; i < options->cpus; i++)
        write_processor(out, i);
    write_serial(out);
    write_rtc(out);
    if (options->keyboard)
        write_keyboard(out);
    for (unsigned i = 0; i < options->mmio_device_count; i++)
        write_virtio(out, i, &options->mmio_devices[i]);
    if (options->pci) {
        write_board(out);
        write_pci_root(out);
    }
    aml_close(out, scope);
    close_table(builder, builder->dsdt);
}

/* Section 5.2.9, table 5.9: offsets of the fields that are not zero here. */
#define FADT_SIZE           276
#define FADT_REVISION       6
#define FADT_MINOR_REVISION 5
#define FADT_DSDT           40
#define FADT_SCI_INT        46
#define FADT_PM1A_CNT_BLK   64
#define FADT_PM1_CNT_LEN    89
#define FADT_P_LVL2_LAT     96
#define FADT_P_LVL3_LAT     98
#define FADT_CENTURY        108
#define FADT_IAPC_BOOT_ARCH 109
#define FADT_FLAGS          112
#define FADT_RESET_REG      116
#define FADT_RESET_VALUE    128
#define FADT_MINOR          131
#define FADT_X_DSDT         140
#define FADT_X_PM1A_CNT_BLK 172
#define FADT_SLEEP_CONTROL  244
#define FADT_SLEEP_STATUS   256
#define FADT_HYPERVISOR_ID  268

#define SCI_GSI             9 /* ignored where the hardware is reduced; never raised */
#define C_STATE_UNSUPPORTED 0xffff
#define CMOS_CENTURY_INDEX  0x32 /* guest/board/rtc.c keeps it there */
#define RESET_VALUE         0x06 /* SYS_RST and RST_CPU */

/* Table 5.11. Without a keyboard the 8042 is there for its reset line alone, and not announced. */
#define BOOT_ARCH_8042    (1U << 1)
#define BOOT_ARCH_NO_VGA  (1U << 2)
#define BOOT_ARCH_NO_ASPM (1U << 4)

/* Table 5.10. */
#define FLAG_WBINVD              (1U << 0)
#define FLAG_PROC_C1             (1U << 2)
#define FLAG_NO_FIXED_POWER      (1U << 4)
#define FLAG_NO_FIXED_SLEEP      (1U << 5)
#define FLAG_NO_FIXED_RTC        (1U << 6)
#define FLAG_RESET_REG_SUPPORTED (1U << 10)
#define FLAG_HEADLESS            (1U << 12)
#define FLAG_HW_REDUCED_ACPI     (1U << 20)

/* A generic address in I/O space of 1 or 2 bytes, section 5.2.3.2. */
static void store_io_address(uint8_t *field, uint16_t port, uint8_t bytes)
{
    field[0] = 1;                    /* system I/O */
    field[1] = (uint8_t)(8 * bytes); /* width; the offset, the next byte, is 0 */
    field[3] = bytes;                /* access size: 1 is a byte, 2 a word */
    store_le64(field + 4, port);
}

static void write_fadt(struct builder *builder, bool keyboard)
{
    uint8_t fadt[FADT_SIZE] = {0};

    builder->fadt = open_table(builder, "FACP", FADT_REVISION);
    store_le32(fadt + FADT_DSDT, (uint32_t)builder->dsdt);
    store_le64(fadt + FADT_X_DSDT, builder->dsdt);
    store_le16(fadt + FADT_SCI_INT, SCI_GSI);
    store_le32(fadt + FADT_PM1A_CNT_BLK, PORT_PM1A_CONTROL);
    fadt[FADT_PM1_CNT_LEN] = 2;
    store_io_address(fadt + FADT_X_PM1A_CNT_BLK, PORT_PM1A_CONTROL, 2);
    store_le16(fadt + FADT_P_LVL2_LAT, C_STATE_UNSUPPORTED);
    store_le16(fadt + FADT_P_LVL3_LAT, C_STATE_UNSUPPORTED);
    fadt[FADT_CENTURY] = CMOS_CENTURY_INDEX;
    store_le16(fadt + FADT_IAPC_BOOT_ARCH,
               BOOT_ARCH_NO_VGA | BOOT_ARCH_NO_ASPM | (keyboard ? BOOT_ARCH_8042 : 0));
    store_le32(fadt + FADT_FLAGS, FLAG_WBINVD | FLAG_PROC_C1 | FLAG_NO_FIXED_POWER |
                                      FLAG_NO_FIXED_SLEEP | FLAG_NO_FIXED_RTC |
                                      FLAG_RESET_REG_SUPPORTED | FLAG_HEADLESS |
                                      FLAG_HW_REDUCED_ACPI);
    store_io_address(fadt + FADT_RESET_REG, PORT_RESET, 1);
    fadt[FADT_RESET_VALUE] = RESET_VALUE;
    fadt[FADT_MINOR] = FADT_MINOR_REVISION;
    store_io_address(fadt + FADT_SLEEP_CONTROL, PORT_SLEEP_CONTROL, 1);
    store_io_address(fadt + FADT_SLEEP_STATUS, PORT_SLEEP_CONTROL + 1, 1);
    memcpy(fadt + FADT_HYPERVISOR_ID, OEM_TABLE_ID, 8);
    aml_bytes(&builder->out, fadt + HEADER_SIZE, FADT_SIZE - HEADER_SIZE);
    close_table(builder, builder->fadt);
}

/* Section 5.2.12. */
#define MADT_REVISION    6
#define MADT_PCAT_COMPAT 1 /* there are 8259s too, to be masked by who uses the IOAPIC */
#define MADT_LAPIC       0 /* 5.2.12.2 */
#define MADT_LAPIC_SIZE  8
#define MADT_IOAPIC      1 /* 5.2.12.3 */
#define MADT_IOAPIC_SIZE 12
#define MADT_X2APIC      9 /* 5.2.12.12 */
#define MADT_X2APIC_SIZE 16
#define MADT_CPU_ENABLED 1
#define XAPIC_LAST_ID    254 /* 255 is the broadcast; larger ids want an x2APIC entry */

static void write_madt_cpu(struct aml *out, unsigned cpu)
{
    if (cpu <= XAPIC_LAST_ID) {
        uint8_t entry[MADT_LAPIC_SIZE] = {MADT_LAPIC, MADT_LAPIC_SIZE, (uint8_t)cpu, (uint8_t)cpu};

        store_le32(entry + 4, MADT_CPU_ENABLED);
        aml_bytes(out, entry, sizeof(entry));
    } else {
        uint8_t entry[MADT_X2APIC_SIZE] = {MADT_X2APIC, MADT_X2APIC_SIZE};

        store_le32(entry + 4, cpu); /* the APIC id */
        store_le32(entry + 8, MADT_CPU_ENABLED);
        store_le32(entry + 12, cpu); /* the _UID */
        aml_bytes(out, entry, sizeof(entry));
    }
}

static void write_madt(struct builder *builder, unsigned cpus)
{
    uint8_t ioapic[MADT_IOAPIC_SIZE] = {MADT_IOAPIC, MADT_IOAPIC_SIZE};
    uint8_t fixed[8];

    builder->madt = open_table(builder, "APIC", MADT_REVISION);
    store_le32(fixed, LAYOUT_LAPIC_BASE);
    store_le32(fixed + 4, MADT_PCAT_COMPAT);
    aml_bytes(&builder->out, fixed, sizeof(fixed));
    for (unsigned i = 0; i < cpus; i++)
        write_madt_cpu(&builder->out, i);
    store_le32(ioapic + 4, LAYOUT_IOAPIC_BASE); /* id 0; its pins are the GSIs from 0 on */
    aml_bytes(&builder->out, ioapic, sizeof(ioapic));
    close_table(builder, builder->madt);
}

/* PCI Firmware Specification 3.3, section 4.1.2: tables 4-2 and 4-3. */
#define MCFG_REVISION  1
#define MCFG_RESERVED  8
#define MCFG_ENTRY     16
#define MCFG_BASE      0
#define MCFG_SEGMENT   8
#define MCFG_FIRST_BUS 10
#define MCFG_LAST_BUS  11

static void write_mcfg(struct builder *builder)
{
    uint8_t content[MCFG_RESERVED + MCFG_ENTRY] = {0}, *entry = content + MCFG_RESERVED;

    builder->mcfg = open_table(builder, "MCFG", MCFG_REVISION);
    store_le64(entry + MCFG_BASE, LAYOUT_PCI_ECAM);
    store_le16(entry + MCFG_SEGMENT, 0);
    entry[MCFG_FIRST_BUS] = 0;
    entry[MCFG_LAST_BUS] = 0;
    aml_bytes(&builder->out, content, sizeof(content));
    close_table(builder, builder->mcfg);
}

/* Sections 5.2.7 and 5.2.8. The 32-bit list is for guests that never learnt of the other. */
static void write_lists(struct builder *builder)
{
    uint64_t tables[] = {builder->fadt, builder->madt, builder->mcfg};
    size_t count = ARRAY_SIZE(tables) - (builder->mcfg == 0);
    uint8_t entry[8];

    builder->rsdt = open_table(builder, "RSDT", 1);
    for (size_t i = 0; i < count; i++) {
        store_le32(entry, (uint32_t)tables[i]);
        aml_bytes(&builder->out, entry, 4);
    }
    close_table(builder, builder->rsdt);

    builder->xsdt = open_table(builder, "XSDT", 1);
    for (size_t i = 0; i < count; i++) {
        store_le64(entry, tables[i]);
        aml_bytes(&builder->out, entry, 8);
    }
    close_table(builder, builder->xsdt);
}

/* Fill in the root pointer, for which room was left at the start. */
static void write_rsdp(struct builder *builder)
{
    uint8_t *rsdp = builder->out.buf;

    memcpy(rsdp, "RSD PTR ", 8);
    memcpy(rsdp + RSDP_CHECKSUM + 1, OEM_ID, 6);
    rsdp[RSDP_REVISION] = RSDP_REVISION_2;
    store_le32(rsdp + RSDP_RSDT, (uint32_t)builder->rsdt);
    store_le32(rsdp + RSDP_LENGTH, RSDP_SIZE);
    store_le64(rsdp + RSDP_XSDT, builder->xsdt);
    rsdp[RSDP_CHECKSUM] = checksum(rsdp, RSDP_FIRST_PART_SIZE);
    rsdp[RSDP_FULL_CHECKSUM] = checksum(rsdp, RSDP_SIZE);
}

static int no_room(const struct acpi_options *options, struct error *err)
{
    return error_set(err, -ENOSPC, "the ACPI tables have no room for %u CPUs and %u devices",
                     options->cpus, options->mmio_device_count);
}

int acpi_build(struct guest_memory *mem, const struct acpi_options *options, uint64_t *ret_rsdp,
               struct error *err)
{
    static const uint8_t rsdp_room[RSDP_SIZE];
    _cleanup_free_ uint8_t *area = malloc(AREA_SIZE);
    struct builder builder = {.out = {.buf = area, .size = AREA_SIZE}};
    int r;

    if (!area)
        return error_set_errno(err, -ENOMEM, "cannot build the ACPI tables");
    if (options->cpus > NUMBERED_NAMES || options->mmio_device_count > NUMBERED_NAMES)
        return no_room(options, err);
    aml_bytes(&builder.out, rsdp_room, sizeof(rsdp_room));
    write_dsdt(&builder, options);
    write_fadt(&builder, options->keyboard);
    write_madt(&builder, options->cpus);
    if (options->pci)
        write_mcfg(&builder);
    write_lists(&builder);
    if (builder.out.overflow)
        return no_room(options, err);
    write_rsdp(&builder);
    r = guest_memory_write(mem, LAYOUT_ACPI_BASE, area, builder.out.used);
    if (r < 0)
        return error_set(err, r, "the memory is too small for the ACPI tables");
    *ret_rsdp = LAYOUT_ACPI_BASE;
    return 0;
}

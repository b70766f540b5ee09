/* ACPI tables (ACPI 6.5, chapter 5), as far as small guests need them: found, walked, acted on. */
#ifndef SDK_ACPI_H
#define SDK_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct acpi_rsdp {
    char signature[8]; /* "RSD PTR " */
    uint8_t checksum;  /* of the first 20 bytes */
    char oem_id[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t length;
    uint64_t xsdt;
    uint8_t extended_checksum; /* of all 36 */
    uint8_t reserved[3];
} __attribute__((packed));

struct acpi_header {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem_id[6], oem_table_id[8];
    uint32_t oem_revision, creator_id, creator_revision;
} __attribute__((packed));

/* Generic Address Structure, section 5.2.3.2. */
struct acpi_register {
    uint8_t space, bit_width, bit_offset, access_size;
    uint64_t address;
} __attribute__((packed));

#define ACPI_SPACE_MEMORY 0
#define ACPI_SPACE_IO     1

/* Offsets in the FADT, table 5.9. */
#define FADT_DSDT           40
#define FADT_PM1A_CNT       64
#define FADT_FLAGS          112
#define FADT_RESET_REGISTER 116
#define FADT_RESET_VALUE    128
#define FADT_X_DSDT         140
#define FADT_SLEEP_CONTROL  244
#define FADT_SLEEP_STATUS   256

#define FADT_FLAG_RESET_SUPPORTED  (UINT32_C(1) << 10)
#define FADT_FLAG_HARDWARE_REDUCED (UINT32_C(1) << 20)

/* MADT, section 5.2.12: entries of (type, length, …) after the local APIC's address and flags. */
#define MADT_ENTRIES         44
#define MADT_LOCAL_APIC      0
#define MADT_IO_APIC         1
#define MADT_SOURCE_OVERRIDE 2
#define MADT_LOCAL_X2APIC    9

/* The RSDP by scanning 0xe0000–0xfffff on 16-byte borders, checksum right; NULL where none is. */
const struct acpi_rsdp *acpi_scan_rsdp(void);

/* Sum of bytes, 0 for a table that is whole. */
uint8_t acpi_checksum(const void *bytes, size_t length);

/* Table number n of the XSDT (or RSDT), or NULL past the last. */
const struct acpi_header *acpi_table(unsigned n);

/* The first table with this signature, checksum right; "DSDT" by way of the FADT. Or NULL. */
const struct acpi_header *acpi_find(const char *signature);

/**
 * Give APIC ids of usable CPUs, in the MADT's order.
 * Returns how many there are, which may be more than `max`.
 */
unsigned acpi_cpus(uint32_t *ret_apic_ids, unsigned max);

/* The global interrupt of an ISA line, and the override's flags (0 where there is none). */
uint32_t acpi_isa_gsi(unsigned irq, uint16_t *ret_flags);

/* SLP_TYPa of \_S5 in the DSDT; -1 where it is not found. */
int acpi_s5_type(void);

/* Switch off or reset by what the FADT says. Return if that did nothing. */
void acpi_power_off(void);
void acpi_reset(void);

#endif

/* ACPI tables. */
#include "sdk/acpi.h"

#include "sdk/boot.h"
#include "sdk/io.h"
#include "sdk/string.h"

/* Where an RSDP is looked for on a PC: ACPI 6.5, section 5.2.5.1. */
#define SCAN_BASE UINT64_C(0xe0000)
#define SCAN_END  UINT64_C(0x100000)
#define SCAN_STEP 16

#define RSDP_V1_SIZE 20

#define MADT_FLAG_ENABLED 1

/* ACPI 6.5, section 4.8.3.7: SLEEP_CONTROL_REG; 4.8.3.2.1: PM1 control. */
#define SLEEP_TYPE_SHIFT  2
#define SLEEP_ENABLE      0x20
#define PM1_SLEEP_SHIFT   10
#define PM1_SLEEP_ENABLE  0x2000
#define PM1_SCI_ENABLE    1
#define AML_NAME_OP       0x08 /* section 20.2.3 */
#define AML_PACKAGE_OP    0x12
#define AML_BYTE_PREFIX   0x0a
#define AML_PKG_LEN_SHIFT 6

uint8_t acpi_checksum(const void *bytes, size_t length)
{
    const uint8_t *b = bytes;
    uint8_t sum = 0;

    while (length-- > 0)
        sum = (uint8_t)(sum + *b++);
    return sum;
}

const struct acpi_rsdp *acpi_scan_rsdp(void)
{
    for (uint64_t at = SCAN_BASE; at < SCAN_END; at += SCAN_STEP) {
        const struct acpi_rsdp *rsdp = (const void *)at;

        if (memcmp(rsdp->signature, "RSD PTR ", sizeof(rsdp->signature)) == 0 &&
            acpi_checksum(rsdp, RSDP_V1_SIZE) == 0)
            return rsdp;
    }
    return NULL;
}

static const struct acpi_rsdp *find_rsdp(void)
{
    uint64_t given = boot_info()->rsdp;

    return given ? (const struct acpi_rsdp *)given : acpi_scan_rsdp();
}

static uint32_t read32(const void *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

static uint64_t read64(const void *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

const struct acpi_header *acpi_table(unsigned n)
{
    const struct acpi_rsdp *rsdp = find_rsdp();
    const struct acpi_header *root;
    size_t width;

    if (!rsdp)
        return NULL;
    width = rsdp->revision >= 2 && rsdp->xsdt ? sizeof(uint64_t) : sizeof(uint32_t);
    root = (const void *)(width == sizeof(uint64_t) ? rsdp->xsdt : rsdp->rsdt);
    if (!root || root->length < sizeof(*root) || n >= (root->length - sizeof(*root)) / width)
        return NULL;
    const uint8_t *entry = (const uint8_t *)(root + 1) + n * width;
    return (const void *)(width == sizeof(uint64_t) ? read64(entry) : read32(entry));
}

static bool is_table(const struct acpi_header *table, const char *signature)
{
    return table && memcmp(table->signature, signature, sizeof(table->signature)) == 0 &&
           table->length >= sizeof(*table) && acpi_checksum(table, table->length) == 0;
}

/* A field of the FADT, which grew over time: 0 where this one is too short for it. */
static uint64_t fadt_field(const struct acpi_header *fadt, unsigned offset, unsigned width)
{
    uint64_t value = 0;

    if (fadt && fadt->length >= offset + width)
        memcpy(&value, (const uint8_t *)fadt + offset, width);
    return value;
}

static const struct acpi_header *find_dsdt(void)
{
    const struct acpi_header *fadt = acpi_find("FACP");
    uint64_t at = fadt_field(fadt, FADT_X_DSDT, 8);
    const struct acpi_header *dsdt;

    if (!at)
        at = fadt_field(fadt, FADT_DSDT, 4);
    dsdt = (const void *)at;
    return is_table(dsdt, "DSDT") ? dsdt : NULL;
}

const struct acpi_header *acpi_find(const char *signature)
{
    if (strcmp(signature, "DSDT") == 0)
        return find_dsdt();
    for (unsigned n = 0;; n++) {
        const struct acpi_header *table = acpi_table(n);

        if (!table)
            return NULL;
        if (is_table(table, signature))
            return table;
    }
}

/* The next entry of the MADT after `entry` (NULL: the first), or NULL. */
static const uint8_t *madt_next(const struct acpi_header *madt, const uint8_t *entry)
{
    const uint8_t *end = (const uint8_t *)madt + madt->length;

    entry = entry ? entry + entry[1] : (const uint8_t *)madt + MADT_ENTRIES;
    return end - entry >= 2 && entry[1] >= 2 && entry[1] <= end - entry ? entry : NULL;
}

unsigned acpi_cpus(uint32_t *ret_apic_ids, unsigned max)
{
    const struct acpi_header *madt = acpi_find("APIC");
    unsigned count = 0;

    if (!madt)
        return 0;
    for (const uint8_t *e = NULL; (e = madt_next(madt, e));) {
        uint32_t id;

        if (e[0] == MADT_LOCAL_APIC && (e[4] & MADT_FLAG_ENABLED))
            id = e[3];
        else if (e[0] == MADT_LOCAL_X2APIC && (e[8] & MADT_FLAG_ENABLED))
            id = read32(e + 4);
        else
            continue;
        if (count < max)
            ret_apic_ids[count] = id;
        count++;
    }
    return count;
}

uint32_t acpi_isa_gsi(unsigned irq, uint16_t *ret_flags)
{
    const struct acpi_header *madt = acpi_find("APIC");

    *ret_flags = 0;
    if (!madt)
        return irq;
    for (const uint8_t *e = NULL; (e = madt_next(madt, e));) {
        if (e[0] == MADT_SOURCE_OVERRIDE && e[3] == irq) {
            memcpy(ret_flags, e + 8, sizeof(*ret_flags));
            return read32(e + 4);
        }
    }
    return irq;
}

/* Name (_S5_, Package () {SLP_TYPa, …}), found by its bytes (section 7.4.2 and chapter 20). */
int acpi_s5_type(void)
{
    const struct acpi_header *dsdt = acpi_find("DSDT");
    const uint8_t *b = (const uint8_t *)dsdt;

    if (!dsdt)
        return -1;
    for (size_t i = sizeof(*dsdt); i + 12 <= dsdt->length; i++) {
        size_t at = i + 4;

        if (memcmp(b + i, "_S5_", 4) != 0 || b[at] != AML_PACKAGE_OP)
            continue;
        at += 1 + 1 + (b[at + 1] >> AML_PKG_LEN_SHIFT) + 1; /* length bytes, element count */
        if (at + 1 >= dsdt->length)
            return -1;
        if (b[at] == AML_BYTE_PREFIX)
            return b[at + 1];
        return b[at] <= 1 ? b[at] : -1; /* ZeroOp or OneOp */
    }
    return -1;
}

static void register_write(const struct acpi_register *r, uint8_t value)
{
    if (r->space == ACPI_SPACE_IO && r->address != 0)
        port_out8((uint16_t)r->address, value);
    else if (r->space == ACPI_SPACE_MEMORY && r->address != 0)
        mmio_write8(r->address, value);
}

static bool fadt_register(const struct acpi_header *fadt, unsigned offset,
                          struct acpi_register *ret_register)
{
    if (!fadt || fadt->length < offset + sizeof(*ret_register))
        return false;
    memcpy(ret_register, (const uint8_t *)fadt + offset, sizeof(*ret_register));
    return true;
}

void acpi_power_off(void)
{
    const struct acpi_header *fadt = acpi_find("FACP");
    int type = acpi_s5_type();
    uint16_t pm1a = (uint16_t)fadt_field(fadt, FADT_PM1A_CNT, 4);
    struct acpi_register r;

    if (type < 0)
        type = 0;
    if ((fadt_field(fadt, FADT_FLAGS, 4) & FADT_FLAG_HARDWARE_REDUCED) &&
        fadt_register(fadt, FADT_SLEEP_CONTROL, &r))
        register_write(&r, (uint8_t)(type << SLEEP_TYPE_SHIFT | SLEEP_ENABLE));
    else if (pm1a)
        port_out16(pm1a, (uint16_t)(type << PM1_SLEEP_SHIFT | PM1_SLEEP_ENABLE | PM1_SCI_ENABLE));
}

void acpi_reset(void)
{
    const struct acpi_header *fadt = acpi_find("FACP");
    struct acpi_register r;

    if ((fadt_field(fadt, FADT_FLAGS, 4) & FADT_FLAG_RESET_SUPPORTED) &&
        fadt_register(fadt, FADT_RESET_REGISTER, &r))
        register_write(&r, (uint8_t)fadt_field(fadt, FADT_RESET_VALUE, 1));
}

/* guest/board/acpi.h: the tables byte by byte, as a guest that walks them sees them. */
#include "unit.h"

#include <errno.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "guest/board/acpi.h"
#include "guest/layout.h"

#define MAX_TABLES 8

struct table {
    uint64_t gpa;
    uint32_t len;
    uint8_t *bytes; /* a copy */
};

struct fixture {
    struct guest_memory *mem;
    uint8_t rsdp[36];
    struct table rsdt, xsdt, fadt, madt, mcfg, dsdt;
};

static void read_guest(struct fixture *f, uint64_t gpa, void *buf, size_t len)
{
    assert_int_equal(guest_memory_read(f->mem, gpa, buf, len), 0);
}

static uint8_t sum(const uint8_t *bytes, size_t len)
{
    uint8_t total = 0;

    for (size_t i = 0; i < len; i++)
        total = (uint8_t)(total + bytes[i]);
    return total;
}

/* Read a table, and check what all of them have: signature, length, checksum, place, ids. */
static struct table read_table(struct fixture *f, uint64_t gpa, const char *signature)
{
    struct table table = {.gpa = gpa};
    uint8_t header[36];

    read_guest(f, gpa, header, sizeof(header));
    assert_memory_equal(header, signature, 4);
    table.len = load_le32(header + 4);
    assert_true(table.len >= sizeof(header));
    assert_true(gpa % 16 == 0 && gpa > LAYOUT_ACPI_BASE);
    assert_true(range_inside(gpa, table.len, LAYOUT_ACPI_END));
    table.bytes = test_malloc(table.len);
    read_guest(f, gpa, table.bytes, table.len);
    assert_int_equal(sum(table.bytes, table.len), 0);
    assert_memory_equal(table.bytes + 10, "OSVM  ", 6);
    return table;
}

static int build(struct fixture *f, const struct acpi_options *options)
{
    struct guest_memory_options memory = {.size = 2 * MIB};
    struct error err = {""};
    uint64_t rsdp = 0;
    int r;

    memset(f, 0, sizeof(*f));
    assert_int_equal(guest_memory_create(&memory, &f->mem, NULL), 0);
    r = acpi_build(f->mem, options, &rsdp, &err);
    if (r < 0) {
        assert_int_equal(rsdp, 0);
        assert_true(err.text[0]);
        return r;
    }
    assert_int_equal(rsdp, LAYOUT_ACPI_BASE);
    read_guest(f, rsdp, f->rsdp, sizeof(f->rsdp));
    f->rsdt = read_table(f, load_le32(f->rsdp + 16), "RSDT");
    f->xsdt = read_table(f, load_le64(f->rsdp + 24), "XSDT");
    f->fadt = read_table(f, load_le64(f->xsdt.bytes + 36), "FACP");
    f->madt = read_table(f, load_le64(f->xsdt.bytes + 44), "APIC");
    f->dsdt = read_table(f, load_le64(f->fadt.bytes + 140), "DSDT");
    if (options->pci)
        f->mcfg = read_table(f, load_le64(f->xsdt.bytes + 52), "MCFG");
    return 0;
}

static void destroy(struct fixture *f)
{
    struct table *tables[] = {&f->rsdt, &f->xsdt, &f->fadt, &f->madt, &f->mcfg, &f->dsdt};

    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        if (tables[i]->bytes)
            test_free(tables[i]->bytes);
    }
    guest_memory_destroy(f->mem);
}

static void test_rsdp(void **state)
{
    struct fixture f;

    (void)state;
    assert_int_equal(build(&f, &(struct acpi_options){.cpus = 1}), 0);
    assert_memory_equal(f.rsdp, "RSD PTR ", 8);
    assert_int_equal(sum(f.rsdp, 20), 0);
    assert_int_equal(sum(f.rsdp, 36), 0);
    assert_memory_equal(f.rsdp + 9, "OSVM  ", 6);
    assert_int_equal(f.rsdp[15], 2);
    assert_int_equal(load_le32(f.rsdp + 20), 36);
    destroy(&f);
}

static void test_lists(void **state)
{
    struct fixture f;

    (void)state;
    assert_int_equal(build(&f, &(struct acpi_options){.cpus = 1}), 0);
    assert_int_equal(f.xsdt.len, 36 + 2 * 8);
    assert_int_equal(f.rsdt.len, 36 + 2 * 4);
    assert_int_equal(load_le32(f.rsdt.bytes + 36), f.fadt.gpa);
    assert_int_equal(load_le32(f.rsdt.bytes + 40), f.madt.gpa);
    destroy(&f);
}

static void test_lists_with_pci(void **state)
{
    struct fixture f;

    (void)state;
    assert_int_equal(build(&f, &(struct acpi_options){.cpus = 1, .pci = true}), 0);
    assert_int_equal(f.xsdt.len, 36 + 3 * 8);
    assert_int_equal(f.rsdt.len, 36 + 3 * 4);
    assert_int_equal(load_le32(f.rsdt.bytes + 44), f.mcfg.gpa);
    assert_true(f.mcfg.gpa >= f.madt.gpa + f.madt.len);
    assert_true(f.rsdt.gpa >= f.mcfg.gpa + f.mcfg.len);
    destroy(&f);
}

/* PCI Firmware Specification 3.3, tables 4-2 and 4-3: bus 0 of segment 0. */
static void test_mcfg(void **state)
{
    struct fixture f;

    (void)state;
    assert_int_equal(build(&f, &(struct acpi_options){.cpus = 1, .pci = true}), 0);
    assert_int_equal(f.mcfg.len, 36 + 8 + 16);
    assert_int_equal(f.mcfg.bytes[8], 1);
    assert_int_equal(load_le64(f.mcfg.bytes + 36), 0);
    assert_int_equal(load_le64(f.mcfg.bytes + 44), 0xe0000000);
    assert_int_equal(load_le64(f.mcfg.bytes + 52), 0);
    destroy(&f);
}

/* The tables lie one after the other, none on another. */
static void test_no_overlap(void **state)
{
    struct fixture f;

    (void)state;
    assert_int_equal(build(&f, &(struct acpi_options){.cpus = 3}), 0);
    assert_true(f.dsdt.gpa >= LAYOUT_ACPI_BASE + 36);
    assert_true(f.fadt.gpa >= f.dsdt.gpa + f.dsdt.len);
    assert_true(f.madt.gpa >= f.fadt.gpa + f.fadt.len);
    assert_true(f.rsdt.gpa >= f.madt.gpa + f.madt.len);
    assert_true(f.xsdt.gpa >= f.rsdt.gpa + f.rsdt.len);
    destroy(&f);
}

/* Fields of the FADT: ACPI 6.5, table 5.9. */
struct fadt_row {
    const char *name;
    unsigned offset, width;
    uint64_t value;
};

#define IO_BYTE UINT32_C(0x01000801) /* system I/O, 8 bits, offset 0, byte access */
#define IO_WORD UINT32_C(0x02001001)

static const struct fadt_row fadt_fields[] = {
    {"FADT length", 4, 4, 276},
    {"FADT revision", 8, 1, 6},
    {"FADT minor revision", 131, 1, 5},
    {"FIRMWARE_CTRL: none where hardware is reduced", 36, 4, 0},
    {"X_FIRMWARE_CTRL", 132, 8, 0},
    {"SMI_CMD: none", 48, 4, 0},
    {"PM1a_EVT_BLK: none", 56, 4, 0},
    {"PM1a_CNT_BLK", 64, 4, 0x604},
    {"PM1_CNT_LEN", 89, 1, 2},
    {"PM_TMR_BLK: none", 76, 4, 0},
    {"P_LVL2_LAT: no C2", 96, 2, 0xffff},
    {"P_LVL3_LAT: no C3", 98, 2, 0xffff},
    {"CENTURY", 108, 1, 0x32},
    {"IAPC_BOOT_ARCH: no VGA, no ASPM, no 8042, an RTC", 109, 2, 0x14},
    {"flags: reduced, headless, reset register, no fixed buttons", 112, 4, 0x101475},
    {"RESET_REG space and width", 116, 4, IO_BYTE},
    {"RESET_REG address", 120, 8, 0xcf9},
    {"RESET_VALUE", 128, 1, 6},
    {"X_PM1a_CNT_BLK space and width", 172, 4, IO_WORD},
    {"X_PM1a_CNT_BLK address", 176, 8, 0x604},
    {"SLEEP_CONTROL_REG space and width", 244, 4, IO_BYTE},
    {"SLEEP_CONTROL_REG address", 248, 8, 0x600},
    {"SLEEP_STATUS_REG space and width", 256, 4, IO_BYTE},
    {"SLEEP_STATUS_REG address", 260, 8, 0x601},
};

static void test_fadt(void **state)
{
    const struct fadt_row *row = *state;
    struct fixture f;
    uint8_t field[8] = {0};

    assert_int_equal(build(&f, &(struct acpi_options){.cpus = 1}), 0);
    memcpy(field, f.fadt.bytes + row->offset, row->width);
    assert_int_equal(load_le64(field), row->value);
    destroy(&f);
}

static void test_fadt_dsdt(void **state)
{
    struct fixture f;

    (void)state;
    assert_int_equal(build(&f, &(struct acpi_options){.cpus = 1}), 0);
    assert_int_equal(load_le32(f.fadt.bytes + 40), f.dsdt.gpa);
    destroy(&f);
}

/* The MADT's entries: ACPI 6.5, section 5.2.12. */
struct madt_row {
    const char *name;
    unsigned cpus, lapics, x2apics;
};

static const struct madt_row madts[] = {
    {"MADT of 1 CPU", 1, 1, 0},
    {"MADT of 2 CPUs", 2, 2, 0},
    {"MADT of 64 CPUs", 64, 64, 0},
    {"MADT of 255 CPUs: ids to 254 are xAPICs", 255, 255, 0},
    {"MADT of 256 CPUs: id 255 is an x2APIC", 256, 255, 1},
    {"MADT of 1024 CPUs", 1024, 255, 769},
};

struct madt_count {
    unsigned lapics, x2apics, ioapics;
};

static void check_entry(const uint8_t *entry, struct madt_count *count)
{
    unsigned id = count->lapics + count->x2apics;

    switch (entry[0]) {
    case 0:
        assert_int_equal(entry[1], 8);
        assert_int_equal(entry[2], id);
        assert_int_equal(entry[3], id);
        assert_int_equal(load_le32(entry + 4), 1);
        count->lapics++;
        break;
    case 9:
        assert_int_equal(entry[1], 16);
        assert_int_equal(load_le16(entry + 2), 0);
        assert_int_equal(load_le32(entry + 4), id);
        assert_int_equal(load_le32(entry + 8), 1);
        assert_int_equal(load_le32(entry + 12), id);
        count->x2apics++;
        break;
    case 1:
        assert_int_equal(entry[1], 12);
        assert_int_equal(entry[2], 0);
        assert_int_equal(load_le32(entry + 4), 0xfec00000);
        assert_int_equal(load_le32(entry + 8), 0);
        count->ioapics++;
        break;
    default:
        fail_msg("an entry of type %u", entry[0]);
    }
}

static void test_madt(void **state)
{
    const struct madt_row *row = *state;
    struct madt_count count = {0};
    struct fixture f;
    uint32_t offset = 44;

    assert_int_equal(build(&f, &(struct acpi_options){.cpus = row->cpus}), 0);
    assert_int_equal(load_le32(f.madt.bytes + 36), 0xfee00000);
    assert_int_equal(load_le32(f.madt.bytes + 40), 1);
    for (; offset < f.madt.len; offset += f.madt.bytes[offset + 1]) {
        assert_true(f.madt.bytes[offset + 1] >= 2);
        check_entry(f.madt.bytes + offset, &count);
    }
    assert_int_equal(offset, f.madt.len);
    assert_int_equal(count.lapics, row->lapics);
    assert_int_equal(count.x2apics, row->x2apics);
    assert_int_equal(count.ioapics, 1);
    destroy(&f);
}

/* Byte strings that have to stand in the DSDT, encoded by hand from ACPI 6.5, section 20.2. */
struct dsdt_row {
    const char *name;
    const char *bytes;
    size_t len;
};

#define BYTES(text) text, sizeof(text) - 1

static const struct dsdt_row dsdt_rows[] = {
    {"_S5 is a package of four zeroes", BYTES("\x08_S5_\x12\x88\x00\x00\x04\x00\x00\x00\x00")},
    {"the scope of devices", BYTES("_SB_")},
    {"COM1 is PNP0501", BYTES("COM1\x08_HID\x0c\x41\xd0\x05\x01")},
    {"COM1's ports", BYTES("\x47\x01\xf8\x03\xf8\x03\x01\x08")},
    {"COM1's interrupt, an edge", BYTES("\x89\x06\x00\x03\x01\x04\x00\x00\x00\x79\x00")},
    {"the RTC is PNP0B00", BYTES("RTC_\x08_HID\x0c\x41\xd0\x0b\x00")},
    {"the RTC's ports, without an interrupt", BYTES("\x47\x01\x70\x00\x70\x00\x01\x02\x79\x00")},
    {"a processor", BYTES("C001\x08_HID\x0d"
                          "ACPI0007\0\x08_UID\x01")},
    {"a virtio device", BYTES("V001\x08_HID\x0dLNRO0005\0\x08_UID\x01")},
    {"its memory", BYTES("\x86\x09\x00\x01\x00\x10\x00\xc0\x00\x02\x00\x00")},
    {"its interrupt", BYTES("\x89\x06\x00\x03\x01\x06\x00\x00\x00")},
    {"memory over 4 GiB",
     BYTES("\x8a\x2b\x00\x00\x0d\x01\0\0\0\0\0\0\0\0\0\0\0\0\x40\0\0\0\xff\x01\0\0\x40\0\0\0"
           "\0\0\0\0\0\0\0\0\x00\x02\0\0\0\0\0\0")},
};

static const struct dsdt_row pci_rows[] = {
    {"the root is PNP0A08",
     BYTES("PCI0\x08_HID\x0c\x41\xd0\x0a\x08\x08_CID\x0c\x41\xd0\x0a\x03\x08_UID\x00\x08_SEG\x00"
           "\x08_BBN\x00\x08_CRS")},
    {"its bus", BYTES("\x88\x0d\x00\x02\x0c\x00\0\0\0\0\0\0\0\0\x01\0")},
    {"its ports", BYTES("\x47\x01\xf8\x0c\xf8\x0c\x01\x08")},
    {"its window", BYTES("\x87\x17\x00\x00\x0c\x01\0\0\0\0\x00\x00\x00\xc8\xff\xff\xff\xcf\0\0\0\0"
                         "\x00\x00\x00\x08\x79\x00")},
    {"INTA of the first device",
     BYTES("\x08_PRT\x12\x86\x1b\x00\x1f\x12\x8d\x00\x00\x04\x0c\xff\xff\x01"
           "\x00\x00\x00\x0a\x11")},
    {"INTA of the last", BYTES("\x04\x0c\xff\xff\x1f\x00\x00\x00\x0a\x17")},
    {"the board reserves ECAM", BYTES("MBRD\x08_HID\x0c\x41\xd0\x0c\x02\x08_UID\x00\x08_CRS")},
    {"ECAM", BYTES("\x86\x09\x00\x01\x00\x00\x00\xe0\x00\x00\x10\x00")},
};

static void test_dsdt_with_pci(void **state)
{
    const struct dsdt_row *row = *state;
    struct fixture f;

    assert_int_equal(build(&f, &(struct acpi_options){.cpus = 1, .pci = true}), 0);
    assert_non_null(memmem(f.dsdt.bytes, f.dsdt.len, row->bytes, row->len));
    destroy(&f);
    assert_int_equal(build(&f, &(struct acpi_options){.cpus = 1}), 0);
    assert_null(memmem(f.dsdt.bytes, f.dsdt.len, row->bytes, row->len));
    destroy(&f);
}

static const struct acpi_mmio_device devices[] = {
    {0xc0000000, 0x200, 5},
    {0xc0001000, 0x200, 6},
    {UINT64_C(0x4000000000), 0x200, 7},
};

static void test_dsdt(void **state)
{
    const struct dsdt_row *row = *state;
    struct acpi_options options = {.cpus = 2, .mmio_devices = devices, .mmio_device_count = 3};
    struct fixture f;

    assert_int_equal(build(&f, &options), 0);
    assert_non_null(memmem(f.dsdt.bytes, f.dsdt.len, row->bytes, row->len));
    destroy(&f);
}

struct room_row {
    const char *name;
    unsigned cpus, devices;
    int result;
};

static const struct room_row rooms[] = {
    {"1024 CPUs and 24 devices fit", 1024, 24, 0},
    {"2048 CPUs fit", 2048, 0, 0},
    {"too many CPUs", 4096, 0, -ENOSPC},
    {"more CPUs than names", 5000, 0, -ENOSPC},
    {"absurdly many CPUs", UINT32_MAX, 0, -ENOSPC},
    {"too many devices", 1, 4000, -ENOSPC},
    {"absurdly many devices", 1, UINT32_MAX, -ENOSPC},
};

static void test_room(void **state)
{
    const struct room_row *row = *state;
    struct acpi_mmio_device *many = test_calloc(5000, sizeof(*many));
    struct acpi_options options = {
        .cpus = row->cpus, .mmio_devices = many, .mmio_device_count = row->devices, .pci = true};
    struct fixture f;

    assert_int_equal(build(&f, &options), row->result);
    destroy(&f);
    test_free(many);
}

static void test_small_memory(void **state)
{
    struct guest_memory_options memory = {.size = 0xe1000};
    struct guest_memory *mem = NULL;
    struct error err = {""};
    uint64_t rsdp = 7;

    (void)state;
    assert_int_equal(guest_memory_create(&memory, &mem, NULL), 0);
    assert_int_equal(acpi_build(mem, &(struct acpi_options){.cpus = 1024}, &rsdp, &err), -EFAULT);
    assert_int_equal(rsdp, 7);
    assert_true(err.text[0]);
    guest_memory_destroy(mem);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add(&unit, "RSDP", test_rsdp, NULL);
    unit_add(&unit, "RSDT and XSDT", test_lists, NULL);
    unit_add(&unit, "RSDT and XSDT with PCI", test_lists_with_pci, NULL);
    unit_add(&unit, "MCFG", test_mcfg, NULL);
    unit_add(&unit, "no table lies on another", test_no_overlap, NULL);
    unit_add_rows(&unit, fadt_fields, test_fadt);
    unit_add(&unit, "FADT: both pointers to the DSDT", test_fadt_dsdt, NULL);
    unit_add_rows(&unit, madts, test_madt);
    unit_add_rows(&unit, dsdt_rows, test_dsdt);
    unit_add_rows(&unit, pci_rows, test_dsdt_with_pci);
    unit_add_rows(&unit, rooms, test_room);
    unit_add(&unit, "too little memory", test_small_memory, NULL);
    return unit_run(&unit, "acpi");
}

/* The ACPI tables as the guest finds them (ACPI 6.5, chapter 5): `cpus=N`. */
#include "sdk/acpi.h"
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/report.h"
#include "sdk/string.h"

#define LAPIC_BASE         0xfee00000
#define IOAPIC_BASE        0xfec00000
#define PORT_RESET         0xcf9
#define PORT_SLEEP_CONTROL 0x600
#define MADT_LAPIC_ADDRESS 36
#define MADT_IOAPIC_BASE   4

static bool reserved(uint64_t address)
{
    const struct boot_info *info = boot_info();

    for (unsigned i = 0; i < info->region_count; i++) {
        const struct boot_region *r = &info->regions[i];

        if (r->type == REGION_RAM && address >= r->base && address - r->base < r->size)
            return false;
    }
    return true;
}

static void check_root(void)
{
    const struct acpi_rsdp *rsdp = acpi_scan_rsdp();
    const struct acpi_header *xsdt, *rsdt;

    if (!report(rsdp != NULL, "the RSDP lies where scanners look"))
        return;
    report((uint64_t)rsdp == boot_info()->rsdp, "it is the one that the boot protocol names");
    report(rsdp->revision >= 2 && acpi_checksum(rsdp, rsdp->length) == 0,
           "it is of revision 2 or later, and whole");
    xsdt = (const struct acpi_header *)rsdp->xsdt;
    report(xsdt && memcmp(xsdt->signature, "XSDT", 4) == 0 &&
               acpi_checksum(xsdt, xsdt->length) == 0,
           "the XSDT is whole");
    rsdt = (const struct acpi_header *)(uint64_t)rsdp->rsdt;
    report(!rsdt ||
               (memcmp(rsdt->signature, "RSDT", 4) == 0 && acpi_checksum(rsdt, rsdt->length) == 0),
           "the RSDT is whole or not there");
}

static void check_tables(void)
{
    unsigned n = 0;

    for (const struct acpi_header *t; (t = acpi_table(n)); n++) {
        report(acpi_checksum(t, t->length) == 0, "%.4s is whole", t->signature);
        report(reserved((uint64_t)t) && reserved((uint64_t)t + t->length - 1),
               "%.4s does not lie in what the map calls RAM", t->signature);
    }
    report(n >= 2, "there are %u tables", n);
}

static void check_fadt(void)
{
    const struct acpi_header *fadt = acpi_find("FACP"), *dsdt = acpi_find("DSDT");
    struct acpi_register reset, sleep;
    uint32_t flags;

    if (!report(fadt && fadt->length >= FADT_SLEEP_STATUS + sizeof(sleep), "there is a FADT"))
        return;
    memcpy(&flags, (const char *)fadt + FADT_FLAGS, sizeof(flags));
    memcpy(&reset, (const char *)fadt + FADT_RESET_REGISTER, sizeof(reset));
    memcpy(&sleep, (const char *)fadt + FADT_SLEEP_CONTROL, sizeof(sleep));
    report(flags & FADT_FLAG_HARDWARE_REDUCED, "it says that the hardware is reduced");
    report((flags & FADT_FLAG_RESET_SUPPORTED) && reset.space == ACPI_SPACE_IO &&
               reset.address == PORT_RESET,
           "it names the reset register");
    report(sleep.space == ACPI_SPACE_IO && sleep.address == PORT_SLEEP_CONTROL,
           "it names the sleep control register");
    report(dsdt && acpi_checksum(dsdt, dsdt->length) == 0, "the DSDT is whole");
    report(acpi_s5_type() == 0, "the DSDT says how to sleep for good (%d)", acpi_s5_type());
}

static void check_madt(unsigned cpus)
{
    const struct acpi_header *madt = acpi_find("APIC");
    uint32_t ids[256], lapic = 0, ioapic = 0;
    unsigned n = acpi_cpus(ids, 256);
    bool in_order = true;

    if (!report(madt != NULL, "there is a MADT"))
        return;
    report(n == cpus, "it names %u CPUs", n);
    for (unsigned i = 0; i < n && i < 256; i++)
        in_order = in_order && ids[i] == i;
    report(in_order, "with ids from 0 on");
    memcpy(&lapic, (const char *)madt + MADT_LAPIC_ADDRESS, sizeof(lapic));
    report(lapic == LAPIC_BASE, "the local APICs lie at 0x%x", lapic);
    for (const uint8_t *e = (const uint8_t *)madt + MADT_ENTRIES;
         e + 2 <= (const uint8_t *)madt + madt->length && e[1] >= 2; e += e[1])
        if (e[0] == MADT_IO_APIC)
            memcpy(&ioapic, e + MADT_IOAPIC_BASE, sizeof(ioapic));
    report(ioapic == IOAPIC_BASE, "the I/O APIC lies at 0x%x", ioapic);
}

int main(void)
{
    check_root();
    check_tables();
    check_fadt();
    check_madt((unsigned)boot_option_number("cpus", 1));
    return report_summary();
}

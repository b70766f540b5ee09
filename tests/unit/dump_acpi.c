/* Write the ACPI tables of a machine to files, for tools that know more of them than we do. */
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/util.h"
#include "guest/board/acpi.h"

#define HEADER_SIZE 36
#define RSDP_XSDT   24
#define FADT_X_DSDT 140

static int dump(struct guest_memory *mem, const char *directory, const char *name, uint64_t gpa)
{
    char path[4096];
    uint8_t header[HEADER_SIZE];
    void *table;

    snprintf(path, sizeof(path), "%s/%s.dat", directory, name);
    if (guest_memory_read(mem, gpa, header, sizeof(header)) < 0 ||
        guest_memory_span(mem, gpa, load_le32(header + 4), &table) < 0)
        return -1;
    return io_replace_file(path, table, load_le32(header + 4));
}

int main(int argc, char **argv)
{
    static const struct acpi_mmio_device devices[] = {
        {0xc0000000, 0x200, 5}, {0xc0001000, 0x200, 6}, {UINT64_C(0x4000000000), 0x200, 7}};
    struct guest_memory_options memory = {.size = 2 * MIB};
    _cleanup_(guest_memory_destroy_cleanup) struct guest_memory *mem = NULL;
    struct acpi_options options = {.mmio_devices = devices,
                                   .mmio_device_count = ARRAY_SIZE(devices)};
    uint8_t rsdp[HEADER_SIZE], entries[24], dsdt[8];
    uint64_t gpa, xsdt;

    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: dump_acpi CPUS DIRECTORY [pci]\n");
        return 2;
    }
    options.cpus = (unsigned)atoi(argv[1]);
    options.pci = argc == 4;
    if (guest_memory_create(&memory, &mem, NULL) < 0 || acpi_build(mem, &options, &gpa, NULL) < 0)
        return 1;
    guest_memory_read(mem, gpa, rsdp, sizeof(rsdp));
    xsdt = load_le64(rsdp + RSDP_XSDT);
    guest_memory_read(mem, xsdt + HEADER_SIZE, entries, sizeof(entries));
    guest_memory_read(mem, load_le64(entries) + FADT_X_DSDT, dsdt, sizeof(dsdt));
    if (dump(mem, argv[2], "xsdt", xsdt) < 0 ||
        dump(mem, argv[2], "rsdt", load_le32(rsdp + 16)) < 0 ||
        dump(mem, argv[2], "facp", load_le64(entries)) < 0 ||
        dump(mem, argv[2], "apic", load_le64(entries + 8)) < 0 ||
        dump(mem, argv[2], "dsdt", load_le64(dsdt)) < 0)
        return 1;
    if (options.pci && dump(mem, argv[2], "mcfg", load_le64(entries + 16)) < 0)
        return 1;
    return 0;
}

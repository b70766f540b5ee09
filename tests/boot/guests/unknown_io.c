/* What nothing answers: ports and addresses read all ones, writes go nowhere. */
#include "sdk/io.h"
#include "sdk/memory.h"
#include "sdk/report.h"

#define UNKNOWN_PORT   0x1234
#define UNKNOWN_MEMORY UINT64_C(0xd0000000) /* in the hole of the devices */
#define FAR_MEMORY     (UINT64_C(1) << 38)  /* above any RAM of these tests */

static void check_ports(void)
{
    uint8_t bytes[16];
    bool ones = true;

    report(port_in8(UNKNOWN_PORT) == 0xff, "a port read of 1 byte is all ones");
    report(port_in16(UNKNOWN_PORT) == 0xffff, "a port read of 2 bytes is all ones");
    report(port_in32(UNKNOWN_PORT) == 0xffffffff, "a port read of 4 bytes is all ones");
    report(port_in8(0xffff) == 0xff, "the last port reads all ones");
    port_out8(UNKNOWN_PORT, 1);
    port_out16(UNKNOWN_PORT, 1);
    port_out32(UNKNOWN_PORT, 1);
    report(port_in32(UNKNOWN_PORT) == 0xffffffff, "a port write goes nowhere");
    port_in8_string(UNKNOWN_PORT, bytes, sizeof(bytes));
    for (unsigned i = 0; i < sizeof(bytes); i++)
        ones = ones && bytes[i] == 0xff;
    report(ones, "a string read is all ones");
    /* Over the end of a device: what lies beyond it is nothing's. */
    report(port_in16(0x3ff) >> 8 == 0xff, "a read over a device's end is ones there");
}

static void check_memory(uint64_t base)
{
    volatile uint16_t *word = (volatile uint16_t *)base;

    report(mmio_read8(base) == 0xff, "0x%lx: a read of 1 byte is all ones", base);
    report(*word == 0xffff, "0x%lx: of 2", base);
    report(mmio_read32(base) == UINT32_MAX, "0x%lx: of 4", base);
    report(mmio_read64(base) == UINT64_MAX, "0x%lx: of 8", base);
    mmio_write8(base, 0);
    mmio_write32(base, 0);
    report(mmio_read64(base) == UINT64_MAX, "0x%lx: a write goes nowhere", base);
}

int main(void)
{
    check_ports();
    check_memory(UNKNOWN_MEMORY);
    if (report(memory_map(FAR_MEMORY, PAGE_SIZE), "far memory can be mapped"))
        check_memory(FAR_MEMORY);
    return report_summary();
}

/*
 * The memory map against what was asked (`mem=MiB`), and the memory against the map: the first and
 * last page of each RAM region hold what is written, and just outside all bits read as ones.
 */
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/io.h"
#include "sdk/memory.h"
#include "sdk/report.h"

#define MIB         (UINT64_C(1) << 20)
#define LOW_RAM_END (3072 * MIB) /* guest/include/guest/layout.h */
#define HIGH_RAM    (4096 * MIB)
#define PATTERN     UINT64_C(0x9e3779b97f4a7c15)
#define LARGE_PAGE  (2 * MIB)
#define DEVICES_END HIGH_RAM
#define IOAPIC_BASE UINT64_C(0xfec00000)

static bool holds(uint64_t page)
{
    volatile uint64_t *words = (volatile uint64_t *)page;
    bool good = true;

    for (unsigned i = 0; i < PAGE_SIZE / 8; i += 64) {
        uint64_t before = words[i];

        words[i] = page ^ (PATTERN * (i + 1));
        good = good && words[i] == (page ^ (PATTERN * (i + 1)));
        words[i] = before;
    }
    return good;
}

static void check_region(const struct boot_region *r)
{
    uint64_t first = (r->base + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
    uint64_t last = (r->base + r->size - PAGE_SIZE) & ~(PAGE_SIZE - 1);

    memory_map(r->base, r->size);
    /* The first page of all is left alone: address 0 is the compiler's null. */
    if (first == 0)
        first = PAGE_SIZE;
    report(holds(first), "RAM at 0x%lx holds what is written", first);
    report(holds(last), "RAM at 0x%lx holds what is written", last);
}

static void check_order(const struct boot_info *info)
{
    bool ordered = true;

    for (unsigned i = 1; i < info->region_count; i++)
        ordered = ordered &&
                  info->regions[i].base >= info->regions[i - 1].base + info->regions[i - 1].size;
    report(ordered, "regions rise and do not overlap");
}

static uint64_t end_of_ram(const struct boot_info *info, uint64_t from, uint64_t to)
{
    uint64_t end = from;

    for (unsigned i = 0; i < info->region_count; i++) {
        const struct boot_region *r = &info->regions[i];

        if (r->type == REGION_RAM && r->base >= from && r->base < to && r->base + r->size > end)
            end = r->base + r->size;
    }
    return end;
}

static void check_outside(uint64_t address)
{
    memory_map(address, LARGE_PAGE);
    report(mmio_read64(address) == UINT64_MAX, "0x%lx, outside RAM, reads all ones", address);
}

int main(void)
{
    const struct boot_info *info = boot_info();
    uint64_t asked = boot_option_number("mem", 0) * MIB;
    uint64_t low = asked < LOW_RAM_END ? asked : LOW_RAM_END, high = asked - low;

    for (unsigned i = 0; i < info->region_count; i++)
        printf("# %016lx %016lx type %u\n", info->regions[i].base, info->regions[i].size,
               info->regions[i].type);
    check_order(info);
    report(end_of_ram(info, 0, HIGH_RAM) == low, "RAM below 4 GiB ends at 0x%lx", low);
    report(end_of_ram(info, HIGH_RAM, UINT64_MAX) == HIGH_RAM + high, "RAM above ends at 0x%lx",
           HIGH_RAM + high);
    /* All that is asked for is RAM or reserved in the first MiB. */
    report(asked - boot_ram_size() < MIB, "%lu KiB of what was asked for is not RAM",
           (asked - boot_ram_size()) / 1024);
    for (unsigned i = 0; i < info->region_count; i++)
        if (info->regions[i].type == REGION_RAM)
            check_region(&info->regions[i]);
    check_outside(low);
    if (low < LOW_RAM_END)
        check_outside(LOW_RAM_END - 8);
    check_outside(IOAPIC_BASE - 8);
    check_outside(HIGH_RAM + high);
    return report_summary();
}

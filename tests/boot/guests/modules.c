/*
 * Modules byte for byte. The command line says `sizes=A,B,…`; byte i of module m is what the
 * runner (tests/boot/run, module_bytes) writes by the same formula. Arguments are printed.
 */
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/report.h"
#include "sdk/string.h"

static uint8_t expected_byte(unsigned module, size_t i)
{
    return (uint8_t)(i * 7 + i / 251 + module * 13 + 5);
}

static bool same(unsigned module, const struct boot_module *m)
{
    for (size_t i = 0; i < m->size; i++)
        if (m->data[i] != expected_byte(module, i)) {
            printf("# module %u differs from byte %lu on\n", module, i);
            return false;
        }
    return true;
}

static bool in_ram(const struct boot_module *m)
{
    const struct boot_info *info = boot_info();
    uint64_t base = (uint64_t)m->data;

    for (unsigned i = 0; i < info->region_count; i++) {
        const struct boot_region *r = &info->regions[i];

        if (r->type == REGION_RAM && base >= r->base && base - r->base + m->size <= r->size)
            return true;
    }
    return false;
}

int main(void)
{
    const struct boot_info *info = boot_info();
    const char *sizes = boot_option("sizes");
    unsigned count = 0;

    while (sizes && *sizes >= '0' && *sizes <= '9') {
        char *end;
        size_t size = strtoul(sizes, &end, 10);
        const struct boot_module *m = &info->modules[count];

        sizes = *end == ',' ? end + 1 : end;
        if (!report(count < info->module_count, "module %u is there", count))
            break;
        report(m->size == size, "module %u has %lu bytes", count, size);
        report(in_ram(m), "module %u lies in RAM", count);
        report(((uint64_t)m->data & 4095) == 0, "module %u begins on a page", count);
        report(same(count, m), "module %u is the same byte for byte", count);
        printf("arguments of %u [%s]\n", count, m->arguments);
        count++;
    }
    report(info->module_count == count, "%u modules", count);
    return report_summary();
}

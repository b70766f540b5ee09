/*
 * What Hermit's loader reads of its boot parameters, when it is the kernel and the application is
 * the initrd ("The Linux/x86 Boot Protocol"). In the command line: mem= (MiB), size= (of the
 * initrd, bytes).
 */
#include "hermit.h"

#define MIB UINT64_C(0x100000)

struct __attribute__((packed)) e820_entry {
    uint64_t start, size;
    uint32_t type;
};

void loader_main(const uint8_t *params);

static uint32_t field32(const uint8_t *params, unsigned at)
{
    return *(const uint32_t *)(uintptr_t)(params + at);
}

/* The last number behind this name in the command line. */
static uint64_t number(const char *text, const char *name)
{
    uint64_t value = 0;

    for (; *text; text++) {
        if (!begins_with(text, name))
            continue;
        while (*text++ != '=')
            ;
        for (; *text >= '0' && *text <= '9'; text++)
            value = value * 10 + (uint64_t)(*text - '0');
        return value;
    }
    return 0;
}

/* Its pattern is that of `run`. */
static void check_initrd(const uint8_t *params, uint64_t expected)
{
    const uint8_t *initrd = (const uint8_t *)(uint64_t)field32(params, 0x218);
    uint32_t size = field32(params, 0x21c);
    bool good = true;

    report_equal(size, expected, "0x21c: the initrd's size");
    for (uint32_t i = 0; i < size; i++)
        good &= initrd[i] == (uint8_t)(i * 7 + i / 251 + 5);
    report(good, "0x218: the initrd, as it was given");
}

void loader_main(const uint8_t *params)
{
    const struct e820_entry *map = (const void *)(params + 0x2d0);
    const char *cmdline = (const char *)(uint64_t)field32(params, 0x228);
    uint64_t total = 0;
    bool ram = true;

    report_equal((field32(params, 0x1fc) >> 16), 0xaa55, "0x1fe: the boot flag");
    report_equal(field32(params, 0x202), 0x53726448, "0x202: HdrS");
    report(field32(params, 0x238) >= 255, "0x238: the command line's limit");
    check_initrd(params, number(cmdline, "size="));
    report(params[0x1e8] >= 2, "0x1e8: a memory map");
    for (unsigned i = 0; i < params[0x1e8]; i++) {
        ram &= map[i].type == 1;
        total += map[i].size;
    }
    report(ram, "0x2d0: nothing but RAM in it");
    /* All but the 385 KiB that a PC has between conventional memory and 1 MiB. */
    report_equal(total, number(cmdline, "mem=") * MIB - (0x100000 - 0x9fc00), "all of the memory");
    report_end();
}

/*
 * What the boot protocol handed over. The application finds it parsed; the structures of the
 * protocol stay where they were put.
 */
#ifndef SDK_BOOT_H
#define SDK_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Types of memory map entries: E820's, which PVH uses too (Xen public/arch-x86/hvm/start_info.h).
 */
#define REGION_RAM      1
#define REGION_RESERVED 2
#define REGION_ACPI     3

struct boot_region {
    uint64_t base, size;
    uint32_t type;
};

struct boot_module {
    const uint8_t *data;
    size_t size;
    const char *arguments; /* "" for none */
};

#define BOOT_REGION_MAX 64
#define BOOT_MODULE_MAX 32

enum boot_source {
    BOOT_BY_PVH,
    BOOT_BY_OTHER, /* the image has a start of its own; nothing but start_* is filled in */
};

struct boot_info {
    enum boot_source source;
    uint64_t start_address; /* EBX at entry: the hand-over structure */
    uint32_t start_magic;   /* EAX at entry, with a start of the image's own */
    const char *cmdline;    /* "" for none */
    uint64_t rsdp;          /* 0 for none */
    unsigned region_count;
    struct boot_region regions[BOOT_REGION_MAX]; /* in the order of the map */
    unsigned module_count;
    struct boot_module modules[BOOT_MODULE_MAX];
};

const struct boot_info *boot_info(void);

/**
 * Find the word `name=value` in the command line.
 * Returns the value, which ends at a space or the end; NULL where the word is not there.
 */
const char *boot_option(const char *name);

/* The same as a number (strtoul's base 0), or `otherwise`. */
uint64_t boot_option_number(const char *name, uint64_t otherwise);

/* Bytes of RAM in the map. */
uint64_t boot_ram_size(void);

#endif

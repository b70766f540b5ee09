/*
 * A kernel image in, an entry state out. The format is recognised by content. Everything in an
 * image is hostile: each number is checked before it is used.
 */
#ifndef OSVM_LOADER_LOADER_H
#define OSVM_LOADER_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "guest/entry_state.h"
#include "guest/memory.h"
#include "loader/image.h"

/* The most modules that image_load() takes. */
#define BOOT_MAX_MODULES 64

/*
 * The longest command line for a PVH or Multiboot kernel, and the longest arguments of a module,
 * without the terminating zero. Their protocols set no limit; a Linux image states its own.
 */
#define BOOT_CMDLINE_MAX 4095

enum boot_protocol {
    BOOT_BZIMAGE_64, /* Linux bzImage, 64-bit entry */
    BOOT_BZIMAGE_32, /* bzImage without a 64-bit entry: the 32-bit one */
    BOOT_LINUX_ELF,  /* ELF64, Linux 64-bit protocol */
    BOOT_PVH,        /* ELF with the PVH note */
    BOOT_MULTIBOOT,  /* Multiboot 1 */
    BOOT_HERMIT,     /* an image for Hermit's own hypervisor */
};

struct boot_module {
    struct image *image;
    const char *arguments; /* the string handed over with it; "" for none */
};

/* What a Hermit image is told besides. All strings are borrowed. */
struct hermit_handover {
    unsigned cpus;
    uint32_t tsc_khz;               /* frequency of the time-stamp counter */
    uint64_t boot_time_ns;          /* the wall clock now, since the epoch */
    bool has_pci;                   /* look for devices on a PCI bus */
    const char *const *environment; /* NAME=VALUE each */
    size_t environment_count;
    const char *const *arguments; /* of the application, without its own name */
    size_t argument_count;
    const char *const *mounts; /* guest paths of the folders that are mapped */
    size_t mount_count;
};

struct boot_request {
    struct image *kernel;
    struct image *initrd; /* NULL for none */
    const char *cmdline;  /* "" for none */
    const struct boot_module *modules;
    size_t module_count;
    uint64_t rsdp;                        /* guest-physical address of the ACPI RSDP, 0 for none */
    const struct hermit_handover *hermit; /* for a Hermit image; NULL: one CPU, and nothing */
};

struct boot_result {
    enum boot_protocol protocol;
    struct entry_state entry;
    uint64_t kernel_start, kernel_end; /* guest-physical, the lowest and the end of the highest
                                          byte that the kernel occupies */
    unsigned hermit_interface;         /* 1 to 3: the hypercalls of a Hermit image; else 0 */
};

/**
 * Say what kind of image it is, without loading it.
 * Returns 0, or -ENOEXEC with the reason in err ("not an ELF file, a bzImage or a Multiboot
 * image"; "an ELF file for AArch64; this machine is x86-64"; …), or the errno of a read.
 * Any thread.
 */
int image_recognise(const struct image *image, enum boot_protocol *ret_protocol, struct error *err);

/* What an image wants of the machine, before there is one. */
struct boot_plan {
    enum boot_protocol protocol;
    unsigned hermit_interface; /* as in boot_result */
    uint64_t ram_base;         /* guest memory begins here; 0 but for Hermit images */
};

/* Where the memory of an image that can lie anywhere is to begin. */
struct boot_placement {
    enum { RAM_BASE_RANDOM, RAM_BASE_FIXED, RAM_BASE_GIVEN } kind; /* FIXED: where it always does */
    uint64_t given;                                                /* a multiple of 2 MiB */
    uint64_t random;      /* from the host's generator; the same number gives the same place */
    uint64_t memory_size; /* how much the machine will have */
};

/**
 * Recognise an image and say what it wants of the machine.
 * Returns 0; as image_recognise(); or -EINVAL for a `given` base that it cannot have.
 * Any thread.
 */
int image_plan(const struct image *image, const struct boot_placement *placement,
               struct boot_plan *ret_plan, struct error *err);

/* "Linux bzImage (64-bit protocol)" and so on. Never NULL. Any thread. */
const char *boot_protocol_name(enum boot_protocol protocol);

/**
 * Place the kernel, its initrd, modules, command line and hand-over structures in guest memory,
 * which is all zeroes but for the ACPI tables, and say how the first CPU enters it.
 * A Hermit image's memory begins where image_plan() said, and has no ACPI tables.
 *
 * The initrd of a PVH or Multiboot kernel is its first module, with an empty string; its modules
 * follow in the order of the request, each with its arguments. A Linux kernel and a Hermit image
 * take no modules.
 *
 * Returns 0 or a negative errno with the reason in err:
 *  -ENOEXEC  the image is not what it claims to be, is cut off, or contradicts itself
 *  -ENOMEM   something does not fit in memory, or wants to lie where there is none
 *  -E2BIG    the command line or a module's arguments are too long, or there are too many modules
 *  -EINVAL   modules for a kernel that takes none, or an empty initrd or module
 *  or the errno of a read.
 * Guest memory is then undefined. The initrd and the modules are named in err by what they are
 * ("initrd", "module 2": they count from 1). Not while the guest runs; one thread at a time.
 */
int image_load(const struct boot_request *request, struct guest_memory *mem,
               struct boot_result *ret_result, struct error *err);

#endif

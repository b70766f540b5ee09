/*
 * Images for Hermit's own hypervisor: what the files of this format share. Their contract is in
 * docs/hermit.md.
 */
#ifndef OSVM_LOADER_HERMIT_BOOT_H
#define OSVM_LOADER_HERMIT_BOOT_H

#include <stdbool.h>
#include <stdint.h>

#include "boot_format.h"

/* From the beginning of memory: what lies where. */
#define HERMIT_GDT           UINT64_C(0x0)
#define HERMIT_FDT           UINT64_C(0x1000)
#define HERMIT_FDT_SIZE      UINT64_C(0x4000)
#define HERMIT_BOOT_INFO     UINT64_C(0x5000)
#define HERMIT_PAGE_TABLES   UINT64_C(0x10000) /* the top one first */
#define HERMIT_KERNEL        UINT64_C(0x40000) /* of an image that can lie anywhere */
#define HERMIT_STACK_SIZE    UINT64_C(0x8000)  /* of the boot stack, right below the kernel */
#define HERMIT_RAM_ALIGNMENT (2 * MIB)

/* What an image says of itself in its notes. */
struct hermit_notes {
    unsigned interface; /* 1 to 3: which hypercalls it makes */
    bool maps_memory;   /* it needs no more mapped than itself: kernel 0.10 or later */
    bool has_version;   /* `version` is there: major, minor, patch of the kernel */
    uint8_t version[3];
};

/* An image in memory, relocated. */
struct hermit_kernel {
    struct hermit_notes notes;
    uint64_t ram_base;
    uint64_t bias;       /* guest-physical address of the file's address 0; 0 where it is fixed */
    uint64_t start, end; /* guest-physical, with its bss */
    uint64_t entry;
    struct {
        uint64_t start, file_size, memory_size, alignment; /* all 0 where it has none */
    } tls;
};

/**
 * As image_plan(), for an image that was recognised.
 */
int hermit_plan(const struct boot_probe *probe, const struct boot_placement *placement,
                struct boot_plan *plan, struct error *err);

/* ---- hermit_relocate.c ---- */

/* What is needed of the dynamic section; file addresses. */
struct hermit_dynamic {
    struct hermit_rela_table {
        uint64_t vaddr, size; /* bytes; 0 for none */
    } tables[2];              /* DT_RELA, DT_JMPREL */
    uint64_t symbols;         /* DT_SYMTAB */
};

/**
 * Read the dynamic section, if there is one.
 * Returns 0; -ENOEXEC with the reason in err where the image wants libraries, or relocations of a
 * kind that is not known here; or the errno of a read.
 */
int hermit_read_dynamic(const struct boot_probe *probe, struct hermit_dynamic *ret_dynamic,
                        struct error *err);

/**
 * Apply the relocations to the image in its place.
 * Returns 0, or -ENOEXEC with the reason in job->err; the image's memory is then undefined.
 */
int hermit_relocate(struct boot_job *job, const struct hermit_kernel *kernel,
                    const struct hermit_dynamic *dynamic);

/* ---- hermit_fdt.c ---- */

/* The initrd in guest memory; size 0 for none. */
struct hermit_initrd {
    uint64_t gpa, size;
};

/**
 * Write the device tree to `buf`.
 * Returns 0, or -E2BIG with the reason in err where it does not fit into `size` bytes.
 */
int hermit_build_fdt(const struct boot_job *job, const struct hermit_handover *handover,
                     struct hermit_initrd initrd, void *buf, size_t size, struct error *err);

/* ---- hermit_handover.c ---- */

/**
 * Place what the kernel is told (device tree, boot information), the initrd, page tables, GDT and
 * boot stack, and say how all CPUs enter it.
 * Returns 0 or a negative errno, as image_load().
 */
int hermit_hand_over(struct boot_job *job, const struct hermit_kernel *kernel);

#endif

/*
 * What the image formats have in common: the image as it was first looked at, a load in progress,
 * and the few steps that all of them take.
 */
#ifndef OSVM_LOADER_BOOT_FORMAT_H
#define OSVM_LOADER_BOOT_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "boot_layout.h"
#include "elf_file.h"
#include "loader/loader.h"

/*
 * How far into an image its format is looked for: a Multiboot header lies in the first 8192 bytes
 * (Multiboot 0.6.96, section 3.1), a bzImage's before 0x290, an ELF file's at 0.
 */
#define BOOT_HEAD_SIZE 8192

/* An image, looked at once. */
struct boot_probe {
    const struct image *image;
    uint8_t head[BOOT_HEAD_SIZE];
    size_t head_size; /* less where the image is shorter */
    bool is_elf;
    struct elf_file elf; /* only where is_elf */
};

/* A load in progress. */
struct boot_job {
    const struct boot_request *request;
    const struct boot_probe *probe;
    struct guest_memory *mem;
    struct boot_layout layout;
    struct boot_result result; /* filled in by the format; the loader sets the protocol */
    struct error *err;
};

/* An image format. The table of them, in the order in which they are tried, is in loader.c. */
struct boot_format {
    /**
     * Say whether the image is of this format.
     * Returns 1 (and the protocol), 0 where it is not, or a negative errno with the reason in err
     * where it claims to be but cannot be booted.
     */
    int (*recognise)(const struct boot_probe *probe, enum boot_protocol *ret_protocol,
                     struct error *err);
    /* Load it: fill in everything of job->result. Returns 0 or a negative errno, as image_load. */
    int (*load)(struct boot_job *job);
};

extern const struct boot_format bzimage_format;
extern const struct boot_format hermit_format;
extern const struct boot_format pvh_format;
extern const struct boot_format multiboot_format;
extern const struct boot_format linux_elf_format;

/* As image_read(), with the reason in err: "truncated: …" where `name` is not all there. */
int boot_read(const struct image *image, uint64_t offset, void *buf, size_t len, const char *name,
              struct error *err);

/* Read a part of the kernel to a place that has been claimed. Errors as for boot_read(). */
int boot_read_to_guest(struct boot_job *job, uint64_t offset, uint64_t gpa, uint64_t len,
                       const char *name);

/* Claim a place for a part of the kernel (boot_layout_claim) and count it to the kernel's extent.
 */
int boot_claim_kernel(struct boot_job *job, const char *name, uint64_t gpa, uint64_t size);

/* Place a hand-over structure (boot_layout_place_structure) and write it. */
int boot_put(struct boot_job *job, const char *name, const void *bytes, size_t size,
             uint64_t alignment, uint64_t *ret_gpa);

/* The same for a string; refused with -E2BIG where it has more than `max` bytes before its zero. */
int boot_put_string(struct boot_job *job, const char *name, const char *text, size_t max,
                    uint64_t *ret_gpa);

/* Load a whole image (initrd, module) to a page of its own, as high as `within` allows. */
int boot_put_image(struct boot_job *job, const char *name, const struct image *image,
                   struct boot_range within, uint64_t *ret_gpa);

/* An initrd or a module in its place, for the module list of PVH or Multiboot. */
struct boot_placed_module {
    uint64_t gpa, size;
    uint64_t string; /* where its arguments stand, zero-terminated */
};

/**
 * Place the initrd and then the modules of the request below 4 GiB, at pages of their own.
 *
 * @ret_modules  room for BOOT_MAX_MODULES + 1
 * Returns 0 or a negative errno, as image_load().
 */
int boot_put_modules(struct boot_job *job, struct boot_placed_module *ret_modules,
                     size_t *ret_count);

/**
 * Find a note of this name and type among an ELF file's PT_NOTE segments, the first that there is,
 * and copy what it says.
 *
 * @size      room in `desc`; a longer descriptor is cut off there
 * @ret_size  how long it is in the file, bytes
 * Returns 1, 0 where there is none (then nothing is filled in), or a negative errno with the reason
 * in err.
 */
int elf_find_note(const struct boot_probe *probe, const char *name, uint32_t type, void *desc,
                  size_t size, uint64_t *ret_size, struct error *err);

/* Whether a segment is one to load: PT_LOAD, and not of nothing. */
bool elf_is_to_load(const struct elf_segment *segment);

/**
 * Load one segment to this address: take its place and read what the file has of it.
 * @number  which one it is in the file, for error texts
 * Returns 0 or a negative errno, as image_load().
 */
int elf_load_segment(struct boot_job *job, const struct elf_segment *segment, size_t number,
                     uint64_t gpa);

/* Load every PT_LOAD segment of an ELF file to its physical address. Errors as image_load(). */
int elf_load_segments(struct boot_job *job);

#endif

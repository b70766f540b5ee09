/* An ELF file's headers, checked and in one form for both classes. */
#ifndef OSVM_LOADER_ELF_FILE_H
#define OSVM_LOADER_ELF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "loader/image.h"

/* Kernels have less than ten; more than this is nonsense. */
#define ELF_MAX_SEGMENTS 128

/* A program header (System V ABI, "Program Header"). */
struct elf_segment {
    uint32_t type;
    uint64_t offset, vaddr, paddr, file_size, memory_size, align;
};

struct elf_file {
    bool is_64;
    uint16_t machine, type; /* EM_386 or EM_X86_64; ET_EXEC or ET_DYN */
    uint64_t entry;
    struct elf_segment segments[ELF_MAX_SEGMENTS];
    size_t segment_count;
};

/* Whether the file begins as an ELF file does. */
bool elf_has_magic(const void *head, size_t head_size);

/**
 * Read and check the file header and the program headers. The segments' own numbers are checked
 * by who uses them.
 *
 * Returns 0; -ENOEXEC with the reason in err where it is not an executable for this machine;
 * the errno of a read.
 */
int elf_parse(const struct image *image, struct elf_file *ret_elf, struct error *err);

/* Whether the byte at this physical address comes out of the file. */
bool elf_is_loaded(const struct elf_file *elf, uint64_t gpa);

/* The physical address where the file has the virtual address `vaddr`. Gives false for nowhere. */
bool elf_physical_address(const struct elf_file *elf, uint64_t vaddr, uint64_t *ret_gpa);

#endif

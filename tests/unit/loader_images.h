/* Small valid images of each format, for the loaders' tests and the seeds of their fuzzers. */
#ifndef OSVM_TESTS_LOADER_IMAGES_H
#define OSVM_TESTS_LOADER_IMAGES_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/util.h"

/* An image being made up. */
struct test_image {
    uint8_t bytes[8192];
    size_t size;
};

/* One number of an image set to another value; width 0 ends a list. */
struct test_patch {
    size_t at;
    unsigned width; /* bytes */
    uint64_t value;
};

static inline void test_put(struct test_image *image, size_t at, unsigned width, uint64_t value)
{
    for (unsigned i = 0; i < width; i++)
        image->bytes[at + i] = (uint8_t)(value >> 8 * i);
}

static inline void test_patch_all(struct test_image *image, const struct test_patch *patches)
{
    for (; patches->width; patches++)
        test_put(image, patches->at, patches->width, patches->value);
}

/* Bytes that are told apart by where they stand. */
static inline void test_pattern(uint8_t *bytes, size_t len, unsigned seed)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 7 + seed);
}

/* Offsets of what the tests change in an ELF64 file. System V ABI. */
#define EH64(field)    offsetof(Elf64_Ehdr, field)
#define PH64(n, field) (sizeof(Elf64_Ehdr) + (n) * sizeof(Elf64_Phdr) + offsetof(Elf64_Phdr, field))
#define EH32(field)    offsetof(Elf32_Ehdr, field)
#define PH32(n, field) (sizeof(Elf32_Ehdr) + (n) * sizeof(Elf32_Phdr) + offsetof(Elf32_Phdr, field))

#define ELF_TEXT_OFFSET 0x200
#define ELF_TEXT_SIZE   0x100
#define ELF_TEXT_GPA    UINT64_C(0x100000)
#define ELF_DATA_OFFSET 0x300
#define ELF_DATA_SIZE   0x80
#define ELF_DATA_MEMORY 0x3000
#define ELF_DATA_GPA    UINT64_C(0x102000)
#define ELF_ENTRY       UINT64_C(0x100010)

/* Text, data with a bss, and a place for notes (PT_NULL until test_add_note()). */
static inline void test_elf64(struct test_image *image)
{
    Elf64_Ehdr eh = {
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_entry = ELF_ENTRY,
        .e_phoff = sizeof(eh),
        .e_ehsize = sizeof(eh),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 3,
    };
    Elf64_Phdr ph[3] = {
        {.p_type = PT_LOAD,
         .p_offset = ELF_TEXT_OFFSET,
         .p_filesz = ELF_TEXT_SIZE,
         .p_vaddr = ELF_TEXT_GPA,
         .p_paddr = ELF_TEXT_GPA,
         .p_memsz = ELF_TEXT_SIZE},
        {.p_type = PT_LOAD,
         .p_offset = ELF_DATA_OFFSET,
         .p_filesz = ELF_DATA_SIZE,
         .p_vaddr = ELF_DATA_GPA,
         .p_paddr = ELF_DATA_GPA,
         .p_memsz = ELF_DATA_MEMORY},
        {.p_type = PT_NULL},
    };

    memset(image, 0, sizeof(*image));
    image->size = ELF_DATA_OFFSET + ELF_DATA_SIZE;
    test_pattern(image->bytes, image->size, 3);
    memset(image->bytes, 0, ELF_TEXT_OFFSET);
    memcpy(image->bytes, &eh, sizeof(eh));
    memcpy(image->bytes + sizeof(eh), ph, sizeof(ph));
}

static inline void test_elf32(struct test_image *image)
{
    Elf32_Ehdr eh = {
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_386,
        .e_version = EV_CURRENT,
        .e_entry = ELF_ENTRY,
        .e_phoff = sizeof(eh),
        .e_ehsize = sizeof(eh),
        .e_phentsize = sizeof(Elf32_Phdr),
        .e_phnum = 3,
    };
    Elf32_Phdr ph[3] = {
        {.p_type = PT_LOAD,
         .p_offset = ELF_TEXT_OFFSET,
         .p_filesz = ELF_TEXT_SIZE,
         .p_vaddr = ELF_TEXT_GPA,
         .p_paddr = ELF_TEXT_GPA,
         .p_memsz = ELF_TEXT_SIZE},
        {.p_type = PT_LOAD,
         .p_offset = ELF_DATA_OFFSET,
         .p_filesz = ELF_DATA_SIZE,
         .p_vaddr = ELF_DATA_GPA,
         .p_paddr = ELF_DATA_GPA,
         .p_memsz = ELF_DATA_MEMORY},
        {.p_type = PT_NULL},
    };

    memset(image, 0, sizeof(*image));
    image->size = ELF_DATA_OFFSET + ELF_DATA_SIZE;
    test_pattern(image->bytes, image->size, 3);
    memset(image->bytes, 0, ELF_TEXT_OFFSET);
    memcpy(image->bytes, &eh, sizeof(eh));
    memcpy(image->bytes + sizeof(eh), ph, sizeof(ph));
}

/* Where the PVH note stands in a test image: in the data segment's bytes. */
#define ELF_NOTE_OFFSET 0x320

/* Make the third program header a PT_NOTE with the PVH note, its entry in `desc_size` bytes. */
static inline void test_add_pvh_note(struct test_image *image, unsigned desc_size)
{
    bool is_64 = image->bytes[EI_CLASS] == ELFCLASS64;
    unsigned note_size = 16 + desc_size;

    test_put(image, ELF_NOTE_OFFSET, 4, 4); /* name size, with its zero */
    test_put(image, ELF_NOTE_OFFSET + 4, 4, desc_size);
    test_put(image, ELF_NOTE_OFFSET + 8, 4, 18); /* XEN_ELFNOTE_PHYS32_ENTRY */
    memcpy(image->bytes + ELF_NOTE_OFFSET + 12, "Xen", 4);
    test_put(image, ELF_NOTE_OFFSET + 16, desc_size, ELF_ENTRY);
    if (is_64) {
        test_put(image, PH64(2, p_type), 4, PT_NOTE);
        test_put(image, PH64(2, p_offset), 8, ELF_NOTE_OFFSET);
        test_put(image, PH64(2, p_filesz), 8, note_size);
        test_put(image, PH64(2, p_align), 8, 4);
    } else {
        test_put(image, PH32(2, p_type), 4, PT_NOTE);
        test_put(image, PH32(2, p_offset), 4, ELF_NOTE_OFFSET);
        test_put(image, PH32(2, p_filesz), 4, note_size);
        test_put(image, PH32(2, p_align), 4, 4);
    }
}

#define MULTIBOOT_MAGIC 0x1badb002

/* Write a Multiboot header: magic, flags, checksum. */
static inline void test_put_multiboot(struct test_image *image, size_t at, uint32_t flags)
{
    test_put(image, at, 4, MULTIBOOT_MAGIC);
    test_put(image, at + 4, 4, flags);
    test_put(image, at + 8, 4, 0U - MULTIBOOT_MAGIC - flags);
}

/* Offsets in a bzImage. "The Linux/x86 Boot Protocol", "The Real-Mode Kernel Header". */
#define BZ_SETUP_SECTS     0x1f1
#define BZ_SYSSIZE         0x1f4
#define BZ_BOOT_FLAG       0x1fe
#define BZ_JUMP_LENGTH     0x201
#define BZ_HEADER          0x202
#define BZ_VERSION         0x206
#define BZ_LOADFLAGS       0x211
#define BZ_CODE32_START    0x214
#define BZ_INITRD_ADDR_MAX 0x22c
#define BZ_ALIGNMENT       0x230
#define BZ_RELOCATABLE     0x234
#define BZ_XLOADFLAGS      0x236
#define BZ_CMDLINE_SIZE    0x238
#define BZ_PREF_ADDRESS    0x258
#define BZ_INIT_SIZE       0x260

#define BZ_PAYLOAD_OFFSET 0x400 /* one setup sector behind the boot sector */
#define BZ_PAYLOAD_SIZE   0x300
#define BZ_PREF           UINT64_C(0x200000)
#define BZ_INIT           0x80000

/* A relocatable 64-bit bzImage of protocol 2.15. */
static inline void test_bzimage(struct test_image *image)
{
    memset(image, 0, sizeof(*image));
    image->size = BZ_PAYLOAD_OFFSET + BZ_PAYLOAD_SIZE;
    test_pattern(image->bytes + BZ_PAYLOAD_OFFSET, BZ_PAYLOAD_SIZE, 5);
    test_put(image, BZ_SETUP_SECTS, 1, 1);
    test_put(image, BZ_SYSSIZE, 4, BZ_PAYLOAD_SIZE / 16);
    test_put(image, BZ_BOOT_FLAG, 2, 0xaa55);
    test_put(image, BZ_JUMP_LENGTH, 1, 0x26c - 0x202);
    memcpy(image->bytes + BZ_HEADER, "HdrS", 4);
    test_put(image, BZ_VERSION, 2, 0x020f);
    test_put(image, BZ_LOADFLAGS, 1, 1);
    test_put(image, BZ_CODE32_START, 4, 0x100000);
    test_put(image, BZ_INITRD_ADDR_MAX, 4, 0x7fffffff);
    test_put(image, BZ_ALIGNMENT, 4, 0x200000);
    test_put(image, BZ_RELOCATABLE, 1, 1);
    test_put(image, BZ_XLOADFLAGS, 2, 3);
    test_put(image, BZ_CMDLINE_SIZE, 4, 2047);
    test_put(image, BZ_PREF_ADDRESS, 8, BZ_PREF);
    test_put(image, BZ_INIT_SIZE, 4, BZ_INIT);
}

#endif

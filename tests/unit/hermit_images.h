/* A small valid Hermit image, for the loader's tests and the seeds of its fuzzer. */
#ifndef OSVM_TESTS_HERMIT_IMAGES_H
#define OSVM_TESTS_HERMIT_IMAGES_H

#include "loader_images.h"

/* Program headers: text, data, notes, dynamic section, thread-local storage. */
enum { HI_TEXT, HI_DATA, HI_NOTES, HI_DYNAMIC, HI_TLS, HI_SEGMENTS };

/* Offsets in the file. The data's addresses are as far apart. */
#define HI_TEXT_OFFSET 0x200
#define HI_TEXT_SIZE   0x100
#define HI_DATA_OFFSET 0x300
#define HI_DATA_SIZE   0x300
#define HI_DATA_MEMORY 0x3000
#define HI_DATA_VADDR  0x2000
#define HI_VADDR(at)   (HI_DATA_VADDR + (at)-HI_DATA_OFFSET)
#define HI_END         (HI_DATA_VADDR + HI_DATA_MEMORY) /* the image's end, in its addresses */
#define HI_ENTRY       0x10

#define HI_NOTE_ENTRY     0x300 /* its version is at +20 */
#define HI_NOTE_INTERFACE 0x318 /* at +20, big-endian */
#define HI_NOTE_VERSION   0x330 /* at +16: OS, major, minor, patch */
#define HI_NOTES_SIZE     0x50
#define HI_DYN(n)         (0x380 + 16 * (n)) /* RELA, RELASZ, RELAENT, SYMTAB, SYMENT, NULL */
#define HI_DYN_SIZE       (16 * 6)
#define HI_RELA(n)        (0x400 + 24 * (n)) /* offset, info, addend */
#define HI_RELA_COUNT     4
#define HI_SYM(n)         (0x480 + 24 * (n)) /* none, one of the data, a weak one, an absolute one */
#define HI_TARGET(n)      (0x500 + 8 * (n))
#define HI_TLS_OFFSET     0x580
#define HI_TLS_SIZE       0x20
#define HI_TLS_MEMORY     0x48

static inline void test_put_segment(struct test_image *image, unsigned number, uint32_t type,
                                    uint64_t offset, uint64_t vaddr, uint64_t file_size,
                                    uint64_t memory_size, uint64_t align)
{
    Elf64_Phdr ph = {
        .p_type = type,
        .p_offset = offset,
        .p_vaddr = vaddr,
        .p_paddr = vaddr,
        .p_filesz = file_size,
        .p_memsz = memory_size,
        .p_align = align,
    };

    memcpy(image->bytes + sizeof(Elf64_Ehdr) + number * sizeof(ph), &ph, sizeof(ph));
}

static inline void test_put_note(struct test_image *image, size_t at, const char *name,
                                 uint32_t type, uint32_t desc_size)
{
    size_t name_size = strlen(name) + 1;

    test_put(image, at, 4, name_size);
    test_put(image, at + 4, 4, desc_size);
    test_put(image, at + 8, 4, type);
    memcpy(image->bytes + at + 12, name, name_size);
}

static inline void test_put_dynamic(struct test_image *image, unsigned n, uint64_t tag,
                                    uint64_t value)
{
    test_put(image, HI_DYN(n), 8, tag);
    test_put(image, HI_DYN(n) + 8, 8, value);
}

static inline void test_put_rela(struct test_image *image, unsigned n, uint32_t type,
                                 uint32_t symbol, uint64_t addend)
{
    test_put(image, HI_RELA(n), 8, HI_VADDR(HI_TARGET(n)));
    test_put(image, HI_RELA(n) + 8, 8, ELF64_R_INFO((uint64_t)symbol, type));
    test_put(image, HI_RELA(n) + 16, 8, addend);
}

static inline void test_put_symbol(struct test_image *image, unsigned n, unsigned bind,
                                   uint16_t section, uint64_t value)
{
    test_put(image, HI_SYM(n) + 4, 1, ELF64_ST_INFO(bind, STT_OBJECT));
    test_put(image, HI_SYM(n) + 6, 2, section);
    test_put(image, HI_SYM(n) + 8, 8, value);
}

/* An image that can lie anywhere, of interface 2, made with kernel 0.11.0. */
static inline void test_hermit(struct test_image *image)
{
    Elf64_Ehdr eh = {
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT, 255},
        .e_type = ET_DYN,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_entry = HI_ENTRY,
        .e_phoff = sizeof(eh),
        .e_ehsize = sizeof(eh),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = HI_SEGMENTS,
    };

    memset(image, 0, sizeof(*image));
    image->size = HI_DATA_OFFSET + HI_DATA_SIZE;
    memcpy(image->bytes, &eh, sizeof(eh));
    test_pattern(image->bytes + HI_TEXT_OFFSET, HI_TEXT_SIZE, 9);
    test_put_segment(image, HI_TEXT, PT_LOAD, HI_TEXT_OFFSET, 0, HI_TEXT_SIZE, HI_TEXT_SIZE, 1);
    test_put_segment(image, HI_DATA, PT_LOAD, HI_DATA_OFFSET, HI_DATA_VADDR, HI_DATA_SIZE,
                     HI_DATA_MEMORY, 1);
    test_put_segment(image, HI_NOTES, PT_NOTE, HI_NOTE_ENTRY, HI_DATA_VADDR, HI_NOTES_SIZE,
                     HI_NOTES_SIZE, 4);
    test_put_segment(image, HI_DYNAMIC, PT_DYNAMIC, HI_DYN(0), HI_VADDR(HI_DYN(0)), HI_DYN_SIZE,
                     HI_DYN_SIZE, 8);
    test_put_segment(image, HI_TLS, PT_TLS, HI_TLS_OFFSET, HI_VADDR(HI_TLS_OFFSET), HI_TLS_SIZE,
                     HI_TLS_MEMORY, 16);
    test_put_note(image, HI_NOTE_ENTRY, "HERMIT", 0x5a00, 1);
    test_put(image, HI_NOTE_ENTRY + 20, 1, 4);
    test_put_note(image, HI_NOTE_INTERFACE, "UHYVEIF", 0x5b00, 4);
    test_put(image, HI_NOTE_INTERFACE + 23, 1, 2);
    test_put_note(image, HI_NOTE_VERSION, "GNU", 1, 16);
    test_put(image, HI_NOTE_VERSION + 16, 4, 6);
    test_put(image, HI_NOTE_VERSION + 24, 4, 11);
    test_put_dynamic(image, 0, DT_RELA, HI_VADDR(HI_RELA(0)));
    test_put_dynamic(image, 1, DT_RELASZ, HI_RELA_COUNT * sizeof(Elf64_Rela));
    test_put_dynamic(image, 2, DT_RELAENT, sizeof(Elf64_Rela));
    test_put_dynamic(image, 3, DT_SYMTAB, HI_VADDR(HI_SYM(0)));
    test_put_dynamic(image, 4, DT_SYMENT, sizeof(Elf64_Sym));
    test_put_rela(image, 0, R_X86_64_RELATIVE, 0, 0x2468);
    test_put_rela(image, 1, R_X86_64_64, 1, 8);
    test_put_rela(image, 2, R_X86_64_GLOB_DAT, 1, 8); /* GLOB_DAT has no addend */
    test_put_rela(image, 3, R_X86_64_64, 2, 0);
    test_put_symbol(image, 1, STB_GLOBAL, 1, 0x2100);
    test_put_symbol(image, 2, STB_WEAK, SHN_UNDEF, 0);
    test_put_symbol(image, 3, STB_GLOBAL, SHN_ABS, 0x7777);
    test_pattern(image->bytes + HI_TLS_OFFSET, HI_TLS_SIZE, 5);
}

/* The same at fixed addresses, from 8 MiB on, without relocations, of interface 1. */
static inline void test_hermit_fixed(struct test_image *image)
{
    const uint64_t base = 8 * MIB;

    test_hermit(image);
    test_put(image, EH64(e_type), 2, ET_EXEC);
    test_put(image, EH64(e_entry), 8, base + HI_ENTRY);
    test_put(image, PH64(HI_TEXT, p_vaddr), 8, base);
    test_put(image, PH64(HI_DATA, p_vaddr), 8, base + HI_DATA_VADDR);
    test_put(image, PH64(HI_TLS, p_vaddr), 8, base + HI_VADDR(HI_TLS_OFFSET));
    test_put(image, PH64(HI_DYNAMIC, p_type), 4, PT_NULL);
    test_put(image, HI_NOTE_INTERFACE + 23, 1, 1);
    test_put(image, HI_NOTE_VERSION + 8, 4, 0x4711); /* a note that nobody knows */
}

#endif

/*
 * The dynamic section and the relocations of a Hermit image. Numbers: System V ABI, "Dynamic
 * Section"; its AMD64 supplement, table 4.9.
 */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "hermit_boot.h"

/* A dynamic section has some twenty entries. */
#define DYNAMIC_MAX (64 * KIB)

static const char *const type_names[] = {
    [R_X86_64_NONE] = "NONE",
    [R_X86_64_64] = "64",
    [R_X86_64_PC32] = "PC32",
    [R_X86_64_COPY] = "COPY",
    [R_X86_64_GLOB_DAT] = "GLOB_DAT",
    [R_X86_64_JUMP_SLOT] = "JUMP_SLOT",
    [R_X86_64_RELATIVE] = "RELATIVE",
    [R_X86_64_32] = "32",
    [R_X86_64_32S] = "32S",
    [R_X86_64_PC64] = "PC64",
    [R_X86_64_DTPMOD64] = "DTPMOD64",
    [R_X86_64_DTPOFF64] = "DTPOFF64",
    [R_X86_64_TPOFF64] = "TPOFF64",
    [R_X86_64_TLSDESC] = "TLSDESC",
    [R_X86_64_IRELATIVE] = "IRELATIVE",
};

/* Take what one entry says. Returns 0 or -ENOEXEC. */
static int take_entry(const Elf64_Dyn *entry, struct hermit_dynamic *dynamic, struct error *err)
{
    uint64_t value = entry->d_un.d_val;

    switch (entry->d_tag) {
    case DT_NEEDED:
        return error_set(err, -ENOEXEC,
                         "a Hermit image that wants shared libraries (DT_NEEDED): there is nothing "
                         "to load them; link it statically");
    case DT_RELA:
        dynamic->tables[0].vaddr = value;
        break;
    case DT_RELASZ:
        dynamic->tables[0].size = value;
        break;
    case DT_JMPREL:
        dynamic->tables[1].vaddr = value;
        break;
    case DT_PLTRELSZ:
        dynamic->tables[1].size = value;
        break;
    case DT_SYMTAB:
        dynamic->symbols = value;
        break;
    case DT_RELAENT:
        if (value != sizeof(Elf64_Rela))
            return error_set(err, -ENOEXEC, "its relocations have %" PRIu64 " bytes each, not %zu",
                             value, sizeof(Elf64_Rela));
        break;
    case DT_SYMENT:
        if (value != sizeof(Elf64_Sym))
            return error_set(err, -ENOEXEC, "its symbols have %" PRIu64 " bytes each, not %zu",
                             value, sizeof(Elf64_Sym));
        break;
    case DT_REL:
    case DT_RELR:
        return error_set(err, -ENOEXEC, "its relocations are of the kind %s; only RELA is known",
                         entry->d_tag == DT_REL ? "REL" : "RELR");
    default:
        break;
    }
    return 0;
}

static const struct elf_segment *dynamic_segment(const struct elf_file *elf)
{
    for (size_t i = 0; i < elf->segment_count; i++)
        if (elf->segments[i].type == PT_DYNAMIC && elf->segments[i].file_size > 0)
            return &elf->segments[i];
    return NULL;
}

int hermit_read_dynamic(const struct boot_probe *probe, struct hermit_dynamic *ret_dynamic,
                        struct error *err)
{
    const struct elf_segment *segment = dynamic_segment(&probe->elf);
    _cleanup_free_ Elf64_Dyn *entries = NULL;
    struct hermit_dynamic dynamic = {0};
    size_t count;
    int r = 0;

    if (!segment) {
        *ret_dynamic = dynamic;
        return 0;
    }
    if (segment->file_size > DYNAMIC_MAX)
        return error_set(err, -ENOEXEC,
                         "its dynamic section has %" PRIu64 " bytes; at most %" PRIu64 " are taken",
                         segment->file_size, DYNAMIC_MAX);
    entries = malloc((size_t)segment->file_size);
    if (!entries)
        return error_set(err, -ENOMEM, "out of memory");
    r = boot_read(probe->image, segment->offset, entries, (size_t)segment->file_size,
                  "its dynamic section", err);
    count = (size_t)segment->file_size / sizeof(*entries);
    for (size_t i = 0; r == 0 && i < count && entries[i].d_tag != DT_NULL; i++)
        r = take_entry(&entries[i], &dynamic, err);
    if (r == 0)
        *ret_dynamic = dynamic;
    return r;
}

/* The image in host memory, by the file's addresses. */
struct view {
    uint8_t *host;  /* of `start` */
    uint64_t start; /* the file's address */
    uint64_t size;
};

/* Host pointer to [vaddr, vaddr + len) in the file's addresses, or NULL where that is not in it. */
static uint8_t *view_span(const struct view *view, uint64_t vaddr, uint64_t len)
{
    uint64_t offset = vaddr - view->start; /* wraps to a huge number where vaddr lies below */

    return range_inside(offset, len, view->size) ? view->host + offset : NULL;
}

/* The value of a symbol in its place: 0 for none (STN_UNDEF), and for a weak one that is nowhere.
 */
static int symbol_value(const struct view *view, const struct hermit_kernel *kernel,
                        const struct hermit_dynamic *dynamic, uint32_t number, uint64_t *ret_value,
                        struct error *err)
{
    const uint8_t *at = NULL;
    uint64_t vaddr;
    Elf64_Sym symbol;

    if (!__builtin_add_overflow(dynamic->symbols, number * (uint64_t)sizeof(symbol), &vaddr))
        at = view_span(view, vaddr, sizeof(symbol));
    if (!dynamic->symbols || !at)
        return error_set(err, -ENOEXEC, "a relocation names symbol %" PRIu32 ", which is not there",
                         number);
    memcpy(&symbol, at, sizeof(symbol));
    if (symbol.st_shndx == SHN_UNDEF && number != STN_UNDEF &&
        ELF64_ST_BIND(symbol.st_info) != STB_WEAK)
        return error_set(err, -ENOEXEC,
                         "a relocation names symbol %" PRIu32 ", which the image does not define",
                         number);
    if (symbol.st_shndx == SHN_UNDEF)
        *ret_value = 0;
    else
        *ret_value = symbol.st_value + (symbol.st_shndx == SHN_ABS ? 0 : kernel->bias);
    return 0;
}

static int refuse_type(uint32_t type, struct error *err)
{
    const char *name = type < ARRAY_SIZE(type_names) ? type_names[type] : NULL;
    char number[16];

    snprintf(number, sizeof(number), "%" PRIu32, type);
    return error_set(err, -ENOEXEC,
                     "a relocation of type R_X86_64_%s; only RELATIVE, 64 and GLOB_DAT are known",
                     name ? name : number);
}

static int apply(const struct view *view, const struct hermit_kernel *kernel,
                 const struct hermit_dynamic *dynamic, const Elf64_Rela *rela, struct error *err)
{
    uint32_t type = (uint32_t)ELF64_R_TYPE(rela->r_info);
    uint8_t *target = view_span(view, rela->r_offset, sizeof(uint64_t));
    uint64_t value = 0;
    int r = 0;

    switch (type) {
    case R_X86_64_RELATIVE:
        value = kernel->bias + (uint64_t)rela->r_addend;
        break;
    case R_X86_64_64:
    case R_X86_64_GLOB_DAT:
        r = symbol_value(view, kernel, dynamic, (uint32_t)ELF64_R_SYM(rela->r_info), &value, err);
        if (type == R_X86_64_64)
            value += (uint64_t)rela->r_addend;
        break;
    default:
        return refuse_type(type, err);
    }
    if (r < 0)
        return r;
    if (!target)
        return error_set(err, -ENOEXEC, "a relocation at 0x%" PRIx64 " lies outside the image",
                         rela->r_offset);
    memcpy(target, &value, sizeof(value));
    return 0;
}

static int apply_table(const struct view *view, const struct hermit_kernel *kernel,
                       const struct hermit_dynamic *dynamic, const struct hermit_rela_table *table,
                       struct error *err)
{
    const uint8_t *entries = view_span(view, table->vaddr, table->size);
    int r = 0;

    if (table->size == 0)
        return 0;
    if (!entries || table->size % sizeof(Elf64_Rela))
        return error_set(err, -ENOEXEC,
                         "its relocations (0x%" PRIx64 ", 0x%" PRIx64 " bytes) lie outside the "
                         "image, or end in the middle of one",
                         table->vaddr, table->size);
    for (uint64_t at = 0; r == 0 && at < table->size; at += sizeof(Elf64_Rela)) {
        Elf64_Rela rela; /* a copy: an image may have relocations of its relocations */

        memcpy(&rela, entries + at, sizeof(rela));
        r = apply(view, kernel, dynamic, &rela, err);
    }
    return r;
}

int hermit_relocate(struct boot_job *job, const struct hermit_kernel *kernel,
                    const struct hermit_dynamic *dynamic)
{
    struct view view = {
        .start = kernel->start - kernel->bias,
        .size = kernel->end - kernel->start,
    };
    void *host;
    int r = guest_memory_span(job->mem, kernel->start, view.size, &host);

    if (r < 0)
        return error_set_errno(job->err, r, "cannot relocate the image");
    view.host = host;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(dynamic->tables); i++)
        r = apply_table(&view, kernel, dynamic, &dynamic->tables[i], job->err);
    return r;
}

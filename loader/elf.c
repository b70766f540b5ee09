#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "boot_format.h"
#include "elf_file.h"

/* Machines whose kernels people have lying about. System V ABI, "ELF Header", e_machine. */
static const struct {
    uint16_t machine;
    const char *name;
} machine_names[] = {
    {EM_ARM, "32-bit Arm"},
    {EM_AARCH64, "AArch64"},
    {EM_RISCV, "RISC-V"},
    {EM_PPC, "32-bit PowerPC"},
    {EM_PPC64, "64-bit PowerPC"},
    {EM_S390, "S/390"},
    {EM_MIPS, "MIPS"},
    {EM_SPARCV9, "64-bit SPARC"},
    {EM_IA_64, "Itanium"},
    {258 /* EM_LOONGARCH */, "LoongArch"},
};

static int wrong_machine(uint16_t machine, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(machine_names); i++)
        if (machine_names[i].machine == machine)
            return error_set(err, -ENOEXEC, "an ELF file for %s; this machine is x86-64",
                             machine_names[i].name);
    return error_set(err, -ENOEXEC, "an ELF file for machine number %u; this machine is x86-64",
                     machine);
}

bool elf_has_magic(const void *head, size_t head_size)
{
    return head_size >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0;
}

/* What stands at the same place in both classes: identification, type and machine. */
static int check_ident(const unsigned char *ident, uint16_t type, uint16_t machine,
                       struct error *err)
{
    if (ident[EI_CLASS] != ELFCLASS32 && ident[EI_CLASS] != ELFCLASS64)
        return error_set(err, -ENOEXEC, "an ELF file of unknown class %u", ident[EI_CLASS]);
    if (ident[EI_DATA] == ELFDATA2MSB)
        return wrong_machine((uint16_t)(machine << 8 | machine >> 8), err);
    if (ident[EI_DATA] != ELFDATA2LSB)
        return error_set(err, -ENOEXEC, "an ELF file of unknown byte order %u", ident[EI_DATA]);
    if (machine != EM_386 && machine != EM_X86_64)
        return wrong_machine(machine, err);
    if (ident[EI_VERSION] != EV_CURRENT)
        return error_set(err, -ENOEXEC, "an ELF file of unknown version %u", ident[EI_VERSION]);
    if (type == ET_REL)
        return error_set(err, -ENOEXEC, "an ELF object file, not an executable");
    if (type == ET_CORE)
        return error_set(err, -ENOEXEC, "an ELF core dump, not an executable");
    if (type != ET_EXEC && type != ET_DYN)
        return error_set(err, -ENOEXEC, "an ELF file of unknown type %u", type);
    return 0;
}

static struct elf_segment from_64(const Elf64_Phdr *ph)
{
    return (struct elf_segment){
        .type = ph->p_type,
        .offset = ph->p_offset,
        .vaddr = ph->p_vaddr,
        .paddr = ph->p_paddr,
        .file_size = ph->p_filesz,
        .memory_size = ph->p_memsz,
        .align = ph->p_align,
    };
}

static struct elf_segment from_32(const Elf32_Phdr *ph)
{
    return (struct elf_segment){
        .type = ph->p_type,
        .offset = ph->p_offset,
        .vaddr = ph->p_vaddr,
        .paddr = ph->p_paddr,
        .file_size = ph->p_filesz,
        .memory_size = ph->p_memsz,
        .align = ph->p_align,
    };
}

static int read_segments(const struct image *image, uint64_t offset, uint16_t count,
                         uint16_t entry_size, struct elf_file *elf, struct error *err)
{
    union {
        Elf32_Phdr of_32[ELF_MAX_SEGMENTS];
        Elf64_Phdr of_64[ELF_MAX_SEGMENTS];
    } table;
    size_t size = elf->is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    int r;

    if (count == 0)
        return error_set(err, -ENOEXEC, "an ELF file without program headers: nothing to load");
    if (count > ELF_MAX_SEGMENTS)
        return error_set(err, -ENOEXEC, "an ELF file with %u program headers; at most %u are taken",
                         count, ELF_MAX_SEGMENTS);
    if (entry_size != size)
        return error_set(err, -ENOEXEC, "an ELF file with program headers of %u bytes, not %zu",
                         entry_size, size);
    r = boot_read(image, offset, &table, count * size, "the ELF program headers", err);
    if (r < 0)
        return r;
    for (uint16_t i = 0; i < count; i++)
        elf->segments[i] = elf->is_64 ? from_64(&table.of_64[i]) : from_32(&table.of_32[i]);
    elf->segment_count = count;
    return 0;
}

int elf_parse(const struct image *image, struct elf_file *ret_elf, struct error *err)
{
    union {
        Elf32_Ehdr of_32;
        Elf64_Ehdr of_64;
    } header;
    struct elf_file elf;
    int r;

    /* The smaller one first: what says the class stands at the same place in both. */
    r = boot_read(image, 0, &header, sizeof(header.of_32), "the ELF header", err);
    if (r < 0)
        return r;
    r = check_ident(header.of_32.e_ident, header.of_32.e_type, header.of_32.e_machine, err);
    if (r < 0)
        return r;
    elf.is_64 = header.of_32.e_ident[EI_CLASS] == ELFCLASS64;
    elf.type = header.of_32.e_type;
    elf.machine = header.of_32.e_machine;
    if (elf.is_64) {
        r = boot_read(image, 0, &header, sizeof(header.of_64), "the ELF header", err);
        if (r < 0)
            return r;
        elf.entry = header.of_64.e_entry;
        r = read_segments(image, header.of_64.e_phoff, header.of_64.e_phnum,
                          header.of_64.e_phentsize, &elf, err);
    } else {
        elf.entry = header.of_32.e_entry;
        r = read_segments(image, header.of_32.e_phoff, header.of_32.e_phnum,
                          header.of_32.e_phentsize, &elf, err);
    }
    if (r < 0)
        return r;
    *ret_elf = elf;
    return 0;
}

bool elf_is_loaded(const struct elf_file *elf, uint64_t gpa)
{
    for (size_t i = 0; i < elf->segment_count; i++) {
        const struct elf_segment *s = &elf->segments[i];

        if (s->type == PT_LOAD && gpa >= s->paddr && gpa - s->paddr < s->file_size)
            return true;
    }
    return false;
}

bool elf_physical_address(const struct elf_file *elf, uint64_t vaddr, uint64_t *ret_gpa)
{
    for (size_t i = 0; i < elf->segment_count; i++) {
        const struct elf_segment *s = &elf->segments[i];

        if (s->type == PT_LOAD && vaddr >= s->vaddr && vaddr - s->vaddr < s->file_size) {
            *ret_gpa = s->paddr + (vaddr - s->vaddr);
            return true;
        }
    }
    return false;
}

/* Take the place of one segment and fill what the file has of it; the rest is zero already. */
int elf_load_segment(struct boot_job *job, const struct elf_segment *segment, size_t number,
                     uint64_t gpa)
{
    char name[32];
    int r;

    snprintf(name, sizeof(name), "segment %zu", number);
    if (segment->file_size > segment->memory_size)
        return error_set(job->err, -ENOEXEC,
                         "%s has more bytes in the file (%" PRIu64 ") than in memory (%" PRIu64 ")",
                         name, segment->file_size, segment->memory_size);
    r = boot_claim_kernel(job, name, gpa, segment->memory_size);
    if (r < 0)
        return r;
    if (segment->file_size == 0)
        return 0;
    return boot_read_to_guest(job, segment->offset, gpa, segment->file_size, name);
}

bool elf_is_to_load(const struct elf_segment *segment)
{
    return segment->type == PT_LOAD && (segment->memory_size > 0 || segment->file_size > 0);
}

/* The segment that ends highest. Gives segment_count where there is none to load. */
static size_t highest_segment(const struct elf_file *elf)
{
    size_t highest = elf->segment_count;
    uint64_t highest_end = 0;

    for (size_t i = 0; i < elf->segment_count; i++) {
        const struct elf_segment *segment = &elf->segments[i];
        uint64_t end;

        if (!elf_is_to_load(segment))
            continue;
        if (__builtin_add_overflow(segment->paddr, segment->memory_size, &end))
            end = UINT64_MAX;
        if (end >= highest_end) {
            highest = i;
            highest_end = end;
        }
    }
    return highest;
}

int elf_load_segments(struct boot_job *job)
{
    const struct elf_file *elf = &job->probe->elf;
    size_t first = highest_segment(elf);
    int r;

    if (first == elf->segment_count)
        return error_set(job->err, -ENOEXEC, "an ELF file without a segment to load");
    /* The highest first: where memory is too small, it is the one that says how much would do. */
    r = elf_load_segment(job, &elf->segments[first], first, elf->segments[first].paddr);
    for (size_t i = 0; r == 0 && i < elf->segment_count; i++)
        if (i != first && elf_is_to_load(&elf->segments[i]))
            r = elf_load_segment(job, &elf->segments[i], i, elf->segments[i].paddr);
    return r;
}

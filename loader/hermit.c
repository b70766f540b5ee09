/* Images for Hermit's own hypervisor: recognised, planned for, and put in their place. */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>

#include "base/bytes.h"
#include "base/util.h"
#include "guest/layout.h"
#include "hermit_boot.h"

/* The notes. That of the kernel's version is the ABI note of GNU with an OS number of Hermit's. */
#define NOTE_ENTRY_NAME        "HERMIT"
#define NOTE_ENTRY_TYPE        0x5a00
#define NOTE_INTERFACE_NAME    "UHYVEIF"
#define NOTE_INTERFACE_TYPE    0x5b00
#define NOTE_VERSION_NAME      "GNU"
#define NOTE_VERSION_TYPE      1
#define NOTE_VERSION_OS_HERMIT 6

#define ENTRY_VERSION   4 /* the one that is run */
#define INTERFACE_FIRST 1 /* what an image without the note has */
#define INTERFACE_LAST  3

/* Where memory may begin: of interface 1, whose addresses have 32 bits, and of the later ones. */
#define LOW_BASE_END    (3 * GIB)
#define HIGH_BASE_FIRST (4 * GIB)
#define HIGH_BASE_LAST  (64 * GIB)

/* Returns 1, or 0 where the image is not one for Hermit's hypervisor, or a negative errno. */
static int read_entry_note(const struct boot_probe *probe, struct error *err)
{
    uint8_t version = 0;
    uint64_t size;
    int r = elf_find_note(probe, NOTE_ENTRY_NAME, NOTE_ENTRY_TYPE, &version, 1, &size, err);

    if (r <= 0)
        return r;
    if (size != 1)
        return error_set(err, -ENOEXEC, "its Hermit entry note has %" PRIu64 " bytes, not 1", size);
    if (version != ENTRY_VERSION)
        return error_set(err, -ENOEXEC,
                         "a Hermit image of entry version %u; only version %u can be run: build it "
                         "with %s Hermit kernel",
                         version, ENTRY_VERSION, version < ENTRY_VERSION ? "a newer" : "an older");
    return 1;
}

static int read_interface_note(const struct boot_probe *probe, unsigned *ret_interface,
                               struct error *err)
{
    uint8_t desc[4];
    uint64_t size;
    uint32_t interface;
    int r = elf_find_note(probe, NOTE_INTERFACE_NAME, NOTE_INTERFACE_TYPE, desc, sizeof(desc),
                          &size, err);

    if (r < 0)
        return r;
    if (r == 0) {
        *ret_interface = INTERFACE_FIRST;
        return 0;
    }
    if (size != sizeof(desc))
        return error_set(err, -ENOEXEC, "its Hermit interface note has %" PRIu64 " bytes, not 4",
                         size);
    interface = (uint32_t)desc[0] << 24 | desc[1] << 16 | desc[2] << 8 | desc[3];
    if (interface < INTERFACE_FIRST || interface > INTERFACE_LAST)
        return error_set(err, -ENOEXEC,
                         "a Hermit image with hypercall interface %" PRIu32 "; %u to %u are known "
                         "here",
                         interface, INTERFACE_FIRST, INTERFACE_LAST);
    *ret_interface = interface;
    return 0;
}

/* A note of that name and type that is another system's says nothing here. */
static int read_version_note(const struct boot_probe *probe, struct hermit_notes *notes,
                             struct error *err)
{
    uint8_t desc[16];
    uint64_t size;
    int r =
        elf_find_note(probe, NOTE_VERSION_NAME, NOTE_VERSION_TYPE, desc, sizeof(desc), &size, err);

    if (r <= 0 || size != sizeof(desc) || load_le32(desc) != NOTE_VERSION_OS_HERMIT)
        return r < 0 ? r : 0;
    notes->has_version = true;
    for (unsigned i = 0; i < ARRAY_SIZE(notes->version); i++)
        notes->version[i] = (uint8_t)min_u64(load_le32(desc + 4 * (i + 1)), UINT8_MAX);
    notes->maps_memory = notes->version[0] > 0 || notes->version[1] >= 10;
    return 0;
}

/* Returns 1, 0 where it is not a Hermit image, or a negative errno. */
static int read_notes(const struct boot_probe *probe, struct hermit_notes *ret_notes,
                      struct error *err)
{
    struct hermit_notes notes = {0};
    int r = read_entry_note(probe, err);

    if (r <= 0)
        return r;
    r = read_interface_note(probe, &notes.interface, err);
    if (r == 0)
        r = read_version_note(probe, &notes, err);
    if (r < 0)
        return r;
    *ret_notes = notes;
    return 1;
}

static int hermit_recognise(const struct boot_probe *probe, enum boot_protocol *ret_protocol,
                            struct error *err)
{
    struct hermit_dynamic dynamic;
    struct hermit_notes notes;
    int r;

    if (!probe->is_elf)
        return 0;
    r = read_notes(probe, &notes, err);
    if (r <= 0)
        return r;
    if (!probe->elf.is_64 || probe->elf.machine != EM_X86_64)
        return error_set(err, -ENOEXEC, "a Hermit image that is not of 64 bits");
    r = hermit_read_dynamic(probe, &dynamic, err);
    if (r < 0)
        return r;
    *ret_protocol = BOOT_HERMIT;
    return 1;
}

static int check_given_base(const struct boot_plan *plan, uint64_t base, struct error *err)
{
    uint64_t end = plan->hermit_interface == 1 ? LOW_BASE_END - 1 : HIGH_BASE_LAST;

    if (base % HERMIT_RAM_ALIGNMENT)
        return error_set(err, -EINVAL, "0x%" PRIx64 " is not a multiple of 2 MiB", base);
    if (base > end)
        return error_set(err, -EINVAL,
                         "0x%" PRIx64 ": the memory of an image with hypercall interface %u begins "
                         "at 0x%" PRIx64 " at most",
                         base, plan->hermit_interface, align_down(end, HERMIT_RAM_ALIGNMENT));
    return 0;
}

/* The last place where memory of this size can begin. Of interface 1 it stays all below the hole:
 * the addresses of its hypercalls reach no further. */
static uint64_t last_base(const struct boot_plan *plan, uint64_t memory_size)
{
    uint64_t last;

    if (plan->hermit_interface > 1)
        return HIGH_BASE_LAST;
    if (memory_size >= LAYOUT_HERMIT_HOLE)
        return 0;
    last = align_down(LAYOUT_HERMIT_HOLE - memory_size, HERMIT_RAM_ALIGNMENT);
    return min_u64(last, LOW_BASE_END - HERMIT_RAM_ALIGNMENT);
}

int hermit_plan(const struct boot_probe *probe, const struct boot_placement *placement,
                struct boot_plan *plan, struct error *err)
{
    struct hermit_notes notes = {0};
    uint64_t first, places;
    int r = read_notes(probe, &notes, err);

    if (r < 0)
        return r;
    plan->hermit_interface = notes.interface;
    if (probe->elf.type == ET_EXEC) {
        if (placement->kind == RAM_BASE_GIVEN && placement->given != 0)
            return error_set(err, -EINVAL,
                             "this image is linked to fixed addresses: its memory begins at 0");
        plan->ram_base = 0;
        return 0;
    }
    first = notes.interface > 1 ? HIGH_BASE_FIRST : 0;
    switch (placement->kind) {
    case RAM_BASE_GIVEN:
        plan->ram_base = placement->given;
        return check_given_base(plan, placement->given, err);
    case RAM_BASE_RANDOM:
        places = (last_base(plan, placement->memory_size) - first) / HERMIT_RAM_ALIGNMENT + 1;
        plan->ram_base = first + placement->random % places * HERMIT_RAM_ALIGNMENT;
        return 0;
    case RAM_BASE_FIXED:
        plan->ram_base = first;
        return 0;
    }
    return 0;
}

/* Where the file's segments begin and end, in its own addresses. */
static int find_extent(struct boot_job *job, uint64_t *ret_start, uint64_t *ret_end)
{
    const struct elf_file *elf = &job->probe->elf;
    uint64_t start = UINT64_MAX, end = 0, segment_end;

    for (size_t i = 0; i < elf->segment_count; i++) {
        const struct elf_segment *segment = &elf->segments[i];

        if (!elf_is_to_load(segment))
            continue;
        if (__builtin_add_overflow(segment->vaddr, segment->memory_size, &segment_end))
            return error_set(job->err, -ENOEXEC,
                             "segment %zu (0x%" PRIx64 ", 0x%" PRIx64
                             " bytes) wraps round the end of the address space",
                             i, segment->vaddr, segment->memory_size);
        start = min_u64(start, segment->vaddr);
        end = max_u64(end, segment_end);
    }
    if (end == 0)
        return error_set(job->err, -ENOEXEC, "an ELF file without a segment to load");
    *ret_start = start;
    *ret_end = end;
    return 0;
}

/* Say where the image goes, and that there is room: one region of memory holds all of it. */
static int place(struct boot_job *job, struct hermit_kernel *kernel)
{
    size_t count;
    const struct guest_region *region = guest_memory_regions(job->mem, &count);
    bool fixed = job->probe->elf.type == ET_EXEC;
    uint64_t start = 0, end = 0, needed;
    int r = find_extent(job, &start, &end);

    if (r < 0)
        return r;
    kernel->ram_base = region->gpa;
    if (fixed && region->gpa != 0)
        return error_set(job->err, -EINVAL,
                         "this image is linked to fixed addresses, and its memory begins at "
                         "0x%" PRIx64 ", not at 0",
                         region->gpa);
    /* Of memory, the first `needed` bytes. */
    if (__builtin_add_overflow(end, fixed ? 0 : HERMIT_KERNEL, &needed))
        needed = UINT64_MAX;
    if (needed > region->size)
        return error_set(job->err, -ENOMEM,
                         "the image ends 0x%" PRIx64 " bytes into memory: needs %" PRIu64
                         " MiB of it, the machine has %" PRIu64 " MiB%s",
                         needed, (needed - 1) / MIB + 1, guest_memory_size(job->mem) / MIB,
                         count > 1 ? " (of them, some above 4 GiB)" : "");
    if (fixed && start < HERMIT_STACK_SIZE)
        return error_set(job->err, -ENOEXEC,
                         "the image begins at 0x%" PRIx64 ": there is no room for a boot stack "
                         "below it",
                         start);
    kernel->bias = fixed ? 0 : region->gpa + HERMIT_KERNEL;
    kernel->start = fixed ? start : kernel->bias;
    kernel->end = kernel->bias + end;
    return 0;
}

static int load_segments(struct boot_job *job, const struct hermit_kernel *kernel)
{
    const struct elf_file *elf = &job->probe->elf;
    int r = 0;

    for (size_t i = 0; r == 0 && i < elf->segment_count; i++)
        if (elf_is_to_load(&elf->segments[i]))
            r = elf_load_segment(job, &elf->segments[i], i, kernel->bias + elf->segments[i].vaddr);
    return r;
}

/* Whether [vaddr, vaddr + len), in the file's addresses, is inside the image. */
static bool is_in_image(const struct hermit_kernel *kernel, uint64_t vaddr, uint64_t len)
{
    return range_inside(vaddr - (kernel->start - kernel->bias), len, kernel->end - kernel->start);
}

/* The kernel makes each thread's storage of what stands in the image. */
static int find_tls(struct boot_job *job, struct hermit_kernel *kernel)
{
    const struct elf_file *elf = &job->probe->elf;

    for (size_t i = 0; i < elf->segment_count; i++) {
        const struct elf_segment *segment = &elf->segments[i];

        if (segment->type != PT_TLS)
            continue;
        if (segment->file_size > segment->memory_size ||
            !is_in_image(kernel, segment->vaddr, segment->file_size) ||
            (segment->align & (segment->align - 1)))
            return error_set(job->err, -ENOEXEC,
                             "its thread-local storage (0x%" PRIx64 ", 0x%" PRIx64 " of 0x%" PRIx64
                             " bytes, alignment 0x%" PRIx64 ") makes no sense",
                             segment->vaddr, segment->file_size, segment->memory_size,
                             segment->align);
        kernel->tls.start = kernel->bias + segment->vaddr;
        kernel->tls.file_size = segment->file_size;
        kernel->tls.memory_size = segment->memory_size;
        kernel->tls.alignment = segment->align;
        return 0;
    }
    return 0;
}

static int find_entry(struct boot_job *job, struct hermit_kernel *kernel)
{
    const struct elf_file *elf = &job->probe->elf;
    uint64_t unused;

    if (!elf_physical_address(elf, elf->entry, &unused))
        return error_set(job->err, -ENOEXEC,
                         "its entry point 0x%" PRIx64 " lies outside what it loads", elf->entry);
    kernel->entry = kernel->bias + elf->entry;
    return 0;
}

static int hermit_load(struct boot_job *job)
{
    struct hermit_kernel kernel = {0};
    struct hermit_dynamic dynamic;
    int r;

    if (job->request->module_count > 0)
        return error_set(job->err, -EINVAL,
                         "a module needs a PVH or Multiboot kernel; this one is a %s",
                         boot_protocol_name(BOOT_HERMIT));
    boot_layout_init_flat(&job->layout, job->mem);
    r = read_notes(job->probe, &kernel.notes, job->err);
    if (r == 0)
        return error_set(job->err, -ENOEXEC, "its notes were changed while they were being read");
    if (r > 0)
        r = hermit_read_dynamic(job->probe, &dynamic, job->err);
    if (r == 0)
        r = place(job, &kernel);
    if (r == 0)
        r = load_segments(job, &kernel);
    if (r == 0 && job->probe->elf.type == ET_DYN)
        r = hermit_relocate(job, &kernel, &dynamic);
    if (r == 0)
        r = find_tls(job, &kernel);
    if (r == 0)
        r = find_entry(job, &kernel);
    if (r < 0)
        return r;
    job->result.kernel_start = kernel.start;
    job->result.kernel_end = kernel.end;
    job->result.hermit_interface = kernel.notes.interface;
    return hermit_hand_over(job, &kernel);
}

const struct boot_format hermit_format = {
    .recognise = hermit_recognise,
    .load = hermit_load,
};

/* Hermit images: notes, relocation, the hand-over byte by byte. Refusals are rows. */
#include "loader_fixture.h"

#include <errno.h>

#include "hermit_images.h"

#define DYN_TAG(n)   HI_DYN(n), 8
#define DYN_VALUE(n) (HI_DYN(n) + 8), 8
#define INFO(n)      (HI_RELA(n) + 8), 8

static const struct test_row rows[] = {
    {"valid", {{0}}, 0, NULL},
    {"any OS ABI", {{EI_OSABI, 1, 0}}, 0, NULL},

    /* Notes. */
    {"entry version 3",
     {{HI_NOTE_ENTRY + 20, 1, 3}},
     -ENOEXEC,
     "entry version 3; only version 4 can be run: build it with a newer"},
    {"entry version 5", {{HI_NOTE_ENTRY + 20, 1, 5}}, -ENOEXEC, "with an older"},
    {"entry note of two bytes", {{HI_NOTE_ENTRY + 4, 4, 2}}, -ENOEXEC, "entry note has 2 bytes"},
    {"interface 1", {{HI_NOTE_INTERFACE + 23, 1, 1}}, 0, NULL},
    {"interface 3", {{HI_NOTE_INTERFACE + 23, 1, 3}}, 0, NULL},
    {"interface 4", {{HI_NOTE_INTERFACE + 23, 1, 4}}, -ENOEXEC, "interface 4; 1 to 3 are known"},
    {"interface 0", {{HI_NOTE_INTERFACE + 23, 1, 0}}, -ENOEXEC, "interface 0;"},
    {"interface in the other byte order",
     {{HI_NOTE_INTERFACE + 20, 4, 2}},
     -ENOEXEC,
     "interface 33554432;"},
    {"interface note of three bytes",
     {{HI_NOTE_INTERFACE + 4, 4, 3}},
     -ENOEXEC,
     "interface note has 3 bytes"},
    {"another system's version note", {{HI_NOTE_VERSION + 16, 4, 0}}, 0, NULL},
    {"a short version note", {{HI_NOTE_VERSION + 4, 4, 4}}, 0, NULL},
    {"notes behind the end", {{PH64(HI_NOTES, p_offset), 8, 0x5f0}}, -ENOEXEC, "its notes"},

    /* The file. */
    {"32-bit code", {{EH64(e_machine), 2, EM_386}}, -ENOEXEC, "not of 64 bits"},
    {"entry outside",
     {{EH64(e_entry), 8, HI_TEXT_SIZE}},
     -ENOEXEC,
     "entry point 0x100 lies outside"},
    {"entry in the bss", {{EH64(e_entry), 8, HI_END - 1}}, -ENOEXEC, "lies outside"},
    {"nothing to load",
     {{PH64(HI_TEXT, p_type), 4, PT_NULL}, {PH64(HI_DATA, p_type), 4, PT_NULL}},
     -ENOEXEC,
     "without a segment to load"},
    {"a segment that wraps",
     {{PH64(HI_DATA, p_vaddr), 8, UINT64_MAX - 0xfff}},
     -ENOEXEC,
     "segment 1 (0xfffffffffffff000, 0x3000 bytes) wraps"},
    {"a segment that ends with the address space",
     {{PH64(HI_DATA, p_vaddr), 8, UINT64_MAX - 0x3000}},
     -ENOMEM,
     "needs 17592186044416 MiB of it"},
    {"ends with memory",
     {{PH64(HI_DATA, p_memsz), 8, 64 * MIB - 0x40000 - HI_DATA_VADDR}},
     0,
     NULL},
    {"ends one byte later",
     {{PH64(HI_DATA, p_memsz), 8, 64 * MIB - 0x40000 - HI_DATA_VADDR + 1}},
     -ENOMEM,
     "needs 65 MiB of it, the machine has 64 MiB"},
    {"overlapping segments", {{PH64(HI_DATA, p_vaddr), 8, 0x80}}, -ENOEXEC, "overlaps segment 0"},
    {"more in the file than in memory",
     {{PH64(HI_DATA, p_memsz), 8, 0x10}},
     -ENOEXEC,
     "segment 1 has more bytes in the file"},
    {"a segment behind the file's end",
     {{PH64(HI_DATA, p_offset), 8, 0x301}},
     -ENOEXEC,
     "truncated: segment 1"},

    /* The dynamic section. */
    {"no dynamic section", {{PH64(HI_DYNAMIC, p_type), 4, PT_NULL}}, 0, NULL},
    {"wants a library", {{DYN_TAG(4), DT_NEEDED}}, -ENOEXEC, "wants shared libraries (DT_NEEDED)"},
    {"wants a library, behind the end of the list",
     {{DYN_TAG(3), DT_NULL}, {DYN_TAG(4), DT_NEEDED}, {INFO(1), 8}, {INFO(2), 8}, {INFO(3), 8}},
     0,
     NULL},
    {"relocations of another size", {{DYN_VALUE(2), 16}}, -ENOEXEC, "relocations have 16 bytes"},
    {"symbols of another size",
     {{DYN_VALUE(4), 16}},
     -ENOEXEC,
     "symbols have 16 bytes each, not 24"},
    {"relocations without addends", {{DYN_TAG(4), DT_REL}}, -ENOEXEC, "of the kind REL;"},
    {"packed relocations", {{DYN_TAG(4), DT_RELR}}, -ENOEXEC, "of the kind RELR;"},
    {"a dynamic section behind the end",
     {{PH64(HI_DYNAMIC, p_offset), 8, 0x5f8}},
     -ENOEXEC,
     "truncated: its dynamic section"},
    {"a dynamic section that is too large",
     {{PH64(HI_DYNAMIC, p_filesz), 8, UINT64_MAX}},
     -ENOEXEC,
     "its dynamic section has 18446744073709551615 bytes"},
    {"a dynamic section without an end", {{PH64(HI_DYNAMIC, p_filesz), 8, 16 * 5}}, 0, NULL},
    {"half an entry", {{PH64(HI_DYNAMIC, p_filesz), 8, 16 * 5 + 8}}, 0, NULL},

    /* Relocations. */
    {"relocations of the PLT", {{DYN_TAG(0), DT_JMPREL}, {DYN_TAG(1), DT_PLTRELSZ}}, 0, NULL},
    {"relocations behind the image", {{DYN_VALUE(0), HI_END}}, -ENOEXEC, "lie outside the image"},
    {"relocations far away", {{DYN_VALUE(0), UINT64_MAX - 7}}, -ENOEXEC, "lie outside the image"},
    {"more relocations than image", {{DYN_VALUE(1), UINT64_MAX - 7}}, -ENOEXEC, "lie outside"},
    {"half a relocation", {{DYN_VALUE(1), 36}}, -ENOEXEC, "in the middle of one"},
    {"relocations in the bss",
     {{DYN_VALUE(0), HI_END - 24}, {DYN_VALUE(1), 24}},
     -ENOEXEC,
     "R_X86_64_NONE; only RELATIVE, 64 and GLOB_DAT are known"},
    {"a relocation of a PLT slot", {{INFO(0), 7}}, -ENOEXEC, "of type R_X86_64_JUMP_SLOT;"},
    {"a relocation of 32 bits", {{INFO(0), 10}}, -ENOEXEC, "of type R_X86_64_32;"},
    {"an unknown relocation", {{INFO(0), 0x1234}}, -ENOEXEC, "of type R_X86_64_4660;"},
    {"the last place for a relocation", {{HI_RELA(0), 8, HI_END - 8}}, 0, NULL},
    {"a relocation over the end",
     {{HI_RELA(0), 8, HI_END - 7}},
     -ENOEXEC,
     "at 0x4ff9 lies outside the image"},
    {"a relocation below", {{HI_RELA(0), 8, UINT64_MAX - 7}}, -ENOEXEC, "lies outside the image"},
    {"no symbol", {{INFO(1), 1}}, 0, NULL},
    {"an absolute symbol", {{INFO(1), UINT64_C(3) << 32 | 1}}, 0, NULL},
    {"a symbol that is not there",
     {{INFO(1), UINT64_C(0xffffffff) << 32 | 1}},
     -ENOEXEC,
     "names symbol 4294967295, which is not there"},
    {"no table of symbols",
     {{DYN_TAG(3), DT_DEBUG}},
     -ENOEXEC,
     "names symbol 1, which is not there"},
    {"a symbol that nobody defines",
     {{HI_SYM(2) + 4, 1, ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT)}},
     -ENOEXEC,
     "names symbol 2, which the image does not define"},

    /* Thread-local storage. */
    {"none", {{PH64(HI_TLS, p_type), 4, PT_NULL}}, 0, NULL},
    {"thread-local zeroes only", {{PH64(HI_TLS, p_filesz), 8, 0}}, 0, NULL},
    {"no alignment", {{PH64(HI_TLS, p_align), 8, 0}}, 0, NULL},
    {"an alignment of 24", {{PH64(HI_TLS, p_align), 8, 24}}, -ENOEXEC, "makes no sense"},
    {"less memory than file", {{PH64(HI_TLS, p_memsz), 8, 0x1f}}, -ENOEXEC, "makes no sense"},
    {"outside the image", {{PH64(HI_TLS, p_vaddr), 8, HI_END - 0x1f}}, -ENOEXEC, "makes no sense"},
    {"far away", {{PH64(HI_TLS, p_vaddr), 8, UINT64_MAX}}, -ENOEXEC, "makes no sense"},
};

static void test_rows_anywhere(void **state)
{
    (void)state;
    test_rows(test_hermit, BOOT_HERMIT, rows, ARRAY_SIZE(rows));
}

#define FIXED(offset) (8 * MIB + (offset))

static const struct test_row fixed_rows[] = {
    {"valid", {{0}}, 0, NULL},
    {"right above the tables",
     {{EH64(e_entry), 8, 0x1c010}, {PH64(HI_TEXT, p_vaddr), 8, 0x1c000}},
     0,
     NULL},
    {"a boot stack over the page tables",
     {{EH64(e_entry), 8, 0x1a010}, {PH64(HI_TEXT, p_vaddr), 8, 0x1a000}},
     -ENOEXEC,
     "page directory (0x12000-0x12fff) overlaps boot stack"},
    {"over the device tree",
     {{EH64(e_entry), 8, FIXED(HI_ENTRY)}, {PH64(HI_TEXT, p_vaddr), 8, 0x4fff}},
     -ENOEXEC,
     "no room for a boot stack"},
    {"no room for a boot stack",
     {{EH64(e_entry), 8, 0x7010}, {PH64(HI_TEXT, p_vaddr), 8, 0x7000}},
     -ENOEXEC,
     "begins at 0x7000: there is no room for a boot stack"},
    {"its physical addresses do not matter", {{PH64(HI_TEXT, p_paddr), 8, GIB}}, 0, NULL},
    {"outside memory", {{PH64(HI_DATA, p_vaddr), 8, 64 * MIB}}, -ENOMEM, "needs 65 MiB"},
};

static void test_rows_fixed(void **state)
{
    (void)state;
    test_rows(test_hermit_fixed, BOOT_HERMIT, fixed_rows, ARRAY_SIZE(fixed_rows));
}

static void test_cut_off(void **state)
{
    struct test_image image;

    (void)state;
    test_hermit(&image);
    test_truncations(&image, image.size);
    test_hermit_fixed(&image);
    test_truncations(&image, image.size);
}

/* What makes it another kind of image. */
static void test_recognised(void **state)
{
    static const struct {
        struct test_patch patch;
        enum boot_protocol protocol;
    } kinds[] = {
        {{0}, BOOT_HERMIT},
        {{HI_NOTE_ENTRY + 12, 1, 'h'}, BOOT_LINUX_ELF},
        {{HI_NOTE_ENTRY + 8, 4, 0x5a01}, BOOT_LINUX_ELF},
        {{PH64(HI_NOTES, p_type), 4, PT_NULL}, BOOT_LINUX_ELF},
        /* A PVH note beside it changes nothing: by its own protocol it is told more. */
        {{HI_NOTE_VERSION + 8, 4, 18}, BOOT_HERMIT},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        const struct test_patch patches[] = {kinds[i].patch, {0}};
        enum boot_protocol protocol;
        struct test_image image;
        struct image *bytes;
        struct error err = {""};

        test_hermit(&image);
        if (i == 4)
            memcpy(image.bytes + HI_NOTE_VERSION + 12, "Xen", 4);
        test_patch_all(&image, patches);
        assert_int_equal(image_from_bytes(image.bytes, image.size, &bytes), 0);
        assert_int_equal(image_recognise(bytes, &protocol, &err), 0);
        assert_int_equal(protocol, kinds[i].protocol);
        image_close(bytes);
    }
}

/* ---- Where memory begins. ---- */

struct plan_row {
    unsigned interface;
    bool fixed;
    struct boot_placement placement;
    uint64_t base;
    const char *refused; /* NULL: it is planned */
};

static const struct plan_row plans[] = {
    {1, false, {RAM_BASE_FIXED, 0, 7, 64 * MIB}, 0, NULL},
    {2, false, {RAM_BASE_FIXED, 0, 7, 64 * MIB}, 4 * GIB, NULL},
    {3, false, {RAM_BASE_FIXED, 0, 7, 64 * MIB}, 4 * GIB, NULL},
    {3, true, {RAM_BASE_FIXED, 0, 7, 64 * MIB}, 0, NULL},
    {3, true, {RAM_BASE_RANDOM, 0, 7, 64 * MIB}, 0, NULL},
    {1, false, {RAM_BASE_RANDOM, 0, 0, 64 * MIB}, 0, NULL},
    {1, false, {RAM_BASE_RANDOM, 0, 7, 64 * MIB}, 14 * MIB, NULL},
    {1, false, {RAM_BASE_RANDOM, 0, 1535, 64 * MIB}, 3 * GIB - 2 * MIB, NULL},
    {1, false, {RAM_BASE_RANDOM, 0, 1536, 64 * MIB}, 0, NULL},
    {1, false, {RAM_BASE_RANDOM, 0, 640, 2 * GIB}, 1280 * MIB, NULL}, /* up to the hole */
    {1, false, {RAM_BASE_RANDOM, 0, 641, 2 * GIB}, 0, NULL},
    {1, false, {RAM_BASE_RANDOM, 0, 7, 0xd0000000}, 0, NULL},
    {1, false, {RAM_BASE_RANDOM, 0, 7, 16 * GIB}, 0, NULL},
    {2, false, {RAM_BASE_RANDOM, 0, 0, 64 * MIB}, 4 * GIB, NULL},
    {3, false, {RAM_BASE_RANDOM, 0, 30720, 64 * MIB}, 64 * GIB, NULL},
    {3, false, {RAM_BASE_RANDOM, 0, 30721, 64 * MIB}, 4 * GIB, NULL},
    {3, false, {RAM_BASE_RANDOM, 0, UINT64_MAX, 64 * MIB}, 4 * GIB + 5781 * 2 * MIB, NULL},
    {1, false, {RAM_BASE_GIVEN, 2 * MIB, 7, 64 * MIB}, 2 * MIB, NULL},
    {3, false, {RAM_BASE_GIVEN, 63 * GIB, 7, 64 * MIB}, 63 * GIB, NULL},
    {3, false, {RAM_BASE_GIVEN, 0, 7, 64 * MIB}, 0, NULL},
    {3, false, {RAM_BASE_GIVEN, 64 * GIB, 7, 64 * MIB}, 64 * GIB, NULL},
    {1, false, {RAM_BASE_GIVEN, MIB, 7, 64 * MIB}, 0, "not a multiple of 2 MiB"},
    {1, false, {RAM_BASE_GIVEN, 3 * GIB, 7, 64 * MIB}, 0, "at 0xbfe00000 at most"},
    {3, false, {RAM_BASE_GIVEN, 64 * GIB + 2 * MIB, 7, 64 * MIB}, 0, "at 0x1000000000 at most"},
    {1, true, {RAM_BASE_GIVEN, 2 * MIB, 7, 64 * MIB}, 0, "linked to fixed addresses"},
};

static void test_plans(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(plans); i++) {
        const struct plan_row *row = &plans[i];
        struct boot_plan plan;
        struct test_image image;
        struct image *bytes;
        struct error err = {""};
        int r;

        (row->fixed ? test_hermit_fixed : test_hermit)(&image);
        test_put(&image, HI_NOTE_INTERFACE + 23, 1, row->interface);
        assert_int_equal(image_from_bytes(image.bytes, image.size, &bytes), 0);
        r = image_plan(bytes, &row->placement, &plan, &err);
        image_close(bytes);
        if (row->refused ? r != -EINVAL || !strstr(err.text, row->refused)
                         : r != 0 || plan.ram_base != row->base)
            fail_msg("row %zu: %d '%s', 0x%llx", i, r, err.text, (unsigned long long)plan.ram_base);
        if (r == 0)
            assert_int_equal(plan.hermit_interface, row->interface);
    }
}

/* Other images' memory begins at 0. */
static void test_plan_of_others(void **state)
{
    struct boot_placement placement = {RAM_BASE_RANDOM, 0, UINT64_MAX / 3, 64 * MIB};
    struct boot_plan plan = {.hermit_interface = 9};
    struct test_image image;
    struct image *bytes;
    struct error err = {""};

    (void)state;
    test_bzimage(&image);
    assert_int_equal(image_from_bytes(image.bytes, image.size, &bytes), 0);
    assert_int_equal(image_plan(bytes, &placement, &plan, &err), 0);
    assert_int_equal(plan.ram_base, 0);
    assert_int_equal(plan.hermit_interface, 0);
    placement = (struct boot_placement){RAM_BASE_GIVEN, 2 * MIB, 0, 64 * MIB};
    assert_int_equal(image_plan(bytes, &placement, &plan, &err), -EINVAL);
    assert_non_null(strstr(err.text, "only the memory of a Hermit image"));
    image_close(bytes);
}

/* ---- The hand-over. ---- */

static struct guest_memory *memory_at(uint64_t base, uint64_t size)
{
    struct guest_memory_options options = {.size = size, .base = base, .hole = LAYOUT_HERMIT_HOLE};
    struct guest_memory *mem;

    if (guest_memory_create(&options, &mem, NULL) < 0)
        skip();
    return mem;
}

struct place_row {
    const char *name;
    uint64_t base, size;
    unsigned interface;
    bool fixed;
};

static const struct place_row places[] = {
    {"interface 1 at 0", 0, 64 * MIB, 1, false},
    {"interface 1 at 1 GiB", GIB, 64 * MIB, 1, false},
    {"interface 1, memory over the hole", 0, 4 * GIB, 1, false},
    {"interface 2 at 4 GiB", 4 * GIB, 64 * MIB, 2, false},
    {"interface 3 at 63 GiB", 63 * GIB, 4 * GIB, 3, false},
    {"interface 3 at the end of a GiB", 9 * GIB - 2 * MIB, 64 * MIB, 3, false},
    {"interface 1 at fixed addresses", 0, 64 * MIB, 1, true},
};

static void load_at(const struct place_row *row, const struct boot_request *request,
                    struct guest_memory *mem, struct boot_result *ret_result)
{
    struct test_image image;
    struct error err;

    (row->fixed ? test_hermit_fixed : test_hermit)(&image);
    test_put(&image, HI_NOTE_INTERFACE + 23, 1, row->interface);
    if (test_load(&image, request, mem, ret_result, &err) < 0)
        fail_msg("%s: %s", row->name, err.text);
    assert_int_equal(ret_result->hermit_interface, row->interface);
}

static uint64_t at64(const struct guest_memory *mem, uint64_t gpa)
{
    return load_le64(test_at(mem, gpa, 8));
}

static void check_entry(const struct place_row *row, const struct guest_memory *mem,
                        const struct boot_result *result)
{
    const struct entry_state *e = &result->entry;
    uint64_t start = row->fixed ? 8 * MIB : row->base + 0x40000;

    assert_int_equal(result->kernel_start, start);
    assert_int_equal(result->kernel_end, start + HI_END);
    assert_int_equal(e->rip, start + HI_ENTRY);
    assert_int_equal(e->rsp, start - 0x8000);
    assert_int_equal(e->rflags, 0); /* bit 1 is set by who applies it */
    assert_int_equal(e->rdi, row->base + 0x5000);
    assert_int_equal(e->rsi, 0); /* each CPU's number is put there */
    assert_int_equal(e->cr0, 0x80000031);
    assert_int_equal(e->cr3, row->base + 0x10000);
    assert_int_equal(e->cr4, 0x20);
    assert_int_equal(e->efer, 0xd00);
    assert_int_equal(e->gdt_base, row->base);
    assert_int_equal(e->gdt_limit, 23);
    assert_int_equal(e->code_selector, 8);
    assert_int_equal(e->data_selector, 0x10);
    assert_true(e->long_mode);
    assert_true(e->all_cpus);
    assert_int_equal(at64(mem, row->base), 0);
    assert_int_equal(at64(mem, row->base + 8), UINT64_C(0x00af9b000000ffff));
    assert_int_equal(at64(mem, row->base + 16), UINT64_C(0x00cf93000000ffff));
}

static void check_boot_info(const struct place_row *row, const struct guest_memory *mem)
{
    uint64_t start = row->fixed ? 8 * MIB : row->base + 0x40000, info = row->base + 0x5000;
    uint64_t hole =
        row->base == 0 && row->size > LAYOUT_HERMIT_HOLE ? 4 * GIB - LAYOUT_HERMIT_HOLE : 0;
    const uint64_t words[] = {
        row->base,
        row->base + row->size + hole,
        row->interface == 1 ? 0x800 : 0x1030,
        row->base + 0x1000,
        start,
        start + HI_END,
        start + HI_VADDR(HI_TLS_OFFSET),
        HI_TLS_SIZE,
        HI_TLS_MEMORY,
        16,
        1, /* the platform */
        1, /* has_pci */
        3, /* CPUs */
        2345678,
        UINT64_C(1700000000123456789),
        0,
    };

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (at64(mem, info + 8 * i) != words[i])
            fail_msg("%s: boot information at 0x%zx: 0x%llx, not 0x%llx", row->name, 8 * i,
                     (unsigned long long)at64(mem, info + 8 * i), (unsigned long long)words[i]);
}

static void check_image(const struct place_row *row, const struct guest_memory *mem)
{
    uint64_t start = row->fixed ? 8 * MIB : row->base + 0x40000;
    uint64_t data = start + HI_DATA_VADDR - HI_DATA_OFFSET;
    struct test_image image;

    test_hermit(&image);
    assert_memory_equal(test_at(mem, start, HI_TEXT_SIZE), image.bytes + HI_TEXT_OFFSET,
                        HI_TEXT_SIZE);
    assert_memory_equal(test_at(mem, data + HI_TLS_OFFSET, HI_TLS_SIZE),
                        image.bytes + HI_TLS_OFFSET, HI_TLS_SIZE);
    if (row->fixed) {
        assert_int_equal(at64(mem, data + HI_TARGET(0)), 0);
        return;
    }
    assert_int_equal(at64(mem, data + HI_TARGET(0)), start + 0x2468);
    assert_int_equal(at64(mem, data + HI_TARGET(1)), start + 0x2108);
    assert_int_equal(at64(mem, data + HI_TARGET(2)), start + 0x2100);
    assert_int_equal(at64(mem, data + HI_TARGET(3)), 0);
}

/* Every page that is mapped, one to one, is in [base, end); and all of them are. */
static void check_page_tables(const struct place_row *row, const struct guest_memory *mem,
                              uint64_t end)
{
    uint64_t top = row->base + 0x10000, pages = 0;

    assert_int_equal(at64(mem, top), (top + 0x1000) | 3);
    assert_int_equal(at64(mem, top + 8 * 511), top | 3);
    for (unsigned i = 1; i < 511; i++)
        assert_int_equal(at64(mem, top + 8 * i), 0);
    for (uint64_t gib = 0; gib < 512; gib++) {
        uint64_t directory = at64(mem, top + 0x1000 + 8 * gib);

        if (!directory)
            continue;
        assert_int_equal(directory & 0xfff, 3);
        for (uint64_t i = 0; i < 512; i++) {
            uint64_t page = gib * GIB + i * 2 * MIB, entry = at64(mem, directory - 3 + 8 * i);

            if (page < row->base || page >= end)
                assert_int_equal(entry, 0);
            else
                assert_int_equal(entry, page | 0x83);
            pages += entry != 0;
        }
    }
    assert_int_equal(pages, (end - row->base) / (2 * MIB));
}

static const struct hermit_handover handover = {
    .cpus = 3,
    .tsc_khz = 2345678,
    .boot_time_ns = UINT64_C(1700000000123456789),
    .has_pci = true,
};

static void test_places(void **state)
{
    static const struct boot_request request = {.cmdline = "a=1", .hermit = &handover};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        const struct place_row *row = &places[i];
        struct guest_memory *mem = memory_at(row->base, row->size);
        struct boot_result result;

        load_at(row, &request, mem, &result);
        check_entry(row, mem, &result);
        check_boot_info(row, mem);
        check_image(row, mem);
        /* The fixed image has no version: all of its GiB. */
        check_page_tables(row, mem, row->fixed ? GIB : align_up(result.kernel_end, 2 * MIB));
        guest_memory_destroy(mem);
    }
}

/* Versions of the kernel that map memory themselves, and those that do not. */
static void test_versions(void **state)
{
    static const struct {
        unsigned major, minor;
        bool maps;
    } versions[] = {{0, 9, false}, {0, 10, true}, {0, 300, true}, {1, 0, true}, {0, 0, false}};
    static const struct boot_request request = {.cmdline = ""};
    const struct place_row row = {"", 4 * GIB + 6 * MIB, 64 * MIB, 2, false};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
        struct guest_memory *mem = memory_at(row.base, row.size);
        struct test_image image;
        struct boot_result result;
        struct error err;

        test_hermit(&image);
        test_put(&image, HI_NOTE_VERSION + 20, 4, versions[i].major);
        test_put(&image, HI_NOTE_VERSION + 24, 4, versions[i].minor);
        assert_int_equal(test_load(&image, &request, mem, &result, &err), 0);
        check_page_tables(&row, mem, versions[i].maps ? row.base + 2 * MIB : 5 * GIB);
        guest_memory_destroy(mem);
    }
}

/* A fixed image does not go where memory begins elsewhere. */
static void test_fixed_elsewhere(void **state)
{
    static const struct boot_request request = {.cmdline = ""};
    struct guest_memory *mem = memory_at(2 * MIB, 64 * MIB);
    struct test_image image;
    struct boot_result result;
    struct error err;

    (void)state;
    test_hermit_fixed(&image);
    assert_int_equal(test_load(&image, &request, mem, &result, &err), -EINVAL);
    assert_non_null(strstr(err.text, "its memory begins at 0x200000, not at 0"));
    guest_memory_destroy(mem);
}

static void test_no_modules(void **state)
{
    struct boot_module module = {.arguments = ""};
    struct boot_request request = {.cmdline = "", .modules = &module, .module_count = 1};
    struct guest_memory *mem = memory_at(0, 64 * MIB);
    struct test_image image;
    struct boot_result result;
    struct error err;

    (void)state;
    test_hermit(&image);
    assert_int_equal(test_load(&image, &request, mem, &result, &err), -EINVAL);
    assert_non_null(strstr(err.text, "this one is a Hermit image"));
    guest_memory_destroy(mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_anywhere),   cmocka_unit_test(test_rows_fixed),
        cmocka_unit_test(test_cut_off),         cmocka_unit_test(test_recognised),
        cmocka_unit_test(test_plans),           cmocka_unit_test(test_plan_of_others),
        cmocka_unit_test(test_places),          cmocka_unit_test(test_versions),
        cmocka_unit_test(test_fixed_elsewhere), cmocka_unit_test(test_no_modules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}

/* PVH: the note, the start info field by field, modules. */
#include "loader_fixture.h"

#include <errno.h>

static void build(struct test_image *image)
{
    test_elf64(image);
    test_add_pvh_note(image, 4);
}

static void build_32(struct test_image *image)
{
    test_elf32(image);
    test_add_pvh_note(image, 4);
}

#define NOTE(field) (ELF_NOTE_OFFSET + (field))

static const struct test_row rows[] = {
    {"valid", {{0}}, 0, NULL},
    {"8-byte entry", {{NOTE(4), 4, 8}, {NOTE(20), 4, 0}, {PH64(2, p_filesz), 8, 24}}, 0, NULL},
    {"8-byte entry above 4 GiB",
     {{NOTE(4), 4, 8}, {NOTE(20), 4, 1}, {PH64(2, p_filesz), 8, 24}},
     -ENOEXEC,
     "its PVH entry point 0x100100010 lies above 4 GiB"},
    {"16-bit entry", {{NOTE(4), 4, 2}}, -ENOEXEC, "its PVH note has 2 bytes, not 4 or 8"},
    {"entry outside", {{NOTE(16), 4, 0x99}}, -ENOEXEC, "PVH entry point 0x99 lies outside what"},
    {"entry in the bss",
     {{NOTE(16), 4, ELF_DATA_GPA + ELF_DATA_SIZE}},
     -ENOEXEC,
     "lies outside what it loads"},
    {"the ELF entry does not matter", {{EH64(e_entry), 8, 0}}, 0, NULL},
    {"an interpreter does not matter", {{PH64(1, p_type), 4, PT_INTERP}}, 0, NULL},
    {"padded to 8",
     {{PH64(2, p_align), 8, 8}, {NOTE(4), 4, 8}, {NOTE(20), 4, 0}, {PH64(2, p_filesz), 8, 24}},
     0,
     NULL},
    {"notes behind the end", {{PH64(2, p_offset), 8, 0x380}}, -ENOEXEC, "truncated: its notes"},
    {"notes far away", {{PH64(2, p_offset), 8, UINT64_MAX}}, -ENOEXEC, "truncated: its notes"},
    {"notes larger than the file",
     {{PH64(2, p_filesz), 8, UINT64_MAX}},
     -ENOEXEC,
     "truncated: its notes"},
    {"overlapping segments", {{PH64(1, p_paddr), 8, ELF_TEXT_GPA}}, -ENOEXEC, "overlaps segment 1"},
};

static void test_notes(void **state)
{
    (void)state;
    test_rows(build, BOOT_PVH, rows, ARRAY_SIZE(rows));
}

/* What is no PVH note makes it an ELF file like others. */
static const struct {
    const char *name;
    struct test_patch patches[6];
    enum boot_protocol protocol;
} recognised[] = {
    {"PVH", {{0}}, BOOT_PVH},
    {"another type", {{NOTE(8), 4, 17}}, BOOT_LINUX_ELF},
    {"another name", {{NOTE(12), 1, 'x'}}, BOOT_LINUX_ELF},
    {"a longer name", {{NOTE(0), 4, 5}}, BOOT_LINUX_ELF},
    {"a name without its zero", {{NOTE(0), 4, 3}}, BOOT_LINUX_ELF},
    {"name size that wraps", {{NOTE(0), 4, 0xffffffff}}, BOOT_LINUX_ELF},
    {"entry size that wraps", {{NOTE(4), 4, 0xffffffff}}, BOOT_LINUX_ELF},
    {"note cut off by its segment", {{PH64(2, p_filesz), 8, 19}}, BOOT_LINUX_ELF},
    {"only half a note header", {{PH64(2, p_filesz), 8, 11}}, BOOT_LINUX_ELF},
    {"empty note segment", {{PH64(2, p_filesz), 8, 0}}, BOOT_LINUX_ELF},
    /* A note before it: without name and descriptor 12 bytes long, or 16 where padded to 8. */
    {"second of two notes",
     {{PH64(2, p_offset), 8, NOTE(-12)}, {PH64(2, p_filesz), 8, 32}, {NOTE(-12), 8, 0}},
     BOOT_PVH},
    {"second of two notes padded to 8",
     {{PH64(2, p_align), 8, 8},
      {PH64(2, p_offset), 8, NOTE(-16)},
      {PH64(2, p_filesz), 8, 36},
      {NOTE(-16), 8, 0}},
     BOOT_PVH},
    /* One with a descriptor of 1 byte: 24 bytes long. */
    {"descriptor padded to 8",
     {{PH64(2, p_align), 8, 8},
      {PH64(2, p_offset), 8, NOTE(-24)},
      {PH64(2, p_filesz), 8, 44},
      {NOTE(-24), 8, UINT64_C(1) << 32},
      {NOTE(-16), 4, 0}},
     BOOT_PVH},
    {"second of two notes, taken to be padded to 4",
     {{PH64(2, p_offset), 8, NOTE(-16)}, {PH64(2, p_filesz), 8, 36}, {NOTE(-16), 8, 0}},
     BOOT_LINUX_ELF},
};

static void test_recognised(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(recognised); i++) {
        enum boot_protocol protocol;
        struct test_image elf;
        struct image *image;
        struct error err;
        int r;

        build(&elf);
        test_patch_all(&elf, recognised[i].patches);
        assert_int_equal(image_from_bytes(elf.bytes, elf.size, &image), 0);
        r = image_recognise(image, &protocol, &err);
        if (r < 0 || protocol != recognised[i].protocol)
            fail_msg("%s: %d %d '%s'", recognised[i].name, r, (int)protocol, err.text);
        image_close(image);
    }
}

static void test_truncated(void **state)
{
    struct test_image image;

    (void)state;
    build(&image);
    test_truncations(&image, image.size);
    build_32(&image);
    test_truncations(&image, image.size);
}

/* The start info's fields by their offsets: Xen's arch-x86/hvm/start_info.h. */
static void check_start_info(const struct guest_memory *mem, const uint8_t *info)
{
    struct memory_map_entry map[MEMORY_MAP_MAX_ENTRIES];
    size_t count = guest_memory_map(mem, map);
    const uint8_t *table;

    assert_int_equal(load_le32(info), 0x336ec578);
    assert_int_equal(load_le32(info + 4), 1); /* version */
    assert_int_equal(load_le32(info + 8), 0); /* flags */
    assert_int_equal(load_le64(info + 32), TEST_RSDP);
    assert_int_equal(load_le32(info + 48), count);
    assert_int_equal(load_le32(info + 52), 0);
    table = test_at(mem, load_le64(info + 40), 24 * count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(load_le64(table + 24 * i), map[i].gpa);
        assert_int_equal(load_le64(table + 24 * i + 8), map[i].size);
        assert_int_equal(load_le32(table + 24 * i + 16), map[i].type);
        assert_int_equal(load_le32(table + 24 * i + 20), 0);
    }
}

static void test_start_info(void **state)
{
    static const struct boot_request request = {.cmdline = "greet=you", .rsdp = TEST_RSDP};
    static const uint64_t sizes[] = {16 * MIB, 3 * GIB + 64 * MIB};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct guest_memory *mem = test_memory(sizes[i]);
        struct boot_result result;
        struct test_image image;
        struct error err;
        const uint8_t *info;

        build(&image);
        assert_int_equal(test_load(&image, &request, mem, &result, &err), 0);
        assert_int_equal(result.protocol, BOOT_PVH);
        assert_int_equal(result.entry.rip, ELF_ENTRY);
        assert_int_equal(result.kernel_start, ELF_TEXT_GPA);
        assert_int_equal(result.kernel_end, ELF_DATA_GPA + ELF_DATA_MEMORY);
        test_check_entry_32(mem, &result);
        info = test_at(mem, result.entry.rbx, 56);
        check_start_info(mem, info);
        assert_int_equal(load_le32(info + 12), 0); /* modules */
        assert_int_equal(load_le64(info + 16), 0);
        assert_string_equal(test_at(mem, load_le64(info + 24), 10), "greet=you");
        guest_memory_destroy(mem);
    }
}

static void test_elf32_file(void **state)
{
    static const struct boot_request request = {.cmdline = ""};
    struct guest_memory *mem = test_memory(16 * MIB);
    struct boot_result result;
    struct test_image image;
    struct error err;

    (void)state;
    build_32(&image);
    assert_int_equal(test_load(&image, &request, mem, &result, &err), 0);
    assert_int_equal(result.protocol, BOOT_PVH);
    assert_int_equal(result.entry.rip, ELF_ENTRY);
    assert_memory_equal(test_at(mem, ELF_TEXT_GPA, ELF_TEXT_SIZE), image.bytes + ELF_TEXT_OFFSET,
                        ELF_TEXT_SIZE);
    guest_memory_destroy(mem);
}

/* The initrd first, then the modules in their order, each with its string. */
static void test_modules(void **state)
{
    static const char *const contents[] = {"an initrd", "first module", "second"};
    static const char *const strings[] = {"", "one=1 two=2", ""};
    struct boot_module modules[2];
    struct boot_request request = {.cmdline = "", .modules = modules, .module_count = 2};
    struct guest_memory *mem = test_memory(16 * MIB);
    struct boot_result result;
    struct test_image image;
    const uint8_t *info;
    struct error err;

    (void)state;
    assert_int_equal(image_from_bytes(contents[0], strlen(contents[0]), &request.initrd), 0);
    for (size_t i = 0; i < 2; i++) {
        modules[i].arguments = strings[i + 1];
        assert_int_equal(
            image_from_bytes(contents[i + 1], strlen(contents[i + 1]), &modules[i].image), 0);
    }
    build(&image);
    assert_int_equal(test_load(&image, &request, mem, &result, &err), 0);
    info = test_at(mem, result.entry.rbx, 56);
    assert_int_equal(load_le32(info + 12), 3);
    for (size_t i = 0; i < 3; i++) {
        const uint8_t *module = test_at(mem, load_le64(info + 16) + 32 * i, 32);
        size_t len = strlen(contents[i]);

        assert_int_equal(load_le64(module) % 4096, 0);
        assert_int_equal(load_le64(module + 8), len);
        assert_memory_equal(test_at(mem, load_le64(module), len), contents[i], len);
        assert_string_equal(test_at(mem, load_le64(module + 16), strlen(strings[i]) + 1),
                            strings[i]);
        assert_int_equal(load_le64(module + 24), 0);
    }
    image_close(request.initrd);
    image_close(modules[0].image);
    image_close(modules[1].image);
    guest_memory_destroy(mem);
}

static void expect_refused(const struct boot_request *request, int code, const char *text)
{
    struct guest_memory *mem = test_memory(16 * MIB);
    struct boot_result result;
    struct test_image image;
    struct error err;
    int r;

    build(&image);
    r = test_load(&image, request, mem, &result, &err);
    if (r != code || !strstr(err.text, text))
        fail_msg("%d '%s', not %d '%s'", r, err.text, code, text);
    guest_memory_destroy(mem);
}

static void test_limits(void **state)
{
    struct boot_module modules[BOOT_MAX_MODULES + 1];
    struct boot_request request = {.cmdline = "", .modules = modules};
    struct image *small, *large;
    char text[BOOT_CMDLINE_MAX + 2];
    uint8_t *bytes = calloc(1, 20 * MIB);

    (void)state;
    assert_non_null(bytes);
    memset(text, 'x', sizeof(text));
    text[BOOT_CMDLINE_MAX + 1] = '\0';
    assert_int_equal(image_from_bytes("m", 1, &small), 0);
    assert_int_equal(image_from_bytes(bytes, 20 * MIB, &large), 0);
    for (size_t i = 0; i < ARRAY_SIZE(modules); i++)
        modules[i] = (struct boot_module){.image = small, .arguments = ""};

    request.module_count = BOOT_MAX_MODULES + 1;
    expect_refused(&request, -E2BIG, "65 modules; at most 64 are taken");
    request.module_count = 2;
    modules[1].arguments = text;
    expect_refused(&request, -E2BIG,
                   "argument string of module 2 too long: 4096 bytes, this kernel takes at most "
                   "4095");
    modules[1] = (struct boot_module){.image = large, .arguments = ""};
    expect_refused(&request, -ENOMEM,
                   "module 2 (20 MiB) does not fit in memory: the machine has 16 MiB");
    request = (struct boot_request){.cmdline = "", .initrd = large};
    expect_refused(&request, -ENOMEM, "initrd (20 MiB) does not fit in memory");
    request = (struct boot_request){.cmdline = text};
    expect_refused(&request, -E2BIG, "command line too long: 4096 bytes");
    image_close(small);
    image_close(large);
    free(bytes);
}

/* As many modules as are taken, with strings as long as are taken. */
static void test_all_that_is_taken(void **state)
{
    struct boot_module modules[BOOT_MAX_MODULES];
    struct boot_request request = {.modules = modules, .module_count = BOOT_MAX_MODULES};
    struct guest_memory *mem = test_memory(16 * MIB);
    char text[BOOT_CMDLINE_MAX + 1];
    struct boot_result result;
    struct test_image image;
    struct error err;
    struct image *module;
    const uint8_t *info, *list;

    (void)state;
    memset(text, 'x', sizeof(text));
    text[BOOT_CMDLINE_MAX] = '\0';
    assert_int_equal(image_from_bytes("m", 1, &module), 0);
    for (size_t i = 0; i < ARRAY_SIZE(modules); i++)
        modules[i] = (struct boot_module){.image = module, .arguments = text};
    request.cmdline = text;
    request.initrd = module;
    build(&image);
    assert_int_equal(test_load(&image, &request, mem, &result, &err), 0);
    info = test_at(mem, result.entry.rbx, 56);
    assert_int_equal(load_le32(info + 12), BOOT_MAX_MODULES + 1);
    list = test_at(mem, load_le64(info + 16), 32 * (BOOT_MAX_MODULES + 1));
    assert_string_equal(test_at(mem, load_le64(list + 32 * BOOT_MAX_MODULES + 16), sizeof(text)),
                        text);
    image_close(module);
    guest_memory_destroy(mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notes),      cmocka_unit_test(test_recognised),
        cmocka_unit_test(test_truncated),  cmocka_unit_test(test_start_info),
        cmocka_unit_test(test_elf32_file), cmocka_unit_test(test_modules),
        cmocka_unit_test(test_limits),     cmocka_unit_test(test_all_that_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

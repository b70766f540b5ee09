/* Multiboot: the header, address fields, the boot information field by field, modules. */
#include "loader_fixture.h"

#include <errno.h>

/* A flat image: header at byte 0x40, to be loaded from byte 0x20 on. */
#define FLAT_HEADER   0x40
#define FLAT_START    0x20
#define FLAT_SIZE     0x180
#define FLAT_LOAD     0x100000
#define FLAT_LOAD_END (FLAT_LOAD + 0x100)
#define FLAT_BSS_END  (FLAT_LOAD + 0x4000)
#define FLAT_ENTRY    (FLAT_LOAD + 0x50)

#define HEADER_ADDR   (FLAT_HEADER + 12)
#define LOAD_ADDR     (FLAT_HEADER + 16)
#define LOAD_END_ADDR (FLAT_HEADER + 20)
#define BSS_END_ADDR  (FLAT_HEADER + 24)
#define ENTRY_ADDR    (FLAT_HEADER + 28)

static void build_flat_flags(struct test_image *image, uint32_t flags)
{
    memset(image, 0, sizeof(*image));
    image->size = FLAT_SIZE;
    test_pattern(image->bytes, image->size, 9);
    test_put_multiboot(image, FLAT_HEADER, flags);
    test_put(image, HEADER_ADDR, 4, FLAT_LOAD + FLAT_HEADER - FLAT_START);
    test_put(image, LOAD_ADDR, 4, FLAT_LOAD);
    test_put(image, LOAD_END_ADDR, 4, FLAT_LOAD_END);
    test_put(image, BSS_END_ADDR, 4, FLAT_BSS_END);
    test_put(image, ENTRY_ADDR, 4, FLAT_ENTRY);
}

static void build_flat(struct test_image *image)
{
    build_flat_flags(image, 0x10003);
}

/* An ELF file with the header in its text. */
static void build_elf32(struct test_image *image)
{
    test_elf32(image);
    test_put_multiboot(image, ELF_TEXT_OFFSET, 3);
}

static void build_elf64(struct test_image *image)
{
    test_elf64(image);
    test_put_multiboot(image, ELF_TEXT_OFFSET, 3);
}

static const struct test_row flat_rows[] = {
    {"valid", {{0}}, 0, NULL},
    {"wrong magic", {{FLAT_HEADER, 4, 0x2badb002}}, -ENOEXEC, "not an ELF file, a bzImage or a"},
    {"wrong checksum", {{FLAT_HEADER + 8, 4, 1}}, -ENOEXEC, "not an ELF file, a bzImage or a"},
    {"loads to the end of the file", {{LOAD_END_ADDR, 4, 0}}, 0, NULL},
    {"no bss", {{BSS_END_ADDR, 4, 0}}, 0, NULL},
    {"bss of no bytes", {{BSS_END_ADDR, 4, FLAT_LOAD_END}}, 0, NULL},
    {"header below load address",
     {{HEADER_ADDR, 4, FLAT_LOAD - 1}},
     -ENOEXEC,
     "its Multiboot load address 0x100000 does not fit its header's, 0xfffff at byte 64"},
    {"loads from before the file",
     {{HEADER_ADDR, 4, FLAT_LOAD + FLAT_HEADER + 1}},
     -ENOEXEC,
     "does not fit its header's"},
    {"loads from the file's first byte", {{HEADER_ADDR, 4, FLAT_LOAD + FLAT_HEADER}}, 0, NULL},
    {"header address as high as can be", {{HEADER_ADDR, 4, 0xffffffff}}, -ENOEXEC, "does not fit"},
    {"end at the start", {{LOAD_END_ADDR, 4, FLAT_LOAD}}, -ENOEXEC, "is not above its load"},
    {"end below the start", {{LOAD_END_ADDR, 4, 1}}, -ENOEXEC, "load end 0x1 is not above"},
    {"more than the file has",
     {{LOAD_END_ADDR, 4, FLAT_LOAD + FLAT_SIZE - FLAT_START + 1}},
     -ENOEXEC,
     "truncated: the kernel is at byte 32 with 353 bytes, the file has 384"},
    {"all that the file has", {{LOAD_END_ADDR, 4, FLAT_LOAD + FLAT_SIZE - FLAT_START}}, 0, NULL},
    {"bss ends in the data",
     {{BSS_END_ADDR, 4, FLAT_LOAD_END - 1}},
     -ENOEXEC,
     "bss end 0x1000ff is below its load end 0x100100"},
    {"bss past memory",
     {{BSS_END_ADDR, 4, 65 * MIB}},
     -ENOMEM,
     "the kernel (0x100000-0x40fffff) lies outside memory: needs 65 MiB of memory, the machine has "
     "64 MiB"},
    {"bss ends with memory", {{BSS_END_ADDR, 4, 64 * MIB}}, 0, NULL},
    {"in the ROM area",
     {{HEADER_ADDR, 4, 0xf0020},
      {LOAD_ADDR, 4, 0xf0000},
      {LOAD_END_ADDR, 4, 0xf0100},
      {BSS_END_ADDR, 4, 0},
      {ENTRY_ADDR, 4, 0xf0000}},
     -ENOMEM,
     "memory that is reserved"},
    {"past 4 GiB",
     {{HEADER_ADDR, 4, 0xffffffe0},
      {LOAD_ADDR, 4, 0xffffffc0},
      {LOAD_END_ADDR, 4, 0},
      {BSS_END_ADDR, 4, 0},
      {ENTRY_ADDR, 4, 0xffffffff}},
     -ENOMEM,
     "is the devices'"},
    {"in conventional memory",
     {{HEADER_ADDR, 4, 0x1020},
      {LOAD_ADDR, 4, 0x1000},
      {LOAD_END_ADDR, 4, 0x1100},
      {BSS_END_ADDR, 4, 0},
      {ENTRY_ADDR, 4, 0x1000}},
     0,
     NULL},
    {"entry at the end", {{ENTRY_ADDR, 4, FLAT_LOAD_END}}, -ENOEXEC, "entry point 0x100100 lies"},
    {"entry before the start", {{ENTRY_ADDR, 4, FLAT_LOAD - 1}}, -ENOEXEC, "lies outside what"},
    {"entry at the last byte", {{ENTRY_ADDR, 4, FLAT_LOAD_END - 1}}, 0, NULL},
};

static void test_flat(void **state)
{
    (void)state;
    test_rows(build_flat, BOOT_MULTIBOOT, flat_rows, ARRAY_SIZE(flat_rows));
}

static const struct test_row elf_rows[] = {
    {"valid", {{0}}, 0, NULL},
    {"entry outside", {{EH32(e_entry), 4, 5}}, -ENOEXEC, "entry point 0x5 lies outside"},
    {"entry behind", {{EH32(e_entry), 4, ELF_TEXT_GPA + ELF_TEXT_SIZE}}, -ENOEXEC, "lies outside"},
    {"truncated", {{PH32(1, p_offset), 4, 0x301}}, -ENOEXEC, "truncated: segment 1"},
    {"overlapping", {{PH32(1, p_paddr), 4, ELF_TEXT_GPA}}, -ENOEXEC, "overlaps"},
    {"file size over memory size", {{PH32(1, p_memsz), 4, 1}}, -ENOEXEC, "more bytes in the file"},
    {"another machine", {{EH32(e_machine), 2, EM_MIPS}}, -ENOEXEC, "an ELF file for MIPS;"},
    /* Virtual addresses from 0xc0000000 on, loaded at 1 MiB: the entry point is translated. */
    {"virtual entry", {{EH32(e_entry), 4, 0xc0000010}, {PH32(0, p_vaddr), 4, 0xc0000000}}, 0, NULL},
};

static void test_elf(void **state)
{
    (void)state;
    test_rows(build_elf32, BOOT_MULTIBOOT, elf_rows, ARRAY_SIZE(elf_rows));
}

static void test_truncated(void **state)
{
    struct test_image image;

    (void)state;
    build_flat(&image);
    test_truncations(&image, FLAT_START + FLAT_LOAD_END - FLAT_LOAD);
    build_elf32(&image);
    test_truncations(&image, image.size);
}

static int recognise(const struct test_image *bytes, enum boot_protocol *ret_protocol,
                     struct error *err)
{
    struct image *image;
    int r;

    assert_int_equal(image_from_bytes(bytes->bytes, bytes->size, &image), 0);
    r = image_recognise(image, ret_protocol, err);
    image_close(image);
    return r;
}

/* Bits 0 to 2 are known; of bits 3 to 15 each is a reason to refuse; the others may be ignored. */
static void test_flags(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 32; bit++) {
        enum boot_protocol protocol;
        struct test_image image;
        struct error err = {""};
        char text[32];
        int r;

        build_flat_flags(&image, 0x10000 | UINT32_C(1) << bit);
        r = recognise(&image, &protocol, &err);
        snprintf(text, sizeof(text), "(flag %u)", bit);
        if ((r < 0) != (bit >= 3 && bit <= 15) || (r < 0 && !strstr(err.text, text)))
            fail_msg("flag %u: %d '%s'", bit, r, err.text);
    }
}

static void test_all_flags(void **state)
{
    enum boot_protocol protocol;
    struct test_image image;
    struct error err;

    (void)state;
    build_flat_flags(&image, 0xffffffff);
    assert_int_equal(recognise(&image, &protocol, &err), -ENOEXEC);
    assert_non_null(strstr(err.text, "(flag 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)"));
    build_flat_flags(&image, 3);
    assert_int_equal(recognise(&image, &protocol, &err), -ENOEXEC);
    assert_non_null(strstr(err.text, "is not ELF and has no address fields"));
}

/* The header lies in the first 8192 bytes, whole, at a multiple of 4. */
static void test_header_place(void **state)
{
    static const struct {
        size_t at;
        bool found;
    } at[] = {{0, true}, {4, true}, {2, false}, {8192 - 32, true}, {8192 - 12, false}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
        enum boot_protocol protocol;
        struct test_image image = {.size = sizeof(image.bytes)};
        struct error err;

        test_put_multiboot(&image, at[i].at, 0x10003);
        assert_int_equal(recognise(&image, &protocol, &err), at[i].found ? 0 : -ENOEXEC);
    }
}

/* A first place that only looks like a header is passed over. */
static void test_false_header(void **state)
{
    enum boot_protocol protocol;
    struct test_image image;
    struct error err;

    (void)state;
    build_flat(&image);
    test_put(&image, 8, 4, MULTIBOOT_MAGIC);
    assert_int_equal(recognise(&image, &protocol, &err), 0);
    assert_int_equal(protocol, BOOT_MULTIBOOT);
}

/* The boot information's fields by their offsets: Multiboot 0.6.96, section 3.3. */
static void check_info(const struct guest_memory *mem, const struct boot_result *result,
                       const char *cmdline)
{
    struct memory_map_entry map[MEMORY_MAP_MAX_ENTRIES];
    size_t count = guest_memory_map(mem, map);
    const uint8_t *info = test_at(mem, result->entry.rbx, 116), *table;
    uint64_t low = min_u64(guest_memory_size(mem), 3 * GIB);

    assert_int_equal(result->entry.rax, 0x2badb002);
    assert_int_equal(load_le32(info), 1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9);
    assert_int_equal(load_le32(info + 4), 639);
    assert_int_equal(load_le32(info + 8), low / KIB - 1024);
    assert_string_equal(test_at(mem, load_le32(info + 16), strlen(cmdline) + 1), cmdline);
    assert_int_equal(load_le32(info + 44), 24 * count);
    table = test_at(mem, load_le32(info + 48), 24 * count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(load_le32(table + 24 * i), 20);
        assert_int_equal(load_le64(table + 24 * i + 4), map[i].gpa);
        assert_int_equal(load_le64(table + 24 * i + 12), map[i].size);
        assert_int_equal(load_le32(table + 24 * i + 20), map[i].type);
    }
    assert_string_equal(test_at(mem, load_le32(info + 64), 9), "osvm-vmm");
}

static void test_info(void **state)
{
    static const struct boot_request request = {.cmdline = "one two=3"};
    static const uint64_t sizes[] = {16 * MIB, 3 * GIB + 64 * MIB};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct guest_memory *mem = test_memory(sizes[i]);
        struct boot_result result;
        struct test_image image;
        struct error err;

        build_flat(&image);
        assert_int_equal(test_load(&image, &request, mem, &result, &err), 0);
        assert_int_equal(result.protocol, BOOT_MULTIBOOT);
        assert_int_equal(result.entry.rip, FLAT_ENTRY);
        assert_int_equal(result.kernel_start, FLAT_LOAD);
        assert_int_equal(result.kernel_end, FLAT_BSS_END);
        assert_memory_equal(test_at(mem, FLAT_LOAD, 0x100), image.bytes + FLAT_START, 0x100);
        assert_int_equal(test_at(mem, FLAT_LOAD_END, 1)[0], 0);
        test_check_entry_32(mem, &result);
        check_info(mem, &result, "one two=3");
        assert_int_equal(load_le32(test_at(mem, result.entry.rbx + 20, 4)), 0);
        guest_memory_destroy(mem);
    }
}

static void test_elf_entry(void **state)
{
    static const struct boot_request request = {.cmdline = ""};
    static void (*const builds[])(struct test_image *) = {build_elf32, build_elf64};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(builds); i++) {
        struct guest_memory *mem = test_memory(16 * MIB);
        struct boot_result result;
        struct test_image image;
        struct error err;

        builds[i](&image);
        test_put(&image, i ? PH64(0, p_vaddr) : PH32(0, p_vaddr), 4, 0xc0000000);
        test_put(&image, i ? EH64(e_entry) : EH32(e_entry), 4, 0xc0000010);
        assert_int_equal(test_load(&image, &request, mem, &result, &err), 0);
        assert_int_equal(result.protocol, BOOT_MULTIBOOT);
        assert_int_equal(result.entry.rip, ELF_ENTRY);
        assert_memory_equal(test_at(mem, ELF_DATA_GPA, ELF_DATA_SIZE),
                            image.bytes + ELF_DATA_OFFSET, ELF_DATA_SIZE);
        test_check_entry_32(mem, &result);
        check_info(mem, &result, "");
        guest_memory_destroy(mem);
    }
}

/* An ELF64 kernel is entered in 32-bit mode, which does not reach above 4 GiB. */
static void test_entry_above_4_gib(void **state)
{
    static const struct boot_request request = {.cmdline = ""};
    struct guest_memory *mem = test_memory(3 * GIB + 64 * MIB);
    struct boot_result result;
    struct test_image image;
    struct error err;

    (void)state;
    build_elf64(&image);
    test_put(&image, PH64(0, p_paddr), 8, 4 * GIB);
    assert_int_equal(test_load(&image, &request, mem, &result, &err), -ENOEXEC);
    assert_non_null(strstr(err.text, "its entry point 0x100000010 lies above 4 GiB"));
    guest_memory_destroy(mem);
}

/* A header with address fields in an ELF file: the fields count, as in the specification. */
static void test_address_fields_in_elf(void **state)
{
    static const struct boot_request request = {.cmdline = ""};
    struct guest_memory *mem = test_memory(16 * MIB);
    struct boot_result result;
    struct test_image image;
    struct error err;

    (void)state;
    test_elf32(&image);
    test_put_multiboot(&image, ELF_TEXT_OFFSET, 0x10003);
    test_put(&image, ELF_TEXT_OFFSET + 12, 4, 0x200000);
    test_put(&image, ELF_TEXT_OFFSET + 16, 4, 0x200000);
    test_put(&image, ELF_TEXT_OFFSET + 20, 4, 0x200040);
    test_put(&image, ELF_TEXT_OFFSET + 24, 4, 0);
    test_put(&image, ELF_TEXT_OFFSET + 28, 4, 0x200020);
    assert_int_equal(test_load(&image, &request, mem, &result, &err), 0);
    assert_int_equal(result.entry.rip, 0x200020);
    assert_int_equal(result.kernel_start, 0x200000);
    assert_int_equal(result.kernel_end, 0x200040);
    assert_int_equal(load_le32(test_at(mem, ELF_TEXT_GPA, 4)), 0);
    guest_memory_destroy(mem);
}

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
    build_flat(&image);
    assert_int_equal(test_load(&image, &request, mem, &result, &err), 0);
    check_info(mem, &result, "");
    info = test_at(mem, result.entry.rbx, 116);
    assert_int_equal(load_le32(info + 20), 3);
    for (size_t i = 0; i < 3; i++) {
        const uint8_t *module = test_at(mem, load_le32(info + 24) + 16 * i, 16);
        size_t len = strlen(contents[i]);

        assert_int_equal(load_le32(module) % 4096, 0);
        assert_int_equal(load_le32(module + 4) - load_le32(module), len);
        assert_memory_equal(test_at(mem, load_le32(module), len), contents[i], len);
        assert_string_equal(test_at(mem, load_le32(module + 8), strlen(strings[i]) + 1),
                            strings[i]);
        assert_int_equal(load_le32(module + 12), 0);
    }
    image_close(request.initrd);
    image_close(modules[0].image);
    image_close(modules[1].image);
    guest_memory_destroy(mem);
}

static void test_grub_invaders(void **state)
{
    static const struct boot_request request = {.cmdline = ""};
    struct guest_memory *mem = test_memory(16 * MIB);
    struct boot_result result;

    (void)state;
    test_load_file("/boot/invaders.exec", &request, mem, &result);
    assert_int_equal(result.protocol, BOOT_MULTIBOOT);
    assert_int_equal(result.entry.rip, 0x100024);
    assert_int_equal(result.kernel_start, 0x100000);
    check_info(mem, &result, "");
    guest_memory_destroy(mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flat),
        cmocka_unit_test(test_elf),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_all_flags),
        cmocka_unit_test(test_header_place),
        cmocka_unit_test(test_false_header),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_elf_entry),
        cmocka_unit_test(test_entry_above_4_gib),
        cmocka_unit_test(test_address_fields_in_elf),
        cmocka_unit_test(test_modules),
        cmocka_unit_test(test_grub_invaders),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

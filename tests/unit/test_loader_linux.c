/* Linux: the bzImage's header, where everything is put, and boot_params. */
#include "loader_fixture.h"

#include <asm/bootparam.h>
#include <errno.h>

static const struct test_row rows[] = {
    {"valid", {{0}}, 0, NULL},
    {"protocol 2.05", {{BZ_VERSION, 2, 0x0205}}, -ENOEXEC, "of boot protocol 2.05; 2.06"},
    {"no HdrS", {{BZ_HEADER, 1, 'h'}}, -ENOEXEC, "not an ELF file, a bzImage or a Multiboot image"},
    {"no boot flag", {{BZ_BOOT_FLAG, 2, 0}}, -ENOEXEC, "not an ELF file, a bzImage"},
    {"zImage", {{BZ_LOADFLAGS, 1, 0}}, -ENOEXEC, "a zImage"},
    {"a header with less than the version in it", {{BZ_JUMP_LENGTH, 1, 2}}, -ENOEXEC, "protocol"},
    {"a header longer than any known", {{BZ_JUMP_LENGTH, 1, 0xff}}, 0, NULL},

    /* The payload. */
    {"setup_sects 0 means 4", {{BZ_SETUP_SECTS, 1, 0}}, -ENOEXEC, "truncated"},
    {"setup behind the end", {{BZ_SETUP_SECTS, 1, 0xff}}, -ENOEXEC, "truncated: the kernel"},
    {"one paragraph missing", {{BZ_SYSSIZE, 4, BZ_PAYLOAD_SIZE / 16 + 1}}, -ENOEXEC, "truncated"},
    {"as long as can be said", {{BZ_SYSSIZE, 4, 0xffffffff}}, -ENOEXEC, "truncated"},
    {"something behind it", {{BZ_SYSSIZE, 4, 0x21}}, 0, NULL},
    {"entry behind it", {{BZ_SYSSIZE, 4, 0x20}}, -ENOEXEC, "entry point lies outside"},
    {"no payload", {{BZ_SYSSIZE, 4, 0}}, -ENOEXEC, "entry point lies outside"},

    /* Its place (64 MiB). */
    {"alignment 0", {{BZ_ALIGNMENT, 4, 0}}, -ENOEXEC, "kernel_alignment 0x0 is not a power of two"},
    {"alignment 3", {{BZ_ALIGNMENT, 4, 3}}, -ENOEXEC, "kernel_alignment 0x3 is not a power"},
    {"alignment does not matter where it stays",
     {{BZ_ALIGNMENT, 4, 3}, {BZ_RELOCATABLE, 1, 0}},
     0,
     NULL},
    {"alignment past memory", {{BZ_ALIGNMENT, 4, 0x80000000}}, -ENOMEM, "lies outside memory"},
    {"prefers above 4 GiB", {{BZ_PREF_ADDRESS, 8, 4 * GIB}}, -ENOEXEC, "lies above 4 GiB"},
    {"prefers the end of the world",
     {{BZ_PREF_ADDRESS, 8, UINT64_MAX}},
     -ENOEXEC,
     "0xffffffffffffffff lies above 4 GiB"},
    /* Found by fuzzing: with memory there, the 32-bit entry was cut to address 0. */
    {"alignment takes it above 4 GiB",
     {{BZ_PREF_ADDRESS, 8, 0xfffffffe}},
     -ENOEXEC,
     "its address 0x100000000 lies above 4 GiB"},
    {"moves itself above 4 GiB",
     {{BZ_PREF_ADDRESS, 8, 4 * GIB}, {BZ_RELOCATABLE, 1, 0}},
     -ENOEXEC,
     "lies above 4 GiB"},
    {"prefers the hole", {{BZ_PREF_ADDRESS, 8, 0xc0000000}}, -ENOMEM, "is the devices'"},
    {"prefers conventional memory",
     {{BZ_PREF_ADDRESS, 8, 0x10000}, {BZ_ALIGNMENT, 4, 0x10000}},
     0,
     NULL},
    {"more at work than in memory",
     {{BZ_INIT_SIZE, 4, 62 * MIB + 1}},
     -ENOMEM,
     "the kernel (0x200000-0x4000000) lies outside memory: needs 65 MiB of memory, the machine has "
     "64 MiB"},
    {"as much at work as can be said", {{BZ_INIT_SIZE, 4, 0xffffffff}}, -ENOMEM, "outside memory"},
    {"code32_start in the ROM area",
     {{BZ_RELOCATABLE, 1, 0}, {BZ_CODE32_START, 4, 0xf0000}},
     -ENOMEM,
     "memory that is reserved"},
    {"code32_start over 4 GiB in all",
     {{BZ_RELOCATABLE, 1, 0}, {BZ_CODE32_START, 4, 0xffffff00}},
     -ENOMEM,
     "lies outside memory"},
    {"all of memory is its own, and no place for the rest", {{BZ_INIT_SIZE, 4, 62 * MIB}}, 0, NULL},
    {"command line longer than it takes",
     {{BZ_CMDLINE_SIZE, 4, 2}},
     -E2BIG,
     "command line too long: 3 bytes, this kernel takes at most 2"},
    {"command line as long as it takes", {{BZ_CMDLINE_SIZE, 4, 3}}, 0, NULL},
};

/* The same image without the 64-bit entry. */
static void build_32(struct test_image *image)
{
    test_bzimage(image);
    test_put(image, BZ_XLOADFLAGS, 2, 0);
}

static const struct test_row rows_32[] = {
    {"valid", {{0}}, 0, NULL},
    {"protocol 2.06", {{BZ_VERSION, 2, 0x0206}}, 0, NULL},
    {"a flag that its protocol did not have",
     {{BZ_VERSION, 2, 0x020b}, {BZ_XLOADFLAGS, 2, 1}},
     0,
     NULL},
    {"payload of one paragraph", {{BZ_SYSSIZE, 4, 1}}, 0, NULL},
    {"no payload", {{BZ_SYSSIZE, 4, 0}}, -ENOEXEC, "entry point lies outside"},
};

static void test_headers(void **state)
{
    (void)state;
    test_rows(test_bzimage, BOOT_BZIMAGE_64, rows, ARRAY_SIZE(rows));
    test_rows(build_32, BOOT_BZIMAGE_32, rows_32, ARRAY_SIZE(rows_32));
}

/* syssize counts whole paragraphs, so the last 15 bytes may be missing. */
static void test_truncated(void **state)
{
    static const struct boot_request request = {.cmdline = ""};
    struct guest_memory *mem = test_memory(64 * MIB);
    struct boot_result result;
    struct test_image image;
    struct error err;

    (void)state;
    test_bzimage(&image);
    test_truncations(&image, image.size - 15);
    assert_int_equal(test_load_part(&image, 0x26b, &request, mem, &result, &err), -ENOEXEC);
    assert_string_equal(err.text, "truncated: a bzImage's header needs 620 bytes");
    guest_memory_destroy(mem);
}

/* Load a bzImage with `patches`; gives guest memory, the result, and its boot_params. */
static struct guest_memory *load(const struct test_patch *patches, uint64_t memory_size,
                                 const struct boot_request *request, struct boot_result *ret_result,
                                 struct boot_params *ret_params)
{
    struct guest_memory *mem = test_memory(memory_size);
    struct test_image image;
    struct error err;

    test_bzimage(&image);
    test_patch_all(&image, patches);
    if (test_load(&image, request, mem, ret_result, &err) < 0)
        fail_msg("%s", err.text);
    memcpy(ret_params, test_at(mem, ret_result->entry.rsi, sizeof(*ret_params)),
           sizeof(*ret_params));
    return mem;
}

static const struct test_patch none[] = {{0, 0, 0}};

static void test_64_bit(void **state)
{
    static const struct boot_request request = {.cmdline = "console=ttyS0", .rsdp = TEST_RSDP};
    struct boot_result result;
    struct boot_params params;
    struct test_image image;
    struct guest_memory *mem = load(none, 64 * MIB, &request, &result, &params);

    (void)state;
    test_bzimage(&image);
    assert_int_equal(result.protocol, BOOT_BZIMAGE_64);
    assert_int_equal(result.kernel_start, BZ_PREF);
    assert_int_equal(result.kernel_end, BZ_PREF + BZ_INIT);
    assert_int_equal(result.entry.rip, BZ_PREF + 0x200);
    assert_true(result.entry.long_mode);
    assert_int_equal(result.entry.cr0, X86_CR0_PE | X86_CR0_ET | X86_CR0_PG);
    assert_int_equal(result.entry.rflags, 0);
    assert_memory_equal(test_at(mem, BZ_PREF, BZ_PAYLOAD_SIZE), image.bytes + BZ_PAYLOAD_OFFSET,
                        BZ_PAYLOAD_SIZE);
    assert_int_equal(test_at(mem, BZ_PREF + BZ_PAYLOAD_SIZE, 1)[0], 0);

    assert_int_equal(params.hdr.boot_flag, 0xaa55);
    assert_int_equal(params.hdr.header, 0x53726448);
    assert_int_equal(params.hdr.version, 0x020f);
    assert_int_equal(params.hdr.type_of_loader, 0xff);
    assert_int_equal(params.hdr.code32_start, BZ_PREF);
    assert_int_equal(params.hdr.pref_address, BZ_PREF);
    assert_int_equal(params.hdr.ramdisk_image, 0);
    assert_int_equal(params.hdr.ramdisk_size, 0);
    assert_int_equal(params.acpi_rsdp_addr, TEST_RSDP);
    assert_int_equal(params.sentinel, 0);
    assert_int_equal(params.ext_cmd_line_ptr, 0);
    assert_string_equal(test_at(mem, params.hdr.cmd_line_ptr, 14), "console=ttyS0");
    guest_memory_destroy(mem);
}

/* The offsets in boot_params, apart from the header that gives them ("Zero Page"). */
static void test_zero_page_offsets(void **state)
{
    static const struct boot_request request = {.cmdline = "", .rsdp = TEST_RSDP};
    struct boot_result result;
    struct boot_params params;
    struct guest_memory *mem = load(none, 64 * MIB, &request, &result, &params);
    const uint8_t *p = test_at(mem, result.entry.rsi, 4096);

    (void)state;
    assert_int_equal(load_le64(p + 0x070), TEST_RSDP);
    assert_int_equal(p[0x1e8], 3);
    assert_int_equal(load_le16(p + 0x1fe), 0xaa55);
    assert_int_equal(p[0x210], 0xff);
    assert_int_equal(test_at(mem, load_le32(p + 0x228), 1)[0], 0);
    assert_int_equal(load_le64(p + 0x2d0), 0);
    assert_int_equal(load_le64(p + 0x2d8), 0x9fc00);
    assert_int_equal(load_le32(p + 0x2e0), 1);
    guest_memory_destroy(mem);
}

static void test_memory_map(void **state)
{
    static const struct boot_request request = {.cmdline = ""};
    struct memory_map_entry map[MEMORY_MAP_MAX_ENTRIES];
    struct boot_result result;
    struct boot_params params;
    struct guest_memory *mem = load(none, 3 * GIB + 64 * MIB, &request, &result, &params);
    size_t count = guest_memory_map(mem, map);

    (void)state;
    assert_int_equal(count, 4);
    assert_int_equal(params.e820_entries, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(params.e820_table[i].addr, map[i].gpa);
        assert_int_equal(params.e820_table[i].size, map[i].size);
        assert_int_equal(params.e820_table[i].type, map[i].type);
    }
    assert_int_equal(params.e820_table[3].addr, 4 * GIB);
    assert_int_equal(params.e820_table[3].size, 64 * MIB);
    guest_memory_destroy(mem);
}

/* Where the kernel is put, and what it is said to occupy. */
static const struct {
    const char *name;
    struct test_patch patches[6];
    uint64_t rip, start, end;
} places[] = {
    {"relocatable: at pref_address", {{0}}, BZ_PREF + 0x200, BZ_PREF, BZ_PREF + BZ_INIT},
    {"relocatable: aligned",
     {{BZ_PREF_ADDRESS, 8, 0x300000}},
     0x400200,
     0x400000,
     0x400000 + BZ_INIT},
    {"relocatable, no preference: 1 MiB aligned",
     {{BZ_PREF_ADDRESS, 8, 0}},
     0x200200,
     0x200000,
     0x200000 + BZ_INIT},
    {"relocatable before pref_address",
     {{BZ_VERSION, 2, 0x0209}},
     0x200000, /* before xloadflags too: the 32-bit entry */
     0x200000,
     0x200000 + BZ_PAYLOAD_SIZE},
    {"not relocatable: at 1 MiB, and moves itself",
     {{BZ_RELOCATABLE, 1, 0}},
     0x100200,
     0x100000,
     BZ_PREF + BZ_INIT},
    {"not relocatable, no code32_start",
     {{BZ_RELOCATABLE, 1, 0}, {BZ_CODE32_START, 4, 0}, {BZ_PREF_ADDRESS, 8, 0x100000}},
     0x100200,
     0x100000,
     0x100000 + BZ_INIT},
    {"not relocatable: at code32_start, and moves itself down",
     {{BZ_RELOCATABLE, 1, 0}, {BZ_CODE32_START, 4, 0x500000}},
     0x500200,
     BZ_PREF,
     0x500000 + BZ_PAYLOAD_SIZE},
    {"32-bit entry", {{BZ_XLOADFLAGS, 2, 0}}, BZ_PREF, BZ_PREF, BZ_PREF + BZ_INIT},
    {"init_size less than the payload",
     {{BZ_INIT_SIZE, 4, 1}},
     BZ_PREF + 0x200,
     BZ_PREF,
     BZ_PREF + BZ_PAYLOAD_SIZE},
};

static void test_places(void **state)
{
    static const struct boot_request request = {.cmdline = ""};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        struct boot_result result;
        struct boot_params params;
        struct guest_memory *mem = load(places[i].patches, 64 * MIB, &request, &result, &params);

        if (result.entry.rip != places[i].rip || result.kernel_start != places[i].start ||
            result.kernel_end != places[i].end)
            fail_msg("%s: rip 0x%llx, 0x%llx-0x%llx", places[i].name,
                     (unsigned long long)result.entry.rip, (unsigned long long)result.kernel_start,
                     (unsigned long long)result.kernel_end);
        guest_memory_destroy(mem);
    }
}

static void test_32_bit(void **state)
{
    static const struct boot_request request = {.cmdline = ""};
    static const struct test_patch patches[] = {{BZ_XLOADFLAGS, 2, 0}, {0, 0, 0}};
    struct boot_result result;
    struct boot_params params;
    struct guest_memory *mem = load(patches, 64 * MIB, &request, &result, &params);

    (void)state;
    assert_int_equal(result.protocol, BOOT_BZIMAGE_32);
    test_check_entry_32(mem, &result);
    assert_int_equal(result.entry.rip, BZ_PREF);
    assert_int_equal(result.entry.rbp, 0);
    assert_int_equal(result.entry.rdi, 0);
    assert_int_equal(result.entry.rbx, 0);
    assert_int_equal(params.hdr.boot_flag, 0xaa55);
    guest_memory_destroy(mem);
}

static uint64_t initrd_gpa(const struct boot_params *params)
{
    return params->hdr.ramdisk_image | (uint64_t)params->ext_ramdisk_image << 32;
}

/* Where the initrd is put: size, memory, what the header says, and the place. */
static const struct {
    const char *name;
    uint64_t size, memory;
    struct test_patch patches[3];
    uint64_t gpa;
} initrds[] = {
    {"at the end of memory", 5000, 64 * MIB, {{0}}, 64 * MIB - 8192},
    {"under the limit", 5000, 64 * MIB, {{BZ_INITRD_ADDR_MAX, 4, 0x1ffffff}}, 32 * MIB - 8192},
    {"under an odd limit", 4096, 64 * MIB, {{BZ_INITRD_ADDR_MAX, 4, 0x1fffffe}}, 32 * MIB - 8192},
    {"below 2 GiB of more", 4096, 3 * GIB + 64 * MIB, {{0}}, 2 * GIB - 4096},
    {"below 3 GiB where the limit is 4 GiB",
     4096,
     3 * GIB + 64 * MIB,
     {{BZ_INITRD_ADDR_MAX, 4, 0xffffffff}},
     3 * GIB - 4096},
    {"above 4 GiB where only that has room",
     5 * MIB,
     3 * GIB + 64 * MIB,
     {{BZ_INITRD_ADDR_MAX, 4, 0x4fffff}},
     4 * GIB + 59 * MIB},
};

static void test_initrd(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(initrds); i++) {
        uint8_t *bytes = malloc(initrds[i].size);
        struct boot_request request = {.cmdline = ""};
        struct boot_result result;
        struct boot_params params;
        struct guest_memory *mem;

        assert_non_null(bytes);
        test_pattern(bytes, initrds[i].size, 11);
        assert_int_equal(image_from_bytes(bytes, initrds[i].size, &request.initrd), 0);
        mem = load(initrds[i].patches, initrds[i].memory, &request, &result, &params);
        if (initrd_gpa(&params) != initrds[i].gpa)
            fail_msg("%s: 0x%llx", initrds[i].name, (unsigned long long)initrd_gpa(&params));
        assert_int_equal(params.hdr.ramdisk_size, initrds[i].size);
        assert_int_equal(params.ext_ramdisk_size, 0);
        assert_memory_equal(test_at(mem, initrds[i].gpa, initrds[i].size), bytes, initrds[i].size);
        guest_memory_destroy(mem);
        image_close(request.initrd);
        free(bytes);
    }
}

/* Try to load a bzImage and expect a refusal. */
static void expect_refused(const struct test_patch *patches, uint64_t memory_size,
                           const struct boot_request *request, int code, const char *text)
{
    struct guest_memory *mem = test_memory(memory_size);
    struct boot_result result;
    struct test_image image;
    struct error err;
    int r;

    test_bzimage(&image);
    test_patch_all(&image, patches);
    r = test_load(&image, request, mem, &result, &err);
    if (r != code || !strstr(err.text, text))
        fail_msg("%d '%s', not %d '%s'", r, err.text, code, text);
    guest_memory_destroy(mem);
}

static void test_initrd_too_large(void **state)
{
    static const struct test_patch not_above[] = {
        {BZ_INITRD_ADDR_MAX, 4, 0x4fffff}, {BZ_XLOADFLAGS, 2, 1}, {0, 0, 0}};
    struct boot_request request = {.cmdline = ""};
    uint8_t *bytes = calloc(1, 70 * MIB);

    (void)state;
    assert_non_null(bytes);
    assert_int_equal(image_from_bytes(bytes, 70 * MIB, &request.initrd), 0);
    expect_refused(none, 64 * MIB, &request, -ENOMEM,
                   "initrd (70 MiB) does not fit in memory: the machine has 64 MiB, the largest "
                   "free part where it may lie has 61.5 MiB");
    expect_refused(not_above, 3 * GIB + 128 * MIB, &request, -ENOMEM,
                   "initrd (70 MiB) does not fit");
    image_close(request.initrd);
    free(bytes);
}

static void test_initrd_empty(void **state)
{
    struct boot_request request = {.cmdline = ""};

    (void)state;
    assert_int_equal(image_from_bytes("", 0, &request.initrd), 0);
    expect_refused(none, 64 * MIB, &request, -EINVAL, "initrd is empty");
    image_close(request.initrd);
}

static void test_modules_refused(void **state)
{
    struct boot_module module = {.arguments = ""};
    struct boot_request request = {.cmdline = "", .modules = &module, .module_count = 1};

    (void)state;
    assert_int_equal(image_from_bytes("m", 1, &module.image), 0);
    expect_refused(none, 64 * MIB, &request, -EINVAL,
                   "a module needs a PVH or Multiboot kernel; this one is Linux bzImage");
    image_close(module.image);
}

/* An image cannot smuggle in an initrd or a setup_data list of its own. */
static void test_loaders_fields(void **state)
{
    static const struct boot_request request = {.cmdline = ""};
    static const struct test_patch patches[] = {{0x210, 1, 0x21},
                                                {0x218, 8, UINT64_MAX},
                                                {0x228, 4, 0xffffffff},
                                                {0x250, 8, UINT64_MAX},
                                                {0, 0, 0}};
    struct boot_result result;
    struct boot_params params;
    struct guest_memory *mem = load(patches, 64 * MIB, &request, &result, &params);

    (void)state;
    assert_int_equal(params.hdr.type_of_loader, 0xff);
    assert_int_equal(params.hdr.ramdisk_image, 0);
    assert_int_equal(params.hdr.ramdisk_size, 0);
    assert_int_equal(params.hdr.setup_data, 0);
    assert_true(params.hdr.cmd_line_ptr < MIB);
    guest_memory_destroy(mem);
}

/* A vmlinux has no header: one is made up. */
static void test_elf(void **state)
{
    struct boot_request request = {.cmdline = "quiet", .rsdp = TEST_RSDP};
    struct guest_memory *mem = test_memory(64 * MIB);
    struct boot_result result;
    struct boot_params params;
    struct test_image image;
    char long_line[2049];
    struct error err;

    (void)state;
    test_elf64(&image);
    assert_int_equal(image_from_bytes("initrd", 6, &request.initrd), 0);
    assert_int_equal(test_load(&image, &request, mem, &result, &err), 0);
    memcpy(&params, test_at(mem, result.entry.rsi, sizeof(params)), sizeof(params));
    assert_int_equal(params.hdr.boot_flag, 0xaa55);
    assert_int_equal(params.hdr.header, 0x53726448);
    assert_int_equal(params.hdr.version, 0x020c);
    assert_int_equal(params.hdr.type_of_loader, 0xff);
    assert_int_equal(params.acpi_rsdp_addr, TEST_RSDP);
    /* RAM alone: Hermit's loader takes every entry for it. */
    assert_int_equal(params.e820_entries, 2);
    for (unsigned i = 0; i < params.e820_entries; i++)
        assert_int_equal(params.e820_table[i].type, MEMORY_MAP_RAM);
    assert_string_equal(test_at(mem, params.hdr.cmd_line_ptr, 6), "quiet");
    assert_memory_equal(test_at(mem, initrd_gpa(&params), 6), "initrd", 6);
    image_close(request.initrd);
    guest_memory_destroy(mem);

    memset(long_line, 'x', 2048);
    long_line[2048] = '\0';
    request = (struct boot_request){.cmdline = long_line};
    mem = test_memory(64 * MIB);
    assert_int_equal(test_load(&image, &request, mem, &result, &err), -E2BIG);
    assert_non_null(strstr(err.text, "2048 bytes, this kernel takes at most 2047"));
    guest_memory_destroy(mem);
}

static void test_memtest_64(void **state)
{
    static const struct boot_request request = {.cmdline = "console=ttyS0,115200"};
    struct guest_memory *mem = test_memory(64 * MIB);
    struct boot_result result;

    (void)state;
    test_load_file("/boot/memtest86+x64.bin", &request, mem, &result);
    assert_int_equal(result.protocol, BOOT_BZIMAGE_64);
    assert_int_equal(result.entry.rip, 0x100200);
    guest_memory_destroy(mem);
}

static void test_memtest_32(void **state)
{
    static const struct boot_request request = {.cmdline = "console=ttyS0,115200"};
    struct guest_memory *mem = test_memory(64 * MIB);
    struct boot_result result;

    (void)state;
    test_load_file("/boot/memtest86+ia32.bin", &request, mem, &result);
    assert_int_equal(result.protocol, BOOT_BZIMAGE_32);
    assert_int_equal(result.entry.rip, 0x100000);
    guest_memory_destroy(mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_64_bit),
        cmocka_unit_test(test_zero_page_offsets),
        cmocka_unit_test(test_memory_map),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_32_bit),
        cmocka_unit_test(test_initrd),
        cmocka_unit_test(test_initrd_too_large),
        cmocka_unit_test(test_initrd_empty),
        cmocka_unit_test(test_modules_refused),
        cmocka_unit_test(test_loaders_fields),
        cmocka_unit_test(test_elf),
        cmocka_unit_test(test_memtest_64),
        cmocka_unit_test(test_memtest_32),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

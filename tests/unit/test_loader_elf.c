/* ELF files: what is recognised, what is loaded where, and everything that is refused. */
#include "loader_fixture.h"

#include <errno.h>

static const struct test_row rows_64[] = {
    {"valid", {{0}}, 0, NULL},
    {"ET_DYN, at its addresses", {{EH64(e_type), 2, ET_DYN}}, 0, NULL},

    /* The file header. */
    {"AArch64", {{EH64(e_machine), 2, EM_AARCH64}}, -ENOEXEC, "an ELF file for AArch64;"},
    {"RISC-V", {{EH64(e_machine), 2, EM_RISCV}}, -ENOEXEC, "an ELF file for RISC-V;"},
    {"unheard-of machine", {{EH64(e_machine), 2, 4711}}, -ENOEXEC, "machine number 4711;"},
    {"big-endian S/390",
     {{EI_DATA, 1, ELFDATA2MSB}, {EH64(e_machine), 2, EM_S390 << 8}},
     -ENOEXEC,
     "an ELF file for S/390;"},
    {"unknown class", {{EI_CLASS, 1, 3}}, -ENOEXEC, "unknown class 3"},
    {"unknown byte order", {{EI_DATA, 1, 9}}, -ENOEXEC, "unknown byte order 9"},
    {"unknown version", {{EI_VERSION, 1, 2}}, -ENOEXEC, "unknown version 2"},
    {"object file", {{EH64(e_type), 2, ET_REL}}, -ENOEXEC, "an ELF object file"},
    {"core dump", {{EH64(e_type), 2, ET_CORE}}, -ENOEXEC, "an ELF core dump"},
    {"unknown type", {{EH64(e_type), 2, 77}}, -ENOEXEC, "unknown type 77"},
    {"no magic", {{0, 1, 0}}, -ENOEXEC, "not an ELF file, a bzImage or a Multiboot image"},

    /* The program headers. */
    {"none", {{EH64(e_phnum), 2, 0}}, -ENOEXEC, "without program headers"},
    {"too many", {{EH64(e_phnum), 2, 129}}, -ENOEXEC, "129 program headers; at most 128"},
    {"as many as can be said", {{EH64(e_phnum), 2, 0xffff}}, -ENOEXEC, "65535 program headers"},
    {"of another size", {{EH64(e_phentsize), 2, 32}}, -ENOEXEC, "program headers of 32 bytes"},
    {"behind the end", {{EH64(e_phoff), 8, 0x380}}, -ENOEXEC, "truncated: the ELF program headers"},
    {"wrapping", {{EH64(e_phoff), 8, UINT64_MAX - 8}}, -ENOEXEC, "truncated: the ELF program"},
    {"nothing to load",
     {{PH64(0, p_type), 4, PT_NULL}, {PH64(1, p_type), 4, PT_NULL}},
     -ENOEXEC,
     "without a segment to load"},
    {"user-space program", {{PH64(2, p_type), 4, PT_INTERP}}, -ENOEXEC, "not a kernel"},

    /* Segments and the file. */
    {"data from behind the end",
     {{PH64(1, p_offset), 8, 0x301}},
     -ENOEXEC,
     "truncated: segment 1 is at byte 769 with 128 bytes, the file has 896"},
    {"data from far away", {{PH64(1, p_offset), 8, UINT64_MAX}}, -ENOEXEC, "truncated: segment 1"},
    {"offset and size wrap",
     {{PH64(1, p_offset), 8, UINT64_MAX - 0x7f}},
     -ENOEXEC,
     "truncated: segment 1"},
    {"file size over memory size",
     {{PH64(1, p_memsz), 8, ELF_DATA_SIZE - 1}},
     -ENOEXEC,
     "segment 1 has more bytes in the file (128) than in memory (127)"},
    {"file size without memory", {{PH64(1, p_memsz), 8, 0}}, -ENOEXEC, "more bytes in the file"},
    {"empty segment",
     {{PH64(1, p_memsz), 8, 0}, {PH64(1, p_filesz), 8, 0}, {PH64(1, p_paddr), 8, UINT64_MAX}},
     0,
     NULL},
    {"only bss, with an offset behind the end",
     {{PH64(1, p_filesz), 8, 0}, {PH64(1, p_offset), 8, UINT64_MAX}},
     0,
     NULL},

    /* Segments and memory (64 MiB). */
    {"ends with memory", {{PH64(1, p_paddr), 8, 64 * MIB - ELF_DATA_MEMORY}}, 0, NULL},
    {"ends one byte later",
     {{PH64(1, p_paddr), 8, 64 * MIB - ELF_DATA_MEMORY + 1}},
     -ENOMEM,
     "needs 65 MiB of memory, the machine has 64 MiB"},
    {"behind memory",
     {{PH64(1, p_paddr), 8, GIB}},
     -ENOMEM,
     "segment 1 (0x40000000-0x40002fff) lies outside memory: needs 1025 MiB"},
    {"in the hole", {{PH64(1, p_paddr), 8, 0xfee00000}}, -ENOMEM, "is the devices'"},
    {"above 4 GiB without memory there", {{PH64(1, p_paddr), 8, 4 * GIB}}, -ENOMEM, "outside"},
    {"over the ACPI tables", {{PH64(1, p_paddr), 8, 0xe0000}}, -ENOMEM, "memory that is reserved"},
    {"from conventional memory into the ROM area",
     {{PH64(1, p_paddr), 8, 0x9f000}},
     -ENOMEM,
     "memory that is reserved"},
    {"at address 0", {{PH64(1, p_paddr), 8, 0}}, 0, NULL},
    {"in conventional memory", {{PH64(1, p_paddr), 8, 0x7c00}}, 0, NULL},
    {"wrapping round 2^64",
     {{PH64(1, p_paddr), 8, UINT64_MAX - 0xfff}},
     -ENOEXEC,
     "wraps round the end of the address space"},
    {"as large as can be", {{PH64(1, p_memsz), 8, UINT64_MAX}}, -ENOEXEC, "wraps"},
    {"larger than memory", {{PH64(1, p_memsz), 8, 64 * MIB}}, -ENOMEM, "needs 66 MiB"},
    {"overlapping",
     {{PH64(1, p_paddr), 8, ELF_TEXT_GPA + ELF_TEXT_SIZE - 1}},
     -ENOEXEC,
     "segment 0 (0x100000-0x1000ff) overlaps segment 1"},
    {"touching", {{PH64(1, p_paddr), 8, ELF_TEXT_GPA + ELF_TEXT_SIZE}}, 0, NULL},
    {"the highest says how much is needed",
     {{PH64(0, p_paddr), 8, 100 * MIB}, {PH64(1, p_paddr), 8, 200 * MIB}},
     -ENOMEM,
     "needs 201 MiB"},

    /* The entry point. */
    {"entry at the last byte", {{EH64(e_entry), 8, ELF_TEXT_GPA + ELF_TEXT_SIZE - 1}}, 0, NULL},
    {"entry behind the text",
     {{EH64(e_entry), 8, ELF_TEXT_GPA + ELF_TEXT_SIZE}},
     -ENOEXEC,
     "its entry point 0x100100 lies outside what it loads"},
    {"entry 0", {{EH64(e_entry), 8, 0}}, -ENOEXEC, "entry point 0x0 lies outside"},
    {"entry in the bss",
     {{EH64(e_entry), 8, ELF_DATA_GPA + ELF_DATA_SIZE}},
     -ENOEXEC,
     "lies outside what it loads"},
    {"virtual entry",
     {{EH64(e_entry), 8, UINT64_MAX - 0xfff}, {PH64(0, p_vaddr), 8, UINT64_MAX - 0xfff}},
     -ENOEXEC,
     "lies outside what it loads"},
};

static void test_rows_64(void **state)
{
    (void)state;
    test_rows(test_elf64, BOOT_LINUX_ELF, rows_64, ARRAY_SIZE(rows_64));
}

/* A 32-bit ELF file alone boots by no protocol; its headers are checked before that is said. */
static const struct test_row rows_32[] = {
    {"no protocol", {{0}}, -ENOEXEC, "neither a PVH note nor a Multiboot header"},
    {"Arm", {{EH32(e_machine), 2, EM_ARM}}, -ENOEXEC, "an ELF file for 32-bit Arm;"},
    {"none", {{EH32(e_phnum), 2, 0}}, -ENOEXEC, "without program headers"},
    {"of another size", {{EH32(e_phentsize), 2, 56}}, -ENOEXEC, "program headers of 56 bytes"},
    {"behind the end", {{EH32(e_phoff), 4, 0xffffffff}}, -ENOEXEC, "truncated"},
};

static void test_rows_32(void **state)
{
    (void)state;
    test_rows(test_elf32, BOOT_LINUX_ELF, rows_32, ARRAY_SIZE(rows_32));
}

static void test_truncated(void **state)
{
    struct test_image image;

    (void)state;
    test_elf64(&image);
    test_truncations(&image, image.size);
}

static void test_recognise(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
    } nonsense[] = {{"", 0},
                    {"\x7f", 1},
                    {"\x7f"
                     "ELF",
                     4},
                    {"#!/bin/sh\n", 10},
                    {"MZ", 2}};
    enum boot_protocol protocol = BOOT_MULTIBOOT;
    struct error err = {""};
    struct image *image;
    struct test_image elf;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(nonsense); i++) {
        assert_int_equal(image_from_bytes(nonsense[i].bytes, nonsense[i].size, &image), 0);
        assert_int_equal(image_recognise(image, &protocol, &err), -ENOEXEC);
        assert_string_not_equal(err.text, "");
        assert_int_equal(protocol, BOOT_MULTIBOOT);
        image_close(image);
    }
    test_elf64(&elf);
    assert_int_equal(image_from_bytes(elf.bytes, elf.size, &image), 0);
    assert_int_equal(image_recognise(image, &protocol, &err), 0);
    assert_int_equal(protocol, BOOT_LINUX_ELF);
    assert_string_equal(boot_protocol_name(protocol), "ELF (Linux 64-bit protocol)");
    image_close(image);
}

/* What is loaded: the file's bytes at their places, zeroes behind them, and no page besides. */
static void test_contents(void **state)
{
    struct boot_request request = {.cmdline = ""};
    struct guest_memory *mem = test_memory(64 * MIB);
    static const uint8_t zeroes[ELF_DATA_MEMORY - ELF_DATA_SIZE];
    struct boot_result result;
    struct test_image image;
    struct error err;

    (void)state;
    test_elf64(&image);
    test_put(&image, PH64(1, p_memsz), 8, 32 * MIB);
    assert_int_equal(test_load(&image, &request, mem, &result, &err), 0);
    assert_memory_equal(test_at(mem, ELF_TEXT_GPA, ELF_TEXT_SIZE), image.bytes + ELF_TEXT_OFFSET,
                        ELF_TEXT_SIZE);
    assert_int_equal(result.kernel_start, ELF_TEXT_GPA);
    assert_int_equal(result.kernel_end, ELF_DATA_GPA + 32 * MIB);
    assert_int_equal(result.entry.rip, ELF_ENTRY);
    assert_in_range(guest_memory_resident(mem), 1, 128 * KIB);
    assert_memory_equal(test_at(mem, ELF_DATA_GPA, ELF_DATA_SIZE), image.bytes + ELF_DATA_OFFSET,
                        ELF_DATA_SIZE);
    assert_memory_equal(test_at(mem, ELF_DATA_GPA + ELF_DATA_SIZE, sizeof(zeroes)), zeroes,
                        sizeof(zeroes));
    guest_memory_destroy(mem);
}

/* Walk the page tables as the CPU would. Returns UINT64_MAX where nothing is mapped. */
static uint64_t walk(const struct guest_memory *mem, uint64_t cr3, uint64_t address)
{
    const uint64_t frame = UINT64_C(0x000ffffffffff000);
    uint64_t entry = load_le64(test_at(mem, cr3 + (address >> 39 & 511) * 8, 8));

    if ((entry & 3) != 3)
        return UINT64_MAX;
    entry = load_le64(test_at(mem, (entry & frame) + (address >> 30 & 511) * 8, 8));
    if ((entry & 3) != 3)
        return UINT64_MAX;
    entry = load_le64(test_at(mem, (entry & frame) + (address >> 21 & 511) * 8, 8));
    if ((entry & 0x83) != 0x83)
        return UINT64_MAX;
    return (entry & frame) | (address & (2 * MIB - 1));
}

static void test_entry_state(void **state)
{
    struct boot_request request = {.cmdline = ""};
    struct guest_memory *mem = test_memory(64 * MIB);
    struct boot_result result;
    struct test_image image;
    const uint8_t *gdt;
    struct error err;

    (void)state;
    test_elf64(&image);
    assert_int_equal(test_load(&image, &request, mem, &result, &err), 0);
    assert_int_equal(result.protocol, BOOT_LINUX_ELF);
    assert_true(result.entry.long_mode);
    assert_int_equal(result.entry.cr0, X86_CR0_PE | X86_CR0_ET | X86_CR0_PG);
    assert_int_equal(result.entry.cr4, X86_CR4_PAE);
    assert_int_equal(result.entry.efer, X86_EFER_LME | X86_EFER_LMA);
    assert_int_equal(result.entry.code_selector, 0x10);
    assert_int_equal(result.entry.data_selector, 0x18);
    gdt = test_at(mem, result.entry.gdt_base, 0x20);
    assert_int_equal(load_le64(gdt + 0x10), UINT64_C(0x00af9b000000ffff));
    assert_int_equal(load_le64(gdt + 0x18), UINT64_C(0x00cf93000000ffff));
    for (uint64_t address = 0x123; address < 4 * GIB; address += 2 * MIB)
        assert_int_equal(walk(mem, result.entry.cr3, address), address);
    assert_int_equal(walk(mem, result.entry.cr3, 4 * GIB), UINT64_MAX);
    guest_memory_destroy(mem);
}

/* A kernel above 4 GiB is loaded there, and mapped. */
static void test_above_4_gib(void **state)
{
    const uint64_t gpa = 4 * GIB + MIB;
    struct boot_request request = {.cmdline = ""};
    struct guest_memory *mem = test_memory(3 * GIB + 64 * MIB);
    struct boot_result result;
    struct test_image image;
    struct error err;

    (void)state;
    test_elf64(&image);
    test_put(&image, PH64(0, p_paddr), 8, gpa);
    test_put(&image, PH64(1, p_paddr), 8, 4 * GIB + 64 * MIB - ELF_DATA_MEMORY);
    test_put(&image, EH64(e_entry), 8, gpa + 1);
    assert_int_equal(test_load(&image, &request, mem, &result, &err), 0);
    assert_memory_equal(test_at(mem, gpa, ELF_TEXT_SIZE), image.bytes + ELF_TEXT_OFFSET,
                        ELF_TEXT_SIZE);
    assert_int_equal(result.entry.rip, gpa + 1);
    assert_int_equal(walk(mem, result.entry.cr3, gpa + 1), gpa + 1);
    assert_int_equal(walk(mem, result.entry.cr3, 0x1000), 0x1000);
    guest_memory_destroy(mem);
}

/* Wherever an image lies in conventional memory, the structures lie elsewhere. */
static void test_structures_elsewhere(void **state)
{
    struct boot_request request = {.cmdline = "where is it"};

    (void)state;
    for (uint64_t gpa = 0; gpa + ELF_DATA_MEMORY <= 0x9fc00; gpa += 0xc00) {
        struct guest_memory *mem = test_memory(16 * MIB);
        struct boot_result result;
        struct test_image image;
        struct error err;
        uint64_t params;

        test_elf64(&image);
        test_put(&image, PH64(1, p_paddr), 8, gpa);
        assert_int_equal(test_load(&image, &request, mem, &result, &err), 0);
        assert_memory_equal(test_at(mem, gpa, ELF_DATA_SIZE), image.bytes + ELF_DATA_OFFSET,
                            ELF_DATA_SIZE);
        params = result.entry.rsi;
        assert_true(params + 4096 <= gpa || params >= gpa + ELF_DATA_MEMORY);
        guest_memory_destroy(mem);
    }
}

/* An image that fills conventional memory: the structures go above 1 MiB. */
static void test_conventional_memory_full(void **state)
{
    struct boot_request request = {.cmdline = "where is it"};
    struct guest_memory *mem = test_memory(16 * MIB);
    struct boot_result result;
    struct test_image image;
    struct error err;

    (void)state;
    test_elf64(&image);
    test_put(&image, PH64(1, p_paddr), 8, 0);
    test_put(&image, PH64(1, p_memsz), 8, 0x9fc00);
    assert_int_equal(test_load(&image, &request, mem, &result, &err), 0);
    assert_true(result.entry.rsi > MIB);
    assert_true(result.entry.cr3 > MIB);
    assert_true(result.entry.gdt_base > MIB);
    guest_memory_destroy(mem);
}

/* No room for anything but the image. */
static void test_memory_full(void **state)
{
    struct boot_request request = {.cmdline = ""};
    struct guest_memory *mem = test_memory(2 * MIB);
    struct boot_result result;
    struct test_image image;
    struct error err;

    (void)state;
    test_elf64(&image);
    test_put(&image, PH64(0, p_paddr), 8, 0);
    test_put(&image, PH64(0, p_memsz), 8, 0x9fc00);
    test_put(&image, PH64(1, p_paddr), 8, MIB);
    test_put(&image, PH64(1, p_memsz), 8, MIB);
    test_put(&image, EH64(e_entry), 8, 0);
    assert_int_equal(test_load(&image, &request, mem, &result, &err), -ENOMEM);
    assert_non_null(strstr(err.text, "does not fit in memory: the machine has 2 MiB"));
    guest_memory_destroy(mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_64),
        cmocka_unit_test(test_rows_32),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_recognise),
        cmocka_unit_test(test_contents),
        cmocka_unit_test(test_entry_state),
        cmocka_unit_test(test_above_4_gib),
        cmocka_unit_test(test_structures_elsewhere),
        cmocka_unit_test(test_conventional_memory_full),
        cmocka_unit_test(test_memory_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

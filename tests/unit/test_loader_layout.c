/* The boot layout: only RAM is given, and nothing twice. */
#include "loader_fixture.h"

#include <errno.h>

#include "boot_layout.h"

/* Claims with 3 GiB + 64 MiB of memory, of which the last 64 MiB lie from 4 GiB on. */
#define BIG_MEMORY   (3 * GIB + 64 * MIB)
#define BIG_HIGH_END (4 * GIB + 64 * MIB)

static const struct {
    const char *name;
    uint64_t gpa, size;
    int code;
    const char *text;
} claims[] = {
    {"first page", 0, 4096, 0, NULL},
    {"all conventional memory", 0, 0x9fc00, 0, NULL},
    {"one byte over conventional memory", 0, 0x9fc01, -ENOMEM, "memory that is reserved"},
    {"EBDA", 0x9fc00, 1, -ENOMEM, "memory that is reserved (0x9fc00-0xfffff)"},
    {"video memory", 0xb8000, 0x1000, -ENOMEM, "memory that is reserved"},
    {"ACPI tables", 0xe0000, 0x1000, -ENOMEM, "memory that is reserved"},
    {"end of the ACPI tables", 0xfffff, 2, -ENOMEM, "memory that is reserved"},
    {"first byte above 1 MiB", 0x100000, 1, 0, NULL},
    {"to the end of low RAM", 3 * GIB - 4096, 4096, 0, NULL},
    {"over the end of low RAM", 3 * GIB - 4096, 4097, -ENOMEM, "3 GiB to 4 GiB is the devices'"},
    {"in the hole", 3 * GIB + 4096, 4096, -ENOMEM, "3 GiB to 4 GiB is the devices'"},
    {"out of the hole into high RAM", 4 * GIB - 1, 2, -ENOMEM, "3 GiB to 4 GiB is the devices'"},
    {"from low to high RAM", 1 * GIB, 4 * GIB, -ENOMEM, "3 GiB to 4 GiB is the devices'"},
    {"first byte of high RAM", 4 * GIB, 1, 0, NULL},
    {"all high RAM", 4 * GIB, 64 * MIB, 0, NULL},
    {"one byte over high RAM", 4 * GIB, 64 * MIB + 1, -ENOMEM,
     "needs 3137 MiB of memory, the machine has 3136 MiB"},
    {"behind high RAM", BIG_HIGH_END, 1, -ENOMEM, "lies outside memory"},
    {"far away", UINT64_C(1) << 60, 4096, -ENOMEM, "lies outside memory"},
    {"last byte of the address space", UINT64_MAX, 1, -ENOEXEC, "wraps"},
    {"ends at 2^64", UINT64_MAX - 4095, 4096, -ENOEXEC, "wraps round the end"},
    {"ends one byte below 2^64", UINT64_MAX - 4096, 4096, -ENOMEM, "lies outside memory"},
    {"everything", 0, UINT64_MAX, -ENOMEM, "reserved"},
    {"nothing", 0x100000, 0, -EINVAL, "part is empty"},
};

static void test_claims(void **state)
{
    struct guest_memory *mem = test_memory(BIG_MEMORY);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(claims); i++) {
        struct boot_layout layout;
        struct error err = {""};
        int r;

        boot_layout_init(&layout, mem);
        r = boot_layout_claim(&layout, "part", claims[i].gpa, claims[i].size, &err);
        if (r != claims[i].code || (r < 0 && !strstr(err.text, claims[i].text)))
            fail_msg("%s: %d '%s'", claims[i].name, r, err.text);
        assert_int_equal(layout.taken_count, r == 0);
    }
    guest_memory_destroy(mem);
}

/* Memory taken at [0x110000, 0x120000), and what is claimed next. */
static const struct {
    const char *name;
    uint64_t gpa, size;
    bool overlaps;
} neighbours[] = {
    {"ends where it starts", 0x100000, 0x10000, false},
    {"ends one byte later", 0x100000, 0x10001, true},
    {"starts where it ends", 0x120000, 0x10000, false},
    {"starts one byte earlier", 0x11ffff, 0x10000, true},
    {"the same", 0x110000, 0x10000, true},
    {"inside", 0x118000, 1, true},
    {"around", 0x100000, 0x100000, true},
};

static void test_overlaps(void **state)
{
    struct guest_memory *mem = test_memory(64 * MIB);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(neighbours); i++) {
        struct boot_layout layout;
        struct error err = {""};
        int r;

        boot_layout_init(&layout, mem);
        assert_int_equal(boot_layout_claim(&layout, "the first", 0x110000, 0x10000, &err), 0);
        r = boot_layout_claim(&layout, "part", neighbours[i].gpa, neighbours[i].size, &err);
        if (r != (neighbours[i].overlaps ? -ENOEXEC : 0))
            fail_msg("%s: %d '%s'", neighbours[i].name, r, err.text);
        if (r < 0)
            assert_non_null(strstr(err.text, "overlaps the first"));
    }
    guest_memory_destroy(mem);
}

static void test_too_many_parts(void **state)
{
    struct guest_memory *mem = test_memory(64 * MIB);
    struct boot_layout layout;
    struct error err = {""};
    uint64_t gpa = 0;

    (void)state;
    boot_layout_init(&layout, mem);
    for (uint64_t i = 0; i < BOOT_LAYOUT_MAX_RANGES; i++)
        assert_int_equal(boot_layout_claim(&layout, "part", MIB + i * 16, 16, &err), 0);
    assert_int_equal(boot_layout_claim(&layout, "part", 32 * MIB, 16, &err), -ENOSPC);
    assert_int_equal(boot_layout_place_structure(&layout, "part", 16, 16, &gpa, &err), -ENOSPC);
    assert_int_equal(gpa, 0);
    guest_memory_destroy(mem);
}

/* Places with 16 MiB of memory of which [2 MiB, 3 MiB) and [8 MiB, 9 MiB) are taken. */
static const struct {
    const char *name;
    uint64_t size, alignment;
    struct boot_range within;
    enum boot_place where;
    uint64_t gpa; /* UINT64_MAX: nowhere */
} places[] = {
    {"lowest of all", 16, 16, {0, UINT64_MAX}, BOOT_PLACE_LOWEST, 0},
    {"lowest from 4 KiB on", 16, 16, {0x1000, UINT64_MAX}, BOOT_PLACE_LOWEST, 0x1000},
    {"aligned up", 16, 4096, {0x1001, UINT64_MAX}, BOOT_PLACE_LOWEST, 0x2000},
    {"over the reserved part", 0xa0000, 16, {0, UINT64_MAX}, BOOT_PLACE_LOWEST, 0x100000},
    {"over what is taken", MIB + 1, 1, {MIB, UINT64_MAX}, BOOT_PLACE_LOWEST, 3 * MIB},
    {"exactly a gap", 5 * MIB, 1, {MIB, UINT64_MAX}, BOOT_PLACE_LOWEST, 3 * MIB},
    {"a gap that alignment spoils",
     5 * MIB,
     2 * MIB,
     {MIB, UINT64_MAX},
     BOOT_PLACE_LOWEST,
     10 * MIB},
    {"highest of all", 4096, 4096, {0, UINT64_MAX}, BOOT_PLACE_HIGHEST, 16 * MIB - 4096},
    {"highest, aligned down", 100, 4096, {0, UINT64_MAX}, BOOT_PLACE_HIGHEST, 16 * MIB - 4096},
    {"highest under a limit", 4096, 4096, {0, 12 * MIB}, BOOT_PLACE_HIGHEST, 12 * MIB - 4096},
    {"highest under a taken part",
     4096,
     4096,
     {0, 8 * MIB + 1},
     BOOT_PLACE_HIGHEST,
     8 * MIB - 4096},
    {"highest in the last whole megabyte", MIB, MIB, {0, 8 * MIB - 1}, BOOT_PLACE_HIGHEST, 6 * MIB},
    {"too large for any gap", 8 * MIB, 1, {0, UINT64_MAX}, BOOT_PLACE_HIGHEST, UINT64_MAX},
    {"too large for memory", 17 * MIB, 1, {0, UINT64_MAX}, BOOT_PLACE_LOWEST, UINT64_MAX},
    {"as large as can be", UINT64_MAX, 1, {0, UINT64_MAX}, BOOT_PLACE_LOWEST, UINT64_MAX},
    {"as large as can be, high", UINT64_MAX, 1, {0, UINT64_MAX}, BOOT_PLACE_HIGHEST, UINT64_MAX},
    {"only where there is no memory", 16, 1, {64 * MIB, GIB}, BOOT_PLACE_LOWEST, UINT64_MAX},
    {"in an empty stretch", 16, 1, {5 * MIB, 5 * MIB}, BOOT_PLACE_LOWEST, UINT64_MAX},
    {"in a stretch the wrong way round", 16, 1, {6 * MIB, 5 * MIB}, BOOT_PLACE_HIGHEST, UINT64_MAX},
};

static void test_places(void **state)
{
    struct guest_memory *mem = test_memory(16 * MIB);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        struct boot_layout layout;
        uint64_t gpa = UINT64_MAX;
        struct error err = {""};
        int r;

        boot_layout_init(&layout, mem);
        assert_int_equal(boot_layout_claim(&layout, "a", 8 * MIB, MIB, &err), 0);
        assert_int_equal(boot_layout_claim(&layout, "b", 2 * MIB, MIB, &err), 0);
        r = boot_layout_place(&layout, "part", places[i].size, places[i].alignment,
                              places[i].within, places[i].where, &gpa, &err);
        if (gpa != places[i].gpa || r != (gpa == UINT64_MAX ? -ENOMEM : 0))
            fail_msg("%s: %d 0x%llx '%s'", places[i].name, r, (unsigned long long)gpa, err.text);
        if (r < 0)
            assert_non_null(strstr(err.text, "does not fit in memory: the machine has 16 MiB"));
        else
            assert_int_equal(boot_layout_claim(&layout, "again", gpa, 1, &err), -ENOEXEC);
    }
    guest_memory_destroy(mem);
}

static void test_place_nothing(void **state)
{
    struct guest_memory *mem = test_memory(16 * MIB);
    struct boot_range all = {0, UINT64_MAX};
    struct boot_layout layout;
    uint64_t gpa = 7;
    struct error err;

    (void)state;
    boot_layout_init(&layout, mem);
    assert_int_equal(boot_layout_place(&layout, "initrd", 0, 1, all, BOOT_PLACE_LOWEST, &gpa, &err),
                     -EINVAL);
    assert_string_equal(err.text, "initrd is empty");
    assert_int_equal(gpa, 7);
    guest_memory_destroy(mem);
}

/* Structures: from 4 KiB on; where an image has conventional memory, high below 4 GiB. */
static void test_structures(void **state)
{
    struct guest_memory *mem = test_memory(16 * MIB);
    struct boot_layout layout;
    struct error err;
    uint64_t gpa;

    (void)state;
    boot_layout_init(&layout, mem);
    assert_int_equal(boot_layout_place_structure(&layout, "a", 10, 8, &gpa, &err), 0);
    assert_int_equal(gpa, 0x1000);
    assert_int_equal(boot_layout_place_structure(&layout, "b", 10, 8, &gpa, &err), 0);
    assert_int_equal(gpa, 0x1010);
    assert_int_equal(boot_layout_place_structure(&layout, "c", 0x9fc00, 8, &gpa, &err), 0);
    assert_int_equal(gpa, 16 * MIB - 0x9fc00);
    assert_int_equal(boot_layout_claim(&layout, "image", 0x2000, 0x9dc00, &err), 0);
    assert_int_equal(boot_layout_place_structure(&layout, "d", 0x1000, 8, &gpa, &err), 0);
    assert_int_equal(gpa, 16 * MIB - 0x9fc00 - 0x1000);
    guest_memory_destroy(mem);
}

static void test_tiny_memory(void **state)
{
    struct guest_memory *mem = test_memory(1 * MIB);
    struct boot_layout layout;
    struct error err;
    uint64_t gpa;

    (void)state;
    boot_layout_init(&layout, mem);
    assert_int_equal(boot_layout_claim(&layout, "kernel", MIB, 1, &err), -ENOMEM);
    assert_non_null(strstr(err.text, "needs 2 MiB of memory, the machine has 1 MiB"));
    assert_int_equal(boot_layout_claim(&layout, "image", 0, 0x9f000, &err), 0);
    assert_int_equal(boot_layout_place_structure(&layout, "a", 0x1000, 8, &gpa, &err), -ENOMEM);
    assert_int_equal(boot_layout_place_structure(&layout, "a", 0xc00, 8, &gpa, &err), 0);
    assert_int_equal(gpa, 0x9f000);
    guest_memory_destroy(mem);
}

/* Whatever is asked for, what is given is RAM, aligned, where it was asked for, and disjoint. */
static void test_any_order(void **state)
{
    struct guest_memory *mem = test_memory(16 * MIB);
    unsigned seed = 12345;

    (void)state;
    for (int round = 0; round < 50; round++) {
        struct boot_layout layout;

        boot_layout_init(&layout, mem);
        for (int i = 0; i < 100; i++) {
            uint64_t size = 1 + (unsigned)rand_r(&seed) % (256 * 1024);
            uint64_t alignment = UINT64_C(1) << (unsigned)rand_r(&seed) % 17;
            uint64_t max = (unsigned)rand_r(&seed) % (20 * MIB), gpa;
            struct boot_range within = {.start = (unsigned)rand_r(&seed) % (4 * MIB), .end = max};
            enum boot_place where = rand_r(&seed) & 1 ? BOOT_PLACE_LOWEST : BOOT_PLACE_HIGHEST;

            if (boot_layout_place(&layout, "part", size, alignment, within, where, &gpa, NULL) < 0)
                continue;
            assert_true(gpa >= within.start && gpa + size <= within.end);
            assert_int_equal(gpa & (alignment - 1), 0);
            assert_true(gpa + size <= 0x9fc00 || (gpa >= MIB && gpa + size <= 16 * MIB));
        }
        assert_true(layout.taken_count > 10);
        for (size_t i = 1; i < layout.taken_count; i++)
            assert_true(layout.taken[i - 1].range.end <= layout.taken[i].range.start);
    }
    guest_memory_destroy(mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claims),         cmocka_unit_test(test_overlaps),
        cmocka_unit_test(test_too_many_parts), cmocka_unit_test(test_places),
        cmocka_unit_test(test_place_nothing),  cmocka_unit_test(test_structures),
        cmocka_unit_test(test_tiny_memory),    cmocka_unit_test(test_any_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

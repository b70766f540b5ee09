/* The device tree of a Hermit image, read back by libfdt: nodes, boot arguments, initrd, limits. */
#include "loader_fixture.h"

#include <errno.h>
#include <libfdt.h>

#include "hermit_images.h"

#define BASE (4 * GIB)

static const char *const variables[] = {"HOME=/", "EMPTY=", "TEXT=two words", "NAME", "Q=it's"};
static const char *const arguments[] = {"-v", "a b", "", "--x=1"};
static const char *const mounts[] = {"/data", "/etc/app"};

static struct guest_memory *memory_at(uint64_t base, uint64_t size)
{
    struct guest_memory_options options = {.size = size, .base = base, .hole = LAYOUT_HERMIT_HOLE};
    struct guest_memory *mem;

    if (guest_memory_create(&options, &mem, NULL) < 0)
        skip();
    return mem;
}

/* Load, and give the tree; or the error. */
static int load(struct boot_request *request, struct guest_memory *mem, const void **ret_fdt,
                struct error *err)
{
    struct boot_result result;
    struct test_image image;
    size_t count;
    int r;

    test_hermit(&image);
    r = test_load(&image, request, mem, &result, err);
    *ret_fdt = test_at(mem, guest_memory_regions(mem, &count)[0].gpa + 0x1000, 0x4000);
    return r;
}

static const void *property(const void *fdt, const char *path, const char *name, int *ret_size)
{
    int node = fdt_path_offset(fdt, path);
    const void *value;

    if (node < 0)
        fail_msg("no node %s: %s", path, fdt_strerror(node));
    value = fdt_getprop(fdt, node, name, ret_size);
    if (!value)
        fail_msg("no %s in %s", name, path);
    return value;
}

static void check_string(const void *fdt, const char *path, const char *name, const char *text)
{
    int size;
    const char *value = property(fdt, path, name, &size);

    assert_int_equal(size, strlen(text) + 1);
    assert_string_equal(value, text);
}

static void check_u32(const void *fdt, const char *path, const char *name, uint32_t expected)
{
    int size;
    const void *value = property(fdt, path, name, &size);

    assert_int_equal(size, 4);
    assert_int_equal(fdt32_ld(value), expected);
}

static void check_u64(const void *fdt, const char *path, const char *name, unsigned index,
                      uint64_t expected)
{
    int size;
    const fdt64_t *value = property(fdt, path, name, &size);

    assert_true((unsigned)size >= 8 * (index + 1));
    assert_int_equal(fdt64_ld(value + index), expected);
}

static void test_nodes(void **state)
{
    const struct hermit_handover handover = {.cpus = 3, .tsc_khz = 2345678};
    struct boot_request request = {.cmdline = "", .hermit = &handover};
    struct guest_memory *mem = memory_at(BASE, 64 * MIB);
    struct error err;
    const void *fdt;

    (void)state;
    assert_int_equal(load(&request, mem, &fdt, &err), 0);
    assert_int_equal(fdt_check_full(fdt, 0x4000), 0);
    check_string(fdt, "/", "compatible", "hermit,uhyve");
    check_u32(fdt, "/", "#address-cells", 2);
    check_u32(fdt, "/", "#size-cells", 2);
    check_string(fdt, "/memory@100000000", "device_type", "memory");
    check_u64(fdt, "/memory@100000000", "reg", 0, BASE);
    check_u64(fdt, "/memory@100000000", "reg", 1, 64 * MIB);
    check_u32(fdt, "/cpus", "#address-cells", 1);
    check_u32(fdt, "/cpus", "#size-cells", 0);
    check_string(fdt, "/cpus/cpu@2", "device_type", "cpu");
    check_u32(fdt, "/cpus/cpu@2", "reg", 2);
    assert_true(fdt_path_offset(fdt, "/cpus/cpu@3") < 0);
    check_u32(fdt, "/hermit,tsc", "khz", 2345678);
    check_string(fdt, "/chosen", "bootargs", "");
    assert_true(fdt_path_offset(fdt, "/uhyve,mounts") < 0);
    assert_null(fdt_getprop(fdt, fdt_path_offset(fdt, "/chosen"), "linux,initrd-start", NULL));
    guest_memory_destroy(mem);
}

static void test_memory_over_the_hole(void **state)
{
    struct boot_request request = {.cmdline = ""};
    struct guest_memory *mem = memory_at(0, 4 * GIB);
    struct error err;
    const void *fdt;

    (void)state;
    assert_int_equal(load(&request, mem, &fdt, &err), 0);
    check_u64(fdt, "/memory@0", "reg", 0, 0);
    check_u64(fdt, "/memory@0", "reg", 1, LAYOUT_HERMIT_HOLE);
    check_u64(fdt, "/memory@100000000", "reg", 0, 4 * GIB);
    check_u64(fdt, "/memory@100000000", "reg", 1, 4 * GIB - LAYOUT_HERMIT_HOLE);
    check_u32(fdt, "/cpus/cpu@0", "reg", 0); /* without a hand-over: one CPU */
    guest_memory_destroy(mem);
}

struct bootargs_row {
    const char *cmdline;
    size_t variables, arguments;
    const char *bootargs;
};

static const struct bootargs_row bootargs[] = {
    {"", 0, 0, ""},
    {"-freq 1000", 0, 0, "-freq 1000"},
    {"", 1, 0, "env=HOME=/"},
    {"", 0, 1, "-- -v"},
    {"-k", 2, 2, "-k env=HOME=/ env=EMPTY='' -- -v 'a b'"},
    {"", 5, 4,
     "env=HOME=/ env=EMPTY='' env=TEXT='two words' env=NAME='' env=Q='it'\\''s' -- -v 'a b' '' "
     "--x=1"},
};

static void test_bootargs(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bootargs); i++) {
        const struct hermit_handover handover = {
            .cpus = 1,
            .environment = variables,
            .environment_count = bootargs[i].variables,
            .arguments = arguments,
            .argument_count = bootargs[i].arguments,
        };
        struct boot_request request = {.cmdline = bootargs[i].cmdline, .hermit = &handover};
        struct guest_memory *mem = memory_at(BASE, 64 * MIB);
        struct error err;
        const void *fdt;

        assert_int_equal(load(&request, mem, &fdt, &err), 0);
        check_string(fdt, "/chosen", "bootargs", bootargs[i].bootargs);
        guest_memory_destroy(mem);
    }
}

static void test_mounts(void **state)
{
    const struct hermit_handover handover = {.cpus = 1, .mounts = mounts, .mount_count = 2};
    struct boot_request request = {.cmdline = "", .hermit = &handover};
    struct guest_memory *mem = memory_at(BASE, 64 * MIB);
    struct error err;
    const void *fdt;
    int size;

    (void)state;
    assert_int_equal(load(&request, mem, &fdt, &err), 0);
    assert_memory_equal(property(fdt, "/uhyve,mounts", "mounts", &size), "/data\0/etc/app", 15);
    assert_int_equal(size, 15);
    guest_memory_destroy(mem);
}

static void test_initrd(void **state)
{
    static uint8_t bytes[5000];
    struct boot_request request = {.cmdline = ""};
    struct guest_memory *mem = memory_at(BASE, 64 * MIB);
    struct error err;
    const void *fdt;
    uint64_t start = BASE + 64 * MIB - 8192;

    (void)state;
    test_pattern(bytes, sizeof(bytes), 3);
    assert_int_equal(image_from_bytes(bytes, sizeof(bytes), &request.initrd), 0);
    assert_int_equal(load(&request, mem, &fdt, &err), 0);
    check_u64(fdt, "/chosen", "linux,initrd-start", 0, start);
    check_u64(fdt, "/chosen", "linux,initrd-end", 0, start + sizeof(bytes));
    assert_memory_equal(test_at(mem, start, sizeof(bytes)), bytes, sizeof(bytes));
    image_close(request.initrd);
    guest_memory_destroy(mem);
}

/* The tree has 16 KiB: the longest command line that fits, and one byte more. */
static void test_too_long(void **state)
{
    static char text[0x4000];
    struct boot_request request = {.cmdline = text};
    size_t fits = 0, len = sizeof(text);

    (void)state;
    while (len > 0) { /* halve the step: a search for the border */
        struct guest_memory *mem = memory_at(BASE, 64 * MIB);
        struct error err;
        const void *fdt;
        int r;

        len /= 2;
        memset(text, 'x', fits + len);
        text[fits + len] = '\0';
        r = load(&request, mem, &fdt, &err);
        if (r == 0) {
            fits += len;
            assert_true(fdt_totalsize(fdt) <= 0x4000);
        } else {
            assert_int_equal(r, -E2BIG);
            assert_non_null(strstr(err.text, "does not fit into the 16 KiB"));
        }
        guest_memory_destroy(mem);
    }
    assert_in_range(fits, 0x3c00, 0x3fff);
}

/* 200 variables are no trouble. */
static void test_many_variables(void **state)
{
    const char *many[200];
    char texts[200][32];
    const struct hermit_handover handover = {
        .cpus = 4, .environment = many, .environment_count = ARRAY_SIZE(many)};
    struct boot_request request = {.cmdline = "", .hermit = &handover};
    struct guest_memory *mem = memory_at(BASE, 64 * MIB);
    struct error err;
    const void *fdt;
    const char *text;
    unsigned count = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(many); i++) {
        snprintf(texts[i], sizeof(texts[i]), "VARIABLE_%zu=value-%zu", i, i);
        many[i] = texts[i];
    }
    assert_int_equal(load(&request, mem, &fdt, &err), 0);
    text = property(fdt, "/chosen", "bootargs", NULL);
    while ((text = strstr(text, "env=VARIABLE_"))) {
        count++;
        text++;
    }
    assert_int_equal(count, 200);
    guest_memory_destroy(mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes),          cmocka_unit_test(test_memory_over_the_hole),
        cmocka_unit_test(test_bootargs),       cmocka_unit_test(test_mounts),
        cmocka_unit_test(test_initrd),         cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_many_variables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}

/* The few steps that the loaders' tests share. */
#ifndef OSVM_TESTS_LOADER_FIXTURE_H
#define OSVM_TESTS_LOADER_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"
#include "guest/layout.h"
#include "loader/loader.h"
#include "loader_images.h"

#define TEST_RSDP UINT64_C(0xe0000)

/* A behaviour: a valid image with some numbers changed, and what the loader says of it. */
struct test_row {
    const char *name;
    struct test_patch patches[6];
    int code;         /* 0, or the negative errno */
    const char *text; /* what the reason contains */
};

static inline struct guest_memory *test_memory(uint64_t size)
{
    struct guest_memory_options options = {.size = size};
    struct guest_memory *mem;
    struct error err = {""};

    if (guest_memory_create(&options, &mem, &err) < 0) {
        print_message("no guest memory here: %s\n", err.text);
        skip();
    }
    return mem;
}

/* The whole of guest memory from gpa on is one map's worth: what lies there, checked. */
static inline const uint8_t *test_at(const struct guest_memory *mem, uint64_t gpa, uint64_t len)
{
    void *host = NULL;

    assert_int_equal(guest_memory_span(mem, gpa, len, &host), 0);
    return host;
}

/* Load the first `size` bytes of an image, which stand alone so that a read past them is seen. */
static inline int test_load_part(const struct test_image *image, size_t size,
                                 const struct boot_request *request, struct guest_memory *mem,
                                 struct boot_result *ret_result, struct error *err)
{
    struct boot_request with_kernel = *request;
    uint8_t *bytes = malloc(size ? size : 1);
    struct boot_result untouched;
    int r;

    assert_non_null(bytes);
    memcpy(bytes, image->bytes, size);
    assert_int_equal(image_from_bytes(bytes, size, &with_kernel.kernel), 0);
    memset(ret_result, 0xa5, sizeof(*ret_result));
    memcpy(&untouched, ret_result, sizeof(untouched));
    err->text[0] = '\0';
    r = image_load(&with_kernel, mem, ret_result, err);
    if (r < 0) {
        assert_memory_equal(ret_result, &untouched, sizeof(untouched));
        assert_string_not_equal(err->text, "");
    }
    image_close(with_kernel.kernel);
    free(bytes);
    return r;
}

static inline int test_load(const struct test_image *image, const struct boot_request *request,
                            struct guest_memory *mem, struct boot_result *ret_result,
                            struct error *err)
{
    return test_load_part(image, image->size, request, mem, ret_result, err);
}

/* Check that the loader says of each row what it should, with 64 MiB of memory; where it loads
 * one, by this protocol. */
static inline void test_rows(void (*build)(struct test_image *image), enum boot_protocol protocol,
                             const struct test_row *rows, size_t count)
{
    static const struct boot_request request = {.cmdline = "a=1"};

    for (size_t i = 0; i < count; i++) {
        struct guest_memory *mem = test_memory(64 * MIB);
        struct boot_result result;
        struct test_image image;
        struct error err;
        int r;

        build(&image);
        test_patch_all(&image, rows[i].patches);
        r = test_load(&image, &request, mem, &result, &err);
        if (r != rows[i].code || (r < 0 && !strstr(err.text, rows[i].text)))
            fail_msg("%s: %d '%s', not %d '%s'", rows[i].name, r, err.text, rows[i].code,
                     rows[i].code ? rows[i].text : "");
        if (r == 0 && result.protocol != protocol)
            fail_msg("%s: %s", rows[i].name, boot_protocol_name(result.protocol));
        guest_memory_destroy(mem);
    }
}

/* Cut the image off at every byte: an error up to `needed` bytes, a load from there on. */
static inline void test_truncations(const struct test_image *image, size_t needed)
{
    static const struct boot_request request = {.cmdline = "a=1"};
    struct guest_memory *mem;

    for (size_t size = 0; size <= image->size; size++) {
        struct boot_result result;
        struct error err;
        int r;

        mem = test_memory(64 * MIB);
        r = test_load_part(image, size, &request, mem, &result, &err);
        if ((r < 0) != (size < needed))
            fail_msg("%zu of %zu bytes: %d '%s'", size, image->size, r, err.text);
        guest_memory_destroy(mem);
    }
}

/* Load a file of this machine's, or skip where it is not there. */
static inline void test_load_file(const char *path, const struct boot_request *request,
                                  struct guest_memory *mem, struct boot_result *ret_result)
{
    struct boot_request with_kernel = *request;
    struct error err = {""};

    if (image_open(path, &with_kernel.kernel, &err) < 0) {
        print_message("%s: %s\n", path, err.text);
        guest_memory_destroy(mem);
        skip();
    }
    if (image_load(&with_kernel, mem, ret_result, &err) < 0)
        fail_msg("%s: %s", path, err.text);
    image_close(with_kernel.kernel);
}

/* The state of 32-bit entry that PVH, Multiboot and Linux's 32-bit protocol have in common. */
static inline void test_check_entry_32(const struct guest_memory *mem,
                                       const struct boot_result *result)
{
    const struct entry_state *e = &result->entry;
    const uint8_t *gdt = test_at(mem, e->gdt_base, e->gdt_limit + 1U);

    assert_false(e->long_mode);
    assert_false(e->all_cpus);
    assert_int_equal(e->cr0, X86_CR0_PE | X86_CR0_ET);
    assert_int_equal(e->cr3, 0);
    assert_int_equal(e->cr4, 0);
    assert_int_equal(e->efer, 0);
    assert_int_equal(e->rflags, 0);
    assert_int_equal(e->code_selector, 0x10);
    assert_int_equal(e->data_selector, 0x18);
    assert_int_equal(e->gdt_limit, 0x1f);
    assert_int_equal(load_le64(gdt), 0);
    assert_int_equal(load_le64(gdt + 0x10), UINT64_C(0x00cf9b000000ffff));
    assert_int_equal(load_le64(gdt + 0x18), UINT64_C(0x00cf93000000ffff));
}

#endif

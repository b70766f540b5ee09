/*
 * The image loaders under libFuzzer: one guest memory for the whole run, emptied between inputs,
 * and what must hold whatever the image is.
 */
#ifndef OSVM_TESTS_LOADER_FUZZ_H
#define OSVM_TESTS_LOADER_FUZZ_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/util.h"
#include "guest/layout.h"
#include "loader/loader.h"

/*
 * The first bytes of an input choose what the image is loaded with; the image follows.
 *   0  bit 0: with memory above 4 GiB (a Hermit image: all of it there); bit 1: an initrd;
 *      bits 4 to 6: how many modules
 *   1  length of the command line, in units of 32 bytes
 *   2  size of initrd and modules, in units of 64 KiB; 0 is one byte
 *   3  length of the modules' strings, in units of 32 bytes
 */
#define LOADER_FUZZ_CHOICES 4

#define LOADER_FUZZ_SMALL (16 * MIB)
#define LOADER_FUZZ_LARGE (3 * GIB + 16 * MIB)

/* The part of the first MiB that is reserved, in whole pages: nothing may be written there. */
#define LOADER_FUZZ_FORBIDDEN UINT64_C(0xa0000)

#define LOADER_FUZZ_CHECK(condition) \
    do {                             \
        if (!(condition))            \
            abort();                 \
    } while (0)

struct loader_fuzz {
    struct guest_memory *mem[2];    /* small, large */
    struct guest_memory *hermit[2]; /* for Hermit images: at 0, and at 4 GiB; all of it is RAM */
    char text[256 * 32];
    uint8_t *blob; /* the bytes of initrd and modules */
};

#define LOADER_FUZZ_BLOB (256 * 64 * KIB)

static inline struct guest_memory *loader_fuzz_memory(uint64_t size)
{
    struct guest_memory_options options = {.size = size};
    struct guest_memory *mem;
    void *forbidden;

    LOADER_FUZZ_CHECK(guest_memory_create(&options, &mem, NULL) == 0);
    LOADER_FUZZ_CHECK(guest_memory_span(mem, LOADER_FUZZ_FORBIDDEN, 1, &forbidden) == 0);
    LOADER_FUZZ_CHECK(mprotect(forbidden, LAYOUT_HIMEM_BASE - LOADER_FUZZ_FORBIDDEN, PROT_NONE) ==
                      0);
    return mem;
}

static inline struct guest_memory *loader_fuzz_hermit_memory(uint64_t base)
{
    struct guest_memory_options options = {.size = LOADER_FUZZ_SMALL, .base = base};
    struct guest_memory *mem;

    LOADER_FUZZ_CHECK(guest_memory_create(&options, &mem, NULL) == 0);
    return mem;
}

/* Made at the first input, kept to the end of the process. */
static inline struct loader_fuzz *loader_fuzz_state(void)
{
    static struct loader_fuzz state;

    if (!state.blob) {
        state.mem[0] = loader_fuzz_memory(LOADER_FUZZ_SMALL);
        state.mem[1] = loader_fuzz_memory(LOADER_FUZZ_LARGE);
        state.hermit[0] = loader_fuzz_hermit_memory(0);
        state.hermit[1] = loader_fuzz_hermit_memory(4 * GIB);
        memset(state.text, 'x', sizeof(state.text));
        state.blob = malloc(LOADER_FUZZ_BLOB);
        LOADER_FUZZ_CHECK(state.blob);
        memset(state.blob, 0x5a, LOADER_FUZZ_BLOB);
    }
    return &state;
}

static inline void loader_fuzz_discard(const struct guest_memory *mem, uint64_t gpa, uint64_t len)
{
    void *host;

    LOADER_FUZZ_CHECK(guest_memory_span(mem, gpa, len, &host) == 0);
    LOADER_FUZZ_CHECK(madvise(host, (size_t)len, MADV_REMOVE) == 0);
}

static inline void loader_fuzz_empty(const struct guest_memory *mem, bool hermit)
{
    size_t count;
    const struct guest_region *regions = guest_memory_regions(mem, &count);

    if (hermit) {
        loader_fuzz_discard(mem, regions[0].gpa, regions[0].size);
        return;
    }
    loader_fuzz_discard(mem, 0, LOADER_FUZZ_FORBIDDEN);
    loader_fuzz_discard(mem, LAYOUT_HIMEM_BASE, regions[0].size - LAYOUT_HIMEM_BASE);
    if (count > 1)
        loader_fuzz_discard(mem, regions[1].gpa, regions[1].size);
}

/* What a caller may rely on when the image was loaded. */
static inline void loader_fuzz_check(const struct guest_memory *mem,
                                     const struct boot_result *result)
{
    const struct entry_state *entry = &result->entry;
    bool hermit = result->protocol == BOOT_HERMIT;
    uint64_t hand_over = hermit ? entry->rdi : entry->rsi ? entry->rsi : entry->rbx;
    void *host;

    LOADER_FUZZ_CHECK(hermit ? result->hermit_interface >= 1 && result->hermit_interface <= 3
                             : result->hermit_interface == 0);
    LOADER_FUZZ_CHECK(entry->all_cpus == hermit);
    LOADER_FUZZ_CHECK(!hermit || guest_memory_span(mem, entry->rsp, 0x8000, &host) == 0);

    LOADER_FUZZ_CHECK(result->kernel_start < result->kernel_end);
    LOADER_FUZZ_CHECK(entry->rip >= result->kernel_start && entry->rip < result->kernel_end);
    LOADER_FUZZ_CHECK(guest_memory_span(mem, entry->rip, 1, &host) == 0);
    LOADER_FUZZ_CHECK(hand_over && (hermit || hand_over < LAYOUT_HIGH_RAM_BASE));
    LOADER_FUZZ_CHECK(guest_memory_span(mem, hand_over, 56, &host) == 0);
    LOADER_FUZZ_CHECK(guest_memory_span(mem, entry->gdt_base, entry->gdt_limit + 1U, &host) == 0);
    LOADER_FUZZ_CHECK(entry->long_mode || entry->rip <= UINT32_MAX);
    LOADER_FUZZ_CHECK(!entry->long_mode || entry->cr3);
    if (entry->long_mode)
        LOADER_FUZZ_CHECK(guest_memory_span(mem, entry->cr3, 4096, &host) == 0);
}

/* A string of units * 32 bytes: the end of state->text. */
static inline const char *loader_fuzz_text(struct loader_fuzz *state, unsigned units)
{
    state->text[sizeof(state->text) - 1] = '\0';
    return state->text + sizeof(state->text) - 1 - min_u64(units * 32U, sizeof(state->text) - 1);
}

/* Where its memory is to begin: what is recognised has a place, whatever the random number. */
static inline void loader_fuzz_plan(const struct image *image, int recognised, const uint8_t *bytes,
                                    size_t size)
{
    struct boot_placement placement = {.kind = RAM_BASE_RANDOM, .memory_size = LOADER_FUZZ_LARGE};
    struct boot_plan plan = {0};
    struct error err = {""};

    memcpy(&placement.random, bytes, min_u64(size, sizeof(placement.random)));
    LOADER_FUZZ_CHECK(image_plan(image, &placement, &plan, &err) == recognised);
    LOADER_FUZZ_CHECK(plan.ram_base % (2 * MIB) == 0 && plan.ram_base <= 64 * GIB);
}

/* Recognise and load one image. */
static inline void loader_fuzz_load(const uint8_t *choices, const uint8_t *bytes, size_t size)
{
    struct loader_fuzz *state = loader_fuzz_state();
    struct guest_memory *mem = state->mem[choices[0] & 1];
    size_t blob_size = choices[2] ? choices[2] * 64 * KIB : 1;
    struct boot_module modules[7];
    struct boot_request request = {
        .cmdline = loader_fuzz_text(state, choices[1]),
        .modules = modules,
        .module_count = choices[0] >> 4 & 7,
        .rsdp = LAYOUT_ACPI_BASE,
    };
    struct boot_result result = {0};
    enum boot_protocol protocol;
    struct image *blob;
    struct error err = {""};
    int recognised, loaded;
    bool hermit;

    LOADER_FUZZ_CHECK(image_from_bytes(bytes, size, &request.kernel) == 0);
    LOADER_FUZZ_CHECK(image_from_bytes(state->blob, blob_size, &blob) == 0);
    if (choices[0] & 2)
        request.initrd = blob;
    for (size_t i = 0; i < request.module_count; i++)
        modules[i] = (struct boot_module){blob, loader_fuzz_text(state, choices[3])};

    recognised = image_recognise(request.kernel, &protocol, &err);
    LOADER_FUZZ_CHECK(recognised == 0 || err.text[0]);
    hermit = recognised == 0 && protocol == BOOT_HERMIT;
    if (hermit)
        mem = state->hermit[choices[0] & 1];
    loader_fuzz_plan(request.kernel, recognised, bytes, size);
    err.text[0] = '\0';
    loaded = image_load(&request, mem, &result, &err);
    LOADER_FUZZ_CHECK(loaded == 0 || (loaded < 0 && err.text[0]));
    LOADER_FUZZ_CHECK(loaded != -EFAULT); /* every address was checked before it was used */
    LOADER_FUZZ_CHECK(loaded < 0 || (recognised == 0 && result.protocol == protocol));
    if (loaded == 0)
        loader_fuzz_check(mem, &result);
    image_close(blob);
    image_close(request.kernel);
    loader_fuzz_empty(mem, hermit);
}

/**
 * One input: its choices, and the image behind them in memory of its own, so that a read past its
 * end is seen.
 *
 * @put_right  corrects what mutations spoil, so that they reach what is behind it; may be NULL
 */
static inline int loader_fuzz_one(const uint8_t *data, size_t size,
                                  void (*put_right)(uint8_t *image, size_t size))
{
    size_t image_size;
    uint8_t *image;

    if (size < LOADER_FUZZ_CHOICES)
        return 0;
    image_size = size - LOADER_FUZZ_CHOICES;
    image = malloc(image_size ? image_size : 1);
    if (!image)
        return 0;
    memcpy(image, data + LOADER_FUZZ_CHOICES, image_size);
    if (put_right)
        put_right(image, image_size);
    loader_fuzz_load(data, image, image_size);
    free(image);
    return 0;
}

/* libFuzzer's entry point; it has no header to declare it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif

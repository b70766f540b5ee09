/*
 * Write the seeds of the loaders' fuzz targets: small valid images of each kind, loaded in several
 * ways. make_loader_corpus FOLDER makes FOLDER/elf, pvh, bzimage, multiboot and
 * hermit.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "../unit/hermit_images.h"

#define CHOICES 4 /* LOADER_FUZZ_CHOICES */

/* Bare; with an initrd; in large memory with both; with long strings. */
static const uint8_t choices[][CHOICES] = {
    {0x00, 0, 0, 0},
    {0x02, 1, 1, 0},
    {0x33, 4, 16, 2},
    {0x20, 130, 0, 130},
};

static void build_pvh_64(struct test_image *image)
{
    test_elf64(image);
    test_add_pvh_note(image, 8);
}

static void build_pvh_32(struct test_image *image)
{
    test_elf32(image);
    test_add_pvh_note(image, 4);
}

static void build_multiboot_flat(struct test_image *image)
{
    memset(image, 0, sizeof(*image));
    image->size = 0x100;
    test_put_multiboot(image, 0, 0x10007);
    test_put(image, 12, 4, 0x100000);
    test_put(image, 16, 4, 0x100000);
    test_put(image, 20, 4, 0x100080);
    test_put(image, 24, 4, 0x101000);
    test_put(image, 28, 4, 0x100020);
}

static void build_multiboot_elf32(struct test_image *image)
{
    test_elf32(image);
    test_put_multiboot(image, ELF_TEXT_OFFSET, 3);
}

static void build_multiboot_elf64(struct test_image *image)
{
    test_elf64(image);
    test_put_multiboot(image, ELF_TEXT_OFFSET, 3);
}

static void build_bzimage_fixed(struct test_image *image)
{
    test_bzimage(image);
    test_put(image, BZ_RELOCATABLE, 1, 0);
    test_put(image, BZ_XLOADFLAGS, 2, 0);
}

static const struct {
    const char *target, *name;
    void (*build)(struct test_image *image);
} seeds[] = {
    {"elf", "elf64", test_elf64},
    {"elf", "elf32", test_elf32},
    {"elf", "bzimage", test_bzimage},
    {"pvh", "elf64", build_pvh_64},
    {"pvh", "elf32", build_pvh_32},
    {"bzimage", "relocatable", test_bzimage},
    {"bzimage", "fixed", build_bzimage_fixed},
    {"multiboot", "flat", build_multiboot_flat},
    {"multiboot", "elf32", build_multiboot_elf32},
    {"multiboot", "elf64", build_multiboot_elf64},
    {"hermit", "anywhere", test_hermit},
    {"hermit", "fixed", test_hermit_fixed},
};

static int write_seed(const char *folder, size_t seed, size_t choice)
{
    static struct test_image image;
    char path[4096];
    size_t written;
    FILE *f;

    seeds[seed].build(&image);
    snprintf(path, sizeof(path), "%s/%s", folder, seeds[seed].target);
    mkdir(path, 0777);
    snprintf(path, sizeof(path), "%s/%s/%s-%zu", folder, seeds[seed].target, seeds[seed].name,
             choice);
    f = fopen(path, "we");
    if (!f)
        return -1;
    written = fwrite(choices[choice], 1, CHOICES, f);
    written += fwrite(image.bytes, 1, image.size, f);
    return fclose(f) == 0 && written == CHOICES + image.size ? 0 : -1;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: make_loader_corpus FOLDER\n");
        return 2;
    }
    for (size_t seed = 0; seed < ARRAY_SIZE(seeds); seed++)
        for (size_t choice = 0; choice < ARRAY_SIZE(choices); choice++)
            if (write_seed(argv[1], seed, choice) < 0) {
                perror(argv[1]);
                return 1;
            }
    return 0;
}

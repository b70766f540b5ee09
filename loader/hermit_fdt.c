/* The device tree that a Hermit image is told its machine by. Devicetree Specification 0.4. */
#include <errno.h>
#include <inttypes.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "hermit_boot.h"

/* libfdt's first error is kept, and what follows it does nothing. */
struct tree {
    void *fdt;
    int error;
};

static void keep(struct tree *tree, int error)
{
    if (tree->error == 0)
        tree->error = error;
}

static void begin(struct tree *tree, const char *name)
{
    if (tree->error == 0)
        keep(tree, fdt_begin_node(tree->fdt, name));
}

static void end(struct tree *tree)
{
    if (tree->error == 0)
        keep(tree, fdt_end_node(tree->fdt));
}

static void put_bytes(struct tree *tree, const char *name, const void *bytes, size_t size)
{
    if (tree->error == 0 && size > INT32_MAX)
        keep(tree, -FDT_ERR_NOSPACE);
    if (tree->error == 0)
        keep(tree, fdt_property(tree->fdt, name, bytes, (int)size));
}

static void put_string(struct tree *tree, const char *name, const char *value)
{
    put_bytes(tree, name, value, strlen(value) + 1);
}

static void put_u32(struct tree *tree, const char *name, uint32_t value)
{
    if (tree->error == 0)
        keep(tree, fdt_property_u32(tree->fdt, name, value));
}

static void put_u64(struct tree *tree, const char *name, uint64_t value)
{
    if (tree->error == 0)
        keep(tree, fdt_property_u64(tree->fdt, name, value));
}

/* A node for each region: kernels take the first range of each. */
static void put_memory(struct tree *tree, const struct guest_memory *mem)
{
    size_t count;
    const struct guest_region *regions = guest_memory_regions(mem, &count);

    for (size_t i = 0; i < count; i++) {
        const fdt64_t reg[] = {cpu_to_fdt64(regions[i].gpa), cpu_to_fdt64(regions[i].size)};
        char name[32];

        snprintf(name, sizeof(name), "memory@%" PRIx64, regions[i].gpa);
        begin(tree, name);
        put_string(tree, "device_type", "memory");
        put_bytes(tree, "reg", reg, sizeof(reg));
        end(tree);
    }
}

static void put_cpus(struct tree *tree, unsigned count)
{
    begin(tree, "cpus");
    put_u32(tree, "#address-cells", 1);
    put_u32(tree, "#size-cells", 0);
    for (unsigned i = 0; i < count; i++) {
        char name[24];

        snprintf(name, sizeof(name), "cpu@%x", i);
        begin(tree, name);
        put_string(tree, "device_type", "cpu");
        put_u32(tree, "reg", i);
        end(tree);
    }
    end(tree);
}

/* One word of the boot arguments, in quotes where the kernel would split it: it takes them apart as
 * a shell would. */
static void write_word(FILE *out, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_=/,.+:@%^";

    if (*word && word[strspn(word, plain)] == '\0') {
        fputs(word, out);
        return;
    }
    fputc('\'', out);
    for (; *word; word++) {
        if (*word == '\'')
            fputs("'\\''", out);
        else
            fputc(*word, out);
    }
    fputc('\'', out);
}

/* KERNEL ARGUMENTS env=NAME=VALUE … -- ARGUMENTS. @ret_text is the caller's. */
static int write_bootargs(const char *kernel_arguments, const struct hermit_handover *handover,
                          char **ret_text)
{
    const char *separator = *kernel_arguments ? " " : "";
    size_t size;
    FILE *out = open_memstream(ret_text, &size);

    if (!out)
        return -ENOMEM;
    fputs(kernel_arguments, out);
    for (size_t i = 0; i < handover->environment_count; i++) {
        const char *name = handover->environment[i], *value = strchrnul(name, '=');

        fprintf(out, "%senv=%.*s=", separator, (int)(value - name), name);
        write_word(out, *value ? value + 1 : value);
        separator = " ";
    }
    if (handover->argument_count > 0)
        fprintf(out, "%s--", separator);
    for (size_t i = 0; i < handover->argument_count; i++) {
        fputc(' ', out);
        write_word(out, handover->arguments[i]);
    }
    return fclose(out) == 0 ? 0 : -ENOMEM;
}

static void put_mounts(struct tree *tree, const struct hermit_handover *handover)
{
    _cleanup_free_ char *list = NULL;
    size_t size = 0;
    FILE *out;

    if (handover->mount_count == 0)
        return;
    out = open_memstream(&list, &size);
    for (size_t i = 0; out && i < handover->mount_count; i++)
        fwrite(handover->mounts[i], 1, strlen(handover->mounts[i]) + 1, out);
    if (!out || fclose(out) != 0) {
        keep(tree, -FDT_ERR_NOSPACE);
        return;
    }
    begin(tree, "uhyve,mounts");
    put_bytes(tree, "mounts", list, size);
    end(tree);
}

static void put_chosen(struct tree *tree, const char *bootargs, struct hermit_initrd initrd)
{
    begin(tree, "chosen");
    put_string(tree, "bootargs", bootargs);
    if (initrd.size > 0) {
        put_u64(tree, "linux,initrd-start", initrd.gpa);
        put_u64(tree, "linux,initrd-end", initrd.gpa + initrd.size);
    }
    end(tree);
}

int hermit_build_fdt(const struct boot_job *job, const struct hermit_handover *handover,
                     struct hermit_initrd initrd, void *buf, size_t size, struct error *err)
{
    _cleanup_free_ char *bootargs = NULL;
    struct tree tree = {.fdt = buf};

    if (write_bootargs(job->request->cmdline, handover, &bootargs) < 0)
        return error_set(err, -ENOMEM, "out of memory");
    keep(&tree, fdt_create(buf, (int)size));
    if (tree.error == 0)
        keep(&tree, fdt_finish_reservemap(buf));
    begin(&tree, "");
    put_string(&tree, "compatible", "hermit,uhyve");
    put_u32(&tree, "#address-cells", 2);
    put_u32(&tree, "#size-cells", 2);
    put_memory(&tree, job->mem);
    put_cpus(&tree, handover->cpus);
    begin(&tree, "hermit,tsc");
    put_u32(&tree, "khz", handover->tsc_khz);
    end(&tree);
    put_mounts(&tree, handover);
    put_chosen(&tree, bootargs, initrd);
    end(&tree);
    if (tree.error == 0)
        keep(&tree, fdt_finish(buf));
    if (tree.error == 0)
        return 0;
    return error_set(
        err, -E2BIG,
        "the device tree does not fit into the %zu KiB that a Hermit image has for it: "
        "fewer or shorter arguments and environment variables (%zu bytes now), or "
        "fewer CPUs (%u)",
        size / 1024, strlen(bootargs), handover->cpus);
}

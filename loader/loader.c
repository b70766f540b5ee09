#include "loader/loader.h"

#include <errno.h>
#include <stddef.h>

#include "base/util.h"
#include "boot_format.h"
#include "hermit_boot.h"

/*
 * In this order: an image that can be booted in two ways is booted in the first. PVH is before
 * Linux because a vmlinux with the note says itself how it wants to be entered; Hermit is before
 * PVH because by its own protocol it is told more.
 */
static const struct boot_format *const formats[] = {
    &bzimage_format, &hermit_format, &pvh_format, &multiboot_format, &linux_elf_format,
};

static int probe_image(const struct image *image, struct boot_probe *ret_probe, struct error *err)
{
    int r;

    ret_probe->image = image;
    ret_probe->head_size = min_u64(image_size(image), sizeof(ret_probe->head));
    r = boot_read(image, 0, ret_probe->head, ret_probe->head_size, "its beginning", err);
    if (r < 0)
        return r;
    ret_probe->is_elf = elf_has_magic(ret_probe->head, ret_probe->head_size);
    if (ret_probe->is_elf)
        return elf_parse(image, &ret_probe->elf, err);
    return 0;
}

/* Find the format. Returns 0 or a negative errno. */
static int find_format(const struct boot_probe *probe, const struct boot_format **ret_format,
                       enum boot_protocol *ret_protocol, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        int r = formats[i]->recognise(probe, ret_protocol, err);

        if (r < 0)
            return r;
        if (r > 0) {
            *ret_format = formats[i];
            return 0;
        }
    }
    if (probe->is_elf)
        return error_set(err, -ENOEXEC,
                         "a 32-bit ELF file with neither a PVH note nor a Multiboot header");
    return error_set(err, -ENOEXEC, "not an ELF file, a bzImage or a Multiboot image");
}

int image_recognise(const struct image *image, enum boot_protocol *ret_protocol, struct error *err)
{
    const struct boot_format *format = NULL;
    struct boot_probe probe;
    int r;

    r = probe_image(image, &probe, err);
    if (r < 0)
        return r;
    return find_format(&probe, &format, ret_protocol, err);
}

int image_plan(const struct image *image, const struct boot_placement *placement,
               struct boot_plan *ret_plan, struct error *err)
{
    const struct boot_format *format = NULL;
    struct boot_plan plan = {0};
    struct boot_probe probe;
    int r;

    r = probe_image(image, &probe, err);
    if (r == 0)
        r = find_format(&probe, &format, &plan.protocol, err);
    if (r == 0 && plan.protocol == BOOT_HERMIT)
        r = hermit_plan(&probe, placement, &plan, err);
    else if (r == 0 && placement->kind == RAM_BASE_GIVEN && placement->given != 0)
        r = error_set(err, -EINVAL, "only the memory of a Hermit image can begin elsewhere than 0");
    if (r < 0)
        return r;
    *ret_plan = plan;
    return 0;
}

const char *boot_protocol_name(enum boot_protocol protocol)
{
    switch (protocol) {
    case BOOT_BZIMAGE_64:
        return "Linux bzImage (64-bit protocol)";
    case BOOT_BZIMAGE_32:
        return "Linux bzImage (32-bit protocol)";
    case BOOT_LINUX_ELF:
        return "ELF (Linux 64-bit protocol)";
    case BOOT_PVH:
        return "ELF (PVH)";
    case BOOT_MULTIBOOT:
        return "Multiboot";
    case BOOT_HERMIT:
        return "Hermit image";
    }
    return "unknown";
}

int image_load(const struct boot_request *request, struct guest_memory *mem,
               struct boot_result *ret_result, struct error *err)
{
    const struct boot_format *format = NULL;
    enum boot_protocol protocol;
    struct boot_probe probe;
    struct boot_job job;
    int r;

    if (request->module_count > BOOT_MAX_MODULES)
        return error_set(err, -E2BIG, "%zu modules; at most %u are taken", request->module_count,
                         BOOT_MAX_MODULES);
    r = probe_image(request->kernel, &probe, err);
    if (r < 0)
        return r;
    r = find_format(&probe, &format, &protocol, err);
    if (r < 0)
        return r;
    job.request = request;
    job.probe = &probe;
    job.mem = mem;
    job.err = err;
    job.result = (struct boot_result){.protocol = protocol, .kernel_start = UINT64_MAX};
    boot_layout_init(&job.layout, mem);
    r = format->load(&job);
    if (r < 0)
        return r;
    *ret_result = job.result;
    return 0;
}

/* The steps that the image formats share. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "boot_format.h"
#include "guest/layout.h"

/* Say why `name`, which should be [offset, offset + len) of the image, was not read. */
static int read_error(int code, const struct image *image, uint64_t offset, uint64_t len,
                      const char *name, struct error *err)
{
    if (code != -ENODATA)
        return error_set_errno(err, code, "cannot read %s", name);
    if (range_inside(offset, len, image_size(image)))
        return error_set(err, -ENOEXEC, "truncated: %s was cut off while it was being read", name);
    return error_set(err, -ENOEXEC,
                     "truncated: %s is at byte %" PRIu64 " with %" PRIu64
                     " bytes, the file has %" PRIu64,
                     name, offset, len, image_size(image));
}

int boot_read(const struct image *image, uint64_t offset, void *buf, size_t len, const char *name,
              struct error *err)
{
    int r = image_read(image, offset, buf, len);

    return r < 0 ? read_error(r, image, offset, len, name, err) : 0;
}

int boot_read_to_guest(struct boot_job *job, uint64_t offset, uint64_t gpa, uint64_t len,
                       const char *name)
{
    const struct image *image = job->probe->image;
    int r = image_read_to_guest(image, offset, job->mem, gpa, len);

    return r < 0 ? read_error(r, image, offset, len, name, job->err) : 0;
}

int boot_claim_kernel(struct boot_job *job, const char *name, uint64_t gpa, uint64_t size)
{
    int r = boot_layout_claim(&job->layout, name, gpa, size, job->err);

    if (r < 0)
        return r;
    job->result.kernel_start = min_u64(job->result.kernel_start, gpa);
    job->result.kernel_end = max_u64(job->result.kernel_end, gpa + size);
    return 0;
}

int boot_put(struct boot_job *job, const char *name, const void *bytes, size_t size,
             uint64_t alignment, uint64_t *ret_gpa)
{
    uint64_t gpa;
    int r;

    r = boot_layout_place_structure(&job->layout, name, size, alignment, &gpa, job->err);
    if (r < 0)
        return r;
    r = guest_memory_write(job->mem, gpa, bytes, size);
    if (r < 0)
        return error_set_errno(job->err, r, "cannot write %s", name);
    *ret_gpa = gpa;
    return 0;
}

int boot_put_string(struct boot_job *job, const char *name, const char *text, size_t max,
                    uint64_t *ret_gpa)
{
    size_t len = strlen(text);

    if (len > max)
        return error_set(job->err, -E2BIG, "%s too long: %zu bytes, this kernel takes at most %zu",
                         name, len, max);
    return boot_put(job, name, text, len + 1, 16, ret_gpa);
}

int boot_put_image(struct boot_job *job, const char *name, const struct image *image,
                   struct boot_range within, uint64_t *ret_gpa)
{
    uint64_t size = image_size(image), gpa;
    int r;

    r = boot_layout_place(&job->layout, name, size, 4 * KIB, within, BOOT_PLACE_HIGHEST, &gpa,
                          job->err);
    if (r < 0)
        return r;
    r = image_read_to_guest(image, 0, job->mem, gpa, size);
    if (r < 0)
        return read_error(r, image, 0, size, name, job->err);
    *ret_gpa = gpa;
    return 0;
}

static int put_module(struct boot_job *job, const char *name, const struct image *image,
                      const char *arguments, struct boot_placed_module *ret_module)
{
    struct boot_range within = {.start = LAYOUT_HIMEM_BASE, .end = LAYOUT_HIGH_RAM_BASE};
    struct boot_placed_module module = {.size = image_size(image)};
    char string_name[64];
    int r;

    r = boot_put_image(job, name, image, within, &module.gpa);
    if (r < 0)
        return r;
    snprintf(string_name, sizeof(string_name), "argument string of %s", name);
    r = boot_put_string(job, string_name, arguments, BOOT_CMDLINE_MAX, &module.string);
    if (r < 0)
        return r;
    *ret_module = module;
    return 0;
}

int boot_put_modules(struct boot_job *job, struct boot_placed_module *ret_modules,
                     size_t *ret_count)
{
    const struct boot_request *request = job->request;
    size_t count = 0;
    int r;

    if (request->initrd) {
        r = put_module(job, "initrd", request->initrd, "", &ret_modules[count]);
        if (r < 0)
            return r;
        count++;
    }
    for (size_t i = 0; i < request->module_count; i++) {
        char name[32];

        snprintf(name, sizeof(name), "module %zu", i + 1);
        r = put_module(job, name, request->modules[i].image, request->modules[i].arguments,
                       &ret_modules[count]);
        if (r < 0)
            return r;
        count++;
    }
    *ret_count = count;
    return 0;
}

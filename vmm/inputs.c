#include "inputs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/random.h>

#include "embedded_image.h"

const char *inputs_kernel_name(const struct config *config)
{
    return config->kernel ? config->kernel : "(built-in)";
}

/* Unpack an archive, and take its kernel out of it. */
static int open_archive(struct inputs *inputs, const struct config *config, int fd,
                        struct error *err)
{
    char helper[PATH_MAX];
    int r = image_archive_helper_path(helper, sizeof(helper), err);

    if (r == 0)
        r = hermit_archive_open(fd, helper, &IMAGE_ARCHIVE_DEFAULT_LIMITS, &inputs->archive, err);
    if (r == 0)
        r = hermit_config_check(&inputs->archive->config, config->mem_size, config->cpus, err);
    if (r < 0)
        return r;
    r = image_from_fd(inputs->archive->kernel->fd, &inputs->kernel);
    if (r < 0)
        return error_set_errno(err, r, "cannot open its kernel");
    inputs->archive->kernel->fd = -1;
    return 0;
}

/* The kernel's file, or the archive that it is in. */
static int open_kernel_file(struct inputs *inputs, const struct config *config, struct error *err)
{
    _cleanup_close_ int fd = -1;
    int r = image_open(config->kernel, &inputs->kernel, err); /* refuses all but regular files */

    if (r < 0)
        return r;
    fd = open(config->kernel, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || !image_archive_recognise(fd))
        return 0;
    image_close(take_ptr(inputs->kernel));
    return open_archive(inputs, config, fd, err);
}

/* Recognise the kernel, and choose where its memory is to begin. */
static int plan_kernel(struct inputs *inputs, const struct config *config, struct error *err)
{
    struct boot_placement placement = {
        .kind = config->aslr == ASLR_ON    ? RAM_BASE_RANDOM
                : config->aslr == ASLR_OFF ? RAM_BASE_FIXED
                                           : RAM_BASE_GIVEN,
        .given = config->ram_base,
        .memory_size = config->mem_size,
    };
    int r;

    if (getrandom(&placement.random, sizeof(placement.random), 0) !=
        (ssize_t)sizeof(placement.random))
        return error_set(err, -EIO, "the host has no random numbers");
    r = image_plan(inputs->kernel, &placement, &inputs->plan, err);
    return r == -EINVAL ? error_prefix(err, r, "--aslr") : r;
}

static int open_kernel(struct inputs *inputs, const struct config *config, struct error *err)
{
    int r;

    if (config->kernel)
        r = open_kernel_file(inputs, config, err);
    else
        r = image_from_bytes(embedded_image_start,
                             (size_t)(embedded_image_end - embedded_image_start), &inputs->kernel);
    if (r == 0)
        r = plan_kernel(inputs, config, err);
    return r < 0 ? error_prefix(err, r, "cannot load kernel '%s'", inputs_kernel_name(config)) : 0;
}

int inputs_open(struct inputs *inputs, const struct config *config, struct error *err)
{
    int r;

    *inputs = (struct inputs){0};
    r = open_kernel(inputs, config, err);
    if (r == 0 && inputs->plan.protocol != BOOT_HERMIT)
        r = program_config_refuse(&config->program, err);
    if (r < 0)
        return r;
    if (config->initrd) {
        r = image_open(config->initrd, &inputs->initrd, err);
        if (r < 0)
            return error_prefix(err, r, "cannot load initrd '%s'", config->initrd);
    }
    for (size_t i = 0; i < config->module_count; i++) {
        const struct config_module *module = &config->modules[i];

        r = image_open(module->path, &inputs->modules[i].image, err);
        if (r < 0)
            return error_prefix(err, r, "cannot load module '%s'", module->path);
        inputs->modules[i].arguments = module->arguments;
        inputs->module_count = i + 1;
    }
    return 0;
}

void inputs_close(struct inputs *inputs)
{
    for (size_t i = 0; i < inputs->module_count; i++)
        image_close(inputs->modules[i].image);
    image_close(inputs->initrd);
    image_close(inputs->kernel);
    hermit_archive_free(inputs->archive);
    *inputs = (struct inputs){0};
}

struct boot_request inputs_boot_request(const struct inputs *inputs, const struct config *config)
{
    return (struct boot_request){
        .kernel = inputs->kernel,
        .initrd = inputs->initrd,
        .cmdline = config->cmdline ? config->cmdline : "",
        .modules = inputs->modules,
        .module_count = inputs->module_count,
    };
}

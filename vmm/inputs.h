/* The images that a configuration names, opened and recognised. */
#ifndef OSVM_VMM_INPUTS_H
#define OSVM_VMM_INPUTS_H

#include "archive/hermit.h"
#include "base/error.h"
#include "config.h"
#include "loader/image.h"
#include "loader/loader.h"

struct inputs {
    struct hermit_archive *archive; /* the kernel came out of it; NULL: it is a file of its own */
    struct image *kernel;
    struct boot_plan plan; /* what the kernel wants of the machine */
    struct image *initrd;  /* NULL: none */
    struct boot_module modules[CONFIG_MAX_MODULES];
    size_t module_count;
};

/**
 * Open what the configuration names; the built-in image where it names no kernel.
 *
 * Returns 0, or a negative errno with one line for the user in err ("cannot load kernel 'x': …").
 * In both cases inputs_close() follows.
 */
int inputs_open(struct inputs *inputs, const struct config *config, struct error *err);
void inputs_close(struct inputs *inputs);

/* What the loader is to be asked. Borrows from both. */
struct boot_request inputs_boot_request(const struct inputs *inputs, const struct config *config);

/* The kernel's name for messages: its path, or "the built-in image". */
const char *inputs_kernel_name(const struct config *config);

#endif

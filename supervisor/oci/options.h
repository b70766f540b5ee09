/* The arguments of osvm-oci; see ../oci.h. */
#ifndef OSVM_SUPERVISOR_OCI_OPTIONS_H
#define OSVM_SUPERVISOR_OCI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../oci.h"
#include "base/error.h"

struct oci_bind {
    const char *host;
    bool writable;
};

/* All strings are borrowed from the arguments, which may be cut into pieces. */
struct oci_options {
    const char *name, *program, *config, *root;
    bool runc; /* else crun */
    bool no_aslr;
    uint64_t disk_bytes;
    struct oci_bind binds[OCI_MAX_BINDS];
    size_t bind_count;
};

/* Returns 0 or -EINVAL with what is wrong in err. */
int oci_options_parse(int argc, char *argv[], struct oci_options *options, struct error *err);

#endif

/* The bundle, put together in a mount namespace of its own; see ../oci.h. */
#ifndef OSVM_SUPERVISOR_OCI_STAGE_H
#define OSVM_SUPERVISOR_OCI_STAGE_H

#include "options.h"

/**
 * Mount OCI_STAGE with all that belongs there, a /proc of this PID namespace, and take away the
 * control groups that the runtime is to have no hand in. In a mount namespace of its own.
 * Returns 0 or a negative errno with the reason in err.
 */
int stage_make(const struct oci_options *options, struct error *err);

/* Remove the control group that runc made for devices, and another's of that name that is left
 * over. In the caller's mount namespace. */
void stage_remove_group(const struct oci_options *options);

#endif

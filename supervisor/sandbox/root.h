/* The file system that a sandboxed program sees. */
#ifndef OSVM_SUPERVISOR_SANDBOX_ROOT_H
#define OSVM_SUPERVISOR_SANDBOX_ROOT_H

#include "base/error.h"
#include "options.h"

/**
 * Make the root that the options describe and enter it: nothing else of the host's files can be
 * reached from then on, and nothing in it can be changed but /tmp, /dev/shm and writable binds.
 * The caller has a mount namespace and a pid namespace of its own, and the right to mount in them.
 * Returns 0 or a negative errno with the reason in err.
 */
int sandbox_enter_root(const struct sandbox_options *options, struct error *err);

#endif

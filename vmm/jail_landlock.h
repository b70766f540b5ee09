/* Landlock (Linux, Documentation/userspace-api/landlock.rst): what a task may do with paths. */
#ifndef OSVM_VMM_JAIL_LANDLOCK_H
#define OSVM_VMM_JAIL_LANDLOCK_H

#include "base/error.h"
#include "config.h"

/**
 * Prepare to forbid everything with files but what is beneath the shared folders, and where the
 * kernel can: TCP, and abstract Unix sockets and signals that lead outside.
 *
 * @ret_version  of the kernel's interface; 0: it has no Landlock
 * @ret_fd       the ruleset, which the caller closes; -1 without Landlock
 * Returns 0 or a negative errno with the reason in err. While the folders' paths can be reached.
 */
int jail_landlock_prepare(const struct config *config, const char *private_folder, int *ret_version,
                          int *ret_fd, struct error *err);

/* Enforce it, for good. After all mounting, and with no new privileges. Returns 0 or an errno. */
int jail_landlock_enforce(int fd, struct error *err);

#endif

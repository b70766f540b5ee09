/* The jail's view of files: an empty root that cannot be written. */
#ifndef OSVM_VMM_JAIL_ROOT_H
#define OSVM_VMM_JAIL_ROOT_H

#include "base/error.h"

/**
 * In a mount namespace of the process's own: put an empty file system in the place of the root and
 * detach all others. Descriptors that are open stay.
 *
 * @folder  a folder that is kept, read-only, and becomes the working directory; NULL: none
 * Returns 0 or a negative errno with the reason in err.
 */
int jail_empty_root(const char *folder, struct error *err);

#endif

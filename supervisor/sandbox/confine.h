/* What a sandboxed program may not do any more: rights, resources, calls. In the order of use. */
#ifndef OSVM_SUPERVISOR_SANDBOX_CONFINE_H
#define OSVM_SUPERVISOR_SANDBOX_CONFINE_H

#include "base/error.h"
#include "options.h"

/* Nothing that is executed gives new rights, and there is no capability to lose. For good. */
int confine_drop_rights(struct error *err);

/* Landlock, where the kernel has it: what may be written is what is mounted writable. */
int confine_files(const struct sandbox_options *options, struct error *err);

/* Resource limits, no core dumps, addresses. */
int confine_resources(const struct sandbox_options *options, struct error *err);

/**
 * A seccomp filter as it lies in a file.
 * @ret_fd  open before the root is entered, for confine_calls()
 */
int confine_open_filter(const struct sandbox_options *options, int *ret_fd, struct error *err);

/* The filter; the last thing before exec. fd -1: none was asked for. */
int confine_calls(int filter_fd, struct error *err);

/* Have the profile take effect at exec. */
int confine_apparmor(const char *profile, struct error *err);

#endif

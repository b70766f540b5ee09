/* The last steps of a sandboxed process, from a user without rights to the program. */
#ifndef OSVM_SUPERVISOR_SANDBOX_PROGRAM_H
#define OSVM_SUPERVISOR_SANDBOX_PROGRAM_H

#include <stdbool.h>

#include "base/error.h"
#include "options.h"

/**
 * End with the process outside: by its death's signal. It may have died before that was said (and
 * saying it is undone by each change of user), so it is looked at afterwards.
 * @outside  its pidfd
 */
void program_outlive_not(int outside);

/**
 * Confine the process and become the program of `options`. Its rights are dropped already
 * (confine_drop_rights()), its root is entered.
 *
 * @filter  of confine_open_filter()
 * @joined  it comes into a sandbox that is there, for a person perhaps: a program without a slash
 * is looked for in PATH, and a terminal that is nobody's becomes its controlling one Returns only
 * where it could not be started: a negative errno with the reason in err.
 */
int program_become(const struct sandbox_options *options, int filter, bool joined,
                   struct error *err);

#endif

/* Running something inside a sandbox that is there: osvm exec, and probes. */
#ifndef OSVM_SUPERVISOR_SANDBOX_JOIN_H
#define OSVM_SUPERVISOR_SANDBOX_JOIN_H

#include "base/log.h"
#include "options.h"

/**
 * Do what --join or --probe says. The process is to have one thread.
 *
 * @argv  as main() got it
 * Returns the exit status.
 */
int join_run(const struct sandbox_options *options, char *argv[], const struct log *log);

#endif

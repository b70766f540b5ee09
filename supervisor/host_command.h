/* A program of the host, run to its end for what it says: probes, and tools that are asked. */
#ifndef OSVM_SUPERVISOR_HOST_COMMAND_H
#define OSVM_SUPERVISOR_HOST_COMMAND_H

#include <stddef.h>

#include "launch.h"

/* A tool that has not answered by then is ended. */
#define HOST_COMMAND_LIMIT_MS 10000

/**
 * Run it, with nothing on standard input, and take what it says on standard output and error,
 * as much as fits, zero-terminated.
 * Returns its exit status; 128 + N where signal N ended it; or a negative errno. Blocks.
 */
int host_command_run(const struct launch *launch, char *output, size_t size);

#endif

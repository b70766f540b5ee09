/* Where osvm-unpack locks itself in. */
#ifndef OSVM_ARCHIVE_SANDBOX_H
#define OSVM_ARCHIVE_SANDBOX_H

#include <stdint.h>

/**
 * Give up everything but: reading descriptor 0, sending on descriptor 1, memory, and files in it.
 *
 * @bytes  the most that a file may have
 * @cpu_s  seconds of CPU time, after which SIGXCPU ends the process
 * Returns 0 or a negative errno; the process is then to end.
 */
int sandbox_enter(uint64_t bytes, uint64_t cpu_s);

#endif

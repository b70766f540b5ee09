/* A process that does nothing but wait for another one. */
#ifndef OSVM_SUPERVISOR_REAPER_H
#define OSVM_SUPERVISOR_REAPER_H

#include <sys/types.h>

/**
 * Wait for a child's end, reap whatever else ends meanwhile, and pass all signals that come on to
 * it. All signals are blocked before the child is forked, and in here.
 * Returns its exit status; 128 + N where signal N ended it. One thread.
 */
int reaper_wait(pid_t child);

#endif

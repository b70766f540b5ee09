/* The exit record: how, why and at what cost a machine ended, in JSON for programs. */
#ifndef OSVM_VMM_EXIT_RECORD_H
#define OSVM_VMM_EXIT_RECORD_H

#include "base/error.h"
#include "machine.h"
#include "stages.h"

/**
 * Open its file, empty, before anything is started: a place that cannot be written is found out
 * then, and at the end nothing needs opening.
 *
 * @ret_fd  the caller closes it
 * Returns 0 or a negative errno with the reason in err.
 */
int exit_record_open(const char *path, int *ret_fd, struct error *err);

/**
 * Write it.
 *
 * @machine  NULL where none was created (then `end` and the stages alone are told)
 * Returns 0 or a negative errno with the reason in err.
 */
int exit_record_write(int fd, const struct machine_end *end, const struct stages *stages,
                      const struct machine *machine, struct error *err);

#endif

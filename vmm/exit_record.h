/* The exit record: how, why and at what cost a machine ended, in JSON for programs. */
#ifndef OSVM_VMM_EXIT_RECORD_H
#define OSVM_VMM_EXIT_RECORD_H

#include "base/error.h"
#include "machine.h"
#include "stages.h"

/**
 * Write it, whole or not at all.
 *
 * @machine  NULL where none was created (then `end` alone is told)
 * Returns 0 or a negative errno with the reason in err.
 */
int exit_record_write(const char *path, const struct machine_end *end, const struct stages *stages,
                      const struct machine *machine, struct error *err);

#endif

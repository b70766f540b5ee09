/* --stats: what a run did, for a person. The exit record has the same for programs. */
#ifndef OSVM_VMM_STATS_H
#define OSVM_VMM_STATS_H

#include "machine.h"
#include "stages.h"

/* Write to standard error: when each stage was reached, exits and hypercalls by kind. After the
 * vCPUs' end. */
void stats_print(const struct machine *machine, const struct stages *stages);

#endif

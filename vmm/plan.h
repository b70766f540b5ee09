/* --check: say what would be done, start nothing. */
#ifndef OSVM_VMM_PLAN_H
#define OSVM_VMM_PLAN_H

#include "base/error.h"
#include "config.h"
#include "inputs.h"
#include "jail.h"
#include "limits.h"
#include "stages.h"

/**
 * Build and load the machine as a run would, enter its jail, and print the plan to standard output,
 * without starting its CPUs.
 *
 * Returns 0, or a negative errno with one line for the user in err.
 */
int plan_check(const struct config *config, const struct inputs *inputs,
               const struct guardian *guardian, const struct limits *limits, struct jail *jail,
               const struct log *log, struct stages *stages, struct error *err);

#endif

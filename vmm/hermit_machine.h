/*
 * What is different in a machine for a Hermit image: no firmware, so no ACPI tables and no reset
 * vector; memory that may begin elsewhere than at 0; devices where its kernels look for them
 * (docs/hermit.md).
 */
#ifndef OSVM_VMM_HERMIT_MACHINE_H
#define OSVM_VMM_HERMIT_MACHINE_H

#include <stdbool.h>

#include "loader/loader.h"
#include "machine.h"

/* Whether the image is one for Hermit's own hypervisor. */
bool hermit_is_wanted(const struct machine *machine);

/* What the kernel is told of the machine, which is complete. Borrows from it. */
struct hermit_handover hermit_describe(const struct machine *machine);

#endif

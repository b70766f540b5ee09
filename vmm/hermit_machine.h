/*
 * What is different in a machine for a Hermit image: no firmware, so no ACPI tables and no reset
 * vector; memory that may begin elsewhere than at 0; devices where its kernels look for them; and
 * hypercalls (docs/hermit.md).
 */
#ifndef OSVM_VMM_HERMIT_MACHINE_H
#define OSVM_VMM_HERMIT_MACHINE_H

#include <stdbool.h>

#include "guest/hypercall.h"
#include "hermit/hermit.h"
#include "loader/loader.h"
#include "machine.h"

/* Whether the image is one for Hermit's own hypervisor. */
bool hermit_is_wanted(const struct machine *machine);

/**
 * Make what serves its hypercalls: files and console.
 * @ret  freed by hermit_destroy(), after the vCPUs' end; borrows the machine
 * Returns 0 or a negative errno with the reason in err. The machine's memory and console are there.
 */
int hermit_create(struct machine *machine, struct hermit_machine **ret, struct error *err);
void hermit_destroy(struct hermit_machine *hermit); /* accepts NULL */

/* For counting them. */
const struct hermit_calls *hermit_machine_calls(const struct hermit_machine *hermit);

/* What each vCPU is given; NULL where `hermit` is. */
struct hypercall_sink *hermit_hypercalls(struct hermit_machine *hermit);

/* What a Hermit kernel is told of the machine, which is complete. Borrows from it. */
struct hermit_handover hermit_describe(const struct machine *machine);

#endif

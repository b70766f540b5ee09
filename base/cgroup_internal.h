/* What cgroup.c and cgroup_host.c share. */
#ifndef OSVM_BASE_CGROUP_INTERNAL_H
#define OSVM_BASE_CGROUP_INTERNAL_H

#include <stddef.h>

#include "base/cgroup.h"

/* The kernel's word for it. */
const char *cgroup_controller_name(enum cgroup_controller controller);

/* The bits of the controllers in a list, with commas or blanks between; others are passed over. */
unsigned cgroup_controller_bits(const char *words, size_t len);

#endif

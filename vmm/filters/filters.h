/* The filters that generate.c makes. */
#ifndef OSVM_VMM_FILTERS_FILTERS_H
#define OSVM_VMM_FILTERS_FILTERS_H

#include "base/thread.h"
#include "filter_sets.h"

extern const unsigned char filter_bytes[];
extern const struct filter filters[THREAD_KINDS][FILTER_SETS];

#endif

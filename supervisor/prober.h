/*
 * A probe of a component, again and again: first until it is ready, then of its health. Nothing
 * here blocks: connections and commands are waited for by the loop.
 */
#ifndef OSVM_SUPERVISOR_PROBER_H
#define OSVM_SUPERVISOR_PROBER_H

#include "supervisor.h"

/**
 * Begin to probe. Each answer goes to managed_probed(), which may call prober_stop().
 * Returns 0 or a negative errno; there is no prober then.
 */
int prober_start(struct managed *managed, const struct probe *probe);

/* End it, with what is under way. Accepts a component without one. */
void prober_stop(struct managed *managed);

#endif

/*
 * Inside a component that runs: which of its processes that is, and the launch of a command beside
 * it, with its namespaces, limits and filter. For `osvm exec` and for probes.
 */
#ifndef OSVM_SUPERVISOR_INSIDE_H
#define OSVM_SUPERVISOR_INSIDE_H

#include "base/error.h"
#include "component.h"
#include "launch.h"
#include "paths.h"
#include "process.h"
#include "runtime.h"

/**
 * A process of the component's own below the one that its monitor started: in another user
 * namespace, without capabilities, with a filter, which is what it gets last. Before that its root
 * may still be the host's.
 *
 * Returns 0, or -ESRCH where there is none (yet, or any more). Any thread.
 */
int inside_find(const struct process_id *child, struct process_id *ret_inner);

/**
 * The launch of a command inside. It is for whoever has the rights of the component's daemon; its
 * standard streams are the caller's.
 *
 * @runtime     that runs it
 * @child       what its monitor started
 * @directory   where it starts; NULL: where the component does
 * @ret_launch  empty; freed by launch_free(), whatever comes of it
 * Returns 0; -EOPNOTSUPP where nothing can be run in it; -ESRCH where it does not run; or another
 * negative errno; the reason is in err.
 */
int inside_command(const struct component *component, const struct runtime *runtime,
                   const struct process_id *child, const struct paths *paths,
                   const struct string_list *command, const char *directory,
                   struct launch *ret_launch, struct error *err);

/* The launch of a look at a port of its own loopback address. @probe  of kind tcp or http */
int inside_probe(const struct component *component, const struct runtime *runtime,
                 const struct process_id *child, const struct paths *paths,
                 const struct probe *probe, struct launch *ret_launch, struct error *err);

#endif

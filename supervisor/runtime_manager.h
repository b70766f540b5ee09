/*
 * Which runtime runs a component. What is available was tried; what is missing is an error that
 * names it. A weaker level is taken only where the component allows it by name; a stronger one is
 * never taken unasked, because it would not run the same thing.
 */
#ifndef OSVM_SUPERVISOR_RUNTIME_MANAGER_H
#define OSVM_SUPERVISOR_RUNTIME_MANAGER_H

#include <jansson.h>

#include "runtime.h"

#define RUNTIME_MAX 16

struct runtime_manager {
    const struct runtime *runtimes[RUNTIME_MAX];
    struct runtime_probe probes[RUNTIME_MAX];
    size_t count;
};

/* Probe all runtimes that there are. Takes some milliseconds each. */
void runtime_manager_init(struct runtime_manager *manager);

/* A list with each runtime's level, name, score, and what its probe found. A new reference. */
json_t *runtime_manager_describe(const struct runtime_manager *manager);

struct runtime_choice {
    const struct runtime *runtime;
    enum isolation_level level; /* below the component's where `weaker` */
    bool weaker;
    char reason[256]; /* why this one: for logs, `osvm inspect` and the demo */
};

/**
 * Choose for a component, and have the runtime check it.
 * Returns 0 or a negative errno, with what is missing and how to get it in err.
 */
int runtime_manager_choose(const struct runtime_manager *manager, const struct component *component,
                           struct runtime_choice *ret_choice, struct error *err);

#endif

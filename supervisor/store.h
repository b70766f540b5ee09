/*
 * Components on disk: STATE/components/NAME/component.json, and whether each is wanted to run. What
 * is written is whole or not there, and is on the disk when the call returns.
 */
#ifndef OSVM_SUPERVISOR_STORE_H
#define OSVM_SUPERVISOR_STORE_H

#include <stdbool.h>

#include "base/error.h"
#include "component.h"
#include "paths.h"

/* Take what was found. The component is the callee's from then on. */
typedef void store_found_fn(void *context, struct component *component, bool wanted);
/* A folder whose component can't be read, and why. */
typedef void store_damaged_fn(void *context, const char *name, const char *why);

/**
 * Look at all that there are, in no order. A damaged one does not keep the others from loading.
 * Returns 0 or a negative errno with the reason in err.
 */
int store_load(const struct paths *paths, store_found_fn *found, store_damaged_fn *damaged,
               void *context, struct error *err);

/* Write a component, new or changed. Returns 0 or a negative errno with the reason in err. */
int store_save(const struct paths *paths, const struct component *component, struct error *err);

/* Remember whether it is to run. */
int store_set_wanted(const struct paths *paths, const char *name, bool wanted, struct error *err);

/* Remove it, with its log. */
int store_remove(const struct paths *paths, const char *name, struct error *err);

#endif

/* What an OCI runtime is told of a component: its config.json, for the bundle of oci.h. */
#ifndef OSVM_SUPERVISOR_OCI_CONFIG_H
#define OSVM_SUPERVISOR_OCI_CONFIG_H

#include <jansson.h>

#include "base/error.h"
#include "component.h"

/* A bundle that the component brings. Of its config.json counts what is to be run, in which folder,
 * with which environment, and its root; how isolated that is says the component alone. */
struct oci_bundle {
    char *root; /* absolute */
    struct string_list command, environment;
    char *directory;
};

/**
 * Read a bundle's config.json.
 * @ret_bundle  freed by oci_bundle_free(), whatever comes of it
 * Returns 0 or a negative errno with the reason in err.
 */
int oci_bundle_read(const char *folder, struct oci_bundle *ret_bundle, struct error *err);
void oci_bundle_free(struct oci_bundle *bundle);

/**
 * The config.json (OCI runtime specification 1.0). The container has a user of its own, namespaces
 * of all kinds, no capability, no new privileges, a read-only root, and a filter of system calls.
 *
 * @bundle      NULL where it is a root folder
 * @ret_config  a new reference
 * Returns 0 or a negative errno with the reason in err.
 */
int oci_config_make(const struct component *component, const struct oci_bundle *bundle,
                    json_t **ret_config, struct error *err);

#endif

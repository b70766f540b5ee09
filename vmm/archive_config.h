/*
 * What a packed Hermit image says of itself, put together with what its user says: the user has the
 * last word.
 */
#ifndef OSVM_VMM_ARCHIVE_CONFIG_H
#define OSVM_VMM_ARCHIVE_CONFIG_H

#include "archive/hermit.h"
#include "base/error.h"
#include "config.h"

/**
 * Put into the configuration: kernel_args before the command line, app_args before the user's
 * arguments, variables that the user does not give, and each file that is neither the kernel nor
 * hermit.toml as a read-only mapping at its path, where the user maps nothing else.
 *
 * @archive  borrowed as long as the configuration: the mappings are its descriptors
 * Returns 0; -E2BIG for more files than can be mapped; or -ENOMEM; the reason is in err.
 */
int archive_config_apply(const struct hermit_archive *archive, struct config *config,
                         struct error *err);

#endif

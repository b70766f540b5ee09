/* The config file: a JSON object whose keys are the options' names. */
#ifndef OSVM_VMM_CONFIG_FILE_H
#define OSVM_VMM_CONFIG_FILE_H

#include <stddef.h>

#include "base/error.h"
#include "config.h"

#define CONFIG_FILE_MAX_SIZE (1024 * 1024)

/**
 * Apply a config file to `config`.
 * Returns 0, or a negative errno with "FILE:LINE: what is wrong" in err.
 */
int config_file_read(const char *path, struct config *config, struct error *err);

/* The same for text in memory; `name` stands for the file in messages. */
int config_text_read(const char *name, const char *text, size_t len, struct config *config,
                     struct error *err);

#endif

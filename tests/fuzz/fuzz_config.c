/* vmm/config_file.h with any text as the file. */
#include <stddef.h>
#include <stdint.h>

#include "config_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct config config;

    config_init(&config);
    config_text_read("fuzz.json", (const char *)data, size, &config, &err);
    config_free(&config);
    return 0;
}

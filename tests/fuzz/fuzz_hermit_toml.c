/* archive/hermit.h with any text as hermit.toml. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "archive/hermit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hermit_config config = {0};
    struct error err = {0};
    int r = hermit_config_read((const char *)data, size, &config, &err);

    if (r == 0 && !config.kernel)
        abort();
    if (r < 0 && !err.text[0])
        abort();
    hermit_config_free(&config);
    return 0;
}

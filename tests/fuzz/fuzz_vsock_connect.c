/*
 * virtio/vsock_connect_line.h with any bytes as what a host client says: the first byte is the
 * size of the pieces in which they come. However they are cut, the result is the same.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "vsock_connect_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    int result;
    uint32_t port;
    size_t used;
};

static struct outcome feed(const uint8_t *data, size_t size, size_t piece)
{
    struct vsock_connect_line line = {.len = 0};
    struct outcome outcome = {.result = 0};

    while (outcome.result == 0 && outcome.used < size) {
        size_t len = min_u64(piece, size - outcome.used), used = 0;

        outcome.result =
            vsock_connect_line_feed(&line, data + outcome.used, len, &used, &outcome.port);
        outcome.used += used;
        if (used > len || outcome.used > VSOCK_CONNECT_LINE_MAX)
            __builtin_trap();
    }
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole, cut;

    if (size < 1)
        return 0;
    whole = feed(data + 1, size - 1, SIZE_MAX);
    cut = feed(data + 1, size - 1, data[0] ? data[0] : 1);
    if (whole.result != cut.result || whole.used != cut.used || whole.port != cut.port)
        __builtin_trap();
    return 0;
}

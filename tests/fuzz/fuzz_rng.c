/* virtio/rng.h, with a rate limit that now and then holds a buffer back. */
#include "base/clock.h"
#include "device_fuzz.h"
#include "virtio/rng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct virtio_rng_options options = {
        .bytes = {.size = 256 * KIB, .refill_ns = NS_PER_MS}};
    static struct device_fuzz fuzz;

    if (!fuzz.mem) {
        fuzz_init(&fuzz);
        if (virtio_rng_create(&fuzz.env, "rng0", &options, &fuzz.device, NULL) < 0)
            abort();
    }
    fuzz_run(&fuzz, data, size);
    return 0;
}

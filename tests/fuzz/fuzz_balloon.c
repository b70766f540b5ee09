/* virtio/balloon.h: lists of pages, reports and statistics. */
#include "device_fuzz.h"
#include "virtio/balloon.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct virtio_balloon_options options = {
        .target_bytes = 64 * KIB,
        .deflate_on_oom = true,
        .free_page_reporting = true,
        .stats_interval_s = 1,
    };
    static struct device_fuzz fuzz;
    struct virtio_balloon_info info;

    if (!fuzz.mem) {
        fuzz_init(&fuzz);
        if (virtio_balloon_create(&fuzz.env, "balloon0", &options, &fuzz.device, NULL) < 0)
            abort();
    }
    fuzz_run(&fuzz, data, size);
    virtio_balloon_get_info(fuzz.device, &info);
    return 0;
}

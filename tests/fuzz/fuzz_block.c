/* virtio/block.h, on a disk in memory: by threads or by io_uring, as the 8th byte says. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device_fuzz.h"
#include "virtio/block.h"

#define DISK_SIZE (256 * KIB)

static struct virtio_device *make_disk(struct device_fuzz *fuzz, enum block_engine engine)
{
    struct virtio_block_options options = {.serial = "fuzz", .engine = engine};
    struct virtio_device *device = NULL;
    char path[32];
    int fd = memfd_create("fuzz-disk", MFD_CLOEXEC);

    if (fd < 0 || ftruncate(fd, DISK_SIZE) < 0)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    options.path = path;
    if (virtio_block_create(&fuzz->env, "disk0", &options, &device, NULL) < 0)
        abort();
    close(fd);
    return device;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct device_fuzz fuzz;
    static struct virtio_device *disks[2];

    if (!fuzz.mem) {
        fuzz_init(&fuzz);
        disks[0] = make_disk(&fuzz, BLOCK_ENGINE_THREADS);
        disks[1] = make_disk(&fuzz, BLOCK_ENGINE_AUTO);
    }
    if (size < 8)
        return 0;
    fuzz.device = disks[data[7] & 1];
    fuzz_run(&fuzz, data, size);
    return 0;
}

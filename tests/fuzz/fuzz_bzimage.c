/* bzImages: both magic numbers are put right. */
#include "loader_fuzz.h"

static void put_right(uint8_t *image, size_t size)
{
    if (size < 0x206)
        return;
    image[0x1fe] = 0x55;
    image[0x1ff] = 0xaa;
    memcpy(image + 0x202, "HdrS", 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return loader_fuzz_one(data, size, put_right);
}

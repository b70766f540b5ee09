/* Multiboot images: the checksum of the first header is put right. */
#include "base/bytes.h"
#include "loader_fuzz.h"

static void put_right(uint8_t *image, size_t size)
{
    for (size_t at = 0; range_inside(at, 12, size); at += 4) {
        uint32_t magic = load_le32(image + at), flags = load_le32(image + at + 4);

        if (magic != 0x1badb002)
            continue;
        store_le32(image + at + 8, 0U - magic - flags);
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return loader_fuzz_one(data, size, put_right);
}

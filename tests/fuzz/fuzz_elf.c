/* ELF files, and whatever else an image may be: nothing of the input is put right. */
#include "loader_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return loader_fuzz_one(data, size, NULL);
}

/* Hermit images: magic, class, byte order, version and machine are put right. */
#include <elf.h>

#include "loader_fuzz.h"

static void put_right(uint8_t *image, size_t size)
{
    static const uint8_t ident[] = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT};

    if (size <= offsetof(Elf64_Ehdr, e_machine))
        return;
    memcpy(image, ident, sizeof(ident));
    image[offsetof(Elf64_Ehdr, e_machine)] = EM_X86_64;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return loader_fuzz_one(data, size, put_right);
}

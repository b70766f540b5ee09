/* ELF files with notes: magic, byte order, version and machine are put right. */
#include <elf.h>

#include "loader_fuzz.h"

static void put_right(uint8_t *image, size_t size)
{
    static const uint8_t magic[] = {0x7f, 'E', 'L', 'F'};

    if (size <= offsetof(Elf64_Ehdr, e_machine))
        return;
    memcpy(image, magic, sizeof(magic));
    image[EI_DATA] = ELFDATA2LSB;
    image[EI_VERSION] = EV_CURRENT;
    image[offsetof(Elf64_Ehdr, e_machine)] = image[EI_CLASS] == ELFCLASS32 ? EM_386 : EM_X86_64;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return loader_fuzz_one(data, size, put_right);
}

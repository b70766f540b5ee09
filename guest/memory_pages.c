#include "memory_pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/util.h"

#define PAGE_BYTES      UINT64_C(4096)
#define HUGE_PAGE_BYTES (2 * MIB)

/* Linux, Documentation/admin-guide/mm/transhuge.rst and ksm.rst. */
#define THP_DIR "/sys/kernel/mm/transparent_hugepage/"
#define KSM_RUN "/sys/kernel/mm/ksm/run"

/* The word in brackets of a setting is one of `words`, which are separated by blanks. */
static bool setting_is(const char *path, const char *words)
{
    _cleanup_free_ char *text = NULL;
    char *word, *end;
    size_t len;

    if (io_read_file(path, 4 * KIB, &text, &len) < 0)
        return false;
    word = strchr(text, '[');
    end = word ? strchr(word, ']') : NULL;
    if (!end)
        return false;
    *end = '\0';
    word++;
    for (const char *at = strstr(words, word); at; at = strstr(at + 1, word)) {
        char before = at == words ? ' ' : at[-1], after = at[strlen(word)];

        if (before == ' ' && (after == ' ' || after == '\0'))
            return true;
    }
    return false;
}

static bool host_makes_file_pages_huge(void)
{
    return setting_is(THP_DIR "shmem_enabled", "always within_size advise force");
}

static bool host_makes_pages_huge(void)
{
    return setting_is(THP_DIR "enabled", "always madvise");
}

static bool host_merges_pages(void)
{
    _cleanup_free_ char *text = NULL;
    size_t len;

    return io_read_file(KSM_RUN, 64, &text, &len) == 0 && text[0] == '1';
}

bool memory_pages_anonymous(const struct guest_memory_options *options)
{
    return options->merge || (options->thp == GUEST_MEMORY_THP_ON && !host_makes_file_pages_huge());
}

const char *guest_memory_host_lacks(const struct guest_memory_options *options)
{
    if (options->thp == GUEST_MEMORY_THP_ON && !host_makes_pages_huge())
        return "--thp=on: this host makes no pages huge (" THP_DIR "enabled)";
    if (options->merge && !host_merges_pages())
        return "--ksm: this host merges no pages now (" KSM_RUN " is not 1)";
    return NULL;
}

int memory_pages_map(uint64_t size, uint8_t **ret_mapping)
{
    uint64_t room = size + HUGE_PAGE_BYTES, head;
    uint8_t *start = mmap(NULL, (size_t)room, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (start == MAP_FAILED)
        return -errno;
    head = align_up((uintptr_t)start, HUGE_PAGE_BYTES) - (uintptr_t)start;
    if (head > 0)
        munmap(start, (size_t)head);
    munmap(start + head + size, (size_t)(room - size - head));
    *ret_mapping = start + head;
    return 0;
}

int memory_pages_advise(uint8_t *mapping, const struct guest_memory_options *options,
                        struct error *err)
{
    static const int thp_advice[] = {
        [GUEST_MEMORY_THP_ON] = MADV_HUGEPAGE,
        [GUEST_MEMORY_THP_OFF] = MADV_NOHUGEPAGE,
    };

    if (options->thp != GUEST_MEMORY_THP_HOST &&
        madvise(mapping, (size_t)options->size, thp_advice[options->thp]) < 0 &&
        options->thp == GUEST_MEMORY_THP_ON)
        return error_set_errno(err, -errno, "this host's kernel has no transparent huge pages");
    if (options->merge && madvise(mapping, (size_t)options->size, MADV_MERGEABLE) < 0)
        return error_set_errno(err, -errno, "this host's kernel cannot merge pages (KSM)");
    return 0;
}

uint64_t memory_pages_resident(const uint8_t *mapping, uint64_t size)
{
    unsigned char present[4096]; /* a byte a page: 16 MiB at a time */
    uint64_t resident = 0;

    for (uint64_t at = 0; at < size; at += sizeof(present) * PAGE_BYTES) {
        uint64_t len = min_u64(size - at, sizeof(present) * PAGE_BYTES);

        if (mincore((void *)(uintptr_t)(mapping + at), (size_t)len, present) < 0)
            return resident;
        for (uint64_t page = 0; page < len / PAGE_BYTES; page++)
            resident += (present[page] & 1) * PAGE_BYTES;
    }
    return resident;
}

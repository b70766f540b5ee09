#include "guest/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/io.h"
#include "base/parse.h"
#include "base/util.h"
#include "guest/layout.h"
#include "memory_pages.h"

#define PAGE_SIZE_4K UINT64_C(4096)
#define PAGE_SIZE_2M (2 * MIB)

struct guest_memory {
    int fd;
    uint8_t *mapping; /* the whole memfd */
    uint64_t size;
    bool hugepages;
    size_t region_count;
    struct guest_region regions[GUEST_MEMORY_MAX_REGIONS];
};

/* What the machine has in all, swap included: more than that no policy of the host can promise. */
static uint64_t host_memory_total(void)
{
    struct sysinfo info;

    if (sysinfo(&info) < 0)
        return UINT64_MAX;
    return ((uint64_t)info.totalram + info.totalswap) * info.mem_unit;
}

/* What could be handed out right now without killing anybody: MemAvailable of /proc/meminfo. */
static uint64_t host_memory_available(void)
{
    _cleanup_free_ char *text = NULL;
    uint64_t kib;
    char *line;
    size_t len;

    if (io_read_file("/proc/meminfo", 64 * KIB, &text, &len) < 0)
        return UINT64_MAX;
    line = strstr(text, "MemAvailable:");
    if (!line || sscanf(line, "MemAvailable: %" SCNu64 " kB", &kib) != 1)
        return UINT64_MAX;
    return kib * KIB;
}

static int check_size(const struct guest_memory_options *options, struct error *err)
{
    uint64_t page = options->hugepages ? PAGE_SIZE_2M : PAGE_SIZE_4K;
    uint64_t total = host_memory_total();
    char wanted[32], have[32];

    format_size(options->size, wanted, sizeof(wanted));
    if (options->size == 0)
        return error_set(err, -EINVAL, "a machine needs some memory, not 0");
    if (options->size % page)
        return error_set(err, -EINVAL, "%s is not a multiple of the page size, %s", wanted,
                         format_size(page, have, sizeof(have)));
    if (options->hugepages && (options->merge || options->thp == GUEST_MEMORY_THP_ON))
        return error_set(err, -EINVAL,
                         "pages of the reserved pool are huge already, and are not merged: "
                         "--hugepages goes with neither --thp=on nor --ksm");
    if (options->size > total)
        return error_set(err, -ENOMEM, "%s is more than this host can promise: it has %s in all",
                         wanted, format_size(total, have, sizeof(have)));
    if (options->prefault && !options->hugepages) {
        uint64_t available = host_memory_available();

        if (options->size > available)
            return error_set(err, -ENOMEM, "cannot prefault %s: this host has %s available now",
                             wanted, format_size(available, have, sizeof(have)));
    }
    return 0;
}

/* Where the hole begins. */
static uint64_t hole_start(const struct guest_memory_options *options)
{
    return options->hole ? options->hole : LAYOUT_LOW_RAM_END;
}

static int check_place(const struct guest_memory_options *options, struct error *err)
{
    uint64_t base = options->base, hole = hole_start(options), end;

    if (hole > LAYOUT_HIGH_RAM_BASE || hole % PAGE_SIZE_2M)
        return error_set(err, -EINVAL, "the devices' hole cannot begin at 0x%" PRIx64, hole);
    if (base % PAGE_SIZE_2M)
        return error_set(err, -EINVAL,
                         "memory cannot begin at 0x%" PRIx64 ", which is not a "
                         "multiple of 2 MiB",
                         base);
    if (base >= hole && base < LAYOUT_HIGH_RAM_BASE)
        return error_set(err, -EINVAL,
                         "memory cannot begin at 0x%" PRIx64 ": 0x%" PRIx64
                         " to 4 GiB is the devices'",
                         base, hole);
    /* What the hole displaces comes on top, so that no end can wrap. */
    if (__builtin_add_overflow(base, options->size, &end) || end > UINT64_MAX - 4 * GIB)
        return error_set(err, -EINVAL, "memory cannot begin at 0x%" PRIx64 ": it would not end",
                         base);
    return 0;
}

static void place_regions(struct guest_memory *mem, const struct guest_memory_options *options)
{
    uint64_t base = options->base, hole = hole_start(options);
    uint64_t first = base < hole ? min_u64(mem->size, hole - base) : mem->size;

    mem->regions[0] = (struct guest_region){.gpa = base, .size = first, .host = mem->mapping};
    mem->region_count = 1;
    if (mem->size > first) {
        mem->regions[1] = (struct guest_region){
            .gpa = LAYOUT_HIGH_RAM_BASE,
            .size = mem->size - first,
            .host = mem->mapping + first,
        };
        mem->region_count = 2;
    }
}

static int map_anonymous(struct guest_memory *mem, struct error *err)
{
    int r = memory_pages_map(mem->size, &mem->mapping);
    char wanted[32];

    if (r < 0)
        return error_set_errno(err, r, "cannot map %s",
                               format_size(mem->size, wanted, sizeof(wanted)));
    return 0;
}

static int map_file(struct guest_memory *mem, const struct guest_memory_options *options,
                    struct error *err)
{
    unsigned memfd_flags = MFD_CLOEXEC | (options->hugepages ? MFD_HUGETLB | MFD_HUGE_2MB : 0);
    /* Huge pages are reserved at once, so that a guest's first touch can never find none left. */
    int map_flags = MAP_SHARED | (options->hugepages ? 0 : MAP_NORESERVE);
    char wanted[32];

    format_size(mem->size, wanted, sizeof(wanted));
    mem->fd = memfd_create("guest-memory", memfd_flags);
    if (mem->fd < 0)
        return error_set_errno(err, -errno, "cannot make a memory file");
    if (ftruncate(mem->fd, (off_t)mem->size) < 0)
        return error_set_errno(err, -errno, "cannot make a memory file of %s", wanted);
    mem->mapping = mmap(NULL, (size_t)mem->size, PROT_READ | PROT_WRITE, map_flags, mem->fd, 0);
    if (mem->mapping == MAP_FAILED) {
        int code = -errno;

        mem->mapping = NULL;
        if (options->hugepages)
            return error_set(err, -ENOMEM,
                             "this host has not %s of free 2 MiB pages; reserve them in "
                             "/proc/sys/vm/nr_hugepages (%" PRIu64 " are needed)",
                             wanted, mem->size / PAGE_SIZE_2M);
        return error_set_errno(err, code, "cannot map %s", wanted);
    }
    return 0;
}

static int map_memory(struct guest_memory *mem, const struct guest_memory_options *options,
                      struct error *err)
{
    int r = memory_pages_anonymous(options) ? map_anonymous(mem, err) : map_file(mem, options, err);
    char wanted[32];

    if (r == 0)
        r = memory_pages_advise(mem->mapping, options, err);
    if (r < 0)
        return r;
    madvise(mem->mapping, (size_t)mem->size, MADV_DONTDUMP); /* a guest's secrets are its own */
    if (options->prefault && madvise(mem->mapping, (size_t)mem->size, MADV_POPULATE_WRITE) < 0)
        return error_set_errno(err, -errno, "cannot prefault %s",
                               format_size(mem->size, wanted, sizeof(wanted)));
    return 0;
}

int guest_memory_create(const struct guest_memory_options *options, struct guest_memory **ret_mem,
                        struct error *err)
{
    _cleanup_(guest_memory_destroy_cleanup) struct guest_memory *mem = NULL;
    int r = check_size(options, err);

    if (r == 0)
        r = check_place(options, err);
    if (r < 0)
        return r;
    mem = calloc(1, sizeof(*mem));
    if (!mem)
        return error_set(err, -ENOMEM, "out of memory");
    mem->fd = -1;
    mem->size = options->size;
    mem->hugepages = options->hugepages;
    r = map_memory(mem, options, err);
    if (r < 0)
        return r;
    place_regions(mem, options);
    *ret_mem = take_ptr(mem);
    return 0;
}

void guest_memory_destroy(struct guest_memory *mem)
{
    if (!mem)
        return;
    if (mem->mapping)
        munmap(mem->mapping, (size_t)mem->size);
    close_fd(mem->fd);
    free(mem);
}

uint64_t guest_memory_size(const struct guest_memory *mem)
{
    return mem->size;
}

const struct guest_region *guest_memory_regions(const struct guest_memory *mem, size_t *ret_count)
{
    *ret_count = mem->region_count;
    return mem->regions;
}

int guest_memory_span(const struct guest_memory *mem, uint64_t gpa, uint64_t len, void **ret_host)
{
    for (size_t i = 0; i < mem->region_count; i++) {
        const struct guest_region *region = &mem->regions[i];
        uint64_t offset = gpa - region->gpa; /* wraps to a huge number where gpa lies below */

        if (offset < region->size && len <= region->size - offset) {
            *ret_host = region->host + offset;
            return 0;
        }
    }
    return -EFAULT;
}

int guest_memory_read(const struct guest_memory *mem, uint64_t gpa, void *buf, size_t len)
{
    void *host;
    int r = guest_memory_span(mem, gpa, len, &host);

    if (r == 0)
        memcpy(buf, host, len);
    return r;
}

int guest_memory_write(struct guest_memory *mem, uint64_t gpa, const void *buf, size_t len)
{
    void *host;
    int r = guest_memory_span(mem, gpa, len, &host);

    if (r == 0)
        memcpy(host, buf, len);
    return r;
}

int guest_memory_zero(struct guest_memory *mem, uint64_t gpa, uint64_t len)
{
    void *host;
    int r = guest_memory_span(mem, gpa, len, &host);

    if (r == 0)
        memset(host, 0, (size_t)len);
    return r;
}

uint64_t guest_memory_resident(const struct guest_memory *mem)
{
    struct stat st;

    if (guest_memory_is_anonymous(mem))
        return memory_pages_resident(mem->mapping, mem->size);
    if (fstat(mem->fd, &st) < 0)
        return 0;
    return (uint64_t)st.st_blocks * 512;
}

bool guest_memory_is_anonymous(const struct guest_memory *mem)
{
    return mem->fd < 0;
}

int guest_memory_gpa(const struct guest_memory *mem, const void *host, uint64_t len,
                     uint64_t *ret_gpa)
{
    for (size_t i = 0; i < mem->region_count; i++) {
        const struct guest_region *region = &mem->regions[i];
        uint64_t offset = (uintptr_t)host - (uintptr_t)region->host; /* wraps where it lies below */

        if (offset < region->size && len <= region->size - offset) {
            *ret_gpa = region->gpa + offset;
            return 0;
        }
    }
    return -EFAULT;
}

bool guest_memory_can_discard(const struct guest_memory *mem)
{
    return !mem->hugepages;
}

int guest_memory_discard(struct guest_memory *mem, uint64_t gpa, uint64_t len)
{
    uint64_t start, end;
    void *host;
    int r = guest_memory_span(mem, gpa, len, &host);

    if (r < 0)
        return r;
    if (mem->hugepages)
        return -EOPNOTSUPP;
    /* Regions are whole pages, in the file as in the guest, so both round alike. */
    start = (uint64_t)((uint8_t *)host - mem->mapping);
    end = align_down(start + len, PAGE_SIZE_4K);
    start = align_up(start, PAGE_SIZE_4K);
    if (start >= end)
        return 0;
    if (guest_memory_is_anonymous(mem))
        return madvise(mem->mapping + start, (size_t)(end - start), MADV_DONTNEED) < 0 ? -errno : 0;
    if (fallocate(mem->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)start,
                  (off_t)(end - start)) < 0)
        return -errno;
    return 0;
}

static void map_add(struct memory_map_entry *entries, size_t *count, uint64_t start, uint64_t end,
                    enum memory_map_type type)
{
    if (end > start)
        entries[(*count)++] = (struct memory_map_entry){start, end - start, type};
}

size_t guest_memory_map(const struct guest_memory *mem, struct memory_map_entry *ret_entries)
{
    const struct guest_region *low = &mem->regions[0];
    size_t count = 0;

    if (low->gpa > 0) {
        for (size_t i = 0; i < mem->region_count; i++)
            map_add(ret_entries, &count, mem->regions[i].gpa,
                    mem->regions[i].gpa + mem->regions[i].size, MEMORY_MAP_RAM);
        return count;
    }
    map_add(ret_entries, &count, 0, min_u64(low->size, LAYOUT_LOW_RAM_TOP), MEMORY_MAP_RAM);
    map_add(ret_entries, &count, LAYOUT_LOW_RAM_TOP, LAYOUT_HIMEM_BASE, MEMORY_MAP_RESERVED);
    map_add(ret_entries, &count, LAYOUT_HIMEM_BASE, low->size, MEMORY_MAP_RAM);
    if (mem->region_count > 1) {
        const struct guest_region *high = &mem->regions[1];

        map_add(ret_entries, &count, high->gpa, high->gpa + high->size, MEMORY_MAP_RAM);
    }
    return count;
}

/* guest/memory.h: huge and merged pages, seen in what the kernel says of the mapping. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "guest/memory.h"

#define SIZE      (8 * MIB)
#define LINE_SIZE 512

static uint8_t *host_of(struct guest_memory *mem)
{
    void *host;

    assert_int_equal(guest_memory_span(mem, 0, SIZE, &host), 0);
    return host;
}

/* Find a line of the mapping that holds `host` in /proc/self/smaps. */
static void mapping_line(const void *host, const char *name, char ret_line[LINE_SIZE])
{
    _cleanup_fclose_ FILE *file = fopen("/proc/self/smaps", "re");
    bool here = false;
    char line[LINE_SIZE];

    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        unsigned long start, end;

        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            here = (unsigned long)host >= start && (unsigned long)host < end;
        else if (here && strncmp(line, name, strlen(name)) == 0) {
            memcpy(ret_line, line, LINE_SIZE);
            return;
        }
    }
    fail_msg("no %s of the mapping", name);
}

struct row {
    const char *name;
    enum guest_memory_thp thp;
    bool merge;
    const char *flag;   /* that the mapping has; NULL: none of "hg", "nh", "mg" */
    bool may_be_a_file; /* it depends on the host */
    bool anonymous;     /* where it may not */
};

static const struct row rows[] = {
    {"as the host does", GUEST_MEMORY_THP_HOST, false, NULL, false, false},
    {"huge", GUEST_MEMORY_THP_ON, false, " hg", true, true},
    {"never huge", GUEST_MEMORY_THP_OFF, false, " nh", false, false},
    {"merged", GUEST_MEMORY_THP_HOST, true, " mg", false, true},
    {"merged and huge: merged", GUEST_MEMORY_THP_ON, true, " mg", false, true},
    {"merged and huge: huge", GUEST_MEMORY_THP_ON, true, " hg", false, true},
    {"merged and never huge", GUEST_MEMORY_THP_OFF, true, " nh", false, true},
};

static struct guest_memory *create(const struct row *row, bool prefault)
{
    struct guest_memory_options options = {
        .size = SIZE, .thp = row->thp, .merge = row->merge, .prefault = prefault};
    struct guest_memory *mem = NULL;
    struct error err = {""};
    int r = guest_memory_create(&options, &mem, &err);

    if (r < 0 && strstr(err.text, "kernel")) {
        print_message("%s\n", err.text);
        skip();
    }
    assert_int_equal(r, 0);
    return mem;
}

static void test_flags(void **state)
{
    const struct row *row = *state;
    struct guest_memory *mem = create(row, false);
    char flags[LINE_SIZE];

    mapping_line(host_of(mem), "VmFlags:", flags);
    if (row->flag)
        assert_non_null(strstr(flags, row->flag));
    else
        assert_true(!strstr(flags, " hg") && !strstr(flags, " nh") && !strstr(flags, " mg"));
    if (!row->may_be_a_file)
        assert_int_equal(guest_memory_is_anonymous(mem), row->anonymous);
    guest_memory_destroy(mem);
}

/* What memory does is the same whatever is behind it. */
static void test_use(void **state)
{
    const struct row *row = *state;
    struct guest_memory *mem = create(row, false);
    uint8_t *host = host_of(mem);

    assert_int_equal(guest_memory_resident(mem), 0);
    host[0] = 1;
    host[SIZE - 1] = 2;
    assert_true(guest_memory_resident(mem) >= 8 * KIB);
    assert_true(guest_memory_can_discard(mem));
    assert_int_equal(guest_memory_discard(mem, 0, SIZE), 0);
    assert_int_equal(guest_memory_resident(mem), 0);
    assert_int_equal(host[0], 0);
    assert_int_equal(host[SIZE - 1], 0);
    guest_memory_destroy(mem);
    mem = create(row, true);
    assert_int_equal(guest_memory_resident(mem), SIZE);
    guest_memory_destroy(mem);
}

static void test_aligned(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        struct guest_memory *mem = create(&rows[5], false);

        assert_int_equal((uintptr_t)host_of(mem) % (2 * MIB), 0);
        guest_memory_destroy(mem);
    }
}

static void test_huge_pages(void **state)
{
    struct guest_memory_options options = {.size = SIZE, .thp = GUEST_MEMORY_THP_ON};
    struct guest_memory *mem = create(&rows[1], true);
    unsigned long huge, in_file;
    char line[LINE_SIZE];

    (void)state;
    if (guest_memory_host_lacks(&options)) {
        print_message("%s\n", guest_memory_host_lacks(&options));
        guest_memory_destroy(mem);
        skip();
    }
    mapping_line(host_of(mem), "AnonHugePages:", line);
    assert_int_equal(sscanf(line, "AnonHugePages: %lu kB", &huge), 1);
    mapping_line(host_of(mem), "ShmemPmdMapped:", line);
    assert_int_equal(sscanf(line, "ShmemPmdMapped: %lu kB", &in_file), 1);
    guest_memory_destroy(mem);
    assert_true(huge + in_file >= 2048); /* one at least: the host may be short of them */
}

static void test_refused(void **state)
{
    static const struct guest_memory_options refused[] = {
        {.size = SIZE, .hugepages = true, .merge = true},
        {.size = SIZE, .hugepages = true, .thp = GUEST_MEMORY_THP_ON},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        struct guest_memory *mem = NULL;
        struct error err = {""};

        assert_int_equal(guest_memory_create(&refused[i], &mem, &err), -EINVAL);
        assert_non_null(strstr(err.text, "--hugepages goes with neither"));
    }
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, rows, test_flags);
    unit_add_rows(&unit, rows, test_use);
    unit_add(&unit, "anonymous memory lies on a huge page's boundary", test_aligned, NULL);
    unit_add(&unit, "the host does make huge pages", test_huge_pages, NULL);
    unit_add(&unit, "the reserved pool has neither", test_refused, NULL);
    return unit_run(&unit, "memory_pages");
}

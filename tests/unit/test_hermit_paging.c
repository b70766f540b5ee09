/* hermit/paging.h and buffer.h: walks of page tables that a guest made as it liked. */
#include "unit.h"

#include <errno.h>

#include "base/bytes.h"
#include "buffer.h"
#include "guest/entry_state.h"
#include "paging.h"

#define MEMORY_SIZE (4 * MIB)
#define PML5        UINT64_C(0x1000)
#define PML4        UINT64_C(0x2000)
#define PDPT        UINT64_C(0x3000)
#define DIRECTORY   UINT64_C(0x4000)
#define TABLE       UINT64_C(0x5000)
#define LA57        (UINT64_C(1) << 12)

/* Entry 0 of each level, and what a walk of `gva` makes of it. 0xfff in `gva` is kept throughout.
 */
struct walk {
    const char *name;
    uint64_t pml4, pdpt, directory, table;
    uint64_t cr0, cr4;
    uint64_t gva;
    bool write;
    int error;
    uint64_t gpa, len;
};

#define PG_WP       (X86_CR0_PG | X86_CR0_WP)
#define NEXT(level) ((level) | 3)

static const struct walk walks[] = {
    {"a 4 KiB page", NEXT(PDPT), NEXT(DIRECTORY), NEXT(TABLE), 0x7003, PG_WP, 0, 0x123, true, 0,
     0x7123, 0xedd},
    {"a 2 MiB page", NEXT(PDPT), NEXT(DIRECTORY), 0x200083, 0, PG_WP, 0, 0x12345, true, 0, 0x212345,
     0x1edcbb},
    {"a 1 GiB page", NEXT(PDPT), 0x40000083, 0, 0, PG_WP, 0, 0x12345, true, 0, 0x40012345,
     0x3ffedcbb},
    {"a large page's low bits", NEXT(PDPT), NEXT(DIRECTORY), 0x3ff083, 0, PG_WP, 0, 0x5, true, 0,
     0x200005, 0x1ffffb},
    {"no-execute and bits for software", NEXT(PDPT), NEXT(DIRECTORY), NEXT(TABLE),
     UINT64_C(0xfff0000000007e03), PG_WP, 0, 0, true, 0, 0x7000, 0x1000},
    {"five levels", NEXT(PDPT), NEXT(DIRECTORY), NEXT(TABLE), 0x7003, PG_WP, LA57, 0x123, true, 0,
     0x7123, 0xedd},
    {"not present at the top", PDPT | 2, 0, 0, 0, PG_WP, 0, 0, false, -EFAULT, 0, 0},
    {"not present in the middle", NEXT(PDPT), DIRECTORY, 0, 0, PG_WP, 0, 0, false, -EFAULT, 0, 0},
    {"not present at the end", NEXT(PDPT), NEXT(DIRECTORY), NEXT(TABLE), 0x7002, PG_WP, 0, 0, false,
     -EFAULT, 0, 0},
    {"read-only, read", NEXT(PDPT), NEXT(DIRECTORY), NEXT(TABLE), 0x7001, PG_WP, 0, 0, false, 0,
     0x7000, 0x1000},
    {"read-only, written", NEXT(PDPT), NEXT(DIRECTORY), NEXT(TABLE), 0x7001, PG_WP, 0, 0, true,
     -EFAULT, 0, 0},
    {"read-only in the middle, written", NEXT(PDPT), DIRECTORY | 1, NEXT(TABLE), 0x7003, PG_WP, 0,
     0, true, -EFAULT, 0, 0},
    {"read-only, written without CR0.WP", NEXT(PDPT), NEXT(DIRECTORY), NEXT(TABLE), 0x7001,
     X86_CR0_PG, 0, 0, true, 0, 0x7000, 0x1000},
    {"a table that is not memory", UINT64_C(0x000ffffffffff003), 0, 0, 0, PG_WP, 0, 0, false,
     -EFAULT, 0, 0},
    {"a large page at the top", NEXT(PDPT) | 0x80, NEXT(DIRECTORY), NEXT(TABLE), 0x7003, PG_WP, 0,
     0, false, 0, 0x7000, 0x1000},
    {"a table that is itself", NEXT(PML4), 0, 0, 0, PG_WP, 0, 0, false, 0, PML4, 0x1000},
    {"a page that is not memory", NEXT(PDPT), NEXT(DIRECTORY), NEXT(TABLE),
     UINT64_C(0x000ffffffffff003), PG_WP, 0, 0, false, 0, UINT64_C(0x000ffffffffff000), 0x1000},
    {"not canonical", NEXT(PDPT), 0, 0, 0, PG_WP, 0, UINT64_C(0x800000000000), false, -EFAULT, 0,
     0},
    {"not canonical from above", NEXT(PDPT), 0, 0, 0, PG_WP, 0, UINT64_C(0xffff7fffffffffff), false,
     -EFAULT, 0, 0},
    {"not canonical in five levels", NEXT(PDPT), 0, 0, 0, PG_WP, LA57, UINT64_C(1) << 56, false,
     -EFAULT, 0, 0},
    {"no paging", NEXT(PDPT), 0, 0, 0, X86_CR0_WP, 0, 0, false, -EFAULT, 0, 0},
};

static struct guest_memory *new_memory(void)
{
    struct guest_memory_options options = {.size = MEMORY_SIZE};
    struct guest_memory *mem = NULL;

    assert_int_equal(guest_memory_create(&options, &mem, NULL), 0);
    return mem;
}

static void put(struct guest_memory *mem, uint64_t gpa, uint64_t value)
{
    uint8_t bytes[8];

    store_le64(bytes, value);
    assert_int_equal(guest_memory_write(mem, gpa, bytes, sizeof(bytes)), 0);
}

static void run_walk(void **state)
{
    const struct walk *row = *state;
    struct guest_memory *mem = new_memory();
    struct cpu_paging paging = {
        .cr0 = row->cr0,
        .cr3 = row->cr4 & LA57 ? PML5 | 0x18 : PML4 | 0x18, /* cache bits are not the address */
        .cr4 = row->cr4 | X86_CR4_PAE,
        .efer = X86_EFER_LMA | X86_EFER_LME,
    };
    uint64_t gpa = 1, len = 1;

    put(mem, PML5, NEXT(PML4));
    put(mem, PML4, row->pml4);
    put(mem, PDPT, row->pdpt);
    put(mem, DIRECTORY, row->directory);
    put(mem, TABLE, row->table);
    assert_int_equal(paging_translate(mem, &paging, row->gva, row->write, &gpa, &len), row->error);
    assert_int_equal(gpa, row->error ? 1 : row->gpa);
    assert_int_equal(len, row->error ? 1 : row->len);
    guest_memory_destroy(mem);
}

static void run_other_modes(void **state)
{
    struct guest_memory *mem = new_memory();
    struct cpu_paging paging = {.cr0 = PG_WP, .cr3 = PML4, .efer = X86_EFER_LME};
    uint64_t gpa, len;

    (void)state;
    assert_int_equal(paging_translate(mem, &paging, 0, false, &gpa, &len), -EFAULT);
    paging.efer = X86_EFER_LMA;
    paging.cr3 = UINT64_MAX;
    assert_int_equal(paging_translate(mem, &paging, 0, false, &gpa, &len), -EFAULT);
    guest_memory_destroy(mem);
}

/* ---- Buffers. ---- */

/* The whole of a 1 GiB page over 4 MiB of memory: the pieces join, and end where memory does. */
static void run_joined(void **state)
{
    struct guest_memory *mem = new_memory();
    struct buffer buffer = {
        .mem = mem,
        .is_virtual = true,
        .paging = {.cr0 = PG_WP, .cr3 = PML4, .cr4 = X86_CR4_PAE, .efer = X86_EFER_LMA},
        .address = 0x10000,
        .len = 0x3000,
    };
    struct iovec iov[BUFFER_PIECES];

    (void)state;
    put(mem, PML4, NEXT(PDPT));
    put(mem, PDPT, NEXT(DIRECTORY));
    put(mem, DIRECTORY, NEXT(TABLE));
    for (uint64_t i = 0; i < 512; i++)
        put(mem, TABLE + 8 * i, i * 4096 | 3);
    assert_int_equal(buffer_check(&buffer), 0);
    assert_int_equal(buffer_pieces(&buffer, 0, iov), 1);
    assert_int_equal(iov[0].iov_len, 0x3000);
    assert_int_equal(buffer_pieces(&buffer, 0x2fff, iov), 1);
    assert_int_equal(iov[0].iov_len, 1);
    assert_int_equal(buffer_pieces(&buffer, 0x3000, iov), 0);
    /* A hole: what is before it is given, and it is an error after that. */
    put(mem, TABLE + 8 * 0x12, 0);
    assert_int_equal(buffer_check(&buffer), -EFAULT);
    assert_int_equal(buffer_pieces(&buffer, 0, iov), 1);
    assert_int_equal(iov[0].iov_len, 0x2000);
    assert_int_equal(buffer_pieces(&buffer, 0x2000, iov), -EFAULT);
    guest_memory_destroy(mem);
}

/* One page again and again: as many pieces as there is room for, and then the next ones. */
static void run_many_pieces(void **state)
{
    struct guest_memory *mem = new_memory();
    struct buffer buffer = {
        .mem = mem,
        .is_virtual = true,
        .paging = {.cr0 = PG_WP, .cr3 = PML4, .cr4 = X86_CR4_PAE, .efer = X86_EFER_LMA},
        .len = 100 * 4096,
    };
    struct iovec iov[BUFFER_PIECES];

    (void)state;
    put(mem, PML4, NEXT(PDPT));
    put(mem, PDPT, NEXT(DIRECTORY));
    put(mem, DIRECTORY, NEXT(TABLE));
    for (uint64_t i = 0; i < 512; i++)
        put(mem, TABLE + 8 * i, 0x9003);
    assert_int_equal(buffer_pieces(&buffer, 0, iov), BUFFER_PIECES);
    assert_int_equal(buffer_pieces(&buffer, BUFFER_PIECES * 4096, iov), 100 - BUFFER_PIECES);
    guest_memory_destroy(mem);
}

/* Every length that wraps or leads out of memory. */
static void run_physical(void **state)
{
    static const uint64_t bad[][2] = {
        {MEMORY_SIZE, 1},          {MEMORY_SIZE - 1, 2}, {1, MEMORY_SIZE}, {UINT64_MAX, 1},
        {UINT64_MAX - 4095, 8192}, {0, UINT64_MAX},      {1, UINT64_MAX},  {UINT64_MAX, UINT64_MAX},
    };
    struct guest_memory *mem = new_memory();
    struct iovec iov[BUFFER_PIECES];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct buffer buffer = {.mem = mem, .address = bad[i][0], .len = bad[i][1]};

        assert_int_equal(buffer_check(&buffer), -EFAULT);
        assert_int_equal(buffer_fill(&buffer, "x", 1),
                         bad[i][0] < MEMORY_SIZE ? 0 : -EFAULT); /* as much as is asked for */
    }
    assert_int_equal(buffer_check(&(struct buffer){.mem = mem, .len = MEMORY_SIZE}), 0);
    assert_int_equal(buffer_pieces(&(struct buffer){.mem = mem, .len = MEMORY_SIZE}, 0, iov), 1);
    assert_int_equal(buffer_fill(&(struct buffer){.mem = mem, .len = 1}, "xy", 2), -EFAULT);
    guest_memory_destroy(mem);
}

int main(void)
{
    static struct unit unit;

    unit_add_rows(&unit, walks, run_walk);
    unit_add(&unit, "other modes of paging", run_other_modes, NULL);
    unit_add(&unit, "pieces that join", run_joined, NULL);
    unit_add(&unit, "more pieces than there is room for", run_many_pieces, NULL);
    unit_add(&unit, "physical buffers", run_physical, NULL);
    return unit_run(&unit, "hermit_paging");
}

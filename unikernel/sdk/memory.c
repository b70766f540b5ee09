/* Page tables above 4 GiB, and the heap. */
#include "sdk/memory.h"

#include "cpu_state.h"
#include "sdk/boot.h"
#include "sdk/smp.h"
#include "sdk/string.h"

#define GIB             (UINT64_C(1) << 30)
#define LARGE_PAGE      (UINT64_C(1) << 21)
#define MAPPED_AT_START (4 * GIB)
#define ADDRESS_END     (UINT64_C(1) << 47)
#define TABLE_ENTRIES   512

/* AMD64 APM vol. 2, section 5.4.1. */
#define ENTRY_TABLE      UINT64_C(0x07) /* present, writable, ring 3 too */
#define ENTRY_LARGE_PAGE UINT64_C(0x87)
#define ENTRY_ADDRESS    UINT64_C(0x000ffffffffff000)

extern uint64_t page_table_4[TABLE_ENTRIES];
extern char image_start[], image_end[];

/*
 * The heap: one list of free pieces in the order of their addresses; neighbours are joined when a
 * block comes back. A block in use keeps its header, so that free() knows its size.
 */
struct piece {
    size_t size;        /* bytes, this header included; a multiple of 16 */
    struct piece *next; /* of a free piece; of one in use, its own address: a mark for free() */
};

#define HEADER sizeof(struct piece)
_Static_assert(sizeof(struct piece) == 16, "blocks are aligned to 16 after their header");

static struct spinlock heap_lock;
static struct piece *free_list;
static bool heap_ready;

struct range {
    uint64_t base, end;
};

#define RESERVED_MAX (2 * BOOT_MODULE_MAX + 4)

static unsigned reserve(struct range *list, unsigned count, uint64_t base, uint64_t size)
{
    if (size > 0)
        list[count++] = (struct range){.base = base, .end = base + size};
    return count;
}

/* What of RAM is in use before the heap begins. */
static unsigned reserved_ranges(struct range *ret_list)
{
    const struct boot_info *info = boot_info();
    unsigned n = 0;

    n = reserve(ret_list, n, 0, 1 << 20); /* the first MiB is left alone */
    n = reserve(ret_list, n, (uintptr_t)image_start, (uintptr_t)(image_end - image_start));
    n = reserve(ret_list, n, info->start_address & ~(PAGE_SIZE - 1), PAGE_SIZE);
    n = reserve(ret_list, n, (uintptr_t)info->cmdline, strlen(info->cmdline) + 1);
    for (unsigned i = 0; i < info->module_count; i++) {
        const struct boot_module *m = &info->modules[i];

        n = reserve(ret_list, n, (uintptr_t)m->data, m->size);
        n = reserve(ret_list, n, (uintptr_t)m->arguments, strlen(m->arguments) + 1);
    }
    return n;
}

static void heap_insert(struct piece *piece)
{
    struct piece **link = &free_list, *before = NULL;

    while (*link && *link < piece) {
        before = *link;
        link = &before->next;
    }
    piece->next = *link;
    *link = piece;
    if (piece->next && (char *)piece + piece->size == (char *)piece->next) {
        piece->size += piece->next->size;
        piece->next = piece->next->next;
    }
    if (before && (char *)before + before->size == (char *)piece) {
        before->size += piece->size;
        before->next = piece->next;
    }
}

static void heap_add(uint64_t base, uint64_t end)
{
    struct piece *piece;

    base = (base + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
    end &= ~(PAGE_SIZE - 1);
    if (base >= end)
        return;
    piece = (struct piece *)base;
    piece->size = end - base;
    heap_insert(piece);
}

/* Give the heap what of [base, end) no reserved range takes. */
static void heap_add_around(uint64_t base, uint64_t end, const struct range *reserved, unsigned n)
{
    while (base < end) {
        uint64_t next = end, after = end;

        /* The lowest reserved range that reaches beyond base bounds the piece. */
        for (unsigned i = 0; i < n; i++)
            if (reserved[i].end > base && reserved[i].base < next) {
                next = reserved[i].base;
                after = reserved[i].end;
            }
        if (next > base)
            heap_add(base, next);
        base = after;
    }
}

static void heap_init(void)
{
    const struct boot_info *info = boot_info();
    struct range reserved[RESERVED_MAX];
    unsigned n = reserved_ranges(reserved);

    for (unsigned i = 0; i < info->region_count; i++) {
        uint64_t base = info->regions[i].base, end = base + info->regions[i].size;

        if (info->regions[i].type != REGION_RAM || base >= MAPPED_AT_START)
            continue;
        heap_add_around(base, end < MAPPED_AT_START ? end : MAPPED_AT_START, reserved, n);
    }
    heap_ready = true;
}

/* Take `size` bytes out of a free piece from `block` on; what is left on both sides stays free. */
static struct piece *carve(struct piece **link, struct piece *block, size_t size)
{
    struct piece *whole = *link;
    size_t before = (size_t)((char *)block - (char *)whole);
    size_t after = whole->size - before - size;
    struct piece *rest = whole->next;

    if (after >= 2 * HEADER) {
        struct piece *tail = (struct piece *)(void *)((char *)block + size);

        tail->size = after;
        tail->next = rest;
        rest = tail;
    } else {
        size += after;
    }
    if (before > 0) {
        whole->size = before;
        whole->next = rest;
    } else {
        *link = rest;
    }
    block->size = size;
    block->next = block;
    return block;
}

static void *allocate(size_t alignment, size_t size)
{
    void *result = NULL;

    if (size > ADDRESS_END || alignment > ADDRESS_END)
        return NULL;
    size = ((size ? size : 1) + HEADER + 15) & ~(size_t)15;
    spin_lock(&heap_lock);
    if (!heap_ready)
        heap_init();
    for (struct piece **link = &free_list; *link; link = &(*link)->next) {
        struct piece *piece = *link;
        uintptr_t user = ((uintptr_t)piece + HEADER + alignment - 1) & ~(alignment - 1);
        size_t before = user - HEADER - (uintptr_t)piece;

        if (before <= piece->size && size <= piece->size - before) {
            result = carve(link, (struct piece *)(user - HEADER), size) + 1;
            break;
        }
    }
    spin_unlock(&heap_lock);
    return result;
}

void *malloc(size_t size)
{
    return allocate(16, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return allocate(alignment < 16 ? 16 : alignment, size);
}

void *calloc(size_t count, size_t size)
{
    size_t total;
    void *block;

    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    block = malloc(total);
    return block ? memset(block, 0, total) : NULL;
}

void free(void *block)
{
    struct piece *piece = block;

    if (!block)
        return;
    piece--;
    if (piece->next != piece)
        __builtin_trap(); /* not a block, or freed twice */
    spin_lock(&heap_lock);
    heap_insert(piece);
    spin_unlock(&heap_lock);
}

size_t memory_free_bytes(unsigned *ret_pieces)
{
    size_t sum = 0;
    unsigned pieces = 0;

    spin_lock(&heap_lock);
    if (!heap_ready)
        heap_init();
    for (const struct piece *p = free_list; p; p = p->next, pieces++)
        sum += p->size;
    spin_unlock(&heap_lock);
    if (ret_pieces)
        *ret_pieces = pieces;
    return sum;
}

/* The table that entry `index` of `table` leads to, made where it is not there yet. */
static uint64_t *table_below(uint64_t *table, unsigned index)
{
    uint64_t *below;

    if (table[index])
        return (uint64_t *)(table[index] & ENTRY_ADDRESS);
    below = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
    if (!below)
        return NULL;
    memset(below, 0, PAGE_SIZE);
    table[index] = (uintptr_t)below | ENTRY_TABLE;
    return below;
}

bool memory_map(uint64_t base, uint64_t length)
{
    uint64_t end;

    if (length == 0)
        return true;
    if (base >= ADDRESS_END || length > ADDRESS_END - base)
        return false;
    end = base + length;
    base = base < MAPPED_AT_START ? MAPPED_AT_START : base & ~(LARGE_PAGE - 1);
    for (; base < end; base += LARGE_PAGE) {
        uint64_t *table_3 = table_below(page_table_4, (unsigned)(base >> 39));
        uint64_t *table_2 =
            table_3 ? table_below(table_3, (base >> 30) & (TABLE_ENTRIES - 1)) : NULL;
        unsigned index = (base >> 21) & (TABLE_ENTRIES - 1);

        if (!table_2)
            return false;
        /* From absent to present: no CPU can hold an old translation. */
        if (!table_2[index])
            table_2[index] = base | ENTRY_LARGE_PAGE;
    }
    return true;
}

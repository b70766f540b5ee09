/* The page of registers of virtio-mmio. Any victim on that transport. */
#include "hostile.h"
#include "sdk/io.h"
#include "sdk/report.h"
#include "sdk/string.h"

#define PAGE 0x1000u

static bool is_mmio(void)
{
    if (!victim()->mmio)
        report(false, "the victim is on mmio");
    return victim()->mmio != 0;
}

static uint64_t reg(unsigned offset)
{
    return victim()->mmio + offset;
}

/* What a driver cannot change, at offsets of table 4.1. */
static const unsigned read_only[] = {
    VIRTIO_MMIO_MAGIC,
    VIRTIO_MMIO_VERSION,
    VIRTIO_MMIO_DEVICE_ID,
    VIRTIO_MMIO_VENDOR_ID,
    VIRTIO_MMIO_DEVICE_FEATURES,
    VIRTIO_MMIO_QUEUE_NUM_MAX,
    VIRTIO_MMIO_INTERRUPT_STATUS,
    VIRTIO_MMIO_CONFIG_GENERATION,
};

#define READ_ONLY_COUNT (sizeof(read_only) / sizeof(read_only[0]))

static void read_only_registers(void)
{
    static const uint32_t values[] = {0, 1, 0x55555555, UINT32_MAX};
    uint32_t before[READ_ONLY_COUNT];
    unsigned changed = 0;

    if (!is_mmio())
        return;
    victim_start(UINT64_MAX);
    for (unsigned i = 0; i < READ_ONLY_COUNT; i++)
        before[i] = mmio_read32(reg(read_only[i]));
    for (unsigned v = 0; v < sizeof(values) / sizeof(values[0]); v++)
        for (unsigned i = 0; i < READ_ONLY_COUNT; i++)
            mmio_write32(reg(read_only[i]), values[v]);
    for (unsigned i = 0; i < READ_ONLY_COUNT; i++)
        changed += mmio_read32(reg(read_only[i])) != before[i];
    report(changed == 0, "registers that are read only keep their values (%u changed)", changed);
    expect_whole();
}

static void write_only_registers(void)
{
    static const unsigned registers[] = {
        VIRTIO_MMIO_DEVICE_FEATURES_SEL,
        VIRTIO_MMIO_DRIVER_FEATURES,
        VIRTIO_MMIO_DRIVER_FEATURES_SEL,
        VIRTIO_MMIO_QUEUE_SEL,
        VIRTIO_MMIO_QUEUE_NUM,
        VIRTIO_MMIO_QUEUE_NOTIFY,
        VIRTIO_MMIO_INTERRUPT_ACK,
        VIRTIO_MMIO_QUEUE_DESC_LOW,
        VIRTIO_MMIO_QUEUE_AVAIL_LOW,
        VIRTIO_MMIO_QUEUE_USED_LOW,
        0x0c,
        0x18,
        0x28,
        0x3c,
        0x40,
        0x4c,
        0x54,
        0x68,
        0x74,
        0xc0,
        0xf8,
    };

    if (!is_mmio())
        return;
    victim_start(UINT64_MAX);
    for (unsigned i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
        mmio_read32(reg(registers[i]));
    expect_whole();
}

static void access(unsigned offset, unsigned width, bool write, uint64_t value)
{
    uint64_t at = reg(offset);

    switch (width) {
    case 1:
        write ? mmio_write8(at, (uint8_t)value) : (void)mmio_read8(at);
        break;
    case 2:
        write ? mmio_write16(at, (uint16_t)value) : (void)mmio_read16(at);
        break;
    case 4:
        write ? mmio_write32(at, (uint32_t)value) : (void)mmio_read32(at);
        break;
    default:
        write ? mmio_write64(at, value) : (void)mmio_read64(at);
        break;
    }
}

static void sweep(bool write)
{
    for (unsigned width = 1; width <= 8; width *= 2)
        for (unsigned offset = 0; offset + width <= PAGE; offset += offset < 0x200 ? 1 : 61)
            access(offset, width, write, next_random());
}

/* Each offset by each width. Reading changes nothing. */
static void sizes_read(void)
{
    if (!is_mmio())
        return;
    victim_start(UINT64_MAX);
    sweep(false);
    expect_whole();
}

/* Writing does, but only what words that are aligned say; so no expectation beside survival. */
static void sizes_write(void)
{
    if (!is_mmio())
        return;
    for (unsigned round = 0; round < 3; round++) {
        victim_start(UINT64_MAX);
        sweep(true);
    }
    report(true, "writes of every size everywhere went by");
}

/* Words that are no words: a status of one byte, a notification of two, a queue's address of 8. */
static void odd_sizes_are_nothing(void)
{
    uint32_t status;

    if (!is_mmio())
        return;
    victim_start(UINT64_MAX);
    status = mmio_read32(reg(VIRTIO_MMIO_STATUS));
    mmio_write8(reg(VIRTIO_MMIO_STATUS), 0);
    mmio_write16(reg(VIRTIO_MMIO_STATUS), 0);
    mmio_write32(reg(VIRTIO_MMIO_STATUS) + 1, 0);
    mmio_write32(reg(VIRTIO_MMIO_STATUS) - 1, 0);
    report(mmio_read32(reg(VIRTIO_MMIO_STATUS)) == status, "a status of no word is not taken");
    for (unsigned i = 0; i < 16; i++) {
        mmio_write8(reg(VIRTIO_MMIO_QUEUE_NOTIFY), (uint8_t)i);
        mmio_write16(reg(VIRTIO_MMIO_QUEUE_NOTIFY), (uint16_t)i);
        mmio_write64(reg(VIRTIO_MMIO_QUEUE_NOTIFY), i);
    }
    expect_whole();
}

static void page_border(void)
{
    if (!is_mmio())
        return;
    victim_start(UINT64_MAX);
    for (unsigned offset = PAGE - 8; offset < PAGE; offset++) {
        mmio_read64(reg(offset));
        mmio_write64(reg(offset), UINT64_MAX);
        mmio_read32(reg(offset));
        mmio_write32(reg(offset), UINT32_MAX);
        mmio_read16(reg(offset));
    }
    report(true, "accesses over the page's end went by");
}

static void config_past_end(void)
{
    unsigned wrong = 0;

    if (!is_mmio())
        return;
    victim_start(UINT64_MAX);
    for (unsigned offset = 0x300; offset + 8 <= PAGE; offset += 8)
        wrong += mmio_read64(reg(offset)) != 0;
    report(wrong == 0, "behind the configuration there is nothing (%u words)", wrong);
    for (unsigned offset = 0x300; offset + 8 <= PAGE; offset += 8)
        mmio_write64(reg(offset), UINT64_MAX);
    expect_whole();
}

static void queue_select_wild(void)
{
    static const uint32_t queues[] = {7, 8, 9, 255, 256, 65535, 65536, 0x7fffffff, UINT32_MAX};
    unsigned wrong = 0;

    if (!is_mmio())
        return;
    victim_start(UINT64_MAX);
    for (unsigned i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
        mmio_write32(reg(VIRTIO_MMIO_QUEUE_SEL), queues[i]);
        wrong += mmio_read32(reg(VIRTIO_MMIO_QUEUE_NUM_MAX)) != 0;
        for (unsigned offset = VIRTIO_MMIO_QUEUE_NUM; offset <= 0xa4; offset += 4)
            if (offset != VIRTIO_MMIO_STATUS && offset != VIRTIO_MMIO_QUEUE_NOTIFY)
                mmio_write32(reg(offset), UINT32_MAX);
        wrong += mmio_read32(reg(VIRTIO_MMIO_QUEUE_READY)) != 0;
    }
    report(wrong == 0, "queues that are not there have no size and no state");
    expect_whole();
}

static void features_select_wild(void)
{
    unsigned wrong = 0;

    if (!is_mmio())
        return;
    virtio_begin(victim(), UINT64_MAX);
    for (unsigned shift = 1; shift < 32; shift++) {
        mmio_write32(reg(VIRTIO_MMIO_DEVICE_FEATURES_SEL), 1u << shift);
        wrong += mmio_read32(reg(VIRTIO_MMIO_DEVICE_FEATURES)) != 0;
        mmio_write32(reg(VIRTIO_MMIO_DRIVER_FEATURES_SEL), 1u << shift);
        mmio_write32(reg(VIRTIO_MMIO_DRIVER_FEATURES), UINT32_MAX);
    }
    report(wrong == 0, "there are no features beyond 64");
    report(virtio_status(victim()) & VIRTIO_STATUS_FEATURES_OK, "and to ask for some is no error");
}

static void acknowledge_wild(void)
{
    if (!is_mmio())
        return;
    victim_start(UINT64_MAX);
    for (unsigned i = 0; i < 64; i++)
        mmio_write32(reg(VIRTIO_MMIO_INTERRUPT_ACK), (uint32_t)next_random());
    report(mmio_read32(reg(VIRTIO_MMIO_INTERRUPT_STATUS)) == 0, "no interrupt comes of it");
    expect_whole();
}

/* `rep movs` over the whole page, both ways. */
static void string_moves(void)
{
    static uint8_t copy[PAGE];

    if (!is_mmio())
        return;
    victim_start(UINT64_MAX);
    memcpy(copy, (const void *)victim()->mmio, sizeof(copy));
    memcpy((void *)victim()->mmio, copy, sizeof(copy));
    memset((void *)victim()->mmio, 0xff, PAGE);
    report(true, "strings over the page went by");
}

/* Atomic instructions on registers. */
static void locked(void)
{
    volatile uint32_t *words;

    if (!is_mmio())
        return;
    words = (volatile uint32_t *)victim()->mmio;
    victim_start(UINT64_MAX);
    __atomic_fetch_add(&words[VIRTIO_MMIO_MAGIC / 4], 1, __ATOMIC_SEQ_CST);
    __atomic_exchange_n(&words[VIRTIO_MMIO_QUEUE_NOTIFY / 4], 3, __ATOMIC_SEQ_CST);
    report(words[0] == VIRTIO_MMIO_MAGIC_VALUE, "atomic instructions on registers went by");
    expect_whole();
}

/* The page before the first device and behind the last, and the whole window, which no device of
 * another kind may answer in. */
static void window(void)
{
    uint64_t base;

    if (!is_mmio())
        return;
    base = victim()->mmio & ~UINT64_C(0xffffff);
    victim_start(UINT64_MAX);
    for (unsigned page = 0; page < 64; page++)
        for (unsigned offset = 0; offset < 16; offset += 4)
            mmio_read32(base + page * PAGE + offset);
    expect_whole();
}

const struct hostile_case mmio_cases[] = {
    {"mmio-read-only", read_only_registers},
    {"mmio-write-only", write_only_registers},
    {"mmio-sizes-read", sizes_read},
    {"mmio-sizes-write", sizes_write},
    {"mmio-odd-sizes", odd_sizes_are_nothing},
    {"mmio-page-border", page_border},
    {"mmio-config-past-end", config_past_end},
    {"mmio-queue-select-wild", queue_select_wild},
    {"mmio-features-select-wild", features_select_wild},
    {"mmio-acknowledge-wild", acknowledge_wild},
    {"mmio-string-moves", string_moves},
    {"mmio-locked", locked},
    {"mmio-window", window},
    {0},
};

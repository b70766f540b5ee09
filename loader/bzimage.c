/*
 * Linux bzImage. Numbers: "The Linux/x86 Boot Protocol" in the kernel's documentation; the
 * header's fields by way of <asm/bootparam.h>.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"
#include "boot_format.h"
#include "guest/layout.h"
#include "linux_boot.h"

/* "The Real-Mode Kernel Header": offsets in the file. */
#define HEADER_OFFSET   0x1f1 /* setup_sects, the first field */
#define BOOT_FLAG       0x1fe
#define HEADER_LENGTH   0x201 /* the second byte of `jump`: what follows 0x202 of the header */
#define HEADER_MAGIC    0x202
#define SECTOR          512
#define SETUP_SECTS_OLD 4  /* what setup_sects 0 means */
#define SYSSIZE_UNIT    16 /* syssize counts paragraphs */

/* The protocol version that brought cmdline_size (Linux 2.6.20), and those of later fields. */
#define VERSION_OLDEST      0x0206
#define VERSION_INIT_SIZE   0x020a /* also pref_address */
#define VERSION_XLOADFLAGS  0x020c
#define LOAD_ADDRESS        LAYOUT_HIMEM_BASE /* of a bzImage that states no other */
#define ENTRY_64_FROM_START 0x200             /* "64-bit Boot Protocol" */

/* A bzImage's header, checked, in terms of what has to be done with it. */
struct bzimage {
    struct setup_header header;
    uint64_t payload_offset, payload_size; /* the protected-mode kernel in the file */
    uint64_t load;                         /* where it is put */
    struct boot_range space;               /* what it occupies until it has read its memory map */
    bool long_mode;
};

static bool has_magic(const struct boot_probe *probe)
{
    return probe->head_size >= HEADER_MAGIC + sizeof(uint32_t) &&
           load_le16(probe->head + BOOT_FLAG) == LINUX_BOOT_FLAG &&
           load_le32(probe->head + HEADER_MAGIC) == LINUX_HEADER_MAGIC;
}

/* Take as much of the header as the image says it has; a field it does not have is 0. */
static int read_setup_header(const struct boot_probe *probe, struct setup_header *ret_header,
                             struct error *err)
{
    size_t end = HEADER_MAGIC + probe->head[HEADER_LENGTH];
    struct setup_header header = {0};

    if (end > probe->head_size)
        return error_set(err, -ENOEXEC, "truncated: a bzImage's header needs %zu bytes", end);
    memcpy(&header, probe->head + HEADER_OFFSET, min_u64(end - HEADER_OFFSET, sizeof(header)));
    if (header.version < VERSION_OLDEST)
        return error_set(err, -ENOEXEC,
                         "a Linux image of boot protocol %u.%02u; 2.06 (Linux 2.6.20) or later is "
                         "needed",
                         header.version >> 8, header.version & 0xffU);
    if (!(header.loadflags & LOADED_HIGH))
        return error_set(err, -ENOEXEC, "a zImage, which loads below 1 MiB; a bzImage is needed");
    if (header.version < VERSION_INIT_SIZE) {
        header.pref_address = 0;
        header.init_size = 0;
    }
    if (header.version < VERSION_XLOADFLAGS)
        header.xloadflags = 0;
    *ret_header = header;
    return 0;
}

/*
 * Find the protected-mode kernel in the file. syssize is rounded up to 16 bytes, and behind it a
 * signature may follow, which is not loaded.
 */
static int find_payload(const struct boot_probe *probe, struct bzimage *bz, struct error *err)
{
    uint64_t sectors = bz->header.setup_sects ? bz->header.setup_sects : SETUP_SECTS_OLD;
    uint64_t offset = (sectors + 1) * SECTOR;
    uint64_t stated = (uint64_t)bz->header.syssize * SYSSIZE_UNIT;
    uint64_t file_size = image_size(probe->image);

    bz->payload_offset = offset;
    bz->payload_size = offset < file_size ? min_u64(stated, file_size - offset) : 0;
    if (stated - bz->payload_size >= SYSSIZE_UNIT)
        return error_set(err, -ENOEXEC,
                         "truncated: the kernel is at byte %" PRIu64 " with %" PRIu64
                         " bytes, the file has %" PRIu64,
                         offset, stated, file_size);
    if (bz->payload_size <= (bz->long_mode ? ENTRY_64_FROM_START : 0))
        return error_set(err, -ENOEXEC, "its entry point lies outside what it loads");
    return 0;
}

/*
 * Choose where it goes. A relocatable kernel goes where it prefers to be: it would move itself
 * there from any lower address, so no other one needs less memory. One that is not is put where
 * its header says and moves itself to pref_address ("init_size", runtime_start).
 */
static int choose_place(struct bzimage *bz, struct error *err)
{
    uint64_t pref = bz->header.pref_address, alignment = bz->header.kernel_alignment;
    uint64_t runtime;

    if (bz->header.relocatable_kernel) {
        if (alignment == 0 || (alignment & (alignment - 1)) != 0)
            return error_set(err, -ENOEXEC,
                             "its kernel_alignment 0x%" PRIx64 " is not a power of two", alignment);
        if (pref >= LAYOUT_HIGH_RAM_BASE)
            return error_set(err, -ENOEXEC, "its preferred address 0x%" PRIx64 " lies above 4 GiB",
                             pref);
        bz->load = align_up(pref ? pref : LOAD_ADDRESS, alignment);
        runtime = bz->load;
    } else {
        bz->load = bz->header.code32_start ? bz->header.code32_start : LOAD_ADDRESS;
        runtime = pref ? pref : bz->load;
    }
    if (runtime >= LAYOUT_HIGH_RAM_BASE)
        return error_set(err, -ENOEXEC, "its address 0x%" PRIx64 " lies above 4 GiB", runtime);
    /* All below 4 GiB and of 32-bit sizes, so these sums do not wrap. */
    bz->space.start = min_u64(bz->load, runtime);
    bz->space.end = max_u64(bz->load + bz->payload_size, runtime + bz->header.init_size);
    return 0;
}

static int parse(const struct boot_probe *probe, struct bzimage *ret_bz, struct error *err)
{
    struct bzimage bz = {0};
    int r;

    r = read_setup_header(probe, &bz.header, err);
    if (r < 0)
        return r;
    bz.long_mode = bz.header.xloadflags & XLF_KERNEL_64;
    r = find_payload(probe, &bz, err);
    if (r < 0)
        return r;
    r = choose_place(&bz, err);
    if (r < 0)
        return r;
    *ret_bz = bz;
    return 0;
}

static int bzimage_recognise(const struct boot_probe *probe, enum boot_protocol *ret_protocol,
                             struct error *err)
{
    struct bzimage bz;
    int r;

    if (!has_magic(probe))
        return 0;
    r = parse(probe, &bz, err);
    if (r < 0)
        return r;
    *ret_protocol = bz.long_mode ? BOOT_BZIMAGE_64 : BOOT_BZIMAGE_32;
    return 1;
}

static int bzimage_load(struct boot_job *job)
{
    struct bzimage bz;
    int r;

    r = parse(job->probe, &bz, job->err);
    if (r < 0)
        return r;
    r = boot_claim_kernel(job, "the kernel", bz.space.start, bz.space.end - bz.space.start);
    if (r < 0)
        return r;
    r = boot_read_to_guest(job, bz.payload_offset, bz.load, bz.payload_size, "the kernel");
    if (r < 0)
        return r;
    bz.header.code32_start = (uint32_t)bz.load;
    return linux_hand_over(job, &bz.header, bz.load + (bz.long_mode ? ENTRY_64_FROM_START : 0),
                           bz.long_mode);
}

const struct boot_format bzimage_format = {
    .recognise = bzimage_recognise,
    .load = bzimage_load,
};

/* Section numbers are those of virtio 1.2. */
#include "block_request.h"

#include <errno.h>
#include <linux/falloc.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"

/* 5.2.6: struct virtio_blk_req. */
#define HEADER_SIZE 16

/* 5.2.6: struct virtio_blk_discard_write_zeroes. */
#define SEGMENT_SIZE       16
#define SEGMENT_FLAG_UNMAP 1

static void refuse(struct block_request *request, enum block_status status)
{
    request->status = status;
}

static void fail(struct block_request *request, int error)
{
    request->status = BLOCK_STATUS_IOERR;
    request->error = error;
}

/* ---- iovecs ---- */

static void iov_skip(struct block_request *request, uint64_t bytes)
{
    while (request->iov_count > 0 && bytes >= request->iov->iov_len) {
        bytes -= request->iov->iov_len;
        request->iov++;
        request->iov_count--;
    }
    if (request->iov_count > 0) {
        request->iov->iov_base = (uint8_t *)request->iov->iov_base + bytes;
        request->iov->iov_len -= bytes;
    }
}

/* Copy between the bounce buffer and what is left of the guest's. */
static void bounce_copy(struct block_request *request, uint64_t len, bool to_guest)
{
    uint64_t done = 0;

    for (unsigned i = 0; i < request->iov_count && done < len; i++) {
        size_t part = min_u64(request->iov[i].iov_len, len - done);

        if (to_guest)
            memcpy(request->iov[i].iov_base, request->bounce + done, part);
        else
            memcpy(request->bounce + done, request->iov[i].iov_base, part);
        done += part;
    }
}

static bool iov_is_aligned(const struct block_file *file, const struct block_request *request)
{
    for (unsigned i = 0; i < request->iov_count; i++) {
        if ((uintptr_t)request->iov[i].iov_base % file->memory_alignment ||
            request->iov[i].iov_len % file->offset_alignment)
            return false;
    }
    return true;
}

/* ---- From the chain to what is to be done. ---- */

/* Set [offset, offset + left) of the disk. Returns whether it is inside. */
static bool set_range(const struct block_disk *disk, struct block_request *request, uint64_t sector,
                      uint64_t len)
{
    uint64_t sectors = disk->file.size / BLOCK_SECTOR_SIZE;

    /* 5.2.6.1: whole sectors. */
    if (len % BLOCK_SECTOR_SIZE || !range_inside(sector, len / BLOCK_SECTOR_SIZE, sectors))
        return false;
    request->offset = sector * BLOCK_SECTOR_SIZE;
    request->left = len;
    return true;
}

static void parse_in(const struct block_disk *disk, struct block_request *request, uint64_t sector)
{
    request->iov = request->chain.iov + request->chain.readable_count;
    request->iov_count = request->chain.writable_count;
    if (!set_range(disk, request, sector, request->data_len))
        refuse(request, BLOCK_STATUS_IOERR);
    request->cost = request->left;
}

static void parse_out(const struct block_disk *disk, struct block_request *request, uint64_t sector)
{
    uint64_t len = request->chain.readable_len - HEADER_SIZE;

    request->iov = request->chain.iov;
    request->iov_count = request->chain.readable_count;
    iov_skip(request, HEADER_SIZE);
    if (!set_range(disk, request, sector, len))
        refuse(request, BLOCK_STATUS_IOERR);
    request->cost = request->left;
}

static void parse_get_id(const struct block_disk *disk, struct block_request *request)
{
    request->written =
        virtq_copy_to(&request->chain, 0, disk->serial, (uint32_t)sizeof(disk->serial));
}

static enum block_status parse_segment(const struct block_disk *disk, bool zeroes,
                                       const uint8_t *raw, struct block_segment *ret_segment)
{
    uint64_t sector = load_le64(raw), count = load_le32(raw + 8);
    uint32_t flags = load_le32(raw + 12);
    uint64_t most = zeroes ? BLOCK_MAX_ZEROES_BYTES : BLOCK_MAX_DISCARD_BYTES;

    /* 5.2.6.2: unknown flags, and unmap where nothing else can be meant, are not supported. */
    if (flags & ~(uint32_t)(zeroes ? SEGMENT_FLAG_UNMAP : 0))
        return BLOCK_STATUS_UNSUPP;
    if (count > most / BLOCK_SECTOR_SIZE ||
        !range_inside(sector, count, disk->file.size / BLOCK_SECTOR_SIZE))
        return BLOCK_STATUS_IOERR;
    *ret_segment = (struct block_segment){
        .offset = sector * BLOCK_SECTOR_SIZE,
        .len = count * BLOCK_SECTOR_SIZE,
        .unmap = flags & SEGMENT_FLAG_UNMAP,
    };
    return BLOCK_STATUS_OK;
}

static void parse_segments(const struct block_disk *disk, struct block_request *request)
{
    uint32_t len = request->chain.readable_len - HEADER_SIZE;
    bool zeroes = request->type == BLOCK_TYPE_WRITE_ZEROES;
    uint32_t most = zeroes ? BLOCK_MAX_ZEROES_SEGMENTS : BLOCK_MAX_DISCARD_SEGMENTS;

    if (len == 0 || len % SEGMENT_SIZE || len / SEGMENT_SIZE > most) {
        refuse(request, BLOCK_STATUS_IOERR);
        return;
    }
    for (uint32_t at = 0; at < len && request->status == BLOCK_STATUS_OK; at += SEGMENT_SIZE) {
        struct block_segment *segment = &request->segments[at / SEGMENT_SIZE];
        uint8_t raw[SEGMENT_SIZE];

        virtq_copy_from(&request->chain, HEADER_SIZE + at, raw, sizeof(raw));
        request->status = parse_segment(disk, zeroes, raw, segment);
        if (zeroes && request->status == BLOCK_STATUS_OK)
            request->cost += segment->len;
    }
    request->segment_count = len / SEGMENT_SIZE;
    request->zeroes_by_writing = zeroes && disk->no_zero_range;
    request->sync = zeroes && disk->writethrough;
}

static void parse_flush(const struct block_disk *disk, struct block_request *request)
{
    if (disk->flush_lost)
        refuse(request, BLOCK_STATUS_IOERR);
    request->sync = !disk->ignore_flush;
}

static void parse_type(const struct block_disk *disk, struct block_request *request,
                       uint64_t sector)
{
    bool writes = request->type == BLOCK_TYPE_OUT || request->type == BLOCK_TYPE_DISCARD ||
                  request->type == BLOCK_TYPE_WRITE_ZEROES;

    if (writes && disk->read_only) { /* 5.2.6.2 */
        refuse(request, BLOCK_STATUS_IOERR);
        return;
    }
    if (request->type == BLOCK_TYPE_IN)
        parse_in(disk, request, sector);
    else if (request->type == BLOCK_TYPE_OUT)
        parse_out(disk, request, sector);
    else if (request->type == BLOCK_TYPE_FLUSH)
        parse_flush(disk, request);
    else if (request->type == BLOCK_TYPE_GET_ID)
        parse_get_id(disk, request);
    else if ((request->type == BLOCK_TYPE_DISCARD && disk->offers_discard) ||
             (request->type == BLOCK_TYPE_WRITE_ZEROES && disk->offers_zeroes))
        parse_segments(disk, request);
    else
        refuse(request, BLOCK_STATUS_UNSUPP);
}

/* The last writable byte is the status; what is before it is data. */
static void take_status_byte(struct block_request *request)
{
    struct virtq_chain *chain = &request->chain;
    struct iovec *last = &chain->iov[chain->readable_count + chain->writable_count - 1];

    last->iov_len--;
    request->status_byte = (uint8_t *)last->iov_base + last->iov_len;
    if (last->iov_len == 0)
        chain->writable_count--;
    request->data_len = --chain->writable_len;
}

int block_request_parse(const struct block_disk *disk, struct block_request *request)
{
    uint8_t header[HEADER_SIZE];

    if (request->chain.writable_count == 0)
        return -EPROTO;
    request->status = BLOCK_STATUS_OK;
    request->error = 0;
    request->cost = request->offset = request->left = 0;
    request->written = 0;
    request->segment = request->segment_count = 0;
    request->zeroes_by_writing = request->sync = request->bounced = false;
    take_status_byte(request);
    if (virtq_copy_from(&request->chain, 0, header, sizeof(header)) < sizeof(header)) {
        refuse(request, BLOCK_STATUS_IOERR);
        return 0;
    }
    request->type = load_le32(header);
    parse_type(disk, request, load_le64(header + 8));
    return 0;
}

/* ---- From what is to be done to a job. ---- */

static void prepare_transfer(const struct block_disk *disk, struct block_request *request,
                             enum block_io_op op)
{
    const struct block_file *file = &disk->file;

    request->job = (struct block_io_job){
        .op = op,
        .file = BLOCK_FILE_MAIN,
        .iov = request->iov,
        .iov_count = request->iov_count,
        .durable = op == BLOCK_IO_WRITE && disk->writethrough,
        .offset = request->offset,
        .len = request->left,
    };
    request->bounced = false;
    if (!disk->direct)
        return;
    /* Sectors smaller than what the disk takes: the page cache puts them together. */
    if ((request->offset | request->left) % file->offset_alignment) {
        request->job.file = BLOCK_FILE_BUFFERED;
        return;
    }
    if (iov_is_aligned(file, request))
        return;
    request->bounced = true;
    request->job.len = min_u64(request->left, BLOCK_BOUNCE_SIZE);
    if (op == BLOCK_IO_WRITE)
        bounce_copy(request, request->job.len, false);
    request->bounce_iov =
        (struct iovec){.iov_base = request->bounce, .iov_len = (size_t)request->job.len};
    request->job.iov = &request->bounce_iov;
    request->job.iov_count = 1;
}

/* Write zeroes the long way. The chain's iovecs are free for it: all was copied out of it. */
static void prepare_zeroes(const struct block_disk *disk, struct block_request *request)
{
    uint64_t left = request->left;

    request->iov = request->chain.iov;
    for (request->iov_count = 0; left > 0 && request->iov_count < VIRTQUEUE_MAX_SIZE;) {
        size_t part = min_u64(left, BLOCK_ZEROES_SIZE);

        request->iov[request->iov_count++] =
            (struct iovec){.iov_base = disk->zeroes, .iov_len = part};
        left -= part;
    }
    prepare_transfer(disk, request, BLOCK_IO_WRITE);
}

static void prepare_segment(const struct block_disk *disk, struct block_request *request)
{
    const struct block_segment *segment = &request->segments[request->segment - 1];
    bool hole =
        request->type == BLOCK_TYPE_DISCARD || (segment->unmap && disk->file.can_punch_holes);

    if (request->zeroes_by_writing ||
        (request->offset | request->left) % disk->file.hole_alignment) {
        prepare_zeroes(disk, request);
        return;
    }
    request->job = (struct block_io_job){
        .op = BLOCK_IO_ALLOCATE,
        .file = BLOCK_FILE_MAIN,
        .mode = FALLOC_FL_KEEP_SIZE | (hole ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE),
        .offset = request->offset,
        .len = request->left,
    };
}

/* Go on with the next segment that has anything to do. */
static void next_segment(const struct block_disk *disk, struct block_request *request)
{
    while (request->left == 0 && request->segment < request->segment_count) {
        const struct block_segment *segment = &request->segments[request->segment++];
        uint64_t start = segment->offset, end = segment->offset + segment->len;

        if (request->type == BLOCK_TYPE_DISCARD) { /* only a hint: the whole blocks in it */
            start = align_up(start, disk->file.hole_alignment);
            end = align_down(end, disk->file.hole_alignment);
        }
        request->offset = start;
        request->left = end > start ? end - start : 0;
    }
}

bool block_request_next(struct block_disk *disk, struct block_request *request)
{
    if (request->status != BLOCK_STATUS_OK)
        return false;
    next_segment(disk, request);
    if (request->left > 0) {
        if (request->segment_count > 0)
            prepare_segment(disk, request);
        else
            prepare_transfer(disk, request,
                             request->type == BLOCK_TYPE_IN ? BLOCK_IO_READ : BLOCK_IO_WRITE);
        return true;
    }
    if (!request->sync)
        return false;
    request->sync = false;
    request->job = (struct block_io_job){.op = BLOCK_IO_SYNC, .file = BLOCK_FILE_MAIN};
    return true;
}

/* ---- What came of a job. ---- */

static void take_transfer(struct block_request *request, int64_t result)
{
    uint64_t moved;

    if (result <= 0) { /* 0: the file was made shorter meanwhile */
        fail(request, result < 0 ? (int)result : -EIO);
        return;
    }
    moved = min_u64((uint64_t)result, request->left);
    if (request->job.op == BLOCK_IO_READ) {
        if (request->bounced)
            bounce_copy(request, moved, true);
        request->written += (uint32_t)moved;
    }
    iov_skip(request, moved);
    request->offset += moved;
    request->left -= moved;
}

static void take_sync(struct block_disk *disk, struct block_request *request, int64_t result)
{
    if (result >= 0)
        return;
    fail(request, (int)result);
    if (!disk->direct)
        disk->flush_lost = true; /* the kernel tells of a lost page once, and forgets it */
}

static void take_allocation(struct block_disk *disk, struct block_request *request, int64_t result)
{
    bool impossible = result == -EOPNOTSUPP || result == -ENOSYS || result == -EINVAL;

    if (result >= 0) {
        request->left = 0;
    } else if (impossible && request->type == BLOCK_TYPE_DISCARD) {
        refuse(request, BLOCK_STATUS_UNSUPP);
    } else if (impossible) {
        request->zeroes_by_writing = true;
        if (request->job.mode & FALLOC_FL_ZERO_RANGE)
            disk->no_zero_range = true;
    } else {
        fail(request, (int)result);
    }
}

void block_request_take_result(struct block_disk *disk, struct block_request *request)
{
    int64_t result = request->job.result;

    if (result == -EINTR) { /* nothing was done: the same again */
        request->sync = request->sync || request->job.op == BLOCK_IO_SYNC;
        return;
    }
    switch (request->job.op) {
    case BLOCK_IO_READ:
    case BLOCK_IO_WRITE:
        take_transfer(request, result);
        break;
    case BLOCK_IO_SYNC:
        take_sync(disk, request, result);
        break;
    case BLOCK_IO_ALLOCATE:
        take_allocation(disk, request, result);
        break;
    }
}

uint32_t block_request_used_len(const struct block_request *request)
{
    return request->written + (request->written == request->data_len ? 1 : 0);
}

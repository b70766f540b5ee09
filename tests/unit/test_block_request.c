/* virtio/block_request.h: what becomes of a request whose host jobs end in every way. */
#include "unit.h"

#include <errno.h>
#include <linux/falloc.h>

#include "base/bytes.h"
#include "block_request.h"

#define DISK_SIZE (64 * MIB)

struct fixture {
    struct block_disk disk;
    struct block_request request;
    uint8_t header[16], status;
    uint8_t data[64 * KIB] __attribute__((aligned(4096)));
    uint8_t bounce[BLOCK_BOUNCE_SIZE];
    uint8_t zeroes[BLOCK_ZEROES_SIZE];
};

static struct fixture *build(void)
{
    struct fixture *f = aligned_alloc(4096, sizeof(*f));

    assert_non_null(f);
    memset(f, 0, sizeof(*f));
    f->disk.file = (struct block_file){.size = DISK_SIZE,
                                       .block_size = 512,
                                       .hole_alignment = 512,
                                       .offset_alignment = 1,
                                       .memory_alignment = 1,
                                       .can_punch_holes = true};
    f->disk.offers_discard = f->disk.offers_zeroes = true;
    f->disk.zeroes = f->zeroes;
    f->request.bounce = f->bounce;
    return f;
}

/* A request whose data, in two pieces, the device reads or writes. */
static void begin(struct fixture *f, uint32_t type, uint64_t sector, size_t len, bool writable)
{
    struct virtq_chain *chain = &f->request.chain;
    size_t first = len / 2 + len % 2;
    unsigned n = 0;

    store_le32(f->header, type);
    store_le64(f->header + 8, sector);
    chain->iov[n++] = (struct iovec){f->header, sizeof(f->header)};
    if (first > 0)
        chain->iov[n++] = (struct iovec){f->data, first};
    if (len - first > 0)
        chain->iov[n++] = (struct iovec){f->data + first, len - first};
    chain->iov[n++] = (struct iovec){&f->status, 1};
    chain->writable_count = writable ? n - 1 : 1;
    chain->readable_count = n - chain->writable_count;
    chain->writable_len = (uint32_t)(writable ? len : 0) + 1;
    chain->readable_len = (uint32_t)(writable ? 0 : len) + 16;
    assert_int_equal(block_request_parse(&f->disk, &f->request), 0);
}

static void begin_segment(struct fixture *f, uint32_t type, uint64_t sector, uint32_t sectors,
                          uint32_t flags)
{
    store_le64(f->data, sector);
    store_le32(f->data + 8, sectors);
    store_le32(f->data + 12, flags);
    begin(f, type, 0, 16, false);
}

/* The next job must be this one; it ends so. */
static void expect_job(struct fixture *f, enum block_io_op op, uint64_t offset, int64_t result)
{
    assert_true(block_request_next(&f->disk, &f->request));
    assert_int_equal(f->request.job.op, op);
    if (op != BLOCK_IO_SYNC)
        assert_int_equal(f->request.job.offset, offset);
    f->request.job.result = result;
    block_request_take_result(&f->disk, &f->request);
}

static void expect_end(struct fixture *f, enum block_status status, uint32_t used)
{
    assert_false(block_request_next(&f->disk, &f->request));
    assert_int_equal(f->request.status, status);
    assert_int_equal(block_request_used_len(&f->request), used);
}

static void test_short_read(void **state)
{
    struct fixture *f = build();

    (void)state;
    begin(f, 0, 8, 4096, true);
    expect_job(f, BLOCK_IO_READ, 4096, 1000);
    assert_ptr_equal(f->request.iov->iov_base, f->data + 1000);
    expect_job(f, BLOCK_IO_READ, 5096, -EINTR); /* the same again */
    expect_job(f, BLOCK_IO_READ, 5096, 2000);
    assert_ptr_equal(f->request.iov->iov_base, f->data + 3000);
    assert_int_equal(f->request.iov_count, 1);
    expect_job(f, BLOCK_IO_READ, 7096, 1096);
    expect_end(f, BLOCK_STATUS_OK, 4097);
    begin(f, 0, 8, 4096, true);
    expect_job(f, BLOCK_IO_READ, 4096, 1000);
    expect_job(f, BLOCK_IO_READ, 5096, 0); /* the file ends */
    expect_end(f, BLOCK_STATUS_IOERR, 1000);
    free(f);
}

static void test_failed_write(void **state)
{
    struct fixture *f = build();

    (void)state;
    begin(f, 1, 0, 4096, false);
    expect_job(f, BLOCK_IO_WRITE, 0, 512);
    expect_job(f, BLOCK_IO_WRITE, 512, -ENOSPC);
    expect_end(f, BLOCK_STATUS_IOERR, 1);
    assert_int_equal(f->request.error, -ENOSPC);
    assert_false(f->disk.flush_lost);
    free(f);
}

/* The kernel tells once that pages were lost; the guest must not take the next flush for good. */
static void test_failed_flush(void **state)
{
    struct fixture *f = build();

    (void)state;
    begin(f, 4, 0, 0, false);
    expect_job(f, BLOCK_IO_SYNC, 0, -EIO);
    expect_end(f, BLOCK_STATUS_IOERR, 1);
    begin(f, 4, 0, 0, false);
    expect_end(f, BLOCK_STATUS_IOERR, 1);
    f->disk.direct = true;
    f->disk.flush_lost = false;
    begin(f, 4, 0, 0, false);
    expect_job(f, BLOCK_IO_SYNC, 0, -EIO);
    expect_end(f, BLOCK_STATUS_IOERR, 1);
    begin(f, 4, 0, 0, false);
    expect_job(f, BLOCK_IO_SYNC, 0, -EINTR);
    expect_job(f, BLOCK_IO_SYNC, 0, 0);
    expect_end(f, BLOCK_STATUS_OK, 1);
    free(f);
}

static void test_unsafe_flush(void **state)
{
    struct fixture *f = build();

    (void)state;
    f->disk.ignore_flush = true;
    begin(f, 4, 0, 0, false);
    expect_end(f, BLOCK_STATUS_OK, 1);
    free(f);
}

static void test_writethrough(void **state)
{
    struct fixture *f = build();

    (void)state;
    f->disk.writethrough = true;
    begin(f, 1, 0, 512, false);
    expect_job(f, BLOCK_IO_WRITE, 0, 512);
    assert_true(f->request.job.durable);
    expect_end(f, BLOCK_STATUS_OK, 1);
    begin_segment(f, 13, 8, 8, 0);
    expect_job(f, BLOCK_IO_ALLOCATE, 4096, 0);
    expect_job(f, BLOCK_IO_SYNC, 0, 0);
    expect_end(f, BLOCK_STATUS_OK, 1);
    free(f);
}

/* Where the file system cannot zero a range, zeroes are written, a round at a time. */
static void test_zeroes_by_writing(void **state)
{
    struct fixture *f = build();

    (void)state;
    begin_segment(f, 13, 0, 40 * MIB / 512, 0);
    expect_job(f, BLOCK_IO_ALLOCATE, 0, -EOPNOTSUPP);
    expect_job(f, BLOCK_IO_WRITE, 0, 16 * MIB);
    assert_int_equal(f->request.job.iov_count, 256);
    assert_ptr_equal(f->request.job.iov[0].iov_base, f->zeroes);
    expect_job(f, BLOCK_IO_WRITE, 16 * MIB, 16 * MIB);
    expect_job(f, BLOCK_IO_WRITE, 32 * MIB, 8 * MIB);
    expect_end(f, BLOCK_STATUS_OK, 1);
    begin_segment(f, 13, 0, 1, 1); /* it is remembered */
    expect_job(f, BLOCK_IO_WRITE, 0, -ENOSPC);
    expect_end(f, BLOCK_STATUS_IOERR, 1);
    free(f);
}

static void test_unmap(void **state)
{
    struct fixture *f = build();

    (void)state;
    begin_segment(f, 13, 0, 1, 1);
    expect_job(f, BLOCK_IO_ALLOCATE, 0, 0);
    assert_int_equal(f->request.job.mode, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE);
    begin_segment(f, 13, 0, 1, 0);
    expect_job(f, BLOCK_IO_ALLOCATE, 0, 0);
    assert_int_equal(f->request.job.mode, FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE);
    free(f);
}

static void test_discard(void **state)
{
    struct fixture *f = build();

    (void)state;
    begin_segment(f, 11, 1, 1, 0);
    expect_job(f, BLOCK_IO_ALLOCATE, 512, -EOPNOTSUPP);
    expect_end(f, BLOCK_STATUS_UNSUPP, 1);
    begin_segment(f, 11, 1, 1, 0);
    expect_job(f, BLOCK_IO_ALLOCATE, 512, -EIO);
    expect_end(f, BLOCK_STATUS_IOERR, 1);
    f->disk.file.hole_alignment = 4096; /* a disk of 4 KiB sectors: the whole ones inside */
    begin_segment(f, 11, 1, 30, 0);
    expect_job(f, BLOCK_IO_ALLOCATE, 4096, 0);
    assert_int_equal(f->request.job.len, 8192);
    expect_end(f, BLOCK_STATUS_OK, 1);
    begin_segment(f, 11, 1, 6, 0);
    expect_end(f, BLOCK_STATUS_OK, 1);
    begin_segment(f, 13, 1, 6, 1); /* zeroes must be zeroes */
    expect_job(f, BLOCK_IO_WRITE, 512, 6 * 512);
    expect_end(f, BLOCK_STATUS_OK, 1);
    free(f);
}

static void test_many_segments(void **state)
{
    struct fixture *f = build();

    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        store_le64(f->data + 16 * i, i * 10);
        store_le32(f->data + 16 * i + 8, i % 3); /* every third is empty */
        store_le32(f->data + 16 * i + 12, 0);
    }
    begin(f, 11, 0, 256, false);
    memset(f->data, 0xff, 256); /* too late: it was copied */
    for (unsigned i = 0; i < 16; i++) {
        if (i % 3)
            expect_job(f, BLOCK_IO_ALLOCATE, i * 5120, 0);
    }
    expect_end(f, BLOCK_STATUS_OK, 1);
    free(f);
}

/* ---- Direct I/O. ---- */

static struct fixture *build_direct(void)
{
    struct fixture *f = build();

    f->disk.direct = true;
    f->disk.file.offset_alignment = 4096;
    f->disk.file.memory_alignment = 512;
    return f;
}

static void test_direct_aligned(void **state)
{
    struct fixture *f = build_direct();

    (void)state;
    begin(f, 0, 8, 8192, true);
    expect_job(f, BLOCK_IO_READ, 4096, 8192);
    assert_ptr_equal(f->request.job.iov[0].iov_base, f->data);
    assert_int_equal(f->request.job.file, BLOCK_FILE_MAIN);
    expect_end(f, BLOCK_STATUS_OK, 8193);
    free(f);
}

static void test_direct_bounce(void **state)
{
    struct fixture *f = build_direct();
    struct iovec odd[] = {{f->data + 1, 100}, {f->data + 201, 8092}};

    (void)state;
    begin(f, 0, 8, 8192, true);
    memcpy(f->request.iov, odd, sizeof(odd));
    assert_true(block_request_next(&f->disk, &f->request));
    assert_ptr_equal(f->request.job.iov[0].iov_base, f->bounce);
    assert_int_equal(f->request.job.file, BLOCK_FILE_MAIN);
    memset(f->bounce, 0x11, 50);
    memset(f->bounce + 50, 0x22, 8192 - 50);
    f->request.job.result = 8192;
    block_request_take_result(&f->disk, &f->request);
    expect_end(f, BLOCK_STATUS_OK, 8193);
    assert_int_equal(f->data[0], 0);
    assert_int_equal(f->data[1], 0x11);
    assert_int_equal(f->data[50], 0x11);
    assert_int_equal(f->data[51], 0x22);
    assert_int_equal(f->data[101], 0); /* between the two */
    assert_int_equal(f->data[201], 0x22);
    assert_int_equal(f->data[201 + 8091], 0x22);
    assert_int_equal(f->data[201 + 8092], 0);
    free(f);
}

static void test_direct_small(void **state)
{
    struct fixture *f = build_direct();

    (void)state;
    begin(f, 1, 1, 512, false); /* a sector of a disk of 4 KiB blocks */
    expect_job(f, BLOCK_IO_WRITE, 512, 512);
    assert_int_equal(f->request.job.file, BLOCK_FILE_BUFFERED);
    expect_end(f, BLOCK_STATUS_OK, 1);
    free(f);
}

static void test_no_status(void **state)
{
    struct fixture *f = build();
    struct virtq_chain *chain = &f->request.chain;

    (void)state;
    chain->iov[0] = (struct iovec){f->header, 16};
    chain->readable_count = 1;
    chain->readable_len = 16;
    assert_int_equal(block_request_parse(&f->disk, &f->request), -EPROTO);
    chain->iov[0] = (struct iovec){f->header, 15}; /* half a header, and a status */
    chain->iov[1] = (struct iovec){&f->status, 1};
    chain->readable_len = 15;
    chain->writable_count = chain->writable_len = 1;
    assert_int_equal(block_request_parse(&f->disk, &f->request), 0);
    expect_end(f, BLOCK_STATUS_IOERR, 1);
    free(f);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add(&unit, "a short read goes on, and fails at the end", test_short_read, NULL);
    unit_add(&unit, "a write that fails half-way", test_failed_write, NULL);
    unit_add(&unit, "after a failed flush all fail", test_failed_flush, NULL);
    unit_add(&unit, "unsafe: no flush", test_unsafe_flush, NULL);
    unit_add(&unit, "write through", test_writethrough, NULL);
    unit_add(&unit, "zeroes that must be written", test_zeroes_by_writing, NULL);
    unit_add(&unit, "zeroes with and without unmap", test_unmap, NULL);
    unit_add(&unit, "discard", test_discard, NULL);
    unit_add(&unit, "many segments, fetched once", test_many_segments, NULL);
    unit_add(&unit, "direct: aligned", test_direct_aligned, NULL);
    unit_add(&unit, "direct: bounced", test_direct_bounce, NULL);
    unit_add(&unit, "direct: smaller than a block", test_direct_small, NULL);
    unit_add(&unit, "no room for a status, no header", test_no_status, NULL);
    return unit_run(&unit, "block_request");
}

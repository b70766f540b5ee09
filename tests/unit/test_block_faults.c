/* virtio/block.h when things go wrong: full and shrinking files, nonsense in the ring, resets with
 * I/O under way, limits. */
#include "block_fixture.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

struct engine_row {
    const char *name;
    enum block_engine engine;
};

static const struct engine_row engines[] = {
    {"io_uring", BLOCK_ENGINE_URING},
    {"threads", BLOCK_ENGINE_THREADS},
};

/* ---- The host's file. ---- */

/* Whether a file system of 1 MiB lies at this folder now, for this process alone. */
static bool mount_small(const char *folder)
{
    return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", folder, "tmpfs", 0, "size=1m") == 0;
}

static void test_disk_full(void **state)
{
    const struct engine_row *row = *state;
    struct virtio_block_options options = {.engine = row->engine};
    char folder[] = "/var/tmp/osvm-full-XXXXXX";
    unsigned good = 0;
    struct disk disk;

    assert_non_null(mkdtemp(folder));
    if (!mount_small(folder)) {
        rmdir(folder);
        skip();
    }
    setenv("TMPDIR", folder, 1);
    disk_start(&disk, DISK_SIZE, &options);
    unsetenv("TMPDIR");
    memset(disk_data(&disk), 0x77, DISK_DATA_SIZE);
    while (good < 32 && disk_request(&disk, BLK_OUT, good * 128, DISK_DATA_SIZE, NULL) == BLK_OK)
        good++;
    assert_in_range(good, 8, 16); /* then it was full */
    assert_int_equal(disk_request(&disk, BLK_OUT, good * 128, DISK_DATA_SIZE, NULL), BLK_IOERR);
    assert_int_equal(disk_range(&disk, BLK_WRITE_ZEROES, 30 * 128, 128, 0), BLK_IOERR);
    assert_int_equal(disk_request(&disk, BLK_FLUSH, 0, 0, NULL), BLK_OK);
    memset(disk_data(&disk), 0, DISK_DATA_SIZE);
    for (unsigned i = 0; i < good; i++) { /* what was acknowledged is there */
        assert_int_equal(disk_request(&disk, BLK_IN, i * 128, DISK_DATA_SIZE, NULL), BLK_OK);
        assert_int_equal(disk_data(&disk)[0], 0x77);
        assert_int_equal(disk_data(&disk)[DISK_DATA_SIZE - 1], 0x77);
    }
    assert_int_equal(disk_range(&disk, BLK_DISCARD, 0, 512, 0), BLK_OK);
    assert_int_equal(disk_range(&disk, BLK_WRITE_ZEROES, 0, 128, 0), BLK_OK);
    assert_int_equal(disk_request(&disk, BLK_OUT, 30 * 128, DISK_DATA_SIZE, NULL), BLK_OK);
    disk_destroy(&disk);
    umount2(folder, MNT_DETACH);
    rmdir(folder);
}

/* A write that crosses the limit is done in part, and then fails. */
static void test_file_limit(void **state)
{
    const struct engine_row *row = *state;
    struct virtio_block_options options = {.engine = row->engine};
    struct rlimit before, limit;
    struct disk disk;

    signal(SIGXFSZ, SIG_IGN);
    disk_start(&disk, DISK_SIZE, &options);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){.rlim_cur = MIB + 4 * KIB, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(disk_request(&disk, BLK_OUT, 2044, 16 * SECTOR, NULL), BLK_IOERR);
    assert_int_equal(disk_request(&disk, BLK_OUT, 4000, SECTOR, NULL), BLK_IOERR);
    assert_int_equal(disk_request(&disk, BLK_OUT, 0, DISK_DATA_SIZE, NULL), BLK_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(disk_request(&disk, BLK_OUT, 4000, SECTOR, NULL), BLK_OK);
    disk_destroy(&disk);
}

static void test_file_cut(void **state)
{
    const struct engine_row *row = *state;
    struct virtio_block_options options = {.engine = row->engine};
    struct disk disk;
    uint32_t used;

    disk_start(&disk, DISK_SIZE, &options);
    assert_int_equal(truncate(disk.path, 10 * SECTOR), 0);
    assert_int_equal(disk_request(&disk, BLK_IN, 8, 4 * SECTOR, &used), BLK_IOERR);
    assert_int_equal(used, 2 * SECTOR); /* so much was really read */
    assert_int_equal(disk_request(&disk, BLK_IN, 100, SECTOR, &used), BLK_IOERR);
    assert_int_equal(used, 0);
    assert_int_equal(disk_request(&disk, BLK_IN, 0, SECTOR, NULL), BLK_OK);
    disk_destroy(&disk);
}

/* ---- Nonsense in the ring. ---- */

struct nonsense_row {
    const char *name;
    struct driver_buffer buffers[3];
    unsigned count;
    int status; /* of the request; -1: the device breaks */
};

/* Addresses: the request's own pages are at its request_gpa; MINE is replaced by that. */
#define MINE    (UINT64_C(1) << 60)
#define OUTSIDE (UINT64_C(1) << 40)

static const struct nonsense_row nonsense[] = {
    {"no status byte", {{MINE, 16, false}}, 1, -1},
    {"only readable", {{MINE, 16, false}, {MINE + 4096, 512, false}}, 2, -1},
    {"a status and no header", {{MINE + DISK_STATUS, 1, true}}, 1, BLK_IOERR},
    {"half a header", {{MINE, 8, false}, {MINE + DISK_STATUS, 1, true}}, 2, BLK_IOERR},
    {"data outside memory", {{MINE, 16, false}, {OUTSIDE, 512, true}, {MINE + 64, 1, true}}, 3, -1},
    {"status outside memory", {{MINE, 16, false}, {OUTSIDE, 1, true}}, 2, -1},
    {"header over the end of memory", {{32 * MIB - 8, 16, false}, {MINE + 64, 1, true}}, 2, -1},
    {"written before read", {{MINE + 64, 1, true}, {MINE, 16, false}}, 2, -1},
    {"data that is the header and the status", {{MINE, 16, false}, {MINE, 513, true}}, 2, BLK_OK},
};

static void test_nonsense(void **state)
{
    const struct nonsense_row *row = *state;
    struct virtio_block_options options = {.cache = BLOCK_CACHE_WRITEBACK};
    struct driver_buffer buffers[3];
    struct driver_used used = {0};
    struct disk disk;

    disk_start(&disk, DISK_SIZE, &options);
    disk_put_header(&disk, disk.request_gpa, BLK_IN, 0);
    for (unsigned i = 0; i < row->count; i++) {
        buffers[i] = row->buffers[i];
        if (buffers[i].gpa & MINE)
            buffers[i].gpa = buffers[i].gpa - MINE + disk.request_gpa;
    }
    driver_add(&disk.driver, 0, buffers, row->count);
    driver_notify(&disk.driver, 0);
    if (row->status < 0) {
        assert_true(driver_is_broken(&disk.driver));
        driver_start(&disk.driver, BLK_FEATURES); /* a reset heals it */
    } else {
        const struct driver_buffer *last = &buffers[row->count - 1];

        assert_true(driver_wait_used(&disk.driver, 0, 1));
        assert_true(driver_used(&disk.driver, 0, &used));
        assert_int_equal(*(uint8_t *)driver_host(&disk.driver, last->gpa + last->len - 1, 1),
                         row->status);
    }
    assert_int_equal(disk_request(&disk, BLK_IN, 0, SECTOR, NULL), BLK_OK);
    disk_destroy(&disk);
}

/* One head made available again and again: no more is under way than there are requests. */
static void test_same_head(void **state)
{
    const struct engine_row *row = *state;
    struct virtio_block_options options = {.engine = row->engine};
    struct driver *driver;
    uint16_t total = 0;
    struct disk disk;

    disk_start(&disk, DISK_SIZE, &options);
    driver = &disk.driver;
    disk_put_header(&disk, disk.request_gpa, BLK_FLUSH, 0);
    driver_put_desc(driver, 0, 0, disk.request_gpa, 16, DRIVER_DESC_NEXT, 1);
    driver_put_desc(driver, 0, 1, disk.request_gpa + DISK_STATUS, 1, DRIVER_DESC_WRITE, 0);
    for (unsigned round = 0; round < 8; round++) {
        for (unsigned i = 0; i < 128; i++)
            driver_put_avail(driver, 0, 0);
        driver_notify(driver, 0);
        total += 128;
        /* Twice as many as can be under way; still more would be more than the ring can hold. */
        if (round % 4 == 3)
            assert_true(driver_wait_used(driver, 0, total));
        assert_false(driver_is_broken(driver));
    }
    disk_destroy(&disk);
}

/* ---- Resets with I/O under way: nothing is written into guest memory after them. ---- */

#define FLIGHT 64

static void test_reset_in_flight(void **state)
{
    const struct engine_row *row = *state;
    struct virtio_block_options options = {.engine = row->engine};
    uint64_t gpa, header_gpa;
    uint8_t *data;
    struct disk disk;

    disk_start(&disk, DISK_SIZE, &options);
    gpa = driver_alloc(&disk.driver, FLIGHT * (DISK_DATA_SIZE + 4096), 4096);
    data = driver_host(&disk.driver, gpa, FLIGHT * (DISK_DATA_SIZE + 4096));
    for (unsigned turn = 0; turn < 20; turn++) {
        disk.driver.heap_gpa = gpa + FLIGHT * (DISK_DATA_SIZE + 4096);
        driver_start(&disk.driver, BLK_FEATURES);
        header_gpa = disk.request_gpa;
        for (uint64_t i = 0; i < FLIGHT; i++) {
            uint64_t at = gpa + i * (DISK_DATA_SIZE + 4096);

            disk_put_header(&disk, header_gpa + 16 * i, turn % 2 ? BLK_IN : BLK_OUT, i * 128);
            driver_add(&disk.driver, 0,
                       (struct driver_buffer[]){{header_gpa + 16 * i, 16, false},
                                                {at + 4096, DISK_DATA_SIZE, turn % 2},
                                                {at, 1, true}},
                       3);
        }
        driver_notify(&disk.driver, 0);
        driver_reset(&disk.driver);
        memset(data, 0xcd, FLIGHT * (DISK_DATA_SIZE + 4096));
        driver_run(&disk.driver, 5 * NS_PER_MS);
        for (size_t i = 0; i < FLIGHT * (DISK_DATA_SIZE + 4096); i++) {
            if (data[i] != 0xcd)
                fail_msg("byte %zu was written after the reset", i);
        }
    }
    driver_start(&disk.driver, BLK_FEATURES);
    assert_int_equal(disk_request(&disk, BLK_IN, 0, SECTOR, NULL), BLK_OK);
    disk_destroy(&disk);
}

/* The same, ended without a reset. */
static void test_destroy_in_flight(void **state)
{
    const struct engine_row *row = *state;
    struct virtio_block_options options = {.engine = row->engine};
    struct disk disk;

    disk_start(&disk, DISK_SIZE, &options);
    disk_put_header(&disk, disk.request_gpa, BLK_OUT, 0);
    for (unsigned i = 0; i < 32; i++)
        driver_add(&disk.driver, 0,
                   (struct driver_buffer[]){{disk.request_gpa, 16, false},
                                            {disk.request_gpa + DISK_DATA, DISK_DATA_SIZE, false},
                                            {disk.request_gpa + DISK_STATUS, 1, true}},
                   3);
    driver_notify(&disk.driver, 0);
    disk_destroy(&disk);
}

/* ---- Limits. ---- */

struct rate_row {
    const char *name;
    uint64_t ops_per_second, bytes_per_second;
    uint32_t request_len;
    double want; /* requests in a second */
};

static const struct rate_row rates[] = {
    {"100 operations a second", 100, 0, 4096, 100},
    {"3000 operations a second", 3000, 0, 512, 3000},
    {"1 MiB a second", 0, MIB, 4096, 256},
    {"40 MiB a second", 0, 40 * MIB, 64 * KIB, 640},
    {"both: the narrower one", 200, 40 * MIB, 4096, 200},
};

#define RATE_DEPTH     8
#define RATE_WARM_UP   (200 * NS_PER_MS)
#define RATE_TOLERANCE 0.1 /* a busy host measures badly; the bench is stricter */

#define RATE_TRIES 3

/* How many of the row's requests are done in a second, RATE_DEPTH of them at a time. */
static double measure_rate(const struct rate_row *row, const struct virtio_block_options *options)
{
    uint64_t start = clock_monotonic_ns(), now = start, counted_from = 0;
    struct driver_used used;
    unsigned done = 0;
    double per_second;
    struct disk disk;

    disk_start(&disk, DISK_SIZE, options);
    disk_put_header(&disk, disk.request_gpa, BLK_IN, 0);
    for (unsigned in_flight = 0; now < start + RATE_WARM_UP + NS_PER_SEC;) {
        for (; in_flight < RATE_DEPTH; in_flight++)
            driver_add(
                &disk.driver, 0,
                (struct driver_buffer[]){{disk.request_gpa, 16, false},
                                         {disk.request_gpa + DISK_DATA, row->request_len, true},
                                         {disk.request_gpa + DISK_STATUS, 1, true}},
                3);
        driver_notify(&disk.driver, 0);
        driver_run(&disk.driver, NS_PER_MS / 2);
        now = clock_monotonic_ns();
        if (now < start + RATE_WARM_UP)
            counted_from = now;
        while (driver_used(&disk.driver, 0, &used)) {
            in_flight--;
            done += now >= start + RATE_WARM_UP;
        }
    }
    per_second = (double)done * NS_PER_SEC / (double)(now - counted_from);
    disk_destroy(&disk);
    return per_second;
}

/*
 * More than the rate is never right. Less is, where this host has no time: where the same requests
 * without a limit are not much faster, nothing can be said.
 */
static void test_rate(void **state)
{
    const struct rate_row *row = *state;
    const struct virtio_block_options limited = {.ops = rate_bucket_per_second(row->ops_per_second),
                                                 .bytes =
                                                     rate_bucket_per_second(row->bytes_per_second)};
    const struct virtio_block_options unlimited = {0};
    double per_second = 0;

    for (unsigned i = 0; i < RATE_TRIES; i++) {
        per_second = measure_rate(row, &limited);
        if (per_second > row->want * (1 + RATE_TOLERANCE))
            break;
        if (per_second >= row->want * (1 - RATE_TOLERANCE))
            return;
        if (measure_rate(row, &unlimited) < row->want * 4)
            skip();
    }
    fail_msg("%.1f a second, not %.1f", per_second, row->want);
}

/* A request that waits for its tokens does not outlive a reset. */
static void test_reset_while_limited(void **state)
{
    struct virtio_block_options options = {.ops = {.size = 1, .refill_ns = NS_PER_SEC / 4}};
    struct disk disk;

    (void)state;
    disk_start(&disk, DISK_SIZE, &options);
    assert_int_equal(disk_request(&disk, BLK_FLUSH, 0, 0, NULL), BLK_OK);
    for (unsigned i = 0; i < 4; i++)
        driver_add(&disk.driver, 0,
                   (struct driver_buffer[]){{disk.request_gpa, 16, false},
                                            {disk.request_gpa + DISK_STATUS, 1, true}},
                   2);
    driver_notify(&disk.driver, 0);
    assert_int_equal(driver_used_count(&disk.driver, 0), 0);
    driver_start(&disk.driver, BLK_FEATURES);
    driver_run(&disk.driver, NS_PER_SEC / 3);
    assert_int_equal(driver_used_count(&disk.driver, 0), 0);
    assert_int_equal(disk_request(&disk, BLK_FLUSH, 0, 0, NULL), BLK_OK);
    disk_destroy(&disk);
}

/* ---- Which engine. ---- */

static void test_engine(void **state)
{
    const struct engine_row *row = *state;
    struct virtio_block_options options = {.engine = row->engine};
    struct disk disk;

    disk_start(&disk, DISK_SIZE, &options);
    assert_string_equal(virtio_block_engine(disk.driver.device), row->name);
    disk_destroy(&disk);
}

/* Have the kernel refuse io_uring, as a container's seccomp does. For this process, for good. */
static bool refuse_io_uring(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = code};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

static void test_fallback(void **state)
{
    struct virtio_block_options options = {.engine = BLOCK_ENGINE_AUTO};
    struct disk disk;

    (void)state;
    if (!refuse_io_uring())
        skip();
    disk_start(&disk, DISK_SIZE, &options);
    assert_string_equal(virtio_block_engine(disk.driver.device), "threads");
    assert_int_equal(disk_request(&disk, BLK_OUT, 0, SECTOR, NULL), BLK_OK);
    disk_destroy(&disk);
}

int main(void)
{
    struct unit unit = {.count = 0};

    /* Before there is a second thread. Without the right, the tests that mount skip. */
    if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        print_message("no mount namespace: %s\n", strerror(errno));
    unit_add_rows(&unit, engines, test_disk_full);
    unit_add_rows(&unit, engines, test_file_limit);
    unit_add_rows(&unit, engines, test_file_cut);
    unit_add_rows(&unit, nonsense, test_nonsense);
    unit_add_rows(&unit, engines, test_same_head);
    unit_add_rows(&unit, engines, test_reset_in_flight);
    unit_add_rows(&unit, engines, test_destroy_in_flight);
    unit_add_rows(&unit, rates, test_rate);
    unit_add(&unit, "reset while a request waits for tokens", test_reset_while_limited, NULL);
    unit_add_rows(&unit, engines, test_engine);
    unit_add(&unit, "threads where io_uring is refused", test_fallback, NULL);
    return unit_run(&unit, "block_faults");
}

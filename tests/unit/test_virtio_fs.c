/* virtio/fs.h: how it is made, the guest's nonsense, limits, reset. */
#include "virtio_fs_fixture.h"

#include "base/error.h"

#define ROOT FUSE_ROOT_ID

/* ---- Making it. ---- */

struct make_row {
    const char *name;
    const char *tag, *path;
    const char *says; /* NULL: it succeeds */
};

static const char tag_of_36[] = "123456789012345678901234567890123456";
static const char tag_of_37[] = "1234567890123456789012345678901234567";

static const struct make_row make_rows[] = {
    {"a folder", "work", "/tmp", NULL},
    {"a tag of 36 bytes", tag_of_36, "/tmp", NULL},
    {"a tag of 37 bytes", tag_of_37, "/tmp", "the tag is longer than 36 bytes"},
    {"an empty tag", "", "/tmp", "the tag is empty"},
    {"no tag", NULL, "/tmp", "the tag is empty"},
    {"no such folder", "work", "/tmp/osvm-not-there", "there is no such folder"},
    {"a file", "work", "/etc/passwd", "it is not a folder"},
};

static void run_make_row(void **state)
{
    const struct make_row *row = *state;
    const struct virtio_fs_options options = {.tag = row->tag, .path = row->path};
    struct virtio_device *device = NULL;
    struct error err = {""};
    struct driver driver;
    uint8_t config[44];

    driver_create(&driver, MIB);
    if (virtio_fs_create(&driver.env, "fs0", &options, &device, &err) < 0) {
        assert_non_null(row->says);
        assert_string_equal(err.text, row->says);
        assert_null(device);
    } else {
        assert_null(row->says);
        driver_connect(&driver, device);
        virtio_device_config_read(device, 0, config, sizeof(config));
        assert_memory_equal(config, row->tag, strlen(row->tag));
        assert_int_equal(load_le32(config + 36), 1);
        assert_int_equal(load_le32(config + 40), 0);
    }
    driver_destroy(&driver);
}

/* ---- Requests that make no sense. ---- */

struct lie {
    const char *name;
    uint32_t opcode;
    uint64_t node;
    uint32_t args_len;   /* zeroes, but for `text` at their end */
    const char *text;    /* without a terminator, unless text_len says so */
    uint32_t text_len;   /* 0: none */
    uint32_t header_len; /* 0: the truth */
    uint32_t room;       /* 0: plenty */
    int error;           /* 1: the device needs a reset */
};

#define MUCH 4112

static const struct lie lies[] = {
    {"header.len 0xffffffff", FUSE_LOOKUP, ROOT, 0, "a", 2, 0xffffffff, 0, -EINVAL},
    {"header.len one too long", FUSE_LOOKUP, ROOT, 0, "a", 2, 43, 0, -EINVAL},
    {"header.len cuts the terminator off", FUSE_LOOKUP, ROOT, 0, "a", 2, 41, 0, -EINVAL},
    {"header.len under a header", FUSE_LOOKUP, ROOT, 0, "a", 2, 39, 0, -EINVAL},
    {"no arguments", FUSE_LOOKUP, ROOT, 0, NULL, 0, 0, 0, -EINVAL},
    {"an empty name", FUSE_LOOKUP, ROOT, 2, NULL, 0, 0, 0, -EINVAL},
    {"no terminator", FUSE_LOOKUP, ROOT, 0, "abc", 3, 0, 0, -EINVAL},
    {"no second name", FUSE_RENAME, ROOT, 8, "abc", 4, 0, 0, -EINVAL},
    {"no terminator behind the second", FUSE_SYMLINK, ROOT, 0, "ab\0cd", 5, 0, 0, -EINVAL},
    {"an empty link", FUSE_SYMLINK, ROOT, 0, "abc\0", 5, 0, 0, -EINVAL},
    {"half a struct", FUSE_MKDIR, ROOT, 5, NULL, 0, 0, 0, -EINVAL},
    {"a struct without a name", FUSE_CREATE, ROOT, 16, NULL, 0, 0, 0, -EINVAL},
    {"half an INIT", FUSE_INIT, 0, 15, NULL, 0, 0, 0, -EINVAL},
    {"no room for an entry", FUSE_LOOKUP, ROOT, 0, "a", 2, 0, 16 + 127, -EINVAL},
    {"no room for a new entry", FUSE_CREATE, ROOT, 16, "new", 4, 0, 16 + 128, -EINVAL},
    {"no room for attributes", FUSE_GETATTR, ROOT, 16, NULL, 0, 0, 16, -EINVAL},
    {"no room for INIT", FUSE_INIT, 0, 64, NULL, 0, 0, 16, -EINVAL},
    {"no room for statistics", FUSE_STATFS, ROOT, 0, NULL, 0, 0, 20, -EINVAL},
    {"room for no error", FUSE_LOOKUP, ROOT, 0, "a", 2, 0, 15, 1},
    {"no room at all", FUSE_LOOKUP, ROOT, 0, "a", 2, 0, 1, 1},
    {"node 0", FUSE_GETATTR, 0, 16, NULL, 0, 0, 0, -ESTALE},
    {"node of a free slot", FUSE_GETATTR, 2, 16, NULL, 0, 0, 0, -ESTALE},
    {"node beyond the table", FUSE_GETATTR, 131071, 16, NULL, 0, 0, 0, -ESTALE},
    {"node with another serial", FUSE_GETATTR, 131073, 16, NULL, 0, 0, 0, -ESTALE},
    {"a huge node", FUSE_GETATTR, UINT64_MAX, 16, NULL, 0, 0, 0, -ESTALE},
    {"READ of no handle", FUSE_READ, ROOT, 40, NULL, 0, 0, 0, -EBADF},
    {"WRITE of no handle", FUSE_WRITE, ROOT, 40, NULL, 0, 0, 0, -EBADF},
    {"READDIRPLUS of no handle", FUSE_READDIRPLUS, ROOT, 40, NULL, 0, 0, 0, -EBADF},
    {"RELEASEDIR of no handle", FUSE_RELEASEDIR, ROOT, 24, NULL, 0, 0, 0, -EBADF},
    {"BATCH_FORGET of nothing", FUSE_BATCH_FORGET, 0, 3, NULL, 0, 0, 0, 0},
    {"FORGET of nothing", FUSE_FORGET, 0, 3, NULL, 0, 0, 0, 0},
    {"FORGET that is cut short", FUSE_FORGET, 0, 8, NULL, 0, 1, 0, 0},
    {"INTERRUPT", FUSE_INTERRUPT, 0, 8, NULL, 0, 0, 0, 0},
};

static void run_lie(void **state)
{
    const struct lie *lie = *state;
    uint8_t args[128] = {0};
    uint32_t len = lie->args_len + lie->text_len;
    struct fixture f;
    int error;

    fixture_create(&f, false, 0);
    put_file(f.share_fd, "a", "x");
    if (lie->text_len > 0)
        memcpy(args + lie->args_len, lie->text, lie->text_len);
    error = fuse_raw(&f, lie->opcode, lie->node, args, len, lie->header_len,
                     lie->room ? lie->room : MUCH);
    assert_int_equal(driver_is_broken(&f.driver), lie->error == 1);
    if (lie->error != 1) {
        assert_int_equal(error, lie->error);
        lookup_ok(&f, ROOT, "a"); /* it goes on */
    }
    assert_false(file_exists(f.share_fd, "new"));
    fixture_destroy(&f);
}

static void test_short_header(void **state)
{
    struct fixture f;
    const struct driver_buffer buffer = {DRIVER_HEAP_GPA, 39, false};

    (void)state;
    fixture_create(&f, false, 0);
    driver_add(&f.driver, HIPRIO, &buffer, 1);
    driver_notify(&f.driver, HIPRIO);
    for (unsigned i = 0; i < 5000 && !driver_is_broken(&f.driver); i++)
        usleep(1000);
    assert_true(driver_is_broken(&f.driver));
    fixture_start_driver(&f); /* a reset heals it */
    assert_int_equal(fuse_init(&f), 0);
    fixture_destroy(&f);
}

static void test_before_init(void **state)
{
    struct fixture f;
    int error;

    (void)state;
    fixture_create(&f, false, 0);
    fixture_start_driver(&f);
    lookup(&f, ROOT, "a", &error);
    assert_int_equal(error, -EIO);
    fixture_destroy(&f);
}

static void test_offsets(void **state)
{
    struct fuse_write_in lie;
    struct fixture f;
    uint64_t fh;

    (void)state;
    fixture_create(&f, false, 0);
    fh = create_ok(&f, "a");
    assert_int_equal(write_at(&f, fh, 0, "0123456789", 10), 10);
    assert_int_equal(read_at(&f, fh, UINT64_MAX, 10), -EINVAL);
    assert_int_equal(read_at(&f, fh, INT64_MAX, 10), -EINVAL); /* the end would wrap */
    assert_int_equal(read_at(&f, fh, 10, 10), 0);
    assert_int_equal(read_at(&f, fh, 0, UINT32_MAX), 10);
    assert_int_equal(read_at(&f, fh, 0, 0), 0);
    assert_int_equal(write_at(&f, fh, UINT64_MAX, "x", 1), -EINVAL);
    assert_int_equal(write_at(&f, fh, INT64_MAX, "x", 1), -EFBIG);
    assert_int_equal(write_at(&f, fh, 0, "", 0), 0);
    lie = (struct fuse_write_in){.fh = fh, .size = 1}; /* and no data */
    assert_int_equal(fuse(&f, FUSE_WRITE, ROOT, &lie, sizeof(lie)), -EINVAL);
    lie.size = UINT32_MAX;
    assert_int_equal(fuse(&f, FUSE_WRITE, ROOT, &lie, sizeof(lie)), -EINVAL);
    assert_true(file_is(f.share_fd, "a", "0123456789"));
    /* A reply never goes beyond the room, whatever the size says. */
    assert_int_equal(fuse_raw(&f, FUSE_READ, ROOT,
                              &(struct fuse_read_in){.fh = fh, .size = UINT32_MAX},
                              sizeof(struct fuse_read_in), 0, 16 + 4),
                     0);
    assert_int_equal(f.reply_len, 4);
    fixture_destroy(&f);
}

/* ---- A share that is read only. ---- */

static void test_read_only(void **state)
{
    static const uint32_t opcodes[] = {
        FUSE_SETATTR, FUSE_SYMLINK, FUSE_MKNOD, FUSE_MKDIR, FUSE_UNLINK, FUSE_RMDIR,
        FUSE_RENAME,  FUSE_RENAME2, FUSE_LINK,  FUSE_WRITE, FUSE_CREATE, FUSE_FALLOCATE,
    };
    static const uint32_t flags[] = {O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_RDONLY | O_APPEND};
    struct fuse_access_in access_in = {.mask = W_OK};
    uint8_t args[128] = {0};
    struct fixture f;
    uint64_t node;
    int error;

    (void)state;
    fixture_create(&f, true, 0);
    put_file(f.share_fd, "a", "text");
    node = lookup_ok(&f, ROOT, "a");
    for (unsigned i = 0; i < ARRAY_SIZE(opcodes); i++)
        assert_int_equal(fuse(&f, opcodes[i], ROOT, args, sizeof(args)), -EROFS);
    for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
        open_node(&f, FUSE_OPEN, node, flags[i], &error);
        assert_int_equal(error, -EROFS);
    }
    assert_int_equal(fuse(&f, FUSE_ACCESS, ROOT, &access_in, sizeof(access_in)), -EROFS);
    assert_int_equal(read_at(&f, open_ok(&f, FUSE_OPEN, node, O_RDONLY), 0, 64), 4);
    open_ok(&f, FUSE_OPENDIR, ROOT, O_RDONLY);
    assert_true(file_is(f.share_fd, "a", "text"));
    fixture_destroy(&f);
}

/* ---- The size limit. ---- */

#define NAME 4096 /* what a name counts */

static void test_size_limit(void **state)
{
    struct fuse_setattr_in set = {.valid = FATTR_SIZE, .size = 60 * KIB};
    struct fuse_fallocate_in allocate;
    struct fixture f;
    uint64_t fh, node;
    int error;

    (void)state;
    fixture_create(&f, false, 64 * KIB);
    fh = create_ok(&f, "a");
    node = entry_of(&f)->nodeid;
    assert_int_equal(write_at(&f, fh, 60 * KIB - 1, "xy", 2), -ENOSPC);
    assert_int_equal(setattr(&f, node, &set), 0); /* to the last byte */
    assert_int_equal(write_at(&f, fh, 100, "inside", 6), 6);
    set.size++;
    assert_int_equal(setattr(&f, node, &set), -ENOSPC);
    allocate = (struct fuse_fallocate_in){.fh = fh, .offset = 60 * KIB, .length = 1};
    assert_int_equal(fuse(&f, FUSE_FALLOCATE, ROOT, &allocate, sizeof(allocate)), -ENOSPC);
    create(&f, ROOT, "b", O_RDWR, 0644, &error);
    assert_int_equal(error, -ENOSPC);
    assert_int_equal(fuse_names(&f, FUSE_SYMLINK, ROOT, NULL, 0, "b", "x"), -ENOSPC);
    assert_false(file_exists(f.share_fd, "b"));
    assert_int_equal(fuse(&f, FUSE_STATFS, ROOT, NULL, 0), 0);
    assert_int_equal(((const struct fuse_statfs_out *)(const void *)f.reply)->st.bavail, 0);
    set.size = 10 * KIB; /* cut off counts back */
    assert_int_equal(setattr(&f, node, &set), 0);
    assert_int_equal(write_at(&f, fh, 60 * KIB - 2, "xy", 2), 2);
    /* Removed, but open: its name counts back, its space does not yet. */
    assert_int_equal(fuse_names(&f, FUSE_UNLINK, ROOT, NULL, 0, "a", NULL), 0);
    release(&f, FUSE_RELEASE, create_ok(&f, "b"));
    create(&f, ROOT, "c", O_RDWR, 0644, &error);
    assert_int_equal(error, -ENOSPC);
    assert_int_equal(release(&f, FUSE_RELEASE, fh), 0);
    fh = create_ok(&f, "c");
    assert_int_equal(write_at(&f, fh, 64 * KIB - 2 * NAME - 1, "x", 1), 1);
    assert_int_equal(write_at(&f, fh, 64 * KIB - 2 * NAME, "x", 1), -ENOSPC);
    assert_int_equal(release(&f, FUSE_RELEASE, fh), 0);
    /* What a RENAME replaces counts back, too. */
    assert_int_equal(fuse_names(&f, FUSE_RENAME, ROOT, &(struct fuse_rename_in){ROOT},
                                sizeof(struct fuse_rename_in), "b", "c"),
                     0);
    fh = create_ok(&f, "d");
    assert_int_equal(write_at(&f, fh, 64 * KIB - 2 * NAME - 1, "x", 1), 1);
    fixture_destroy(&f);
}

/* What an append adds is where the file ends, not where the guest says. */
static void test_size_limit_append(void **state)
{
    struct fixture f;
    uint64_t fh;
    int error;

    (void)state;
    fixture_create(&f, false, NAME + 10);
    fh = create(&f, ROOT, "a", O_WRONLY | O_APPEND, 0644, &error);
    assert_int_equal(write_at(&f, fh, 0, "012345678", 9), 9);
    assert_int_equal(write_at(&f, fh, 0, "01", 2), -ENOSPC);
    assert_int_equal(write_at(&f, fh, 0, "9", 1), 1);
    assert_true(file_is(f.share_fd, "a", "0123456789"));
    fixture_destroy(&f);
}

/* Two shares under one budget: what one takes the other has not, and gets when it is given back. */
static void test_budget(void **state)
{
    struct virtio_fs_budget budget = {.left = 64 * KIB};
    struct fuse_setattr_in set = {.valid = FATTR_SIZE, .size = 30 * KIB};
    struct fixture a, b;
    uint64_t fh_a, fh_b, node;

    (void)state;
    fixture_create_with(&a, false, 0, &budget);
    fixture_create_with(&b, false, 40 * KIB, &budget);
    fh_a = create_ok(&a, "a");
    node = entry_of(&a)->nodeid;
    fh_b = create_ok(&b, "b");
    assert_int_equal(setattr(&a, node, &set), 0);
    assert_int_equal(budget.left, 64 * KIB - 2 * NAME - 30 * KIB);
    assert_int_equal(write_at(&b, fh_b, budget.left, "x", 1), -ENOSPC);
    assert_int_equal(fuse(&b, FUSE_STATFS, ROOT, NULL, 0), 0);
    assert_true(((const struct fuse_statfs_out *)(const void *)b.reply)->st.bavail <=
                26 * KIB / 512);
    assert_int_equal(write_at(&b, fh_b, budget.left - 1, "x", 1), 1);
    assert_int_equal(budget.left, 0);
    assert_int_equal(write_at(&a, fh_a, 30 * KIB, "x", 1), -ENOSPC);
    set.size = 0;
    assert_int_equal(setattr(&a, node, &set), 0);
    assert_int_equal(budget.left, 30 * KIB);
    assert_int_equal(write_at(&b, fh_b, 40 * KIB - NAME, "x", 1), -ENOSPC); /* its own limit */
    assert_int_equal(budget.left, 30 * KIB);
    fixture_destroy(&a);
    fixture_destroy(&b);
}

/* ---- Reset. ---- */

static void test_reset_in_flight(void **state)
{
    struct fuse_in_header header = {.len = 56, .opcode = FUSE_GETATTR, .nodeid = ROOT};
    struct fixture f;
    uint64_t heap;

    (void)state;
    fixture_create(&f, false, 0);
    heap = f.driver.heap_gpa;
    for (unsigned round = 0; round < 300; round++) {
        struct driver_buffer buffers[] = {{f.in_gpa, 56, false}, {f.out_gpa, 120, true}};
        uint16_t before;

        create_ok(&f, "a"); /* stays open, and is forgotten by the reset */
        memset(driver_host(&f.driver, f.in_gpa, 56), 0, 56);
        memcpy(driver_host(&f.driver, f.in_gpa, sizeof(header)), &header, sizeof(header));
        for (unsigned i = 0; i < 100; i++)
            driver_add(&f.driver, REQUEST, buffers, 2);
        driver_notify(&f.driver, REQUEST);
        if (round % 3 == 0)
            usleep(round);
        virtio_device_set_status(f.driver.device, 0);
        before = driver_used_count(&f.driver, REQUEST);
        memset(driver_host(&f.driver, f.out_gpa, 120), 0x5a, 120);
        if (round % 10 == 0) {
            usleep(1000);
            assert_int_equal(driver_used_count(&f.driver, REQUEST), before);
            assert_int_equal(*(uint8_t *)driver_host(&f.driver, f.out_gpa, 1), 0x5a);
        }
        f.driver.heap_gpa = heap;
        fixture_start_driver(&f);
        assert_int_equal(fuse_init(&f), 0);
    }
    fixture_destroy(&f);
}

static void test_destroy_in_flight(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        struct fixture f;
        struct driver_buffer buffers[2];

        fixture_create(&f, false, 0);
        buffers[0] = (struct driver_buffer){f.in_gpa, 56, false};
        buffers[1] = (struct driver_buffer){f.out_gpa, 120, true};
        for (unsigned i = 0; i < 100; i++)
            driver_add(&f.driver, REQUEST, buffers, 2);
        driver_notify(&f.driver, REQUEST);
        fixture_destroy(&f);
    }
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, make_rows, run_make_row);
    unit_add_rows(&unit, lies, run_lie);
    unit_add(&unit, "a request shorter than its header", test_short_header, NULL);
    unit_add(&unit, "nothing before INIT", test_before_init, NULL);
    unit_add(&unit, "offsets and sizes that wrap or lie", test_offsets, NULL);
    unit_add(&unit, "read only", test_read_only, NULL);
    unit_add(&unit, "the size limit", test_size_limit, NULL);
    unit_add(&unit, "the size limit and O_APPEND", test_size_limit_append, NULL);
    unit_add(&unit, "a budget of two shares", test_budget, NULL);
    unit_add(&unit, "reset in flight", test_reset_in_flight, NULL);
    unit_add(&unit, "end in flight", test_destroy_in_flight, NULL);
    return unit_run(&unit, "virtio_fs");
}

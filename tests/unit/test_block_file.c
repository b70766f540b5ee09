/* virtio/block.h: which files become disks, and in which words the others are refused. */
#include "block_fixture.h"

#include <sys/socket.h>
#include <sys/un.h>

/* How the path of a disk is made something else. */
enum thing {
    THING_FILE,
    THING_MISSING,
    THING_FOLDER,
    THING_FIFO,
    THING_SOCKET,
    THING_CHARACTER_DEVICE,
    THING_NOT_WRITABLE,
};

struct refused_row {
    const char *name;
    enum thing thing;
    uint64_t file_size;
    struct virtio_block_options options;
    int result;
    const char *words;
};

static const struct refused_row refused[] = {
    {"missing", THING_MISSING, 0, {.size = 0}, -ENOENT, "there is no such file"},
    {"missing, with a size", THING_MISSING, 0, {.size = MIB}, -ENOENT, "there is no such file"},
    {"a folder", THING_FOLDER, 0, {.size = 0}, -EISDIR, "it is a directory"},
    {"a folder, read only", THING_FOLDER, 0, {.read_only = true}, -EISDIR, "it is a directory"},
    {"a FIFO", THING_FIFO, 0, {.size = 0}, -EINVAL, "neither a file nor a block device"},
    {"a FIFO, read only", THING_FIFO, 0, {.read_only = true}, -EINVAL, "neither a file"},
    {"a socket", THING_SOCKET, 0, {.size = 0}, -ENXIO, "cannot open it"},
    {"/dev/null", THING_CHARACTER_DEVICE, 0, {.size = 0}, -EINVAL, "neither a file"},
    {"not writable", THING_NOT_WRITABLE, MIB, {.size = 0}, -EACCES, "read and write"},
    {"empty", THING_FILE, 0, {.size = 0}, -EINVAL, "it is empty"},
    {"511 bytes", THING_FILE, 511, {.size = 0}, -EINVAL, "511 bytes, is not a multiple of 512"},
    {"513 bytes", THING_FILE, 513, {.size = 0}, -EINVAL, "not a multiple"},
    {"an odd size asked for", THING_FILE, MIB, {.size = 1000}, -EINVAL, "not a multiple"},
    {"more asked for", THING_FILE, MIB, {.size = 2 * MIB}, -EINVAL, "it has 1 MiB"},
};

static void make_thing(struct disk *disk, enum thing thing)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (thing == THING_FILE)
        return;
    if (thing == THING_NOT_WRITABLE) {
        assert_int_equal(chmod(disk->path, 0400), 0);
        return;
    }
    assert_int_equal(unlink(disk->path), 0);
    if (thing == THING_FOLDER)
        assert_int_equal(mkdir(disk->path, 0700), 0);
    if (thing == THING_FIFO)
        assert_int_equal(mkfifo(disk->path, 0600), 0);
    if (thing == THING_CHARACTER_DEVICE)
        assert_int_equal(symlink("/dev/null", disk->path), 0);
    if (thing == THING_SOCKET) {
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", disk->path);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        close(fd);
    }
}

static void test_refused(void **state)
{
    const struct refused_row *row = *state;
    struct error err = {""};
    struct disk disk;

    if (row->thing == THING_NOT_WRITABLE && geteuid() == 0)
        skip(); /* root may write everything */
    disk_prepare(&disk, row->file_size);
    make_thing(&disk, row->thing);
    assert_int_equal(disk_create(&disk, row->options, &err), row->result);
    if (!strstr(err.text, row->words))
        fail_msg("said: %s", err.text);
    rmdir(disk.path);
    disk_destroy(&disk);
}

/* ---- How much the guest sees. ---- */

struct size_row {
    const char *name;
    uint64_t file_size, asked, seen;
};

static const struct size_row sizes[] = {
    {"one sector", 512, 0, 512},
    {"an odd number of sectors", 512 * 4097, 0, 512 * 4097},
    {"all of it", MIB, MIB, MIB},
    {"the first part of it", MIB, 64 * KIB, 64 * KIB},
    {"the first part of an odd file", 1000, 512, 512},
};

static void test_sizes(void **state)
{
    const struct size_row *row = *state;
    struct virtio_block_options options = {.size = row->asked};
    uint64_t sectors;
    struct stat st;
    struct disk disk;

    disk_start(&disk, row->file_size, &options);
    virtio_device_config_read(disk.driver.device, 0, &sectors, sizeof(sectors));
    assert_int_equal(le64toh(sectors) * SECTOR, row->seen);
    assert_int_equal(disk_request(&disk, BLK_OUT, row->seen / SECTOR - 1, SECTOR, NULL), BLK_OK);
    assert_int_equal(disk_request(&disk, BLK_OUT, row->seen / SECTOR, SECTOR, NULL), BLK_IOERR);
    assert_int_equal(stat(disk.path, &st), 0);
    assert_int_equal(st.st_size, row->file_size); /* it is never made longer */
    disk_destroy(&disk);
}

/* ---- Locks. ---- */

struct lock_row {
    const char *name;
    bool first_read_only, second_read_only;
    int result;
};

static const struct lock_row locks[] = {
    {"two that write", false, false, -EBUSY},
    {"one reads what another writes", false, true, -EBUSY},
    {"one writes what another reads", true, false, -EBUSY},
    {"two that read", true, true, 0},
};

static void test_lock(void **state)
{
    const struct lock_row *row = *state;
    struct virtio_block_options options = {.read_only = row->first_read_only};
    struct virtio_device *second = NULL;
    struct error err = {""};
    struct disk disk;

    disk_prepare(&disk, DISK_SIZE);
    assert_int_equal(disk_create(&disk, options, &err), 0);
    options.read_only = row->second_read_only;
    options.path = disk.path;
    assert_int_equal(virtio_block_create(&disk.driver.env, "disk1", &options, &second, &err),
                     row->result);
    if (row->result < 0)
        assert_non_null(strstr(err.text, "already locked by another VM"));
    else
        second->ops->destroy(second);
    /* With the first one gone it is free. */
    disk.driver.device->ops->destroy(disk.driver.device);
    disk.driver.device = NULL;
    assert_int_equal(virtio_block_create(&disk.driver.env, "disk1", &options, &second, &err), 0);
    second->ops->destroy(second);
    disk_destroy(&disk);
}

/* ---- Scratch disks. ---- */

static int create_scratch(struct disk *disk, const struct virtio_block_options *options,
                          struct error *err)
{
    struct virtio_device *device = NULL;
    int r = virtio_block_create(&disk->driver.env, "scratch", options, &device, err);

    if (r == 0) {
        driver_connect(&disk->driver, device);
        disk->request_gpa = driver_alloc(&disk->driver, DISK_DATA + DISK_DATA_SIZE, 4096);
    }
    return r;
}

static void test_scratch(void **state)
{
    struct virtio_block_options options = {.size = 8 * GIB};
    struct error err = {""};
    struct disk disk;

    (void)state;
    disk_prepare(&disk, DISK_SIZE);
    setenv("TMPDIR", disk.folder, 1);
    assert_int_equal(create_scratch(&disk, &options, &err), 0);
    unsetenv("TMPDIR");
    unlink(disk.path);
    assert_int_equal(rmdir(disk.folder), 0); /* nothing of it is to be seen */
    driver_start(&disk.driver, BLK_FEATURES);
    memcpy(disk_data(&disk), "scratch", 7);
    assert_int_equal(disk_request(&disk, BLK_OUT, 8 * GIB / SECTOR - 1, SECTOR, NULL), BLK_OK);
    assert_int_equal(disk_request(&disk, BLK_FLUSH, 0, 0, NULL), BLK_OK);
    memset(disk_data(&disk), 1, SECTOR);
    assert_int_equal(disk_request(&disk, BLK_IN, 8 * GIB / SECTOR - 1, SECTOR, NULL), BLK_OK);
    assert_memory_equal(disk_data(&disk), "scratch\0", 8);
    disk_destroy(&disk);
}

struct scratch_row {
    const char *name;
    struct virtio_block_options options;
    const char *folder, *words;
};

static const struct scratch_row no_scratch[] = {
    {"scratch without a size", {.size = 0}, NULL, "needs a size"},
    {"scratch, read only", {.size = MIB, .read_only = true}, NULL, "of no use"},
    {"scratch of an odd size", {.size = 1000}, NULL, "not a multiple"},
    {"scratch too large for any file", {.size = ~UINT64_C(511)}, NULL, "has no room"},
    {"scratch in no folder", {.size = MIB}, "/no/such/folder", "in /no/such/folder"},
};

static void test_no_scratch(void **state)
{
    const struct scratch_row *row = *state;
    struct error err = {""};
    struct disk disk;

    disk_prepare(&disk, DISK_SIZE);
    if (row->folder)
        setenv("TMPDIR", row->folder, 1);
    assert_true(create_scratch(&disk, &row->options, &err) < 0);
    unsetenv("TMPDIR");
    if (!strstr(err.text, row->words))
        fail_msg("said: %s", err.text);
    disk_destroy(&disk);
}

/* A refused disk leaves nothing open. */
static void test_no_leak(void **state)
{
    struct virtio_block_options options = {.size = 2 * DISK_SIZE};
    struct error err = {""};
    struct disk disk;
    int before, after;

    (void)state;
    disk_prepare(&disk, DISK_SIZE);
    before = dup(0);
    close(before);
    assert_int_equal(disk_create(&disk, options, &err), -EINVAL);
    after = dup(0);
    close(after);
    assert_int_equal(after, before);
    disk_destroy(&disk);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, refused, test_refused);
    unit_add_rows(&unit, sizes, test_sizes);
    unit_add_rows(&unit, locks, test_lock);
    unit_add(&unit, "a scratch disk", test_scratch, NULL);
    unit_add_rows(&unit, no_scratch, test_no_scratch);
    unit_add(&unit, "a refused disk leaves nothing open", test_no_leak, NULL);
    return unit_run(&unit, "block_file");
}

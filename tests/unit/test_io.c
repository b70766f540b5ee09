/* base/io.h: whole reads and writes. */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

static int file_of(const char *text)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(io_write_all(fd, text, strlen(text)), 0);
    return fd;
}

static void test_pread(void **state)
{
    _cleanup_close_ int fd = file_of("0123456789");
    char buf[10] = "";

    (void)state;
    assert_int_equal(io_pread_exact(fd, buf, 4, 3), 0);
    assert_memory_equal(buf, "3456", 4);
    assert_int_equal(io_pread_exact(fd, buf, 10, 0), 0);
    assert_int_equal(io_pread_exact(fd, buf, 0, 10), 0);
}

static void test_pread_past_end(void **state)
{
    _cleanup_close_ int fd = file_of("0123456789");
    char buf[11];

    (void)state;
    assert_int_equal(io_pread_exact(fd, buf, 11, 0), -ENODATA);
    assert_int_equal(io_pread_exact(fd, buf, 1, 10), -ENODATA);
    assert_int_equal(io_pread_exact(fd, buf, 1, 1000), -ENODATA);
}

static void test_pread_bad(void **state)
{
    _cleanup_close_ int fd = file_of("x");
    char buf[1];

    (void)state;
    assert_int_equal(io_pread_exact(-1, buf, 1, 0), -EBADF);
    assert_int_equal(io_pread_exact(fd, buf, 1, UINT64_MAX), -EINVAL); /* a negative off_t */
}

static void test_write_error(void **state)
{
    _cleanup_close_ int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(io_write_all(fd, "x", 1), -ENOSPC);
    assert_int_equal(io_write_all(fd, "", 0), 0);
}

/* A directory of one's own, removed with what is in it. */
struct place {
    char directory[64], path[128];
};

static void make_place(struct place *place)
{
    snprintf(place->directory, sizeof(place->directory), "/tmp/osvm-test-io.XXXXXX");
    assert_non_null(mkdtemp(place->directory));
    snprintf(place->path, sizeof(place->path), "%s/file", place->directory);
}

static unsigned remove_place(struct place *place)
{
    DIR *dir = opendir(place->directory);
    unsigned files = 0;

    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        unlinkat(dirfd(dir), entry->d_name, 0);
        files++;
    }
    closedir(dir);
    rmdir(place->directory);
    return files;
}

static void test_replace(void **state)
{
    _cleanup_free_ char *buf = NULL;
    struct place place;
    size_t len = 0;

    (void)state;
    make_place(&place);
    assert_int_equal(io_replace_file(place.path, "old text", 8), 0);
    assert_int_equal(io_replace_file(place.path, "new", 3), 0);
    assert_int_equal(io_read_file(place.path, 100, &buf, &len), 0);
    assert_int_equal(len, 3);
    assert_string_equal(buf, "new");
    assert_int_equal(remove_place(&place), 1);
}

static void test_replace_fails(void **state)
{
    char long_path[5000];
    struct place place;

    (void)state;
    make_place(&place);
    assert_int_equal(io_replace_file("/nonexistent/file", "x", 1), -ENOENT);
    /* A directory in the way: the temporary is removed again. */
    assert_int_equal(io_replace_file(place.directory, "x", 1), -EISDIR);
    memset(long_path, 'x', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = '\0';
    assert_int_equal(io_replace_file(long_path, "x", 1), -ENAMETOOLONG);
    assert_int_equal(remove_place(&place), 0);
}

struct read_row {
    const char *name;
    size_t size, max;
    int result;
};

static const struct read_row reads[] = {
    {"an empty file", 0, 10, 0},
    {"an empty file of at most nothing", 0, 0, 0},
    {"one byte", 1, 10, 0},
    {"exactly the limit", 10, 10, 0},
    {"one over the limit", 11, 10, -EFBIG},
    {"anything over a limit of nothing", 1, 0, -EFBIG},
    {"a buffer's size", 4096, 1 << 20, 0},
    {"many buffers", 100000, 1 << 20, 0},
    {"large and over the limit", 100000, 99999, -EFBIG},
};

static void test_read(void **state)
{
    const struct read_row *row = *state;
    _cleanup_free_ char *content = malloc(row->size + 1), *buf = NULL;
    struct place place;
    size_t len = 77;

    make_place(&place);
    memset(content, 'c', row->size);
    assert_int_equal(io_replace_file(place.path, content, row->size), 0);
    assert_int_equal(io_read_file(place.path, row->max, &buf, &len), row->result);
    if (row->result == 0) {
        assert_int_equal(len, row->size);
        assert_memory_equal(buf, content, row->size);
        assert_int_equal(buf[len], '\0');
    } else {
        assert_null(buf);
        assert_int_equal(len, 77);
    }
    remove_place(&place);
}

static void test_read_bad(void **state)
{
    char *buf = NULL;
    size_t len = 0;

    (void)state;
    assert_int_equal(io_read_file("/nonexistent", 10, &buf, &len), -ENOENT);
    assert_int_equal(io_read_file("/tmp", 10, &buf, &len), -EISDIR);
    assert_null(buf);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add(&unit, "read exactly", test_pread, NULL);
    unit_add(&unit, "read past the end", test_pread_past_end, NULL);
    unit_add(&unit, "read from nothing", test_pread_bad, NULL);
    unit_add(&unit, "write to a full device", test_write_error, NULL);
    unit_add(&unit, "replace a file", test_replace, NULL);
    unit_add(&unit, "replace that fails leaves nothing", test_replace_fails, NULL);
    unit_add_rows(&unit, reads, test_read);
    unit_add(&unit, "read what is not a file", test_read_bad, NULL);
    return unit_run(&unit, "io");
}

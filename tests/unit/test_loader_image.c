/* Images: what is opened and what is refused, and reads that stay inside both ends. */
#include "loader_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

struct folder {
    char path[64];
};

static int make_folder(void **state)
{
    struct folder *folder = calloc(1, sizeof(*folder));

    assert_non_null(folder);
    snprintf(folder->path, sizeof(folder->path), "/tmp/osvm-image.XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    *state = folder;
    return 0;
}

static int remove_folder(void **state)
{
    struct folder *folder = *state;

    rmdir(folder->path);
    free(folder);
    return 0;
}

static void in_folder(void **state, const char *name, char path[static 128])
{
    const struct folder *folder = *state;

    snprintf(path, 128, "%s/%s", folder->path, name);
}

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static void expect_refused(const char *path, int code, const char *text)
{
    struct image *image = NULL;
    struct error err = {""};
    int r = image_open(path, &image, &err);

    if (r != code || !strstr(err.text, text))
        fail_msg("%s: %d '%s', not %d '%s'", path, r, err.text, code, text);
    assert_null(image);
}

static void test_missing(void **state)
{
    char path[128];

    in_folder(state, "missing", path);
    expect_refused(path, -ENOENT, "no such file");
    in_folder(state, "missing/deeper", path);
    expect_refused(path, -ENOENT, "no such file");
}

static void test_not_a_folder(void **state)
{
    (void)state;
    expect_refused("/dev/null/kernel", -ENOTDIR, "cannot open it: Not a directory");
}

static void test_directory(void **state)
{
    const struct folder *folder = *state;

    expect_refused(folder->path, -EISDIR, "is a directory, not a file");
}

static void test_empty(void **state)
{
    char path[128];

    in_folder(state, "empty", path);
    write_file(path, "", 0);
    expect_refused(path, -ENODATA, "is empty");
    unlink(path);
}

/* A pipe without a writer must be refused, not waited for. */
static void test_pipe(void **state)
{
    char path[128];

    in_folder(state, "pipe", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_refused(path, -EINVAL, "is a pipe or a socket, not a regular file");
    unlink(path);
}

static void test_socket(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char path[128];

    assert_true(fd >= 0);
    in_folder(state, "socket", path);
    snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    expect_refused(path, -EINVAL, "is a pipe or a socket, not a regular file");
    close(fd);
    unlink(path);
}

static void test_device(void **state)
{
    (void)state;
    expect_refused("/dev/null", -EINVAL, "is a device, not a regular file");
}

/* As nobody where this runs as root, who may read everything. */
static void test_no_permission(void **state)
{
    uid_t uid = geteuid();
    char path[128];

    in_folder(state, "secret", path);
    write_file(path, "x", 1);
    assert_int_equal(chmod(path, 0), 0);
    if (uid == 0)
        assert_int_equal(seteuid(65534), 0);
    expect_refused(path, -EACCES, "cannot open it: Permission denied");
    assert_int_equal(seteuid(uid), 0);
    unlink(path);
}

static void check_reads(const struct image *image, const char *bytes, size_t size)
{
    char buf[64];

    assert_int_equal(image_size(image), size);
    assert_int_equal(image_read(image, 0, buf, size), 0);
    assert_memory_equal(buf, bytes, size);
    assert_int_equal(image_read(image, 3, buf, 4), 0);
    assert_memory_equal(buf, bytes + 3, 4);
    assert_int_equal(image_read(image, size, buf, 0), 0);
    assert_int_equal(image_read(image, size - 1, buf, 2), -ENODATA);
    assert_int_equal(image_read(image, size + 1, buf, 0), -ENODATA);
    assert_int_equal(image_read(image, UINT64_MAX, buf, 2), -ENODATA);
    assert_int_equal(image_read(image, 1, buf, SIZE_MAX), -ENODATA);
}

static void check_reads_to_guest(const struct image *image, const char *bytes, size_t size)
{
    struct guest_memory *mem = test_memory(1 * MIB);

    assert_int_equal(image_read_to_guest(image, 2, mem, MIB - 4, 4), 0);
    assert_memory_equal(test_at(mem, MIB - 4, 4), bytes + 2, 4);
    assert_int_equal(image_read_to_guest(image, 0, mem, MIB - 4, 5), -EFAULT);
    assert_int_equal(image_read_to_guest(image, 0, mem, MIB, 1), -EFAULT);
    assert_int_equal(image_read_to_guest(image, 0, mem, UINT64_MAX, 4), -EFAULT);
    assert_int_equal(image_read_to_guest(image, size - 1, mem, 0, 2), -ENODATA);
    assert_int_equal(test_at(mem, 0, 1)[0], 0);
    guest_memory_destroy(mem);
}

static const char some_bytes[] = "0123456789abcdef";

static void test_file(void **state)
{
    struct image *image;
    struct error err;
    char path[128];

    in_folder(state, "kernel", path);
    write_file(path, some_bytes, sizeof(some_bytes));
    assert_int_equal(image_open(path, &image, &err), 0);
    unlink(path); /* an open image does not need its name */
    check_reads(image, some_bytes, sizeof(some_bytes));
    check_reads_to_guest(image, some_bytes, sizeof(some_bytes));
    image_close(image);
}

static void test_bytes(void **state)
{
    struct image *image;

    (void)state;
    assert_int_equal(image_from_bytes(some_bytes, sizeof(some_bytes), &image), 0);
    check_reads(image, some_bytes, sizeof(some_bytes));
    check_reads_to_guest(image, some_bytes, sizeof(some_bytes));
    image_close(image);
}

static void test_file_shrinks(void **state)
{
    struct image *image;
    struct error err;
    char path[128], buf[16];

    in_folder(state, "kernel", path);
    write_file(path, some_bytes, sizeof(some_bytes));
    assert_int_equal(image_open(path, &image, &err), 0);
    assert_int_equal(truncate(path, 4), 0);
    assert_int_equal(image_read(image, 0, buf, 4), 0);
    assert_int_equal(image_read(image, 0, buf, 5), -ENODATA);
    image_close(image);
    unlink(path);
}

static void test_symbolic_link(void **state)
{
    char path[128], target[128];
    struct image *image;
    struct error err;

    in_folder(state, "kernel", target);
    in_folder(state, "link", path);
    assert_int_equal(symlink(target, path), 0);
    expect_refused(path, -ENOENT, "no such file");
    write_file(target, some_bytes, sizeof(some_bytes));
    assert_int_equal(image_open(path, &image, &err), 0);
    image_close(image);
    unlink(path);
    unlink(target);
}

static void test_close_on_exec(void **state)
{
    char path[128], link[64], name[128];
    struct image *image;
    struct error err;
    int found = 0;

    in_folder(state, "kernel", path);
    write_file(path, some_bytes, sizeof(some_bytes));
    assert_int_equal(image_open(path, &image, &err), 0);
    for (int fd = 0; fd < 64; fd++) {
        ssize_t len;

        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        len = readlink(link, name, sizeof(name) - 1);
        if (len < 0)
            continue;
        name[len] = '\0';
        if (strcmp(name, path) != 0)
            continue;
        found++;
        assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    }
    assert_int_equal(found, 1);
    image_close(image);
    unlink(path);
}

static void test_close_nothing(void **state)
{
    (void)state;
    image_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing),       cmocka_unit_test(test_not_a_folder),
        cmocka_unit_test(test_directory),     cmocka_unit_test(test_empty),
        cmocka_unit_test(test_pipe),          cmocka_unit_test(test_socket),
        cmocka_unit_test(test_device),        cmocka_unit_test(test_no_permission),
        cmocka_unit_test(test_file),          cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_file_shrinks),  cmocka_unit_test(test_symbolic_link),
        cmocka_unit_test(test_close_on_exec), cmocka_unit_test(test_close_nothing),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

/* base/error.h, base/cleanup.h, base/bytes.h: what carries results, ownership and numbers. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"

static void test_set(void **state)
{
    struct error err = {""};

    (void)state;
    assert_int_equal(error_set(&err, -EINVAL, "no %s", "way"), -EINVAL);
    assert_string_equal(err.text, "no way");
}

static void test_set_errno(void **state)
{
    struct error err = {""};

    (void)state;
    assert_int_equal(error_set_errno(&err, -ENOENT, "cannot open '%s'", "x"), -ENOENT);
    assert_string_equal(err.text, "cannot open 'x': No such file or directory");
}

static void test_prefix(void **state)
{
    struct error err = {""};

    (void)state;
    error_set(&err, -ENOEXEC, "not an ELF file");
    assert_int_equal(error_prefix(&err, -ENOEXEC, "cannot load kernel '%s'", "x"), -ENOEXEC);
    assert_string_equal(err.text, "cannot load kernel 'x': not an ELF file");
}

static void test_null(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, -EIO, "x"), -EIO);
    assert_int_equal(error_set_errno(NULL, -EIO, "x"), -EIO);
    assert_int_equal(error_prefix(NULL, -EIO, "x"), -EIO);
}

static void test_long(void **state)
{
    char words[1024];
    struct error err = {""};

    (void)state;
    memset(words, 'w', sizeof(words) - 1);
    words[sizeof(words) - 1] = '\0';
    error_set(&err, -EIO, "%s", words);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    error_set_errno(&err, -EIO, "%s", words);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    error_prefix(&err, -EIO, "front");
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    assert_memory_equal(err.text, "front: www", 10);
}

static void test_take_ptr(void **state)
{
    char *p = malloc(1), *taken, *before = p;

    (void)state;
    taken = take_ptr(p);
    assert_null(p);
    assert_ptr_equal(taken, before);
    free(taken);
}

static void test_take_fd(void **state)
{
    int fd = 7;

    (void)state;
    assert_int_equal(take_fd(&fd), 7);
    assert_int_equal(fd, -1);
}

static int open_null(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void test_close_at_end_of_scope(void **state)
{
    int number;

    (void)state;
    {
        _cleanup_close_ int fd = open_null();

        assert_true(fd >= 0);
        number = fd;
    }
    assert_int_equal(fcntl(number, F_GETFD), -1);
    close_fd(-1);
}

static void test_taken_fd_stays_open(void **state)
{
    int number;

    (void)state;
    {
        _cleanup_close_ int fd = open_null();

        number = take_fd(&fd);
    }
    assert_true(fcntl(number, F_GETFD) >= 0);
    close(number);
}

static void test_bytes(void **state)
{
    uint8_t buf[9] = {0};

    (void)state;
    store_le64(buf + 1, UINT64_C(0x0102030405060708));
    assert_int_equal(buf[1], 8);
    assert_int_equal(buf[8], 1);
    assert_int_equal(load_le64(buf + 1), UINT64_C(0x0102030405060708));
    assert_int_equal(load_le32(buf + 1), 0x05060708);
    assert_int_equal(load_le16(buf + 1), 0x0708);
    store_le32(buf + 1, 0xaabbccdd);
    store_le16(buf + 7, 0x1122);
    assert_int_equal(load_le64(buf + 1), UINT64_C(0x11220304aabbccdd));
}

static void test_util(void **state)
{
    (void)state;
    assert_int_equal(align_up(0, 4096), 0);
    assert_int_equal(align_up(1, 4096), 4096);
    assert_int_equal(align_down(4097, 4096), 4096);
    assert_true(range_inside(0, 10, 10));
    assert_true(range_inside(10, 0, 10));
    assert_false(range_inside(11, 0, 10));
    assert_false(range_inside(1, 10, 10));
    assert_false(range_inside(1, UINT64_MAX, 10));
    assert_false(range_inside(UINT64_MAX, 1, 10));
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add(&unit, "error_set formats and gives the code", test_set, NULL);
    unit_add(&unit, "error_set_errno adds the errno's words", test_set_errno, NULL);
    unit_add(&unit, "error_prefix puts words in front", test_prefix, NULL);
    unit_add(&unit, "no error object, only the code", test_null, NULL);
    unit_add(&unit, "long text is cut and terminated", test_long, NULL);
    unit_add(&unit, "take_ptr leaves NULL", test_take_ptr, NULL);
    unit_add(&unit, "take_fd leaves -1", test_take_fd, NULL);
    unit_add(&unit, "a descriptor is closed with its scope", test_close_at_end_of_scope, NULL);
    unit_add(&unit, "a taken descriptor stays open", test_taken_fd_stays_open, NULL);
    unit_add(&unit, "numbers are little-endian at any alignment", test_bytes, NULL);
    unit_add(&unit, "alignment and ranges do not wrap", test_util, NULL);
    return unit_run(&unit, "error");
}

/*
 * archive/archive.h against helpers that lie. This program is the helper too, when it is started by
 * that name; the first byte of its archive says which lie it is to tell.
 */
#include "archive/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "message.h"
#include "unit.h"

#define ALL_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* --- the helper --------------------------------------------------------------------------------
 */

static int file_of(off_t size, int seals)
{
    int fd = memfd_create("file", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (ftruncate(fd, size) < 0 || fcntl(fd, F_ADD_SEALS, seals) < 0)
        _exit(9);
    return fd;
}

static void send_it(const void *message, size_t len, const int *fds, size_t count)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control = {0};
    struct iovec iov = {.iov_base = (void *)(uintptr_t)message, .iov_len = len};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};

    if (count) {
        control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(count * sizeof(int)),
                                          .cmsg_level = SOL_SOCKET,
                                          .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
        header.msg_control = &control;
        header.msg_controllen = CMSG_SPACE(count * sizeof(int));
    }
    if (sendmsg(UNPACK_SOCKET_FD, &header, MSG_NOSIGNAL) < 0)
        _exit(8);
}

static void send_file(const char *path, int fd)
{
    struct unpack_message message = {.kind = UNPACK_FILE};

    snprintf(message.text, sizeof(message.text), "%s", path);
    send_it(&message, sizeof(message), &fd, fd >= 0);
}

static void send_kind(uint32_t kind)
{
    struct unpack_message message = {.kind = kind, .code = 5, .text = "its own words"};

    send_it(&message, sizeof(message), NULL, 0);
}

static void send_unterminated(void)
{
    struct unpack_message message = {.kind = UNPACK_FILE};
    int fd = file_of(1, ALL_SEALS);

    memset(message.text, 'x', sizeof(message.text));
    send_it(&message, sizeof(message), &fd, 1);
}

static void send_two(void)
{
    struct unpack_message message = {.kind = UNPACK_FILE, .text = "a"};
    int fds[2] = {file_of(1, ALL_SEALS), file_of(2, ALL_SEALS)};

    send_it(&message, sizeof(message), fds, 2);
}

static void tell_lie(char lie)
{
    switch (lie) {
    case 'a': /* none */
        send_file("a", file_of(3, ALL_SEALS));
        send_file("b/c", file_of(0, ALL_SEALS));
        break;
    case 'b':
        send_file("a", file_of(3, F_SEAL_GROW | F_SEAL_SHRINK));
        break;
    case 'c':
        send_file("a", -1);
        break;
    case 'd':
        send_file("a", open("/dev/null", O_RDONLY));
        break;
    case 'e':
        send_file("../a", file_of(3, ALL_SEALS));
        break;
    case 'f':
        send_unterminated();
        break;
    case 'g':
        send_two();
        break;
    case 'h':
        send_it("short", 5, NULL, 0);
        break;
    case 'i':
        send_kind(77);
        break;
    case 'j':
        send_file("a", file_of(1 << 20, ALL_SEALS));
        break;
    case 'k':
        for (char name[] = "a"; name[0] <= 'e'; name[0]++)
            send_file(name, file_of(1, ALL_SEALS));
        break;
    case 'l':
        raise(SIGSEGV);
        break;
    case 'm':
        _exit(0);
    case 'n':
        raise(SIGXCPU);
        break;
    case 'o':
        for (;;)
            pause();
    case 'p':
        send_kind(UNPACK_FAILED);
        break;
    default:
        _exit(7);
    }
}

static int be_helper(void)
{
    char lie = 0;

    signal(SIGSEGV, SIG_DFL); /* the sanitizers' handler would exit */
    if (pread(UNPACK_ARCHIVE_FD, &lie, 1, 0) != 1)
        return 6;
    tell_lie(lie);
    send_kind(UNPACK_END);
    return 0;
}

/* --- the tests ---------------------------------------------------------------------------------
 */

static const struct image_archive_limits limits = {
    .bytes = 1000, .files = 4, .cpu_s = 10, .patience = 30};

struct row {
    const char *name;
    char lie;
    int code;
    const char *says;
};

static const struct row rows[] = {
    {"a file that can still be written", 'b', -EBADMSG, "what is no file"},
    {"a file without a descriptor", 'c', -EBADMSG, "what is no file"},
    {"a device", 'd', -EBADMSG, "what is no file"},
    {"a path that leads out", 'e', -EBADMSG, "what is no file"},
    {"a path without its end", 'f', -EBADMSG, "what is no file"},
    {"two descriptors", 'g', -EBADMSG, "cannot hear of its reader"},
    {"a short message", 'h', -EBADMSG, "does not speak our language"},
    {"a message of no kind", 'i', -EBADMSG, "its own words"},
    {"more bytes than the limit", 'j', -EFBIG, "too much"},
    {"more files than the limit", 'k', -EFBIG, "too much"},
    {"it crashes", 'l', -EBADMSG, "ended by SIGSEGV"},
    {"it ends early", 'm', -EBADMSG, "ended before"},
    {"it has used up its time", 'n', -ETIMEDOUT, "10 seconds of CPU"},
    {"it fails, with no errno", 'p', -EBADMSG, "its own words"},
};

static int unpack(char lie, const struct image_archive_limits *with, struct image_archive **ret,
                  struct error *err)
{
    int fd = memfd_create("archive", MFD_CLOEXEC), r;

    assert_int_equal(write(fd, &lie, 1), 1);
    r = image_archive_unpack(fd, "/proc/self/exe", with, ret, err);
    close(fd);
    return r;
}

static unsigned open_fds(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void test_lie(void **state)
{
    const struct row *row = *state;
    struct image_archive *archive = NULL;
    struct error err = {""};
    unsigned before = open_fds();

    assert_int_equal(unpack(row->lie, &limits, &archive, &err), row->code);
    assert_null(archive);
    assert_non_null(strstr(err.text, row->says));
    assert_int_equal(open_fds(), before);
}

static void test_truth(void **state)
{
    struct image_archive *archive = NULL;
    struct error err = {""};
    unsigned before = open_fds();

    (void)state;
    assert_int_equal(unpack('a', &limits, &archive, &err), 0);
    assert_int_equal(archive->count, 2);
    assert_int_equal(image_archive_find(archive, "a")->size, 3);
    assert_int_equal(image_archive_find(archive, "./b/c")->size, 0);
    assert_null(image_archive_find(archive, "b"));
    assert_null(image_archive_find(archive, "/a"));
    image_archive_free(archive);
    assert_int_equal(open_fds(), before);
}

static void test_patience(void **state)
{
    struct image_archive_limits impatient = limits;
    struct image_archive *archive = NULL;
    struct error err = {""};

    (void)state;
    impatient.patience = 0;
    assert_int_equal(unpack('o', &impatient, &archive, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.text, "longer than 0 seconds"));
}

static void test_no_helper(void **state)
{
    struct image_archive *archive = NULL;
    struct error err = {""};

    (void)state;
    assert_int_equal(image_archive_unpack(0, "/nowhere", &limits, &archive, &err), -ENOENT);
    assert_non_null(strstr(err.text, "'/nowhere'"));
    image_archive_free(NULL);
}

struct path_row {
    const char *name;
    const char *path;
    const char *normal; /* NULL: it is none */
};

static const struct path_row paths[] = {
    {"a name", "a", "a"},
    {"in folders", "a/b/c", "a/b/c"},
    {"./ before it", "./a", "a"},
    {"./ before it, often", "././a", "a"},
    {"dots in names", "..a/b../...", "..a/b../..."},
    {"any UTF-8", "\xc5\xbc/\xc3\xb3", "\xc5\xbc/\xc3\xb3"},
    {"nothing", "", NULL},
    {"./ alone", "./", NULL},
    {". alone", ".", NULL},
    {"..", "..", NULL},
    {"../ before it", "../a", NULL},
    {".. within", "a/../b", NULL},
    {".. at the end", "a/..", NULL},
    {". within", "a/./b", NULL},
    {"absolute", "/a", NULL},
    {"absolute behind ./", ".//a", NULL},
    {"an empty name within", "a//b", NULL},
    {"an empty name at the end", "a/", NULL},
    {"a control character", "a\nb", NULL},
    {"a DEL", "a\x7f", NULL},
};

static void test_path(void **state)
{
    const struct path_row *row = *state;
    char normal[IMAGE_ARCHIVE_PATH_MAX + 1] = "untouched";

    assert_int_equal(image_archive_path_normalise(row->path, normal), row->normal != NULL);
    assert_string_equal(normal, row->normal ? row->normal : "untouched");
}

static void test_longest_path(void **state)
{
    char path[IMAGE_ARCHIVE_PATH_MAX + 2], normal[IMAGE_ARCHIVE_PATH_MAX + 1];

    (void)state;
    memset(path, 'x', sizeof(path));
    path[IMAGE_ARCHIVE_PATH_MAX] = '\0';
    assert_true(image_archive_path_normalise(path, normal));
    assert_string_equal(normal, path);
    path[IMAGE_ARCHIVE_PATH_MAX] = 'x';
    path[IMAGE_ARCHIVE_PATH_MAX + 1] = '\0';
    assert_false(image_archive_path_normalise(path, normal));
}

int main(int argc, char *argv[])
{
    struct unit unit = {.count = 0};

    if (argc == 4 && strcmp(argv[0], "osvm-unpack") == 0)
        return be_helper();
    unit_add(&unit, "what is true is taken", test_truth, NULL);
    unit_add_rows(&unit, rows, test_lie);
    unit_add(&unit, "it says nothing: not for ever", test_patience, NULL);
    unit_add(&unit, "no helper", test_no_helper, NULL);
    unit_add_rows(&unit, paths, test_path);
    unit_add(&unit, "the longest path", test_longest_path, NULL);
    return unit_run(&unit, "archive_unpack");
}

/* hermit/files.h: flags, positions, the size limit, and what the host does badly. */
#include "hermit_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "files_internal.h"

/* ---- The host's preadv() and pwritev2(), as this test wants them: linked with --wrap (by
 * the names they have with 64-bit offsets). ---- */

ssize_t __real_preadv64(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t __real_pwritev64v2(int fd, const struct iovec *iov, int count, off_t offset, int flags);
ssize_t __wrap_preadv64(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t __wrap_pwritev64v2(int fd, const struct iovec *iov, int count, off_t offset, int flags);

/* Of the next calls: how many are interrupted, then how many bytes are moved at most, then an error
 * for good. 0: as the host does it. */
static struct {
    unsigned interrupts;
    size_t short_to;
    int error;
} faults;

static bool fault(struct iovec *ret_short, const struct iovec *iov)
{
    if (faults.interrupts > 0) {
        faults.interrupts--;
        errno = EINTR;
        return true;
    }
    if (faults.short_to > 0) {
        *ret_short = (struct iovec){iov->iov_base, min_u64(iov->iov_len, faults.short_to)};
        return false;
    }
    errno = faults.error;
    return faults.error != 0;
}

ssize_t __wrap_preadv64(int fd, const struct iovec *iov, int count, off_t offset)
{
    struct iovec part = {0};

    if (fault(&part, iov))
        return -1;
    return part.iov_base ? __real_preadv64(fd, &part, 1, offset)
                         : __real_preadv64(fd, iov, count, offset);
}

ssize_t __wrap_pwritev64v2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    struct iovec part = {0};

    if (fault(&part, iov))
        return -1;
    return part.iov_base ? __real_pwritev64v2(fd, &part, 1, offset, flags)
                         : __real_pwritev64v2(fd, iov, count, offset, flags);
}

/* ---- Short forms. ---- */

static struct buffer buffer_of(struct fixture *f, bool write, uint64_t len)
{
    return (struct buffer){.mem = f->mem, .write = write, .address = DATA_GPA, .len = len};
}

static int64_t read_some(struct fixture *f, int fd, uint64_t len)
{
    struct buffer buffer = buffer_of(f, true, len);

    return files_read(f->files, fd, &buffer);
}

static int64_t write_some(struct fixture *f, int fd, uint64_t len)
{
    struct buffer buffer = buffer_of(f, false, len);

    return files_write(f->files, fd, &buffer);
}

static int open_flags(struct fixture *f, const char *path, int flags)
{
    return files_open(f->files, path, (uint32_t)flags, 0666);
}

/* Make a file of `len` bytes in the private folder and close it. */
static int64_t make_private(struct fixture *f, const char *path, uint64_t len)
{
    int fd = open_flags(f, path, O_WRONLY | O_CREAT | O_EXCL);
    int64_t n;

    if (fd < 0)
        return fd;
    n = len > 0 ? write_some(f, fd, len) : 0;
    assert_int_equal(files_close(f->files, fd), 0);
    return n;
}

struct files_row {
    const char *name;
    void (*run)(struct fixture *f);
    uint64_t size_limit;
};

/* ---- Flags. ---- */

static void flags_refused(struct fixture *f)
{
    put_file(f->in_fd, "a", "x");
    assert_int_equal(open_flags(f, "/in/a", O_ACCMODE), -EINVAL);
    assert_int_equal(open_flags(f, "/in/a", O_PATH), -EINVAL);
    assert_int_equal(open_flags(f, "/in", O_TMPFILE | O_RDWR), -EINVAL);
    assert_int_equal(open_flags(f, "/in/b", O_CREAT | O_DIRECTORY), -EINVAL);
    assert_int_equal(open_flags(f, "/in", O_WRONLY), -EISDIR);
    assert_int_equal(open_flags(f, "/in", O_RDONLY | O_TRUNC), -EISDIR);
    assert_int_equal(open_flags(f, "/in", O_RDONLY | O_CREAT), -EISDIR);
    assert_int_equal(open_flags(f, "/in/a", O_DIRECTORY), -ENOTDIR);
    assert_int_equal(open_flags(f, "/in/a/b", O_RDONLY), -ENOTDIR);
    assert_int_equal(open_flags(f, "/in/none", O_RDWR), -ENOENT);
    assert_int_equal(open_flags(f, "/in/a", O_CREAT | O_EXCL), -EEXIST);
    assert_int_equal(open_flags(f, "", O_RDONLY), -ENOENT);
}

/* What must not come to the host: O_DIRECT would fail on such buffers, O_NONBLOCK is no matter. */
static void flags_dropped(struct fixture *f)
{
    int fd;

    put_file(f->in_fd, "a", "odd");
    fd = open_flags(f, "/in/a", O_RDWR | O_DIRECT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | (1 << 30));
    assert_int_equal(fd, 3);
    assert_int_equal(read_some(f, fd, 10), 3);
}

static void access_kept(struct fixture *f)
{
    int reader, writer;

    put_file(f->in_fd, "a", "x");
    reader = open_flags(f, "/in/a", O_RDONLY);
    writer = open_flags(f, "/in/a", O_WRONLY);
    assert_int_equal(write_some(f, reader, 1), -EBADF);
    assert_int_equal(read_some(f, writer, 1), -EBADF);
    assert_int_equal(read_some(f, open_flags(f, "/in", O_RDONLY), 1), -EISDIR);
}

static void creation(struct fixture *f)
{
    struct stat st;
    mode_t before = umask(022);
    int fd = files_open(f->files, "/in/a", O_CREAT | O_RDWR, 07777);

    umask(before);
    assert_int_equal(fd, 3);
    assert_int_equal(fstatat(f->in_fd, "a", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0755); /* neither set-user-id nor sticky */
    assert_int_equal(open_flags(f, "/in/a", O_CREAT | O_RDWR), 4); /* there already */
    assert_int_equal(open_flags(f, "/in/none/a", O_CREAT | O_RDWR), -ENOENT);
}

static void truncation(struct fixture *f)
{
    put_file(f->in_fd, "a", "0123456789");
    assert_int_equal(open_flags(f, "/in/a", O_RDONLY | O_TRUNC), 3); /* as Linux does */
    assert_true(file_is(f->in_fd, "a", ""));
    assert_int_equal(write_some(f, 3, 1), -EBADF);
    put_file(f->in_fd, "a", "0123456789");
    assert_int_equal(open_flags(f, "/in/a", O_WRONLY | O_TRUNC), 4);
    assert_true(file_is(f->in_fd, "a", ""));
}

static void appending(struct fixture *f)
{
    int fd;

    put_file(f->in_fd, "a", "01234");
    fd = open_flags(f, "/in/a", O_RDWR | O_APPEND);
    put_data(f, DATA_GPA, "ab");
    assert_int_equal(write_some(f, fd, 2), 2);
    assert_int_equal(files_lseek(f->files, fd, 0, SEEK_CUR), 7);
    assert_int_equal(files_lseek(f->files, fd, 0, SEEK_SET), 0);
    assert_int_equal(write_some(f, fd, 2), 2);
    assert_true(file_is(f->in_fd, "a", "01234abab"));
    fd = open_flags(f, "/etc/one", O_WRONLY | O_APPEND);
    assert_int_equal(write_some(f, fd, 2), 2);
    assert_true(file_is(f->tmp_fd, "one", "one fileab"));
}

static void positions(struct fixture *f)
{
    int fd;

    put_file(f->in_fd, "a", "0123456789");
    fd = open_flags(f, "/in/a", O_RDWR);
    assert_int_equal(files_lseek(f->files, fd, -3, SEEK_END), 7);
    assert_int_equal(files_lseek(f->files, fd, 2, SEEK_CUR), 9);
    assert_int_equal(files_lseek(f->files, fd, -1, SEEK_SET), -EINVAL);
    assert_int_equal(files_lseek(f->files, fd, -10, SEEK_CUR), -EINVAL);
    assert_int_equal(files_lseek(f->files, fd, 0, 5), -EINVAL);
    assert_int_equal(files_lseek(f->files, fd, 0, UINT32_MAX), -EINVAL);
    assert_int_equal(files_lseek(f->files, fd, INT64_MAX, SEEK_CUR), -EOVERFLOW);
    assert_int_equal(files_lseek(f->files, fd, INT64_MIN, SEEK_CUR), -EINVAL);
    assert_int_equal(files_lseek(f->files, fd, 0, SEEK_CUR), 9); /* where it was */
    assert_int_equal(files_lseek(f->files, fd, 0, SEEK_DATA), 0);
    assert_int_equal(files_lseek(f->files, fd, 0, SEEK_HOLE), 10);
    assert_int_equal(files_lseek(f->files, fd, 20, SEEK_DATA), -ENXIO);
    assert_int_equal(files_lseek(f->files, fd, INT64_MAX, SEEK_SET), INT64_MAX);
    assert_true(read_some(f, fd, 10) <= 0);
    assert_true(write_some(f, fd, 10) < 0);
}

/* A mapped file's host descriptor is shared; positions are not. */
static void mapped_file(struct fixture *f)
{
    int one = open_flags(f, "/etc/one", O_RDONLY), two = open_flags(f, "/etc/one", O_RDWR);

    assert_int_equal(read_some(f, one, 4), 4);
    assert_int_equal(read_some(f, two, 3), 3);
    assert_int_equal(files_lseek(f->files, one, 0, SEEK_CUR), 4);
    assert_int_equal(files_close(f->files, one), 0);
    assert_int_equal(read_some(f, two, 100), 5);
    assert_int_equal(open_flags(f, "/etc/one", O_RDONLY | O_DIRECTORY), -ENOTDIR);
    assert_int_equal(open_flags(f, "/etc/one/x", O_RDONLY), -ENOTDIR);
    assert_int_equal(open_flags(f, "/etc/one", O_CREAT | O_EXCL), -EEXIST);
    assert_int_equal(files_unlink(f->files, "/etc/one"), -EBUSY);
    assert_int_equal(open_flags(f, "/etc/one", O_RDWR | O_TRUNC), one);
    assert_true(file_is(f->tmp_fd, "one", ""));
}

static void read_only(struct fixture *f)
{
    assert_int_equal(open_flags(f, "/ro/fixed", O_RDWR), -EROFS);
    assert_int_equal(open_flags(f, "/ro/fixed", O_WRONLY | O_APPEND), -EROFS);
    assert_int_equal(open_flags(f, "/ro/fixed", O_RDONLY | O_TRUNC), -EROFS);
    assert_int_equal(open_flags(f, "/ro/new", O_RDONLY | O_CREAT), -EROFS);
    assert_int_equal(open_flags(f, "/ro/new", O_RDONLY | O_CREAT | O_EXCL), -EROFS);
    assert_int_equal(files_unlink(f->files, "/ro/fixed"), -EROFS);
    assert_int_equal(files_mkdir(f->files, "/ro/new", 0777), -EROFS);
    assert_int_equal(open_flags(f, "/ro/fixed", O_RDONLY | O_CREAT), 3); /* it is there */
    assert_int_equal(write_some(f, 3, 1), -EBADF);
}

/* ---- What the host does badly. ---- */

static void interrupted(struct fixture *f)
{
    int fd;

    put_file(f->in_fd, "a", "0123456789");
    fd = open_flags(f, "/in/a", O_RDWR);
    faults.interrupts = 3;
    assert_int_equal(read_some(f, fd, 10), 10);
    assert_true(data_is(f, DATA_GPA, "0123456789"));
    faults.interrupts = 3;
    assert_int_equal(write_some(f, fd, 10), 10);
    assert_true(file_is(f->in_fd, "a", "01234567890123456789"));
    assert_int_equal(faults.interrupts, 0);
}

static void in_parts(struct fixture *f)
{
    int fd;

    put_file(f->in_fd, "a", "0123456789");
    fd = open_flags(f, "/in/a", O_RDWR);
    faults.short_to = 4;
    assert_int_equal(read_some(f, fd, 10), 4);
    assert_int_equal(read_some(f, fd, 10), 4);
    assert_int_equal(read_some(f, fd, 10), 2);
    assert_int_equal(write_some(f, fd, 10), 4);
    assert_int_equal(files_lseek(f->files, fd, 0, SEEK_CUR), 14);
    assert_true(file_is(f->in_fd, "a", "01234567898967"));
}

static void failing(struct fixture *f)
{
    int fd = open_flags(f, "/work", O_RDWR | O_CREAT);

    faults.error = EIO;
    assert_int_equal(read_some(f, fd, 10), -EIO);
    assert_int_equal(write_some(f, fd, 10), -EIO);
    faults.error = 0;
    assert_int_equal(files_lseek(f->files, fd, 0, SEEK_CUR), 0);
    assert_int_equal(write_some(f, fd, 4096), 4096); /* the limit was given back */
}

/* RLIMIT_FSIZE, with SIGXFSZ ignored as vmm/ has it. */
static void file_size_limit(struct fixture *f)
{
    struct rlimit before, limit;
    int fd = open_flags(f, "/in/a", O_RDWR | O_CREAT);

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){100, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(write_some(f, fd, 150), 100);
    assert_int_equal(write_some(f, fd, 150), -EFBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
}

/* They are not opened, and do not block. */
static void no_files(struct fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/in/socket", f->tmp);
    assert_int_equal(bind(sock, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(mkfifoat(f->in_fd, "fifo", 0666), 0);
    assert_int_equal(open_flags(f, "/in/fifo", O_RDONLY), -ENXIO);
    assert_int_equal(open_flags(f, "/in/fifo", O_WRONLY | O_CREAT), -ENXIO);
    assert_int_equal(open_flags(f, "/in/fifo", O_RDWR | O_TRUNC), -ENXIO);
    assert_int_equal(open_flags(f, "/in/socket", O_RDWR), -ENXIO);
    if (mknodat(f->in_fd, "null", S_IFCHR | 0666, makedev(1, 3)) == 0)
        assert_int_equal(open_flags(f, "/in/null", O_RDWR), -ENXIO);
    close(sock);
}

/* ---- The size limit: 64 KiB, 4 KiB of it for each name. ---- */

#define LIMIT (64 * KIB)

static void limit_by_size(struct fixture *f)
{
    assert_int_equal(make_private(f, "/a", 56 * KIB), 56 * KIB);
    assert_int_equal(make_private(f, "/b", 1), -ENOSPC); /* its name still fits */
    assert_int_equal(make_private(f, "/c", 0), -ENOSPC);
    assert_int_equal(files_mkdir(f->files, "/d", 0777), -ENOSPC);
    assert_int_equal(files_unlink(f->files, "/a"), 0);
    assert_int_equal(make_private(f, "/c", 56 * KIB), 56 * KIB);
}

static void limit_by_names(struct fixture *f)
{
    char name[16];
    unsigned count = 0;

    while (count < 100) {
        snprintf(name, sizeof(name), "/f%u", count);
        if (count % 2 ? files_mkdir(f->files, name, 0777) < 0 : make_private(f, name, 0) < 0)
            break;
        count++;
    }
    assert_int_equal(count, LIMIT / FILES_NAME_BYTES);
}

static void limit_of_holes(struct fixture *f)
{
    int fd = open_flags(f, "/a", O_RDWR | O_CREAT);

    assert_int_equal(files_lseek(f->files, fd, 1 << 20, SEEK_SET), 1 << 20);
    assert_int_equal(write_some(f, fd, 1), -ENOSPC);
    assert_int_equal(files_lseek(f->files, fd, 40 * KIB, SEEK_SET), 40 * KIB);
    assert_int_equal(write_some(f, fd, 1), 1);
    assert_int_equal(make_private(f, "/b", 20 * KIB), -ENOSPC);
}

static void limit_when_overwriting(struct fixture *f)
{
    int fd = open_flags(f, "/a", O_RDWR | O_CREAT);

    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(files_lseek(f->files, fd, 0, SEEK_SET), 0);
        assert_int_equal(write_some(f, fd, 40 * KIB), 40 * KIB);
    }
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(files_close(f->files, fd), 0);
        assert_int_equal(open_flags(f, "/a", O_RDWR | O_TRUNC), fd);
        assert_int_equal(write_some(f, fd, 40 * KIB), 40 * KIB);
    }
}

/* A removed file's space counts until nobody has it open. */
static void limit_of_removed(struct fixture *f)
{
    int one = open_flags(f, "/a", O_RDWR | O_CREAT), two = open_flags(f, "/a", O_RDONLY);

    assert_int_equal(write_some(f, one, 40 * KIB), 40 * KIB);
    assert_int_equal(files_unlink(f->files, "/a"), 0);
    assert_int_equal(make_private(f, "/b", 40 * KIB), -ENOSPC);
    assert_int_equal(files_unlink(f->files, "/b"), 0);
    assert_int_equal(read_some(f, two, 40 * KIB), 40 * KIB); /* and it is still there */
    assert_int_equal(files_close(f->files, one), 0);
    assert_int_equal(make_private(f, "/b", 40 * KIB), -ENOSPC);
    assert_int_equal(files_unlink(f->files, "/b"), 0);
    assert_int_equal(files_close(f->files, two), 0);
    assert_int_equal(make_private(f, "/b", 40 * KIB), 40 * KIB);
    assert_int_equal(f->files->size_used, 44 * KIB);
}

static void limit_not_of_mapped(struct fixture *f)
{
    int fd = open_flags(f, "/in/a", O_RDWR | O_CREAT);

    assert_int_equal(write_some(f, fd, 1 << 20), 1 << 20);
    assert_int_equal(f->files->size_used, 0);
}

/* ---- Several CPUs. ---- */

struct racer {
    struct fixture *f;
    unsigned number;
};

/* Open, write, remove and close, in a private file that all have and in one of its own. */
static void *race(void *arg)
{
    struct racer *racer = arg;
    struct fixture *f = racer->f;
    uint64_t data = DATA_GPA + racer->number * 64 * KIB;
    char own[16];

    snprintf(own, sizeof(own), "/own%u", racer->number);
    for (unsigned i = 0; i < 400; i++) {
        const char *path = i % 3 ? "/shared" : own;
        int fd = open_flags(f, path, O_RDWR | O_CREAT | (i % 5 ? 0 : O_TRUNC));

        if (fd >= 0) {
            struct buffer buffer = {.mem = f->mem, .address = data, .len = 100 * (i % 40)};

            files_write(f->files, fd, &buffer);
            files_lseek(f->files, fd, 0, SEEK_SET);
            buffer.write = true;
            files_read(f->files, fd, &buffer);
        }
        if (i % 2)
            files_unlink(f->files, path);
        if (fd >= 0)
            files_close(f->files, fd);
        files_close(f->files, 3 + (int)(i % 4)); /* perhaps another CPU's */
    }
    files_unlink(f->files, own);
    return NULL;
}

static void several_cpus(struct fixture *f)
{
    struct racer racers[4];
    pthread_t threads[ARRAY_SIZE(racers)];

    for (unsigned i = 0; i < ARRAY_SIZE(racers); i++) {
        racers[i] = (struct racer){.f = f, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(racers); i++)
        pthread_join(threads[i], NULL);
    table_clear(f->files);
    files_unlink(f->files, "/shared");
    assert_int_equal(f->files->size_used, 0); /* to the byte, whoever came first */
}

/* ---- The private folder. ---- */

static void deep_folders(struct fixture *f)
{
    char path[PATH_MAX] = "";
    size_t len = 0;

    while (len < sizeof(path) - 20) {
        len += (size_t)snprintf(path + len, sizeof(path) - len, "/d");
        assert_int_equal(files_mkdir(f->files, path, 0777), 0);
    }
    snprintf(path + len, sizeof(path) - len, "/file");
    assert_int_equal(make_private(f, path, 10), 10);
    /* fixture_destroy() looks whether it is all gone. */
}

static void run_kept(void **state)
{
    struct hermit_files *files = NULL;
    char keep[96], in[96];
    const struct hermit_mapping mapping = {in, "/a/b/in", false};
    struct hermit_files_options options = {.mappings = &mapping, .mapping_count = 1, .keep = keep};
    struct error err = {0};
    struct fixture f = {0};

    (void)state;
    make_host(&f);
    snprintf(keep, sizeof(keep), "%s/kept", f.tmp);
    snprintf(in, sizeof(in), "%s/in", f.tmp);
    assert_int_equal(hermit_files_create(&options, &files, &err), 0);
    assert_int_equal(files_open(files, "/result", O_CREAT | O_WRONLY, 0666), 3);
    assert_int_equal(files_open(files, "/a/b/in/x", O_CREAT | O_WRONLY, 0666), 4);
    hermit_files_destroy(files);
    assert_int_equal(entries_in(f.tmp_fd, "kept"), 1); /* without the places of mappings */
    assert_true(file_is(f.tmp_fd, "kept/result", ""));
    assert_true(file_is(f.in_fd, "x", ""));
    assert_int_equal(hermit_files_create(&options, &files, &err), -ENOTEMPTY);
    assert_non_null(strstr(err.text, "is not empty"));
    assert_int_equal(nftw(f.tmp, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* ---- Mappings that are refused. ---- */

struct mapping_row {
    const char *name;
    struct hermit_mapping mappings[2]; /* the host's part beneath the test's folder */
    int error;
    const char *says;
};

static const struct mapping_row mapping_rows[] = {
    {"nothing there", {{"none", "/x", false}}, -ENOENT, "no such file or folder"},
    {"a relative guest path", {{"in", "x", false}}, -EINVAL, "does not begin with '/'"},
    {"an empty guest path", {{"in", "", false}}, -EINVAL, "does not begin with '/'"},
    {"a file at the top", {{"one", "/", false}}, -EINVAL, "cannot be mapped to '/'"},
    {"twice the same", {{"in", "/x", false}, {"ro", "/y/../x/", true}}, -EEXIST, "mapped twice"},
    {"inside a file", {{"one", "/x", false}, {"in", "/x/y", false}}, -ENOTDIR, "is a file"},
    {"inside a file, the other way",
     {{"in", "/x/y", false}, {"one", "/x", false}},
     -ENOTDIR,
     "is a file"},
    {"a fifo", {{"fifo", "/x", true}}, -EINVAL, "neither a file nor a folder"},
};

static void run_mapping_refused(void **state)
{
    const struct mapping_row *row = *state;
    struct hermit_mapping mappings[2];
    char host[2][96];
    struct hermit_files_options options = {.mappings = mappings};
    struct hermit_files *files = NULL;
    struct error err = {0};
    struct fixture f = {0};

    make_host(&f);
    assert_int_equal(mkfifoat(f.tmp_fd, "fifo", 0666), 0);
    for (; options.mapping_count < 2 && row->mappings[options.mapping_count].host;
         options.mapping_count++) {
        size_t i = options.mapping_count;

        mappings[i] = row->mappings[i];
        snprintf(host[i], sizeof(host[i]), "%s/%s", f.tmp, row->mappings[i].host);
        mappings[i].host = host[i];
    }
    assert_int_equal(hermit_files_create(&options, &files, &err), row->error);
    assert_non_null(strstr(err.text, row->says));
    assert_non_null(strstr(err.text, "cannot map '"));
    close(f.in_fd);
    close(f.outside_fd);
    close(f.tmp_fd);
    assert_int_equal(nftw(f.tmp, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* ---- All of them. ---- */

static const struct files_row rows[] = {
    {"flags that are refused", flags_refused, 0},
    {"flags that are dropped", flags_dropped, 0},
    {"reading and writing as it was opened", access_kept, 0},
    {"a new file", creation, 0},
    {"cutting off", truncation, 0},
    {"appending", appending, 0},
    {"positions", positions, 0},
    {"a mapped file", mapped_file, 0},
    {"a mapping for reading alone", read_only, 0},
    {"interrupted calls", interrupted, 0},
    {"partial reads and writes", in_parts, 0},
    {"errors of the disk", failing, 8192},
    {"RLIMIT_FSIZE", file_size_limit, 0},
    {"what is neither file nor folder", no_files, 0},
    {"limit: size", limit_by_size, LIMIT},
    {"limit: names", limit_by_names, LIMIT},
    {"limit: holes", limit_of_holes, LIMIT},
    {"limit: writing over", limit_when_overwriting, LIMIT},
    {"limit: removed while open", limit_of_removed, LIMIT},
    {"limit: not of what is mapped", limit_not_of_mapped, LIMIT},
    {"several CPUs at once", several_cpus, MIB},
    {"folders as deep as names go", deep_folders, 0},
};

static void run_row(void **state)
{
    const struct files_row *row = *state;
    static struct fixture f;

    memset(&faults, 0, sizeof(faults));
    fixture_create(&f, 3, row->size_limit, NULL, NULL);
    row->run(&f);
    memset(&faults, 0, sizeof(faults));
    fixture_destroy(&f);
}

int main(void)
{
    static struct unit unit;

    unit_add_rows(&unit, rows, run_row);
    unit_add(&unit, "a private folder that is kept", run_kept, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(mapping_rows); i++)
        unit_add(&unit, mapping_rows[i].name, run_mapping_refused, &mapping_rows[i]);
    return unit_run(&unit, "hermit_files");
}

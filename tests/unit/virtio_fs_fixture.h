/*
 * A virtio-fs device on a folder of its own, and FUSE requests as a guest's kernel sends them.
 *
 *     TMP/share    what is shared; fixture.share_fd
 *     TMP/outside  what nobody may reach; it has a file "secret"
 */
#ifndef OSVM_TESTS_VIRTIO_FS_FIXTURE_H
#define OSVM_TESTS_VIRTIO_FS_FIXTURE_H

#include "virtio_driver.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "virtio/fs.h"

#define HIPRIO  0
#define REQUEST 1

#define FIXTURE_IN_SIZE  (64 * 1024)
#define FIXTURE_OUT_SIZE (256 * 1024)
#define SECRET           "secret of the host"

struct fixture {
    struct driver driver;
    char tmp[64];
    int tmp_fd, share_fd, outside_fd;
    uint64_t in_gpa, out_gpa;
    uint64_t unique;
    /* The last reply. */
    struct fuse_out_header out;
    const uint8_t *reply; /* what followed the header */
    uint32_t reply_len;
};

static inline void put_file(int folder_fd, const char *name, const char *text)
{
    int fd = openat(folder_fd, name, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

/* Whether a file has just this text. */
static inline bool file_is(int folder_fd, const char *name, const char *text)
{
    char buf[256];
    int fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return false;
    n = read(fd, buf, sizeof(buf));
    close(fd);
    return n == (ssize_t)strlen(text) && memcmp(buf, text, strlen(text)) == 0;
}

static inline bool file_exists(int folder_fd, const char *name)
{
    return faccessat(folder_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline void share_path(const struct fixture *f, char path[96])
{
    snprintf(path, 96, "%s/share", f->tmp);
}

/* ---- Requests. ---- */

/*
 * Send one request in two readable and two writable buffers; the answer is in f->out and f->reply.
 *
 * @header_len  what the header says; 0: the truth
 * @room        for the reply, with its header
 * Returns out.error.
 */
static inline int fuse_raw(struct fixture *f, uint32_t opcode, uint64_t node, const void *args,
                           uint32_t len, uint32_t header_len, uint32_t room)
{
    struct fuse_in_header header = {
        .len = header_len ? header_len : (uint32_t)sizeof(header) + len,
        .opcode = opcode,
        .unique = ++f->unique,
        .nodeid = node,
        .uid = geteuid(),
        .gid = getegid(),
    };
    uint32_t split = room < 16 ? room : 16;
    struct driver_buffer buffers[] = {
        {f->in_gpa, sizeof(header), false},
        {f->in_gpa + sizeof(header), len, false},
        {f->out_gpa, split, true},
        {f->out_gpa + split, room - split, true},
    };
    struct driver_used used = {0};
    uint64_t until = clock_monotonic_ns() + 5 * NS_PER_SEC;

    assert_true(sizeof(header) + len <= FIXTURE_IN_SIZE && room <= FIXTURE_OUT_SIZE);
    memcpy(driver_host(&f->driver, f->in_gpa, sizeof(header)), &header, sizeof(header));
    if (len > 0)
        memcpy(driver_host(&f->driver, f->in_gpa + sizeof(header), len), args, len);
    memset(driver_host(&f->driver, f->out_gpa, room + 1), 0xee, room + 1);
    driver_add(&f->driver, REQUEST, buffers, ARRAY_SIZE(buffers));
    driver_notify(&f->driver, REQUEST);
    while (!driver_used(&f->driver, REQUEST, &used) && !driver_is_broken(&f->driver)) {
        assert_true(clock_monotonic_ns() < until);
        usleep(20);
    }
    f->reply = (const uint8_t *)driver_host(&f->driver, f->out_gpa + 16, 1);
    assert_int_equal(f->reply[(int64_t)room - 16], 0xee); /* nothing behind the room */
    if (driver_is_broken(&f->driver) || used.len == 0)
        return 0;
    memcpy(&f->out, driver_host(&f->driver, f->out_gpa, 16), 16);
    assert_int_equal(f->out.len, used.len);
    assert_int_equal(f->out.unique, f->unique);
    assert_true(f->out.len >= 16 && f->out.len <= room);
    f->reply_len = f->out.len - 16;
    return f->out.error;
}

static inline int fuse(struct fixture *f, uint32_t opcode, uint64_t node, const void *args,
                       uint32_t len)
{
    return fuse_raw(f, opcode, node, args, len, 0, 16 + 4096);
}

/* A struct of arguments and then names, each with its terminator. NULL ends them. */
static inline int fuse_names(struct fixture *f, uint32_t opcode, uint64_t node, const void *args,
                             uint32_t len, const char *first, const char *second)
{
    uint8_t buf[FIXTURE_IN_SIZE / 2];

    if (len > 0)
        memcpy(buf, args, len);
    for (unsigned i = 0; i < 2; i++) {
        const char *name = i == 0 ? first : second;

        if (!name)
            continue;
        memcpy(buf + len, name, strlen(name) + 1);
        len += (uint32_t)strlen(name) + 1;
    }
    return fuse(f, opcode, node, buf, len);
}

static inline const struct fuse_entry_out *entry_of(const struct fixture *f)
{
    assert_true(f->reply_len >= sizeof(struct fuse_entry_out));
    return (const void *)f->reply;
}

static inline int fuse_init(struct fixture *f)
{
    const struct fuse_init_in in = {
        .major = 7, .minor = 36, .max_readahead = 65536, .flags = 0xffffffff};

    return fuse(f, FUSE_INIT, 0, &in, sizeof(in));
}

/* Returns the node id; 0 with *error set. */
static inline uint64_t lookup(struct fixture *f, uint64_t node, const char *name, int *error)
{
    *error = fuse_names(f, FUSE_LOOKUP, node, NULL, 0, name, NULL);
    return *error ? 0 : entry_of(f)->nodeid;
}

static inline uint64_t lookup_ok(struct fixture *f, uint64_t node, const char *name)
{
    int error;
    uint64_t id = lookup(f, node, name, &error);

    assert_int_equal(error, 0);
    return id;
}

/* OPEN or OPENDIR. Returns the handle; 0 with *error set. */
static inline uint64_t open_node(struct fixture *f, uint32_t opcode, uint64_t node, uint32_t flags,
                                 int *error)
{
    const struct fuse_open_in in = {.flags = flags};

    *error = fuse(f, opcode, node, &in, sizeof(in));
    return *error ? 0 : ((const struct fuse_open_out *)(const void *)f->reply)->fh;
}

static inline uint64_t open_ok(struct fixture *f, uint32_t opcode, uint64_t node, uint32_t flags)
{
    int error;
    uint64_t fh = open_node(f, opcode, node, flags, &error);

    assert_int_equal(error, 0);
    return fh;
}

/* CREATE. Returns the handle; 0 with *error set. */
static inline uint64_t create(struct fixture *f, uint64_t node, const char *name, uint32_t flags,
                              uint32_t mode, int *error)
{
    const struct fuse_create_in in = {.flags = flags, .mode = S_IFREG | mode};

    *error = fuse_names(f, FUSE_CREATE, node, &in, sizeof(in), name, NULL);
    if (*error)
        return 0;
    return ((const struct fuse_open_out *)(const void *)(f->reply + sizeof(struct fuse_entry_out)))
        ->fh;
}

static inline uint64_t create_ok(struct fixture *f, const char *name)
{
    int error;
    uint64_t fh = create(f, FUSE_ROOT_ID, name, O_RDWR, 0644, &error);

    assert_int_equal(error, 0);
    return fh;
}

/* Returns how many bytes were read, or the error. */
static inline int read_at(struct fixture *f, uint64_t fh, uint64_t offset, uint32_t size)
{
    const struct fuse_read_in in = {.fh = fh, .offset = offset, .size = size};
    int error = fuse(f, FUSE_READ, FUSE_ROOT_ID, &in, sizeof(in));

    return error ? error : (int)f->reply_len;
}

/* Returns how many bytes were written, or the error. */
static inline int write_at(struct fixture *f, uint64_t fh, uint64_t offset, const void *bytes,
                           uint32_t size)
{
    struct fuse_write_in in = {.fh = fh, .offset = offset, .size = size};
    uint8_t buf[FIXTURE_IN_SIZE / 2];
    int error;

    memcpy(buf, &in, sizeof(in));
    memcpy(buf + sizeof(in), bytes, size);
    error = fuse(f, FUSE_WRITE, FUSE_ROOT_ID, buf, (uint32_t)sizeof(in) + size);
    return error ? error : (int)((const struct fuse_write_out *)(const void *)f->reply)->size;
}

static inline int release(struct fixture *f, uint32_t opcode, uint64_t fh)
{
    const struct fuse_release_in in = {.fh = fh};

    return fuse(f, opcode, FUSE_ROOT_ID, &in, sizeof(in));
}

static inline int setattr(struct fixture *f, uint64_t node, const struct fuse_setattr_in *in)
{
    return fuse(f, FUSE_SETATTR, node, in, sizeof(*in));
}

/* FORGET has no reply, and goes by the other queue. */
static inline void forget(struct fixture *f, uint64_t node, uint64_t lookups)
{
    struct {
        struct fuse_in_header header;
        struct fuse_forget_in in;
    } request = {
        .header = {.len = sizeof(request), .opcode = FUSE_FORGET, .nodeid = node},
        .in = {.nlookup = lookups},
    };
    const struct driver_buffer buffer = {f->in_gpa, sizeof(request), false};
    uint64_t until = clock_monotonic_ns() + 5 * NS_PER_SEC;
    struct driver_used used;

    memcpy(driver_host(&f->driver, f->in_gpa, sizeof(request)), &request, sizeof(request));
    driver_add(&f->driver, HIPRIO, &buffer, 1);
    driver_notify(&f->driver, HIPRIO);
    while (!driver_used(&f->driver, HIPRIO, &used)) {
        assert_true(clock_monotonic_ns() < until);
        usleep(20);
    }
    assert_int_equal(used.len, 0);
}

/* ---- Set-up. ---- */

static inline void fixture_start_driver(struct fixture *f)
{
    driver_start(&f->driver, VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX);
}

static inline void fixture_create_with(struct fixture *f, bool read_only, uint64_t size_limit,
                                       struct virtio_fs_budget *budget)
{
    struct virtio_device *device = NULL;
    struct error err = {""};
    char path[96];

    memset(f, 0, sizeof(*f));
    strcpy(f->tmp, "/tmp/osvm-fs-XXXXXX");
    assert_non_null(mkdtemp(f->tmp));
    f->tmp_fd = open(f->tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(f->tmp_fd, "share", 0755), 0);
    assert_int_equal(mkdirat(f->tmp_fd, "outside", 0755), 0);
    f->share_fd = openat(f->tmp_fd, "share", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    f->outside_fd = openat(f->tmp_fd, "outside", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    put_file(f->outside_fd, "secret", SECRET);
    share_path(f, path);
    driver_create(&f->driver, 4 * MIB);
    assert_int_equal(virtio_fs_create(&f->driver.env, "fs0",
                                      &(struct virtio_fs_options){.tag = "work",
                                                                  .path = path,
                                                                  .read_only = read_only,
                                                                  .size_limit = size_limit,
                                                                  .budget = budget},
                                      &device, &err),
                     0);
    driver_connect(&f->driver, device);
    f->in_gpa = driver_alloc(&f->driver, FIXTURE_IN_SIZE, 8);
    f->out_gpa = driver_alloc(&f->driver, FIXTURE_OUT_SIZE + 8, 8);
    fixture_start_driver(f);
    assert_int_equal(fuse_init(f), 0);
}

static inline void fixture_create(struct fixture *f, bool read_only, uint64_t size_limit)
{
    fixture_create_with(f, read_only, size_limit, NULL);
}

static inline int fixture_remove_one(const char *path, const struct stat *st, int type,
                                     struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

/* What is outside must be as it was. */
static inline void fixture_destroy(struct fixture *f)
{
    struct stat st;

    driver_destroy(&f->driver);
    assert_true(file_is(f->outside_fd, "secret", SECRET));
    assert_int_equal(fstatat(f->outside_fd, "secret", &st, 0), 0);
    assert_int_equal(st.st_nlink, 1);
    close(f->tmp_fd);
    close(f->share_fd);
    close(f->outside_fd);
    nftw(f->tmp, fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

#endif

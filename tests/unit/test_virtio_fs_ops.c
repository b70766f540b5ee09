/* virtio/fs.h: every FUSE request where nothing is wrong, and its plain errors. */
#include "virtio_fs_fixture.h"

#define ROOT FUSE_ROOT_ID

static struct stat stat_of(const struct fixture *f, const char *name)
{
    struct stat st;

    assert_int_equal(fstatat(f->share_fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st;
}

static const struct fuse_attr *attr_of(const struct fixture *f)
{
    return &((const struct fuse_attr_out *)(const void *)f->reply)->attr;
}

static void test_init(struct fixture *f)
{
    const struct fuse_init_out *out = (const void *)f->reply;
    struct fuse_init_in in = {.major = 8, .minor = 0};

    assert_int_equal(fuse_init(f), 0);
    assert_int_equal(f->reply_len, sizeof(*out));
    assert_int_equal(out->major, 7);
    assert_int_equal(out->minor, 31);
    assert_int_equal(out->max_write, MIB);
    assert_int_equal(out->max_pages, 256);
    assert_true(out->flags & FUSE_DO_READDIRPLUS);
    assert_false(out->flags & (FUSE_WRITEBACK_CACHE | FUSE_POSIX_ACL | FUSE_SUBMOUNTS));
    assert_int_equal(fuse(f, FUSE_INIT, 0, &in, sizeof(in)), 0);
    assert_int_equal(f->reply_len, 8); /* a newer one is told our version alone */
    in.major = 6;
    assert_int_equal(fuse(f, FUSE_INIT, 0, &in, sizeof(in)), -EPROTO);
    in = (struct fuse_init_in){.major = 7, .minor = 27};
    assert_int_equal(fuse(f, FUSE_INIT, 0, &in, 16), 0); /* as it was before 7.36 */
    assert_int_equal(((const struct fuse_init_out *)(const void *)f->reply)->minor, 27);
}

static void test_destroy(struct fixture *f)
{
    uint64_t node;
    int error;

    put_file(f->share_fd, "a", "x");
    node = lookup_ok(f, ROOT, "a");
    assert_int_equal(fuse(f, FUSE_DESTROY, 0, NULL, 0), 0);
    lookup(f, ROOT, "a", &error);
    assert_int_equal(error, -EIO); /* not before INIT */
    assert_int_equal(fuse_init(f), 0);
    open_node(f, FUSE_OPEN, node, O_RDONLY, &error);
    assert_int_equal(error, -ESTALE);
}

static void test_lookup(struct fixture *f)
{
    uint64_t node;
    int error;

    put_file(f->share_fd, "a", "four");
    assert_int_equal(linkat(f->share_fd, "a", f->share_fd, "b", 0), 0);
    node = lookup_ok(f, ROOT, "a");
    assert_int_equal(entry_of(f)->attr.size, 4);
    assert_int_equal(entry_of(f)->attr.ino, stat_of(f, "a").st_ino);
    assert_true(node > ROOT);
    assert_int_equal(lookup_ok(f, ROOT, "b"), node); /* a hard link is the same file */
    lookup(f, ROOT, "c", &error);
    assert_int_equal(error, -ENOENT);
    lookup(f, node, "c", &error);
    assert_int_equal(error, -ENOTDIR);
}

static void test_forget(struct fixture *f)
{
    const struct fuse_getattr_in in = {0};
    uint64_t node;

    put_file(f->share_fd, "a", "x");
    node = lookup_ok(f, ROOT, "a");
    lookup_ok(f, ROOT, "a");
    forget(f, node, 1);
    assert_int_equal(fuse(f, FUSE_GETATTR, node, &in, sizeof(in)), 0);
    forget(f, node, UINT64_MAX);
    assert_int_equal(fuse(f, FUSE_GETATTR, node, &in, sizeof(in)), -ESTALE);
    assert_int_not_equal(lookup_ok(f, ROOT, "a"), node);
    forget(f, ROOT, UINT64_MAX);
    forget(f, 12345678, 1);
    assert_int_equal(fuse(f, FUSE_GETATTR, ROOT, &in, sizeof(in)), 0);
}

static void test_batch_forget(struct fixture *f)
{
    struct {
        struct fuse_batch_forget_in in;
        struct fuse_forget_one one[3];
    } batch = {.in.count = 1000}; /* more than there are */
    const struct fuse_getattr_in in = {0};

    put_file(f->share_fd, "a", "x");
    put_file(f->share_fd, "b", "x");
    batch.one[0] = (struct fuse_forget_one){lookup_ok(f, ROOT, "a"), 1};
    batch.one[1] = (struct fuse_forget_one){77, 1};
    batch.one[2] = (struct fuse_forget_one){lookup_ok(f, ROOT, "b"), 1};
    fuse(f, FUSE_BATCH_FORGET, 0, &batch, sizeof(batch));
    assert_int_equal(fuse(f, FUSE_GETATTR, batch.one[0].nodeid, &in, sizeof(in)), -ESTALE);
    assert_int_equal(fuse(f, FUSE_GETATTR, batch.one[2].nodeid, &in, sizeof(in)), -ESTALE);
}

static void test_getattr(struct fixture *f)
{
    struct fuse_getattr_in in = {0};

    assert_int_equal(fuse(f, FUSE_GETATTR, ROOT, &in, sizeof(in)), 0);
    assert_true(S_ISDIR(attr_of(f)->mode));
    in.getattr_flags = FUSE_GETATTR_FH;
    in.fh = 99;
    assert_int_equal(fuse(f, FUSE_GETATTR, ROOT, &in, sizeof(in)), -EBADF);
    in.fh = create_ok(f, "a");
    write_at(f, in.fh, 0, "abc", 3);
    assert_int_equal(fuse(f, FUSE_GETATTR, ROOT, &in, sizeof(in)), 0);
    assert_int_equal(attr_of(f)->size, 3);
}

static void test_removed_but_open(struct fixture *f)
{
    const struct fuse_getattr_in in = {0};
    uint64_t fh = create_ok(f, "a"), node = entry_of(f)->nodeid;

    assert_int_equal(write_at(f, fh, 0, "abc", 3), 3);
    assert_int_equal(fuse_names(f, FUSE_UNLINK, ROOT, NULL, 0, "a", NULL), 0);
    assert_int_equal(fuse(f, FUSE_GETATTR, node, &in, sizeof(in)), 0);
    assert_int_equal(attr_of(f)->nlink, 0);
    assert_int_equal(setattr(f, node,
                             &(struct fuse_setattr_in){
                                 .valid = FATTR_MODE | FATTR_MTIME, .mode = 0600, .mtime = 9}),
                     0);
    assert_int_equal(attr_of(f)->mode, S_IFREG | 0600);
    assert_int_equal(attr_of(f)->mtime, 9);
    assert_int_equal(read_at(f, fh, 0, 10), 3);
    assert_int_equal(release(f, FUSE_RELEASE, fh), 0);
    assert_int_equal(fuse(f, FUSE_GETATTR, node, &in, sizeof(in)), -ESTALE);
}

static void test_setattr(struct fixture *f)
{
    struct fuse_setattr_in in = {.valid = FATTR_MODE, .mode = S_IFREG | 06640};
    uint64_t fh = create_ok(f, "a"), node = entry_of(f)->nodeid;

    assert_int_equal(setattr(f, node, &in), 0);
    assert_int_equal(stat_of(f, "a").st_mode, S_IFREG | 0640); /* no set-user-id on the host */
    in = (struct fuse_setattr_in){.valid = FATTR_SIZE, .size = 5000};
    assert_int_equal(setattr(f, node, &in), 0);
    assert_int_equal(stat_of(f, "a").st_size, 5000);
    in = (struct fuse_setattr_in){.valid = FATTR_SIZE | FATTR_FH, .size = 7, .fh = fh};
    assert_int_equal(setattr(f, node, &in), 0);
    assert_int_equal(attr_of(f)->size, 7);
    in.fh = 99;
    assert_int_equal(setattr(f, node, &in), -EBADF);
    in = (struct fuse_setattr_in){.valid = FATTR_SIZE, .size = UINT64_MAX};
    assert_int_equal(setattr(f, node, &in), -EFBIG);
    assert_int_equal(setattr(f, ROOT, &in), -EISDIR);
    in = (struct fuse_setattr_in){
        .valid = FATTR_ATIME | FATTR_MTIME, .atime = 11, .mtime = 12, .mtimensec = 13};
    assert_int_equal(setattr(f, node, &in), 0);
    assert_int_equal(stat_of(f, "a").st_atim.tv_sec, 11);
    assert_int_equal(stat_of(f, "a").st_mtim.tv_nsec, 13);
    in.mtimensec = 2000000000;
    assert_int_equal(setattr(f, node, &in), -EINVAL);
    in = (struct fuse_setattr_in){.valid = FATTR_MTIME | FATTR_MTIME_NOW};
    assert_int_equal(setattr(f, node, &in), 0);
    assert_true(stat_of(f, "a").st_mtim.tv_sec > 12);
}

static void test_chown(struct fixture *f)
{
    struct fuse_setattr_in in = {.valid = FATTR_UID | FATTR_GID, .uid = 12, .gid = 34};
    uint64_t node;

    create_ok(f, "a");
    node = entry_of(f)->nodeid;
    assert_int_equal(setattr(f, node, &in), geteuid() == 0 ? 0 : -EPERM);
    if (geteuid() == 0)
        assert_int_equal(stat_of(f, "a").st_gid, 34);
}

static void test_links(struct fixture *f)
{
    uint64_t node;
    struct fuse_link_in in;
    char target[8] = "";

    assert_int_equal(fuse_names(f, FUSE_SYMLINK, ROOT, NULL, 0, "s", "/etc/passwd"), 0);
    node = entry_of(f)->nodeid;
    assert_true(S_ISLNK(entry_of(f)->attr.mode));
    assert_int_equal(fuse(f, FUSE_READLINK, node, NULL, 0), 0);
    assert_int_equal(f->reply_len, 11);
    assert_memory_equal(f->reply, "/etc/passwd", 11);
    assert_int_equal(fuse_raw(f, FUSE_READLINK, node, target, 0, 0, 16 + 5), -ENAMETOOLONG);
    assert_int_equal(fuse(f, FUSE_READLINK, ROOT, NULL, 0), -EINVAL);
    assert_int_equal(fuse_names(f, FUSE_SYMLINK, ROOT, NULL, 0, "s", "x"), -EEXIST);

    create_ok(f, "a");
    in.oldnodeid = entry_of(f)->nodeid;
    assert_int_equal(fuse_names(f, FUSE_LINK, ROOT, &in, sizeof(in), "b", NULL), 0);
    assert_int_equal(entry_of(f)->nodeid, in.oldnodeid);
    assert_int_equal(stat_of(f, "b").st_nlink, 2);
    in.oldnodeid = node; /* a link to a symbolic link, not to what it names */
    assert_int_equal(fuse_names(f, FUSE_LINK, ROOT, &in, sizeof(in), "t", NULL), 0);
    assert_true(S_ISLNK(stat_of(f, "t").st_mode));
    in.oldnodeid = ROOT;
    assert_int_equal(fuse_names(f, FUSE_LINK, ROOT, &in, sizeof(in), "c", NULL), -EPERM);
    in.oldnodeid = 4711;
    assert_int_equal(fuse_names(f, FUSE_LINK, ROOT, &in, sizeof(in), "c", NULL), -ESTALE);
}

static void test_mknod(struct fixture *f)
{
    struct fuse_mknod_in in = {.mode = S_IFREG | 0606};
    static const uint32_t refused[] = {S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK, S_IFDIR};

    assert_int_equal(fuse_names(f, FUSE_MKNOD, ROOT, &in, sizeof(in), "a", NULL), 0);
    assert_int_equal(stat_of(f, "a").st_mode, S_IFREG | 0606); /* whatever our umask */
    assert_int_equal(fuse_names(f, FUSE_MKNOD, ROOT, &in, sizeof(in), "a", NULL), -EEXIST);
    for (unsigned i = 0; i < ARRAY_SIZE(refused); i++) {
        in.mode = refused[i] | 0600;
        in.rdev = 0x103;
        assert_int_equal(fuse_names(f, FUSE_MKNOD, ROOT, &in, sizeof(in), "n", NULL), -EPERM);
    }
    assert_false(file_exists(f->share_fd, "n"));
}

static void test_folders(struct fixture *f)
{
    const struct fuse_mkdir_in in = {.mode = 0773};
    uint64_t node;

    assert_int_equal(fuse_names(f, FUSE_MKDIR, ROOT, &in, sizeof(in), "d", NULL), 0);
    node = entry_of(f)->nodeid;
    assert_int_equal(stat_of(f, "d").st_mode, S_IFDIR | 0773);
    assert_int_equal(fuse_names(f, FUSE_MKDIR, ROOT, &in, sizeof(in), "d", NULL), -EEXIST);
    assert_int_equal(fuse_names(f, FUSE_MKDIR, node, &in, sizeof(in), "e", NULL), 0);
    assert_int_equal(fuse_names(f, FUSE_RMDIR, ROOT, NULL, 0, "d", NULL), -ENOTEMPTY);
    assert_int_equal(fuse_names(f, FUSE_UNLINK, ROOT, NULL, 0, "d", NULL), -EISDIR);
    assert_int_equal(fuse_names(f, FUSE_RMDIR, node, NULL, 0, "e", NULL), 0);
    assert_int_equal(fuse_names(f, FUSE_RMDIR, ROOT, NULL, 0, "d", NULL), 0);
    assert_int_equal(fuse_names(f, FUSE_RMDIR, ROOT, NULL, 0, "d", NULL), -ENOENT);
}

static void test_rename(struct fixture *f)
{
    const struct fuse_mkdir_in mkdir_in = {.mode = 0755};
    struct fuse_rename_in in = {.newdir = ROOT};
    struct fuse_rename2_in in2 = {.newdir = ROOT, .flags = 1 /* RENAME_NOREPLACE */};
    uint64_t a, folder;

    put_file(f->share_fd, "a", "text a");
    put_file(f->share_fd, "b", "text b");
    a = lookup_ok(f, ROOT, "a");
    assert_int_equal(fuse_names(f, FUSE_MKDIR, ROOT, &mkdir_in, sizeof(mkdir_in), "d", NULL), 0);
    folder = entry_of(f)->nodeid;
    assert_int_equal(fuse_names(f, FUSE_RENAME2, ROOT, &in2, sizeof(in2), "a", "b"), -EEXIST);
    in2.flags = 2; /* RENAME_EXCHANGE */
    assert_int_equal(fuse_names(f, FUSE_RENAME2, ROOT, &in2, sizeof(in2), "a", "b"), 0);
    assert_true(file_is(f->share_fd, "b", "text a"));
    in2.flags = 4; /* RENAME_WHITEOUT makes a device node */
    assert_int_equal(fuse_names(f, FUSE_RENAME2, ROOT, &in2, sizeof(in2), "a", "b"), -EINVAL);
    in.newdir = folder;
    assert_int_equal(fuse_names(f, FUSE_RENAME, ROOT, &in, sizeof(in), "b", "moved"), 0);
    /* The node went with it, without another LOOKUP. */
    assert_int_equal(read_at(f, open_ok(f, FUSE_OPEN, a, O_RDONLY), 0, 64), 6);
    assert_memory_equal(f->reply, "text a", 6);
    assert_int_equal(fuse_names(f, FUSE_RENAME, ROOT, &in, sizeof(in), "b", "c"), -ENOENT);
    assert_int_equal(fuse_names(f, FUSE_RENAME, ROOT, &in, sizeof(in), "d", "d"), -EINVAL);
    in.newdir = 4711;
    assert_int_equal(fuse_names(f, FUSE_RENAME, ROOT, &in, sizeof(in), "a", "c"), -ESTALE);
    in.newdir = a;
    assert_int_equal(fuse_names(f, FUSE_RENAME, ROOT, &in, sizeof(in), "a", "c"), -ENOTDIR);
}

static void test_open(struct fixture *f)
{
    uint64_t node, fh;
    int error;

    put_file(f->share_fd, "a", "some text");
    node = lookup_ok(f, ROOT, "a");
    fh = open_ok(f, FUSE_OPEN, node, O_RDONLY);
    assert_int_equal(read_at(f, fh, 5, 64), 4);
    assert_int_equal(write_at(f, fh, 0, "x", 1), -EBADF);
    fh = open_ok(f, FUSE_OPEN, node, O_WRONLY | O_APPEND);
    assert_int_equal(write_at(f, fh, 0, "!", 1), 1);
    assert_true(file_is(f->share_fd, "a", "some text!"));
    assert_int_equal(read_at(f, fh, 0, 1), -EBADF);
    open_ok(f, FUSE_OPEN, node, O_RDWR | O_TRUNC);
    assert_int_equal(stat_of(f, "a").st_size, 0);
    open_node(f, FUSE_OPEN, ROOT, O_RDONLY, &error);
    assert_int_equal(error, -EISDIR);
    open_node(f, FUSE_OPENDIR, node, O_RDONLY, &error);
    assert_int_equal(error, -ENOTDIR);
    /* Another file under the name: the guest looks it up again. */
    put_file(f->share_fd, "b", "another");
    renameat(f->share_fd, "b", f->share_fd, "a");
    open_node(f, FUSE_OPEN, node, O_RDONLY, &error);
    assert_int_equal(error, -ESTALE);
    open_ok(f, FUSE_OPEN, lookup_ok(f, ROOT, "a"), O_RDONLY);
}

static void test_create(struct fixture *f)
{
    uint64_t fh;
    int error;

    fh = create(f, ROOT, "a", O_RDWR | O_EXCL, 04751, &error);
    assert_int_equal(error, 0);
    assert_int_equal(stat_of(f, "a").st_mode, S_IFREG | 0751);
    assert_int_equal(write_at(f, fh, 3, "abc", 3), 3);
    assert_int_equal(read_at(f, fh, 0, 100), 6);
    assert_memory_equal(f->reply, "\0\0\0abc", 6);
    create(f, ROOT, "a", O_RDWR | O_EXCL, 0644, &error);
    assert_int_equal(error, -EEXIST);
    create(f, ROOT, "a", O_RDWR | O_TRUNC, 0644, &error);
    assert_int_equal(error, 0);
    assert_int_equal(stat_of(f, "a").st_size, 0);
    mkdirat(f->share_fd, "d", 0755);
    create(f, ROOT, "d", O_RDWR, 0644, &error);
    assert_int_equal(error, -EISDIR);
}

static void test_long_data(struct fixture *f)
{
    static uint8_t bytes[20000];
    uint64_t fh = create_ok(f, "a");
    struct fuse_read_in in = {.fh = fh, .size = 1 << 20};

    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7 + (i >> 8));
    assert_int_equal(write_at(f, fh, 0, bytes, sizeof(bytes)), sizeof(bytes));
    assert_int_equal(fuse_raw(f, FUSE_READ, 0, &in, sizeof(in), 0, 200000), 0);
    assert_int_equal(f->reply_len, sizeof(bytes));
    assert_memory_equal(f->reply, bytes, sizeof(bytes));
}

static void test_sync(struct fixture *f)
{
    struct fuse_fsync_in in = {.fh = create_ok(f, "a")};
    struct fuse_flush_in flush = {.fh = in.fh};

    assert_int_equal(fuse(f, FUSE_FSYNC, ROOT, &in, sizeof(in)), 0);
    in.fsync_flags = FUSE_FSYNC_FDATASYNC;
    assert_int_equal(fuse(f, FUSE_FSYNC, ROOT, &in, sizeof(in)), 0);
    assert_int_equal(fuse(f, FUSE_FSYNCDIR, ROOT, &in, sizeof(in)), -EBADF);
    assert_int_equal(fuse(f, FUSE_FLUSH, ROOT, &flush, sizeof(flush)), 0);
    assert_int_equal(release(f, FUSE_RELEASE, in.fh), 0);
    assert_int_equal(release(f, FUSE_RELEASE, in.fh), -EBADF);
    assert_int_equal(fuse(f, FUSE_FLUSH, ROOT, &flush, sizeof(flush)), -EBADF);
    assert_int_equal(fuse(f, FUSE_FSYNC, ROOT, &in, sizeof(in)), -EBADF);
    in.fh = open_ok(f, FUSE_OPENDIR, ROOT, O_RDONLY);
    assert_int_equal(fuse(f, FUSE_FSYNCDIR, ROOT, &in, sizeof(in)), 0);
    assert_int_equal(release(f, FUSE_RELEASE, in.fh), -EBADF);
    assert_int_equal(release(f, FUSE_RELEASEDIR, in.fh), 0);
}

static void test_statfs(struct fixture *f)
{
    const struct fuse_statfs_out *out = (const void *)f->reply;

    assert_int_equal(fuse(f, FUSE_STATFS, ROOT, NULL, 0), 0);
    assert_int_equal(f->reply_len, sizeof(*out));
    assert_int_equal(out->st.namelen, 255);
    assert_true(out->st.bsize > 0 && out->st.blocks > 0);
}

static void test_access(struct fixture *f)
{
    struct fuse_access_in in = {.mask = R_OK | W_OK | X_OK};

    assert_int_equal(fuse(f, FUSE_ACCESS, ROOT, &in, sizeof(in)), 0);
    create_ok(f, "a");
    assert_int_equal(fuse(f, FUSE_ACCESS, entry_of(f)->nodeid, &in, sizeof(in)), -EACCES);
    in.mask = 64;
    assert_int_equal(fuse(f, FUSE_ACCESS, ROOT, &in, sizeof(in)), -EINVAL);
}

static void test_lseek(struct fixture *f)
{
    struct fuse_lseek_in in = {.fh = create_ok(f, "a"), .whence = SEEK_HOLE};
    const struct fuse_lseek_out *out;

    write_at(f, in.fh, 0, "abc", 3);
    assert_int_equal(fuse(f, FUSE_LSEEK, ROOT, &in, sizeof(in)), 0);
    out = (const void *)f->reply;
    assert_int_equal(out->offset, 3);
    in.offset = 100;
    assert_int_equal(fuse(f, FUSE_LSEEK, ROOT, &in, sizeof(in)), -ENXIO);
    in.whence = 77;
    assert_int_equal(fuse(f, FUSE_LSEEK, ROOT, &in, sizeof(in)), -EINVAL);
    in.fh = 77;
    assert_int_equal(fuse(f, FUSE_LSEEK, ROOT, &in, sizeof(in)), -EBADF);
}

static void test_fallocate(struct fixture *f)
{
    struct fuse_fallocate_in in = {.fh = create_ok(f, "a"), .length = 8192};

    assert_int_equal(fuse(f, FUSE_FALLOCATE, ROOT, &in, sizeof(in)), 0);
    assert_int_equal(stat_of(f, "a").st_size, 8192);
    in.mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    assert_int_equal(fuse(f, FUSE_FALLOCATE, ROOT, &in, sizeof(in)), 0);
    in.mode = FALLOC_FL_KEEP_SIZE;
    assert_int_equal(fuse(f, FUSE_FALLOCATE, ROOT, &in, sizeof(in)), -EOPNOTSUPP);
    in = (struct fuse_fallocate_in){.fh = in.fh, .offset = INT64_MAX, .length = 2};
    assert_int_equal(fuse(f, FUSE_FALLOCATE, ROOT, &in, sizeof(in)), -EINVAL);
    in.fh = 77;
    assert_int_equal(fuse(f, FUSE_FALLOCATE, ROOT, &in, sizeof(in)), -EBADF);
}

/* Read a folder to its end in pieces of `size`. Returns how many names beside the dots. */
static unsigned list(struct fixture *f, bool plus, uint32_t size, unsigned *ret_known)
{
    struct fuse_read_in in = {.fh = open_ok(f, FUSE_OPENDIR, ROOT, O_RDONLY), .size = size};
    uint32_t opcode = plus ? FUSE_READDIRPLUS : FUSE_READDIR;
    unsigned count = 0;

    for (*ret_known = 0;;) {
        uint32_t at = 0;

        assert_int_equal(fuse(f, opcode, ROOT, &in, sizeof(in)), 0);
        assert_true(f->reply_len <= size);
        if (f->reply_len == 0)
            break;
        while (at < f->reply_len) {
            const struct fuse_entry_out *entry = (const void *)(f->reply + at);
            const struct fuse_dirent *d;

            at += plus ? sizeof(*entry) : 0;
            d = (const void *)(f->reply + at);
            at += (uint32_t)FUSE_DIRENT_SIZE(d);
            in.offset = d->off;
            *ret_known += plus && entry->nodeid;
            count += d->name[0] != '.';
            if (d->namelen == 2 && memcmp(d->name, "..", 2) == 0)
                assert_int_equal(d->ino, stat_of(f, ".").st_ino); /* nothing of what is above */
        }
        assert_int_equal(at, f->reply_len);
    }
    assert_int_equal(release(f, FUSE_RELEASEDIR, in.fh), 0);
    return count;
}

static void test_readdir(struct fixture *f)
{
    struct fuse_read_in in = {.size = 4096};
    unsigned known;
    char name[16];

    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "file%u", i);
        put_file(f->share_fd, name, "");
    }
    assert_int_equal(list(f, false, 4096, &known), 300);
    assert_int_equal(list(f, false, 200, &known), 300);
    assert_int_equal(list(f, true, 4096, &known), 300);
    assert_int_equal(known, 300);
    assert_int_equal(fuse(f, FUSE_READDIR, ROOT, &in, sizeof(in)), -EBADF);
    in.fh = open_ok(f, FUSE_OPENDIR, ROOT, O_RDONLY);
    in.size = 8;
    assert_int_equal(fuse(f, FUSE_READDIR, ROOT, &in, sizeof(in)), -EINVAL);
    in.size = 4096;
    in.offset = UINT64_MAX;
    assert_int_equal(fuse(f, FUSE_READDIR, ROOT, &in, sizeof(in)), -EINVAL);
}

/* More files than descriptors are kept for: all stay usable. */
static void test_many_nodes(struct fixture *f)
{
    static uint64_t nodes[3000];
    unsigned known;
    char name[16];

    for (unsigned i = 0; i < ARRAY_SIZE(nodes); i++) {
        snprintf(name, sizeof(name), "n%u", i);
        put_file(f->share_fd, name, name);
        nodes[i] = lookup_ok(f, ROOT, name);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(nodes); i += 7) {
        uint64_t fh = open_ok(f, FUSE_OPEN, nodes[i], O_RDONLY);

        snprintf(name, sizeof(name), "n%u", i);
        assert_int_equal(read_at(f, fh, 0, 64), strlen(name));
        assert_memory_equal(f->reply, name, strlen(name));
        assert_int_equal(release(f, FUSE_RELEASE, fh), 0);
    }
    assert_int_equal(list(f, true, 4096, &known), ARRAY_SIZE(nodes));
}

static void test_many_handles(struct fixture *f)
{
    uint64_t fh = 0, last = 0;
    unsigned count = 0;
    int error;

    put_file(f->share_fd, "a", "x");
    lookup_ok(f, ROOT, "a");
    for (uint64_t node = entry_of(f)->nodeid;; count++) {
        fh = open_node(f, FUSE_OPEN, node, O_RDONLY, &error);
        if (error)
            break;
        last = fh;
    }
    assert_int_equal(error, -EMFILE);
    assert_true(count >= 64 && count <= 1024);
    create(f, ROOT, "new", O_RDWR, 0644, &error);
    assert_int_equal(error, -EMFILE);
    assert_false(file_exists(f->share_fd, "new"));
    assert_int_equal(release(f, FUSE_RELEASE, last), 0);
    create_ok(f, "new");
}

static void test_unsupported(struct fixture *f)
{
    static const uint32_t opcodes[] = {FUSE_SETXATTR,
                                       FUSE_GETXATTR,
                                       FUSE_LISTXATTR,
                                       FUSE_REMOVEXATTR,
                                       FUSE_GETLK,
                                       FUSE_SETLK,
                                       FUSE_IOCTL,
                                       FUSE_POLL,
                                       FUSE_COPY_FILE_RANGE,
                                       FUSE_TMPFILE,
                                       FUSE_SYNCFS,
                                       FUSE_SETUPMAPPING,
                                       0,
                                       7,
                                       1000,
                                       0xffffffff};
    uint8_t args[64] = {0};

    for (unsigned i = 0; i < ARRAY_SIZE(opcodes); i++)
        assert_int_equal(fuse(f, opcodes[i], ROOT, args, sizeof(args)), -ENOSYS);
}

struct row {
    const char *name;
    void (*test)(struct fixture *f);
};

static void run_row(void **state)
{
    const struct row *row = *state;
    struct fixture f;

    fixture_create(&f, false, 0);
    row->test(&f);
    assert_false(driver_is_broken(&f.driver));
    fixture_destroy(&f);
}

static const struct row rows[] = {
    {"INIT: versions, flags and sizes", test_init},
    {"DESTROY forgets, and INIT begins again", test_destroy},
    {"LOOKUP", test_lookup},
    {"FORGET, of more than there is too", test_forget},
    {"BATCH_FORGET, with a count that lies", test_batch_forget},
    {"GETATTR by node and by handle", test_getattr},
    {"a removed file that is open still works", test_removed_but_open},
    {"SETATTR: mode, size, times", test_setattr},
    {"SETATTR: owner, where we may", test_chown},
    {"SYMLINK, READLINK, LINK", test_links},
    {"MKNOD makes regular files only", test_mknod},
    {"MKDIR, RMDIR, UNLINK", test_folders},
    {"RENAME, RENAME2", test_rename},
    {"OPEN; another file under the name is stale", test_open},
    {"CREATE, of what is there too", test_create},
    {"READ and WRITE across buffers", test_long_data},
    {"FSYNC, FSYNCDIR, FLUSH, RELEASE, RELEASEDIR", test_sync},
    {"STATFS", test_statfs},
    {"ACCESS", test_access},
    {"LSEEK", test_lseek},
    {"FALLOCATE", test_fallocate},
    {"READDIR and READDIRPLUS in pieces", test_readdir},
    {"3,000 files are known at once", test_many_nodes},
    {"handles run out", test_many_handles},
    {"what is not supported is ENOSYS", test_unsupported},
};

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, rows, run_row);
    return unit_run(&unit, "virtio_fs_ops");
}

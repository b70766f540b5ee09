/* virtio/fs.h: a guest that wants out of its folder. fixture_destroy() looks whether what lies
 * outside is as it was. */
#include "virtio_fs_fixture.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ROOT FUSE_ROOT_ID

static const char of_255[] =
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const char of_256[] =
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

_Static_assert(sizeof(of_255) == 256 && sizeof(of_256) == 257, "as they are called");

/* ---- Names that are ways. ---- */

struct bad_name {
    const char *name; /* of the row, and to the guest */
    int error;
};

static const struct bad_name bad_names[] = {
    {"..", -EINVAL},
    {".", -EINVAL},
    {"/", -EINVAL},
    {"/etc/passwd", -EINVAL},
    {"../outside/secret", -EINVAL},
    {"d/f", -EINVAL},
    {"d/", -EINVAL},
    {"/d", -EINVAL},
    {"d/../../outside", -EINVAL},
    {of_256, -ENAMETOOLONG},
};

/* In every request that takes a name, in every place of it. */
static void run_bad_name(void **state)
{
    const struct bad_name *row = *state;
    static const uint8_t zeroes[16];
    const struct fuse_rename_in rename_in = {ROOT};
    const struct fuse_rename2_in rename2_in = {.newdir = ROOT};
    struct fuse_link_in link_in;
    const char *name = row->name;
    struct fixture f;

    fixture_create(&f, false, 0);
    put_file(f.share_fd, "a", "x");
    assert_int_equal(mkdirat(f.share_fd, "d", 0755), 0);
    link_in.oldnodeid = lookup_ok(&f, ROOT, "a");
    assert_int_equal(fuse_names(&f, FUSE_LOOKUP, ROOT, NULL, 0, name, NULL), row->error);
    assert_int_equal(fuse_names(&f, FUSE_SYMLINK, ROOT, NULL, 0, name, "x"), row->error);
    assert_int_equal(fuse_names(&f, FUSE_MKNOD, ROOT, zeroes, 16, name, NULL), row->error);
    assert_int_equal(fuse_names(&f, FUSE_MKDIR, ROOT, zeroes, 8, name, NULL), row->error);
    assert_int_equal(fuse_names(&f, FUSE_UNLINK, ROOT, NULL, 0, name, NULL), row->error);
    assert_int_equal(fuse_names(&f, FUSE_RMDIR, ROOT, NULL, 0, name, NULL), row->error);
    assert_int_equal(fuse_names(&f, FUSE_CREATE, ROOT, zeroes, 16, name, NULL), row->error);
    assert_int_equal(fuse_names(&f, FUSE_LINK, ROOT, &link_in, 8, name, NULL), row->error);
    assert_int_equal(fuse_names(&f, FUSE_RENAME, ROOT, &rename_in, 8, name, "b"), row->error);
    assert_int_equal(fuse_names(&f, FUSE_RENAME, ROOT, &rename_in, 8, "a", name), row->error);
    assert_int_equal(fuse_names(&f, FUSE_RENAME2, ROOT, &rename2_in, 16, name, "b"), row->error);
    assert_int_equal(fuse_names(&f, FUSE_RENAME2, ROOT, &rename2_in, 16, "a", name), row->error);
    assert_true(file_exists(f.share_fd, "a"));
    fixture_destroy(&f);
}

static void test_longest_name(void **state)
{
    struct fixture f;

    (void)state;
    fixture_create(&f, false, 0);
    create_ok(&f, of_255);
    lookup_ok(&f, ROOT, of_255);
    fixture_destroy(&f);
}

/* ---- Symbolic links. ---- */

static const char *const targets[] = {"../outside", "/etc", "..", "../outside/secret",
                                      "/proc/self/root"};

static void test_links_lead_nowhere(void **state)
{
    const struct fuse_getattr_in getattr_in = {0};
    struct fixture f;
    int error;

    (void)state;
    fixture_create(&f, false, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(targets); i++) {
        struct fuse_setattr_in set = {.valid = FATTR_SIZE};
        char name[8];
        uint64_t node;

        snprintf(name, sizeof(name), "l%u", i);
        if (i % 2) /* made by the guest, or on the host */
            assert_int_equal(fuse_names(&f, FUSE_SYMLINK, ROOT, NULL, 0, name, targets[i]), 0);
        else
            assert_int_equal(symlinkat(targets[i], f.share_fd, name), 0);
        node = lookup_ok(&f, ROOT, name);
        assert_true(S_ISLNK(entry_of(&f)->attr.mode));
        lookup(&f, node, "secret", &error);
        assert_int_equal(error, -ENOTDIR);
        open_node(&f, FUSE_OPEN, node, O_RDONLY, &error);
        assert_int_equal(error, -ELOOP);
        open_node(&f, FUSE_OPENDIR, node, O_RDONLY, &error);
        assert_int_equal(error, -ENOTDIR);
        create(&f, ROOT, name, O_RDWR | O_TRUNC, 0644, &error);
        assert_int_equal(error, -ELOOP);
        create(&f, node, "new", O_RDWR, 0644, &error);
        assert_int_equal(error, -ENOTDIR);
        assert_int_equal(setattr(&f, node, &set), -EINVAL);
        set = (struct fuse_setattr_in){.valid = FATTR_MODE, .mode = 0777};
        assert_int_not_equal(setattr(&f, node, &set), 0);
        set = (struct fuse_setattr_in){.valid = FATTR_MTIME, .mtime = 1};
        assert_int_equal(setattr(&f, node, &set), 0); /* the link's own */
        assert_int_equal(fuse(&f, FUSE_GETATTR, node, &getattr_in, sizeof(getattr_in)), 0);
    }
    assert_false(file_exists(f.outside_fd, "new"));
    fixture_destroy(&f);
}

/* A folder that the guest knows becomes a link. */
static void test_folder_becomes_link(void **state)
{
    struct fixture f;
    uint64_t node, fh;
    int error;

    (void)state;
    fixture_create(&f, false, 0);
    assert_int_equal(mkdirat(f.share_fd, "d", 0755), 0);
    node = lookup_ok(&f, ROOT, "d");
    assert_int_equal(renameat(f.share_fd, "d", f.share_fd, "e"), 0);
    assert_int_equal(symlinkat("../outside", f.share_fd, "d"), 0);
    lookup(&f, node, "secret", &error);
    assert_int_equal(error, -ENOENT); /* it is still the folder that it was */
    create(&f, node, "new", O_RDWR, 0644, &error);
    assert_int_equal(error, 0);
    fh = open_ok(&f, FUSE_OPENDIR, node, O_RDONLY);
    assert_int_equal(release(&f, FUSE_RELEASEDIR, fh), 0);
    assert_false(file_exists(f.outside_fd, "new"));
    fixture_destroy(&f);
}

/* A file that the guest knows is replaced before it is opened. */
static void test_file_is_replaced(void **state)
{
    struct fixture f;
    uint64_t node;
    int error;

    (void)state;
    fixture_create(&f, false, 0);
    put_file(f.share_fd, "a", "x");
    node = lookup_ok(&f, ROOT, "a");
    unlinkat(f.share_fd, "a", 0);
    assert_int_equal(symlinkat("../outside/secret", f.share_fd, "a"), 0);
    open_node(&f, FUSE_OPEN, node, O_RDWR | O_TRUNC, &error);
    assert_int_equal(error, -ESTALE);
    unlinkat(f.share_fd, "a", 0);
    assert_int_equal(mkfifoat(f.share_fd, "a", 0644), 0);
    open_node(&f, FUSE_OPEN, node, O_RDONLY, &error);
    assert_int_equal(error, -ESTALE);
    fixture_destroy(&f);
}

/* A folder is moved out of the share on the host: what was in it stays reachable by what is open
 * already (as for any process with an open folder), but `..` leads nowhere. */
static void test_folder_moved_out(void **state)
{
    struct fixture f;
    uint64_t node;
    int error;

    (void)state;
    fixture_create(&f, false, 0);
    assert_int_equal(mkdirat(f.share_fd, "d", 0755), 0);
    node = lookup_ok(&f, ROOT, "d");
    assert_int_equal(renameat(f.share_fd, "d", f.outside_fd, "d"), 0);
    lookup(&f, node, "..", &error);
    assert_int_equal(error, -EINVAL);
    lookup(&f, node, "secret", &error);
    assert_int_equal(error, -ENOENT);
    fixture_destroy(&f);
}

/* ---- A race: the host's side swaps a folder and a link as fast as it can. ---- */

struct swapper {
    pthread_t thread;
    int folder_fd;
    atomic_bool stop;
};

static void *run_swapper(void *arg)
{
    struct swapper *swapper = arg;

    while (!swapper->stop)
        renameat2(swapper->folder_fd, "d", swapper->folder_fd, "l", 2 /* RENAME_EXCHANGE */);
    return NULL;
}

/* One attempt on the way d/secret. Nothing of it may come from outside. */
static void try_way(struct fixture *f, unsigned round)
{
    int error;
    uint64_t folder = lookup(f, ROOT, "d", &error), file, fh;

    if (error)
        return;
    if (round % 4 == 0) {
        create(f, folder, "new", O_RDWR, 0644, &error);
        fuse_names(f, FUSE_UNLINK, folder, NULL, 0, "new", NULL);
    }
    file = lookup(f, folder, "secret", &error);
    if (!error) {
        fh = open_node(f, FUSE_OPEN, file, round % 2 ? O_RDWR : O_RDONLY, &error);
        if (!error) {
            assert_int_equal(read_at(f, fh, 0, 64), 6);
            assert_memory_equal(f->reply, "inside", 6);
            release(f, FUSE_RELEASE, fh);
        }
        forget(f, file, 1000);
    }
    forget(f, folder, 1000);
}

static void test_swap(void **state)
{
    struct swapper swapper = {.stop = false};
    struct fixture f;
    int folder;

    (void)state;
    fixture_create(&f, false, 0);
    assert_int_equal(mkdirat(f.share_fd, "d", 0755), 0);
    folder = openat(f.share_fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    put_file(folder, "secret", "inside");
    close(folder);
    assert_int_equal(symlinkat("../outside", f.share_fd, "l"), 0);
    swapper.folder_fd = f.share_fd;
    assert_int_equal(pthread_create(&swapper.thread, NULL, run_swapper, &swapper), 0);
    for (unsigned round = 0; round < 1500; round++)
        try_way(&f, round);
    swapper.stop = true;
    pthread_join(swapper.thread, NULL);
    assert_false(file_exists(f.outside_fd, "new"));
    fixture_destroy(&f);
}

/* ---- What is neither file nor folder. ---- */

static void make_socket(const struct fixture *f, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/share/%s", f->tmp, name);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
}

static void test_special_files(void **state)
{
    static const char *const names[] = {"fifo", "socket", "null"};
    struct fixture f;
    int error;

    (void)state;
    fixture_create(&f, false, 0);
    assert_int_equal(mkfifoat(f.share_fd, "fifo", 0644), 0);
    make_socket(&f, "socket");
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        uint64_t node;

        if (i == 2 && mknodat(f.share_fd, "null", S_IFCHR | 0666, 0x103) < 0)
            continue; /* not root */
        node = lookup_ok(&f, ROOT, names[i]);
        assert_false(S_ISREG(entry_of(&f)->attr.mode));
        open_node(&f, FUSE_OPEN, node, O_RDONLY, &error);
        assert_int_equal(error, -ENXIO);
        create(&f, ROOT, names[i], O_RDWR, 0644, &error);
        assert_int_equal(error, -ENXIO);
    }
    fixture_destroy(&f);
}

/* ---- The way to a node that is very deep, or goes in a circle. ---- */

static void test_deep(void **state)
{
    const struct fuse_mkdir_in in = {.mode = 0755};
    const struct fuse_getattr_in getattr_in = {0};
    uint64_t node = ROOT;
    struct fixture f;

    (void)state;
    fixture_create(&f, false, 0);
    for (unsigned i = 0; i < 1500; i++) {
        int r = fuse_names(&f, FUSE_MKDIR, node, &in, sizeof(in), "d", NULL);

        assert_int_equal(r, 0);
        node = entry_of(&f)->nodeid;
    }
    assert_int_equal(fuse(&f, FUSE_GETATTR, node, &getattr_in, sizeof(getattr_in)), 0);
    fixture_destroy(&f);
}

static void test_parent_forgotten(void **state)
{
    struct fixture f;
    uint64_t folder, file;
    int error, fd;

    (void)state;
    fixture_create(&f, false, 0);
    assert_int_equal(mkdirat(f.share_fd, "d", 0755), 0);
    fd = openat(f.share_fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    put_file(fd, "a", "x");
    close(fd);
    folder = lookup_ok(&f, ROOT, "d");
    file = lookup_ok(&f, folder, "a");
    forget(&f, folder, 1);
    open_node(&f, FUSE_OPEN, file, O_RDONLY, &error);
    assert_int_equal(error, -ESTALE);
    assert_int_equal(lookup_ok(&f, lookup_ok(&f, ROOT, "d"), "a"), file);
    open_ok(&f, FUSE_OPEN, file, O_RDONLY);
    fixture_destroy(&f);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, bad_names, run_bad_name);
    unit_add(&unit, "a name of 255 bytes is good", test_longest_name, NULL);
    unit_add(&unit, "links lead nowhere", test_links_lead_nowhere, NULL);
    unit_add(&unit, "a known folder becomes a link", test_folder_becomes_link, NULL);
    unit_add(&unit, "a known file is replaced", test_file_is_replaced, NULL);
    unit_add(&unit, "a known folder is moved out", test_folder_moved_out, NULL);
    unit_add(&unit, "a folder and a link are swapped all the time", test_swap, NULL);
    unit_add(&unit, "fifos, sockets and devices are not opened", test_special_files, NULL);
    unit_add(&unit, "1,500 folders deep", test_deep, NULL);
    unit_add(&unit, "a parent forgotten before its child", test_parent_forgotten, NULL);
    return unit_run(&unit, "virtio_fs_escape");
}

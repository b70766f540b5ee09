/* hermit/files.h: a guest that wants out of its mappings. fixture_destroy() looks whether what lies
 * outside, and what is mapped for reading alone, is as it was. */
#include "hermit_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#include "files_internal.h"

/* Everything that can be tried with a path. Nothing of it may succeed. */
static void try_all(struct fixture *f, const char *path)
{
    struct stat st;

    assert_true(files_open(f->files, path, O_RDONLY, 0) < 0);
    assert_true(files_open(f->files, path, O_RDWR | O_CREAT | O_TRUNC, 0666) < 0);
    assert_true(files_open(f->files, path, O_RDONLY | O_DIRECTORY, 0) < 0);
    assert_true(files_stat(f->files, path, true, &st) < 0);
}

/* ---- Ways by names: they end in the private folder, which has nothing. ---- */

static const char *const ways[] = {
    "/in/../outside/secret",
    "/in/../../../../../../etc/passwd",
    "../outside/secret",
    "../../../../etc/passwd",
    "/etc/passwd",
    "/etc/../etc/shadow",
    "/in/./../in/../outside/./secret",
    "//..//..//etc//passwd",
    "/proc/self/exe",
    "/proc/self/root/etc/passwd",
    "/proc/self/fd/0",
    "/proc/1/environ",
    "/dev/kvm",
    "/sys/kernel",
    "/in/\\..\\outside",
    "/in/...",
    "/etc/one/../../../etc/passwd",
};

static void run_way(void **state)
{
    static struct fixture f;
    const char *path = *state;
    struct stat st;

    fixture_create(&f, 3, 0, NULL, NULL);
    assert_int_equal(files_open(f.files, path, O_RDONLY, 0), -ENOENT);
    assert_int_equal(files_stat(f.files, path, true, &st), -ENOENT);
    assert_true(files_unlink(f.files, path) < 0);
    /* What it makes there is its own; fixture_destroy() finds nothing of it. */
    files_mkdir(f.files, path, 0777);
    fixture_destroy(&f);
}

/* The host's own absolute path of the test's folder, from within. */
static void by_host_path(struct fixture *f)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/outside/secret", f->tmp);
    assert_int_equal(files_open(f->files, path, O_RDONLY, 0), -ENOENT);
    snprintf(path, sizeof(path), "/in/../../../..%s/outside/secret", f->tmp);
    assert_int_equal(files_open(f->files, path, O_RDONLY, 0), -ENOENT);
}

/* ---- Links that the host has inside a mapping. ---- */

struct link_row {
    const char *name; /* and where it leads; a '/' at the start: to the test's folder */
    const char *path; /* what the guest asks for */
};

static const struct link_row links[] = {
    {"../outside/secret", "/in/link"},     {"../outside", "/in/link/secret"},
    {"..", "/in/link/outside/secret"},     {"d/../../outside/secret", "/in/link"},
    {"/outside/secret", "/in/link"},       {"/outside", "/in/link/secret"},
    {"/in/../outside", "/in/link/secret"}, {"../in/../outside", "/in/link/secret"},
    {"../outside/new", "/in/link"},
};

static void run_link(void **state)
{
    const struct link_row *row = *state;
    static struct fixture f;
    char target[128];

    fixture_create(&f, 3, 0, NULL, NULL);
    assert_int_equal(mkdirat(f.in_fd, "d", 0755), 0);
    snprintf(target, sizeof(target), "%s%s", row->name[0] == '/' ? f.tmp : "", row->name);
    assert_int_equal(symlinkat(target, f.in_fd, "link"), 0);
    try_all(&f, row->path);
    if (strcmp(row->path, "/in/link") == 0) {
        assert_int_equal(files_mkdir(f.files, row->path, 0777), -EEXIST);
        assert_int_equal(files_unlink(f.files, row->path), 0); /* the link, not what it leads to */
    } else {
        assert_true(files_mkdir(f.files, row->path, 0777) < 0);
        assert_true(files_unlink(f.files, row->path) < 0);
    }
    fixture_destroy(&f);
}

static void links_of_proc(struct fixture *f)
{
    static const char *const targets[] = {"/proc/self/cwd", "/proc/self/root", "/proc/self/exe",
                                          "/proc/self/fd/0"};

    for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
        assert_int_equal(symlinkat(targets[i], f->in_fd, "link"), 0);
        try_all(f, "/in/link");
        try_all(f, "/in/link/etc/passwd");
        assert_int_equal(files_unlink(f->files, "/in/link"), 0);
    }
}

static void links_inside(struct fixture *f)
{
    assert_int_equal(mkdirat(f->in_fd, "d", 0755), 0);
    put_file(f->in_fd, "d/a", "x");
    assert_int_equal(symlinkat("d/a", f->in_fd, "to-a"), 0);
    assert_int_equal(symlinkat("../d", f->in_fd, "d/up"), 0);
    assert_int_equal(symlinkat("round", f->in_fd, "round"), 0);
    assert_int_equal(files_open(f->files, "/in/to-a", O_RDWR, 0), 3);
    assert_int_equal(files_open(f->files, "/in/d/up/a", O_RDONLY, 0), 4);
    assert_int_equal(files_open(f->files, "/in/to-a", O_RDONLY | O_NOFOLLOW, 0), -ELOOP);
    assert_int_equal(files_open(f->files, "/in/round", O_RDONLY, 0), -ELOOP);
    assert_int_equal(files_open(f->files, "/in/round", O_RDWR | O_CREAT, 0666), -ELOOP);
}

/* A hard link to a file outside is that file: who made it had the right to. It cannot be made by a
 * guest, and unlinking it leaves the other name. */
static void hard_link(struct fixture *f)
{
    if (linkat(f->outside_fd, "secret", f->in_fd, "hard", 0) < 0)
        skip();
    assert_int_equal(files_unlink(f->files, "/in/hard"), 0);
}

/* ---- A link that comes and goes while the guest opens. ---- */

struct swapper {
    struct fixture *f;
    atomic_bool stop;
};

static void *swap(void *arg)
{
    struct swapper *swapper = arg;
    struct fixture *f = swapper->f;

    while (!atomic_load(&swapper->stop)) {
        renameat2(f->in_fd, "place", f->in_fd, "other", 2 /* RENAME_EXCHANGE */);
    }
    return NULL;
}

static void link_made_during(struct fixture *f)
{
    struct swapper swapper = {.f = f};
    pthread_t thread;
    unsigned opened = 0;

    assert_int_equal(mkdirat(f->in_fd, "place", 0755), 0);
    put_file(f->in_fd, "place/secret", "inside");
    assert_int_equal(symlinkat("../outside", f->in_fd, "other"), 0);
    assert_int_equal(pthread_create(&thread, NULL, swap, &swapper), 0);
    for (unsigned i = 0; i < 3000; i++) {
        struct buffer buffer = {.mem = f->mem, .write = true, .address = DATA_GPA, .len = 6};
        int fd = files_open(f->files, "/in/place/secret", O_RDWR, 0);

        if (fd < 0)
            continue;
        opened++;
        assert_int_equal(files_read(f->files, fd, &buffer), 6);
        assert_true(data_is(f, DATA_GPA, "inside"));
        assert_int_equal(files_close(f->files, fd), 0);
    }
    for (unsigned i = 0; i < 1000; i++) {
        files_unlink(f->files, "/in/place/none");
        files_mkdir(f->files, "/in/place/none", 0777);
    }
    atomic_store(&swapper.stop, true);
    pthread_join(thread, NULL);
    assert_true(opened > 0);
}

/* ---- A mapping inside a mapping. ---- */

static void make_nested(struct fixture *f, struct hermit_files **ret_files)
{
    char in[96], inner[96], tmp[96];
    const struct hermit_mapping mappings[] = {{in, "/a", false}, {inner, "/a/b/inner", true}};
    struct hermit_files_options options = {
        .mappings = mappings,
        .mapping_count = ARRAY_SIZE(mappings),
        .temporary = tmp,
    };

    snprintf(in, sizeof(in), "%s/in", f->tmp);
    snprintf(inner, sizeof(inner), "%s/in/b/inner", f->tmp);
    snprintf(tmp, sizeof(tmp), "%s/tmp", f->tmp);
    assert_int_equal(mkdirat(f->in_fd, "b", 0755), 0);
    assert_int_equal(mkdirat(f->in_fd, "b/inner", 0755), 0);
    put_file(f->in_fd, "b/inner/x", "kept");
    assert_int_equal(symlinkat("b/inner", f->in_fd, "round"), 0);
    assert_int_equal(hermit_files_create(&options, ret_files, NULL), 0);
}

static void nested(struct fixture *f)
{
    struct hermit_files *files = NULL;

    make_nested(f, &files);
    assert_int_equal(files_open(files, "/a/b/inner/x", O_RDONLY, 0), 3);
    assert_int_equal(files_open(files, "/a/b/inner/x", O_RDWR, 0), -EROFS);
    assert_int_equal(files_open(files, "/a/b/../b/./inner//x", O_RDWR, 0), -EROFS);
    assert_int_equal(files_unlink(files, "/a/b/inner/x"), -EROFS);
    assert_int_equal(files_unlink(files, "/a/b/inner"), -EBUSY);
    assert_int_equal(files_unlink(files, "/a/b/inner/../inner/x"), -EROFS);
    /* Round it by a link of the host. */
    assert_int_equal(files_open(files, "/a/round/x", O_RDWR, 0), -ELOOP);
    assert_int_equal(files_unlink(files, "/a/round/x"), -ELOOP);
    assert_int_equal(files_open(files, "/a/b/inner/../y", O_RDWR | O_CREAT, 0666), 4);
    assert_int_equal(faccessat(f->in_fd, "b/y", F_OK, 0), 0);
    hermit_files_destroy(files);
    assert_true(file_is(f->in_fd, "b/inner/x", "kept"));
}

/* ---- Names that are too long, or none. ---- */

static void long_names(struct fixture *f)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "/in/%0256d", 0);
    assert_int_equal(files_open(f->files, path, O_RDWR | O_CREAT, 0666), -ENAMETOOLONG);
    snprintf(path, sizeof(path), "/in/%0255d", 0);
    assert_int_equal(files_open(f->files, path, O_RDWR | O_CREAT, 0666), 3);
    memset(path, '/', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(files_open(f->files, path, O_RDWR | O_CREAT, 0666), -EISDIR); /* the top */
    for (size_t i = 0; i + 2 < sizeof(path); i += 2)
        memcpy(path + i, "/x", 2);
    assert_int_equal(files_open(f->files, path, O_RDWR | O_CREAT, 0666), -ENOENT);
}

/* Names of the host's, and the places where mappings begin. */
static void places(struct fixture *f)
{
    static const char *const mounts[] = {"/in", "/ro", "/etc/one", "/", "/in/../ro"};

    for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
        assert_int_equal(files_unlink(f->files, mounts[i]), -EBUSY);
        assert_int_equal(files_mkdir(f->files, mounts[i], 0777), -EEXIST);
    }
    assert_int_equal(files_unlink(f->files, "/etc"), -EISDIR);
}

/* A path that is taken apart by its names: what comes of it. */
struct path_row {
    const char *name, *result;
};

static const struct path_row paths[] = {
    {"/", ""},
    {".", ""},
    {"..", ""},
    {"/..", ""},
    {"/../..", ""},
    {"a", "/a"},
    {"/a/", "/a"},
    {"//a///b//", "/a/b"},
    {"/a/./b/.", "/a/b"},
    {"/a/../b", "/b"},
    {"/a/b/../..", ""},
    {"a/../../b/..c/.d", "/b/..c/.d"},
    {"/a/b/../../../../c", "/c"},
    {"...", "/..."},
};

static void run_path(void **state)
{
    const struct path_row *row = *state;
    char path[PATH_MAX];

    assert_int_equal(path_normalise(row->name, path), 0);
    assert_string_equal(path, row->result);
}

struct escape_row {
    const char *name;
    void (*run)(struct fixture *f);
};

static const struct escape_row rows[] = {
    {"the host's path of a file", by_host_path},
    {"links of /proc", links_of_proc},
    {"links that stay inside", links_inside},
    {"a hard link", hard_link},
    {"a link made while it is opened", link_made_during},
    {"a mapping inside a mapping", nested},
    {"long names", long_names},
    {"where mappings begin", places},
};

static void run_row(void **state)
{
    const struct escape_row *row = *state;
    static struct fixture f;

    fixture_create(&f, 3, 0, NULL, NULL);
    row->run(&f);
    fixture_destroy(&f);
}

int main(void)
{
    static struct unit unit;

    for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
        unit_add(&unit, ways[i], run_way, ways[i]);
    unit_add_rows(&unit, links, run_link);
    unit_add_rows(&unit, rows, run_row);
    unit_add_rows(&unit, paths, run_path);
    return unit_run(&unit, "hermit_escape");
}

/* base/tree.h: removing a whole folder, and nothing else. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/tree.h"

#define DEEP   1200
#define ROUNDS 20

static char top[] = "/tmp/osvm-test-tree-XXXXXX";
static int top_fd = -1;

static int set_up(void **state)
{
    (void)state;
    strcpy(top + strlen(top) - 6, "XXXXXX");
    if (!mkdtemp(top))
        return -1;
    top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return top_fd < 0;
}

static int tear_down(void **state)
{
    (void)state;
    tree_empty(top_fd);
    close_fd(top_fd);
    return rmdir(top);
}

static void make_file(int folder, const char *path)
{
    close_fd(openat(folder, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_int_equal(faccessat(folder, path, F_OK, 0), 0);
}

static bool is_there(const char *path)
{
    return faccessat(top_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void test_removes(void **state)
{
    (void)state;
    mkdirat(top_fd, "gone", 0700);
    mkdirat(top_fd, "gone/a", 0700);
    mkdirat(top_fd, "gone/a/b", 0700);
    assert_int_equal(mkdirat(top_fd, "kept", 0700), 0);
    make_file(top_fd, "kept/file");
    make_file(top_fd, "gone/file");
    make_file(top_fd, "gone/a/b/file");
    assert_int_equal(symlinkat("../kept", top_fd, "gone/link"), 0);
    assert_int_equal(symlinkat("../../kept", top_fd, "gone/a/link"), 0);
    assert_int_equal(tree_remove(top_fd, "gone"), 0);
    assert_false(is_there("gone"));
    assert_true(is_there("kept/file"));
}

static void test_deep(void **state)
{
    int folder = fcntl(top_fd, F_DUPFD_CLOEXEC, 3);

    (void)state;
    for (unsigned i = 0; i < DEEP; i++) {
        int next;

        assert_int_equal(mkdirat(folder, "a", 0700), 0);
        make_file(folder, "file");
        next = openat(folder, "a", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close_fd(folder);
        folder = next;
    }
    close_fd(folder);
    assert_int_equal(tree_remove(top_fd, "a"), 0);
    assert_false(is_there("a"));
    assert_true(is_there("file"));
}

static void test_no_folder(void **state)
{
    (void)state;
    make_file(top_fd, "file");
    assert_int_equal(mkdirat(top_fd, "kept", 0700), 0);
    assert_int_equal(symlinkat("kept", top_fd, "link"), 0);
    assert_int_equal(tree_remove(top_fd, "none"), -ENOENT);
    assert_int_equal(tree_remove(top_fd, "file"), -ENOTDIR);
    assert_true(tree_remove(top_fd, "link") < 0);
    assert_true(is_there("file") && is_there("kept") && is_there("link"));
}

/* Its owner moves a folder out from under the one who removes: ".." leads elsewhere then. */
static void *move_about(void *stop)
{
    while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED)) {
        renameat(top_fd, "gone/a", top_fd, "kept/in/a");
        renameat(top_fd, "kept/in/a", top_fd, "gone/a");
    }
    return NULL;
}

static void test_moved_away(void **state)
{
    bool stop = false;
    pthread_t mover;

    (void)state;
    assert_int_equal(mkdirat(top_fd, "kept", 0700), 0);
    mkdirat(top_fd, "kept/in", 0700);
    make_file(top_fd, "kept/file");
    make_file(top_fd, "kept/in/file");
    assert_int_equal(pthread_create(&mover, NULL, move_about, &stop), 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        mkdirat(top_fd, "gone", 0700);
        mkdirat(top_fd, "gone/a", 0700);
        for (char name[] = "gone/a/a"; name[7] <= 'z'; name[7]++)
            mkdirat(top_fd, name, 0700);
        for (char name[] = "gone/a/a/f"; name[7] <= 'z'; name[7]++)
            close_fd(openat(top_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        tree_remove(top_fd, "gone");
        if (!is_there("kept/file") || !is_there("kept/in/file"))
            break;
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    pthread_join(mover, NULL);
    assert_true(is_there("kept/file") && is_there("kept/in/file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_removes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_moved_away, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("tree", tests, NULL, NULL) != 0;
}

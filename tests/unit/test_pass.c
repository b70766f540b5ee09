/* base/pass.h: descriptors beside messages. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/pass.h"

struct pair {
    int from, to;
    int files[PASS_MAX + 1]; /* something to send: pipes' ends */
};

static void pair_open(struct pair *pair)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    *pair = (struct pair){.from = fds[0], .to = fds[1]};
    for (size_t i = 0; i < ARRAY_SIZE(pair->files); i++) {
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        close(fds[1]);
        pair->files[i] = fds[0];
    }
}

static void pair_close(struct pair *pair)
{
    close_fd(pair->from);
    close_fd(pair->to);
    for (size_t i = 0; i < ARRAY_SIZE(pair->files); i++)
        close_fd(pair->files[i]);
}

static bool is_same_file(int fd, int other)
{
    struct stat one, two;

    return fstat(fd, &one) == 0 && fstat(other, &two) == 0 && one.st_ino == two.st_ino;
}

/* How many descriptors this process has: none is to be left behind. */
static unsigned open_descriptors(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

struct row {
    const char *name;
    size_t sent, room, size; /* descriptors sent, places and bytes there are for them */
    ssize_t result;
};

static const struct row rows[] = {
    {"no descriptor", 0, PASS_MAX, 4, 4},
    {"one, of two that there is room for", 1, PASS_MAX, 4, 4},
    {"two", 2, PASS_MAX, 4, 4},
    {"one", 1, 1, 4, 4},
    {"more than there is room for: none is kept", 2, 1, 4, -EBADMSG},
    {"one where none is wanted", 1, 0, 4, -EBADMSG},
    {"a longer message than wanted: its descriptors are not kept", 2, PASS_MAX, 3, -EBADMSG},
};

static void test_pass(void **state)
{
    const struct row *row = *state;
    unsigned before = open_descriptors();
    int fds[PASS_MAX] = {99, 99};
    struct pair pair;
    char buf[8];

    pair_open(&pair);
    assert_int_equal(pass_send(pair.from, "four", 4, pair.files, row->sent, 0), 0);
    assert_int_equal(pass_receive(pair.to, buf, row->size, fds, row->room, 0), row->result);
    for (size_t i = 0; i < row->room; i++) {
        bool came = row->result > 0 && i < row->sent;

        assert_int_equal(fds[i] >= 0, came);
        if (!came)
            continue;
        assert_true(is_same_file(fds[i], pair.files[i]));
        assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
        close(fds[i]);
    }
    pair_close(&pair);
    assert_int_equal(open_descriptors(), before);
}

static void test_too_many(void **state)
{
    struct pair pair;
    int fds[PASS_MAX + 1];
    char byte;

    (void)state;
    pair_open(&pair);
    assert_int_equal(pass_send(pair.from, "1", 1, pair.files, PASS_MAX + 1, 0), -EINVAL);
    assert_int_equal(pass_receive(pair.to, &byte, 1, fds, PASS_MAX + 1, 0), -EINVAL);
    assert_int_equal(pass_receive(pair.to, &byte, 1, fds, 1, MSG_DONTWAIT), -EAGAIN);
    pair_close(&pair);
}

static void test_end(void **state)
{
    struct pair pair;
    int fd = 99;
    char byte;

    (void)state;
    pair_open(&pair);
    close_fd(take_fd(&pair.from));
    assert_int_equal(pass_receive(pair.to, &byte, 1, &fd, 1, 0), 0);
    assert_int_equal(fd, -1);
    assert_int_equal(pass_send(pair.to, "1", 1, NULL, 0, 0), -EPIPE); /* and no signal */
    pair_close(&pair);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, rows, test_pass);
    unit_add(&unit, "more than go with one", test_too_many, NULL);
    unit_add(&unit, "the other end is closed", test_end, NULL);
    return unit_run(&unit, "pass");
}

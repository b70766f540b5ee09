/* vmm/api/channel.h: the guardian's end, against a VM process that a guest has taken over. */
#include "unit.h"

#include <sys/socket.h>
#include <unistd.h>

#include "api/channel.h"
#include "base/cleanup.h"

struct fixture {
    struct channel channel;
    struct loop *loop;
    int vm;             /* the other end */
    unsigned good, bad; /* answers that were told */
    unsigned late;
    struct channel_answer last;
    char why[128];
};

static void on_answer(struct channel *channel, const struct channel_answer *answer, const char *why)
{
    struct fixture *f = container_of(channel, struct fixture, channel);

    f->good += answer != NULL;
    f->bad += answer == NULL;
    if (answer)
        f->last = *answer;
    else
        strncpy(f->why, why, sizeof(f->why) - 1);
    loop_stop(f->loop);
}

static void on_late(struct channel *channel, const struct channel_answer *answer)
{
    struct fixture *f = container_of(channel, struct fixture, channel);

    f->late++;
    f->last = *answer;
    loop_stop(f->loop);
}

static void begin(struct fixture *f)
{
    int fds[2];

    memset(f, 0, sizeof(*f));
    assert_int_equal(loop_create(&f->loop), 0);
    assert_int_equal(channel_make(fds), 0);
    f->vm = fds[1];
    f->channel.answered = on_answer;
    f->channel.late = on_late;
    assert_int_equal(channel_open(&f->channel, f->loop, fds[0]), 0);
}

static void end(struct fixture *f)
{
    channel_close(&f->channel);
    loop_destroy(f->loop);
    close_fd(f->vm);
}

static void say(struct fixture *f, uint32_t number, int32_t error, size_t len)
{
    struct channel_answer answer;

    memset(&answer, 'x', sizeof(answer)); /* text without an end */
    answer.number = number;
    answer.error = error;
    assert_int_equal(send(f->vm, &answer, len, MSG_NOSIGNAL), len);
}

#define WHOLE sizeof(struct channel_answer)

static void start_machine(struct fixture *f)
{
    say(f, 0, 0, WHOLE);
    assert_int_equal(loop_run(f->loop), 0);
    assert_int_equal(f->good, 1);
}

static void ask(struct fixture *f)
{
    struct channel_command command = {.kind = CHANNEL_COUNTERS};

    assert_int_equal(channel_send(&f->channel, &command, NULL, 0), 0);
    assert_int_equal(recv(f->vm, &command, sizeof(command), 0), sizeof(command));
    assert_int_equal(command.number, f->channel.number);
}

static void test_answers(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    start_machine(&f);
    for (unsigned i = 1; i < 5; i++) {
        ask(&f);
        say(&f, i, -1, WHOLE);
        assert_int_equal(loop_run(f.loop), 0);
        assert_int_equal(f.good, 1 + i);
        assert_int_equal(strlen(f.last.text), sizeof(f.last.text) - 1); /* it was given an end */
    }
    assert_int_equal(f.bad, 0);
    end(&f);
}

struct nonsense_row {
    const char *name;
    uint32_t number;
    size_t len;
};

static const struct nonsense_row nonsense[] = {
    {"an answer from before", 0, WHOLE},
    {"an answer to what was not asked", 2, WHOLE},
    {"the largest number", UINT32_MAX, WHOLE},
    {"too short", 1, WHOLE - 1},
    {"one byte", 1, 1},
    {"too long", 1, WHOLE + 1},
};

/* All of them close the channel, and who waits is told. */
static void test_nonsense(void **state)
{
    const struct nonsense_row *row = *state;
    struct channel_command command = {.kind = CHANNEL_PAUSE};
    char bytes[WHOLE + 1] = {0};
    struct fixture f;

    begin(&f);
    start_machine(&f);
    ask(&f);
    memcpy(bytes, &row->number, sizeof(row->number));
    assert_int_equal(send(f.vm, bytes, row->len, MSG_NOSIGNAL), row->len);
    assert_int_equal(loop_run(f.loop), 0);
    assert_int_equal(f.bad, 1);
    assert_non_null(strstr(f.why, "makes no sense"));
    assert_true(channel_send(&f.channel, &command, NULL, 0) < 0);
    end(&f);
}

static void test_unasked(void **state)
{
    struct fixture f;
    char byte;

    (void)state;
    begin(&f);
    start_machine(&f);
    say(&f, 1, 0, WHOLE); /* and nobody waits, so that nobody is told; but it is closed */
    for (int i = 0; i < 2 && f.channel.source.fd >= 0; i++) {
        loop_stop(f.loop);
        loop_run(f.loop);
    }
    f.channel.source.callback(&f.channel.source, 0);
    assert_int_equal(recv(f.vm, &byte, 1, 0), 0);
    assert_int_equal(f.good + f.bad + f.late, 1);
    end(&f);
}

static void test_ended(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    close_fd(take_fd(&f.vm));
    assert_int_equal(loop_run(f.loop), 0);
    assert_int_equal(f.bad, 1);
    assert_non_null(strstr(f.why, "has ended"));
    end(&f);
}

static void test_never_started(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    say(&f, 7, 0, WHOLE);
    assert_int_equal(loop_run(f.loop), 0);
    assert_int_equal(f.bad, 1);
    end(&f);
}

/* An answer that was given up comes after all, between others. */
static void test_late(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    start_machine(&f);
    ask(&f);
    f.channel.timer.callback(&f.channel.timer);
    assert_int_equal(loop_run(f.loop), 0); /* it was stopped already */
    assert_int_equal(f.bad, 1);
    assert_non_null(strstr(f.why, "has not answered"));
    ask(&f);
    say(&f, 1, 0, WHOLE);
    assert_int_equal(loop_run(f.loop), 0);
    assert_int_equal(f.late, 1);
    say(&f, 2, 0, WHOLE);
    assert_int_equal(loop_run(f.loop), 0);
    assert_int_equal(f.good, 2);
    say(&f, 1, 0, WHOLE); /* once more is once too often */
    f.channel.source.callback(&f.channel.source, 0);
    assert_true(f.channel.source.fd < 0);
    end(&f);
}

static void test_fds_do_not_come_in(void **state)
{
    struct fixture f;
    struct channel_answer answer = {.number = 0};
    struct iovec iov = {.iov_base = &answer, .iov_len = sizeof(answer)};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
                            .cmsg_level = SOL_SOCKET,
                            .cmsg_type = SCM_RIGHTS}};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    int before, after;

    (void)state;
    begin(&f);
    memcpy(CMSG_DATA(&control.header), &f.vm, sizeof(int));
    assert_int_equal(sendmsg(f.vm, &message, 0), sizeof(answer));
    before = dup(f.vm);
    close(before);
    assert_int_equal(loop_run(f.loop), 0);
    assert_int_equal(f.good, 1);
    after = dup(f.vm);
    assert_int_equal(after, before); /* none has been added */
    close(after);
    end(&f);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add(&unit, "answers", test_answers, NULL);
    unit_add_rows(&unit, nonsense, test_nonsense);
    unit_add(&unit, "an answer that nobody asked for", test_unasked, NULL);
    unit_add(&unit, "the machine ends", test_ended, NULL);
    unit_add(&unit, "another answer than that it runs", test_never_started, NULL);
    unit_add(&unit, "an answer that comes too late", test_late, NULL);
    unit_add(&unit, "descriptors in an answer", test_fds_do_not_come_in, NULL);
    return unit_run(&unit, "api_channel");
}

/* base/loop.h: sources, timers, signals, stopping. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"

/* A source on an eventfd that is readable from the start. */
struct ready {
    struct loop_source source;
    struct loop *loop;
    struct ready *victim; /* removed in the callback */
    unsigned calls, stop_at;
    bool leave; /* leave it readable */
};

static void on_ready(struct loop_source *source, uint32_t events)
{
    struct ready *ready = container_of(source, struct ready, source);
    uint64_t count;

    assert_true(events & EPOLLIN);
    ready->calls++;
    if (!ready->leave)
        assert_int_equal(read(source->fd, &count, sizeof(count)), sizeof(count));
    if (ready->victim)
        loop_remove(ready->loop, &ready->victim->source);
    if (ready->calls == ready->stop_at)
        loop_stop(ready->loop);
}

static void add_ready(struct ready *ready, struct loop *loop)
{
    ready->loop = loop;
    ready->source.fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    ready->source.events = EPOLLIN;
    ready->source.callback = on_ready;
    assert_int_equal(loop_add(loop, &ready->source), 0);
}

static void end_ready(struct ready *ready)
{
    loop_remove(ready->loop, &ready->source);
    close(ready->source.fd);
}

/* Ends a loop after a while, for what must not happen any more. */
struct deadline {
    struct loop_timer timer;
    struct loop *loop;
    bool passed;
};

static void on_deadline(struct loop_timer *timer)
{
    struct deadline *deadline = container_of(timer, struct deadline, timer);

    deadline->passed = true;
    loop_stop(deadline->loop);
}

/* Run until a callback stops the loop. Returns whether one did within the time. */
static bool run_for(struct loop *loop, uint64_t ms)
{
    struct deadline deadline = {.timer.callback = on_deadline, .loop = loop};

    assert_int_equal(loop_timer_add(loop, &deadline.timer), 0);
    loop_timer_arm(&deadline.timer, ms * NS_PER_MS, 0);
    assert_int_equal(loop_run(loop), 0);
    loop_timer_remove(loop, &deadline.timer);
    return !deadline.passed;
}

static struct loop *new_loop(void)
{
    struct loop *loop = NULL;

    assert_int_equal(loop_create(&loop), 0);
    return loop;
}

static void test_source(void **state)
{
    struct loop *loop = new_loop();
    struct ready ready = {.stop_at = 1};

    (void)state;
    add_ready(&ready, loop);
    assert_true(run_for(loop, 2000));
    assert_int_equal(ready.calls, 1);
    end_ready(&ready);
    loop_destroy(loop);
}

static void test_level_triggered(void **state)
{
    struct loop *loop = new_loop();
    struct ready ready = {.stop_at = 5, .leave = true};

    (void)state;
    add_ready(&ready, loop);
    assert_true(run_for(loop, 2000));
    assert_int_equal(ready.calls, 5);
    end_ready(&ready);
    loop_destroy(loop);
}

static void test_pause(void **state)
{
    struct loop *loop = new_loop();
    struct ready ready = {.stop_at = 1, .leave = true};

    (void)state;
    add_ready(&ready, loop);
    assert_int_equal(loop_modify(loop, &ready.source, 0), 0);
    assert_false(run_for(loop, 20));
    assert_int_equal(ready.calls, 0);
    assert_int_equal(loop_modify(loop, &ready.source, EPOLLIN), 0);
    assert_true(run_for(loop, 2000));
    end_ready(&ready);
    assert_int_equal(loop_modify(loop, &ready.source, EPOLLIN), -ENOENT);
    loop_destroy(loop);
}

static void test_remove_itself(void **state)
{
    struct loop *loop = new_loop();
    struct ready ready = {.leave = true};

    (void)state;
    ready.victim = &ready;
    add_ready(&ready, loop);
    assert_false(run_for(loop, 20));
    assert_int_equal(ready.calls, 1);
    assert_false(ready.source.added);
    end_ready(&ready); /* a second remove does nothing */
    loop_destroy(loop);
}

/* Both are ready in the same batch; the first that is called removes the other. */
static void test_remove_other_of_batch(void **state)
{
    struct loop *loop = new_loop();
    struct ready a = {.leave = true, .stop_at = 3}, b = {.leave = true, .stop_at = 3};

    (void)state;
    a.victim = &b;
    b.victim = &a;
    add_ready(&a, loop);
    add_ready(&b, loop);
    assert_true(run_for(loop, 2000));
    assert_int_equal(a.calls + b.calls, 3);
    assert_true(a.calls == 0 || b.calls == 0);
    end_ready(&a);
    end_ready(&b);
    loop_destroy(loop);
}

static void test_regular_file(void **state)
{
    char path[] = "/tmp/osvm-test-loop.XXXXXX";
    struct loop *loop = new_loop();
    struct loop_source source = {.events = EPOLLIN, .callback = on_ready};

    (void)state;
    source.fd = mkstemp(path);
    assert_true(source.fd >= 0);
    unlink(path);
    assert_int_equal(loop_add(loop, &source), -EPERM);
    assert_false(source.added);
    close(source.fd);
    loop_destroy(loop);
}

static void test_bad_descriptor(void **state)
{
    struct loop *loop = new_loop();
    struct loop_source source = {.fd = -1, .events = EPOLLIN, .callback = on_ready};

    (void)state;
    assert_int_equal(loop_add(loop, &source), -EBADF);
    assert_false(source.added);
    loop_destroy(loop);
}

static void on_hang_up(struct loop_source *source, uint32_t events)
{
    struct ready *ready = container_of(source, struct ready, source);

    assert_true(events & EPOLLHUP);
    ready->calls++;
    loop_stop(ready->loop);
}

static void test_hang_up_while_paused(void **state)
{
    struct loop *loop = new_loop();
    struct ready ready = {.loop = loop};
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    ready.source = (struct loop_source){.fd = fds[0], .callback = on_hang_up};
    assert_int_equal(loop_add(loop, &ready.source), 0);
    close(fds[1]);
    assert_true(run_for(loop, 2000));
    end_ready(&ready);
    loop_destroy(loop);
}

struct tick {
    struct loop_timer timer;
    struct loop *loop;
    unsigned calls, stop_at;
};

static void on_tick(struct loop_timer *timer)
{
    struct tick *tick = container_of(timer, struct tick, timer);

    if (++tick->calls == tick->stop_at)
        loop_stop(tick->loop);
}

static struct tick new_tick(struct loop *loop, unsigned stop_at)
{
    return (struct tick){.timer.callback = on_tick, .loop = loop, .stop_at = stop_at};
}

static void test_timer_once(void **state)
{
    struct loop *loop = new_loop();
    struct tick tick = new_tick(loop, 2);
    uint64_t start = clock_monotonic_ns();

    (void)state;
    assert_int_equal(loop_timer_add(loop, &tick.timer), 0);
    loop_timer_arm(&tick.timer, 5 * NS_PER_MS, 0);
    assert_false(run_for(loop, 40));
    assert_int_equal(tick.calls, 1);
    assert_true(clock_monotonic_ns() - start >= 5 * NS_PER_MS);
    loop_timer_remove(loop, &tick.timer);
    loop_timer_remove(loop, &tick.timer);
    loop_destroy(loop);
}

static void test_timer_repeats(void **state)
{
    struct loop *loop = new_loop();
    struct tick tick = new_tick(loop, 3);

    (void)state;
    assert_int_equal(loop_timer_add(loop, &tick.timer), 0);
    loop_timer_arm(&tick.timer, 0, NS_PER_MS);
    assert_true(run_for(loop, 5000));
    loop_timer_remove(loop, &tick.timer);
    loop_destroy(loop);
}

static void test_timer_late_calls_once(void **state)
{
    struct loop *loop = new_loop();
    struct tick tick = new_tick(loop, 1);

    (void)state;
    assert_int_equal(loop_timer_add(loop, &tick.timer), 0);
    loop_timer_arm(&tick.timer, NS_PER_MS, NS_PER_MS);
    usleep(20000);
    assert_true(run_for(loop, 5000));
    assert_int_equal(tick.calls, 1);
    loop_timer_remove(loop, &tick.timer);
    loop_destroy(loop);
}

static void test_timer_disarm(void **state)
{
    struct loop *loop = new_loop();
    struct tick tick = new_tick(loop, 1);

    (void)state;
    assert_int_equal(loop_timer_add(loop, &tick.timer), 0);
    loop_timer_arm(&tick.timer, 5 * NS_PER_MS, 0);
    loop_timer_disarm(&tick.timer);
    assert_false(run_for(loop, 20));
    assert_int_equal(tick.calls, 0);
    loop_timer_remove(loop, &tick.timer);
    loop_destroy(loop);
}

static void *arm_from_thread(void *arg)
{
    struct tick *tick = arg;

    loop_timer_arm(&tick->timer, NS_PER_MS, 0);
    return NULL;
}

static void test_timer_from_thread(void **state)
{
    struct loop *loop = new_loop();
    struct tick tick = new_tick(loop, 1);
    pthread_t thread;

    (void)state;
    assert_int_equal(loop_timer_add(loop, &tick.timer), 0);
    assert_int_equal(pthread_create(&thread, NULL, arm_from_thread, &tick), 0);
    assert_true(run_for(loop, 5000));
    pthread_join(thread, NULL);
    loop_timer_remove(loop, &tick.timer);
    loop_destroy(loop);
}

struct caught {
    struct loop_signals signals;
    struct loop *loop;
    uint32_t number;
};

static void on_signal(struct loop_signals *signals, const struct signalfd_siginfo *info)
{
    struct caught *caught = container_of(signals, struct caught, signals);

    caught->number = info->ssi_signo;
    loop_stop(caught->loop);
}

static void test_signal(void **state)
{
    struct loop *loop = new_loop();
    struct caught caught = {.signals.callback = on_signal, .loop = loop};
    sigset_t mask, old;

    (void)state;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &mask, &old);
    assert_int_equal(loop_signals_add(loop, &caught.signals, &mask), 0);
    kill(getpid(), SIGUSR1);
    assert_true(run_for(loop, 5000));
    assert_int_equal(caught.number, SIGUSR1);
    loop_signals_remove(loop, &caught.signals);
    loop_signals_remove(loop, &caught.signals);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    loop_destroy(loop);
}

static void *stop_from_thread(void *arg)
{
    usleep(5000);
    loop_stop(arg);
    return NULL;
}

static void test_stop_from_thread(void **state)
{
    struct loop *loop = new_loop();
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, stop_from_thread, loop), 0);
    assert_true(run_for(loop, 5000));
    pthread_join(thread, NULL);
    loop_destroy(loop);
}

static void test_stop_before_run(void **state)
{
    struct loop *loop = new_loop();

    (void)state;
    loop_stop(loop);
    assert_true(run_for(loop, 5000));
    assert_false(run_for(loop, 10)); /* and it ends one run, not the next */
    loop_destroy(loop);
}

static void test_destroy_null(void **state)
{
    (void)state;
    loop_destroy(NULL);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add(&unit, "a ready source is called", test_source, NULL);
    unit_add(&unit, "a source that stays ready is called again", test_level_triggered, NULL);
    unit_add(&unit, "a paused source is not called", test_pause, NULL);
    unit_add(&unit, "a callback removes itself", test_remove_itself, NULL);
    unit_add(&unit, "a callback removes another of its batch", test_remove_other_of_batch, NULL);
    unit_add(&unit, "a regular file cannot be watched", test_regular_file, NULL);
    unit_add(&unit, "a bad descriptor cannot be watched", test_bad_descriptor, NULL);
    unit_add(&unit, "a hang-up is told while paused", test_hang_up_while_paused, NULL);
    unit_add(&unit, "a timer runs out once", test_timer_once, NULL);
    unit_add(&unit, "a timer repeats", test_timer_repeats, NULL);
    unit_add(&unit, "a late timer calls once", test_timer_late_calls_once, NULL);
    unit_add(&unit, "a disarmed timer is silent", test_timer_disarm, NULL);
    unit_add(&unit, "a timer is armed from a thread", test_timer_from_thread, NULL);
    unit_add(&unit, "a signal is an event", test_signal, NULL);
    unit_add(&unit, "another thread stops it", test_stop_from_thread, NULL);
    unit_add(&unit, "a stop before the run counts, once", test_stop_before_run, NULL);
    unit_add(&unit, "no loop to destroy", test_destroy_null, NULL);
    return unit_run(&unit, "loop");
}

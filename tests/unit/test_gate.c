/* guest/gate.h, with threads that count in place of CPUs: they leave when KVM would leave. */
#include "guest/gate.h"

#include <linux/kvm.h>
#include <sched.h>

#include "guest/vcpu.h"
#include "unit.h"

#define CPUS 4

struct fixture {
    struct loop *loop;
    struct vcpu_gate gate;
    bool ending;
    struct vcpu cpus[CPUS];
    struct kvm_run runs[CPUS];
    pthread_t threads[CPUS];
    uint64_t counts[CPUS]; /* of the instructions executed; atomic */
    int holder;            /* the CPU that is to hold the gate itself; -1: none. Atomic */
    struct gate_hold hold, other;
    unsigned told; /* how often `stopped` was called */
    bool release;  /* from within `stopped` */
};

static struct fixture *fixture_of(struct gate_hold *hold)
{
    return container_of(hold, struct fixture, hold);
}

static void on_stopped(struct gate_hold *hold)
{
    struct fixture *f = fixture_of(hold);

    f->told++;
    if (f->release)
        vcpu_gate_release(&f->gate, hold);
    loop_stop(f->loop);
}

static void on_other_stopped(struct gate_hold *hold)
{
    (void)hold;
}

static void *cpu_thread(void *arg)
{
    struct vcpu *vcpu = arg;
    struct fixture *f = container_of(vcpu - vcpu->id, struct fixture, cpus[0]);

    vcpu->self = pthread_self();
    vcpu_gate_enter(&f->gate, vcpu);
    while (!__atomic_load_n(&f->ending, __ATOMIC_ACQUIRE)) {
        int mine = (int)vcpu->id;

        if (__atomic_compare_exchange_n(&f->holder, &mine, -1, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST))
            vcpu_gate_hold(&f->gate, &f->hold);
        if (__atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_SEQ_CST))
            vcpu_gate_pass(&f->gate, vcpu);
        else
            __atomic_fetch_add(&f->counts[vcpu->id], 1, __ATOMIC_RELAXED);
        sched_yield();
    }
    vcpu_gate_leave(&f->gate, vcpu);
    return NULL;
}

static void start_cpus(struct fixture *f)
{
    for (unsigned i = 0; i < CPUS; i++)
        assert_int_equal(pthread_create(&f->threads[i], NULL, cpu_thread, &f->cpus[i]), 0);
}

static void end_cpus(struct fixture *f)
{
    __atomic_store_n(&f->ending, true, __ATOMIC_SEQ_CST);
    vcpu_gate_end(&f->gate);
    for (unsigned i = 0; i < CPUS; i++)
        pthread_join(f->threads[i], NULL);
}

static void create(struct fixture *f)
{
    *f = (struct fixture){
        .holder = -1, .hold.stopped = on_stopped, .other.stopped = on_other_stopped};
    vcpu_install_kick();
    assert_int_equal(loop_create(&f->loop), 0);
    assert_int_equal(vcpu_gate_init(&f->gate, f->loop, &f->ending), 0);
    for (unsigned i = 0; i < CPUS; i++)
        f->cpus[i] = (struct vcpu){.id = i, .fd = -1, .run = &f->runs[i], .gate = &f->gate};
}

static void destroy(struct fixture *f)
{
    vcpu_gate_destroy(&f->gate);
    loop_destroy(f->loop);
}

static uint64_t count(struct fixture *f, unsigned cpu)
{
    return __atomic_load_n(&f->counts[cpu], __ATOMIC_RELAXED);
}

static void await_progress(struct fixture *f, unsigned cpu)
{
    uint64_t before = count(f, cpu);

    while (count(f, cpu) == before)
        sched_yield();
}

static void await_all(struct fixture *f)
{
    for (unsigned i = 0; i < CPUS; i++)
        await_progress(f, i);
}

/* Hold, and be told. */
static void stop_all(struct fixture *f)
{
    unsigned before = f->told;

    vcpu_gate_hold(&f->gate, &f->hold);
    assert_int_equal(loop_run(f->loop), 0);
    assert_int_equal(f->told, before + 1);
}

/* That nothing moves, however long the others are given the CPU. */
static void assert_still(struct fixture *f, const uint64_t before[CPUS])
{
    for (unsigned i = 0; i < 2000; i++)
        sched_yield();
    for (unsigned i = 0; i < CPUS; i++)
        assert_int_equal(count(f, i), before[i]);
}

static void copy_counts(struct fixture *f, uint64_t counts[CPUS])
{
    for (unsigned i = 0; i < CPUS; i++)
        counts[i] = count(f, i);
}

static void test_stand_still(void **state)
{
    struct fixture f;
    uint64_t counts[CPUS];

    (void)state;
    create(&f);
    start_cpus(&f);
    await_all(&f);
    stop_all(&f);
    copy_counts(&f, counts);
    assert_still(&f, counts);
    vcpu_gate_release(&f.gate, &f.hold);
    await_all(&f);
    end_cpus(&f);
    destroy(&f);
}

static void test_before_start(void **state)
{
    static const uint64_t none[CPUS];
    struct fixture f;

    (void)state;
    create(&f);
    stop_all(&f); /* told although there is nobody yet */
    start_cpus(&f);
    assert_still(&f, none);
    vcpu_gate_release(&f.gate, &f.hold);
    await_all(&f);
    end_cpus(&f);
    destroy(&f);
}

static void test_two_holds(void **state)
{
    struct fixture f;
    uint64_t counts[CPUS];

    (void)state;
    create(&f);
    start_cpus(&f);
    vcpu_gate_hold(&f.gate, &f.other);
    stop_all(&f);
    copy_counts(&f, counts);
    vcpu_gate_release(&f.gate, &f.hold);
    assert_still(&f, counts);
    stop_all(&f); /* again, while the other holds: told at once */
    vcpu_gate_release(&f.gate, &f.other);
    assert_still(&f, counts);
    vcpu_gate_release(&f.gate, &f.hold);
    await_all(&f);
    end_cpus(&f);
    destroy(&f);
}

static void test_hold_twice(void **state)
{
    struct fixture f;

    (void)state;
    create(&f);
    start_cpus(&f);
    vcpu_gate_release(&f.gate, &f.hold); /* which nobody holds */
    vcpu_gate_hold(&f.gate, &f.hold);
    stop_all(&f);
    vcpu_gate_release(&f.gate, &f.hold);
    vcpu_gate_release(&f.gate, &f.hold);
    await_all(&f);
    end_cpus(&f);
    destroy(&f);
}

static void test_hold_by_cpu(void **state)
{
    struct fixture f;
    uint64_t counts[CPUS];

    (void)state;
    create(&f);
    start_cpus(&f);
    await_all(&f);
    __atomic_store_n(&f.holder, 2, __ATOMIC_SEQ_CST);
    assert_int_equal(loop_run(f.loop), 0);
    assert_int_equal(f.told, 1);
    copy_counts(&f, counts);
    assert_still(&f, counts);
    vcpu_gate_release(&f.gate, &f.hold);
    await_all(&f);
    end_cpus(&f);
    destroy(&f);
}

static void test_frozen(void **state)
{
    struct fixture f;
    uint64_t counts[CPUS];

    (void)state;
    create(&f);
    start_cpus(&f);
    await_all(&f);
    stop_all(&f);
    copy_counts(&f, counts);
    f.cpus[1].frozen = f.cpus[3].frozen = true;
    vcpu_gate_release(&f.gate, &f.hold);
    await_progress(&f, 0);
    await_progress(&f, 2);
    assert_int_equal(count(&f, 1), counts[1]);
    assert_int_equal(count(&f, 3), counts[3]);
    stop_all(&f); /* the frozen ones need not be waited for */
    f.cpus[1].frozen = f.cpus[3].frozen = false;
    vcpu_gate_release(&f.gate, &f.hold);
    await_all(&f);
    end_cpus(&f);
    destroy(&f);
}

static void test_end_while_held(void **state)
{
    struct fixture f;

    (void)state;
    create(&f);
    start_cpus(&f);
    await_all(&f);
    stop_all(&f);
    f.cpus[0].frozen = true;
    end_cpus(&f); /* comes back: nobody is kept */
    destroy(&f);
}

static void test_end_of_a_cpu(void **state)
{
    struct fixture f;

    (void)state;
    create(&f);
    start_cpus(&f);
    await_all(&f);
    end_cpus(&f);
    f.ending = false;
    stop_all(&f); /* those whose threads are gone are not waited for, and not signalled */
    destroy(&f);
}

static void test_many_rounds(void **state)
{
    struct fixture f;

    (void)state;
    create(&f);
    start_cpus(&f);
    for (unsigned i = 0; i < 300; i++) {
        f.release = i % 2;
        stop_all(&f);
        vcpu_gate_release(&f.gate, &f.hold);
        await_progress(&f, i % CPUS);
    }
    end_cpus(&f);
    destroy(&f);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add(&unit, "all CPUs stand still, and go on", test_stand_still, NULL);
    unit_add(&unit, "held before the start: none runs", test_before_start, NULL);
    unit_add(&unit, "two hold: both must let go", test_two_holds, NULL);
    unit_add(&unit, "holding twice is holding once", test_hold_twice, NULL);
    unit_add(&unit, "a CPU itself holds", test_hold_by_cpu, NULL);
    unit_add(&unit, "frozen CPUs stay when the gate opens", test_frozen, NULL);
    unit_add(&unit, "the end lets all out", test_end_while_held, NULL);
    unit_add(&unit, "CPUs that have ended are not waited for", test_end_of_a_cpu, NULL);
    unit_add(&unit, "many rounds", test_many_rounds, NULL);
    return unit_run(&unit, "gate");
}

/* vmm/duty_cycle.h: the share that comes out, by clocks that we move. */
#include "unit.h"

#include "base/clock.h"
#include "duty_cycle.h"

#define START_NS   UINT64_C(987654321)
#define DURATION_S 60

struct share_row {
    const char *name;
    unsigned percent, cpus; /* the limit; how many CPUs the process keeps busy when it runs */
    uint64_t late_ns;       /* of each call */
    double wanted;          /* CPUs */
};

static const struct share_row shares[] = {
    {"1 %", 1, 1, 0, 0.01},
    {"10 % of one CPU", 10, 1, 0, 0.1},
    {"50 % of one CPU", 50, 1, NS_PER_MS, 0.5},
    {"50 %, two CPUs busy", 50, 2, NS_PER_MS, 0.5},
    {"150 %, two CPUs busy", 150, 2, NS_PER_MS, 1.5},
    {"150 %, 64 CPUs busy", 150, 64, 100 * NS_PER_US, 1.5},
    {"calls that come late", 50, 2, 20 * NS_PER_MS, 0.5},
    {"exactly what it can use", 100, 1, 0, 1},
    {"more than it can use", 300, 2, NS_PER_MS, 2},
};

static void test_share(void **state)
{
    const struct share_row *row = *state;
    uint64_t now_ns = START_NS, cpu_ns = 5 * NS_PER_SEC, begin_ns = now_ns, begin_cpu_ns = cpu_ns;
    struct duty_cycle duty;
    double share;

    duty_cycle_init(&duty, row->percent, row->cpus);
    while (now_ns - begin_ns < DURATION_S * NS_PER_SEC) {
        uint64_t step_ns = duty_cycle_count(&duty, now_ns, cpu_ns) + row->late_ns;

        assert_true(step_ns > 0);
        now_ns += step_ns;
        if (!duty.stopped)
            cpu_ns += step_ns * row->cpus;
    }
    share = (double)(cpu_ns - begin_cpu_ns) / (double)(now_ns - begin_ns);
    assert_true(share <= row->wanted * 1.02);
    assert_true(share >= row->wanted * 0.98);
}

/* Who was idle for long has saved up a tenth of a second's share, not more. */
static void test_idle_saves_little(void **state)
{
    struct duty_cycle duty;
    uint64_t now_ns = START_NS, cpu_ns = 0;

    (void)state;
    duty_cycle_init(&duty, 50, 1);
    duty_cycle_count(&duty, now_ns, cpu_ns);
    now_ns += 3600 * NS_PER_SEC;
    duty_cycle_count(&duty, now_ns, cpu_ns);
    assert_false(duty.stopped);
    now_ns += 100 * NS_PER_MS;
    cpu_ns += 100 * NS_PER_MS; /* 50 ms saved, and 50 ms more */
    duty_cycle_count(&duty, now_ns, cpu_ns);
    assert_true(duty.stopped);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, shares, test_share);
    unit_add(&unit, "who was idle saves up little", test_idle_saves_little, NULL);
    return unit_run(&unit, "duty_cycle");
}

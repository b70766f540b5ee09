#include "duty_cycle.h"

#include <signal.h>

#include "base/clock.h"
#include "base/util.h"

/* What may be saved up: the share of so much time, as a cgroup's period has it. */
#define SAVED_NS (100 * NS_PER_MS)

/* It is continued for a slice of CPU time at least, and looked at no more often than that. */
#define SLICE_NS   (5 * NS_PER_MS)
#define CLOSEST_NS NS_PER_MS

static int64_t share_of(const struct duty_cycle *duty, uint64_t ns)
{
    return (int64_t)((__int128)ns * duty->percent / 100);
}

static int64_t most_credit(const struct duty_cycle *duty)
{
    int64_t most = share_of(duty, SAVED_NS);

    return most > (int64_t)(2 * SLICE_NS) ? most : (int64_t)(2 * SLICE_NS);
}

void duty_cycle_init(struct duty_cycle *duty, unsigned percent, unsigned cpus)
{
    *duty = (struct duty_cycle){.percent = percent, .cpus = cpus};
}

uint64_t duty_cycle_count(struct duty_cycle *duty, uint64_t now_ns, uint64_t cpu_ns)
{
    if (duty->last_ns == 0) { /* what it used before belongs to no time that we know of */
        duty->credit_ns = (int64_t)SLICE_NS;
    } else {
        duty->credit_ns += share_of(duty, now_ns - duty->last_ns);
        duty->credit_ns -= (int64_t)(cpu_ns - duty->last_cpu_ns);
    }
    duty->last_ns = now_ns;
    duty->last_cpu_ns = cpu_ns;
    if (duty->credit_ns > most_credit(duty))
        duty->credit_ns = most_credit(duty);
    if (duty->credit_ns <= 0)
        duty->stopped = true;
    else if (duty->credit_ns >= (int64_t)SLICE_NS)
        duty->stopped = false;
    if (duty->stopped)
        return max_u64((uint64_t)((int64_t)SLICE_NS - duty->credit_ns) * 100 / duty->percent,
                       CLOSEST_NS);
    return max_u64((uint64_t)duty->credit_ns / duty->cpus, CLOSEST_NS);
}

uint64_t duty_cycle_step(struct duty_cycle *duty, pid_t pid)
{
    bool was_stopped = duty->stopped;
    uint64_t again_ns, used_ns;

    if (clock_child_cpu_ns(pid, &used_ns) < 0)
        return SAVED_NS; /* it has ended, and will be waited for */
    again_ns = duty_cycle_count(duty, clock_monotonic_ns(), used_ns);
    if (duty->stopped != was_stopped)
        kill(pid, duty->stopped ? SIGSTOP : SIGCONT);
    return again_ns;
}

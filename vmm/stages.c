#include "stages.h"

#include "base/clock.h"

void stages_begin(struct stages *stages)
{
    uint64_t now = clock_monotonic_ns();

    *stages = (struct stages){.process_start_ns = now - clock_process_cpu_ns()};
    stages->reached_ns[STAGE_MAIN] = now;
}

void stages_reach(struct stages *stages, enum stage stage)
{
    stages->reached_ns[stage] = clock_monotonic_ns();
}

const char *stage_name(enum stage stage)
{
    static const char *const names[STAGE_COUNT] = {
        [STAGE_MAIN] = "main",
        [STAGE_OPTIONS] = "options",
        [STAGE_IMAGES] = "images",
        [STAGE_FORKED] = "forked",
        [STAGE_MACHINE] = "machine",
        [STAGE_LOADED] = "loaded",
        [STAGE_LOCKED] = "locked",
        [STAGE_STARTED] = "started",
        [STAGE_FIRST_EXIT] = "first-exit",
        [STAGE_FIRST_INSTRUCTION] = "first-instruction",
        [STAGE_READY] = "ready",
        [STAGE_ENDED] = "ended",
    };

    return names[stage];
}

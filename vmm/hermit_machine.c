#include "hermit_machine.h"

#include "base/clock.h"

bool hermit_is_wanted(const struct machine *machine)
{
    return machine->plan->hermit_interface > 0;
}

struct hermit_handover hermit_describe(const struct machine *machine)
{
    return (struct hermit_handover){
        .cpus = machine->vcpu_count,
        .tsc_khz = machine->tsc_khz,
        .has_pci = devices_have_pci(machine->devices),
        .boot_time_ns = clock_realtime_ns(),
    };
}

#include "hermit_machine.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"
#include "hermit/hermit.h"

struct hermit_machine {
    struct machine *machine; /* borrowed */
    struct hermit_console console;
    struct hermit_files *files;
    struct hermit_calls *calls;
};

bool hermit_is_wanted(const struct machine *machine)
{
    return machine->plan->hermit_interface > 0;
}

static void write_console(struct hermit_console *console, const uint8_t *bytes, size_t len)
{
    struct machine *machine = container_of(console, struct hermit_machine, console)->machine;

    console_write_all(machine->console, bytes, len, &machine->ending);
}

/* Interface 1 asks for the arguments from the program's name on. */
static int create_calls(struct hermit_machine *hermit, struct error *err)
{
    struct machine *machine = hermit->machine;
    const char *const arguments[] = {machine->config->kernel ? machine->config->kernel : ""};
    struct hermit_options options = {
        .interface = machine->plan->hermit_interface,
        .arguments = arguments,
        .argument_count = ARRAY_SIZE(arguments),
        .mem = machine->mem,
        .files = hermit->files,
        .console = &hermit->console,
        .power = &machine->power,
        .log = machine->log,
    };

    return hermit_calls_create(&options, &hermit->calls, err);
}

DEFINE_CLEANUP(struct hermit_machine, hermit_destroy)

int hermit_create(struct machine *machine, struct hermit_machine **ret, struct error *err)
{
    _cleanup_(hermit_destroy_cleanup) struct hermit_machine *hermit = calloc(1, sizeof(*hermit));
    struct hermit_files_options files = {0};
    int r;

    if (!hermit)
        return error_set(err, -ENOMEM, "out of memory");
    hermit->machine = machine;
    hermit->console.write = write_console;
    r = hermit_files_create(&files, &hermit->files, err);
    if (r == 0)
        r = create_calls(hermit, err);
    if (r < 0)
        return r;
    *ret = take_ptr(hermit);
    return 0;
}

void hermit_destroy(struct hermit_machine *hermit)
{
    if (!hermit)
        return;
    hermit_calls_destroy(hermit->calls);
    hermit_files_destroy(hermit->files);
    free(hermit);
}

struct hypercall_sink *hermit_hypercalls(struct hermit_machine *hermit)
{
    return hermit ? hermit_calls_sink(hermit->calls) : NULL;
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

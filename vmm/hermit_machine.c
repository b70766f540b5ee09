#include "hermit_machine.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"
#include "hermit/hermit.h"

/* What the program may write outside of its mappings, where no --disk-limit says less. */
#define PRIVATE_FILES_LIMIT GIB

struct hermit_machine {
    struct machine *machine; /* borrowed */
    struct hermit_console console;
    struct hermit_files *files;
    struct hermit_calls *calls;
    const char **arguments; /* the strings are the configuration's */
    const char **mounts;
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

/* The program's name, and its arguments behind it; its mounts, for the device tree. */
static int gather(struct hermit_machine *hermit, struct error *err)
{
    const struct config *config = hermit->machine->config;
    const struct program_config *program = &config->program;
    size_t count = program->arguments.count;

    hermit->arguments = calloc(count + 1, sizeof(*hermit->arguments));
    hermit->mounts = calloc(program->mapping_count + 1, sizeof(*hermit->mounts));
    if (!hermit->arguments || !hermit->mounts)
        return error_set(err, -ENOMEM, "out of memory");
    hermit->arguments[0] = config->kernel ? config->kernel : "";
    for (size_t i = 0; i < count; i++)
        hermit->arguments[i + 1] = program->arguments.items[i];
    for (size_t i = 0; i < program->mapping_count; i++)
        hermit->mounts[i] = program->mappings[i].guest;
    return 0;
}

static int create_files(struct hermit_machine *hermit, struct error *err)
{
    const struct program_config *program = &hermit->machine->config->program;
    struct hermit_mapping mappings[HERMIT_MAX_MAPPINGS];
    struct hermit_files_options options = {
        .mappings = mappings,
        .mapping_count = program->mapping_count,
        /* It vanishes by the guardian's hand; here it is one that is there and stays. */
        .keep = program->keep_files ? program->keep_files : hermit->machine->private_folder,
        .try_only = hermit->machine->config->check,
        .size_limit = devices_take_disk(hermit->machine->devices, PRIVATE_FILES_LIMIT),
    };

    for (size_t i = 0; i < program->mapping_count; i++) {
        mappings[i] = (struct hermit_mapping){
            .host = program->mappings[i].host,
            .guest = program->mappings[i].guest,
            .read_only = program->mappings[i].read_only,
        };
    }
    return hermit_files_create(&options, &hermit->files, err);
}

static int create_calls(struct hermit_machine *hermit, struct error *err)
{
    struct machine *machine = hermit->machine;
    const struct program_config *program = &machine->config->program;
    struct hermit_options options = {
        .interface = machine->plan->hermit_interface,
        .arguments = hermit->arguments,
        .argument_count = program->arguments.count + 1,
        .environment = (const char *const *)program->environment.items,
        .environment_count = program->environment.count,
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
    int r;

    if (!hermit)
        return error_set(err, -ENOMEM, "out of memory");
    hermit->machine = machine;
    hermit->console.write = write_console;
    r = gather(hermit, err);
    if (r == 0)
        r = create_files(hermit, err);
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
    free(hermit->arguments);
    free(hermit->mounts);
    free(hermit);
}

const struct hermit_calls *hermit_machine_calls(const struct hermit_machine *hermit)
{
    return hermit->calls;
}

struct hypercall_sink *hermit_hypercalls(struct hermit_machine *hermit)
{
    return hermit ? hermit_calls_sink(hermit->calls) : NULL;
}

struct hermit_handover hermit_describe(const struct machine *machine)
{
    const struct program_config *program = &machine->config->program;

    return (struct hermit_handover){
        .cpus = machine->vcpu_count,
        .tsc_khz = machine->tsc_khz,
        .has_pci = devices_have_pci(machine->devices),
        .boot_time_ns = clock_realtime_ns(),
        .environment = (const char *const *)program->environment.items,
        .environment_count = program->environment.count,
        .arguments = machine->hermit->arguments + 1,
        .argument_count = program->arguments.count,
        .mounts = machine->hermit->mounts,
        .mount_count = program->mapping_count,
    };
}

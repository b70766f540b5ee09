/* osvm-vmm: one process, one virtual machine. main() is the list of what happens. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "config.h"
#include "exit_record.h"
#include "inputs.h"
#include "machine.h"
#include "options.h"
#include "plan.h"
#include "stages.h"
#include "stats.h"
#include "version.h"

static int open_log(struct log *log, const struct config *config, struct error *err)
{
    log->level = config->log_level;
    if (!config->log_path)
        return 0;
    log->fd = open(config->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
    if (log->fd >= 0)
        return 0;
    log->fd = STDERR_FILENO;
    return error_set_errno(err, -errno, "cannot open log '%s'", config->log_path);
}

/* What a run holds, from the options on. */
struct run {
    struct config config;
    struct stages stages;
    struct log log;
    int record_fd; /* -1: no exit record is wanted */
    struct inputs inputs;
};

static void write_record(const struct run *run, const struct machine_end *end,
                         const struct machine *machine)
{
    struct error err = {0};

    if (run->record_fd >= 0 &&
        exit_record_write(run->record_fd, end, &run->stages, machine, &err) < 0)
        log_error(&run->log, "%s", err.text);
}

/* It never ran: say so, once, on standard error or in the log, and in the record. */
static int refuse(const struct run *run, const struct error *err)
{
    struct machine_end end = {.reason = MACHINE_REFUSED, .status = EXIT_STATUS_REFUSED};

    log_error(&run->log, "%s", err->text);
    memcpy(end.text, err->text, sizeof(end.text));
    write_record(run, &end, NULL);
    return EXIT_STATUS_REFUSED;
}

/* From the images to the end of the guest. Returns the exit status. */
static int run_machine(struct run *run)
{
    struct boot_request request = inputs_boot_request(&run->inputs, &run->config);
    struct machine machine;
    struct machine_end end;
    struct error err = {0};
    int r =
        machine_create(&machine, &run->config, &run->inputs.plan, &run->log, &run->stages, &err);

    if (r == 0) {
        r = machine_load(&machine, &request, &err);
        if (r < 0)
            error_prefix(&err, r, "cannot load kernel '%s'", inputs_kernel_name(&run->config));
    }
    if (r == 0)
        r = machine_run(&machine, &err);
    end = machine.end;
    if (r == 0) {
        write_record(run, &end, &machine);
        if (run->config.stats)
            stats_print(&machine, &run->stages);
    }
    machine_destroy(&machine);
    if (r < 0)
        return refuse(run, &err);
    if (end.reason == MACHINE_GUEST_DIED)
        log_error(&run->log, "the guest died: %s", end.text);
    else
        log_info(&run->log, "%s", end.text);
    return end.status;
}

static int run(struct run *run, int argc, char *argv[])
{
    enum options_action action;
    struct error err = {0};

    if (options_parse(argc, argv, &run->config, &action, &err) < 0)
        return refuse(run, &err);
    if (action == OPTIONS_SHOW_HELP) {
        options_print_help();
        return 0;
    }
    if (action == OPTIONS_SHOW_VERSION) {
        puts("osvm-vmm " OSVM_VERSION);
        return 0;
    }
    if (open_log(&run->log, &run->config, &err) < 0)
        return refuse(run, &err);
    if (run->config.exit_record && !run->config.check &&
        exit_record_open(run->config.exit_record, &run->record_fd, &err) < 0)
        return refuse(run, &err);
    stages_reach(&run->stages, STAGE_OPTIONS);
    if (inputs_open(&run->inputs, &run->config, &err) < 0)
        return refuse(run, &err);
    stages_reach(&run->stages, STAGE_IMAGES);
    if (!run->config.check)
        return run_machine(run);
    if (plan_check(&run->config, &run->inputs, &run->log, &run->stages, &err) < 0)
        return refuse(run, &err);
    return 0;
}

/*
 * A caller may have closed its standard streams. What is opened next would take their numbers, and
 * the guest's output or a message would go into it.
 */
static void fill_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR | O_NOCTTY) < 0)
            return; /* without even that there is nothing to be told */
    }
}

int main(int argc, char *argv[])
{
    struct run own = {
        .log = {.fd = STDERR_FILENO, .level = LOG_WARNING, .prefix = "osvm-vmm"},
        .record_fd = -1,
    };
    int status;

    stages_begin(&own.stages);
    fill_standard_streams();
    config_init(&own.config);
    status = run(&own, argc, argv);
    inputs_close(&own.inputs);
    close_fd(own.record_fd);
    config_free(&own.config);
    return status;
}

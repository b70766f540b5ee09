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

/* From the images to the end of the guest. Where it does not come so far, err says why. */
static int run_machine(const struct config *config, const struct inputs *inputs,
                       const struct log *log, struct stages *stages, struct machine_end *ret_end,
                       struct error *err)
{
    struct boot_request request = inputs_boot_request(inputs, config);
    struct error record_err = {0};
    struct machine machine;
    int r = machine_create(&machine, config, log, stages, err);

    if (r == 0) {
        r = machine_load(&machine, &request, err);
        if (r < 0)
            error_prefix(err, r, "cannot load kernel '%s'", inputs_kernel_name(config));
    }
    if (r == 0)
        r = machine_run(&machine, err);
    if (r == 0) {
        *ret_end = machine.end;
        if (config->exit_record &&
            exit_record_write(config->exit_record, &machine.end, stages, &machine, &record_err) < 0)
            log_error(log, "%s", record_err.text);
    }
    machine_destroy(&machine);
    return r;
}

/* It never ran: say so, once, on standard error or in the log, and in the record. */
static int refuse(const struct config *config, const struct stages *stages, const struct log *log,
                  const struct error *err)
{
    struct machine_end end = {.reason = MACHINE_REFUSED, .status = EXIT_STATUS_REFUSED};
    struct error record_err = {0};

    log_error(log, "%s", err->text);
    memcpy(end.text, err->text, sizeof(end.text));
    if (config->exit_record && !config->check &&
        exit_record_write(config->exit_record, &end, stages, NULL, &record_err) < 0)
        log_error(log, "%s", record_err.text);
    return EXIT_STATUS_REFUSED;
}

static int run(int argc, char *argv[], struct config *config, struct inputs *inputs)
{
    struct log log = {.fd = STDERR_FILENO, .level = LOG_WARNING, .prefix = "osvm-vmm"};
    struct machine_end end = {0};
    struct error err = {0};
    enum options_action action;
    struct stages stages;
    int r;

    stages_begin(&stages);
    if (options_parse(argc, argv, config, &action, &err) < 0)
        return refuse(config, &stages, &log, &err);
    if (action == OPTIONS_SHOW_HELP) {
        options_print_help();
        return 0;
    }
    if (action == OPTIONS_SHOW_VERSION) {
        puts("osvm-vmm " OSVM_VERSION);
        return 0;
    }
    if (open_log(&log, config, &err) < 0)
        return refuse(config, &stages, &log, &err);
    stages_reach(&stages, STAGE_OPTIONS);
    if (inputs_open(inputs, config, &err) < 0)
        return refuse(config, &stages, &log, &err);
    stages_reach(&stages, STAGE_IMAGES);
    if (config->check)
        r = plan_check(config, inputs, &log, &stages, &err);
    else
        r = run_machine(config, inputs, &log, &stages, &end, &err);
    if (r < 0)
        return refuse(config, &stages, &log, &err);
    if (end.reason == MACHINE_GUEST_DIED)
        log_error(&log, "the guest died: %s", end.text);
    else if (!config->check)
        log_info(&log, "%s", end.text);
    return end.status;
}

int main(int argc, char *argv[])
{
    struct config config;
    struct inputs inputs = {0};
    int status;

    config_init(&config);
    status = run(argc, argv, &config, &inputs);
    inputs_close(&inputs);
    config_free(&config);
    return status;
}

/*
 * osvm-vmm: one process, one virtual machine, and a guardian that waits for it. run(), start() and
 * run_machine() are the list of what happens.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "api/channel.h"
#include "archive_config.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/util.h"
#include "config.h"
#include "exit_record.h"
#include "footprint.h"
#include "guardian.h"
#include "inputs.h"
#include "jail.h"
#include "leftovers.h"
#include "limits.h"
#include "machine.h"
#include "options.h"
#include "plan.h"
#include "private_folder.h"
#include "stages.h"
#include "stats.h"
#include "version.h"

static int open_log(struct log *log, const struct config *config, struct error *err)
{
    log->level = config->log_level;
    log->shows_level = config->log_shows_level;
    log->shows_origin = config->log_shows_origin;
    if (config->log_off)
        log->fd = -1;
    if (config->log_off || !config->log_path)
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
    struct guardian guardian;
    struct jail jail;
    struct private_folder files; /* of a Hermit image */
    struct limits limits;
    struct api *api; /* the guardian's; NULL: none is asked for */
    int channel[2];  /* between the two, the guardian's end first; -1: closed, or the API's */
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
    api_refuse(run->api, err->text);
    control_fail(run->channel[1], err->text);
    memcpy(end.text, err->text, sizeof(end.text));
    write_record(run, &end, NULL);
    return EXIT_STATUS_REFUSED;
}

static void tell_end(const struct log *log, const struct machine_end *end)
{
    if (end->reason == MACHINE_GUEST_DIED)
        log_error(log, "the guest died: %s", end->text);
    else if (end->reason == MACHINE_REFUSED || end->reason == MACHINE_LIMIT)
        log_error(log, "%s", end->text);
    else
        log_info(log, "%s", end->text);
}

/* The VM process: from the images to the end of the guest. Returns the exit status. */
static int run_machine(struct run *run)
{
    struct boot_request request = inputs_boot_request(&run->inputs, &run->config);
    struct machine machine;
    struct machine_end end;
    struct error err = {0};
    int r = machine_create(&machine, &run->config, &run->inputs.plan, run->files.path,
                           &run->guardian.terminal, &run->log, &run->stages, &err);

    control_init(&machine.control, &machine, run->channel[1]);
    if (r < 0)
        limits_explain(&run->limits, r, &err);
    if (r == 0) {
        r = machine_load(&machine, &request, &err);
        if (r < 0)
            error_prefix(&err, r, "cannot load kernel '%s'", inputs_kernel_name(&run->config));
    }
    if (r == 0)
        r = machine_prepare(&machine, &err);
    if (r == 0)
        r = limits_lock(&run->limits, &err);
    if (r == 0)
        r = machine_lock(&machine, &run->jail, &run->guardian, &err);
    if (r == 0)
        r = limits_explain(&run->limits, machine_run(&machine, &err), &err);
    end = machine.end;
    if (r == 0) {
        write_record(run, &end, &machine);
        if (run->config.stats)
            stats_print(&machine, &run->stages);
        tell_end(&run->log, &end);
    } else {
        end.status = refuse(run, &err);
    }
    machine_leave_files(&machine);
    if (run->jail.closed)
        _exit(end.status); /* the kernel takes everything back, and here little is allowed */
    run->channel[1] = -1;  /* the machine's */
    machine_destroy(&machine);
    return end.status;
}

/* --check, in the process that would run the machine. */
static int check_machine(struct run *run)
{
    struct error err = {0};

    if (plan_check(&run->config, &run->inputs, &run->limits, &run->guardian, &run->jail, &run->log,
                   &run->stages, &err) < 0)
        return refuse(run, &err);
    return 0;
}

/* Put a number into an ascending list. */
static void insert(int *list, size_t count, int number)
{
    size_t at = count;

    for (; at > 0 && list[at - 1] > number; at--)
        list[at] = list[at - 1];
    list[at] = number;
}

/* In the guardian, what it needs no more. */
static void close_rest(struct run *run)
{
    int fds[4 + CGROUP_MAX_DESCRIPTORS + API_MAX_DESCRIPTORS] = {
        run->log.fd, run->record_fd, run->jail.user.claim_fd, run->files.parent_fd};
    int keep[ARRAY_SIZE(fds)];
    size_t count = 4 + limits_descriptors(&run->limits, fds + 4);

    inputs_close(&run->inputs);
    if (run->api)
        count += api_descriptors(run->api, fds + count);
    for (size_t i = 0; i < count; i++)
        insert(keep, i, fds[i]);
    guardian_close_others(keep, count);
    footprint_trim();
}

/* Wait for the VM process's end; where there is an API, serve it meanwhile. */
static void wait_for_machine(struct run *run, struct guardian_verdict *ret_verdict)
{
    bool terminal_used =
        run->config.console == CONSOLE_STDIO || run->config.virtio_console == CONSOLE_STDIO;
    int r = -ENOENT;

    if (run->api)
        r = guardian_wait_on(api_loop(run->api), &run->guardian, terminal_used, &run->limits.task,
                             ret_verdict);
    if (r < 0)
        guardian_wait(&run->guardian, terminal_used, &run->limits.task, ret_verdict);
    api_destroy(take_ptr(run->api));
}

/* The guardian: wait, tell what the VM process cannot tell any more, tidy up. */
static int watch_machine(struct run *run)
{
    struct guardian_verdict verdict;
    struct machine_end end;
    struct limit_breach breach;

    close_fd(take_fd(&run->channel[1]));
    if (run->api && api_follow(run->api, take_fd(&run->channel[0]), run->guardian.vm) < 0)
        log_error(&run->log, "--api-sock %s: cannot be served", run->config.api_sock);
    close_rest(run);
    wait_for_machine(run, &verdict);
    if (!run->config.check)
        leftovers_remove(&run->config);
    private_folder_remove(&run->files);
    if (verdict.signal) {
        end = (struct machine_end){.reason = MACHINE_KILLED, .status = verdict.status};
        if (limits_judge(&run->limits, verdict.signal, &breach))
            end = machine_end_by_limit(&breach);
        else
            snprintf(end.text, sizeof(end.text), "%s", verdict.text);
        log_error(&run->log, "%s", end.text);
        write_record(run, &end, NULL);
        return end.status;
    }
    return verdict.status;
}

/* What the caller left open and no option names is none of the machine's business. */
static void close_unnamed(const struct config *config)
{
    const struct device_config *devices = &config->devices;
    int named[1 + CONFIG_MAX_NETS] = {config->ready_fd};
    size_t count = 1;

    for (unsigned i = 0; i < devices->net_count; i++) {
        if (devices->nets[i].kind == NET_FD)
            insert(named, count++, devices->nets[i].fd);
    }
    guardian_close_others(named, count);
}

/* A Hermit image writes files; where they are not kept, their folder is the guardian's to remove.
 */
static int prepare_files(struct run *run, struct error *err)
{
    const char *keep = run->config.program.keep_files;
    int r = 0;

    run->jail.hermit = run->inputs.plan.hermit_interface > 0;
    if (!run->jail.hermit || run->config.check)
        return 0;
    r = keep ? private_folder_keep(keep, &run->jail.user, err)
             : private_folder_make(&run->files, &run->jail.user, err);
    run->jail.private_folder = keep ? keep : run->files.path;
    return r;
}

/*
 * Serve the API where one is asked for; until it says to start, where nothing else has said what to
 * run. Returns 0; else *ret_status is the end of it.
 */
static int begin_api(struct run *run, int *ret_status)
{
    struct error err = {0};
    struct machine_end end = {.reason = MACHINE_SIGNAL};
    int r;

    if (!run->config.api_sock || run->config.check)
        return 0;
    r = api_create(&run->config, &run->log, &run->api, &err);
    if (r == 0)
        r = channel_make(run->channel);
    if (r == 0 && !run->config.kernel)
        r = api_await_start(run->api);
    if (r == 0)
        return 0;
    if (r < 0) {
        if (!err.text[0])
            error_set_errno(&err, r, "cannot serve the API");
        *ret_status = refuse(run, &err);
    } else {
        *ret_status = end.status = EXIT_STATUS_SIGNAL + r;
        snprintf(end.text, sizeof(end.text), "ended by SIG%s before its start", sigabbrev_np(r));
        log_info(&run->log, "%s", end.text);
        write_record(run, &end, NULL);
    }
    api_destroy(take_ptr(run->api));
    leftovers_remove(&run->config);
    return -ECANCELED;
}

/* The images, and what only they and the API's requests say of the configuration. */
static int open_inputs(struct run *run, struct error *err)
{
    enum boot_protocol protocol;
    int r = inputs_open(&run->inputs, &run->config, err);

    if (r == 0 && run->inputs.archive && run->inputs.plan.hermit_interface)
        r = archive_config_apply(run->inputs.archive, &run->config, err);
    protocol = run->inputs.plan.protocol;
    if (r == 0 && run->api)
        r = api_finish_config(run->api, protocol != BOOT_MULTIBOOT && protocol != BOOT_HERMIT, err);
    return r;
}

/* Everything that is asked for is known: take what wants the caller's view, and become two. */
static int start(struct run *run)
{
    struct error err = {0};
    int status;

    close_unnamed(&run->config);
    if (begin_api(run, &status) < 0)
        return status;
    if (open_log(&run->log, &run->config, &err) < 0)
        return refuse(run, &err);
    if (run->config.exit_record && !run->config.check &&
        exit_record_open(run->config.exit_record, &run->record_fd, &err) < 0)
        return refuse(run, &err);
    stages_reach(&run->stages, STAGE_OPTIONS);
    if (jail_init(&run->jail, &run->config, &err) < 0)
        return refuse(run, &err);
    if (open_inputs(run, &err) < 0)
        return refuse(run, &err);
    stages_reach(&run->stages, STAGE_IMAGES);
    if (prepare_files(run, &err) < 0)
        return refuse(run, &err);
    if (run->config.no_jail)
        log_warning(&run->log, "--no-jail: a guest that breaks out has all of your rights");
    if (limits_begin(&run->limits, &run->config, &err) < 0)
        return refuse(run, &err);
    if (guardian_fork(&run->guardian, run->jail.wanted, &err) < 0)
        return refuse(run, &err);
    if (run->guardian.vm)
        return watch_machine(run);
    close_fd(take_fd(&run->files.parent_fd)); /* to remove it is the guardian's */
    api_forget(take_ptr(run->api));
    close_fd(take_fd(&run->channel[0]));
    stages_reach(&run->stages, STAGE_FORKED);
    if (limits_enter(&run->limits, &err) < 0)
        return refuse(run, &err);
    return run->config.check ? check_machine(run) : run_machine(run);
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
    if (run->config.clean_up) {
        leftovers_remove(&run->config);
        limits_clean_up(&run->config);
        return 0;
    }
    return start(run);
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
        .guardian.pidfd = -1,
        .jail.user.claim_fd = -1,
        .files.parent_fd = -1,
        .channel = {-1, -1},
    };
    int status;

    stages_begin(&own.stages);
    fill_standard_streams();
    config_init(&own.config);
    status = run(&own, argc, argv);
    inputs_close(&own.inputs);
    limits_finish(&own.limits);
    close_fd(own.record_fd);
    close_fd(own.guardian.pidfd);
    close_fd(own.channel[0]);
    close_fd(own.channel[1]);
    if (own.api) { /* it was refused before it could begin */
        api_destroy(own.api);
        leftovers_remove(&own.config);
    }
    private_folder_remove(&own.files);
    jail_release(&own.jail);
    config_free(&own.config);
    return status;
}

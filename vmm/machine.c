#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/util.h"
#include "footprint.h"
#include "guardian.h"
#include "guest/board/acpi.h"
#include "guest/layout.h"
#include "hermit_machine.h"
#include "limits.h"
#include "virtio/vsock.h"

/* By then a small guest has started, and a large one no longer cares. */
#define SETTLED_AFTER_NS (200 * NS_PER_MS)

const char *machine_end_reason_name(enum machine_end_reason reason)
{
    static const char *const names[] = {
        [MACHINE_POWER_OFF] = "power-off",   [MACHINE_RESET] = "reset",
        [MACHINE_GUEST_EXIT] = "guest-exit", [MACHINE_GUEST_DIED] = "guest-died",
        [MACHINE_SIGNAL] = "signal",         [MACHINE_CONSOLE] = "console",
        [MACHINE_DEBUGGER] = "debugger",     [MACHINE_REFUSED] = "refused",
        [MACHINE_KILLED] = "killed",         [MACHINE_LIMIT] = "limit",
    };

    return names[reason];
}

/*
 * End the machine; the first who says why is believed. Any thread: the CPUs see `ending` at their
 * next exit, and the loop stops, whereupon machine_run() takes out those that do not exit.
 */
static void machine_finish(struct machine *machine, const struct machine_end *end)
{
    pthread_mutex_lock(&machine->end_lock);
    if (!machine->ending) {
        machine->end = *end;
        __atomic_store_n(&machine->ending, true, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&machine->end_lock);
    loop_stop(machine->loop);
}

static void on_power_event(struct power_sink *sink, enum power_event event, uint8_t status)
{
    struct machine *machine = container_of(sink, struct machine, power);
    struct machine_end end = {.status = status};

    switch (event) {
    case POWER_OFF:
        end.reason = MACHINE_POWER_OFF;
        snprintf(end.text, sizeof(end.text), "the guest switched the machine off");
        break;
    case POWER_RESET:
        end.reason = MACHINE_RESET;
        snprintf(end.text, sizeof(end.text), "the guest reset the machine");
        break;
    case POWER_EXIT:
        end.reason = MACHINE_GUEST_EXIT;
        snprintf(end.text, sizeof(end.text), "the guest ended with status %u", status);
        break;
    }
    machine_finish(machine, &end);
}

static void on_vcpu_ended(struct vcpu_observer *observer, bool reset)
{
    struct machine *machine = container_of(observer, struct machine, observer);

    on_power_event(&machine->power, reset ? POWER_RESET : POWER_OFF, 0);
}

static void on_vcpu_died(struct vcpu_observer *observer, const struct vcpu_death *death)
{
    struct machine *machine = container_of(observer, struct machine, observer);
    struct machine_end end = {
        .reason = MACHINE_GUEST_DIED,
        .status = EXIT_STATUS_GUEST_DIED,
        .rip_known = death->rip_known,
        .rip = death->rip,
        .cpu = death->cpu,
    };

    snprintf(end.text, sizeof(end.text), "%s", death->text);
    machine_finish(machine, &end);
}

static void on_signal(struct loop_signals *signals, const struct signalfd_siginfo *info)
{
    struct machine *machine = container_of(signals, struct machine, signals);
    struct machine_end end = {
        .reason = MACHINE_SIGNAL,
        .status = EXIT_STATUS_SIGNAL + (int)info->ssi_signo,
    };

    snprintf(end.text, sizeof(end.text), "ended by SIG%s", sigabbrev_np((int)info->ssi_signo));
    machine_finish(machine, &end);
}

struct machine_end machine_end_by_limit(const struct limit_breach *breach)
{
    struct machine_end end = {
        .reason = MACHINE_LIMIT,
        .status = EXIT_STATUS_LIMIT,
        .limit = *breach,
    };

    limit_breach_text(breach, end.text, sizeof(end.text));
    return end;
}

static void on_limit(struct limits_watch *watch, const struct limit_breach *breach)
{
    struct machine *machine = container_of(watch, struct machine, limits);
    struct machine_end end = machine_end_by_limit(breach);

    machine_finish(machine, &end);
}

/* A guest says so by the SDK's port, or by its first connection over vsock. */
bool machine_guest_is_ready(const struct machine *machine)
{
    struct virtio_device *vsock = devices_vsock(machine->devices);
    struct virtio_vsock_counters counters = {0};

    if (vsock)
        virtio_vsock_read_counters(vsock, &counters);
    return osvm_port_milestone(&machine->osvm_port, OSVM_MILESTONE_READY) > 0 ||
           counters.guest_connections > 0 || counters.guest_accepted > 0;
}

static bool guest_is_ready(struct limits_watch *watch)
{
    return machine_guest_is_ready(container_of(watch, struct machine, limits));
}

static void on_user_end(struct console_user *user)
{
    struct machine *machine = container_of(user, struct machine, user);
    struct machine_end end = {.reason = MACHINE_CONSOLE};

    snprintf(end.text, sizeof(end.text), "ended from the console");
    machine_finish(machine, &end);
}

static void on_debugger_kill(struct gdb_server_user *user)
{
    struct machine *machine = container_of(user, struct machine, debugger);
    struct machine_end end = {
        .reason = MACHINE_DEBUGGER,
        .status = EXIT_STATUS_SIGNAL + SIGKILL,
    };

    snprintf(end.text, sizeof(end.text), "killed by the debugger");
    machine_finish(machine, &end);
}

static void on_user_status(struct console_user *user, char *buf, size_t len)
{
    struct machine *machine = container_of(user, struct machine, user);
    uint64_t exits = 0;
    uint64_t ms = (clock_monotonic_ns() - machine->stages->reached_ns[STAGE_STARTED]) / NS_PER_MS;
    char used[32], all[32];

    for (unsigned i = 0; i < machine->vcpu_count; i++) {
        for (unsigned kind = 0; kind < VCPU_EXIT_KINDS; kind++)
            exits += __atomic_load_n(&machine->vcpus[i].exits[kind], __ATOMIC_RELAXED);
    }
    snprintf(buf, len,
             "osvm-vmm: running for %" PRIu64 ".%03" PRIu64 " s, %u CPU%s, %s of %s of memory in "
             "use, %" PRIu64 " exits",
             ms / 1000, ms % 1000, machine->vcpu_count, machine->vcpu_count == 1 ? "" : "s",
             format_size(guest_memory_resident(machine->mem), used, sizeof(used)),
             format_size(guest_memory_size(machine->mem), all, sizeof(all)), exits);
}

/* A thread that cannot be filtered must not work, so neither does the machine. */
static int on_thread_begin(struct thread_hook *hook, enum thread_kind kind)
{
    struct machine *machine = container_of(hook, struct machine, thread_hook);
    struct machine_end end = {.reason = MACHINE_REFUSED, .status = EXIT_STATUS_REFUSED};
    int r = jail_filter_thread(machine->jail, kind);

    if (r < 0) {
        snprintf(end.text, sizeof(end.text), "cannot filter a thread's system calls: %s",
                 strerrordesc_np(-r));
        machine_finish(machine, &end);
    }
    return r;
}

/* The start is over: what only it needed need not stay resident. */
static void on_settled(struct loop_timer *timer)
{
    loop_timer_remove(container_of(timer, struct machine, settled)->loop, timer);
    footprint_trim();
}

/* The loop, and the signals that it takes. */
static int create_loop(struct machine *machine, struct error *err)
{
    sigset_t mask;
    int r = loop_create(&machine->loop);

    if (r < 0)
        return error_set_errno(err, r, "cannot make an event loop");
    guardian_block_ending_signals(&mask);
    signal(SIGPIPE, SIG_IGN); /* a reader that is gone is an error of the write */
    signal(SIGXFSZ, SIG_IGN); /* and so is a file that has become too large */
    vcpu_install_kick();
    machine->signals.callback = on_signal;
    r = loop_signals_add(machine->loop, &machine->signals, &mask);
    if (r < 0)
        return error_set_errno(err, r, "cannot take signals");
    machine->settled.callback = on_settled;
    r = loop_timer_add(machine->loop, &machine->settled);
    if (r == 0)
        r = vcpu_gate_init(&machine->gate, machine->loop, &machine->ending);
    return r < 0 ? error_set_errno(err, r, "cannot make a timer or a gate") : 0;
}

static int check_cpus(const struct machine *machine, struct error *err)
{
    if (machine->config->cpus > machine->kvm.max_vcpus)
        return error_set(err, -EINVAL, "--cpus %u: this host's KVM takes at most %u",
                         machine->config->cpus, machine->kvm.max_vcpus);
    return 0;
}

struct guest_memory_options machine_memory_options(const struct config *config)
{
    return (struct guest_memory_options){
        .size = config->mem_size,
        .hugepages = config->hugepages,
        .prefault = config->prefault,
        .thp = config->thp,
        .merge = config->merge_pages,
    };
}

static int create_memory(struct machine *machine, struct error *err)
{
    struct guest_memory_options options = machine_memory_options(machine->config);
    const char *lacks = guest_memory_host_lacks(&options);
    int r;

    options.base = machine->plan->ram_base;
    options.hole = hermit_is_wanted(machine) ? LAYOUT_HERMIT_HOLE : 0;
    r = guest_memory_create(&options, &machine->mem, err);

    if (r < 0)
        return error_prefix(err, r, "--mem");
    if (lacks && !machine->config->check)
        log_warning(machine->log, "%s", lacks);
    return 0;
}

static int add_ports(struct machine *machine, struct error *err)
{
    const struct config *config = machine->config;
    struct bus_range *const ranges[] = {
        &machine->serial.range,
        &machine->rtc.range,
        &machine->pit.range,
        &machine->pit.control_range,
        &machine->i8042.data_range,
        &machine->i8042.command_range,
        &machine->sleep.sleep_range,
        &machine->sleep.pm1a_range,
        &machine->osvm_port.range,
        /* The PCI host bridge has its ports, where there is one, and passes on what is its own. */
        devices_transport(config, hermit_is_wanted(machine)) == TRANSPORT_PCI
            ? NULL
            : &machine->reset.range,
        /* The user's choice: last, so that it is the one refused. */
        config->debug_exit_port == CONFIG_NO_PORT ? NULL : &machine->debug_exit.range,
    };

    for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
        int r = ranges[i] ? bus_add(&machine->ports, ranges[i]) : 0;

        if (r < 0)
            return error_set(err, r, "port 0x%" PRIx64 " (%s) is taken by another device",
                             ranges[i]->base, ranges[i]->name);
    }
    return 0;
}

static uint64_t high_memory(const struct machine *machine)
{
    size_t count;
    const struct guest_region *regions = guest_memory_regions(machine->mem, &count);

    return count > 1 ? regions[1].size : 0;
}

/* Those that can fail. */
static int create_interrupting_devices(struct machine *machine, struct error *err)
{
    struct irq_line serial_irq = {.fd = -1}, timer_irq = {.fd = -1};
    int r = vm_irq_connect(&machine->vm, IRQ_SERIAL, &serial_irq);

    if (r == 0)
        r = vm_irq_connect(&machine->vm, IRQ_TIMER, &timer_irq);
    if (r == 0)
        r = pit_init(&machine->pit, machine->loop, timer_irq);
    if (r < 0) {
        irq_line_destroy(&serial_irq);
        irq_line_destroy(&timer_irq);
        return error_set_errno(err, r, "cannot make the serial port's and the timer's interrupts");
    }
    console_serial_init(&machine->serial_end, machine->console, &machine->serial);
    serial_init(&machine->serial, PORT_SERIAL, serial_irq, &machine->serial_end.host);
    return 0;
}

static int create_board(struct machine *machine, struct error *err)
{
    const struct config *config = machine->config;
    uint64_t high = high_memory(machine);
    struct irq_line keyboard_irq;
    int r = create_interrupting_devices(machine, err);

    if (r < 0)
        return r;
    rtc_init(&machine->rtc, guest_memory_size(machine->mem) - high, high);
    i8042_init(&machine->i8042, &machine->power);
    if (config->api_sock) {
        r = vm_irq_connect(&machine->vm, IRQ_KEYBOARD, &keyboard_irq);
        if (r == 0)
            i8042_add_keyboard(&machine->i8042, keyboard_irq);
    }
    reset_register_init(&machine->reset, &machine->power);
    acpi_sleep_init(&machine->sleep, &machine->power);
    osvm_port_init(&machine->osvm_port, machine->stages->process_start_ns, &machine->power);
    ready_init(&machine->ready, config->ready_fd);
    machine->osvm_port.observer = &machine->ready.observer;
    if (config->debug_exit_port != CONFIG_NO_PORT)
        debug_exit_init(&machine->debug_exit, (uint16_t)config->debug_exit_port, &machine->power);
    machine->board_ready = true;
    return add_ports(machine, err);
}

static int create_consoles(struct machine *machine, const struct terminal *terminal,
                           struct error *err)
{
    const struct config *config = machine->config;
    const struct console_options serial = {config->console, "console", config->console_path,
                                           terminal};
    const struct console_options virtio = {config->virtio_console, "virtio console",
                                           config->virtio_console_path, terminal};
    int r = console_create(&serial, machine->loop, machine->log, &machine->user, &machine->console,
                           err);

    if (r < 0 || virtio.kind == CONSOLE_NONE)
        return r;
    r = console_create(&virtio, machine->loop, machine->log, &machine->user,
                       &machine->virtio_console, err);
    if (r < 0)
        return r;
    console_virtio_init(&machine->virtio_end, machine->virtio_console);
    return console_follow_size(machine->virtio_console, err);
}

static int create_devices(struct machine *machine, struct error *err)
{
    struct devices_host host = {
        .loop = machine->loop,
        .mem = machine->mem,
        .vm = &machine->vm,
        .ports = &machine->ports,
        .mmio = &machine->mmio,
        .reset_register = &machine->reset.range,
        .console = machine->virtio_console ? &machine->virtio_end.host : NULL,
        .log = machine->log,
        .hermit = hermit_is_wanted(machine),
    };
    int r = devices_create(machine->config, &host, &machine->devices, err);

    if (r == 0)
        machine->virtio_end.virtio = devices_console(machine->devices);
    return r;
}

static int create_vcpus(struct machine *machine, struct error *err)
{
    unsigned count = machine->config->cpus;
    struct cpuid cpuid;
    int khz, r;

    machine->vcpus = calloc(count, sizeof(*machine->vcpus));
    if (!machine->vcpus)
        return error_set(err, -ENOMEM, "out of memory");
    khz = ioctl(machine->vm.fd, KVM_GET_TSC_KHZ, 0);
    machine->tsc_khz = khz > 0 ? (unsigned)khz : 0;
    r = cpuid_init(&cpuid, &machine->kvm, count, machine->tsc_khz, err);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < count; i++) {
        struct vcpu *vcpu = &machine->vcpus[i];

        r = vcpu_create(vcpu, &machine->vm, i, &cpuid, err);
        if (r < 0)
            return r;
        machine->vcpu_count = i + 1;
        vcpu->ports = &machine->ports;
        vcpu->mmio = &machine->mmio;
        vcpu->hypercalls = hermit_hypercalls(machine->hermit);
        vcpu->observer = &machine->observer;
        vcpu->hook = &machine->thread_hook;
        vcpu->ending = &machine->ending;
        vcpu->gate = &machine->gate;
    }
    return 0;
}

static int create_gdb(struct machine *machine, struct error *err)
{
    struct gdb_server_machine parts = {
        .loop = machine->loop,
        .log = machine->log,
        .mem = machine->mem,
        .gate = &machine->gate,
        .vcpus = machine->vcpus,
        .vcpu_count = machine->vcpu_count,
        .user = &machine->debugger,
    };
    int r;

    if (!machine->config->gdb)
        return 0;
    r = gdb_server_create(machine->config->gdb, &parts, &machine->gdb, err);
    return r < 0 ? error_prefix(err, r, "--gdb %s", machine->config->gdb) : 0;
}

int machine_create(struct machine *machine, const struct config *config,
                   const struct boot_plan *plan, const char *private_folder,
                   const struct terminal *terminal, const struct log *log, struct stages *stages,
                   struct error *err)
{
    int r;

    *machine = (struct machine){
        .config = config,
        .plan = plan,
        .private_folder = private_folder,
        .log = log,
        .stages = stages,
        .kvm.fd = -1,
        .vm.fd = -1,
        .status_fd = -1,
        .control.source.fd = -1,
        .power.event = on_power_event,
        .observer = {.died = on_vcpu_died, .ended = on_vcpu_ended},
        .thread_hook.begin = on_thread_begin,
        .user = {.end = on_user_end, .status = on_user_status},
        .limits = {.exceeded = on_limit, .is_ready = guest_is_ready},
        .debugger = {.kill = on_debugger_kill},
    };
    pthread_mutex_init(&machine->end_lock, NULL);
    r = create_loop(machine, err);
    if (r == 0)
        r = limits_watch_create(&machine->limits, &config->limits, machine->loop, err);
    if (r == 0)
        r = kvm_open(&machine->kvm, err);
    if (r == 0)
        r = check_cpus(machine, err);
    if (r == 0)
        r = create_memory(machine, err);
    if (r == 0)
        r = vm_create(&machine->vm, &machine->kvm, machine->mem, err);
    if (r == 0)
        r = create_consoles(machine, terminal, err);
    if (r == 0)
        r = create_board(machine, err);
    if (r == 0)
        r = create_devices(machine, err);
    if (r == 0 && hermit_is_wanted(machine))
        r = hermit_create(machine, &machine->hermit, err);
    if (r == 0)
        r = create_vcpus(machine, err);
    if (r == 0)
        r = create_gdb(machine, err);
    if (r == 0)
        stages_reach(stages, STAGE_MACHINE);
    return r;
}

void machine_destroy(struct machine *machine)
{
    console_destroy(machine->console);
    console_destroy(machine->virtio_console);
    gdb_server_destroy(machine->gdb);
    for (unsigned i = 0; i < machine->vcpu_count; i++)
        vcpu_destroy(&machine->vcpus[i]);
    free(machine->vcpus);
    free(machine->cmdline);
    hermit_destroy(machine->hermit);
    devices_destroy(machine->devices);
    if (machine->board_ready) {
        serial_destroy(&machine->serial);
        rtc_destroy(&machine->rtc);
        pit_destroy(&machine->pit);
        i8042_destroy(&machine->i8042);
    }
    control_destroy(&machine->control);
    vm_destroy(&machine->vm);
    guest_memory_destroy(machine->mem);
    kvm_close(&machine->kvm);
    if (machine->loop) {
        limits_watch_destroy(&machine->limits);
        vcpu_gate_destroy(&machine->gate);
        loop_timer_remove(machine->loop, &machine->settled);
        loop_signals_remove(machine->loop, &machine->signals);
    }
    loop_destroy(machine->loop);
    close_fd(machine->status_fd);
    pthread_mutex_destroy(&machine->end_lock);
}

/* What a PC's firmware leaves in memory, and what it passes on. */
static int write_firmware(struct machine *machine, struct boot_request *request, struct error *err)
{
    struct acpi_options acpi = {
        .cpus = machine->vcpu_count,
        .keyboard = machine->i8042.has_keyboard,
    };
    int r = devices_cmdline(machine->devices, request->cmdline, &machine->cmdline);

    if (r < 0)
        return error_set(err, r, "out of memory");
    request->cmdline = machine->cmdline;
    devices_describe(machine->devices, &acpi);
    r = acpi_build(machine->mem, &acpi, &request->rsdp, err);
    if (r == 0 && reset_vector_write(machine->mem) < 0)
        r = error_set(err, -EFAULT, "the memory is too small for the reset vector");
    return r;
}

int machine_load(struct machine *machine, struct boot_request *request, struct error *err)
{
    struct hermit_handover handover;
    struct boot_result boot;
    int r = 0;

    if (hermit_is_wanted(machine)) {
        handover = hermit_describe(machine);
        request->hermit = &handover;
    } else {
        r = write_firmware(machine, request, err);
    }
    if (r == 0)
        r = image_load(request, machine->mem, &boot, err);
    request->hermit = NULL;
    for (unsigned i = 0; r == 0 && i < machine->vcpu_count; i++) {
        r = vcpu_set_entry(&machine->vcpus[i], &boot.entry);
        if (r < 0)
            error_set_errno(err, r, "KVM does not take the entry state");
    }
    if (r == 0) {
        log_info(machine->log, "booting a %s, entry 0x%" PRIx64, boot_protocol_name(boot.protocol),
                 boot.entry.rip);
        if (boot.hermit_interface)
            log_info(machine->log, "hypercall interface %u, memory begins at 0x%" PRIx64,
                     boot.hermit_interface, machine->plan->ram_base);
        stages_reach(machine->stages, STAGE_LOADED);
    }
    return r;
}

int machine_prepare(struct machine *machine, struct error *err)
{
    int r = console_start(machine->console, &machine->serial_end.device);

    if (r == 0 && machine->virtio_console)
        r = console_start(machine->virtio_console, &machine->virtio_end.device);
    if (r < 0)
        return error_set_errno(err, r, "cannot start the console");
    if (machine->config->exit_record)
        machine->status_fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    return 0; /* where there is no /proc, the record says no memory of the VMM's */
}

int machine_lock(struct machine *machine, struct jail *jail, const struct guardian *guardian,
                 struct error *err)
{
    struct virtio_device *vsock = devices_vsock(machine->devices);
    const char *path = machine->config->devices.vsock.path;
    int r = jail_enter(jail, guardian, err);

    if (r < 0)
        return r;
    machine->jail = jail;
    if (jail->closed && vsock) /* its folder is where we are */
        virtio_vsock_relocate(vsock, strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
    stages_reach(machine->stages, STAGE_LOCKED);
    return 0;
}

static int start(struct machine *machine, struct error *err)
{
    int started = devices_start(machine->devices, &machine->thread_hook, err);

    if (started < 0)
        return started;
    if (machine->gdb) {
        int r = gdb_server_start(machine->gdb);

        if (r < 0)
            return error_set_errno(err, r, "cannot wait for gdb");
    }
    for (unsigned i = 0; i < machine->vcpu_count; i++) {
        int r = vcpu_start(&machine->vcpus[i]);
        if (r < 0)
            return error_set_errno(err, r, "cannot start CPU %u's thread", i);
        r = limits_pin(&machine->config->limits, i, machine->vcpus[i].thread);
        if (r < 0)
            return error_set_errno(err, r, "--cpu-affinity: cannot pin CPU %u", i);
    }
    stages_reach(machine->stages, STAGE_STARTED);
    loop_timer_arm(&machine->settled, SETTLED_AFTER_NS, 0);
    limits_watch_start(&machine->limits);
    if (control_start(&machine->control) < 0)
        return error_set(err, -EIO, "cannot take the API's commands");
    thread_begin(&machine->thread_hook, THREAD_LOOP); /* the last: no thread is started any more */
    return 0;
}

static void stop(struct machine *machine)
{
    __atomic_store_n(&machine->ending, true, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < machine->vcpu_count; i++)
        vcpu_kick(&machine->vcpus[i]);
    vcpu_gate_end(&machine->gate);
    for (unsigned i = 0; i < machine->vcpu_count; i++)
        vcpu_join(&machine->vcpus[i]);
    if (machine->gdb)
        gdb_server_ended(machine->gdb, machine->end.status);
}

/* Where the guest ended by itself, what it said last is still to be read. */
static void drain_consoles(struct machine *machine)
{
    int abort_fd = machine->signals.source.fd;
    uint64_t lost;

    if (machine->end.reason != MACHINE_SIGNAL && machine->end.reason != MACHINE_LIMIT &&
        machine->end.reason != MACHINE_CONSOLE) {
        console_drain(machine->console, abort_fd);
        if (machine->virtio_console)
            console_drain(machine->virtio_console, abort_fd);
    }
    lost = serial_lost(&machine->serial);
    if (lost)
        log_warning(machine->log,
                    "the guest sent %" PRIu64 " bytes faster than the console took "
                    "them; they are lost",
                    lost);
}

static void note_guest_stages(struct machine *machine)
{
    uint64_t *reached = machine->stages->reached_ns;

    for (unsigned i = 0; i < machine->vcpu_count; i++) {
        uint64_t first = machine->vcpus[i].first_exit_ns;

        if (first && (!reached[STAGE_FIRST_EXIT] || first < reached[STAGE_FIRST_EXIT]))
            reached[STAGE_FIRST_EXIT] = first;
    }
    reached[STAGE_FIRST_INSTRUCTION] =
        osvm_port_milestone(&machine->osvm_port, OSVM_MILESTONE_FIRST_INSTRUCTION);
    reached[STAGE_READY] = osvm_port_milestone(&machine->osvm_port, OSVM_MILESTONE_READY);
}

void machine_pause(struct machine *machine, struct gate_hold *hold)
{
    vcpu_gate_hold(&machine->gate, hold);
}

void machine_resume(struct machine *machine, struct gate_hold *hold)
{
    vcpu_gate_release(&machine->gate, hold);
}

void machine_leave_files(struct machine *machine)
{
    hermit_destroy(take_ptr(machine->hermit));
}

int machine_run(struct machine *machine, struct error *err)
{
    int r = start(machine, err);

    if (r == 0) {
        r = loop_run(machine->loop);
        if (r < 0)
            error_set_errno(err, r, "the event loop failed");
    }
    stop(machine);
    stages_reach(machine->stages, STAGE_ENDED);
    note_guest_stages(machine);
    drain_consoles(machine);
    return r;
}

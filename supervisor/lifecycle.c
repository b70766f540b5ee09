/* Starts, ends, and what follows from them. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"
#include "lifecycle.h"
#include "prober.h"
#include "store.h"

static void set_status(struct managed *managed, enum component_status status, const char *message)
{
    if (managed->status == status && strcmp(managed->message, message) == 0)
        return;
    managed->status = status;
    snprintf(managed->message, sizeof(managed->message), "%s", message);
    supervisor_tell(managed->supervisor, managed, "status", message);
}

static bool is_up(const struct managed *managed)
{
    return managed->gone.fd >= 0;
}

/* --- signals to the monitor ---------------------------------------------------------------------
 */

static int signal_monitor(const struct managed *managed, int number)
{
    return syscall(SYS_pidfd_send_signal, managed->gone.fd, number, NULL, 0) < 0 ? -errno : 0;
}

/* --- readiness and health ------------------------------------------------------------------------
 */

static void become_ready(struct managed *managed)
{
    struct supervisor *supervisor = managed->supervisor;

    deadline_clear(&supervisor->deadlines, &managed->boot_limit);
    prober_stop(managed);
    managed->ready_ns = clock_realtime_ns();
    managed->probe_failures = 0;
    set_status(managed, STATUS_RUNNING, "");
    if (managed->component.health.kind != FIELD_WORD_UNSET &&
        prober_start(managed, &managed->component.health) < 0)
        supervisor_tell(supervisor, managed, "warning", "its health cannot be probed");
    lifecycle_wake_dependents(managed);
}

static void set_health(struct managed *managed, enum health health, const char *detail)
{
    if (managed->health == health)
        return;
    managed->health = health;
    supervisor_tell(managed->supervisor, managed, "health", detail);
}

/* Too unwell to go on: it is ended, and its policy says what then. */
static void give_up(struct managed *managed, const char *detail)
{
    set_health(managed, HEALTH_UNHEALTHY, detail);
    if (managed->component.restart.policy == RESTART_NEVER)
        return;
    prober_stop(managed);
    signal_monitor(managed, SIGTERM);
}

int managed_find_child(struct managed *managed)
{
    struct process_id monitor;
    double started;

    if (managed->child.pid)
        return 0;
    if (!is_up(managed) ||
        instance_read_monitor(&managed->supervisor->paths, managed->component.metadata.name,
                              &monitor, &managed->child, &started) < 0)
        return -ESRCH;
    return 0;
}

void managed_probed(struct managed *managed, bool good, const char *detail)
{
    managed->probed_ns = clock_realtime_ns();
    snprintf(managed->probe_detail, sizeof(managed->probe_detail), "%s", good ? "" : detail);
    if (managed->status == STATUS_STARTING) {
        if (good)
            become_ready(managed);
        return; /* the boot limit ends what never is */
    }
    if (managed->status != STATUS_RUNNING)
        return;
    managed->probe_failures = good ? 0 : managed->probe_failures + 1;
    if (good)
        set_health(managed, HEALTH_HEALTHY, detail);
    else if (managed->probe_failures >= managed->component.health.failures)
        give_up(managed, detail);
    else
        set_health(managed, HEALTH_DEGRADED, detail);
}

/* Whether its monitor wrote down that it said so itself, which nobody but a guest is asked to. */
static bool has_said_ready(const struct managed *managed)
{
    _cleanup_free_ char *ready =
        paths_run(&managed->supervisor->paths, managed->component.metadata.name, RUN_READY);

    return ready && access(ready, F_OK) == 0;
}

static void on_boot_limit(struct deadline *deadline)
{
    struct managed *managed = container_of(deadline, struct managed, boot_limit);

    if (has_said_ready(managed)) { /* only the datagram was lost */
        become_ready(managed);
        return;
    }
    snprintf(managed->message, sizeof(managed->message),
             "it was not ready after %" PRIu64 " s (resource_limits.boot_timeout)",
             managed->component.limits.boot_timeout_sec);
    signal_monitor(managed, SIGUSR1);
}

/* Watch for it to be ready, in the way that it names. That it is started, and a guest's own word,
 * come by its monitor. */
static void await_ready(struct managed *managed)
{
    const struct component *component = &managed->component;
    enum probe_kind kind = component_readiness(component, managed->choice.level);

    deadline_set(&managed->supervisor->deadlines, &managed->boot_limit,
                 component->limits.boot_timeout_sec * NS_PER_SEC);
    if (kind != PROBE_GUEST && kind != PROBE_STARTED &&
        prober_start(managed, &component->readiness) < 0)
        supervisor_tell(managed->supervisor, managed, "warning",
                        "whether it is ready cannot be probed");
}

/* --- its end
 * -------------------------------------------------------------------------------------- */

/* Whether the end was a failure, and how to say so. */
static bool read_end(struct managed *managed, char *text, size_t size)
{
    struct instance_end *end = &managed->end;

    managed->has_ended = true;
    if (instance_read_end(&managed->supervisor->paths, managed->component.metadata.name, end) < 0) {
        *end = (struct instance_end){.signalled = true, .code = SIGKILL, .reason = "lost"};
        end->ended = (double)clock_realtime_ns() / 1e9;
        snprintf(text, size, "its monitor was killed, and it with it");
        return true;
    }
    if (*end->message)
        snprintf(text, size, "%s", end->message);
    else
        snprintf(text, size, "it ended with status %d", end->code);
    return end->signalled || end->code != 0 || strcmp(end->reason, "exited") != 0;
}

static void on_next_start(struct deadline *deadline)
{
    struct managed *managed = container_of(deadline, struct managed, next_start);
    struct error err = {0};

    managed->restarts++;
    if (lifecycle_launch(managed, &err) < 0)
        lifecycle_failed(managed, err.text);
}

/* The pause before the next start: the first, doubled for each failure in a row, up to the longest.
 */
static uint64_t pause_ms(const struct managed *managed)
{
    const struct restart *restart = &managed->component.restart;
    uint64_t pause = restart->delay_ms;

    for (unsigned i = 1; i < managed->failures && pause < restart->max_delay_ms; i++)
        pause *= 2;
    return min_u64(pause, restart->max_delay_ms);
}

/* A component that ran a while has not failed in a row. */
#define SETTLED_NS (60 * NS_PER_SEC)

static bool should_restart(struct managed *managed, bool failed)
{
    const struct restart *restart = &managed->component.restart;

    if (managed->ready_ns && clock_realtime_ns() - managed->ready_ns > SETTLED_NS)
        managed->failures = 0;
    managed->failures = failed ? managed->failures + 1 : 0;
    if (!managed->wanted || restart->policy == RESTART_NEVER ||
        (restart->policy == RESTART_ON_FAILURE && !failed))
        return false;
    return !restart->max_retries || managed->failures <= restart->max_retries;
}

void lifecycle_failed(struct managed *managed, const char *why)
{
    char text[256];

    snprintf(text, sizeof(text), "%s", why); /* perhaps the component's own message */
    if (should_restart(managed, true)) {
        set_status(managed, STATUS_STARTING, text);
        deadline_set(&managed->supervisor->deadlines, &managed->next_start,
                     pause_ms(managed) * NS_PER_MS);
    } else {
        set_status(managed, STATUS_FAILED, text);
    }
}

/* What follows from an end that nobody asked for. */
static void after_end(struct managed *managed, bool failed, const char *text)
{
    if (failed) {
        /* Why it was ended by force is known better than that it was. */
        lifecycle_failed(managed, *managed->message ? managed->message : text);
    } else if (should_restart(managed, false)) {
        set_status(managed, STATUS_STARTING, text);
        deadline_set(&managed->supervisor->deadlines, &managed->next_start,
                     managed->component.restart.delay_ms * NS_PER_MS);
    } else {
        set_status(managed, STATUS_STOPPED, text);
    }
}

void lifecycle_ended(struct managed *managed)
{
    struct supervisor *supervisor = managed->supervisor;
    struct error err = {0};
    char text[256];
    bool failed = read_end(managed, text, sizeof(text));

    loop_remove(supervisor->loop, &managed->gone);
    waitid(P_PIDFD, (id_t)managed->gone.fd, &(siginfo_t){0},
           WEXITED | WNOHANG); /* it may be ours */
    close_fd(take_fd(&managed->gone.fd));
    deadline_clear(&supervisor->deadlines, &managed->boot_limit);
    prober_stop(managed);
    managed->monitor = managed->child = (struct process_id){0};
    managed->ready_ns = managed->status == STATUS_RUNNING ? managed->ready_ns : 0;
    managed->health = HEALTH_UNKNOWN;
    instance_clean(&supervisor->paths, &managed->component, managed->choice.runtime);
    if (managed->status != STATUS_STOPPING) {
        after_end(managed, failed, text);
    } else if (managed->restart) {
        managed->restart = false;
        managed->restarts++;
        if (lifecycle_launch(managed, &err) < 0)
            lifecycle_failed(managed, err.text);
    } else {
        set_status(managed, STATUS_STOPPED, text);
    }
    lifecycle_stop_dependencies(managed);
    if (managed->removed && !is_up(managed))
        lifecycle_forget(managed);
}

static void on_gone(struct loop_source *source, uint32_t events)
{
    (void)events;
    lifecycle_ended(container_of(source, struct managed, gone));
}

/* --- its start
 * ------------------------------------------------------------------------------------ */

int lifecycle_watch(struct managed *managed, const struct process_id *monitor)
{
    int fd = process_open(monitor), r;

    if (fd < 0)
        return fd;
    managed->gone = (struct loop_source){.fd = fd, .events = EPOLLIN, .callback = on_gone};
    r = loop_add(managed->supervisor->loop, &managed->gone);
    if (r < 0) {
        close_fd(take_fd(&managed->gone.fd));
        return r;
    }
    managed->monitor = *monitor;
    return 0;
}

int lifecycle_launch(struct managed *managed, struct error *err)
{
    struct supervisor *supervisor = managed->supervisor;
    struct process_id monitor = {0};
    int r;

    if (!lifecycle_dependencies_ready(managed)) {
        managed->waiting = true;
        set_status(managed, STATUS_STARTING, "it waits for what it depends on");
        return 0; /* they wake it */
    }
    managed->waiting = false;
    r = runtime_manager_choose(&supervisor->runtimes, &managed->component, &managed->choice, err);
    if (r == 0 && (managed->choice.weaker || managed->choice.level == LEVEL_NONE))
        supervisor_tell(supervisor, managed, "warning", managed->choice.reason);
    if (r == 0)
        r = instance_start(&managed->component, &managed->choice, &supervisor->paths, false,
                           &monitor.pid, err);
    if (r < 0)
        return r;
    managed->started_ns = clock_realtime_ns();
    managed->ready_ns = managed->probed_ns = 0;
    monitor.start = process_start_time(monitor.pid); /* our child: it is not reaped, so it is it */
    r = lifecycle_watch(managed, &monitor);
    if (r < 0)
        return error_set_errno(err, r, "cannot watch its monitor");
    set_status(managed, STATUS_STARTING, "");
    await_ready(managed);
    return 0;
}

void lifecycle_adopt(struct managed *managed)
{
    struct supervisor *supervisor = managed->supervisor;
    const char *name = managed->component.metadata.name;
    struct process_id monitor, child;
    struct error err = {0};
    double started;

    if (instance_read_monitor(&supervisor->paths, name, &monitor, &child, &started) < 0)
        return; /* it never ran, or since a reboot not */
    /* What it runs as is what would be chosen again: the same component on the same host. */
    runtime_manager_choose(&supervisor->runtimes, &managed->component, &managed->choice, &err);
    managed->status = STATUS_STARTING;
    managed->child = child;
    managed->started_ns = (uint64_t)(started * 1e9);
    if (lifecycle_watch(managed, &monitor) < 0) {
        managed->gone.fd = -1;
        lifecycle_ended(managed);
        return;
    }
    supervisor_tell(supervisor, managed, "status", "found running");
    if (has_said_ready(managed))
        become_ready(managed);
    else
        await_ready(managed);
}

void lifecycle_told(struct managed *managed, const char *what)
{
    /* The files are what counts; that they are to be looked at is all that a datagram says. */
    if (strcmp(what, "ready") == 0 && managed->status == STATUS_STARTING && is_up(managed) &&
        has_said_ready(managed))
        become_ready(managed);
}

/* --- what people ask for
 * -------------------------------------------------------------------------- */

void lifecycle_init(struct managed *managed)
{
    managed->gone.fd = -1;
    managed->next_start.callback = on_next_start;
    managed->boot_limit.callback = on_boot_limit;
}

/* Begin to stop what runs. */
static void begin_stop(struct managed *managed, int number)
{
    prober_stop(managed);
    deadline_clear(&managed->supervisor->deadlines, &managed->boot_limit);
    set_status(managed, STATUS_STOPPING, "");
    signal_monitor(managed, number);
}

int managed_start(struct managed *managed, struct error *err)
{
    struct supervisor *supervisor = managed->supervisor;
    int r;

    if (managed->status == STATUS_STOPPING) {
        managed->restart = true; /* as soon as it has stopped */
        return store_set_wanted(&supervisor->paths, managed->component.metadata.name, true, err);
    }
    if (is_up(managed) || managed->waiting)
        return 0;
    r = lifecycle_start_dependencies(managed, err);
    if (r == 0)
        r = store_set_wanted(&supervisor->paths, managed->component.metadata.name, true, err);
    if (r < 0)
        return r;
    deadline_clear(&supervisor->deadlines, &managed->next_start);
    managed->wanted = true;
    managed->failures = 0;
    set_status(managed, STATUS_STARTING, "");
    r = lifecycle_launch(managed, err);
    if (r < 0) {
        managed->wanted = false;
        set_status(managed, STATUS_FAILED, err->text);
    }
    return r;
}

static int stop(struct managed *managed, int number, struct error *err)
{
    struct supervisor *supervisor = managed->supervisor;
    int r = store_set_wanted(&supervisor->paths, managed->component.metadata.name, false, err);

    if (r < 0)
        return r;
    managed->wanted = managed->restart = managed->waiting = false;
    deadline_clear(&supervisor->deadlines, &managed->next_start);
    if (!is_up(managed)) {
        if (managed->status == STATUS_STARTING)
            set_status(managed, STATUS_STOPPED, "");
        return 0;
    }
    if (lifecycle_stop_dependents(managed)) {
        set_status(managed, STATUS_STOPPING, "it waits for those that depend on it");
        return 0; /* the last of them goes on with it */
    }
    begin_stop(managed, number);
    return 0;
}

void lifecycle_continue_stop(struct managed *managed)
{
    begin_stop(managed, SIGTERM);
}

int managed_stop(struct managed *managed, struct error *err)
{
    return stop(managed, SIGTERM, err);
}

int managed_kill(struct managed *managed, struct error *err)
{
    int r =
        store_set_wanted(&managed->supervisor->paths, managed->component.metadata.name, false, err);

    if (r < 0)
        return r;
    managed->wanted = managed->restart = managed->waiting = false;
    deadline_clear(&managed->supervisor->deadlines, &managed->next_start);
    if (is_up(managed))
        begin_stop(managed, SIGUSR1);
    else if (managed->status == STATUS_STARTING)
        set_status(managed, STATUS_STOPPED, "");
    return 0;
}

int managed_restart(struct managed *managed, struct error *err)
{
    int r;

    if (!is_up(managed))
        return managed_start(managed, err);
    r = store_set_wanted(&managed->supervisor->paths, managed->component.metadata.name, true, err);
    if (r < 0)
        return r;
    managed->wanted = managed->restart = true;
    if (managed->status != STATUS_STOPPING)
        begin_stop(managed, SIGTERM);
    return 0;
}

#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"
#include "lifecycle.h"
#include "prober.h"
#include "store.h"

const char *component_status_name(enum component_status status)
{
    static const char *const names[] = {
        [STATUS_STARTING] = "starting", [STATUS_RUNNING] = "running",
        [STATUS_STOPPING] = "stopping", [STATUS_STOPPED] = "stopped",
        [STATUS_FAILED] = "failed",     [STATUS_UPGRADING] = "upgrading",
    };

    return names[status];
}

const char *health_name(enum health health)
{
    static const char *const names[] = {
        [HEALTH_UNKNOWN] = "unknown",
        [HEALTH_HEALTHY] = "healthy",
        [HEALTH_DEGRADED] = "degraded",
        [HEALTH_UNHEALTHY] = "unhealthy",
    };

    return names[health];
}

void supervisor_tell(struct supervisor *supervisor, const struct managed *managed, const char *kind,
                     const char *message)
{
    const char *name = managed->component.metadata.name;
    json_t *event;

    log_write(supervisor->log, strcmp(kind, "warning") == 0 ? LOG_WARNING : LOG_INFO, "%s: %s%s%s",
              name,
              strcmp(kind, "status") == 0   ? component_status_name(managed->status)
              : strcmp(kind, "health") == 0 ? health_name(managed->health)
                                            : kind,
              *message ? ": " : "", message);
    if (!supervisor->event)
        return;
    event = json_pack("{s:f, s:s, s:s, s:s, s:s, s:s}", "time", (double)clock_realtime_ns() / 1e9,
                      "component", name, "event", kind, "status",
                      component_status_name(managed->status), "health",
                      health_name(managed->health), "message", message);
    if (event)
        supervisor->event(supervisor->event_context, event);
    json_decref(event);
}

struct managed *supervisor_find(struct supervisor *supervisor, const char *name)
{
    for (struct managed *managed = supervisor->components; managed; managed = managed->next) {
        if (strcmp(managed->component.metadata.name, name) == 0)
            return managed;
    }
    return NULL;
}

/* Take a component onto the list, which is by name. NULL: out of memory; it is the caller's then.
 */
static struct managed *add(struct supervisor *supervisor, struct component *component)
{
    struct managed *managed = calloc(1, sizeof(*managed));
    struct managed **at = &supervisor->components;

    if (!managed)
        return NULL;
    managed->supervisor = supervisor;
    managed->component = *component;
    managed->status = STATUS_STOPPED;
    lifecycle_init(managed);
    while (*at && strcmp((*at)->component.metadata.name, component->metadata.name) < 0)
        at = &(*at)->next;
    managed->next = *at;
    *at = managed;
    return managed;
}

static void release(struct managed *managed)
{
    struct supervisor *supervisor = managed->supervisor;

    prober_stop(managed);
    deadline_clear(&supervisor->deadlines, &managed->next_start);
    deadline_clear(&supervisor->deadlines, &managed->boot_limit);
    loop_remove(supervisor->loop, &managed->gone);
    close_fd(managed->gone.fd);
    component_free(&managed->component);
    free(managed);
}

void lifecycle_forget(struct managed *managed)
{
    struct supervisor *supervisor = managed->supervisor;
    struct managed **at = &supervisor->components;
    struct error err = {0};

    while (*at != managed)
        at = &(*at)->next;
    *at = managed->next;
    if (store_remove(&supervisor->paths, managed->component.metadata.name, &err) < 0)
        supervisor_tell(supervisor, managed, "warning", err.text);
    instance_remove_lock(&supervisor->paths, managed->component.metadata.name);
    supervisor_tell(supervisor, managed, "removed", "");
    release(managed);
}

int supervisor_create(struct supervisor *supervisor, struct component *component,
                      struct managed **ret_managed, struct error *err)
{
    struct managed *managed;
    char id[40];
    int r;

    if (supervisor_find(supervisor, component->metadata.name))
        return error_set(err, -EEXIST, "there is a component '%s' already",
                         component->metadata.name);
    r = dependencies_check(supervisor, component, err);
    if (r < 0)
        return r;
    if (!component->id) {
        component->id = instance_new_id(id) < 0 ? NULL : strdup(id);
        if (!component->id)
            return error_set(err, -ENOMEM, "cannot make an id");
    }
    r = store_save(&supervisor->paths, component, err);
    if (r < 0)
        return r;
    managed = add(supervisor, component);
    if (!managed)
        return error_set(err, -ENOMEM, "out of memory");
    *component = (struct component){0};
    supervisor_tell(supervisor, managed, "created", "");
    *ret_managed = managed;
    return 0;
}

int managed_remove(struct managed *managed, bool force, struct error *err)
{
    const char *name = managed->component.metadata.name;
    int r;

    for (struct managed *other = managed->supervisor->components; other; other = other->next) {
        for (size_t i = 0; i < other->component.depends_on.count; i++) {
            if (strcmp(other->component.depends_on.items[i], name) == 0)
                return error_set(err, -EBUSY, "'%s' depends on it; remove that first",
                                 other->component.metadata.name);
        }
    }
    if (managed->gone.fd < 0 && managed->status != STATUS_STARTING) {
        lifecycle_forget(managed);
        return 0;
    }
    if (!force)
        return error_set(err, -EBUSY, "it is %s; stop it first, or say --force",
                         component_status_name(managed->status));
    r = managed_kill(managed, err);
    if (r < 0)
        return r;
    if (managed->gone.fd < 0)
        lifecycle_forget(managed);
    else
        managed->removed = true;
    return 0;
}

/* --- what monitors say
 * ---------------------------------------------------------------------------- */

static void on_notify(struct loop_source *source, uint32_t events)
{
    struct supervisor *supervisor = container_of(source, struct supervisor, notify);
    char text[256];
    ssize_t n;

    (void)events;
    while ((n = recv(source->fd, text, sizeof(text) - 1, MSG_DONTWAIT)) > 0) {
        struct managed *managed;
        char *what;

        text[n] = '\0';
        what = strchr(text, ' ');
        if (!what)
            continue;
        *what = '\0';
        managed = supervisor_find(supervisor, text);
        if (managed)
            lifecycle_told(managed, what + 1);
    }
}

static int listen_to_monitors(struct supervisor *supervisor, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd, r;

    if (snprintf(address.sun_path, sizeof(address.sun_path), "%s/" RUN_NOTIFY,
                 supervisor->paths.run) >= (int)sizeof(address.sun_path))
        return error_set(err, -ENAMETOOLONG, "the run folder's path '%s' is too long for sockets",
                         supervisor->paths.run);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot make a socket");
    supervisor->notify = (struct loop_source){.fd = fd, .events = EPOLLIN, .callback = on_notify};
    unlink(address.sun_path);
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return error_set_errno(err, -errno, "cannot listen at '%s'", address.sun_path);
    r = loop_add(supervisor->loop, &supervisor->notify);
    return r < 0 ? error_set_errno(err, r, "cannot watch a socket") : 0;
}

/* --- the whole
 * ------------------------------------------------------------------------------------ */

static void on_found(void *context, struct component *component, bool wanted)
{
    struct supervisor *supervisor = context;
    struct managed *managed = add(supervisor, component);

    if (managed)
        managed->wanted = wanted;
    else
        component_free(component);
}

static void on_damaged(void *context, const char *name, const char *why)
{
    struct supervisor *supervisor = context;

    log_error(supervisor->log, "component '%s' cannot be read and is left alone: %s", name, why);
}

/* Start what was to run and does not. */
static void start_wanted(struct supervisor *supervisor)
{
    for (struct managed *managed = supervisor->components; managed; managed = managed->next) {
        struct error err = {0};

        if (!managed->wanted || managed->gone.fd >= 0 || managed->next_start.place ||
            managed->has_ended)
            continue;
        if (managed_start(managed, &err) < 0)
            log_error(supervisor->log, "%s: %s", managed->component.metadata.name, err.text);
    }
}

int supervisor_init(struct supervisor *supervisor, struct paths *paths, struct loop *loop,
                    const struct log *log, struct error *err)
{
    int r;

    *supervisor = (struct supervisor){.paths = *paths, .loop = loop, .log = log, .notify.fd = -1};
    *paths = (struct paths){0};
    r = deadlines_init(&supervisor->deadlines, loop);
    if (r < 0)
        return error_set_errno(err, r, "cannot make a timer");
    r = listen_to_monitors(supervisor, err);
    if (r < 0)
        return r;
    runtime_manager_init(&supervisor->runtimes);
    r = store_load(&supervisor->paths, on_found, on_damaged, supervisor, err);
    if (r < 0)
        return r;
    for (struct managed *managed = supervisor->components; managed; managed = managed->next)
        lifecycle_adopt(managed);
    start_wanted(supervisor);
    return 0;
}

void supervisor_destroy(struct supervisor *supervisor)
{
    while (supervisor->components) {
        struct managed *managed = supervisor->components;

        supervisor->components = managed->next;
        release(managed);
    }
    loop_remove(supervisor->loop, &supervisor->notify);
    close_fd(supervisor->notify.fd);
    deadlines_destroy(&supervisor->deadlines);
    paths_free(&supervisor->paths);
}

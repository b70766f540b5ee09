/* Components that depend on one another: started in order, stopped in reverse. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "lifecycle.h"

static bool depends_on(const struct component *component, const char *name)
{
    for (size_t i = 0; i < component->depends_on.count; i++) {
        if (strcmp(component->depends_on.items[i], name) == 0)
            return true;
    }
    return false;
}

bool lifecycle_dependencies_ready(const struct managed *managed)
{
    const struct string_list *names = &managed->component.depends_on;

    for (size_t i = 0; i < names->count; i++) {
        const struct managed *needed = supervisor_find(managed->supervisor, names->items[i]);

        if (!needed || needed->status != STATUS_RUNNING)
            return false;
    }
    return true;
}

int lifecycle_start_dependencies(struct managed *managed, struct error *err)
{
    const struct string_list *names = &managed->component.depends_on;

    for (size_t i = 0; i < names->count; i++) {
        struct managed *needed = supervisor_find(managed->supervisor, names->items[i]);
        int r = needed ? managed_start(needed, err)
                       : error_set(err, -ENOENT, "it depends on '%s', which is not kept",
                                   names->items[i]);

        if (r < 0)
            return needed ? error_prefix(err, r, "'%s', on which it depends", names->items[i]) : r;
    }
    return 0;
}

void lifecycle_wake_dependents(struct managed *managed)
{
    for (struct managed *other = managed->supervisor->components; other; other = other->next) {
        struct error err = {0};

        if (other->waiting && depends_on(&other->component, managed->component.metadata.name) &&
            lifecycle_launch(other, &err) < 0)
            lifecycle_failed(other, err.text);
    }
}

/* Runs, or is about to. */
static bool runs(const struct managed *managed)
{
    return managed->gone.fd >= 0 || managed->waiting || managed->next_start.place;
}

bool lifecycle_stop_dependents(struct managed *managed)
{
    bool any = false;

    for (struct managed *other = managed->supervisor->components; other; other = other->next) {
        struct error err = {0};

        if (!depends_on(&other->component, managed->component.metadata.name) || !runs(other))
            continue;
        if (other->status != STATUS_STOPPING && managed_stop(other, &err) < 0)
            supervisor_tell(managed->supervisor, other, "warning", err.text);
        any = any || runs(other);
    }
    return any;
}

void lifecycle_stop_dependencies(struct managed *managed)
{
    for (size_t i = 0; i < managed->component.depends_on.count; i++) {
        struct managed *needed =
            supervisor_find(managed->supervisor, managed->component.depends_on.items[i]);

        if (needed && needed->status == STATUS_STOPPING && !needed->wanted && *needed->message &&
            !lifecycle_stop_dependents(needed))
            lifecycle_continue_stop(needed);
    }
}

/* Whether `name` is reached from a component by what it depends on; no kept ones form a circle. */
static bool reaches(struct supervisor *supervisor, const struct component *component,
                    const char *name)
{
    for (size_t i = 0; i < component->depends_on.count; i++) {
        const struct managed *needed = supervisor_find(supervisor, component->depends_on.items[i]);

        if (strcmp(component->depends_on.items[i], name) == 0 ||
            (needed && reaches(supervisor, &needed->component, name)))
            return true;
    }
    return false;
}

int dependencies_check(struct supervisor *supervisor, const struct component *component,
                       struct error *err)
{
    for (size_t i = 0; i < component->depends_on.count; i++) {
        const char *name = component->depends_on.items[i];
        const struct managed *needed = supervisor_find(supervisor, name);

        if (!needed)
            return error_set(err, -ENOENT, "depends_on: '%s' is not kept here; create it first",
                             name);
        if (reaches(supervisor, &needed->component, component->metadata.name))
            return error_set(err, -ELOOP, "depends_on: '%s' depends on this one", name);
    }
    return 0;
}

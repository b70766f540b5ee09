/* A kept component as JSON, for ps, inspect and events. */
#include "supervisor.h"

static int put(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value);
}

static json_t *seconds(uint64_t ns)
{
    return ns ? json_real((double)ns / 1e9) : json_null();
}

static void put_end(json_t *object, const struct managed *managed)
{
    const struct instance_end *end = &managed->end;

    if (managed->has_ended)
        put(object, "last_end",
            json_pack("{s:s, s:i, s:b, s:f, s:s}", "reason", end->reason, "code", end->code,
                      "signalled", end->signalled, "time", end->ended, "message", end->message));
}

json_t *managed_describe(const struct managed *managed, bool whole)
{
    const struct component *component = &managed->component;
    const struct runtime_choice *choice = &managed->choice;
    json_t *object =
        whole ? component_write(component)
              : json_pack("{s:s, s:s}", "id", component->id, "name", component->metadata.name);

    if (!object)
        return NULL;
    put(object, "name", json_string(component->metadata.name));
    put(object, "type",
        json_string(component_kind_name((enum component_kind)component->type.kind)));
    put(object, "status", json_string(component_status_name(managed->status)));
    put(object, "health", json_string(health_name(managed->health)));
    put(object, "level",
        json_string(isolation_level_name(
            choice->runtime ? choice->level : (enum isolation_level)component->isolation.level)));
    put(object, "weaker", json_boolean(choice->weaker));
    put(object, "message", json_string(managed->message));
    put(object, "restarts", json_integer(managed->restarts));
    put(object, "pid", managed->monitor.pid ? json_integer(managed->monitor.pid) : json_null());
    put(object, "started", managed->monitor.pid ? seconds(managed->started_ns) : json_null());
    put(object, "ready", seconds(managed->ready_ns));
    put_end(object, managed);
    if (whole) {
        put(object, "wanted", json_boolean(managed->wanted));
        put(object, "runtime", choice->runtime ? json_string(choice->runtime->name) : json_null());
        put(object, "runtime_reason", json_string(choice->reason));
        put(object, "security_score", json_integer(isolation_score(choice->level)));
    }
    return object;
}

/* A kept component as JSON, for ps, inspect, events and stats. */
#include <stdio.h>

#include "base/clock.h"
#include "supervisor.h"
#include "usage.h"

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
    put(object, "probed", seconds(managed->probed_ns));
    put(object, "probe_detail", json_string(managed->probe_detail));
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

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static void put_usage(json_t *object, const struct component *component, const struct usage *usage)
{
    bool network = usage->has_network;

    put(object, "cpu_seconds", json_real((double)usage->cpu_ns / 1e9));
    put(object, "cpu_cores_limit", number(component->limits.cpu_cores));
    put(object, "memory_bytes", number(usage->memory));
    put(object, "memory_peak_bytes", usage->memory_peak ? number(usage->memory_peak) : json_null());
    put(object, "memory_limit_bytes", number(component->limits.memory_mb << 20));
    put(object, "processes", number(usage->processes));
    put(object, "read_bytes", number(usage->read_bytes));
    put(object, "write_bytes", number(usage->write_bytes));
    put(object, "received_bytes", network ? number(usage->received_bytes) : json_null());
    put(object, "sent_bytes", network ? number(usage->sent_bytes) : json_null());
    put(object, "throttled_periods", number(usage->throttled));
    put(object, "oom_kills", number(usage->oom_kills));
}

json_t *managed_describe_usage(struct managed *managed)
{
    const struct component *component = &managed->component;
    json_t *object = managed_describe(managed, false);
    uint64_t since = managed->ready_ns ? managed->ready_ns : managed->started_ns;
    struct usage usage;
    char group[64];
    uint64_t now;

    if (!object)
        return NULL;
    snprintf(group, sizeof(group), "osvm-%s", component->id);
    if (managed->gone.fd < 0 || managed_find_child(managed) < 0 ||
        usage_read(&managed->child, group, &usage) < 0)
        return object;
    now = clock_realtime_ns();
    put(object, "uptime_seconds", json_real(now > since ? (double)(now - since) / 1e9 : 0));
    put_usage(object, component, &usage);
    return object;
}

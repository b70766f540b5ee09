/* Counters as JSON: for GET /metrics, and a line a minute into the file that PUT /metrics named. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"
#include "body.h"
#include "internal.h"

#define METRICS_NS (60 * NS_PER_SEC)

static void put(json_t *object, const char *name, uint64_t value)
{
    json_object_set_new(object, name, json_integer((json_int_t)(value & INT64_MAX)));
}

static json_t *disk_json(const struct virtio_block_counters *disk)
{
    json_t *object = json_object();

    put(object, "read_bytes", disk->read_bytes);
    put(object, "read_count", disk->read_ops);
    put(object, "write_bytes", disk->write_bytes);
    put(object, "write_count", disk->write_ops);
    put(object, "flush_count", disk->flushes);
    put(object, "execute_fails", disk->failed);
    put(object, "rate_limiter_throttled_events", disk->throttled);
    return object;
}

static json_t *net_json(const struct virtio_net_counters *net)
{
    json_t *object = json_object();

    put(object, "rx_bytes_count", net->rx_bytes);
    put(object, "rx_packets_count", net->rx_packets);
    put(object, "rx_fails", net->rx_dropped);
    put(object, "no_rx_avail_buffer", net->rx_starved);
    put(object, "rx_rate_limiter_throttled", net->rx_throttled);
    put(object, "tx_bytes_count", net->tx_bytes);
    put(object, "tx_packets_count", net->tx_packets);
    put(object, "tx_malformed_frames", net->tx_malformed);
    put(object, "tx_fails", net->tx_failed);
    put(object, "tx_rate_limiter_throttled", net->tx_throttled);
    json_object_set_new(object, "link_up", json_boolean(net->link_up));
    return object;
}

static json_t *vsock_json(const struct virtio_vsock_counters *vsock)
{
    json_t *object = json_object();

    put(object, "rx_bytes_count", vsock->bytes_to_guest);
    put(object, "rx_packets_count", vsock->packets_to_guest);
    put(object, "tx_bytes_count", vsock->bytes_to_host);
    put(object, "tx_packets_count", vsock->packets_from_guest);
    put(object, "conns_added", vsock->host_connections + vsock->guest_connections);
    put(object, "conns_now", vsock->connections);
    put(object, "conns_refused", vsock->refused);
    put(object, "malformed", vsock->malformed);
    put(object, "rate_limiter_throttled", vsock->limited);
    return object;
}

static json_t *rng_json(const struct virtio_rng_counters *rng)
{
    json_t *object = json_object();

    put(object, "entropy_bytes", rng->bytes);
    put(object, "entropy_event_count", rng->requests);
    put(object, "entropy_event_fails", rng->failed);
    put(object, "entropy_rate_limiter_throttled", rng->throttled);
    return object;
}

static json_t *balloon_json(const struct virtio_balloon_info *balloon)
{
    json_t *object = json_object();

    put(object, "target_bytes", balloon->target_bytes);
    put(object, "actual_bytes", balloon->actual_bytes);
    put(object, "given_back_bytes", balloon->discarded_bytes);
    return object;
}

static void add_disks_and_nets(json_t *root, const struct device_config *devices,
                               const struct channel_counters *counters)
{
    char name[CONFIG_DEVICE_ID_MAX + 16], place[16];

    for (unsigned i = 0; i < devices->disk_count; i++) {
        snprintf(name, sizeof(name), "block_%s", device_config_disk_id(devices, i, place));
        json_object_set_new(root, name, disk_json(&counters->disks[i]));
    }
    for (unsigned i = 0; i < devices->net_count; i++) {
        snprintf(name, sizeof(name), "net_%s", device_config_net_id(devices, i, place));
        json_object_set_new(root, name, net_json(&counters->nets[i]));
    }
}

/* Each sum of the disks' or network devices' numbers of one name. */
static void add_sums(json_t *root, const char *prefix, const char *sum_name)
{
    json_t *sum = json_object(), *group, *value;
    const char *key, *name;

    json_object_foreach(root, key, group)
    {
        if (strncmp(key, prefix, strlen(prefix)) != 0)
            continue;
        json_object_foreach(group, name, value)
        {
            json_int_t before = json_integer_value(json_object_get(sum, name));

            if (json_is_integer(value))
                put(sum, name, (uint64_t)before + (uint64_t)json_integer_value(value));
        }
    }
    json_object_set_new(root, sum_name, sum);
}

/* What the guardian itself sees, whatever the VM process says. */
static json_t *vmm_json(const struct api *api, const struct channel_counters *counters)
{
    json_t *object = json_object();
    uint64_t cpu_ns = 0;

    clock_child_cpu_ns(api->vm, &cpu_ns);
    put(object, "cpu_time_us", cpu_ns / NS_PER_US);
    put(object, "uptime_us", (clock_monotonic_ns() - api->started_ns) / NS_PER_US);
    put(object, "guest_bytes", counters->guest_bytes);
    put(object, "guest_resident_bytes", counters->guest_resident_bytes);
    json_object_set_new(object, "paused", json_boolean(api->state == API_PAUSED));
    json_object_set_new(object, "guest_ready", json_boolean(counters->ready));
    return object;
}

json_t *api_metrics(struct api *api, const struct channel_counters *counters)
{
    const struct device_config *devices = &api->config->devices;
    const struct api_counts *counts = &api->counts;
    json_t *root = json_object(), *requests = json_object();

    put(root, "utc_timestamp_ms", clock_realtime_ns() / NS_PER_MS);
    put(requests, "get_count", counts->get);
    put(requests, "put_count", counts->put);
    put(requests, "patch_count", counts->patch);
    put(requests, "fails", counts->failed);
    json_object_set_new(root, "api_server", requests);
    json_object_set_new(root, "vmm", vmm_json(api, counters));
    json_object_set_new(root, "vcpu", exit_counts_json(&counters->exits));
    add_disks_and_nets(root, devices, counters);
    add_sums(root, "block_", "block");
    add_sums(root, "net_", "net");
    if (devices->vsock.cid)
        json_object_set_new(root, "vsock", vsock_json(&counters->vsock));
    if (devices->rng)
        json_object_set_new(root, "entropy", rng_json(&counters->rng));
    if (devices->balloon.wanted)
        json_object_set_new(root, "balloon", balloon_json(&counters->balloon));
    return root;
}

/* ---- The file. ---- */

static void on_minute(struct loop_timer *timer)
{
    api_metrics_ask(container_of(timer, struct api, metrics_timer));
}

int api_metrics_start(struct api *api)
{
    const char *path = api->settings.metrics_path;
    int r;

    if (!path)
        return 0;
    api->metrics_fd =
        open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    if (api->metrics_fd < 0)
        return -errno;
    api->metrics_timer.callback = on_minute;
    r = loop_timer_add(api->loop, &api->metrics_timer);
    if (r == 0)
        loop_timer_arm(&api->metrics_timer, METRICS_NS, METRICS_NS);
    return r;
}

void api_metrics_stop(struct api *api)
{
    loop_timer_remove(api->loop, &api->metrics_timer);
    close_fd(take_fd(&api->metrics_fd));
}

void api_metrics_write(struct api *api, const struct channel_counters *counters)
{
    json_auto_t *root = api_metrics(api, counters);
    _cleanup_free_ char *text = root ? json_dumps(root, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    size_t len = text ? strlen(text) : 0;

    if (!text)
        return;
    text[len] = '\n'; /* in the place of its end */
    if (write(api->metrics_fd, text, len + 1) < 0)
        log_debug(api->log, "the metrics' file takes nothing now");
}

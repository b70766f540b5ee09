/* What a GET tells of the configuration. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "body.h"
#include "internal.h"
#include "version.h"

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *string_or_null(const char *text)
{
    return text ? body_string(text) : json_null();
}

int api_get_instance(struct api_call *call, struct error *err)
{
    static const char *const states[] = {
        [API_NOT_STARTED] = "Not started",
        [API_STARTING] = "Not started",
        [API_RUNNING] = "Running",
        [API_PAUSED] = "Paused",
    };
    const struct api *api = call->api;

    (void)err;
    call->result =
        json_pack("{s:s,s:s,s:s,s:s}", "id", api->config->id ? api->config->id : "osvm", "state",
                  states[api->state], "vmm_version", OSVM_VERSION, "app_name", "osvm-vmm");
    return 0;
}

/* The member has the name that clients look for. */
int api_get_version(struct api_call *call, struct error *err)
{
    (void)err;
    call->result = json_pack("{s:s}", "firecracker_version", OSVM_VERSION);
    return 0;
}

static json_t *machine_json(const struct config *config)
{
    const char *pages = config->hugepages                    ? "2M"
                        : config->thp == GUEST_MEMORY_THP_ON ? "Transparent"
                                                             : "None";

    return json_pack("{s:i,s:I,s:b,s:b,s:s}", "vcpu_count", (int)config->cpus, "mem_size_mib",
                     (json_int_t)(config->mem_size / MIB), "smt", 0, "track_dirty_pages", 0,
                     "huge_pages", pages);
}

int api_get_machine(struct api_call *call, struct error *err)
{
    (void)err;
    call->result = machine_json(call->api->config);
    return 0;
}

static json_t *balloon_json(const struct config_balloon *balloon)
{
    return json_pack("{s:I,s:b,s:i,s:b}", "amount_mib", (json_int_t)(balloon->target / MIB),
                     "deflate_on_oom", balloon->deflate_on_oom, "stats_polling_interval_s",
                     (int)balloon->stats_interval_s, "free_page_reporting",
                     balloon->free_page_reporting);
}

int api_get_balloon(struct api_call *call, struct error *err)
{
    const struct config_balloon *balloon = &call->api->config->devices.balloon;

    if (!balloon->wanted)
        return error_set(err, -ENODEV, "there is no balloon");
    call->result = balloon_json(balloon);
    return 0;
}

static json_t *disks_json(const struct api *api)
{
    static const char *const caches[] = {
        [DISK_WRITEBACK] = "Writeback", [DISK_UNSAFE] = "Unsafe", [DISK_DIRECT] = "Direct"};
    const struct device_config *devices = &api->config->devices;
    const char *root = api->settings.root_disk;
    json_t *list = json_array();
    char name[16];

    for (unsigned i = 0; i < devices->disk_count; i++) {
        const struct config_disk *disk = &devices->disks[i];
        const char *id = device_config_disk_id(devices, i, name);
        bool is_root = root && strcmp(root, id) == 0;
        const char *partuuid = is_root ? api->settings.root_partuuid : NULL;

        json_array_append_new(
            list, json_pack("{s:s,s:b,s:o,s:b,s:o,s:s,s:s,s:o}", "drive_id", id, "is_root_device",
                            is_root, "path_on_host", string_or_null(disk->path), "is_read_only",
                            disk->read_only, "partuuid", string_or_null(partuuid), "cache_type",
                            caches[disk->cache], "io_engine", "Async", "rate_limiter",
                            body_rate_json(&disk->rate.bytes, &disk->rate.operations)));
    }
    return list;
}

static json_t *net_json(const struct config_net *net, const char *id)
{
    char mac[18];

    snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", net->mac[0], net->mac[1],
             net->mac[2], net->mac[3], net->mac[4], net->mac[5]);
    return json_pack("{s:s,s:o,s:o,s:o,s:o,s:o}", "iface_id", id, "host_dev_name",
                     string_or_null(net->kind == NET_TAP ? net->name : NULL), "guest_mac",
                     string_or_null(net->has_mac ? mac : NULL), "mtu",
                     net->mtu ? number(net->mtu) : json_null(), "rx_rate_limiter",
                     body_rate_json(&net->rx.bytes, &net->rx.operations), "tx_rate_limiter",
                     body_rate_json(&net->tx.bytes, &net->tx.operations));
}

static json_t *nets_json(const struct device_config *devices)
{
    json_t *list = json_array();
    char name[16];

    for (unsigned i = 0; i < devices->net_count; i++) {
        json_array_append_new(list,
                              net_json(&devices->nets[i], device_config_net_id(devices, i, name)));
    }
    return list;
}

static json_t *boot_json(const struct config *config)
{
    return json_pack("{s:o,s:o,s:o}", "kernel_image_path", string_or_null(config->kernel),
                     "initrd_path", string_or_null(config->initrd), "boot_args",
                     string_or_null(config->cmdline));
}

static json_t *vsock_json(const struct config_vsock *vsock)
{
    if (!vsock->cid)
        return json_null();
    return json_pack("{s:I,s:o}", "guest_cid", (json_int_t)vsock->cid, "uds_path",
                     body_string(vsock->path));
}

static json_t *entropy_json(const struct device_config *devices)
{
    if (!devices->rng)
        return json_null();
    return json_pack("{s:o}", "rate_limiter",
                     body_rate_json(&devices->rng_rate.bytes, &devices->rng_rate.operations));
}

static json_t *logger_json(const struct config *config)
{
    static const char *const levels[] = {[LOG_ERROR] = "Error",
                                         [LOG_WARNING] = "Warning",
                                         [LOG_INFO] = "Info",
                                         [LOG_DEBUG] = "Debug"};

    return json_pack("{s:o,s:s,s:b,s:b}", "log_path", string_or_null(config->log_path), "level",
                     config->log_off ? "Off" : levels[config->log_level], "show_level",
                     config->log_shows_level, "show_log_origin", config->log_shows_origin);
}

static json_t *metrics_json(const char *path)
{
    return path ? json_pack("{s:o}", "metrics_path", body_string(path)) : json_null();
}

int api_get_config(struct api_call *call, struct error *err)
{
    const struct config *config = call->api->config;
    const struct device_config *devices = &config->devices;

    call->result = json_pack(
        "{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "machine-config", machine_json(config),
        "boot-source", boot_json(config), "drives", disks_json(call->api), "network-interfaces",
        nets_json(devices), "vsock", vsock_json(&devices->vsock), "entropy", entropy_json(devices),
        "balloon", devices->balloon.wanted ? balloon_json(&devices->balloon) : json_null(),
        "logger", logger_json(config), "metrics", metrics_json(call->api->settings.metrics_path));
    return call->result ? 0 : error_set(err, -ENOMEM, "out of memory");
}

/* Disks and network devices: by ids, each in its place. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "body.h"
#include "net/mac.h"
#include "net/tap.h"
#include "settings.h"
#include "settings_internal.h"
#include "virtio/block_file.h"

char *settings_join(const char *before, const char *name, const char *value)
{
    size_t fixed = strlen(before) + strlen(name);
    char *text = malloc(fixed + 2 * strlen(value) + 1), *at;

    if (!text)
        return NULL;
    at = text + sprintf(text, "%s%s", before, name);
    for (; *value; value++) {
        if (*value == ',')
            *at++ = ',';
        *at++ = *value;
    }
    *at = '\0';
    return text;
}

/* The number behind "disk" or "net", of one that has no id of its own. */
static int find_unnamed(const char *kind, const char *id, unsigned count)
{
    char name[16];

    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "%s%u", kind, i);
        if (strcmp(name, id) == 0)
            return (int)i;
    }
    return -ENODEV;
}

int settings_find_disk(const struct config *config, const char *id)
{
    const struct device_config *devices = &config->devices;
    int unnamed;

    for (unsigned i = 0; i < devices->disk_count; i++) {
        if (devices->disks[i].id && strcmp(devices->disks[i].id, id) == 0)
            return (int)i;
    }
    unnamed = find_unnamed("disk", id, devices->disk_count);
    return unnamed >= 0 && !devices->disks[unnamed].id ? unnamed : -ENODEV;
}

int settings_find_net(const struct config *config, const char *id)
{
    const struct device_config *devices = &config->devices;
    int unnamed;

    for (unsigned i = 0; i < devices->net_count; i++) {
        if (devices->nets[i].id && strcmp(devices->nets[i].id, id) == 0)
            return (int)i;
    }
    unnamed = find_unnamed("net", id, devices->net_count);
    return unnamed >= 0 && !devices->nets[unnamed].id ? unnamed : -ENODEV;
}

int settings_check_id(const char *field, const char *id, const char *said, struct error *err)
{
    if (said && strcmp(id, said) != 0)
        return error_set(err, -EINVAL, "%s '%.64s' is not the path's, '%s'", field, said, id);
    return 0;
}

/* ---- /drives/{id} ---- */

struct disk_body {
    const char *id, *path, *partuuid, *cache, *engine, *socket;
    struct body_flag root, read_only;
    struct rate_limit_change rate;
};

static int read_disk(const json_t *body, struct disk_body *read, struct error *err)
{
    static const struct body_field table[] = {
        {"drive_id", BODY_STRING, true, offsetof(struct disk_body, id)},
        {"is_root_device", BODY_FLAG, true, offsetof(struct disk_body, root)},
        {"path_on_host", BODY_STRING, false, offsetof(struct disk_body, path)},
        {"is_read_only", BODY_FLAG, false, offsetof(struct disk_body, read_only)},
        {"partuuid", BODY_STRING, false, offsetof(struct disk_body, partuuid)},
        {"cache_type", BODY_STRING, false, offsetof(struct disk_body, cache)},
        {"io_engine", BODY_STRING, false, offsetof(struct disk_body, engine)},
        {"rate_limiter", BODY_RATE, false, offsetof(struct disk_body, rate)},
        {"socket", BODY_STRING, false, offsetof(struct disk_body, socket)},
        {0},
    };
    static const char *const caches[] = {"Unsafe", "Writeback", NULL};
    static const char *const engines[] = {"Sync", "Async", NULL};
    int r = body_read(body, table, read, err);

    if (r == 0 && read->socket)
        return error_set(err, -EINVAL, "socket: there is no vhost-user here");
    if (r == 0 && !read->path)
        return error_set(err, -EINVAL, "the field 'path_on_host' is missing");
    if (r == 0 && read->cache)
        r = body_choose("cache_type", read->cache, caches, err);
    if (r >= 0 && read->engine)
        r = body_choose("io_engine", read->engine, engines, err);
    return r < 0 ? r : 0;
}

/* The disk as --disk would have it. */
static int make_disk(const struct disk_body *body, struct device_config *scratch, struct error *err)
{
    bool unsafe = body->cache && strcmp(body->cache, "Unsafe") == 0;
    struct virtio_block_options options = {.path = body->path, .read_only = body->read_only.value};
    _cleanup_free_ char *path = settings_join("", "path=", body->path), *value = NULL;
    struct block_file file;
    int r;

    if (!path || asprintf(&value, "%s,id=%s%s%s", path, body->id,
                          body->read_only.value ? ",ro" : "", unsafe ? ",cache=unsafe" : "") < 0)
        return error_set(err, -ENOMEM, "out of memory");
    r = device_config_add_disk(scratch, value, err);
    if (r < 0)
        return r;
    scratch->disks[0].rate = (struct config_rate){body->rate.bytes, body->rate.operations};
    r = block_file_open(&options, &file, err);
    if (r < 0)
        return error_prefix(err, r, "path_on_host '%s'", body->path);
    block_file_close(&file);
    return 0;
}

static int set_root(struct settings *settings, const struct disk_body *body, struct error *err)
{
    char *id, *partuuid;

    if (!body->root.value) {
        if (settings->root_disk && strcmp(settings->root_disk, body->id) == 0)
            free(take_ptr(settings->root_disk)); /* it was, and is no more */
        return 0;
    }
    id = strdup(body->id);
    partuuid = body->partuuid ? strdup(body->partuuid) : NULL;
    if (!id || (body->partuuid && !partuuid)) {
        free(id);
        free(partuuid);
        return error_set(err, -ENOMEM, "out of memory");
    }
    free(settings->root_disk);
    free(settings->root_partuuid);
    settings->root_disk = id;
    settings->root_partuuid = partuuid;
    return 0;
}

int settings_put_disk(struct settings *settings, const char *id, const json_t *body,
                      struct error *err)
{
    struct device_config *devices = &settings->config->devices, scratch = {0};
    int place = settings_find_disk(settings->config, id);
    struct disk_body read = {0};
    struct config_disk before;
    int r = read_disk(body, &read, err);

    if (r == 0)
        r = settings_check_id("drive_id", id, read.id, err);
    if (r == 0 && read.root.value && settings->root_disk && strcmp(settings->root_disk, id) != 0)
        r = error_set(err, -EINVAL, "'%s' has the root file system already", settings->root_disk);
    if (r == 0 && place < 0 && devices->disk_count == CONFIG_MAX_DISKS)
        r = error_set(err, -E2BIG, "at most %d disks", CONFIG_MAX_DISKS);
    if (r == 0)
        r = make_disk(&read, &scratch, err);
    if (r == 0)
        r = set_root(settings, &read, err);
    if (r == 0) {
        if (place < 0)
            place = (int)devices->disk_count++;
        before = devices->disks[place];
        devices->disks[place] = scratch.disks[0];
        scratch.disks[0] = before;
        scratch.disk_count = 1;
    }
    device_config_free(&scratch);
    return r;
}

/* ---- /network-interfaces/{id} ---- */

struct net_body {
    const char *id, *tap, *mac;
    struct body_number mtu;
    struct rate_limit_change rx, tx;
};

/* Two with one address would not hear what is meant for them. */
static int check_mac(const struct config *config, int place, const struct config_net *net,
                     struct error *err)
{
    for (int i = 0; net->has_mac && i < (int)config->devices.net_count; i++) {
        const struct config_net *other = &config->devices.nets[i];

        if (i != place && other->has_mac && memcmp(other->mac, net->mac, sizeof(net->mac)) == 0)
            return error_set(err, -EEXIST, "guest_mac: another device has this address");
    }
    return 0;
}

/* The device as --net would have it. */
static int make_net(const struct net_body *body, struct device_config *scratch, struct error *err)
{
    _cleanup_free_ char *tap = settings_join("", "tap=", body->tap), *value = NULL;
    _cleanup_free_ char *mac =
        settings_join(body->mac ? ",mac=" : "", "", body->mac ? body->mac : "");
    char mtu[32] = "";
    int r;

    if (body->mtu.given)
        snprintf(mtu, sizeof(mtu), ",mtu=%" PRIu64, body->mtu.value);
    if (!tap || !mac || asprintf(&value, "%s,id=%s%s%s", tap, body->id, mac, mtu) < 0)
        return error_set(err, -ENOMEM, "out of memory");
    r = device_config_add_net(scratch, value, err);
    if (r < 0)
        return r;
    scratch->nets[0].rx = (struct config_rate){body->rx.bytes, body->rx.operations};
    scratch->nets[0].tx = (struct config_rate){body->tx.bytes, body->tx.operations};
    return 0;
}

static int check_tap(const char *name, struct error *err)
{
    struct net_backend *backend = NULL;
    int r = net_tap_open(name, false, &backend, err);

    if (r == 0)
        net_backend_close(backend);
    return r < 0 ? error_prefix(err, r, "host_dev_name '%s'", name) : 0;
}

int settings_put_net(struct settings *settings, const char *id, const json_t *body,
                     struct error *err)
{
    static const struct body_field table[] = {
        {"iface_id", BODY_STRING, true, offsetof(struct net_body, id)},
        {"host_dev_name", BODY_STRING, true, offsetof(struct net_body, tap)},
        {"guest_mac", BODY_STRING, false, offsetof(struct net_body, mac)},
        {"mtu", BODY_NUMBER, false, offsetof(struct net_body, mtu)},
        {"rx_rate_limiter", BODY_RATE, false, offsetof(struct net_body, rx)},
        {"tx_rate_limiter", BODY_RATE, false, offsetof(struct net_body, tx)},
        {0},
    };
    struct device_config *devices = &settings->config->devices, scratch = {0};
    int place = settings_find_net(settings->config, id);
    struct net_body read = {0};
    struct config_net before;
    int r = body_read(body, table, &read, err);

    if (r == 0)
        r = settings_check_id("iface_id", id, read.id, err);
    if (r == 0 && place < 0 && devices->net_count == CONFIG_MAX_NETS)
        r = error_set(err, -E2BIG, "at most %d network devices", CONFIG_MAX_NETS);
    if (r == 0)
        r = make_net(&read, &scratch, err);
    if (r == 0)
        r = check_mac(settings->config, place, &scratch.nets[0], err);
    if (r == 0)
        r = check_tap(read.tap, err);
    if (r == 0) {
        if (place < 0)
            place = (int)devices->net_count++;
        before = devices->nets[place];
        devices->nets[place] = scratch.nets[0];
        scratch.nets[0] = before;
        scratch.net_count = 1;
    }
    device_config_free(&scratch);
    return r;
}

/* ---- At the start. ---- */

/* The guest numbers its disks by their places, and root=/dev/vda is the first. */
static void put_first(struct device_config *devices, unsigned place)
{
    struct config_disk root = devices->disks[place];

    memmove(&devices->disks[1], &devices->disks[0], place * sizeof(devices->disks[0]));
    devices->disks[0] = root;
}

int settings_finish(struct settings *settings, struct error *err)
{
    struct config *config = settings->config;
    const char *cmdline = config->cmdline;
    char *with_root;
    int place = settings->root_disk ? settings_find_disk(config, settings->root_disk) : -1;

    if (place < 0)
        return 0;
    put_first(&config->devices, (unsigned)place);
    if (!cmdline)
        cmdline = settings->default_cmdline ? SETTINGS_DEFAULT_CMDLINE : "";
    settings->default_cmdline = false;
    if (asprintf(&with_root, "%s%sroot=%s%s %s", cmdline, *cmdline ? " " : "",
                 settings->root_partuuid ? "PARTUUID=" : "/dev/vda",
                 settings->root_partuuid ? settings->root_partuuid : "",
                 config->devices.disks[0].read_only ? "ro" : "rw") < 0)
        return error_set(err, -ENOMEM, "out of memory");
    free(config->cmdline);
    config->cmdline = with_root;
    return 0;
}

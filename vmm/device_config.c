#include "device_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/util.h"
#include "net/mac.h"
#include "suboptions.h"
#include "virtio/net.h"
#include "virtio/vsock.h"

#define SECTOR 512

static int set_text(char **target, const char *value, struct error *err)
{
    *target = strdup(value);
    return *target ? 0 : error_set(err, -ENOMEM, "out of memory");
}

bool device_config_is_id(const char *id)
{
    size_t len = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

    return len > 0 && len <= CONFIG_DEVICE_ID_MAX && !id[len];
}

static int set_id(char **target, const char *value, struct error *err)
{
    if (!device_config_is_id(value))
        return error_set(err, -EINVAL, "an id has 1 to %d letters, digits, - and _",
                         CONFIG_DEVICE_ID_MAX);
    return set_text(target, value, err);
}

static const char *id_or_place(const char *id, const char *kind, unsigned place, char buf[16])
{
    if (id)
        return id;
    snprintf(buf, 16, "%s%u", kind, place);
    return buf;
}

const char *device_config_disk_id(const struct device_config *config, unsigned place, char buf[16])
{
    return id_or_place(config->disks[place].id, "disk", place, buf);
}

const char *device_config_net_id(const struct device_config *config, unsigned place, char buf[16])
{
    return id_or_place(config->nets[place].id, "net", place, buf);
}

static bool is_id(const char *id, const char *other)
{
    return id && other && strcmp(id, other) == 0;
}

static int set_rate_bytes(struct rate_bucket_options *target, const char *name, const char *value,
                          struct error *err)
{
    uint64_t per_second;

    if (parse_size(value, &per_second) < 0 || per_second == 0)
        return error_set(err, -EINVAL,
                         "%s: '%s' is not a rate; say 10M, 512K or the like, a second", name,
                         value);
    *target = rate_bucket_per_second(per_second);
    return 0;
}

/* ---- --net ---- */

static int net_set_kind(struct config_net *net, enum net_kind kind, struct error *err)
{
    if (net->kind != NET_NONE)
        return error_set(err, -EINVAL, "one of tap=, fd= and passt at a time");
    net->kind = kind;
    return 0;
}

static int net_set_tap(void *target, const char *value, struct error *err)
{
    struct config_net *net = target;
    int r = net_set_kind(net, NET_TAP, err);

    return r < 0 ? r : set_text(&net->name, value, err);
}

static int net_set_fd(void *target, const char *value, struct error *err)
{
    struct config_net *net = target;
    uint64_t fd;
    int r = net_set_kind(net, NET_FD, err);

    if (r < 0)
        return r;
    if (parse_u64(value, 0, INT32_MAX, &fd) < 0)
        return error_set(err, -EINVAL, "'%s' is not the number of a descriptor", value);
    net->fd = (int)fd;
    return 0;
}

static int net_set_passt_socket(void *target, const char *value, struct error *err)
{
    struct config_net *net = target;
    int r = net_set_kind(net, NET_PASST_SOCKET, err);

    return r < 0 ? r : set_text(&net->name, value, err);
}

static int net_set_mac(void *target, const char *value, struct error *err)
{
    struct config_net *net = target;
    int r = net_mac_parse(value, net->mac);

    if (r == -EADDRNOTAVAIL)
        return error_set(err, r, "%s is not an address that one machine can have", value);
    if (r < 0)
        return error_set(err, r, "'%s' is not a MAC address; say 02:00:00:00:00:01", value);
    net->has_mac = true;
    return 0;
}

static int net_set_mtu(void *target, const char *value, struct error *err)
{
    struct config_net *net = target;
    uint64_t mtu;

    if (parse_u64(value, VIRTIO_NET_MTU_MIN, VIRTIO_NET_MTU_MAX, &mtu) < 0)
        return error_set(err, -EINVAL, "'%s' is not an MTU; %d to %d are", value,
                         VIRTIO_NET_MTU_MIN, VIRTIO_NET_MTU_MAX);
    net->mtu = (uint16_t)mtu;
    return 0;
}

static int net_set_rx_rate(void *target, const char *value, struct error *err)
{
    return set_rate_bytes(&((struct config_net *)target)->rx.bytes, "rx-rate", value, err);
}

static int net_set_tx_rate(void *target, const char *value, struct error *err)
{
    return set_rate_bytes(&((struct config_net *)target)->tx.bytes, "tx-rate", value, err);
}

static int net_set_id(void *target, const char *value, struct error *err)
{
    return set_id(&((struct config_net *)target)->id, value, err);
}

static int net_set_none(void *target, const char *value, struct error *err)
{
    (void)target;
    (void)value;
    (void)err;
    return 0;
}

static int net_set_passt(void *target, const char *value, struct error *err)
{
    (void)value;
    return net_set_kind(target, NET_PASST, err);
}

static void free_net(struct config_net *net)
{
    free(net->id);
    free(net->name);
    *net = (struct config_net){0};
}

int device_config_add_net(struct device_config *config, const char *value, struct error *err)
{
    static const struct suboption table[] = {
        {"tap", true, net_set_tap},
        {"fd", true, net_set_fd},
        {"passt", true, net_set_passt_socket},
        {"none", false, net_set_none},
        {"mac", true, net_set_mac},
        {"mtu", true, net_set_mtu},
        {"rx-rate", true, net_set_rx_rate},
        {"tx-rate", true, net_set_tx_rate},
        {"id", true, net_set_id},
        {0},
    };
    /* `passt` without a value: osvm-vmm starts one of its own. */
    static const struct suboption own_passt[] = {
        {"passt", false, net_set_passt},
        {"mac", true, net_set_mac},
        {"mtu", true, net_set_mtu},
        {"rx-rate", true, net_set_rx_rate},
        {"tx-rate", true, net_set_tx_rate},
        {"id", true, net_set_id},
        {0},
    };
    bool own = strcmp(value, "passt") == 0 || strncmp(value, "passt,", 6) == 0;
    struct config_net *net = &config->nets[config->net_count];
    int r;

    if (config->net_count == CONFIG_MAX_NETS)
        return error_set(err, -E2BIG, "at most %d network devices", CONFIG_MAX_NETS);
    *net = (struct config_net){.fd = -1};
    r = suboptions_parse(value, own ? own_passt : table, net, err);
    if (r == 0 && net->kind == NET_NONE && strcmp(value, "none") != 0)
        r = error_set(err, -EINVAL,
                      "one of tap=NAME, fd=N, passt, passt=SOCKET and none is wanted");
    for (unsigned i = 0; r == 0 && i < config->net_count; i++) {
        if (is_id(net->id, config->nets[i].id))
            r = error_set(err, -EEXIST, "another network device has the id '%s'", net->id);
    }
    if (r < 0 || net->kind == NET_NONE)
        free_net(net);
    else
        config->net_count++;
    return r;
}

/* ---- --vsock ---- */

static int vsock_set_cid(void *target, const char *value, struct error *err)
{
    struct config_vsock *vsock = target;

    if (parse_u64(value, VIRTIO_VSOCK_CID_MIN, VIRTIO_VSOCK_CID_MAX, &vsock->cid) < 0)
        return error_set(err, -EINVAL, "cid '%s' is not a guest's; 3 to 4294967294 are", value);
    return 0;
}

static int vsock_set_path(void *target, const char *value, struct error *err)
{
    return set_text(&((struct config_vsock *)target)->path, value, err);
}

static int vsock_set_rate(void *target, const char *value, struct error *err)
{
    return set_rate_bytes(&((struct config_vsock *)target)->rate.bytes, "rate", value, err);
}

static void free_vsock(struct config_vsock *vsock)
{
    free(vsock->path);
    *vsock = (struct config_vsock){0};
}

int device_config_set_vsock(struct device_config *config, const char *value, struct error *err)
{
    static const struct suboption table[] = {
        {"cid", true, vsock_set_cid},
        {"path", true, vsock_set_path},
        {"rate", true, vsock_set_rate},
        {0},
    };
    struct config_vsock vsock = {0};
    int r = suboptions_parse(value, table, &vsock, err);

    if (r == 0 && (vsock.cid == 0 || !vsock.path))
        r = error_set(err, -EINVAL, "both are wanted: cid=N,path=SOCKET");
    if (r < 0) {
        free_vsock(&vsock);
        return r;
    }
    free_vsock(&config->vsock);
    config->vsock = vsock;
    return 0;
}

/* ---- --disk ---- */

static int set_size(uint64_t *target, const char *value, struct error *err)
{
    if (parse_size(value, target) < 0 || *target == 0)
        return error_set(err, -EINVAL, "'%s' is not a size; say 64M, 2G or the like", value);
    if (*target % SECTOR)
        return error_set(err, -EINVAL, "a disk's size is a multiple of %d bytes", SECTOR);
    return 0;
}

static int disk_set_path(void *target, const char *value, struct error *err)
{
    return set_text(&((struct config_disk *)target)->path, value, err);
}

static int disk_set_size(void *target, const char *value, struct error *err)
{
    struct config_disk *disk = target;

    if (disk->size)
        return error_set(err, -EINVAL, "one of size= and scratch= at a time");
    return set_size(&disk->size, value, err);
}

static int disk_set_read_only(void *target, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    ((struct config_disk *)target)->read_only = true;
    return 0;
}

static int disk_set_serial(void *target, const char *value, struct error *err)
{
    struct config_disk *disk = target;

    if (strlen(value) >= sizeof(disk->serial))
        return error_set(err, -EINVAL, "a serial number has at most %zu characters",
                         sizeof(disk->serial) - 1);
    snprintf(disk->serial, sizeof(disk->serial), "%s", value);
    return 0;
}

static int disk_set_cache(void *target, const char *value, struct error *err)
{
    static const char *const names[] = {
        [DISK_WRITEBACK] = "writeback",
        [DISK_UNSAFE] = "unsafe",
        [DISK_DIRECT] = "direct",
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(value, names[i]) == 0) {
            ((struct config_disk *)target)->cache = (enum disk_cache)i;
            return 0;
        }
    }
    return error_set(err, -EINVAL, "cache '%s' is none of writeback, unsafe and direct", value);
}

static int disk_set_rate(void *target, const char *value, struct error *err)
{
    return set_rate_bytes(&((struct config_disk *)target)->rate.bytes, "rate", value, err);
}

static int disk_set_iops(void *target, const char *value, struct error *err)
{
    uint64_t per_second;

    if (parse_u64(value, 1, UINT32_MAX, &per_second) < 0)
        return error_set(err, -EINVAL, "iops '%s' is not a number from 1 on", value);
    ((struct config_disk *)target)->rate.operations = rate_bucket_per_second(per_second);
    return 0;
}

static int disk_set_id(void *target, const char *value, struct error *err)
{
    return set_id(&((struct config_disk *)target)->id, value, err);
}

static void free_disk(struct config_disk *disk)
{
    free(disk->id);
    free(disk->path);
    *disk = (struct config_disk){0};
}

int device_config_add_disk(struct device_config *config, const char *value, struct error *err)
{
    static const struct suboption table[] = {
        {"path", true, disk_set_path},     {"scratch", true, disk_set_size},
        {"ro", false, disk_set_read_only}, {"size", true, disk_set_size},
        {"serial", true, disk_set_serial}, {"cache", true, disk_set_cache},
        {"rate", true, disk_set_rate},     {"iops", true, disk_set_iops},
        {"id", true, disk_set_id},         {0},
    };
    struct config_disk *disk = &config->disks[config->disk_count];
    bool scratch = strncmp(value, "scratch=", 8) == 0 || strstr(value, ",scratch=");
    int r;

    if (config->disk_count == CONFIG_MAX_DISKS)
        return error_set(err, -E2BIG, "at most %d disks", CONFIG_MAX_DISKS);
    *disk = (struct config_disk){0};
    r = suboptions_parse(value, table, disk, err);
    if (r == 0 && !disk->path == !scratch)
        r = error_set(err, -EINVAL, "one of path=FILE and scratch=SIZE is wanted");
    for (unsigned i = 0; r == 0 && i < config->disk_count; i++) {
        if (is_id(disk->id, config->disks[i].id))
            r = error_set(err, -EEXIST, "another disk has the id '%s'", disk->id);
    }
    if (r < 0)
        free_disk(disk);
    else
        config->disk_count++;
    return r;
}

/* ---- --balloon ---- */

static int balloon_set_size(void *target, const char *value, struct error *err)
{
    if (parse_size(value, &((struct config_balloon *)target)->target) < 0)
        return error_set(err, -EINVAL, "'%s' is not a size; say 64M or the like", value);
    return 0;
}

static int balloon_set_oom(void *target, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    ((struct config_balloon *)target)->deflate_on_oom = true;
    return 0;
}

static int balloon_set_reporting(void *target, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    ((struct config_balloon *)target)->free_page_reporting = true;
    return 0;
}

static int balloon_set_stats(void *target, const char *value, struct error *err)
{
    uint64_t seconds;

    if (parse_u64(value, 1, 86400, &seconds) < 0)
        return error_set(err, -EINVAL, "stats '%s' is not a number of seconds", value);
    ((struct config_balloon *)target)->stats_interval_s = (unsigned)seconds;
    return 0;
}

int device_config_set_balloon(struct device_config *config, const char *value, struct error *err)
{
    static const struct suboption table[] = {
        {"size", true, balloon_set_size},
        {"deflate-on-oom", false, balloon_set_oom},
        {"reporting", false, balloon_set_reporting},
        {"stats", true, balloon_set_stats},
        {0},
    };
    struct config_balloon balloon = {.wanted = true};
    int r = value ? suboptions_parse(value, table, &balloon, err) : 0;

    if (r == 0)
        config->balloon = balloon;
    return r;
}

/* ---- --share ---- */

static void free_share(struct config_share *share)
{
    free(share->tag);
    free(share->path);
    *share = (struct config_share){0};
}

/* TAG=DIR[,ro]; a comma in the folder's name is written twice. */
int device_config_add_share(struct device_config *config, const char *value, struct error *err)
{
    struct config_share *share = &config->shares[config->share_count];
    const char *equals = strchr(value, '=');
    size_t len;

    if (config->share_count == CONFIG_MAX_SHARES)
        return error_set(err, -E2BIG, "at most %d shared folders", CONFIG_MAX_SHARES);
    if (!equals || equals == value || !equals[1])
        return error_set(err, -EINVAL, "TAG=DIR[,ro] is wanted");
    *share = (struct config_share){
        .tag = strndup(value, (size_t)(equals - value)),
        .path = malloc(strlen(equals)),
    };
    if (!share->tag || !share->path) {
        free_share(share);
        return error_set(err, -ENOMEM, "out of memory");
    }
    for (value = equals + 1, len = 0; *value && (*value != ',' || value[1] == ','); value++) {
        value += *value == ',';
        share->path[len++] = *value;
    }
    share->path[len] = '\0';
    share->read_only = strcmp(value, ",ro") == 0;
    if (*value && !share->read_only) {
        int r = error_set(err, -EINVAL, "'%s' behind the folder is not ',ro'", value);

        free_share(share);
        return r;
    }
    config->share_count++;
    return 0;
}

/* ---- The rest. ---- */

int device_config_set_transport(struct device_config *config, const char *value, struct error *err)
{
    if (strcmp(value, "mmio") == 0)
        config->transport = TRANSPORT_MMIO;
    else if (strcmp(value, "pci") == 0)
        config->transport = TRANSPORT_PCI;
    else
        return error_set(err, -EINVAL, "'%s' is neither mmio nor pci", value);
    return 0;
}

void device_config_clear_nets(struct device_config *config)
{
    while (config->net_count > 0)
        free_net(&config->nets[--config->net_count]);
}

void device_config_clear_disks(struct device_config *config)
{
    while (config->disk_count > 0)
        free_disk(&config->disks[--config->disk_count]);
}

void device_config_clear_shares(struct device_config *config)
{
    while (config->share_count > 0)
        free_share(&config->shares[--config->share_count]);
}

void device_config_free(struct device_config *config)
{
    device_config_clear_nets(config);
    device_config_clear_disks(config);
    device_config_clear_shares(config);
    free_vsock(&config->vsock);
}

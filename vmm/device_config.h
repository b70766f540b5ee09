/* What devices a machine is to have: the values of --net, --vsock, --disk, --balloon and --share.
 */
#ifndef OSVM_VMM_DEVICE_CONFIG_H
#define OSVM_VMM_DEVICE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "net/rate_limit.h"

struct config_rate {
    struct rate_bucket_options bytes, operations; /* all zero: no limit */
};

enum net_kind { NET_NONE, NET_TAP, NET_FD, NET_PASST_SOCKET, NET_PASST };

/* All strings here are owned. */
struct config_net {
    enum net_kind kind;
    char *id;   /* by which the API knows it; NULL: net0, net1, … */
    char *name; /* of the tap, or path of the socket */
    int fd;
    bool has_mac;
    uint8_t mac[6];
    uint16_t mtu; /* 0: not said */
    struct config_rate rx, tx;
};

struct config_vsock {
    uint64_t cid; /* 0: no such device */
    char *path;
    struct config_rate rate;
};

enum disk_cache { DISK_WRITEBACK, DISK_UNSAFE, DISK_DIRECT };

struct config_disk {
    char *id;   /* by which the API knows it; NULL: disk0, disk1, … */
    char *path; /* NULL: a scratch disk */
    uint64_t size;
    bool read_only;
    char serial[21];
    enum disk_cache cache;
    struct config_rate rate;
};

struct config_balloon {
    bool wanted;
    uint64_t target; /* bytes that the guest is to give back */
    bool deflate_on_oom, free_page_reporting;
    unsigned stats_interval_s; /* 0: none */
};

struct config_share {
    char *tag;
    char *path;
    bool read_only;
};

#define CONFIG_MAX_NETS   4
#define CONFIG_MAX_DISKS  8
#define CONFIG_MAX_SHARES 4

enum config_transport {
    TRANSPORT_DEFAULT, /* PCI for a Hermit image, mmio for all others */
    TRANSPORT_MMIO,
    TRANSPORT_PCI,
};

struct device_config {
    enum config_transport transport;
    struct config_net nets[CONFIG_MAX_NETS];
    unsigned net_count;
    struct config_vsock vsock;
    struct config_disk disks[CONFIG_MAX_DISKS];
    unsigned disk_count;
    struct config_balloon balloon;
    struct config_share shares[CONFIG_MAX_SHARES];
    unsigned share_count;
    bool rng;
    struct config_rate rng_rate;
};

/* The most letters, digits, - and _ of an id. */
#define CONFIG_DEVICE_ID_MAX 64

/* Whether it can be the id of a disk or a network device. */
bool device_config_is_id(const char *id);

/* By which the API knows a disk or a network device: the id that it was given, or its kind and
 * place. @buf  for the latter. Returns either. */
const char *device_config_disk_id(const struct device_config *config, unsigned place, char buf[16]);
const char *device_config_net_id(const struct device_config *config, unsigned place, char buf[16]);

/**
 * Take the value of an option. Returns 0, or a negative errno with what is wrong with it in err.
 */
int device_config_add_net(struct device_config *config, const char *value, struct error *err);
int device_config_set_vsock(struct device_config *config, const char *value, struct error *err);
int device_config_add_disk(struct device_config *config, const char *value, struct error *err);
int device_config_set_balloon(struct device_config *config, const char *value, struct error *err);
int device_config_add_share(struct device_config *config, const char *value, struct error *err);
int device_config_set_transport(struct device_config *config, const char *value, struct error *err);

/* Forget the entries of a list, to begin it anew. */
void device_config_clear_nets(struct device_config *config);
void device_config_clear_disks(struct device_config *config);
void device_config_clear_shares(struct device_config *config);

void device_config_free(struct device_config *config);

#endif

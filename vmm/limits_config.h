/* What a machine may use: the values of --cpu-affinity, --cpu-quota, --disk-limit and the like. */
#ifndef OSVM_VMM_LIMITS_CONFIG_H
#define OSVM_VMM_LIMITS_CONFIG_H

#include <stdint.h>

#include "base/error.h"

struct config;

#define LIMITS_MAX_AFFINITY  1024 /* CPUs of the host; a cpu_set_t has as many */
#define LIMITS_MAX_PERCENT   (100 * LIMITS_MAX_AFFINITY)
#define LIMITS_MAX_SECONDS   1000000000 /* thirty years */
#define LIMITS_MAX_COUNT     1000000
#define LIMITS_MIN_PROCESSES 3 /* the loop, KVM's worker and one CPU */

/* 0: no such limit. */
struct limits_config {
    uint16_t cpus[LIMITS_MAX_AFFINITY]; /* CPU i of the machine has cpus[i % cpu_count] */
    unsigned cpu_count;
    unsigned cpu_percent;          /* of one CPU of the host */
    uint64_t disk_bytes;           /* of all writable disks and shares */
    uint64_t net_bytes_per_second; /* of all network devices, each way */
    uint64_t fds;
    uint64_t processes; /* and threads */
    uint64_t time_s, cpu_time_s, boot_s;
};

/* Take the value of an option into config->limits. Returns 0, or a negative errno with what is
 * wrong with it in err. */
int limits_config_set_affinity(struct config *config, const char *value, struct error *err);
int limits_config_set_quota(struct config *config, const char *value, struct error *err);
int limits_config_set_disk(struct config *config, const char *value, struct error *err);
int limits_config_set_net(struct config *config, const char *value, struct error *err);
int limits_config_set_fds(struct config *config, const char *value, struct error *err);
int limits_config_set_processes(struct config *config, const char *value, struct error *err);
int limits_config_set_time(struct config *config, const char *value, struct error *err);
int limits_config_set_cpu_time(struct config *config, const char *value, struct error *err);
int limits_config_set_boot(struct config *config, const char *value, struct error *err);

#endif

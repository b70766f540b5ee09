#include "limits_config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "config.h"

/* Returns the number behind *text, moved past it, or -EINVAL. */
static int take_cpu(const char **text)
{
    size_t len = strspn(*text, "0123456789");
    char number[8];
    uint64_t cpu;

    if (len == 0 || len >= sizeof(number))
        return -EINVAL;
    memcpy(number, *text, len);
    number[len] = '\0';
    if (parse_u64(number, 0, LIMITS_MAX_AFFINITY - 1, &cpu) < 0)
        return -EINVAL;
    *text += len;
    return (int)cpu;
}

static int add_cpus(struct limits_config *limits, int first, int last)
{
    if (last < first)
        return -EINVAL;
    for (int cpu = first; cpu <= last; cpu++) {
        if (limits->cpu_count == LIMITS_MAX_AFFINITY)
            return -EINVAL;
        limits->cpus[limits->cpu_count++] = (uint16_t)cpu;
    }
    return 0;
}

/* 0-3,5: in the order in which they are named. */
int limits_config_set_affinity(struct config *config, const char *value, struct error *err)
{
    const char *at = value;
    int r = 0;

    config->limits.cpu_count = 0;
    do {
        int first, last;

        at += at > value; /* the comma */
        first = last = take_cpu(&at);
        if (first >= 0 && *at == '-') {
            at++;
            last = take_cpu(&at);
        }
        r = first < 0 || last < 0 ? -EINVAL : add_cpus(&config->limits, first, last);
    } while (r == 0 && *at == ',');
    if (r < 0 || *at)
        return error_set(err, -EINVAL, "'%s' is not a list of the host's CPUs; say 0-3,5", value);
    return 0;
}

int limits_config_set_quota(struct config *config, const char *value, struct error *err)
{
    uint64_t percent;

    if (parse_u64(value, 1, LIMITS_MAX_PERCENT, &percent) < 0)
        return error_set(err, -EINVAL,
                         "'%s' is not a share; say 50 for half a CPU, 150 for one and a half",
                         value);
    config->limits.cpu_percent = (unsigned)percent;
    return 0;
}

static int set_bytes(uint64_t *target, const char *value, const char *what, struct error *err)
{
    uint64_t bytes;

    if (parse_size(value, &bytes) < 0 || bytes == 0)
        return error_set(err, -EINVAL, "'%s' is not a %s; say 512K, 64M, 2G or the like", value,
                         what);
    *target = bytes;
    return 0;
}

int limits_config_set_disk(struct config *config, const char *value, struct error *err)
{
    return set_bytes(&config->limits.disk_bytes, value, "size", err);
}

int limits_config_set_net(struct config *config, const char *value, struct error *err)
{
    return set_bytes(&config->limits.net_bytes_per_second, value, "rate (a size a second)", err);
}

static int set_count(uint64_t *target, const char *value, uint64_t least, struct error *err)
{
    int r = parse_u64(value, least, LIMITS_MAX_COUNT, target);

    if (r == -ERANGE)
        return error_set(err, r, "%s is out of range; %llu to %d are possible", value,
                         (unsigned long long)least, LIMITS_MAX_COUNT);
    return r < 0 ? error_set(err, r, "'%s' is not a number", value) : 0;
}

int limits_config_set_fds(struct config *config, const char *value, struct error *err)
{
    return set_count(&config->limits.fds, value, 1, err);
}

int limits_config_set_processes(struct config *config, const char *value, struct error *err)
{
    return set_count(&config->limits.processes, value, LIMITS_MIN_PROCESSES, err);
}

static int set_seconds(uint64_t *target, const char *value, struct error *err)
{
    if (parse_u64(value, 1, LIMITS_MAX_SECONDS, target) < 0)
        return error_set(err, -EINVAL, "'%s' is not a time; say how many whole seconds", value);
    return 0;
}

int limits_config_set_time(struct config *config, const char *value, struct error *err)
{
    return set_seconds(&config->limits.time_s, value, err);
}

int limits_config_set_cpu_time(struct config *config, const char *value, struct error *err)
{
    return set_seconds(&config->limits.cpu_time_s, value, err);
}

int limits_config_set_boot(struct config *config, const char *value, struct error *err)
{
    return set_seconds(&config->limits.boot_s, value, err);
}

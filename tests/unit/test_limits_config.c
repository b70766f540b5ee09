/* vmm/limits_config.h: the values of the options of limits. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#include "config.h"

struct affinity_row {
    const char *name, *value, *cpus; /* NULL: refused */
};

static const struct affinity_row affinities[] = {
    {"one CPU", "3", "3 "},
    {"a list", "3,1,2", "3 1 2 "},
    {"a range", "0-3", "0 1 2 3 "},
    {"both", "0-1,5,7-8", "0 1 5 7 8 "},
    {"a range of one", "4-4", "4 "},
    {"twice the same", "1,1", "1 1 "},
    {"the last possible", "1023", "1023 "},
    {"none", "", NULL},
    {"a comma alone", ",", NULL},
    {"a comma at the end", "1,", NULL},
    {"a comma at the start", ",1", NULL},
    {"a range backwards", "3-0", NULL},
    {"half a range", "1-", NULL},
    {"a range without a start", "-1", NULL},
    {"two dashes", "1-2-3", NULL},
    {"blanks", "1, 2", NULL},
    {"a word", "all", NULL},
    {"a CPU that no host has", "1024", NULL},
    {"more digits than a number has", "00000000000000000001", NULL},
    {"more than fit", "0-1023,0", NULL},
};

static void test_affinity(void **state)
{
    const struct affinity_row *row = *state;
    struct config config = {0};
    struct error err = {0};
    char text[256] = "";
    int r = limits_config_set_affinity(&config, row->value, &err);

    assert_int_equal(r, row->cpus ? 0 : -EINVAL);
    for (unsigned i = 0; row->cpus && i < config.limits.cpu_count; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%u ", config.limits.cpus[i]);
    if (row->cpus)
        assert_string_equal(text, row->cpus);
    else
        assert_non_null(strstr(err.text, "say 0-3,5"));
}

typedef int set_fn(struct config *config, const char *value, struct error *err);

struct number_row {
    const char *name, *value;
    set_fn *set;
    size_t offset;   /* of a uint64_t in struct limits_config */
    uint64_t number; /* 0: refused */
};

#define AT(field) offsetof(struct limits_config, field)

static const struct number_row numbers[] = {
    {"disk", "64M", limits_config_set_disk, AT(disk_bytes), 64 * MIB},
    {"disk: none at all", "0", limits_config_set_disk, AT(disk_bytes), 0},
    {"disk: a word", "big", limits_config_set_disk, AT(disk_bytes), 0},
    {"net", "512K", limits_config_set_net, AT(net_bytes_per_second), 512 * KIB},
    {"net: none at all", "0", limits_config_set_net, AT(net_bytes_per_second), 0},
    {"files", "64", limits_config_set_fds, AT(fds), 64},
    {"files: none", "0", limits_config_set_fds, AT(fds), 0},
    {"files: a size", "64K", limits_config_set_fds, AT(fds), 0},
    {"processes", "10", limits_config_set_processes, AT(processes), 10},
    {"processes: two are too few", "2", limits_config_set_processes, AT(processes), 0},
    {"time", "30", limits_config_set_time, AT(time_s), 30},
    {"time: none", "0", limits_config_set_time, AT(time_s), 0},
    {"time: not whole", "1.5", limits_config_set_time, AT(time_s), 0},
    {"time: with a unit", "1s", limits_config_set_time, AT(time_s), 0},
    {"time: as long as can be", "1000000000", limits_config_set_time, AT(time_s), 1000000000},
    {"time: longer", "1000000001", limits_config_set_time, AT(time_s), 0},
    {"CPU time", "7", limits_config_set_cpu_time, AT(cpu_time_s), 7},
    {"boot", "5", limits_config_set_boot, AT(boot_s), 5},
};

static void test_number(void **state)
{
    const struct number_row *row = *state;
    struct config config = {0};
    struct error err = {0};
    uint64_t number;
    int r = row->set(&config, row->value, &err);

    memcpy(&number, (const char *)&config.limits + row->offset, sizeof(number));
    if (row->number) {
        assert_int_equal(r, 0);
        assert_int_equal(number, row->number);
    } else {
        assert_true(r < 0);
        assert_true(*err.text);
    }
}

static void test_quota(void **state)
{
    struct config config = {0};

    (void)state;
    assert_int_equal(limits_config_set_quota(&config, "150", NULL), 0);
    assert_int_equal(config.limits.cpu_percent, 150);
    assert_int_equal(limits_config_set_quota(&config, "0", NULL), -EINVAL);
    assert_int_equal(limits_config_set_quota(&config, "1.5", NULL), -EINVAL);
    assert_int_equal(limits_config_set_quota(&config, "50%", NULL), -EINVAL);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, affinities, test_affinity);
    unit_add_rows(&unit, numbers, test_number);
    unit_add(&unit, "a quota", test_quota, NULL);
    return unit_run(&unit, "limits_config");
}

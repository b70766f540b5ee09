/* vmm/api/settings.h, vmm/api/body.h: what a request's JSON makes of the configuration. */
#include "unit.h"

#include "api/body.h"
#include "api/settings.h"
#include "base/clock.h"

struct fixture {
    struct config config;
    struct settings settings;
};

static void begin(struct fixture *f)
{
    config_init(&f->config);
    f->settings = (struct settings){.config = &f->config};
}

static void end(struct fixture *f)
{
    settings_free(&f->settings);
    config_free(&f->config);
}

static int put(struct fixture *f, settings_fn *fn, const char *id, const char *text,
               struct error *err)
{
    json_t *body = NULL;
    int r = body_parse(text, strlen(text), &body, err);

    if (r == 0)
        r = fn(&f->settings, id, body, err);
    json_decref(body);
    return r;
}

struct refused_row {
    const char *name;
    settings_fn *fn;
    const char *text, *says;
};

#define MACHINE "\"vcpu_count\": 1, \"mem_size_mib\": 64"

static const struct refused_row refused[] = {
    {"not JSON", settings_put_vsock, "{", "the body is not JSON: line 1"},
    {"an array", settings_put_vsock, "[]", "not a JSON object"},
    {"a key twice", settings_put_vsock, "{\"a\": 1, \"a\": 2}", "not JSON"},
    {"an unknown field", settings_put_machine, "{" MACHINE ", \"x\": null}", "unknown field 'x'"},
    {"a missing field", settings_put_machine, "{\"vcpu_count\": 1}", "'mem_size_mib' is missing"},
    {"null is missing", settings_put_machine, "{\"vcpu_count\": null, \"mem_size_mib\": 64}",
     "'vcpu_count' is missing"},
    {"a fraction", settings_put_machine, "{\"vcpu_count\": 1.0, \"mem_size_mib\": 64}",
     "'vcpu_count' is to be a whole number"},
    {"a negative number", settings_put_machine, "{\"vcpu_count\": -1, \"mem_size_mib\": 64}",
     "'vcpu_count' is to be a whole number"},
    {"no CPU", settings_put_machine, "{\"vcpu_count\": 0, \"mem_size_mib\": 64}", "vcpu_count: "},
    {"too many CPUs", settings_put_machine, "{\"vcpu_count\": 33, \"mem_size_mib\": 64}",
     "vcpu_count: 1 to 32"},
    {"no memory", settings_put_machine, "{\"vcpu_count\": 1, \"mem_size_mib\": 0}",
     "mem_size_mib: "},
    {"more memory than 64 bits say", settings_put_machine,
     "{\"vcpu_count\": 1, \"mem_size_mib\": 9223372036854775807}", "mem_size_mib: "},
    {"pages of another size", settings_put_machine, "{" MACHINE ", \"huge_pages\": \"4K\"}",
     "huge_pages '4K' is none of None, 2M, Transparent"},
    {"dirty pages", settings_put_machine, "{" MACHINE ", \"track_dirty_pages\": true}",
     "track_dirty_pages: "},
    {"a CPU template", settings_put_machine, "{" MACHINE ", \"cpu_template\": \"C3\"}",
     "cpu_template: "},
    {"a patch of nothing", settings_patch_machine, "{}", "nothing to change"},
    {"a host's CID", settings_put_vsock, "{\"guest_cid\": 2, \"uds_path\": \"v\"}", "cid '2'"},
    {"a limit that is none", settings_put_entropy, "{\"rate_limiter\": 5}", "is to be an object"},
    {"a limit of other things", settings_put_entropy, "{\"rate_limiter\": {\"x\": {}}}",
     "unknown field 'x'"},
    {"a bucket without a size", settings_put_entropy,
     "{\"rate_limiter\": {\"ops\": {\"refill_time\": 1}}}", "'ops': the field 'size' is missing"},
    {"a bucket of less than nothing", settings_put_entropy,
     "{\"rate_limiter\": {\"bandwidth\": {\"size\": -1, \"refill_time\": 1}}}",
     "'bandwidth': 'size' is to be"},
    {"a balloon by half", settings_put_balloon, "{\"amount_mib\": 1}", "'deflate_on_oom' is"},
    {"a console that is a number", settings_put_serial, "{\"serial_out_path\": 1}",
     "is to be a string"},
    {"a level of the log", settings_put_logger, "{\"level\": \"Loud\"}", "none of Off, Error"},
};

static void test_refused(void **state)
{
    const struct refused_row *row = *state;
    struct fixture f, fresh;
    struct error err = {0};

    begin(&f);
    begin(&fresh);
    assert_true(put(&f, row->fn, NULL, row->text, &err) < 0);
    if (!strstr(err.text, row->says))
        fail_msg("says '%s', not '%s'", err.text, row->says);
    assert_memory_equal(&f.config, &fresh.config, sizeof(f.config)); /* taken whole or not at all */
    end(&f);
    end(&fresh);
}

static void assert_put(struct fixture *f, settings_fn *fn, const char *text)
{
    struct error err = {0};

    if (put(f, fn, NULL, text, &err) < 0)
        fail_msg("refused: %s: %s", text, err.text);
}

static void test_machine(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    assert_put(&f, settings_put_machine,
               "{" MACHINE ", \"smt\": true, \"huge_pages\": \"2M\", \"cpu_template\": \"None\"}");
    assert_int_equal(f.config.cpus, 1);
    assert_int_equal(f.config.mem_size, 64 * MIB);
    assert_true(f.config.hugepages);
    assert_put(&f, settings_patch_machine, "{\"vcpu_count\": 32}");
    assert_int_equal(f.config.cpus, 32);
    assert_int_equal(f.config.mem_size, 64 * MIB);
    assert_true(f.config.hugepages);
    assert_put(&f, settings_put_machine, "{" MACHINE "}"); /* what it does not say is forgotten */
    assert_false(f.config.hugepages);
    assert_int_equal(f.config.cpus, 1);
    end(&f);
}

static void test_devices(void **state)
{
    struct device_config *devices;
    struct fixture f;

    (void)state;
    begin(&f);
    devices = &f.config.devices;
    assert_put(&f, settings_put_vsock, "{\"guest_cid\": 9, \"uds_path\": \"a,b=c\"}");
    assert_int_equal(devices->vsock.cid, 9);
    assert_string_equal(devices->vsock.path, "a,b=c");
    assert_put(&f, settings_put_entropy,
               "{\"rate_limiter\": {\"bandwidth\": {\"size\": 10, \"refill_time\": 20, "
               "\"one_time_burst\": 30}, \"ops\": null}}");
    assert_true(devices->rng);
    assert_int_equal(devices->rng_rate.bytes.size, 10);
    assert_int_equal(devices->rng_rate.bytes.refill_ns, 20 * NS_PER_MS);
    assert_int_equal(devices->rng_rate.bytes.burst, 30);
    assert_int_equal(devices->rng_rate.operations.size, 0);
    assert_put(&f, settings_put_entropy, "{}");
    assert_int_equal(devices->rng_rate.bytes.size, 0);
    assert_put(&f, settings_put_balloon,
               "{\"amount_mib\": 3, \"deflate_on_oom\": true, \"stats_polling_interval_s\": 4, "
               "\"free_page_reporting\": true}");
    assert_int_equal(devices->balloon.target, 3 * MIB);
    assert_true(devices->balloon.deflate_on_oom && devices->balloon.free_page_reporting);
    assert_int_equal(devices->balloon.stats_interval_s, 4);
    assert_put(&f, settings_put_serial, "{\"serial_out_path\": \"x,y\"}");
    assert_int_equal(f.config.console, CONSOLE_FILE);
    assert_string_equal(f.config.console_path, "x,y");
    assert_put(&f, settings_put_serial, "{}");
    assert_int_equal(f.config.console, CONSOLE_STDIO);
    end(&f);
}

static void test_longest_refill(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    assert_put(&f, settings_put_entropy,
               "{\"rate_limiter\": {\"ops\": {\"size\": 9223372036854775807, "
               "\"refill_time\": 9223372036854775807}}}");
    assert_true(f.config.devices.rng_rate.operations.refill_ns > UINT64_MAX - NS_PER_MS);
    end(&f);
}

static void test_ids(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    assert_int_equal(device_config_add_disk(&f.config.devices, "scratch=1M", NULL), 0);
    assert_int_equal(device_config_add_disk(&f.config.devices, "scratch=1M,id=disk7", NULL), 0);
    assert_int_equal(settings_find_disk(&f.config, "disk0"), 0);
    assert_int_equal(settings_find_disk(&f.config, "disk7"), 1);
    assert_true(settings_find_disk(&f.config, "disk1") < 0); /* it has a name of its own */
    assert_true(settings_find_disk(&f.config, "disk2") < 0);
    assert_true(settings_find_net(&f.config, "net0") < 0);
    end(&f);
}

static void test_fault(void **state)
{
    char *text;

    (void)state;
    text = body_fault("a \"b\"\n\xff");
    assert_string_equal(text, "{\"fault_message\": \"a \\\"b\\\"\\n?\"}");
    free(text);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, refused, test_refused);
    unit_add(&unit, "the machine", test_machine, NULL);
    unit_add(&unit, "devices", test_devices, NULL);
    unit_add(&unit, "the longest refill", test_longest_refill, NULL);
    unit_add(&unit, "ids", test_ids, NULL);
    unit_add(&unit, "an error's text", test_fault, NULL);
    return unit_run(&unit, "api_settings");
}

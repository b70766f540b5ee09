/* vmm/config_file.h: the JSON file. */
#include "unit.h"

#include <stdio.h>

#include "config_file.h"

struct refused_row {
    const char *name, *text, *says;
};

static const struct refused_row refused[] = {
    {"not JSON", "kernel = x\n", "vm.json:1: not JSON"},
    {"empty", "", "vm.json:1: not JSON"},
    {"cut off", "{\n\"mem\": 64,\n", "not JSON"},
    {"trailing comma", "{\n\"mem\": 64,\n}", "vm.json:3: not JSON"},
    {"something behind it", "{}\n{}", "vm.json:2: not JSON"},
    {"an array", "[]", "vm.json:1: a JSON object is wanted"},
    {"a key twice", "{\"mem\": 64,\n\"mem\": 64}", "not JSON as a config file has it: duplicate"},
    {"unknown key", "{\"mem\": 64}\n", NULL},
    {"unknown key, first line", "{\"memory\": 64}", "vm.json:1: unknown key \"memory\""},
    {"unknown key, later line", "{\n  \"mem\": 64,\n\n  \"cpu\": 2\n}",
     "vm.json:4: unknown key \"cpu\""},
    {"unknown key behind nested values",
     "{\n\"module\": [\n\"a,{\\\"x\\\": 1}\",\n\"b\"],\n\"nope\": {\"mem\": 1}}",
     "vm.json:5: unknown key \"nope\""},
    {"unknown key behind an escaped quote", "{\"cmdline\": \"a\\\\\\\"b\",\n\"x\": 1}",
     "vm.json:2: unknown key \"x\""},
    {"a number for a flag", "{\"hugepages\": 1}", "vm.json:1: hugepages: true or false"},
    {"a flag for a number", "{\"cpus\": true}", "cpus: a string or a number is wanted"},
    {"a fraction", "{\"cpus\": 1.5}", "cpus: a string or a number is wanted"},
    {"null", "{\"kernel\": null}", "kernel: a string or a number is wanted"},
    {"an array where one is wanted", "{\"kernel\": [\"a\"]}", "kernel: a string or a number"},
    {"an object in a list", "{\"module\": [{}]}", "module: a string or a number"},
    {"a negative number", "{\n\"mem\": -5}", "vm.json:2: mem: '-5' is not a size"},
    {"a number over 64 bits", "{\"mem\": 99999999999999999999}", "vm.json:1: not JSON"},
    {"a zero in a string", "{\"kernel\": \"a\\u0000b\"}", "not JSON"},
    {"not UTF-8", "{\"kernel\": \"\xff\"}", "not JSON"},
    {"an option of the command line", "{\"config\": \"x\"}", "is for the command line only"},
};

static void test_refused(void **state)
{
    const struct refused_row *row = *state;
    struct error err = {0};
    struct config config;
    int r;

    config_init(&config);
    r = config_text_read("vm.json", row->text, strlen(row->text), &config, &err);
    config_free(&config);
    if (!row->says) {
        assert_int_equal(r, 0);
        return;
    }
    assert_true(r < 0);
    if (!strstr(err.text, row->says))
        fail_msg("says '%s', not '%s'", err.text, row->says);
}

static void test_all_kinds(void **state)
{
    static const char text[] =
        "{\"kernel\": \"k\", \"mem\": \"1G\", \"cpus\": \"2\", \"prefault\": true,"
        " \"hugepages\": false, \"debug-exit\": 244, \"module\": [\"a,x\", "
        "\"b\"], \"console\": \"file=/c\", \"log-level\": \"debug\"}";
    struct error err = {0};
    struct config config;

    (void)state;
    config_init(&config);
    assert_int_equal(config_text_read("vm.json", text, strlen(text), &config, &err), 0);
    assert_string_equal(config.kernel, "k");
    assert_int_equal(config.mem_size, GIB);
    assert_int_equal(config.cpus, 2);
    assert_true(config.prefault);
    assert_false(config.hugepages);
    assert_int_equal(config.debug_exit_port, 244);
    assert_int_equal(config.module_count, 2);
    assert_string_equal(config.modules[0].arguments, "x");
    assert_string_equal(config.console_path, "/c");
    assert_int_equal(config.log_level, LOG_DEBUG);
    config_free(&config);
}

static void test_debug_exit_flag(void **state)
{
    static const char text[] = "{\"debug-exit\": true}";
    struct config config;

    (void)state;
    config_init(&config);
    assert_int_equal(config_text_read("vm.json", text, strlen(text), &config, NULL), 0);
    assert_int_equal(config.debug_exit_port, 0xf4);
    config_free(&config);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, refused, test_refused);
    unit_add(&unit, "all kinds of values", test_all_kinds, NULL);
    unit_add(&unit, "debug-exit as a flag", test_debug_exit_flag, NULL);
    return unit_run(&unit, "config_file");
}

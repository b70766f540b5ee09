/* vmm/options.h: the command line. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "options.h"

#define MAX_ARGUMENTS 12

struct refused_row {
    const char *name;
    const char *arguments[MAX_ARGUMENTS];
    const char *says; /* a part of the message */
};

static const struct refused_row refused[] = {
    {"unknown option", {"--frobnicate"}, "unknown option '--frobnicate'"},
    {"abbreviated option", {"--ker", "x"}, "unknown option '--ker'"},
    {"repeated option", {"--mem", "64", "--mem=64"}, "option '--mem' is given twice"},
    {"repeated flag", {"--prefault", "--prefault"}, "option '--prefault' is given twice"},
    {"value for a flag", {"--hugepages=yes"}, "takes no value"},
    {"no value", {"--kernel"}, "--kernel FILE"},
    {"stray argument", {"vmlinux"}, "unexpected argument 'vmlinux'"},
    {"argument before the double dash", {"x", "--", "y"}, "unexpected argument 'x'"},
    {"variable without a name", {"-e", "=x"}, "--env: '=x' has no name"},
    {"variable that is empty", {"--env="}, "--env: '' has no name"},
    {"no variable", {"-e"}, "--env NAME[=VALUE]"},
    {"mapping without a guest path", {"--map", "/tmp"}, "--map: '/tmp' is not HOST:GUEST[:ro]"},
    {"mapping to a relative path", {"--map", "/tmp:x"}, "is not HOST:GUEST[:ro]"},
    {"mapping of nothing", {"--map", ":/x"}, "is not HOST:GUEST[:ro]"},
    {"files kept nowhere", {"--keep-files", ""}, "a file name is wanted"},
    {"unknown short option", {"-m"}, "unexpected argument '-m'"},
    {"empty kernel", {"--kernel="}, "--kernel: a file name is wanted"},
    {"memory of 0", {"--mem", "0"}, "--mem: a machine needs some memory, not 0"},
    {"memory under 2 MiB", {"--mem", "512K"}, "2 MiB of memory at least"},
    {"memory that is no size", {"--mem", "lots"}, "'lots' is not a size"},
    {"memory over 64 bits", {"--mem", "99999999999999999999"}, "is not a size"},
    {"negative memory", {"--mem", "-1"}, "'-1' is not a size"},
    {"no CPUs", {"--cpus", "0"}, "0 is not a possible number of CPUs"},
    {"too many CPUs for anything", {"--cpus", "65536"}, "65536 is not a possible number"},
    {"CPUs in words", {"--cpus", "two"}, "'two' is not a number"},
    {"unknown console", {"--console", "vga"}, "'vga' is none of stdio"},
    {"console file without a path", {"--console", "file="}, "a file name is wanted"},
    {"console with too much", {"--console", "stdio=x"}, "'stdio=x' is none of"},
    {"debug exit at no port", {"--debug-exit=70000"}, "'70000' is not a port"},
    {"unknown log level", {"--log-level", "loud"}, "'loud' is none of error"},
    {"module without a name", {"--module", ",x"}, "--module: a file name is wanted"},
    {"config file that is not there",
     {"--config", "/nonexistent.json"},
     "cannot read config file '/nonexistent.json': No such file"},
};

static int parse(const char *const arguments[], struct config *config, enum options_action *action,
                 struct error *err)
{
    char *argv[MAX_ARGUMENTS + 1] = {(char *)"osvm-vmm"};
    int argc = 1;

    while (argc <= MAX_ARGUMENTS && arguments[argc - 1]) {
        argv[argc] = (char *)(uintptr_t)arguments[argc - 1];
        argc++;
    }
    config_init(config);
    return options_parse(argc, argv, config, action, err);
}

static void test_refused(void **state)
{
    const struct refused_row *row = *state;
    struct error err = {0};
    enum options_action action;
    struct config config;

    assert_true(parse(row->arguments, &config, &action, &err) < 0);
    if (!strstr(err.text, row->says))
        fail_msg("says '%s', not '%s'", err.text, row->says);
    config_free(&config);
}

static void test_defaults(void **state)
{
    const char *const none[MAX_ARGUMENTS] = {NULL};
    enum options_action action;
    struct config config;

    (void)state;
    assert_int_equal(parse(none, &config, &action, NULL), 0);
    assert_int_equal(action, OPTIONS_RUN);
    assert_null(config.kernel);
    assert_int_equal(config.mem_size, 256 * MIB);
    assert_int_equal(config.cpus, 1);
    assert_int_equal(config.console, CONSOLE_STDIO);
    assert_int_equal(config.debug_exit_port, CONFIG_NO_PORT);
    assert_int_equal(config.aslr, ASLR_ON);
    assert_int_equal(config.devices.transport, TRANSPORT_DEFAULT);
    config_free(&config);
}

static void test_all(void **state)
{
    const char *const arguments[MAX_ARGUMENTS] = {
        "--kernel=k", "--mem",      "2G",           "--cpus",
        "4",          "--cmdline",  "a=b c",        "--console=socket=/s",
        "--module",   "m,,1,x,y=z", "--debug-exit", "--hugepages"};
    enum options_action action;
    struct config config;

    (void)state;
    assert_int_equal(parse(arguments, &config, &action, NULL), 0);
    assert_string_equal(config.kernel, "k");
    assert_int_equal(config.mem_size, 2 * GIB);
    assert_int_equal(config.cpus, 4);
    assert_string_equal(config.cmdline, "a=b c");
    assert_int_equal(config.console, CONSOLE_SOCKET);
    assert_string_equal(config.console_path, "/s");
    assert_int_equal(config.module_count, 1);
    assert_string_equal(config.modules[0].path, "m,1");
    assert_string_equal(config.modules[0].arguments, "x,y=z");
    assert_int_equal(config.debug_exit_port, 0xf4);
    assert_true(config.hugepages);
    config_free(&config);
}

/* Where a Hermit image's memory begins. */
static void test_aslr(void **state)
{
    static const struct {
        const char *word;
        enum aslr_kind kind;
        uint64_t base;
    } rows[] = {
        {"--aslr=on", ASLR_ON, 0},
        {"--aslr=off", ASLR_OFF, 0},
        {"--aslr=0", ASLR_GIVEN, 0},
        {"--aslr=0xfc0000000", ASLR_GIVEN, 63 * GIB},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *const arguments[MAX_ARGUMENTS] = {rows[i].word};
        enum options_action action;
        struct config config;

        assert_int_equal(parse(arguments, &config, &action, NULL), 0);
        assert_int_equal(config.aslr, rows[i].kind);
        assert_int_equal(config.ram_base, rows[i].base);
        config_free(&config);
    }
}

static void test_help_and_version_win(void **state)
{
    const char *const help[MAX_ARGUMENTS] = {"--mem", "nonsense", "-h"};
    const char *const version[MAX_ARGUMENTS] = {"--version"};
    enum options_action action;
    struct config config;

    (void)state;
    assert_int_equal(parse(help, &config, &action, NULL), 0);
    assert_int_equal(action, OPTIONS_SHOW_HELP);
    assert_int_equal(parse(version, &config, &action, NULL), 0);
    assert_int_equal(action, OPTIONS_SHOW_VERSION);
}

static void test_too_many_modules(void **state)
{
    char *argv[2 * (CONFIG_MAX_MODULES + 1) + 1] = {(char *)"osvm-vmm"};
    enum options_action action;
    struct error err = {0};
    struct config config;
    int argc = 1;

    (void)state;
    for (unsigned i = 0; i <= CONFIG_MAX_MODULES; i++) {
        argv[argc++] = (char *)"--module";
        argv[argc++] = (char *)"m";
    }
    config_init(&config);
    assert_int_equal(options_parse(argc, argv, &config, &action, &err), -E2BIG);
    assert_int_equal(config.module_count, CONFIG_MAX_MODULES);
    config_free(&config);
}

/* The command line has the last word, and its modules replace the file's. */
static void test_command_line_over_file(void **state)
{
    char path[] = "/tmp/osvm-test-XXXXXX";
    const char text[] = "{\"mem\": 64, \"cpus\": 3, \"module\": [\"a\", \"b,c\"]}";
    _cleanup_close_ int fd = mkstemp(path);
    const char *arguments[MAX_ARGUMENTS] = {"--mem=128", "--config", path, "--module=d"};
    enum options_action action;
    struct config config;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(parse(arguments, &config, &action, NULL), 0);
    unlink(path);
    assert_int_equal(config.mem_size, 128 * MIB);
    assert_int_equal(config.cpus, 3);
    assert_int_equal(config.module_count, 1);
    assert_string_equal(config.modules[0].path, "d");
    config_free(&config);
}

/* Each option has its help and a setter, and its name is found again. */
static void test_table(void **state)
{
    const struct option *option;
    size_t index;

    (void)state;
    for (size_t i = 0; (option = option_at(i)); i++) {
        assert_non_null(option->help);
        assert_non_null(option->set);
        assert_int_equal(option->placeholder == NULL, option->argument == OPTION_FLAG);
        assert_ptr_equal(option_find(option->name, strlen(option->name), &index), option);
        assert_int_equal(index, i);
    }
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, refused, test_refused);
    unit_add(&unit, "defaults", test_defaults, NULL);
    unit_add(&unit, "all kinds of options", test_all, NULL);
    unit_add(&unit, "help and version come first", test_help_and_version_win, NULL);
    unit_add(&unit, "where memory begins", test_aslr, NULL);
    unit_add(&unit, "too many modules", test_too_many_modules, NULL);
    unit_add(&unit, "the command line wins over the file", test_command_line_over_file, NULL);
    unit_add(&unit, "the table is whole", test_table, NULL);
    return unit_run(&unit, "options");
}

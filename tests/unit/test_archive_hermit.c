/* archive/hermit.h: the keys of hermit.toml. */
#include "archive/hermit.h"

#include <errno.h>

#include "unit.h"

#define LEAST "version = \"1\"\nkernel = \"k\"\n[input]\nkernel_args = []\napp_args = []\n"
#define WANTS LEAST "[requirements]\n"

static int read_text(const char *text, struct hermit_config *config, struct error *err)
{
    return hermit_config_read(text, strlen(text), config, err);
}

static void test_everything(void **state)
{
    struct hermit_config config = {0};
    struct error err = {""};
    int r =
        read_text("# an image\nversion = '1'\nkernel = \"./bin/kernel\"\n\n[requirements]\n"
                  "memory = \"64 MiB\"\ncpus = 2\n\n[input]\nkernel_args = [\"-freq\", \"2000\"]\n"
                  "app_args = [\"hello world\"]\nenv_vars = [\"A=1\", \"B=\"]\n",
                  &config, &err);

    (void)state;
    assert_string_equal(err.text, "");
    assert_int_equal(r, 0);
    assert_string_equal(config.kernel, "./bin/kernel");
    assert_int_equal(config.kernel_args.count, 2);
    assert_string_equal(config.kernel_args.items[1], "2000");
    assert_int_equal(config.app_args.count, 1);
    assert_string_equal(config.app_args.items[0], "hello world");
    assert_int_equal(config.environment.count, 2);
    assert_string_equal(config.environment.items[1], "B=");
    assert_int_equal(config.memory, 64 * MIB);
    assert_int_equal(config.cpus, 2);
    hermit_config_free(&config);
}

static void test_least(void **state)
{
    struct hermit_config config = {0};
    struct error err = {""};

    (void)state;
    assert_int_equal(read_text(LEAST, &config, &err), 0);
    assert_int_equal(config.app_args.count + config.kernel_args.count, 0);
    assert_int_equal(config.environment.count, 0);
    assert_int_equal(config.memory + config.cpus, 0);
    hermit_config_free(&config);
}

struct refusal {
    const char *name;
    const char *text;
    const char *says; /* how the error begins */
};

static const struct refusal refusals[] = {
    {"an unknown key", "version = \"1\"\nkernal = \"k\"\n", "line 2: there is no key 'kernal'"},
    {"an unknown key of a table", LEAST "args = []\n", "line 6: there is no key 'args' in [input]"},
    {"an unknown table", LEAST "[inputs]\n", "line 6: there is no table [inputs]"},
    {"a key at a wrong place", LEAST "kernel = \"k\"\n", "line 6: there is no key 'kernel' in"},
    {"a key twice", "version = \"1\"\nversion = \"1\"\n", "line 2: 'version' is there twice"},
    {"a table twice", LEAST "[input]\n", "line 6: [input] is there twice"},
    {"another version", "version = \"2\"\n", "line 1: version \"2\" is not known"},
    {"a version that is a number", "version = 1\n", "line 1: 'version' is to be a string"},
    {"no version", "kernel = \"k\"\n", "there is no 'version'"},
    {"no kernel", "version = \"1\"\n", "there is no 'kernel'"},
    {"no input", "version = \"1\"\nkernel = \"k\"\n", "there is no 'kernel_args' in [input]"},
    {"a kernel outside", "kernel = \"../k\"\n", "line 1: '../k' is no path"},
    {"arguments that are a string", "[input]\napp_args = \"a\"\n",
     "line 2: 'app_args' is to be an"},
    {"a variable without a value", "[input]\nenv_vars = [\"A\"]\n",
     "line 2: 'A' is not NAME=VALUE"},
    {"a variable without a name", "[input]\nenv_vars = [\"=A\"]\n", "line 2: '=A' is not NAME"},
    {"CPUs in words", WANTS "cpus = \"2\"\n", "line 7: 'cpus' is to be a number"},
    {"fewer CPUs than none", WANTS "cpus = -1\n", "line 7: cpus is a number from"},
    {"too many CPUs", WANTS "cpus = 65536\n", "line 7: cpus is a number from"},
    {"memory below nothing", WANTS "memory = -1\n", "line 7: memory is bytes"},
    {"memory in no unit", WANTS "memory = \"1 XB\"\n", "line 7: memory is bytes"},
    {"memory without a number", WANTS "memory = \"MiB\"\n", "line 7: memory is bytes"},
    {"memory past 64 bits", WANTS "memory = \"18446744073709551616\"\n", "line 7: memory is"},
    {"memory past 64 bits, by its unit", WANTS "memory = \"99999999 TiB\"\n", "line 7: memory is"},
    {"memory, true", WANTS "memory = true\n", "line 7: memory is bytes"},
};

static void test_refusal(void **state)
{
    const struct refusal *row = *state;
    struct hermit_config config = {.cpus = 77};
    struct error err = {""};

    assert_true(read_text(row->text, &config, &err) < 0);
    assert_int_equal(strncmp(err.text, row->says, strlen(row->says)), 0);
    assert_int_equal(config.cpus, 77); /* untouched */
}

struct size_row {
    const char *name; /* the value */
    uint64_t bytes;
};

static const struct size_row sizes[] = {
    {"0", 0},
    {"1048576", MIB},
    {"\"1048576\"", MIB},
    {"\"512 MiB\"", 512 * MIB},
    {"\"512MiB\"", 512 * MIB},
    {"\"512mib\"", 512 * MIB},
    {"\"1 GB\"", 1000000000},
    {"\"1.5 GiB\"", 3 * GIB / 2},
    {"\"0.5 KiB\"", 512},
    {"\"64M\"", 64000000},
    {"\"2 TiB\"", 2048 * GIB},
    {"\"17 B\"", 17},
};

static void test_size(void **state)
{
    const struct size_row *row = *state;
    struct hermit_config config = {0};
    struct error err = {""};
    char text[256] = WANTS "memory = ";

    strcat(text, row->name);
    assert_int_equal(read_text(text, &config, &err), 0);
    assert_int_equal(config.memory, row->bytes);
    hermit_config_free(&config);
}

static void test_check(void **state)
{
    struct hermit_config config = {.memory = 64 * MIB, .cpus = 2};
    struct error err = {""};

    (void)state;
    assert_int_equal(hermit_config_check(&config, 64 * MIB, 2, &err), 0);
    assert_int_equal(hermit_config_check(&config, 64 * MIB - 1, 2, &err), -EINVAL);
    assert_non_null(strstr(err.text, "--mem"));
    assert_int_equal(hermit_config_check(&config, 64 * MIB, 1, &err), -EINVAL);
    assert_non_null(strstr(err.text, "--cpus"));
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add(&unit, "every key", test_everything, NULL);
    unit_add(&unit, "the least", test_least, NULL);
    unit_add_rows(&unit, refusals, test_refusal);
    unit_add_rows(&unit, sizes, test_size);
    unit_add(&unit, "what the machine is to have", test_check, NULL);
    return unit_run(&unit, "archive_hermit");
}

/* vmm/program_config.h: what stands in --env and --map, and who may not have it. */
#include "unit.h"

#include <errno.h>

#include "program_config.h"

/* ---- --map ---- */

struct mapping_row {
    const char *name; /* the value */
    const char *host, *guest;
    bool read_only;
};

static const struct mapping_row mappings[] = {
    {"/a:/b", "/a", "/b", false},
    {"/a:/b:ro", "/a", "/b", true},
    {"a/b:/c", "a/b", "/c", false},
    {".:/", ".", "/", false},
    {"with:colon:/x", "with:colon", "/x", false},
    {"/odd:/path:/x:ro", "/odd:/path", "/x", true},
    {"/a:/b:rw", "/a", "/b:rw", false},
    {"/a:/ro", "/a", "/ro", false},
    {"/a b:/c d", "/a b", "/c d", false},
};

static void run_mapping(void **state)
{
    const struct mapping_row *row = *state;
    struct program_config program = {0};
    struct error err = {0};

    assert_int_equal(program_config_add_mapping(&program, row->name, &err), 0);
    assert_int_equal(program.mapping_count, 1);
    assert_string_equal(program.mappings[0].host, row->host);
    assert_string_equal(program.mappings[0].guest, row->guest);
    assert_int_equal(program.mappings[0].read_only, row->read_only);
    program_config_free(&program);
}

static void run_mapping_refused(void **state)
{
    static const char *const refused[] = {"", "/a", "/a:b", ":/b", "/a:", "/a:ro", "::"};
    struct program_config program = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        struct error err = {0};

        assert_int_equal(program_config_add_mapping(&program, refused[i], &err), -EINVAL);
        assert_non_null(strstr(err.text, "is not HOST:GUEST[:ro]"));
    }
    assert_int_equal(program.mapping_count, 0);
}

static void run_too_many_mappings(void **state)
{
    struct program_config program = {0};
    struct error err = {0};

    (void)state;
    for (unsigned i = 0; i < HERMIT_MAX_MAPPINGS; i++)
        assert_int_equal(program_config_add_mapping(&program, "/a:/b", &err), 0);
    assert_int_equal(program_config_add_mapping(&program, "/a:/b", &err), -E2BIG);
    program_config_clear_mappings(&program);
    assert_int_equal(program_config_add_mapping(&program, "/a:/b", &err), 0);
    program_config_free(&program);
}

/* ---- --env ---- */

static void run_variables(void **state)
{
    static const char *const given[] = {
        "A=1", "EMPTY=", "OSVM_UNIT_OWN", "OSVM_UNIT_NONE", "AB=2", "A=last=of", "B"};
    static const char *const expected[] = {"A=last=of", "EMPTY=", "OSVM_UNIT_OWN=of the caller",
                                           "AB=2"};
    struct program_config program = {0};
    struct error err = {0};

    (void)state;
    setenv("OSVM_UNIT_OWN", "of the caller", 1);
    unsetenv("OSVM_UNIT_NONE");
    unsetenv("B");
    for (size_t i = 0; i < ARRAY_SIZE(given); i++)
        assert_int_equal(program_config_add_variable(&program, given[i], &err), 0);
    assert_int_equal(program.environment.count, ARRAY_SIZE(expected));
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
        assert_string_equal(program.environment.items[i], expected[i]);
    assert_int_equal(program_config_add_variable(&program, "", &err), -EINVAL);
    assert_int_equal(program_config_add_variable(&program, "=x", &err), -EINVAL);
    program_config_clear_variables(&program);
    assert_int_equal(program.environment.count, 0);
    program_config_free(&program);
}

/* ---- Other kernels. ---- */

static void run_refuse(void **state)
{
    struct program_config program = {0};
    struct error err = {0};

    (void)state;
    assert_int_equal(program_config_refuse(&program, &err), 0);
    program_config_add_mapping(&program, "/a:/b", &err);
    assert_int_equal(program_config_refuse(&program, &err), -EINVAL);
    assert_non_null(strstr(err.text, "--map"));
    program_config_add_variable(&program, "A=1", &err);
    assert_int_equal(program_config_refuse(&program, &err), -EINVAL);
    assert_non_null(strstr(err.text, "--env"));
    program_config_add_argument(&program, "-v", &err);
    assert_int_equal(program_config_refuse(&program, &err), -EINVAL);
    assert_non_null(strstr(err.text, "'-v': arguments"));
    program_config_free(&program);
}

int main(void)
{
    static struct unit unit;

    unit_add_rows(&unit, mappings, run_mapping);
    unit_add(&unit, "mappings that are none", run_mapping_refused, NULL);
    unit_add(&unit, "too many mappings", run_too_many_mappings, NULL);
    unit_add(&unit, "variables", run_variables, NULL);
    unit_add(&unit, "a kernel that has no program", run_refuse, NULL);
    return unit_run(&unit, "program_config");
}

/* The keys of hermit.toml, as a table. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "archive/hermit.h"
#include "base/util.h"
#include "toml.h"

struct config_reader {
    struct toml_visitor visitor;
    struct hermit_config config;
    uint32_t seen_keys, seen_tables; /* a bit for each row */
};

static struct config_reader *of_visitor(struct toml_visitor *visitor)
{
    return container_of(visitor, struct config_reader, visitor);
}

static int set_version(struct hermit_config *config, struct toml_value *value, struct error *err)
{
    (void)config;
    if (strcmp(value->string, "1") != 0)
        return error_set(err, -ENOTSUP, "version \"%.32s\" is not known here, only \"1\" is",
                         value->string);
    return 0;
}

static int set_kernel(struct hermit_config *config, struct toml_value *value, struct error *err)
{
    char path[IMAGE_ARCHIVE_PATH_MAX + 1];

    if (!image_archive_path_normalise(value->string, path))
        return error_set(err, -EINVAL, "'%.100s' is no path in an image", value->string);
    config->kernel = take_ptr(value->string);
    return 0;
}

static void take_strings(struct hermit_strings *strings, struct toml_value *value)
{
    *strings = (struct hermit_strings){take_ptr(value->strings), value->count};
    value->count = 0;
}

static int set_kernel_args(struct hermit_config *config, struct toml_value *value,
                           struct error *err)
{
    (void)err;
    take_strings(&config->kernel_args, value);
    return 0;
}

static int set_app_args(struct hermit_config *config, struct toml_value *value, struct error *err)
{
    (void)err;
    take_strings(&config->app_args, value);
    return 0;
}

static int set_env_vars(struct hermit_config *config, struct toml_value *value, struct error *err)
{
    for (size_t i = 0; i < value->count; i++) {
        if (value->strings[i][0] == '=' || !strchr(value->strings[i], '='))
            return error_set(err, -EINVAL, "'%.100s' is not NAME=VALUE", value->strings[i]);
    }
    take_strings(&config->environment, value);
    return 0;
}

/* The unit of a size, in any case of its letters; 0 where it is none. */
static uint64_t unit_bytes(const char *unit)
{
    static const struct {
        const char *name;
        uint64_t bytes;
    } units[] = {
        {"", 1},
        {"b", 1},
        {"kb", 1000},
        {"mb", 1000000},
        {"gb", 1000000000},
        {"kib", KIB},
        {"mib", MIB},
        {"gib", GIB},
        {"k", 1000},
        {"m", 1000000},
        {"g", 1000000000},
        {"tb", UINT64_C(1000000000000)},
        {"tib", KIB * GIB},
    };

    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (strcasecmp(unit, units[i].name) == 0)
            return units[i].bytes;
    }
    return 0;
}

/* "512 MiB", "1.5GB", or a bare number of bytes, as the byte-unit crate reads sizes. */
static bool parse_bytes(const char *text, uint64_t *ret_bytes)
{
    unsigned __int128 thousandths = 0;
    unsigned decimals = 0;
    bool digits = false, point = false;
    uint64_t unit;

    for (; (*text >= '0' && *text <= '9') || (*text == '.' && digits && !point); text++) {
        if (*text == '.') {
            point = true;
            continue;
        }
        digits = true;
        if (point && ++decimals > 3)
            return false; /* nobody means a fraction that fine */
        thousandths = thousandths * 10 + (unsigned)(*text - '0');
        if (thousandths > (unsigned __int128)UINT64_MAX * 1000)
            return false;
    }
    for (; decimals < 3; decimals++)
        thousandths *= 10;
    while (*text == ' ')
        text++;
    unit = unit_bytes(text);
    if (!digits || unit == 0 || thousandths / 1000 > UINT64_MAX / unit - 1)
        return false;
    *ret_bytes = (uint64_t)(thousandths * unit / 1000);
    return true;
}

static int set_memory(struct hermit_config *config, struct toml_value *value, struct error *err)
{
    if (value->kind == TOML_INTEGER && value->integer >= 0) {
        config->memory = (uint64_t)value->integer;
        return 0;
    }
    if (value->kind != TOML_STRING || !parse_bytes(value->string, &config->memory))
        return error_set(err, -EINVAL, "memory is bytes, or a string like \"512 MiB\"");
    return 0;
}

static int set_cpus(struct hermit_config *config, struct toml_value *value, struct error *err)
{
    if (value->integer < 0 || value->integer > UINT16_MAX)
        return error_set(err, -EINVAL, "cpus is a number from 0 to %d", UINT16_MAX);
    config->cpus = (unsigned)value->integer;
    return 0;
}

#define ANY_KIND (-1)

static const struct key {
    const char *table, *name;
    int kind; /* an enum toml_kind, or ANY_KIND where `set` looks itself */
    bool wanted;
    int (*set)(struct hermit_config *config, struct toml_value *value, struct error *err);
} keys[] = {
    {"", "version", TOML_STRING, true, set_version},
    {"", "kernel", TOML_STRING, true, set_kernel},
    {"input", "kernel_args", TOML_STRINGS, true, set_kernel_args},
    {"input", "app_args", TOML_STRINGS, true, set_app_args},
    {"input", "env_vars", TOML_STRINGS, false, set_env_vars},
    {"requirements", "memory", ANY_KIND, false, set_memory},
    {"requirements", "cpus", TOML_INTEGER, false, set_cpus},
};

static const char *const tables[] = {"input", "requirements"};

static int on_table(struct toml_visitor *visitor, const char *table, struct error *err)
{
    struct config_reader *reader = of_visitor(visitor);

    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        if (strcmp(table, tables[i]) != 0)
            continue;
        if (reader->seen_tables >> i & 1)
            return error_set(err, -EINVAL, "[%s] is there twice", table);
        reader->seen_tables |= UINT32_C(1) << i;
        return 0;
    }
    return error_set(err, -EINVAL, "there is no table [%s]", table);
}

static int on_value(struct toml_visitor *visitor, const char *table, const char *name,
                    struct toml_value *value, struct error *err)
{
    static const char *const kind_names[] = {
        [TOML_STRING] = "a string",
        [TOML_INTEGER] = "a number",
        [TOML_BOOLEAN] = "true or false",
        [TOML_STRINGS] = "an array of strings",
    };
    struct config_reader *reader = of_visitor(visitor);

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const struct key *key = &keys[i];

        if (strcmp(table, key->table) != 0 || strcmp(name, key->name) != 0)
            continue;
        if (reader->seen_keys >> i & 1)
            return error_set(err, -EINVAL, "'%s' is there twice", name);
        reader->seen_keys |= UINT32_C(1) << i;
        if (key->kind != ANY_KIND && key->kind != (int)value->kind)
            return error_set(err, -EINVAL, "'%s' is to be %s", name, kind_names[key->kind]);
        return key->set(&reader->config, value, err);
    }
    if (*table)
        return error_set(err, -EINVAL, "there is no key '%s' in [%s]", name, table);
    return error_set(err, -EINVAL, "there is no key '%s'", name);
}

int hermit_config_read(const char *text, size_t len, struct hermit_config *ret_config,
                       struct error *err)
{
    struct config_reader reader = {.visitor = {.value = on_value, .table = on_table}};
    int r = toml_read(text, len, &reader.visitor, err);

    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(keys); i++) {
        if (keys[i].wanted && !(reader.seen_keys >> i & 1))
            r = error_set(err, -EINVAL, "there is no '%s'%s%s%s, which is wanted", keys[i].name,
                          *keys[i].table ? " in [" : "", keys[i].table, *keys[i].table ? "]" : "");
    }
    if (r < 0)
        hermit_config_free(&reader.config);
    else
        *ret_config = reader.config;
    return r;
}

void hermit_config_free(struct hermit_config *config)
{
    free(config->kernel);
    toml_free_strings(config->kernel_args.items, config->kernel_args.count);
    toml_free_strings(config->app_args.items, config->app_args.count);
    toml_free_strings(config->environment.items, config->environment.count);
    *config = (struct hermit_config){0};
}

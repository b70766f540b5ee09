#include "config_file.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "options.h"

/*
 * The line on which the key number `ordinal` (from 0) of the outermost object stands. The text is
 * an object that the JSON library has taken already, so only strings and nesting are told apart.
 */
static unsigned key_line(const char *text, size_t len, size_t ordinal)
{
    unsigned line = 1, depth = 0;
    bool in_string = false, key_next = false;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (c == '\n')
            line++;
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
            if (depth == 1 && key_next) {
                key_next = false;
                if (ordinal-- == 0)
                    return line;
            }
        } else if (c == '{' || c == '[') {
            depth++;
            key_next = depth == 1;
        } else if (c == '}' || c == ']') {
            depth--;
        } else if (c == ',' && depth == 1) {
            key_next = true;
        }
    }
    return line;
}

static int apply_scalar(const struct option *option, const json_t *value, struct config *config,
                        struct error *err)
{
    const bool flag = option->argument == OPTION_FLAG || option->argument == OPTION_OPTIONAL;
    char number[32];

    if (json_is_boolean(value)) {
        if (!flag)
            return error_set(err, -EINVAL, "a string or a number is wanted, not true or false");
        return json_is_true(value) ? option->set(config, NULL, err) : 0;
    }
    if (option->argument == OPTION_FLAG)
        return error_set(err, -EINVAL, "true or false is wanted");
    if (json_is_string(value)) /* without a zero in it: the library refuses \\u0000 */
        return option->set(config, json_string_value(value), err);
    if (json_is_integer(value)) {
        snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return option->set(config, number, err);
    }
    return error_set(err, -EINVAL, "a string or a number is wanted");
}

static int apply_value(const struct option *option, const json_t *value, struct config *config,
                       struct error *err)
{
    size_t i;
    json_t *element;

    if (option->argument != OPTION_LIST || !json_is_array(value))
        return apply_scalar(option, value, config, err);
    json_array_foreach(value, i, element)
    {
        int r = apply_scalar(option, element, config, err);

        if (r < 0)
            return r;
    }
    return 0;
}

int config_text_read(const char *name, const char *text, size_t len, struct config *config,
                     struct error *err)
{
    json_error_t json_error;
    json_auto_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &json_error);
    const char *key;
    json_t *value;
    size_t ordinal = 0;

    if (!root)
        return error_set(err, -EINVAL, "%s:%d: not JSON as a config file has it: %s", name,
                         json_error.line, json_error.text);
    if (!json_is_object(root))
        return error_set(err, -EINVAL, "%s:1: a JSON object is wanted: { \"kernel\": … }", name);
    json_object_foreach(root, key, value)
    {
        size_t index;
        const struct option *option = option_find(key, strlen(key), &index);
        unsigned line = key_line(text, len, ordinal++);
        int r;

        if (!option)
            return error_set(err, -EINVAL,
                             "%s:%u: unknown key \"%.64s\"; the keys are the options that --help "
                             "shows",
                             name, line, key);
        if (option->command_line_only)
            return error_set(err, -EINVAL, "%s:%u: \"%s\" is for the command line only", name, line,
                             key);
        r = apply_value(option, value, config, err);
        if (r < 0)
            return error_prefix(err, r, "%s:%u: %s", name, line, key);
    }
    return 0;
}

int config_file_read(const char *path, struct config *config, struct error *err)
{
    _cleanup_free_ char *text = NULL;
    size_t len;
    int r = io_read_file(path, CONFIG_FILE_MAX_SIZE, &text, &len);

    if (r < 0)
        return error_set_errno(err, r, "cannot read config file '%s'", path);
    return config_text_read(path, text, len, config, err);
}

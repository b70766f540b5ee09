#include "seccomp_profile.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <seccomp.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/util.h"

#define PROFILE_MAX_BYTES (1024 * 1024)

static void release_filter(scmp_filter_ctx *filter)
{
    if (*filter)
        seccomp_release(*filter);
}

/* --- a file in the OCI format --------------------------------------------------------------------
 */

struct word {
    const char *name;
    uint32_t value;
};

static const struct word *find_word(const struct word *words, size_t count, const char *name)
{
    for (size_t i = 0; name && i < count; i++) {
        if (strcmp(words[i].name, name) == 0)
            return &words[i];
    }
    return NULL;
}

/* An action by name; errno_value goes with SCMP_ACT_ERRNO. Returns 0 or -EINVAL. */
static int action_of(const char *name, uint32_t errno_value, uint32_t *ret_action)
{
    static const struct word actions[] = {
        {"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD},
        {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
        {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
        {"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
        {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
        {"SCMP_ACT_LOG", SCMP_ACT_LOG},
        {"SCMP_ACT_ERRNO", 0},
    };
    const struct word *word = find_word(actions, ARRAY_SIZE(actions), name);

    if (!word)
        return -EINVAL;
    *ret_action = strcmp(name, "SCMP_ACT_ERRNO") == 0 ? SCMP_ACT_ERRNO(errno_value) : word->value;
    return 0;
}

/* One member of a rule's "args". */
static int comparison_of(json_t *arg, struct scmp_arg_cmp *ret_comparison)
{
    static const struct word operators[] = {
        {"SCMP_CMP_NE", SCMP_CMP_NE},
        {"SCMP_CMP_LT", SCMP_CMP_LT},
        {"SCMP_CMP_LE", SCMP_CMP_LE},
        {"SCMP_CMP_EQ", SCMP_CMP_EQ},
        {"SCMP_CMP_GE", SCMP_CMP_GE},
        {"SCMP_CMP_GT", SCMP_CMP_GT},
        {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
    };
    json_int_t index, value, second = 0;
    const char *operator;
    const struct word *word;

    if (json_unpack(arg, "{s:I, s:I, s?I, s:s}", "index", &index, "value", &value, "valueTwo",
                    &second, "op", &operator) < 0 ||
        index < 0 || index > 5)
        return -EINVAL;
    word = find_word(operators, ARRAY_SIZE(operators), operator);
    if (!word)
        return -EINVAL;
    *ret_comparison = (struct scmp_arg_cmp){.arg = (unsigned)index,
                                            .op = (enum scmp_compare)word->value,
                                            .datum_a = (scmp_datum_t)value,
                                            .datum_b = (scmp_datum_t)second};
    /* For SCMP_CMP_MASKED_EQ the mask is first in both. */
    return 0;
}

/* A rule with its conditions; a rule that goes with a capability does not hold: nobody has one. */
static int add_rule(scmp_filter_ctx filter, json_t *rule, uint32_t preset)
{
    json_t *names = NULL, *args = NULL, *includes = NULL, *value;
    const char *action_name = NULL;
    struct scmp_arg_cmp comparisons[6];
    json_int_t errno_value = EPERM;
    uint32_t action;
    size_t i, count;
    int r;

    if (json_unpack(rule, "{s:o, s:s, s?o, s?I, s?o}", "names", &names, "action", &action_name,
                    "args", &args, "errnoRet", &errno_value, "includes", &includes) < 0 ||
        !json_is_array(names) || json_array_size(args) > ARRAY_SIZE(comparisons) ||
        errno_value < 0 || errno_value > 4095 ||
        action_of(action_name, (uint32_t)errno_value, &action) < 0)
        return -EINVAL;
    if (json_array_size(json_object_get(includes, "caps")) > 0 || action == preset)
        return 0;
    count = json_array_size(args);
    json_array_foreach(args, i, value)
    {
        r = comparison_of(value, &comparisons[i]);
        if (r < 0)
            return r;
    }
    json_array_foreach(names, i, value)
    {
        const char *name = json_string_value(value);
        int number = name ? seccomp_syscall_resolve_name(name) : __NR_SCMP_ERROR;

        if (!name)
            return -EINVAL;
        if (number == __NR_SCMP_ERROR)
            continue; /* of another architecture, or newer than the library: it stays refused */
        r = seccomp_rule_add_array(filter, action, number, (unsigned)count, comparisons);
        if (r < 0)
            return r;
    }
    return 0;
}

static int fill_from_json(scmp_filter_ctx *ret_filter, json_t *root, struct error *err)
{
    json_t *rules = json_object_get(root, "syscalls"), *rule;
    json_t *errno_value = json_object_get(root, "defaultErrnoRet");
    const char *name = json_string_value(json_object_get(root, "defaultAction"));
    uint32_t preset;
    size_t i;

    if (action_of(name,
                  json_is_integer(errno_value) ? (uint32_t)json_integer_value(errno_value) : EPERM,
                  &preset) < 0)
        return error_set(err, -EINVAL, "defaultAction is none of the OCI format's actions");
    if (preset == SCMP_ACT_ALLOW || preset == SCMP_ACT_LOG)
        return error_set(err, -EINVAL,
                         "defaultAction allows what is not listed: that is no sandbox");
    *ret_filter = seccomp_init(preset);
    if (!*ret_filter)
        return error_set(err, -ENOMEM, "out of memory");
    json_array_foreach(rules, i, rule)
    {
        int r = add_rule(*ret_filter, rule, preset);

        if (r < 0)
            return error_set(err, r, "syscalls[%zu] is no rule as the OCI format has them", i);
    }
    return 0;
}

static int fill_from_file(scmp_filter_ctx *ret_filter, const char *path, struct error *err)
{
    json_auto_t *root = NULL;
    _cleanup_free_ char *text = NULL;
    json_error_t json_error;
    size_t len;
    int r = io_read_file(path, PROFILE_MAX_BYTES, &text, &len);

    if (r < 0)
        return error_set_errno(err, r, "cannot read the seccomp profile '%s'", path);
    root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &json_error);
    if (!root)
        return error_set(err, -EINVAL, "seccomp profile '%s', line %d: %s", path, json_error.line,
                         json_error.text);
    r = fill_from_json(ret_filter, root, err);
    return r < 0 ? error_prefix(err, r, "seccomp profile '%s'", path) : 0;
}

int seccomp_profile_write(const char *profile, int fd, struct error *err)
{
    _cleanup_(release_filter) scmp_filter_ctx filter = NULL;
    int r;

    if (profile[0] == '/') {
        r = fill_from_file(&filter, profile, err);
    } else { /* the built-in ones are told in that format too: there is one text of each */
        json_auto_t *root = NULL;

        r = seccomp_profile_describe(profile, &root, err);
        if (r == 0)
            r = fill_from_json(&filter, root, err);
    }
    if (r < 0)
        return r;
    /* Another architecture's calls (32-bit, x32) kill, as libseccomp does by itself. */
    r = seccomp_export_bpf(filter, fd);
    return r < 0 ? error_set_errno(err, r, "cannot write the filter") : 0;
}

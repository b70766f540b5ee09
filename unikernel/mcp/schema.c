/* JSON Schema: checking a schema, and a value by it. */
#include "schema.h"

#include "sdk/console.h"
#include "sdk/string.h"

enum word_kind {
    WORD_DESCRIBES, /* anything */
    WORD_TYPE,
    WORD_COUNT,      /* an integer, 0 or more */
    WORD_BOUND,      /* an integer */
    WORD_NAMES,      /* an array of strings */
    WORD_FLAG,       /* true or false */
    WORD_SCHEMA,     /* a schema */
    WORD_PROPERTIES, /* an object of schemas */
};

static const struct {
    const char *name;
    enum word_kind kind;
} words[] = {
    {"title", WORD_DESCRIBES},   {"description", WORD_DESCRIBES},
    {"default", WORD_DESCRIBES}, {"examples", WORD_DESCRIBES},
    {"type", WORD_TYPE},         {"minimum", WORD_BOUND},
    {"maximum", WORD_BOUND},     {"minLength", WORD_COUNT},
    {"maxLength", WORD_COUNT},   {"minItems", WORD_COUNT},
    {"maxItems", WORD_COUNT},    {"enum", WORD_NAMES},
    {"required", WORD_NAMES},    {"additionalProperties", WORD_FLAG},
    {"items", WORD_SCHEMA},      {"properties", WORD_PROPERTIES},
};

static const struct {
    const char *name;
    enum json_type type;
    bool integer;
} types[] = {
    {"null", JSON_NULL, false},     {"boolean", JSON_BOOLEAN, false},
    {"number", JSON_NUMBER, false}, {"integer", JSON_NUMBER, true},
    {"string", JSON_STRING, false}, {"array", JSON_ARRAY, false},
    {"object", JSON_OBJECT, false},
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NAME_MAX 64 /* bytes of a property's name, the zero included */

/* An array of strings that are short enough for names. */
static bool all_names(struct json value)
{
    struct json_walk walk = json_walk(value);

    if (!json_is(value, JSON_ARRAY))
        return false;
    while (json_walk_next(&walk))
        if (!json_is(walk.value, JSON_STRING) || json_text_room(walk.value) > NAME_MAX)
            return false;
    return true;
}

static const char *check_properties(struct json value)
{
    struct json_walk walk = json_walk(value);
    const char *wrong = json_is(value, JSON_OBJECT) ? NULL : "\"properties\" wants an object";

    while (!wrong && json_walk_next(&walk))
        wrong = json_text_room(walk.name) > NAME_MAX ? "a property's name is too long"
                                                     : schema_check(walk.value);
    return wrong;
}

static const char *check_word(enum word_kind kind, struct json value)
{
    int64_t number;

    switch (kind) {
    case WORD_DESCRIBES:
        return NULL;
    case WORD_TYPE:
        for (size_t i = 0; i < COUNT(types); i++)
            if (json_text_is(value, types[i].name))
                return NULL;
        return "\"type\" wants one of JSON's types";
    case WORD_BOUND:
        return json_integer(value, &number) ? NULL : "a bound wants an integer";
    case WORD_COUNT:
        return json_integer(value, &number) && number >= 0 ? NULL : "a count wants an integer";
    case WORD_NAMES:
        return all_names(value) ? NULL : "an array of short strings is wanted";
    case WORD_FLAG:
        return json_is(value, JSON_BOOLEAN) ? NULL : "true or false is wanted";
    case WORD_SCHEMA:
        return schema_check(value);
    case WORD_PROPERTIES:
        return check_properties(value);
    }
    return NULL;
}

const char *schema_check(struct json schema)
{
    struct json_walk walk = json_walk(schema);
    struct json type;

    if (!json_is(schema, JSON_OBJECT))
        return "a schema is an object";
    if (!json_member(schema, "type", &type))
        return "a schema wants a \"type\"";
    while (json_walk_next(&walk)) {
        const char *wrong = "a word that is not known here";

        for (size_t i = 0; i < COUNT(words); i++)
            if (json_text_is(walk.name, words[i].name))
                wrong = check_word(words[i].kind, walk.value);
        if (wrong)
            return wrong;
    }
    return NULL;
}

/* What a look at a value carries along: where it is, for the person who reads the refusal. */
struct look {
    const char *name; /* of the argument; "" for all of them */
    char *why;
    size_t size;
};

static bool allows(struct json schema, struct json value, const struct look *look);

static bool refuse(const struct look *look, const char *what, struct json detail)
{
    int shown = (int)(detail.end - detail.at);

    if (*look->name)
        snprintf(look->why, look->size, "argument \"%s\" %s%.*s", look->name, what, shown,
                 detail.at);
    else
        snprintf(look->why, look->size, "the arguments %s%.*s", what, shown, detail.at);
    return false;
}

/* The value of a schema's word, as a number; false where the schema does not have it. */
static bool bound(struct json schema, const char *word, int64_t *ret_bound, struct json *ret_text)
{
    return json_member(schema, word, ret_text) && json_integer(*ret_text, ret_bound);
}

static bool within(struct json schema, const char *least, const char *most, int64_t number,
                   const char *what_least, const char *what_most, const struct look *look)
{
    struct json text;
    int64_t limit;

    if (bound(schema, least, &limit, &text) && number < limit)
        return refuse(look, what_least, text);
    if (bound(schema, most, &limit, &text) && number > limit)
        return refuse(look, what_most, text);
    return true;
}

static bool right_type(struct json schema, struct json value, const struct look *look)
{
    struct json wanted = {"", ""};
    int64_t integer;

    json_member(schema, "type", &wanted);
    for (size_t i = 0; i < COUNT(types); i++)
        if (json_text_is(wanted, types[i].name) && json_is(value, types[i].type) &&
            (!types[i].integer || json_integer(value, &integer)))
            return true;
    return refuse(look, "must be of type ", wanted);
}

static bool string_allowed(struct json schema, struct json value, const struct look *look)
{
    struct json one_of;
    struct json_walk walk;

    if (json_member(schema, "enum", &one_of)) {
        bool found = false;

        for (walk = json_walk(one_of); !found && json_walk_next(&walk);) {
            size_t length = (size_t)(value.end - value.at);

            /* As written: the values of an enum need no escapes. */
            found = length == (size_t)(walk.value.end - walk.value.at) &&
                    memcmp(value.at, walk.value.at, length) == 0;
        }
        if (!found)
            return refuse(look, "must be one of ", one_of);
    }
    return within(schema, "minLength", "maxLength", (int64_t)json_text_characters(value),
                  "has fewer characters than ", "has more characters than ", look);
}

static bool array_allowed(struct json schema, struct json value, const struct look *look)
{
    struct json_walk walk = json_walk(value);
    bool checked;
    struct json items;
    int64_t count = 0;

    checked = json_member(schema, "items", &items);
    for (; json_walk_next(&walk); count++)
        if (checked && !allows(items, walk.value, look))
            return false;
    return within(schema, "minItems", "maxItems", count, "has fewer elements than ",
                  "has more elements than ", look);
}

static unsigned members_named(struct json object, const char *name)
{
    struct json_walk walk = json_walk(object);
    unsigned count = 0;

    while (json_walk_next(&walk))
        count += json_text_is(walk.name, name);
    return count;
}

/* A name of the schema's, as text. */
static void copy_name(struct json name, char ret_name[NAME_MAX])
{
    ret_name[0] = 0;
    if (json_text_room(name) <= NAME_MAX) /* or schema_check() would have refused it */
        json_text(name, ret_name);
}

static bool members_known(struct json properties, struct json value, const struct look *look)
{
    struct json_walk walk = json_walk(value);

    while (json_walk_next(&walk)) {
        struct json_walk known = json_walk(properties);
        bool found = false;

        while (!found && json_walk_next(&known)) {
            char name[NAME_MAX];

            copy_name(known.name, name);
            found = json_text_is(walk.name, name);
        }
        if (!found)
            return refuse(look, "have a member that is not known: ", walk.name);
    }
    return true;
}

static bool object_allowed(struct json schema, struct json value, const struct look *look)
{
    struct json properties, list, flag;
    struct json_walk walk;
    char name[NAME_MAX];

    if (json_member(schema, "required", &list))
        for (walk = json_walk(list); json_walk_next(&walk);) {
            copy_name(walk.value, name);
            if (members_named(value, name) == 0)
                return refuse(look, "lack the member ", walk.value);
        }
    if (!json_member(schema, "properties", &properties))
        return true;
    for (walk = json_walk(properties); json_walk_next(&walk);) {
        struct look inside = *look;
        struct json member;

        copy_name(walk.name, name);
        inside.name = name;
        if (!json_member(value, name, &member))
            continue;
        if (members_named(value, name) > 1)
            return refuse(look, "have twice the member ", walk.name);
        if (!allows(walk.value, member, &inside))
            return false;
    }
    if (json_member(schema, "additionalProperties", &flag) && !json_is_true(flag))
        return members_known(properties, value, look);
    return true;
}

static bool allows(struct json schema, struct json value, const struct look *look)
{
    int64_t number;

    if (!right_type(schema, value, look))
        return false;
    switch (json_type(value)) {
    case JSON_STRING:
        return string_allowed(schema, value, look);
    case JSON_ARRAY:
        return array_allowed(schema, value, look);
    case JSON_OBJECT:
        return object_allowed(schema, value, look);
    case JSON_NUMBER:
        return !json_integer(value, &number) ||
               within(schema, "minimum", "maximum", number, "must be at least ", "must be at most ",
                      look);
    default:
        return true;
    }
}

bool schema_allows(struct json schema, struct json value, char *ret_why, size_t size)
{
    struct look look = {.name = "", .why = ret_why, .size = size};

    return allows(schema, value, &look);
}

/* unikernel/mcp/schema.h: arguments by the schema that is published. */
#include "unit.h"

#include "schema.h"

static struct json parsed(const char *text)
{
    struct json value;

    assert_null(json_parse(text, strlen(text), &value));
    return value;
}

struct schema_row {
    const char *name, *schema;
};

static const struct schema_row bad_schemas[] = {
    {"no object", "[]"},
    {"no type", "{}"},
    {"an unknown type", "{\"type\":\"text\"}"},
    {"a list of types", "{\"type\":[\"string\",\"null\"]}"},
    {"an unknown word", "{\"type\":\"string\",\"pattern\":\"a*\"}"},
    {"an unknown word inside",
     "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"number\",\"multipleOf\":2}}}"},
    {"a bound that is no integer", "{\"type\":\"number\",\"minimum\":0.5}"},
    {"a count below zero", "{\"type\":\"string\",\"minLength\":-1}"},
    {"an enum of numbers", "{\"type\":\"string\",\"enum\":[1]}"},
    {"required that is no array", "{\"type\":\"object\",\"required\":\"a\"}"},
    {"properties that are no object", "{\"type\":\"object\",\"properties\":[]}"},
    {"additionalProperties that is a schema",
     "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}"},
    {"items that are no schema", "{\"type\":\"array\",\"items\":true}"},
    {"a name that is too long", "{\"type\":\"object\",\"properties\":{"
                                "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                "aaaaaaaaaaaaaa\":{\"type\":\"string\"}}}"},
};

static void test_bad_schema(void **state)
{
    const struct schema_row *row = *state;

    assert_non_null(schema_check(parsed(row->schema)));
}

#define ALL                                                                                      \
    "{\"type\":\"object\",\"title\":\"t\",\"properties\":{"                                      \
    "\"s\":{\"type\":\"string\",\"minLength\":2,\"maxLength\":3,\"default\":\"ab\"},"            \
    "\"e\":{\"type\":\"string\",\"enum\":[\"one\",\"two\"]},"                                    \
    "\"i\":{\"type\":\"integer\",\"minimum\":-1,\"maximum\":10},"                                \
    "\"n\":{\"type\":\"number\"},\"b\":{\"type\":\"boolean\"},\"z\":{\"type\":\"null\"},"        \
    "\"a\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":1,\"maxItems\":2}," \
    "\"o\":{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"string\"}},"                   \
    "\"required\":[\"x\"]}},\"required\":[\"s\"],\"additionalProperties\":false}"

struct value_row {
    const char *name, *value;
    const char *why; /* NULL: it is allowed */
};

static const struct value_row values[] = {
    {"what is required", "{\"s\":\"ab\"}", NULL},
    {"all at once",
     "{\"s\":\"abc\",\"e\":\"two\",\"i\":10,\"n\":1e500,\"b\":false,\"z\":null,\"a\":[1,2],"
     "\"o\":{\"x\":\"\",\"y\":0}}",
     NULL},
    {"an integer with a point", "{\"s\":\"ab\",\"i\":3.0}", NULL},
    {"characters are counted, not bytes", "{\"s\":\"\xc3\xa9\xc3\xa9\\u00e9\"}", NULL},
    {"a name in escapes", "{\"\\u0073\":\"ab\"}", NULL},
    {"the required one is missing", "{}", "the arguments lack the member \"s\""},
    {"an unknown member", "{\"s\":\"ab\",\"q\":1}", "a member that is not known: \"q\""},
    {"a member twice", "{\"s\":\"ab\",\"s\":\"cd\"}", "have twice the member \"s\""},
    {"a member twice, once in escapes", "{\"s\":\"ab\",\"\\u0073\":\"cd\"}", "have twice"},
    {"a number for a string", "{\"s\":5}", "argument \"s\" must be of type \"string\""},
    {"null for a string", "{\"s\":null}", "must be of type \"string\""},
    {"a string for a number", "{\"s\":\"ab\",\"n\":\"1\"}", "argument \"n\" must be of type"},
    {"a fraction for an integer", "{\"s\":\"ab\",\"i\":3.5}", "must be of type \"integer\""},
    {"an integer of more than 64 bits", "{\"s\":\"ab\",\"i\":99999999999999999999}",
     "must be of type \"integer\""},
    {"too small", "{\"s\":\"ab\",\"i\":-2}", "argument \"i\" must be at least -1"},
    {"too large", "{\"s\":\"ab\",\"i\":11}", "must be at most 10"},
    {"too short", "{\"s\":\"\xf0\x9f\x98\x80\"}", "has fewer characters than 2"},
    {"too long", "{\"s\":\"abcd\"}", "has more characters than 3"},
    {"not in the enum", "{\"s\":\"ab\",\"e\":\"three\"}", "must be one of [\"one\",\"two\"]"},
    {"half of a word of the enum", "{\"s\":\"ab\",\"e\":\"on\"}", "must be one of"},
    {"an array that is too short", "{\"s\":\"ab\",\"a\":[]}", "has fewer elements than 1"},
    {"an array that is too long", "{\"s\":\"ab\",\"a\":[1,2,3]}", "has more elements than 2"},
    {"a wrong element", "{\"s\":\"ab\",\"a\":[1,\"2\"]}", "argument \"a\" must be of type"},
    {"an object inside lacks one", "{\"s\":\"ab\",\"o\":{}}", "argument \"o\" lack"},
    {"an array of all", "[]", "the arguments must be of type \"object\""},
};

static void test_value(void **state)
{
    const struct value_row *row = *state;
    struct json schema = parsed(ALL);
    char why[256] = "";

    assert_null(schema_check(schema));
    assert_int_equal(schema_allows(schema, parsed(row->value), why, sizeof(why)), !row->why);
    if (row->why && !strstr(why, row->why))
        fail_msg("says '%s', not '%s'", why, row->why);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, bad_schemas, test_bad_schema);
    unit_add_rows(&unit, values, test_value);
    return unit_run(&unit, "mcp_schema");
}

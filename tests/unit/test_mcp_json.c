/* sdk/json.h: the reader and the writer of the guest's MCP server. */
#include "unit.h"

#include "sdk/json.h"

struct text_row {
    const char *name, *text;
    size_t length; /* 0: up to the zero */
};

static struct json parsed(const char *text)
{
    struct json value;
    const char *wrong = json_parse(text, strlen(text), &value);

    if (wrong)
        fail_msg("%s: %s", text, wrong);
    return value;
}

/* 64 arrays in one another, and one more: filled in by main(). */
static char deep[2 * JSON_DEPTH_MAX + 1], too_deep[2 * JSON_DEPTH_MAX + 3];

static const struct text_row taken[] = {
    {"null", "null", 0},
    {"blanks around", " \t\r\n true \n", 0},
    {"zero", "0", 0},
    {"minus zero", "-0", 0},
    {"a number with all its parts", "-12.50e+07", 0},
    {"an empty array", "[]", 0},
    {"an empty object", "{ }", 0},
    {"nested", "{\"a\":[1,{\"b\":[]},\"x\"],\"c\":{}}", 0},
    {"a key twice", "{\"a\":1,\"a\":2}", 0},
    {"every escape", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\"", 0},
    {"a zero as an escape", "\"\\u0000\"", 0},
    {"UTF-8 of two, three and four bytes", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"", 0},
    {"as deep as allowed", deep, 0},
};

static const struct text_row refused[] = {
    {"nothing", "", 0},
    {"blanks alone", "  ", 0},
    {"a word", "nul", 0},
    {"a word with a tail", "nulll", 0},
    {"NaN", "NaN", 0},
    {"a plus sign", "+1", 0},
    {"a leading zero", "01", 0},
    {"a minus alone", "-", 0},
    {"a point alone", "1.", 0},
    {"a point first", ".5", 0},
    {"an exponent without digits", "1e", 0},
    {"an exponent with a sign alone", "1e+", 0},
    {"two values", "1 2", 0},
    {"a comma behind", "[1,]", 0},
    {"a comma before", "[,1]", 0},
    {"no comma", "[1 2]", 0},
    {"a comma behind a member", "{\"a\":1,}", 0},
    {"a member without a value", "{\"a\":}", 0},
    {"a member without a colon", "{\"a\" 1}", 0},
    {"a name that is no string", "{1:2}", 0},
    {"an array that does not end", "[1", 0},
    {"an object that does not end", "{\"a\":1", 0},
    {"an object that ends in a name", "{\"a", 0},
    {"the wrong bracket", "[1}", 0},
    {"the wrong brace", "{\"a\":1]", 0},
    {"a closing bracket alone", "]", 0},
    {"a string that does not end", "\"abc", 0},
    {"a string that ends in a backslash", "\"abc\\", 0},
    {"an unknown escape", "\"\\x\"", 0},
    {"a short unicode escape", "\"\\u12\"", 0},
    {"a unicode escape at the end", "\"\\u12", 0},
    {"a unicode escape that is not hexadecimal", "\"\\u12g4\"", 0},
    {"half a surrogate pair", "\"\\ud83d\"", 0},
    {"half a surrogate pair and text", "\"\\ud83dabcdef\"", 0},
    {"two first halves", "\"\\ud83d\\ud83d\"", 0},
    {"the second half alone", "\"\\ude00\"", 0},
    {"a newline in a string", "\"a\nb\"", 0},
    {"a zero in a string", "\"a\0b\"", 5},
    {"a zero behind", "1\0", 2},
    {"a zero between", "[1,\0 2]", 7},
    {"UTF-8 that is cut off", "\"\xe2\x82\"", 0},
    {"UTF-8 that is overlong", "\"\xc0\xaf\"", 0},
    {"UTF-8 that is overlong, of three bytes", "\"\xe0\x80\xaf\"", 0},
    {"a surrogate in UTF-8", "\"\xed\xa0\x80\"", 0},
    {"UTF-8 past U+10FFFF", "\"\xf4\x90\x80\x80\"", 0},
    {"a byte order mark", "\xef\xbb\xbf{}", 0},
    {"a comment", "/* */ 1", 0},
    {"single quotes", "'a'", 0},
    {"one deeper than allowed", too_deep, 0},
};

static void test_taken(void **state)
{
    const struct text_row *row = *state;

    parsed(row->text);
}

static void test_refused(void **state)
{
    const struct text_row *row = *state;
    size_t length = row->length ? row->length : strlen(row->text);
    /* In memory of just its size, so that a sanitizer sees a look beyond it. */
    char *copy = malloc(length ? length : 1);
    struct json value = {0};

    memcpy(copy, row->text, length);
    assert_non_null(json_parse(copy, length, &value));
    assert_null(value.at);
    free(copy);
}

/* Each beginning of a good text is refused, and nothing behind its end is looked at. */
static void test_cut_off(void **state)
{
    static const char text[] =
        "{\"a\":[1.5e3,\"\\ud83d\\ude00\xe2\x82\xac\",true],\"b\":{\"c\":null}}";

    (void)state;
    for (size_t length = 0; length < sizeof(text) - 1; length++) {
        char *copy = malloc(length + 1);
        struct json value;

        memcpy(copy, text, length);
        assert_non_null(json_parse(copy, length, &value));
        free(copy);
    }
    parsed(text);
}

struct integer_row {
    const char *name, *text;
    bool is;
    int64_t value;
};

static const struct integer_row integers[] = {
    {"zero", "0", true, 0},
    {"minus zero", "-0", true, 0},
    {"plain", "1234", true, 1234},
    {"zeroes at its end", "1000", true, 1000},
    {"negative", "-17", true, -17},
    {"with a fraction of zeroes", "10.00", true, 10},
    {"with a fraction", "10.5", false, 0},
    {"a fraction below one", "0.5", false, 0},
    {"with an exponent", "12e3", true, 12000},
    {"a fraction that the exponent makes whole", "1.25e2", true, 125},
    {"a fraction that the exponent leaves", "1.25e1", false, 0},
    {"made small by its exponent", "1200e-2", true, 12},
    {"a fraction by its exponent", "12e-1", false, 0},
    {"zero with any exponent", "0e99999999999999999999", true, 0},
    {"the largest", "9223372036854775807", true, INT64_MAX},
    {"one larger", "9223372036854775808", false, 0},
    {"the least", "-9223372036854775808", true, INT64_MIN},
    {"one less", "-9223372036854775809", false, 0},
    {"a huge exponent", "1e99999999999999999999", false, 0},
    {"a huge negative exponent", "1e-99999999999999999999", false, 0},
    {"a string", "\"1\"", false, 0},
    {"true", "true", false, 0},
};

static void test_integers(void **state)
{
    const struct integer_row *row = *state;
    int64_t value = 77;

    assert_int_equal(json_integer(parsed(row->text), &value), row->is);
    assert_true(value == (row->is ? row->value : 77));
}

static void test_strings(void **state)
{
    struct json s = parsed("\"a\\n\\u00e9\\uD83D\\uDE00\\u0000\\/\xc3\xa9\"");
    static const char meant[] = "a\n\xc3\xa9\xf0\x9f\x98\x80\0/\xc3\xa9";
    char text[64];

    (void)state;
    assert_true(json_text_room(s) <= sizeof(text));
    assert_int_equal(json_text(s, text), sizeof(meant) - 1);
    assert_memory_equal(text, meant, sizeof(meant));
    assert_int_equal(json_text_characters(s), 7);
    assert_false(json_text_is(s, "a\n\xc3\xa9\xf0\x9f\x98\x80")); /* a zero does not end it */
    assert_true(json_text_is(parsed("\"me\\u0074hod\""), "method"));
    assert_false(json_text_is(parsed("\"method\""), "metho"));
    assert_false(json_text_is(parsed("\"metho\""), "method"));
    assert_false(json_text_is(parsed("5"), "5"));
}

static void test_walk(void **state)
{
    struct json value = parsed(" { \"a\\\"}\" : [ 1 , [2,\"]\"] , {} ] , \"b\":{\"c\" : false }, "
                               "\"b\":7 } ");
    struct json_walk walk = json_walk(value);
    struct json found;

    (void)state;
    assert_true(json_walk_next(&walk));
    assert_true(json_text_is(walk.name, "a\"}"));
    assert_true(json_is(walk.value, JSON_ARRAY));
    assert_int_equal(walk.value.end - walk.value.at, strlen("[ 1 , [2,\"]\"] , {} ]"));
    assert_true(json_walk_next(&walk));
    assert_true(json_walk_next(&walk));
    assert_false(json_walk_next(&walk));
    assert_false(json_walk_next(&walk));
    assert_true(json_member(value, "b", &found)); /* the first of two */
    assert_true(json_member(found, "c", &found));
    assert_true(json_is(found, JSON_BOOLEAN) && !json_is_true(found));
    assert_false(json_member(value, "c", &found));
    assert_false(json_member(parsed("[\"b\",1]"), "b", &found));
    walk = json_walk(parsed("[]"));
    assert_false(json_walk_next(&walk));
    walk = json_walk(parsed("12"));
    assert_false(json_walk_next(&walk));
}

static void test_out(void **state)
{
    struct json_out out = json_out_init(NULL, 0, 1000);
    static const char text[] = "q\" b\\ n\n z\0 e\x1f \xc3\xa9 bad\xff\xc3";

    (void)state;
    json_out_words(&out, "\"");
    json_out_part(&out, text, sizeof(text) - 1);
    json_out_words(&out, "\"");
    json_out_integer(&out, INT64_MIN);
    json_out_words(&out, "");
    json_out_raw(&out, "\0", 1);
    assert_false(out.failed);
    assert_string_equal(out.bytes, "\"q\\\" b\\\\ n\\n z\\u0000 e\\u001f \xc3\xa9 bad\xef\xbf\xbd"
                                   "\xef\xbf\xbd\"-9223372036854775808");
    json_out_free(&out);
}

static void test_out_limit(void **state)
{
    char first[8];
    struct json_out out = json_out_init(first, sizeof(first), 2000);
    char filler[1999];

    (void)state;
    memset(filler, 'x', sizeof(filler));
    json_out_words(&out, "12345678");
    assert_ptr_equal(out.bytes, first);
    json_out_raw(&out, filler, sizeof(filler));
    assert_true(out.failed);
    assert_int_equal(out.length, 8);
    json_out_words(&out, "9"); /* nothing more is written after a failure */
    assert_int_equal(out.length, 8);
    json_out_cut(&out, 1);
    assert_false(out.failed);
    json_out_raw(&out, filler, sizeof(filler));
    assert_false(out.failed);
    assert_int_equal(out.length, 2000);
    json_out_free(&out);
}

int main(void)
{
    struct unit unit = {.count = 0};

    memset(deep, '[', JSON_DEPTH_MAX);
    memset(deep + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    memset(too_deep, '[', JSON_DEPTH_MAX + 1);
    memset(too_deep + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    unit_add_rows(&unit, taken, test_taken);
    unit_add_rows(&unit, refused, test_refused);
    unit_add(&unit, "cut off anywhere", test_cut_off, NULL);
    unit_add_rows(&unit, integers, test_integers);
    unit_add(&unit, "what strings mean", test_strings, NULL);
    unit_add(&unit, "walking", test_walk, NULL);
    unit_add(&unit, "what is written", test_out, NULL);
    unit_add(&unit, "the limit of what is written", test_out_limit, NULL);
    return unit_run(&unit, "mcp_json");
}

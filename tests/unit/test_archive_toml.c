/* archive/toml.h: each form that is read, and each that is not, with its line. */
#include "toml.h"

#include <errno.h>
#include <stdio.h>

#include "unit.h"

/* What was read, written down: "key=value;" with the table before it where there is one. */
struct listing {
    struct toml_visitor visitor;
    char text[512];
};

static void add(struct listing *listing, const char *text)
{
    strncat(listing->text, text, sizeof(listing->text) - strlen(listing->text) - 1);
}

static int on_value(struct toml_visitor *visitor, const char *table, const char *key,
                    struct toml_value *value, struct error *err)
{
    struct listing *listing = container_of(visitor, struct listing, visitor);
    char number[32];

    if (strcmp(key, "refuse") == 0)
        return error_set(err, -EPERM, "refused");
    if (*table) {
        add(listing, table);
        add(listing, ".");
    }
    add(listing, key);
    add(listing, "=");
    switch (value->kind) {
    case TOML_STRING:
        add(listing, value->string);
        break;
    case TOML_INTEGER:
        snprintf(number, sizeof(number), "%lld", (long long)value->integer);
        add(listing, number);
        break;
    case TOML_BOOLEAN:
        add(listing, value->boolean ? "true" : "false");
        break;
    case TOML_STRINGS:
        for (size_t i = 0; i < value->count; i++) {
            add(listing, i ? "," : "[");
            add(listing, value->strings[i]);
        }
        add(listing, value->count ? "]" : "[]");
        break;
    }
    add(listing, ";");
    return 0;
}

static int on_table(struct toml_visitor *visitor, const char *table, struct error *err)
{
    (void)visitor;
    return strcmp(table, "refuse") == 0 ? error_set(err, -EPERM, "refused") : 0;
}

struct row {
    const char *name;
    const char *text;
    const char *listing; /* or, where it begins with "line", the error */
};

static const struct row rows[] = {
    {"nothing", "", ""},
    {"blank lines and comments", "\n \t\n# one\n   # two ####\r\n\r\n", ""},
    {"a string", "a = \"b\"", "a=b;"},
    {"without blanks, with a comment", "a=\"b\"# c\n", "a=b;"},
    {"with blanks", "  a\t =  \"b\"  \n", "a=b;"},
    {"ends of lines of DOS", "a = \"1\"\r\nb = \"2\"\r\n", "a=1;b=2;"},
    {"an empty string", "a = \"\"", "a=;"},
    {"escapes", "a = \"\\t\\\"\\\\\\u00e9\\U0001F600\"", "a=\t\"\\\xc3\xa9\xf0\x9f\x98\x80;"},
    {"a literal string", "a = 'b\\n\"'", "a=b\\n\";"},
    {"a # in a string", "a = \"#b\" # c", "a=#b;"},
    {"keys of digits, - and _", "1-_A = 1", "1-_A=1;"},
    {"keys in quotes", "\"a b\" = 1\n'c' = 2", "a b=1;c=2;"},
    {"numbers", "a = 0\nb = -17\nc = +5\nd = 1_000_000", "a=0;b=-17;c=5;d=1000000;"},
    {"the largest and the least number", "a = 9223372036854775807\nb = -9223372036854775808",
     "a=9223372036854775807;b=-9223372036854775808;"},
    {"booleans", "a = true\nb = false", "a=true;b=false;"},
    {"an array", "a = [\"b\", 'c']", "a=[b,c];"},
    {"an empty array", "a = [ ]", "a=[];"},
    {"an array over lines, with comments and a comma at its end",
     "a = [ # one\n \"b\" # two\n , # three\n\n \"c\",\n]\nd = 1", "a=[b,c];d=1;"},
    {"tables", "a = 1\n[t]\na = 2\n[ u ] # c\na = 3", "a=1;t.a=2;u.a=3;"},

    {"a key alone", "\na", "line 2: an '='"},
    {"no key", "= 1", "line 1: a key"},
    {"no value", "a =\n", "line 1: a value"},
    {"two values", "a = 1 2", "line 1: there is something behind"},
    {"two pairs on a line", "a = 1 b = 2", "line 1: there is something behind"},
    {"a dotted key", "\n\na.b = 1", "line 3: dotted keys"},
    {"a dotted table", "[a.b]", "line 1: dotted keys"},
    {"an array of tables", "[[a]]", "line 1: arrays of tables"},
    {"an inline table", "a = {b = 1}", "line 1: inline tables"},
    {"a table that does not end", "[a\nb = 1", "line 1: a ']'"},
    {"a table without a name", "[]", "line 1: a key"},
    {"something behind a table", "[a] b = 1", "line 1: there is something behind"},
    {"a string that does not end", "a = \"b\nc", "line 1: a string does not end"},
    {"a string that ends with the text", "a = 'b", "line 1: a string does not end"},
    {"a string of several lines", "a = \"\"\"b\"\"\"", "line 1: strings over several"},
    {"an escape of nothing", "a = \"\\x41\"", "line 1: a backslash"},
    {"a backslash at the end", "a = \"\\", "line 1: a backslash"},
    {"too few digits", "a = \"\\u12\"", "line 1: \\u wants 4"},
    {"a surrogate", "a = \"\\ud800\"", "line 1: \\ud800 is no character"},
    {"behind the last character", "a = \"\\U00110000\"", "line 1: \\U00110000 is no"},
    {"a zero", "a = \"\\u0000\"", "line 1: \\u0000 is no character"},
    {"a control character in a string", "a = \"\x01\"", "line 1: a string does not end"},
    {"a control character in a comment", "# \x01", "line 1: there is something"},
    {"a carriage return alone", "a = 1\rb = 2", "line 1: there is something"},
    {"a leading zero", "a = 01", "line 1: a number begins with 0"},
    {"hexadecimal", "a = 0x10", "line 1: this is no whole"},
    {"a float", "a = 1.5", "line 1: this is no whole"},
    {"a date", "a = 2020-01-01", "line 1: this is no whole"},
    {"a time", "a = 12:00", "line 1: this is no whole"},
    {"an underscore too many", "a = 1__0", "line 1: this is no whole"},
    {"an underscore at the end", "a = 1_", "line 1: this is no whole"},
    {"a sign alone", "a = -", "line 1: this is no whole"},
    {"a number too large", "a = 9223372036854775808", "line 1: a number is too large"},
    {"a number too small", "a = -9223372036854775809", "line 1: a number is too large"},
    {"a word", "a = yes", "line 1: a value"},
    {"nearly true", "a = truely", "line 1: there is something"},
    {"an array of numbers", "a = [\n1]", "line 2: an array of strings"},
    {"an array of arrays", "a = [[\"b\"]]", "line 1: an array of strings"},
    {"an array without commas", "a = [\"b\"\n\"c\"]", "line 2: a comma"},
    {"two commas", "a = [\"b\",,]", "line 1: an array of strings"},
    {"an array that does not end", "a = [\"b\",\n", "line 2: an array does not end"},
    {"the visitor refuses a key: its own line", "\nrefuse = [\n]\n", "line 2: refused"},
    {"the visitor refuses a table", "[refuse]", "line 1: refused"},
};

static void test_read(void **state)
{
    const struct row *row = *state;
    struct listing listing = {.visitor = {.value = on_value, .table = on_table}};
    struct error err = {""};
    /* Of its exact size, so that a read past the end is seen by the sanitizers. */
    size_t len = strlen(row->text);
    char *text = memcpy(malloc(len ? len : 1), row->text, len);
    int r = toml_read(text, len, &listing.visitor, &err);

    free(text);
    if (strncmp(row->listing, "line ", 5) == 0) {
        assert_true(r < 0);
        assert_int_equal(strncmp(err.text, row->listing, strlen(row->listing)), 0);
    } else {
        assert_string_equal(err.text, "");
        assert_int_equal(r, 0);
        assert_string_equal(listing.text, row->listing);
    }
}

static void test_long_key(void **state)
{
    struct listing listing = {.visitor = {.value = on_value, .table = on_table}};
    struct error err = {""};
    char text[TOML_KEY_MAX + 8];

    (void)state;
    memset(text, 'k', sizeof(text));
    memcpy(text + TOML_KEY_MAX, "=1", 2);
    assert_int_equal(toml_read(text, TOML_KEY_MAX + 2, &listing.visitor, &err), 0);
    memcpy(text + TOML_KEY_MAX, "k=1", 3);
    assert_int_equal(toml_read(text, TOML_KEY_MAX + 3, &listing.visitor, &err), -EINVAL);
}

static void test_zero_byte(void **state)
{
    struct listing listing = {.visitor = {.value = on_value, .table = on_table}};
    struct error err = {""};

    (void)state;
    assert_int_equal(toml_read("a = \"b\0c\"", 9, &listing.visitor, &err), -EINVAL);
    assert_int_equal(toml_read("\0", 1, &listing.visitor, &err), -EINVAL);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, rows, test_read);
    unit_add(&unit, "the longest key", test_long_key, NULL);
    unit_add(&unit, "a zero byte", test_zero_byte, NULL);
    return unit_run(&unit, "archive_toml");
}

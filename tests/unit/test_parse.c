/* base/parse.h: numbers and sizes. */
#include "unit.h"

#include <errno.h>

#include "base/parse.h"

#define UNTOUCHED UINT64_C(0xdeadbeef)

struct number_row {
    const char *name, *text;
    uint64_t min, max;
    int result;
    uint64_t value;
};

static const struct number_row numbers[] = {
    {"decimal", "42", 0, UINT64_MAX, 0, 42},
    {"zero", "0", 0, UINT64_MAX, 0, 0},
    {"leading zeroes are decimal", "010", 0, UINT64_MAX, 0, 10},
    {"hexadecimal", "0xf4", 0, UINT64_MAX, 0, 0xf4},
    {"hexadecimal in capitals", "0XAbC", 0, UINT64_MAX, 0, 0xabc},
    {"largest decimal", "18446744073709551615", 0, UINT64_MAX, 0, UINT64_MAX},
    {"largest hexadecimal", "0xffffffffffffffff", 0, UINT64_MAX, 0, UINT64_MAX},
    {"decimal over 64 bits", "18446744073709551616", 0, UINT64_MAX, -ERANGE, 0},
    {"hexadecimal over 64 bits", "0x10000000000000000", 0, UINT64_MAX, -ERANGE, 0},
    {"very long", "99999999999999999999999999999", 0, UINT64_MAX, -ERANGE, 0},
    {"at the minimum", "5", 5, 9, 0, 5},
    {"at the maximum", "9", 5, 9, 0, 9},
    {"under the minimum", "4", 5, 9, -ERANGE, 0},
    {"over the maximum", "10", 5, 9, -ERANGE, 0},
    {"empty", "", 0, UINT64_MAX, -EINVAL, 0},
    {"0x alone", "0x", 0, UINT64_MAX, -EINVAL, 0},
    {"plus sign", "+1", 0, UINT64_MAX, -EINVAL, 0},
    {"minus sign", "-1", 0, UINT64_MAX, -EINVAL, 0},
    {"blank before", " 1", 0, UINT64_MAX, -EINVAL, 0},
    {"blank behind", "1 ", 0, UINT64_MAX, -EINVAL, 0},
    {"newline behind", "1\n", 0, UINT64_MAX, -EINVAL, 0},
    {"letter behind", "1x", 0, UINT64_MAX, -EINVAL, 0},
    {"hexadecimal digit without 0x", "1f", 0, UINT64_MAX, -EINVAL, 0},
    {"not a hexadecimal digit", "0xg", 0, UINT64_MAX, -EINVAL, 0},
    {"fraction", "1.5", 0, UINT64_MAX, -EINVAL, 0},
};

static void test_number(void **state)
{
    const struct number_row *row = *state;
    uint64_t value = UNTOUCHED;

    assert_int_equal(parse_u64(row->text, row->min, row->max, &value), row->result);
    assert_int_equal(value, row->result == 0 ? row->value : UNTOUCHED);
}

struct size_row {
    const char *name, *text;
    int result;
    uint64_t value;
};

static const struct size_row sizes[] = {
    {"bare number is MiB", "256", 0, 256 * MIB},
    {"K", "512K", 0, 512 * KIB},
    {"M", "64M", 0, 64 * MIB},
    {"G", "2G", 0, 2 * GIB},
    {"T", "1T", 0, 1024 * GIB},
    {"small letter", "2g", 0, 2 * GIB},
    {"KiB", "4KiB", 0, 4 * KIB},
    {"kib", "4kib", 0, 4 * KIB},
    {"MB is MiB", "4MB", 0, 4 * MIB},
    {"zero", "0", 0, 0},
    {"largest in K", "18014398509481983K", 0, UINT64_MAX - 1023},
    {"over 64 bits in K", "18014398509481984K", -ERANGE, 0},
    {"over 64 bits in MiB", "17592186044416", -ERANGE, 0},
    {"over 64 bits in T", "16777216T", -ERANGE, 0},
    {"digits over 64 bits", "18446744073709551616K", -ERANGE, 0},
    {"empty", "", -EINVAL, 0},
    {"letter alone", "M", -EINVAL, 0},
    {"unknown letter", "1P", -EINVAL, 0},
    {"bytes cannot be said", "1B", -EINVAL, 0},
    {"i without B", "1Ki", -EINVAL, 0},
    {"two letters", "1KM", -EINVAL, 0},
    {"something behind", "1KiBx", -EINVAL, 0},
    {"blank between", "1 K", -EINVAL, 0},
    {"blank before", " 1K", -EINVAL, 0},
    {"plus sign", "+1", -EINVAL, 0},
    {"minus sign", "-1", -EINVAL, 0},
    {"hexadecimal", "0x10", -EINVAL, 0},
    {"fraction", "1.5G", -EINVAL, 0},
};

static void test_size(void **state)
{
    const struct size_row *row = *state;
    uint64_t value = UNTOUCHED;

    assert_int_equal(parse_size(row->text, &value), row->result);
    assert_int_equal(value, row->result == 0 ? row->value : UNTOUCHED);
}

struct format_row {
    const char *name;
    uint64_t bytes;
    const char *text;
};

static const struct format_row formats[] = {
    {"no bytes", 0, "0 bytes"},           {"one byte", 1, "1 byte"},
    {"bytes", 1023, "1023 bytes"},        {"one KiB", 1024, "1 KiB"},
    {"KiB and a half", 1536, "1.5 KiB"},  {"a fraction is cut, not rounded", MIB - 1, "1023.9 KiB"},
    {"MiB", 256 * MIB, "256 MiB"},        {"GiB and a half", 3 * GIB / 2, "1.5 GiB"},
    {"many GiB", 5000 * GIB, "5000 GiB"}, {"the largest", UINT64_MAX, "17179869183.9 GiB"},
};

static void test_format(void **state)
{
    const struct format_row *row = *state;
    char text[64];

    assert_string_equal(format_size(row->bytes, text, sizeof(text)), row->text);
}

static void test_format_is_cut(void **state)
{
    char text[4];

    (void)state;
    assert_string_equal(format_size(256 * MIB, text, sizeof(text)), "256");
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, numbers, test_number);
    unit_add_rows(&unit, sizes, test_size);
    unit_add_rows(&unit, formats, test_format);
    unit_add(&unit, "a short buffer is not overrun", test_format_is_cut, NULL);
    return unit_run(&unit, "parse");
}

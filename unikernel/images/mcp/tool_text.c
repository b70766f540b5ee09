/* Texts: echo, counts, search, differences. */
#include "sdk/string.h"
#include "tools.h"

void tool_echo(struct mcp_call *call)
{
    struct json message;

    if (mcp_argument(call, "message", &message))
        mcp_write_json_text(call, message);
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

void tool_text_stats(struct mcp_call *call)
{
    struct mcp_text text = mcp_argument_text(call, "text");
    unsigned long lines = 0, words = 0, characters = 0;
    bool in_word = false;

    for (size_t i = 0; i < text.length; i++) {
        char c = text.bytes[i];

        lines += c == '\n';
        characters += (c & 0xc0) != 0x80; /* not the rest of a character */
        words += !in_word && !is_blank(c);
        in_word = !is_blank(c);
    }
    if (text.length > 0 && text.bytes[text.length - 1] != '\n')
        lines++;
    mcp_print(call, "%lu lines, %lu words, %lu characters, %lu bytes", lines, words, characters,
              (unsigned long)text.length);
}

/* A line of a text, without its end. */
struct line {
    const char *at;
    size_t length;
};

/* Take the next line off a text; false at its end. */
static bool next_line(struct mcp_text *text, struct line *ret_line)
{
    const char *newline;

    if (text->length == 0)
        return false;
    newline = memchr(text->bytes, '\n', text->length);
    ret_line->at = text->bytes;
    ret_line->length = newline ? (size_t)(newline - text->bytes) : text->length;
    text->bytes += ret_line->length + (newline != NULL);
    text->length -= ret_line->length + (newline != NULL);
    return true;
}

static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool contains(struct line line, struct mcp_text find, bool ignore_case)
{
    for (size_t at = 0; at + find.length <= line.length; at++) {
        size_t i = 0;

        while (i < find.length && (line.at[at + i] == find.bytes[i] ||
                                   (ignore_case && fold(line.at[at + i]) == fold(find.bytes[i]))))
            i++;
        if (i == find.length)
            return true;
    }
    return false;
}

void tool_text_search(struct mcp_call *call)
{
    struct mcp_text text = mcp_argument_text(call, "text"), find = mcp_argument_text(call, "find");
    bool ignore_case = mcp_argument_flag(call, "ignore_case", false);
    int64_t limit = mcp_argument_integer(call, "limit", 100), found = 0;
    struct line line;

    for (unsigned long number = 1; next_line(&text, &line); number++) {
        if (!contains(line, find, ignore_case))
            continue;
        if (++found > limit)
            continue;
        mcp_print(call, "%lu: ", number);
        mcp_write(call, line.at, line.length);
        mcp_write(call, "\n", 1);
    }
    if (found > limit)
        mcp_print(call, "… and %ld lines more\n", found - limit);
    if (found == 0)
        mcp_print(call, "no line contains it");
}

/* --- differences ----------------------------------------------------------------------------- */

#define CELLS_MAX (UINT64_C(1) << 20) /* of the table of two changed middles: 2 MiB */

struct lines {
    struct line *line;
    size_t count;
};

static struct lines split(struct mcp_call *call, struct mcp_text text)
{
    struct lines lines = {0};
    struct mcp_text rest = text;
    struct line line;

    while (next_line(&rest, &line))
        lines.count++;
    lines.line = mcp_alloc(call, (lines.count + 1) * sizeof(line));
    if (!lines.line)
        return (struct lines){0};
    for (size_t i = 0; next_line(&text, &lines.line[i]);)
        i++;
    return lines;
}

static bool equal(struct line a, struct line b)
{
    return a.length == b.length && memcmp(a.at, b.at, a.length) == 0;
}

static void write_lines(struct mcp_call *call, const char *sign, const struct line *line,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mcp_write(call, sign, 1);
        mcp_write(call, line[i].at, line[i].length);
        mcp_write(call, "\n", 1);
    }
}

/* A change: `old_count` lines from old[old_at] on became `new_count` from new[new_at] on. A range
 * of no lines is named by the line before it, as diff does. */
static void write_change(struct mcp_call *call, const struct line *old, size_t old_at,
                         size_t old_count, const struct line *new, size_t new_at, size_t new_count)
{
    mcp_print(call, "@@ -%lu,%lu +%lu,%lu @@\n", old_at + (old_count > 0), old_count,
              new_at + (new_count > 0), new_count);
    write_lines(call, "-", old + old_at, old_count);
    write_lines(call, "+", new + new_at, new_count);
}

/* The table of the longest common subsequence: cell (i, j) is its length from old[i] and new[j]
 * on. Lengths fit 16 bits: the shorter text has at most 1024 lines. */
static void fill(uint16_t *table, struct lines old, struct lines new)
{
    size_t width = new.count + 1;

    for (size_t i = old.count + 1; i-- > 0;)
        for (size_t j = new.count + 1; j-- > 0;) {
            uint16_t *cell = &table[i * width + j];

            if (i == old.count || j == new.count)
                *cell = 0;
            else if (equal(old.line[i], new.line[j]))
                *cell = (uint16_t)(cell[width + 1] + 1);
            else
                *cell = cell[width] > cell[1] ? cell[width] : cell[1];
        }
}

/* Say what changed in the middles; `before` equal lines stand before both. */
static void write_changes(struct mcp_call *call, const uint16_t *table, struct lines old,
                          struct lines new, size_t before)
{
    size_t width = new.count + 1, i = 0, j = 0;

    while (i < old.count || j < new.count) {
        size_t i_from = i, j_from = j;

        while ((i < old.count || j < new.count) &&
               !(i < old.count && j < new.count &&equal(old.line[i], new.line[j]))) {
            if (j == new.count ||
                (i < old.count && table[(i + 1) * width + j] >= table[i * width + j + 1]))
                i++;
            else
                j++;
        }
        if (i > i_from || j > j_from)
            write_change(call, old.line - before, before + i_from, i - i_from, new.line - before,
                         before + j_from, j - j_from);
        while (i < old.count && j < new.count &&equal(old.line[i], new.line[j])) {
            i++;
            j++;
        }
    }
}

void tool_text_diff(struct mcp_call *call)
{
    struct lines old = split(call, mcp_argument_text(call, "old"));
    struct lines new = split(call, mcp_argument_text(call, "new"));
    size_t before = 0;
    uint16_t *table;

    if (!old.line || !new.line)
        return;
    while (before < old.count && before < new.count &&equal(old.line[before], new.line[before]))
        before++;
    old = (struct lines){old.line + before, old.count - before};
    new = (struct lines){new.line + before, new.count - before};
    while (old.count > 0 && new.count > 0 &&
           equal(old.line[old.count - 1], new.line[new.count - 1])) {
        old.count--;
        new.count--;
    }
    if ((uint64_t)(old.count + 1) * (new.count + 1) > CELLS_MAX) {
        mcp_fail(call, "the texts differ in too many lines: %lu became %lu", old.count, new.count);
        return;
    }
    table = mcp_alloc(call, (old.count + 1) * (new.count + 1) * sizeof(*table));
    if (!table)
        return;
    fill(table, old, new);
    write_changes(call, table, old, new, before);
}

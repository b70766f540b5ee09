#include "table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/util.h"
#include "command.h"

#define GAP           2
#define LEAST_COLUMN  6
#define DEFAULT_WIDTH 80

void table_init(struct table *table, const char *const headers[], unsigned right)
{
    *table = (struct table){.headers = headers, .right = right};
    while (headers[table->columns])
        table->columns++;
}

void table_free(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i].text);
    free(table->cells);
}

void table_add(struct table *table, enum table_colour colour, const char *format, ...)
{
    va_list args;
    char *text;

    if (table->count == table->room) {
        size_t room = table->room ? 2 * table->room : 64;
        struct table_cell *cells = realloc(table->cells, room * sizeof(*cells));

        if (!cells) {
            table->failed = true;
            return;
        }
        table->cells = cells;
        table->room = room;
    }
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    table->failed = table->failed || !text;
    table->cells[table->count++] = (struct table_cell){.text = text, .colour = colour};
}

void table_add_bytes(struct table *table, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;

    for (; value >= 1000 && unit + 1 < ARRAY_SIZE(units); unit++)
        value /= 1024;
    table_add(table, TABLE_PLAIN, unit > 0 && value < 100 ? "%.1f %s" : "%.0f %s", value,
              units[unit]);
}

void table_add_age(struct table *table, double seconds)
{
    if (seconds <= 0)
        table_add(table, TABLE_PLAIN, "%s", "");
    else if (seconds < 100)
        table_add(table, TABLE_PLAIN, "%.0f s", seconds);
    else if (seconds < 100 * 60)
        table_add(table, TABLE_PLAIN, "%.0f min", seconds / 60);
    else if (seconds < 100 * 3600)
        table_add(table, TABLE_PLAIN, "%.0f h", seconds / 3600);
    else
        table_add(table, TABLE_PLAIN, "%.0f days", seconds / 86400);
}

bool terminal_size(unsigned *ret_columns, unsigned *ret_rows)
{
    struct winsize size = {0};

    if (!isatty(STDOUT_FILENO))
        return false;
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    *ret_columns = size.ws_col ? size.ws_col : DEFAULT_WIDTH;
    *ret_rows = size.ws_row ? size.ws_row : 24;
    return true;
}

/* --- what fits -----------------------------------------------------------------------------------
 */

/* The bytes of a UTF-8 text of up to `most` characters. */
static size_t bytes_of(const char *text, size_t most)
{
    size_t bytes = 0;

    for (size_t characters = 0; text[bytes]; bytes++) {
        bool begins = ((unsigned char)text[bytes] & 0xc0) != 0x80;

        if (begins && characters++ == most)
            break;
    }
    return bytes;
}

static size_t characters_of(const char *text)
{
    size_t count = 0;

    for (; *text; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

static void measure(const struct table *table, size_t *widths)
{
    for (size_t i = 0; i < table->columns; i++)
        widths[i] = strlen(table->headers[i]);
    for (size_t i = 0; i < table->count; i++) {
        const char *text = table->cells[i].text;
        size_t width = text ? characters_of(text) : 0;

        if (width > widths[i % table->columns])
            widths[i % table->columns] = width;
    }
}

/*
 * Take from the widest, one by one, until all is no wider than this; where that is not enough,
 * leave out the last columns. Returns how many are left.
 */
static size_t fit(size_t columns, size_t *widths, size_t whole)
{
    for (;;) {
        size_t sum = GAP * (columns - 1), widest = 0;

        for (size_t i = 0; i < columns; i++) {
            sum += widths[i];
            if (widths[i] > widths[widest])
                widest = i;
        }
        if (sum <= whole || columns == 1)
            return columns;
        if (widths[widest] > LEAST_COLUMN)
            widths[widest]--;
        else
            columns--;
    }
}

static void print_cell(const char *text, enum table_colour colour, size_t width, bool right,
                       bool last)
{
    static const char *const codes[] = {[TABLE_PLAIN] = "",
                                        [TABLE_GOOD] = "\033[32m",
                                        [TABLE_WARNING] = "\033[33m",
                                        [TABLE_BAD] = "\033[31m",
                                        [TABLE_FAINT] = "\033[2m"};
    size_t characters = characters_of(text);
    bool cut = characters > width;
    size_t shown = cut ? width : characters;
    int pad = (int)(width - shown);

    printf("%*s%s%.*s%s%s", right ? pad : 0, "", codes[colour],
           (int)bytes_of(text, cut ? width - 1 : width), text, cut ? "~" : "",
           colour == TABLE_PLAIN ? "" : "\033[0m");
    if (!last)
        printf("%*s", (right ? 0 : pad) + GAP, "");
}

int table_print(const struct table *table)
{
    size_t widths[TABLE_MAX_COLUMNS], shown = table->columns;
    unsigned columns, rows;
    bool terminal = terminal_size(&columns, &rows);
    bool coloured = terminal && !getenv("NO_COLOR");

    measure(table, widths);
    if (terminal)
        shown = fit(table->columns, widths, columns);
    for (size_t i = 0; i < shown; i++)
        print_cell(table->headers[i], coloured ? TABLE_FAINT : TABLE_PLAIN, widths[i],
                   table->right >> i & 1, i + 1 == shown);
    putchar('\n');
    for (size_t i = 0; i < table->count; i++) {
        size_t column = i % table->columns;
        const struct table_cell *cell = &table->cells[i];

        if (column < shown)
            print_cell(cell->text ? cell->text : "", coloured ? cell->colour : TABLE_PLAIN,
                       widths[column], table->right >> column & 1, column + 1 == shown);
        if (column + 1 == table->columns)
            putchar('\n');
    }
    return table->failed ? fail(EXIT_FAILED, "out of memory") : 0;
}

/* supervisor/log_record.h and log_writer.h: a component's output on disk. */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "log_record.h"
#include "log_writer.h"

struct line_row {
    const char *name, *line;
    bool good;
};

static const struct line_row line_rows[] = {
    {"a whole line", "2026-11-25T01:02:03.000000004Z stdout F text", true},
    {"a part", "2026-11-25T01:02:03.000000004Z stderr P ", true},
    {"no text, no blank", "2026-11-25T01:02:03.000000004Z stderr P", false},
    {"another stream", "2026-11-25T01:02:03.000000004Z stdoot F text", false},
    {"another tag", "2026-11-25T01:02:03.000000004Z stdout G text", false},
    {"month 13", "2026-13-25T01:02:03.000000004Z stdout F text", false},
    {"no time", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx stdout F text", false},
    {"empty", "", false},
};

static void test_line(void **state)
{
    const struct line_row *row = *state;
    struct log_record record;

    assert_int_equal(log_record_parse(row->line, strlen(row->line), &record),
                     row->good ? 0 : -EINVAL);
}

struct time_row {
    const char *name; /* the text */
    int64_t ns;       /* -1: it is none */
};

static const struct time_row time_rows[] = {
    {"1970-01-01", 0},
    {"1970-01-01T00:00:01Z", 1000000000},
    {"1970-01-02T01", 90000000000000},
    {"1970-01-01T00:01", 60000000000},
    {"2026-11-25T01:02:03.5Z", 1795568523500000000},
    {"1970-01-01T", -1},
    {"1970-1-1", -1},
    {"yesterday", -1},
    {"1970-01-01T00:00:01Zx", -1},
    {"1969-12-31", -1},
    {"", -1},
};

static void test_time(void **state)
{
    const struct time_row *row = *state;
    uint64_t ns = 77;

    assert_int_equal(log_time_parse(row->name, &ns), row->ns < 0 ? -EINVAL : 0);
    assert_int_equal(ns, row->ns < 0 ? 77 : (uint64_t)row->ns);
}

static void test_head_is_read_again(void **state)
{
    struct log_record out = {
        .time_ns = 1795568523500000007, .stream = LOG_STDERR, .ends_line = true};
    struct log_record in;
    char head[LOG_HEAD_BYTES + 1] = "";

    (void)state;
    log_record_head(&out, head);
    assert_string_equal(head, "2026-11-25T01:02:03.500000007Z stderr F ");
    assert_int_equal(log_record_parse(head, LOG_HEAD_BYTES, &in), 0);
    assert_int_equal(in.time_ns, out.time_ns);
    assert_int_equal(in.stream, LOG_STDERR);
    assert_true(in.ends_line);
    assert_int_equal(in.len, 0);
}

/* --- a folder -----------------------------------------------------------------------------------
 */

static char folder[] = "/tmp/osvm-test-log-XXXXXX";

static void remove_folder(void)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;

    while ((entry = readdir(dir)))
        unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    rmdir(folder);
}

static void open_writer(struct log_writer *writer, uint64_t max_bytes, uint64_t files)
{
    struct error err = {0};

    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_int_equal(log_writer_open(writer, folder, max_bytes, files, &err), 0);
}

/* The text of all records of a file, newlines where a line ends. */
static size_t read_back(unsigned number, char *buf)
{
    char path[64], *file, *line;
    size_t len, used = 0;

    snprintf(path, sizeof(path), "%s/%u", folder, number);
    assert_int_equal(io_read_file(path, 1024 * 1024, &file, &len), 0);
    for (line = file; line < file + len;) {
        char *end = memchr(line, '\n', (size_t)(file + len - line));
        struct log_record record;

        assert_non_null(end);
        assert_int_equal(log_record_parse(line, (size_t)(end - line), &record), 0);
        memcpy(buf + used, record.text, record.len);
        used += record.len;
        if (record.ends_line)
            buf[used++] = '\n';
        line = end + 1;
    }
    free(file);
    return used;
}

static void test_any_bytes(void **state)
{
    struct log_writer writer;
    char bytes[3 * LOG_TEXT_MAX], back[sizeof(bytes) + 16];

    (void)state;
    /* Every byte, lines of all lengths, one longer than a record. */
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i < LOG_TEXT_MAX ? i * 7 + i / 251 : 'x');
    open_writer(&writer, 1024 * 1024, 3);
    for (size_t at = 0; at < sizeof(bytes); at += 1000)
        log_writer_add(&writer, LOG_STDOUT, bytes + at,
                       sizeof(bytes) - at < 1000 ? sizeof(bytes) - at : 1000);
    assert_int_equal(read_back(0, back), sizeof(bytes));
    assert_memory_equal(back, bytes, sizeof(bytes));
    log_writer_close(&writer);
    remove_folder();
}

static void test_rotation(void **state)
{
    struct log_writer writer;
    struct error err = {0};
    char path[64];
    struct stat st;

    (void)state;
    open_writer(&writer, 200, 2);
    for (int i = 0; i < 40; i++)
        log_writer_add(&writer, LOG_STDOUT, "0123456789\n", 11);
    assert_true(writer.number >= 4);
    for (unsigned i = 0; i <= writer.number; i++) {
        snprintf(path, sizeof(path), "%s/%u", folder, i);
        assert_int_equal(stat(path, &st), i + 2 > writer.number ? 0 : -1);
        if (i + 2 > writer.number)
            assert_true(st.st_size <= 200 + LOG_HEAD_BYTES + 11);
    }
    /* Another process goes on where this one was. */
    log_writer_close(&writer);
    unsigned number = (unsigned)writer.number;
    assert_int_equal(log_writer_open(&writer, folder, 1000, 2, &err), 0);
    assert_int_equal(writer.number, number);
    assert_true(writer.size > 0);
    log_writer_close(&writer);
    remove_folder();
}

static void test_full_disk(void **state)
{
    struct log_writer writer;
    char back[256] = "";
    int file;

    (void)state;
    open_writer(&writer, 1024 * 1024, 2);
    file = writer.file;
    writer.file = open("/dev/full", O_WRONLY | O_CLOEXEC);
    log_writer_add(&writer, LOG_STDOUT, "lost\n", 5);
    assert_int_equal(writer.lost, 5);
    close(writer.file);
    writer.file = file;
    log_writer_add(&writer, LOG_STDOUT, "kept\n", 5);
    assert_int_equal(writer.lost, 0);
    read_back(0, back);
    assert_string_equal(back, "osvm-monitor: 5 bytes could not be written here\nkept\n");
    log_writer_close(&writer);
    remove_folder();
}

static void test_no_folder(void **state)
{
    struct log_writer writer;
    struct error err = {0};

    (void)state;
    assert_int_equal(log_writer_open(&writer, "/nowhere/at/all", 1000, 2, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nowhere/at/all"));
}

int main(void)
{
    struct unit unit = {0};

    unit_add_rows(&unit, line_rows, test_line);
    unit_add_rows(&unit, time_rows, test_time);
    unit_add(&unit, "a head is read again", test_head_is_read_again, NULL);
    unit_add(&unit, "any bytes come back", test_any_bytes, NULL);
    unit_add(&unit, "files are rotated and the log goes on", test_rotation, NULL);
    unit_add(&unit, "what a full disk cost is told", test_full_disk, NULL);
    unit_add(&unit, "a folder that is not there", test_no_folder, NULL);
    return unit_run(&unit, "log_records");
}

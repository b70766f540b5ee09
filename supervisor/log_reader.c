#include "log_reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/util.h"

#define CHUNK_BYTES (64 * 1024)

/* A line of a log file is a record's head and its text; what is longer is not one. */
#define LINE_MAX_BYTES (LOG_HEAD_BYTES + LOG_TEXT_MAX + 1)

/* The lowest number of a file in the folder that is at least `from`. */
static bool find_file(int folder, uint64_t from, uint64_t *ret_number)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    bool found = false;

    if (!dir) {
        close_fd(fd);
        return false;
    }
    while ((entry = readdir(dir))) {
        uint64_t number;

        if (parse_u64(entry->d_name, from, UINT64_MAX - 1, &number) < 0 ||
            (found && number > *ret_number))
            continue;
        *ret_number = number;
        found = true;
    }
    closedir(dir);
    return found;
}

/* Go on with the next file, if there is one. */
static bool next_file(struct log_reader *reader)
{
    uint64_t number;
    char name[24];
    int fd;

    if (!find_file(reader->folder, reader->file < 0 ? 0 : reader->number + 1, &number))
        return false;
    snprintf(name, sizeof(name), "%" PRIu64, number);
    fd = openat(reader->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    close_fd(reader->file);
    reader->file = fd;
    reader->number = number;
    reader->used = reader->taken = 0; /* a record that was cut off stays so */
    return true;
}

int log_reader_open(struct log_reader *reader, const struct paths *paths, const char *name,
                    struct error *err)
{
    _cleanup_free_ char *path = paths_state(paths, name, "log");

    *reader = (struct log_reader){.folder = -1, .file = -1};
    reader->folder = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (reader->folder >= 0)
        return 0;
    return error_set_errno(err, -errno, "'%s' has no log", name);
}

void log_reader_close(struct log_reader *reader)
{
    close_fd(take_fd(&reader->file));
    close_fd(take_fd(&reader->folder));
    free(take_ptr(reader->line));
}

/* Read on. Returns the number of bytes, 0 at the end of the file, or a negative errno. */
static ssize_t read_more(struct log_reader *reader)
{
    ssize_t n;

    memmove(reader->line, reader->line + reader->taken, reader->used - reader->taken);
    reader->used -= reader->taken;
    reader->taken = 0;
    if (reader->used >= LINE_MAX_BYTES) /* no record is that long */
        reader->used = 0;
    if (!reader->line) {
        reader->line = malloc(LINE_MAX_BYTES + CHUNK_BYTES);
        if (!reader->line)
            return -ENOMEM;
    }
    n = read(reader->file, reader->line + reader->used, CHUNK_BYTES);
    if (n < 0)
        return -errno;
    reader->used += (size_t)n;
    return n;
}

int log_reader_next(struct log_reader *reader, struct log_record *ret_record)
{
    if (reader->file < 0 && !next_file(reader))
        return 0;
    for (;;) {
        char *line = reader->line ? reader->line + reader->taken : NULL;
        char *end = line ? memchr(line, '\n', reader->used - reader->taken) : NULL;
        ssize_t n;

        if (end) {
            reader->taken = (size_t)(end + 1 - reader->line);
            if (log_record_parse(line, (size_t)(end - line), ret_record) == 0)
                return 1;
            continue;
        }
        n = read_more(reader);
        if (n < 0)
            return (int)n;
        /* The writer begins the next file only once it is done with this one. */
        if (n == 0 && !next_file(reader))
            return 0;
    }
}

bool log_reader_contains(const struct paths *paths, const char *name, uint64_t since_ns,
                         const char *text)
{
    struct log_reader reader;
    struct log_record record;
    struct error err = {0};
    bool found = false;

    if (log_reader_open(&reader, paths, name, &err) < 0)
        return false;
    while (!found && log_reader_next(&reader, &record) == 1)
        found = record.time_ns >= since_ns && memmem(record.text, record.len, text, strlen(text));
    log_reader_close(&reader);
    return found;
}

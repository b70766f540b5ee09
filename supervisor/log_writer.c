#include "log_writer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"

/* The newest file's number; false where there is none. */
static bool newest(int folder, uint64_t *ret_number)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;
    bool found = false;

    if (!dir) {
        close_fd(fd);
        return false;
    }
    while ((entry = readdir(dir))) {
        uint64_t number;

        if (parse_u64(entry->d_name, 0, UINT64_MAX - 1, &number) < 0 ||
            (found && number < *ret_number))
            continue;
        *ret_number = number;
        found = true;
    }
    closedir(dir);
    return found;
}

static void file_name(char *buf, size_t size, uint64_t number)
{
    snprintf(buf, size, "%" PRIu64, number);
}

static int open_file(struct log_writer *writer, uint64_t number)
{
    char name[24];
    struct stat st;
    int fd;

    file_name(name, sizeof(name), number);
    fd = openat(writer->folder, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    close_fd(writer->file);
    writer->file = fd;
    writer->number = number;
    writer->size = fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    return 0;
}

/* Begin the next file and take the oldest away. Where that fails the present one grows on. */
static void rotate(struct log_writer *writer)
{
    char name[24];

    if (open_file(writer, writer->number + 1) < 0 || writer->number < writer->files)
        return;
    file_name(name, sizeof(name), writer->number - writer->files);
    unlinkat(writer->folder, name, 0);
}

int log_writer_open(struct log_writer *writer, const char *folder, uint64_t max_bytes,
                    uint64_t files, struct error *err)
{
    uint64_t number = 0;
    int r;

    *writer = (struct log_writer){.folder = -1, .file = -1, .max_bytes = max_bytes, .files = files};
    writer->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (writer->folder < 0)
        return error_set_errno(err, -errno, "cannot open the log folder '%s'", folder);
    newest(writer->folder, &number);
    r = open_file(writer, number);
    if (r < 0) {
        log_writer_close(writer);
        return error_set_errno(err, r, "cannot open a log file in '%s'", folder);
    }
    return 0;
}

void log_writer_close(struct log_writer *writer)
{
    close_fd(take_fd(&writer->file));
    close_fd(take_fd(&writer->folder));
}

/* Write one record whole or not at all, as far as the disk allows: what was cut off is cut away. */
static bool put_record(struct log_writer *writer, const struct log_record *record)
{
    char head[LOG_HEAD_BYTES];
    struct iovec parts[] = {
        {.iov_base = head, .iov_len = sizeof(head)},
        {.iov_base = (void *)(uintptr_t)record->text, .iov_len = record->len},
        {.iov_base = (void *)(uintptr_t) "\n", .iov_len = 1},
    };
    size_t want = sizeof(head) + record->len + 1;
    ssize_t n;

    log_record_head(record, head);
    do
        n = writev(writer->file, parts, 3);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)want) {
        writer->size += want;
        return true;
    }
    if (n > 0 && ftruncate(writer->file, (off_t)writer->size) < 0)
        writer->size += (uint64_t)n; /* a reader takes a line that is no record for what it is */
    return false;
}

/* Say what is missing, once there is room again. */
static bool tell_lost(struct log_writer *writer)
{
    char text[96];
    struct log_record record = {
        .time_ns = clock_realtime_ns(), .stream = LOG_STDERR, .ends_line = true, .text = text};

    if (!writer->lost)
        return true;
    record.len =
        (size_t)snprintf(text, sizeof(text),
                         "osvm-monitor: %" PRIu64 " bytes could not be written here", writer->lost);
    if (!put_record(writer, &record))
        return false;
    writer->lost = 0;
    return true;
}

void log_writer_add(struct log_writer *writer, enum log_stream stream, const char *bytes,
                    size_t len)
{
    uint64_t now = clock_realtime_ns();

    while (len > 0) {
        const char *newline = memchr(bytes, '\n', len < LOG_TEXT_MAX ? len : LOG_TEXT_MAX);
        size_t text_len = newline              ? (size_t)(newline - bytes)
                          : len < LOG_TEXT_MAX ? len
                                               : LOG_TEXT_MAX;
        size_t used = text_len + (newline != NULL);
        struct log_record record = {.time_ns = now,
                                    .stream = stream,
                                    .ends_line = newline != NULL,
                                    .text = bytes,
                                    .len = text_len};

        if (writer->size >= writer->max_bytes)
            rotate(writer);
        if (!tell_lost(writer) || !put_record(writer, &record))
            writer->lost += used;
        bytes += used;
        len -= used;
    }
}

/*
 * osvm-unpack: reads one .tar.gz on descriptor 0 and hands its files over, as sealed memfds,
 * through the socket on descriptor 1. Started by osvm-vmm alone.
 *
 *   osvm-unpack BYTES FILES CPU_SECONDS
 *
 * It is written as if libarchive were on the archive's side: by the time the first byte is read, it
 * can open nothing, start nothing and reach nobody (sandbox.c), and its caller checks what it says.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "base/parse.h"
#include "base/pass.h"
#include "message.h"
#include "sandbox.h"

#define PIECE_BYTES (64 * 1024)

struct unpacker {
    struct archive *reader;
    uint64_t bytes_left, bytes_max;
    uint64_t entries_left, entries_max;
};

static void send_message(const struct unpack_message *message, int fd)
{
    if (pass_send(UNPACK_SOCKET_FD, message, sizeof(*message), &fd, fd >= 0, 0) < 0)
        exit(EXIT_FAILURE); /* nobody listens any more */
}

static void __attribute__((noreturn, format(printf, 2, 3))) fail(int code, const char *format, ...)
{
    struct unpack_message message = {.kind = UNPACK_FAILED, .code = code};
    va_list args;

    va_start(args, format);
    vsnprintf(message.text, sizeof(message.text), format, args);
    va_end(args);
    send_message(&message, -1);
    exit(EXIT_FAILURE);
}

/* "-9,2" of libarchive's words may hold anything; the caller's log makes it harmless. */
static void __attribute__((noreturn)) fail_reading(const struct unpacker *unpacker)
{
    const char *words = archive_error_string(unpacker->reader);

    fail(-EBADMSG, "cannot be unpacked: %.150s", words ? words : "it is damaged");
}

/* Only files and folders, with paths that stay inside. */
static void check_entry(struct unpacker *unpacker, struct archive_entry *entry,
                        char ret_path[IMAGE_ARCHIVE_PATH_MAX + 1])
{
    const char *path = archive_entry_pathname(entry);
    char stem[IMAGE_ARCHIVE_PATH_MAX + 1];
    size_t len;

    if (unpacker->entries_left-- == 0)
        fail(-EFBIG, "it has more than %u files and folders", (unsigned)unpacker->entries_max);
    if (!path)
        fail(-EINVAL, "one of its paths is not UTF-8");
    if (archive_entry_hardlink(entry) ||
        (archive_entry_filetype(entry) != AE_IFREG && archive_entry_filetype(entry) != AE_IFDIR))
        fail(-EINVAL, "'%.100s' in it is neither a file nor a folder", path);
    len = strnlen(path, sizeof(stem));
    if (len == sizeof(stem))
        fail(-EINVAL, "a path in it is longer than %d bytes: '%.60s…'", IMAGE_ARCHIVE_PATH_MAX,
             path);
    memcpy(stem, path, len + 1);
    if (archive_entry_filetype(entry) == AE_IFDIR) {
        while (len > 0 && stem[len - 1] == '/')
            stem[--len] = '\0';
        if (strcmp(stem, ".") == 0)
            return; /* the folder that was packed */
    }
    if (!image_archive_path_normalise(stem, ret_path))
        fail(-EINVAL, "'%.100s' is no path for an image's file", path);
}

static int unpack_file(struct unpacker *unpacker)
{
    static uint8_t piece[PIECE_BYTES];
    int fd = memfd_create("image-file", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        fail(-errno, "cannot make a file in memory");
    for (;;) {
        la_ssize_t n = archive_read_data(unpacker->reader, piece, sizeof(piece));

        if (n < 0)
            fail_reading(unpacker);
        if (n == 0)
            break;
        if ((uint64_t)n > unpacker->bytes_left)
            fail(-EFBIG, "its files have more than %" PRIu64 " bytes", unpacker->bytes_max);
        unpacker->bytes_left -= (uint64_t)n;
        if (io_write_all(fd, piece, (size_t)n) < 0)
            fail(-ENOMEM, "there is not enough memory to unpack it");
    }
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
        fail(-errno, "cannot seal a file in memory");
    return fd;
}

/* One entry. Returns whether there was one. */
static bool unpack_next(struct unpacker *unpacker)
{
    struct unpack_message message = {.kind = UNPACK_FILE};
    struct archive_entry *entry;
    int r = archive_read_next_header(unpacker->reader, &entry), fd;

    if (r == ARCHIVE_EOF)
        return false;
    if (r != ARCHIVE_OK)
        fail_reading(unpacker);
    check_entry(unpacker, entry, message.text);
    if (archive_entry_filetype(entry) == AE_IFDIR)
        return true;
    fd = unpack_file(unpacker);
    send_message(&message, fd);
    close(fd);
    return true;
}

int main(int argc, char *argv[])
{
    const struct unpack_message end = {.kind = UNPACK_END};
    struct unpacker unpacker = {0};
    uint64_t cpu_s;

    if (argc != 4 || parse_u64(argv[1], 0, INT64_MAX, &unpacker.bytes_max) < 0 ||
        parse_u64(argv[2], 0, UINT32_MAX, &unpacker.entries_max) < 0 ||
        parse_u64(argv[3], 1, UINT16_MAX, &cpu_s) < 0)
        return EXIT_FAILURE;
    unpacker.bytes_left = unpacker.bytes_max;
    unpacker.entries_left = unpacker.entries_max;
    setlocale(LC_CTYPE, "C.UTF-8"); /* so that a path comes out as its bytes */
    unpacker.reader = archive_read_new();
    if (!unpacker.reader || archive_read_support_filter_gzip(unpacker.reader) != ARCHIVE_OK ||
        archive_read_support_format_tar(unpacker.reader) != ARCHIVE_OK)
        fail(-ENOMEM, "cannot be unpacked here: libarchive does not start");
    if (sandbox_enter(unpacker.bytes_max, cpu_s) < 0)
        fail(-EPERM, "cannot be unpacked here: its reader cannot be locked in");
    if (archive_read_open_fd(unpacker.reader, UNPACK_ARCHIVE_FD, PIECE_BYTES) != ARCHIVE_OK)
        fail_reading(&unpacker);
    while (unpack_next(&unpacker))
        ;
    send_message(&end, -1);
    return EXIT_SUCCESS;
}

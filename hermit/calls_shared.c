/* What the calls do, whatever interface they come by. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "calls.h"

#define PAGE_SIZE 4096

/* ---- Memory that a call names. ---- */

int call_string(const struct call *call, uint64_t gpa, uint64_t max, char ret_string[PATH_MAX])
{
    uint64_t len = 0, part;

    /* Page by page: a page is memory or is not, so that nothing behind the string is asked for. */
    for (max = min_u64(max, PATH_MAX); len < max; len += part) {
        uint64_t at = gpa + len;

        part = min_u64(max - len, PAGE_SIZE - at % PAGE_SIZE);
        if (guest_memory_read(call->calls->mem, at, ret_string + len, part) < 0)
            return -EFAULT;
        if (memchr(ret_string + len, '\0', part))
            return 0;
    }
    return -ENAMETOOLONG;
}

int call_virtual_buffer(const struct call *call, uint64_t gva, uint64_t len, bool write,
                        struct buffer *ret_buffer)
{
    *ret_buffer = (struct buffer){
        .mem = call->calls->mem,
        .is_virtual = true,
        .write = write,
        .address = gva,
        .len = len,
    };
    return call->cpu->ops->read_paging(call->cpu, &ret_buffer->paging);
}

struct buffer call_physical_buffer(const struct call *call, uint64_t gpa, uint64_t len, bool write)
{
    return (struct buffer){.mem = call->calls->mem, .write = write, .address = gpa, .len = len};
}

static bool is_console(int32_t fd)
{
    return fd == CONSOLE_FIRST_FD || fd == CONSOLE_FIRST_FD + 1;
}

static bool is_standard(int32_t fd)
{
    return fd >= 0 && fd < FILES_FIRST;
}

/* ---- Calls. ---- */

int64_t call_exit(struct call *call, int32_t status)
{
    struct power_sink *power = call->calls->power;

    power->event(power, POWER_EXIT, (uint8_t)status);
    return 0;
}

int64_t call_console(struct call *call, const struct buffer *buffer)
{
    struct hermit_console *console = call->calls->console;
    struct iovec iov[BUFFER_PIECES];
    uint64_t done = 0;
    int r = buffer_check(buffer);

    while (r == 0) {
        int count = buffer_pieces(buffer, done, iov);

        if (count <= 0)
            return done > 0 ? (int64_t)done : count;
        for (int i = 0; i < count; i++) {
            console->write(console, iov[i].iov_base, iov[i].iov_len);
            done += iov[i].iov_len;
        }
    }
    return r;
}

int64_t call_read(struct call *call, int32_t fd, const struct buffer *buffer)
{
    if (fd == 0)
        return buffer_check(buffer); /* 0, the end: there is no input */
    return files_read(call->calls->files, fd, buffer);
}

int64_t call_write(struct call *call, int32_t fd, const struct buffer *buffer)
{
    return is_console(fd) ? call_console(call, buffer)
                          : files_write(call->calls->files, fd, buffer);
}

int64_t call_open(struct call *call, uint64_t name, uint32_t flags, uint32_t mode)
{
    char path[PATH_MAX];
    int r = call_string(call, name, PATH_MAX, path);

    return r < 0 ? r : files_open(call->calls->files, path, flags, mode);
}

/* A program may close its console; it stays open for what is said after that. */
int64_t call_close(struct call *call, int32_t fd)
{
    return is_standard(fd) ? 0 : files_close(call->calls->files, fd);
}

int64_t call_unlink(struct call *call, uint64_t name)
{
    char path[PATH_MAX];
    int r = call_string(call, name, PATH_MAX, path);

    return r < 0 ? r : files_unlink(call->calls->files, path);
}

int64_t call_lseek(struct call *call, int32_t fd, int64_t offset, uint32_t whence)
{
    return is_standard(fd) ? -ESPIPE : files_lseek(call->calls->files, fd, offset, whence);
}

/* The length is that of the guest's buffer; the name ends before it or with it. */
int64_t call_mkdir(struct call *call, uint64_t name, uint64_t len)
{
    char path[PATH_MAX];
    int r = call_string(call, name, len, path);

    if (r == -ENAMETOOLONG && len < PATH_MAX) {
        path[len] = '\0';
        r = 0;
    }
    return r < 0 ? r : files_mkdir(call->calls->files, path, 0777);
}

/* ---- Attributes: 120 bytes, in Hermit's layout. ---- */

static void put_time(uint8_t *bytes, const struct timespec *time)
{
    store_le64(bytes, (uint64_t)time->tv_sec);
    store_le32(bytes + 8, (uint32_t)time->tv_nsec);
}

static int put_attr(const struct call *call, uint64_t gpa, const struct stat *st)
{
    struct buffer buffer = call_physical_buffer(call, gpa, FILE_ATTR_SIZE, true);
    uint8_t attr[FILE_ATTR_SIZE] = {0};

    store_le64(attr, st->st_dev);
    store_le64(attr + 8, st->st_ino);
    store_le64(attr + 16, st->st_nlink);
    store_le32(attr + 24, st->st_mode);
    store_le32(attr + 28, st->st_uid);
    store_le32(attr + 32, st->st_gid);
    store_le64(attr + 40, st->st_rdev);
    store_le64(attr + 48, (uint64_t)st->st_size);
    store_le64(attr + 56, (uint64_t)st->st_blksize);
    store_le64(attr + 64, (uint64_t)st->st_blocks);
    put_time(attr + 72, &st->st_atim);
    put_time(attr + 88, &st->st_mtim);
    put_time(attr + 104, &st->st_ctim);
    return buffer_fill(&buffer, attr, sizeof(attr));
}

enum stat_kind { STAT_FOLLOW, STAT_LINK };

int64_t call_stat(struct call *call, uint64_t name, uint32_t kind, uint64_t attr)
{
    char path[PATH_MAX];
    struct stat st;
    int r = kind > STAT_LINK ? -EINVAL : call_string(call, name, PATH_MAX, path);

    if (r == 0)
        r = files_stat(call->calls->files, path, kind == STAT_FOLLOW, &st);
    return r < 0 ? r : put_attr(call, attr, &st);
}

int64_t call_fstat(struct call *call, int32_t fd, uint64_t attr)
{
    static const struct stat console = {.st_mode = S_IFCHR | 0620, .st_nlink = 1};
    struct stat st = console;
    int r = is_standard(fd) ? 0 : files_fstat(call->calls->files, fd, &st);

    return r < 0 ? r : put_attr(call, attr, &st);
}

int64_t call_getdents(struct call *call, int32_t fd, uint64_t gpa, uint64_t len)
{
    struct buffer buffer = call_physical_buffer(call, gpa, len, true);

    return is_standard(fd) ? -ENOTDIR : files_getdents(call->calls->files, fd, &buffer);
}

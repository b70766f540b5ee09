#include "virtio/block_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/util.h"

#define PAGE_SIZE_4K 4096

static int say_open_failed(int code, bool read_only, struct error *err)
{
    switch (code) {
    case -ENOENT:
        return error_set(err, code, "there is no such file");
    case -EISDIR:
        return error_set(err, code, "it is a directory; a disk is a file or a block device");
    case -EACCES:
    case -EPERM:
        return error_set(err, code, "no permission to %s it",
                         read_only ? "read" : "read and write");
    case -EROFS:
        return error_set(err, code, "it cannot be written (a read-only file system); open it ro");
    case -EBUSY:
        return error_set(err, code, "the host itself uses it (is it mounted?)");
    default:
        return error_set_errno(err, code, "cannot open it");
    }
}

/*
 * Take the lock over the whole file, as long as this open file lives. It also keeps out QEMU, which
 * locks single bytes of its images in the same way.
 */
static int lock(int fd, bool read_only, struct error *err)
{
    struct flock whole = {.l_type = read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};

    if (fcntl(fd, F_OFD_SETLK, &whole) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return error_set(err, -EBUSY, "it is already locked by another VM");
    return error_set_errno(err, -errno, "cannot lock it");
}

static int device_size(int fd, uint64_t *ret_size)
{
    return ioctl(fd, BLKGETSIZE64, ret_size) < 0 ? -errno : 0;
}

/* How long it is, and how much of it the guest sees. */
static int judge_size(struct block_file *file, const struct stat *st, uint64_t wanted,
                      struct error *err)
{
    uint64_t size = (uint64_t)st->st_size;
    char text[32];
    int r = S_ISBLK(st->st_mode) ? device_size(file->fd, &size) : 0;

    if (r < 0)
        return error_set_errno(err, r, "cannot ask for its size");
    if (size == 0)
        return error_set(err, -EINVAL, "it is empty");
    if (wanted > size)
        return error_set(err, -EINVAL, "it is shorter than the size asked for: it has %s",
                         format_size(size, text, sizeof(text)));
    file->size = wanted ? wanted : size;
    if (file->size % BLOCK_SECTOR_SIZE)
        return error_set(err, -EINVAL, "its size, %" PRIu64 " bytes, is not a multiple of %d",
                         file->size, BLOCK_SECTOR_SIZE);
    return 0;
}

static bool is_block_size(uint32_t size)
{
    return size >= BLOCK_SECTOR_SIZE && size <= 64 * KIB && (size & (size - 1)) == 0;
}

static void ask_block_sizes(struct block_file *file, const struct stat *st)
{
    int logical = BLOCK_SECTOR_SIZE;
    unsigned physical = (unsigned)st->st_blksize;

    if (S_ISBLK(st->st_mode) &&
        (ioctl(file->fd, BLKSSZGET, &logical) < 0 || ioctl(file->fd, BLKPBSZGET, &physical) < 0))
        logical = BLOCK_SECTOR_SIZE;
    file->block_size = is_block_size((uint32_t)logical) ? (uint32_t)logical : BLOCK_SECTOR_SIZE;
    file->physical_block_size = is_block_size(physical) ? physical : PAGE_SIZE_4K;
    file->hole_alignment = file->block_size;
}

/* Whether holes can be made in it. Asked behind its end, where there is nothing to lose. */
static bool can_punch_holes(int fd, const struct stat *st)
{
    if (S_ISBLK(st->st_mode))
        return true; /* as far as the device can; asked for each hole */
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                     (off_t)align_up((uint64_t)st->st_size, PAGE_SIZE_4K), PAGE_SIZE_4K) == 0;
}

static void ask_direct_alignment(struct block_file *file, const struct stat *st)
{
    /* Where the host does not say: what every disk and file system can do. */
    uint32_t offset = S_ISBLK(st->st_mode) ? file->block_size : PAGE_SIZE_4K;
    uint32_t memory = PAGE_SIZE_4K;
    struct statx stx;

    if (statx(file->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 &&
        (stx.stx_mask & STATX_DIOALIGN) && stx.stx_dio_mem_align && stx.stx_dio_offset_align) {
        offset = stx.stx_dio_offset_align;
        memory = stx.stx_dio_mem_align;
    }
    file->offset_alignment = offset;
    file->memory_alignment = memory;
    if (is_block_size(offset) && offset > file->block_size)
        file->block_size = offset;
}

/* Pass the page cache by, and keep a second way in for what is not aligned. */
static int make_direct(struct block_file *file, const struct stat *st, bool read_only,
                       struct error *err)
{
    char self[32];

    snprintf(self, sizeof(self), "/proc/self/fd/%d", file->fd);
    file->buffered_fd = open(self, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (file->buffered_fd < 0)
        return error_set_errno(err, -errno, "cannot open it a second time");
    if (fcntl(file->fd, F_SETFL, O_DIRECT) < 0)
        return error_set(err, -errno, "its file system cannot do cache=direct");
    ask_direct_alignment(file, st);
    return 0;
}

static int open_path(const struct virtio_block_options *options, struct block_file *file,
                     struct stat *ret_st, struct error *err)
{
    /* Not blocking, for a FIFO; O_EXCL asks of a block device that the host does not use it. */
    int flags = (options->read_only ? O_RDONLY : O_RDWR | O_EXCL) | O_CLOEXEC | O_NONBLOCK;

    file->fd = open(options->path, flags | O_NOCTTY);
    if (file->fd < 0)
        return say_open_failed(-errno, options->read_only, err);
    if (fstat(file->fd, ret_st) < 0)
        return error_set_errno(err, -errno, "cannot look at it");
    if (S_ISDIR(ret_st->st_mode))
        return say_open_failed(-EISDIR, options->read_only, err);
    if (!S_ISREG(ret_st->st_mode) && !S_ISBLK(ret_st->st_mode))
        return error_set(err, -EINVAL, "it is neither a file nor a block device");
    if (fcntl(file->fd, F_SETFL, 0) < 0) /* io_uring would give EAGAIN with O_NONBLOCK */
        return error_set_errno(err, -errno, "cannot open it");
    return lock(file->fd, options->read_only, err);
}

/* A file without a name, or with one that is taken away at once. */
static int open_unlinked(const char *folder)
{
    char path[4096];
    int fd = open(folder, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);

    if (fd >= 0)
        return fd;
    if (errno != EOPNOTSUPP && errno != EISDIR)
        return -errno;
    if ((size_t)snprintf(path, sizeof(path), "%s/osvm-scratch-XXXXXX", folder) >= sizeof(path))
        return -ENAMETOOLONG;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    unlink(path);
    return fd;
}

static int open_scratch(const struct virtio_block_options *options, struct block_file *file,
                        struct stat *ret_st, struct error *err)
{
    const char *folder = getenv("TMPDIR");
    char text[32];

    if (!folder || !*folder)
        folder = "/var/tmp";
    if (options->read_only)
        return error_set(err, -EINVAL, "a scratch disk begins empty; read only it is of no use");
    if (options->size == 0)
        return error_set(err, -EINVAL, "a scratch disk needs a size");
    file->fd = open_unlinked(folder);
    if (file->fd < 0)
        return error_set_errno(err, file->fd, "cannot make a scratch file in %s", folder);
    if (options->size > INT64_MAX || ftruncate(file->fd, (off_t)options->size) < 0)
        return error_set(err, -EFBIG, "%s has no room for a file of %s", folder,
                         format_size(options->size, text, sizeof(text)));
    if (fstat(file->fd, ret_st) < 0)
        return error_set_errno(err, -errno, "cannot look at the scratch file");
    return 0;
}

static int open_and_judge(const struct virtio_block_options *options, struct block_file *file,
                          struct error *err)
{
    struct stat st;
    int r =
        options->path ? open_path(options, file, &st, err) : open_scratch(options, file, &st, err);

    if (r == 0)
        r = judge_size(file, &st, options->size, err);
    if (r < 0)
        return r;
    ask_block_sizes(file, &st);
    file->can_punch_holes = !options->read_only && can_punch_holes(file->fd, &st);
    if (options->cache == BLOCK_CACHE_DIRECT)
        r = make_direct(file, &st, options->read_only, err);
    if (file->size % file->block_size)
        file->block_size = BLOCK_SECTOR_SIZE; /* or the guest could not reach the end */
    file->physical_block_size = (uint32_t)max_u64(file->physical_block_size, file->block_size);
    return r;
}

int block_file_open(const struct virtio_block_options *options, struct block_file *ret_file,
                    struct error *err)
{
    struct block_file file = {
        .fd = -1, .buffered_fd = -1, .offset_alignment = 1, .memory_alignment = 1};
    int r = open_and_judge(options, &file, err);

    if (r < 0)
        block_file_close(&file);
    else
        *ret_file = file;
    return r;
}

void block_file_close(struct block_file *file)
{
    close_fd(take_fd(&file->buffered_fd));
    close_fd(take_fd(&file->fd)); /* the lock goes with it */
}

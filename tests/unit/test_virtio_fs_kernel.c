/*
 * virtio/fs_session.h driven by Linux's own FUSE client: what this host's kernel sends through
 * /dev/fuse is served as if it had come by a virtqueue, and a program uses the mount. Skipped
 * where that is not allowed (it wants root and /dev/fuse). The mount is in a namespace of its own.
 */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs_session.h"

#define SKIPPED    77 /* meson's exit status for it */
#define BUFFER     (2 * MIB)
#define SIZE_LIMIT (64 * MIB)
#define DATA_SIZE  (8 * MIB)

struct mounted {
    char tmp[64];
    int dev_fd;
    int fd; /* the mount's root */
    pthread_t thread;
    struct fs_session session;
    uint8_t *in, *out;
    unsigned refused; /* requests that were none, replies that the kernel did not take */
};

static void serve(struct mounted *m, uint32_t len)
{
    struct virtq_chain chain = {
        .readable_count = 1,
        .writable_count = 2, /* the header and what follows, as virtiofs has it */
        .readable_len = len,
        .writable_len = BUFFER,
    };
    uint32_t used = 0;

    chain.iov[0] = (struct iovec){m->in, len};
    chain.iov[1] = (struct iovec){m->out, sizeof(struct fuse_out_header)};
    chain.iov[2] = (struct iovec){m->out + sizeof(struct fuse_out_header),
                                  BUFFER - sizeof(struct fuse_out_header)};
    if (fs_session_serve(&m->session, &chain, &used) < 0)
        m->refused++;
    else if (used > 0 && write(m->dev_fd, m->out, used) < 0 && errno != ENOENT)
        m->refused++;
}

static void *run_server(void *arg)
{
    struct mounted *m = arg;

    for (;;) {
        ssize_t n = read(m->dev_fd, m->in, BUFFER);

        if (n > 0)
            serve(m, (uint32_t)n);
        else if (errno == ENODEV) /* unmounted */
            return NULL;
    }
}

static void path_in(const struct mounted *m, const char *name, char path[96])
{
    snprintf(path, 96, "%s/%s", m->tmp, name);
}

/* Returns false where the host does not allow it. */
static bool mount_it(struct mounted *m)
{
    char share[96], mnt[96], options[128];

    strcpy(m->tmp, "/tmp/osvm-fs-XXXXXX");
    assert_non_null(mkdtemp(m->tmp));
    path_in(m, "share", share);
    path_in(m, "mnt", mnt);
    assert_int_equal(mkdir(share, 0755), 0);
    assert_int_equal(mkdir(mnt, 0755), 0);
    m->dev_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (m->dev_fd < 0 || unshare(CLONE_NEWNS) < 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return false;
    snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,%s", m->dev_fd,
             "default_permissions,allow_other");
    if (mount("osvm", mnt, "fuse", MS_NOSUID | MS_NODEV, options) < 0)
        return false;
    m->in = malloc(BUFFER);
    m->out = malloc(BUFFER);
    m->session.size_limit = SIZE_LIMIT;
    assert_int_equal(
        fs_session_init(&m->session, open(share, O_PATH | O_DIRECTORY | O_CLOEXEC), 64), 0);
    assert_int_equal(pthread_create(&m->thread, NULL, run_server, m), 0);
    m->fd = open(mnt, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(m->fd >= 0);
    return true;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void clean_up(const struct mounted *m)
{
    nftw(m->tmp, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static int open_at(const struct mounted *m, const char *name, int flags)
{
    int fd = openat(m->fd, name, flags | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    return fd;
}

static void test_data(void **state)
{
    const struct mounted *m = *state;
    uint8_t *bytes = malloc(DATA_SIZE), *back = malloc(DATA_SIZE), *mapped;
    int fd = open_at(m, "data", O_CREAT | O_RDWR);

    for (size_t i = 0; i < DATA_SIZE; i++)
        bytes[i] = (uint8_t)(i * 13 + (i >> 9));
    assert_int_equal(write(fd, bytes, DATA_SIZE), DATA_SIZE);
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    assert_int_equal(pread(fd, back, DATA_SIZE, 0), DATA_SIZE);
    assert_memory_equal(bytes, back, DATA_SIZE);
    mapped = mmap(NULL, DATA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(mapped != MAP_FAILED);
    mapped[5000] ^= 0xff;
    assert_int_equal(msync(mapped, DATA_SIZE, MS_SYNC), 0);
    assert_int_equal(munmap(mapped, DATA_SIZE), 0);
    assert_int_equal(pread(fd, back, 1, 5000), 1);
    assert_int_equal(back[0], bytes[5000] ^ 0xff);
    assert_int_equal(ftruncate(fd, 3), 0);
    assert_int_equal(lseek(fd, 0, SEEK_END), 3);
    assert_int_equal(fallocate(fd, 0, 0, 100), 0);
    assert_int_equal(lseek(fd, 0, SEEK_END), 100);
    close(fd);
    assert_int_equal(unlinkat(m->fd, "data", 0), 0);
    free(bytes);
    free(back);
}

static void test_names(void **state)
{
    const struct mounted *m = *state;
    char target[32];
    struct stat st;
    int fd;

    assert_int_equal(mkdirat(m->fd, "d", 0750), 0);
    close(open_at(m, "d/a", O_CREAT | O_WRONLY));
    assert_int_equal(linkat(m->fd, "d/a", m->fd, "b", 0), 0);
    assert_int_equal(symlinkat("../../etc", m->fd, "l"), 0);
    assert_int_equal(readlinkat(m->fd, "l", target, sizeof(target)), 9);
    assert_int_equal(renameat(m->fd, "d", m->fd, "e"), 0);
    assert_int_equal(fstatat(m->fd, "e/a", &st, 0), 0);
    assert_int_equal(st.st_nlink, 2);
    assert_int_equal(fchmodat(m->fd, "e/a", 0640, 0), 0);
    assert_int_equal(fstatat(m->fd, "b", &st, 0), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0640);
    fd = open_at(m, "e/a", O_RDWR);
    assert_int_equal(unlinkat(m->fd, "e/a", 0), 0);
    assert_int_equal(unlinkat(m->fd, "b", 0), 0);
    assert_int_equal(write(fd, "abc", 3), 3);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_nlink, 0);
    assert_int_equal(st.st_size, 3);
    close(fd);
    assert_int_equal(unlinkat(m->fd, "e", AT_REMOVEDIR), 0);
    assert_int_equal(unlinkat(m->fd, "l", 0), 0);
    assert_true(mkfifoat(m->fd, "f", 0600) < 0 && errno == EPERM);
}

/* Thirty times as many files as descriptors for nodes. */
static void test_many(void **state)
{
    const struct mounted *m = *state;
    unsigned count = 0;
    char name[16];
    DIR *folder;

    for (unsigned i = 0; i < 2000; i++) {
        snprintf(name, sizeof(name), "m%u", i);
        close(open_at(m, name, O_CREAT | O_WRONLY));
    }
    folder = fdopendir(open_at(m, ".", O_RDONLY | O_DIRECTORY));
    assert_non_null(folder);
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
        count += entry->d_name[0] == 'm';
    closedir(folder);
    assert_int_equal(count, 2000);
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(name, sizeof(name), "m%u", i);
        close(open_at(m, name, O_RDWR));
        assert_int_equal(unlinkat(m->fd, name, 0), 0);
    }
}

static void test_no_space(void **state)
{
    const struct mounted *m = *state;
    int fd = open_at(m, "big", O_CREAT | O_WRONLY);

    assert_true(ftruncate(fd, SIZE_LIMIT) < 0 && errno == ENOSPC);
    assert_int_equal(ftruncate(fd, SIZE_LIMIT / 2), 0);
    close(fd);
    assert_int_equal(unlinkat(m->fd, "big", 0), 0);
}

/* After all the others: they took away what they made, so all of it was counted back. */
static void test_end(void **state)
{
    struct mounted *m = *state;
    char mnt[96];

    path_in(m, "mnt", mnt);
    close(m->fd);
    assert_int_equal(umount(mnt), 0);
    pthread_join(m->thread, NULL);
    assert_int_equal(m->refused, 0);
    assert_int_equal(m->session.size_used, 0);
    assert_int_equal(m->session.handles.count, 0);
    fs_session_deinit(&m->session);
    close(m->dev_fd);
    free(m->in);
    free(m->out);
}

int main(void)
{
    static struct mounted m;
    struct unit unit = {.count = 0};
    int r = SKIPPED;

    if (mount_it(&m)) {
        unit_add(&unit, "data, mapped and not", test_data, &m);
        unit_add(&unit, "names", test_names, &m);
        unit_add(&unit, "2,000 files", test_many, &m);
        unit_add(&unit, "no space", test_no_space, &m);
        unit_add(&unit, "unmount: all was given back", test_end, &m);
        r = unit_run(&unit, "virtio_fs_kernel");
    }
    clean_up(&m);
    return r;
}

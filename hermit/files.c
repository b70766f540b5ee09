/* What is mapped, opened once at the start. */
#include "hermit/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "files_internal.h"

/* ---- One mapping. ---- */

static int open_failed(struct error *err)
{
    switch (errno) {
    case ENOENT:
        return error_set(err, -ENOENT, "there is no such file or folder");
    case EACCES:
        return error_set(err, -EACCES, "no right to open it");
    default:
        return error_set_errno(err, -errno, "cannot open it");
    }
}

static int no_right_to_write(struct error *err)
{
    if (errno == EROFS)
        return error_set(err, -EROFS,
                         "it is on a filesystem that is read only; add ':ro' to the mapping");
    if (errno == ETXTBSY)
        return error_set(err, -ETXTBSY, "it is a program that runs; add ':ro' to the mapping");
    return error_set(err, -EACCES, "no right to write it; add ':ro' to map it for reading alone");
}

static int check_folder(int fd, bool read_only, struct error *err)
{
    if (faccessat(fd, "", R_OK | X_OK, AT_EMPTY_PATH | AT_EACCESS) < 0)
        return error_set(err, -EACCES, "no right to read the folder");
    if (!read_only && faccessat(fd, "", W_OK, AT_EMPTY_PATH | AT_EACCESS) < 0)
        return no_right_to_write(err);
    return 0;
}

/* Open the file behind an O_PATH descriptor's path for good. */
static int open_file(const char *path, bool read_only, const struct stat *expected,
                     struct error *err)
{
    _cleanup_close_ int fd =
        open(path, (read_only ? O_RDONLY : O_RDWR) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return !read_only && (errno == EACCES || errno == EROFS || errno == ETXTBSY)
                   ? no_right_to_write(err)
                   : open_failed(err);
    if (fstat(fd, &st) < 0 || st.st_dev != expected->st_dev || st.st_ino != expected->st_ino)
        return error_set(err, -ESTALE, "it was replaced while it was opened");
    return take_fd(&fd);
}

static int open_host(struct mount *mount, const char *path, struct error *err)
{
    _cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
    struct stat st;
    int r;

    if (fd < 0 || fstat(fd, &st) < 0)
        return open_failed(err);
    mount->is_folder = S_ISDIR(st.st_mode);
    if (mount->is_folder) {
        r = check_folder(fd, mount->read_only, err);
        if (r == 0)
            mount->fd = take_fd(&fd);
        return r;
    }
    if (!S_ISREG(st.st_mode))
        return error_set(err, -EINVAL, "it is neither a file nor a folder");
    if (mount->guest_len == 0)
        return error_set(err, -EINVAL, "a file cannot be mapped to '/'");
    r = open_file(path, mount->read_only, &st, err);
    if (r < 0)
        return r;
    mount->fd = r;
    return 0;
}

static int open_mapping(struct mount *mount, const struct hermit_mapping *mapping,
                        struct error *err)
{
    char guest[PATH_MAX];
    int r;

    mount->read_only = mapping->read_only;
    mount->links = BENEATH_INNER_LINKS;
    if (mapping->guest[0] != '/')
        return error_set(err, -EINVAL, "the guest's path '%s' does not begin with '/'",
                         mapping->guest);
    r = path_normalise(mapping->guest, guest);
    if (r < 0)
        return error_set(err, r, "the guest's path is too long");
    mount->guest_len = strlen(guest);
    mount->guest = strdup(guest);
    return mount->guest ? open_host(mount, mapping->host, err)
                        : error_set(err, -ENOMEM, "out of memory");
}

/* ---- All of them. ---- */

static bool is_inside(const struct mount *inner, const struct mount *outer)
{
    return inner->guest_len > outer->guest_len &&
           strncmp(inner->guest, outer->guest, outer->guest_len) == 0 &&
           inner->guest[outer->guest_len] == '/';
}

/* What the newest mapping means for an earlier one, and the other way about. */
static int check_pair(struct mount *one, struct mount *other, struct error *err)
{
    struct mount *outer = is_inside(one, other) ? other : is_inside(other, one) ? one : NULL;

    if (strcmp(one->guest, other->guest) == 0)
        return error_set(err, -EEXIST, "'%s' is mapped twice", one->guest);
    if (!outer)
        return 0;
    if (!outer->is_folder)
        return error_set(err, -ENOTDIR, "'%s' is a file, so that nothing can be mapped inside it",
                         outer->guest);
    outer->links = BENEATH_NO_LINKS;
    return 0;
}

static int add_mapping(struct hermit_files *files, const struct hermit_mapping *mapping,
                       struct error *err)
{
    struct mount *mount = &files->mounts[files->mount_count++];
    int r = open_mapping(mount, mapping, err);

    for (size_t i = 1; r == 0 && &files->mounts[i] != mount; i++)
        r = check_pair(&files->mounts[i], mount, err);
    return r < 0 ? error_prefix(err, r, "cannot map '%s' to '%s'", mapping->host, mapping->guest)
                 : 0;
}

static unsigned descriptors_for_guest(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return FILES_MAX_OPEN / 4;
    return (unsigned)max_u64(min_u64(limit.rlim_cur / 4, FILES_MAX_OPEN), 1);
}

static struct hermit_files *new_files(size_t mapping_count)
{
    struct hermit_files *files = calloc(1, sizeof(*files));

    if (!files)
        return NULL;
    files->mounts = calloc(mapping_count + 1, sizeof(*files->mounts));
    if (!files->mounts) {
        free(files);
        return NULL;
    }
    for (size_t i = 0; i <= mapping_count; i++)
        files->mounts[i].fd = -1;
    files->mount_count = 1;
    files->temporary_fd = -1;
    pthread_mutex_init(&files->table_lock, NULL);
    pthread_mutex_init(&files->quota_lock, NULL);
    return files;
}

DEFINE_CLEANUP(struct hermit_files, hermit_files_destroy)

int hermit_files_create(const struct hermit_files_options *options, struct hermit_files **ret_files,
                        struct error *err)
{
    _cleanup_(hermit_files_destroy_cleanup) struct hermit_files *files = NULL;
    int r = 0;

    if (options->mapping_count > HERMIT_MAX_MAPPINGS)
        return error_set(err, -E2BIG, "at most %d mappings are taken", HERMIT_MAX_MAPPINGS);
    files = new_files(options->mapping_count);
    if (!files || table_init(files, descriptors_for_guest()) < 0)
        return error_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; r == 0 && i < options->mapping_count; i++)
        r = add_mapping(files, &options->mappings[i], err);
    if (r == 0)
        r = private_create(files, options, err);
    if (r == 0)
        r = private_make_places(files, err);
    if (r < 0)
        return r;
    *ret_files = take_ptr(files);
    return 0;
}

void hermit_files_destroy(struct hermit_files *files)
{
    if (!files)
        return;
    table_deinit(files);
    private_destroy(files);
    for (size_t i = 0; i < files->mount_count; i++) {
        close_fd(files->mounts[i].fd);
        free(files->mounts[i].guest);
    }
    free(files->mounts);
    pthread_mutex_destroy(&files->table_lock);
    pthread_mutex_destroy(&files->quota_lock);
    free(files);
}

/* The caller's side: start the helper, take what it hands over, believe none of it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "archive/archive.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/pass.h"
#include "base/util.h"
#include "message.h"

#define HELPER_NAME "osvm-unpack"
#define SEALS       (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* The helper, and what has come of it so far. */
struct unpacking {
    const struct image_archive_limits *limits;
    struct image_archive *archive;
    pid_t pid;
    int socket;
    uint64_t deadline_ns;
    uint64_t bytes;
};

bool image_archive_recognise(int fd)
{
    static const uint8_t gzip[] = {0x1f, 0x8b, 0x08}; /* RFC 1952, 2.3.1: deflated */
    uint8_t start[sizeof(gzip)];

    return pread(fd, start, sizeof(start), 0) == sizeof(start) &&
           memcmp(start, gzip, sizeof(gzip)) == 0;
}

int image_archive_helper_path(char *ret_path, size_t size, struct error *err)
{
    ssize_t len = readlink("/proc/self/exe", ret_path, size - 1);
    char *name;

    if (len < 0)
        return error_set_errno(err, -errno, "cannot find out where " HELPER_NAME " is");
    ret_path[len] = '\0';
    name = strrchr(ret_path, '/');
    if (!name || (size_t)(name + 1 - ret_path) + sizeof(HELPER_NAME) > size)
        return error_set(err, -ENAMETOOLONG, "the path of this program is too long");
    strcpy(name + 1, HELPER_NAME);
    if (access(ret_path, X_OK) < 0)
        return error_set_errno(err, -errno, "it is an archive, which '%s' is to open", ret_path);
    return 0;
}

void image_archive_free(struct image_archive *archive)
{
    if (!archive)
        return;
    for (size_t i = 0; i < archive->count; i++)
        close_fd(archive->files[i].fd);
    free(archive->files);
    free(archive);
}

static int start_helper(struct unpacking *unpacking, int archive_fd, int socket_fd,
                        const char *helper, struct error *err)
{
    char bytes[24], files[16], cpu[16];
    char *const args[] = {(char *)(uintptr_t)HELPER_NAME, bytes, files, cpu, NULL};
    char *const environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    int r;

    snprintf(bytes, sizeof(bytes), "%" PRIu64, unpacking->limits->bytes);
    snprintf(files, sizeof(files), "%u", unpacking->limits->files);
    snprintf(cpu, sizeof(cpu), "%u", unpacking->limits->cpu_s);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, archive_fd, UNPACK_ARCHIVE_FD);
    posix_spawn_file_actions_adddup2(&actions, socket_fd, UNPACK_SOCKET_FD);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    r = posix_spawn(&unpacking->pid, helper, &actions, NULL, args, environment);
    posix_spawn_file_actions_destroy(&actions);
    if (r != 0) {
        unpacking->pid = -1;
        return error_set_errno(err, -r, "cannot start '%s'", helper);
    }
    return 0;
}

/* Wait for the next message. Returns its length, 0 at the end of the helper, or a negative errno.
 */
static ssize_t receive(const struct unpacking *unpacking, struct unpack_message *ret_message,
                       int *ret_fd)
{
    ssize_t n;

    for (;;) {
        struct pollfd poller = {.fd = unpacking->socket, .events = POLLIN};
        uint64_t now = clock_monotonic_ns();
        int ready;

        if (now >= unpacking->deadline_ns)
            return -ETIMEDOUT;
        ready = poll(&poller, 1, (int)((unpacking->deadline_ns - now) / NS_PER_MS) + 1);
        if (ready < 0 && errno != EINTR)
            return -errno;
        if (ready <= 0)
            continue;
        n = pass_receive(unpacking->socket, ret_message, sizeof(*ret_message), ret_fd, 1,
                         MSG_DONTWAIT);
        if (n != -EAGAIN)
            return n == -ECONNRESET ? 0 : n;
    }
}

/* Take a file over. What the helper says of it counts for nothing. */
static int take_file(struct unpacking *unpacking, const struct unpack_message *message, int *fd,
                     struct error *err)
{
    struct image_archive *archive = unpacking->archive;
    struct image_archive_file file = {.fd = *fd};
    struct image_archive_file *files;
    struct stat st;
    int seals = *fd < 0 ? -1 : fcntl(*fd, F_GET_SEALS);

    if (seals < 0 || (seals & SEALS) != SEALS || fstat(*fd, &st) < 0 || st.st_size < 0 ||
        memchr(message->text, '\0', sizeof(message->text)) == NULL ||
        !image_archive_path_normalise(message->text, file.path))
        return error_set(err, -EBADMSG, "its reader handed over what is no file");
    if (image_archive_find(archive, file.path))
        return error_set(err, -EINVAL, "'%.100s' is in it twice", file.path);
    file.size = (uint64_t)st.st_size;
    unpacking->bytes += file.size;
    if (unpacking->bytes > unpacking->limits->bytes || archive->count >= unpacking->limits->files)
        return error_set(err, -EFBIG, "its reader handed over too much");
    files = realloc(archive->files, (archive->count + 1) * sizeof(*files));
    if (!files)
        return error_set(err, -ENOMEM, "out of memory");
    archive->files = files;
    files[archive->count++] = file;
    *fd = -1;
    return 0;
}

/* All messages up to the end. */
static int take_all(struct unpacking *unpacking, struct error *err)
{
    for (;;) {
        struct unpack_message message;
        _cleanup_close_ int fd = -1;
        ssize_t n = receive(unpacking, &message, &fd);
        int r;

        if (n == -ETIMEDOUT)
            return error_set(err, (int)n, "it takes longer than %u seconds to unpack",
                             unpacking->limits->patience);
        if (n < 0)
            return error_set_errno(err, (int)n, "cannot hear of its reader");
        if (n == 0)
            return error_set(err, -EBADMSG, "its reader ended before the archive did");
        if (n != sizeof(message))
            return error_set(err, -EBADMSG, "its reader does not speak our language");
        switch (message.kind) {
        case UNPACK_FILE:
            r = take_file(unpacking, &message, &fd, err);
            if (r < 0)
                return r;
            break;
        case UNPACK_END:
            return 0;
        default:
            message.text[sizeof(message.text) - 1] = '\0';
            return error_set(err, message.code < 0 ? message.code : -EBADMSG, "%s", message.text);
        }
    }
}

/* The helper's end, which is forced where it is not wanted any more. */
static int end_helper(struct unpacking *unpacking, int r, struct error *err)
{
    int status;

    kill(unpacking->pid, SIGKILL); /* it has said all, or is not to say more */
    while (waitpid(unpacking->pid, &status, 0) < 0) {
        if (errno != EINTR)
            return r;
    }
    if (r == -EBADMSG && WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        return error_set(err, -ETIMEDOUT, "it takes more than %u seconds of CPU time to unpack",
                         unpacking->limits->cpu_s);
    if (r == -EBADMSG && WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
        return error_set(err, r, "its reader was ended by SIG%s", sigabbrev_np(WTERMSIG(status)));
    return r;
}

int image_archive_unpack(int fd, const char *helper, const struct image_archive_limits *limits,
                         struct image_archive **ret_archive, struct error *err)
{
    _cleanup_(image_archive_free_cleanup) struct image_archive *archive =
        calloc(1, sizeof(*archive));
    _cleanup_close_ int ours = -1;
    _cleanup_close_ int theirs = -1;
    struct unpacking unpacking = {.limits = limits, .archive = archive, .pid = -1};
    int pair[2], r;

    if (!archive)
        return error_set(err, -ENOMEM, "out of memory");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return error_set_errno(err, -errno, "cannot make a socket");
    unpacking.socket = ours = pair[0];
    theirs = pair[1];
    unpacking.deadline_ns = clock_monotonic_ns() + limits->patience * NS_PER_SEC;
    r = start_helper(&unpacking, fd, theirs, helper, err);
    if (r < 0)
        return r;
    close_fd(take_fd(&theirs)); /* so that its end is seen */
    r = take_all(&unpacking, err);
    r = end_helper(&unpacking, r, err);
    if (r < 0)
        return r;
    *ret_archive = take_ptr(archive);
    return 0;
}

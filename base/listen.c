#include "base/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

#define BACKLOG 8

static int socket_address(const char *path, struct sockaddr_un *ret_address, struct error *err)
{
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(ret_address->sun_path))
        return error_set(err, -ENAMETOOLONG, "the socket's path is longer than %zu bytes",
                         sizeof(ret_address->sun_path) - 1);
    memcpy(ret_address->sun_path, path, strlen(path) + 1);
    return 0;
}

/* Remove a socket that a dead process has left; anything that is alive or no socket stays. */
static int clear_stale_socket(const struct sockaddr_un *address, struct error *err)
{
    _cleanup_close_ int fd = -1;
    struct stat st;

    if (lstat(address->sun_path, &st) < 0)
        return errno == ENOENT ? 0 : error_set_errno(err, -errno, "cannot look at it");
    if (!S_ISSOCK(st.st_mode))
        return error_set(err, -EEXIST, "there is a file of that name, and it is no socket");
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot make a socket");
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
        return error_set(err, -EADDRINUSE, "another process listens there");
    if (unlink(address->sun_path) < 0)
        return error_set_errno(err, -errno, "cannot remove the old socket");
    return 0;
}

static int listen_at(int family, const void *address, socklen_t len, int *ret_fd, struct error *err)
{
    _cleanup_close_ int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int on = 1;

    if (fd < 0)
        return error_set_errno(err, -errno, "cannot make a socket");
    if (family == AF_INET)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)); /* of the run before this one */
    if (bind(fd, address, len) < 0 || listen(fd, BACKLOG) < 0)
        return error_set_errno(err, -errno, "cannot listen there");
    *ret_fd = take_fd(&fd);
    return 0;
}

int listen_unix(const char *path, int *ret_fd, struct error *err)
{
    struct sockaddr_un address;
    int r = socket_address(path, &address, err);

    if (r == 0)
        r = clear_stale_socket(&address, err);
    return r < 0 ? r : listen_at(AF_UNIX, &address, sizeof(address), ret_fd, err);
}

int listen_loopback(uint16_t port, int *ret_fd, struct error *err)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)},
    };

    return listen_at(AF_INET, &address, sizeof(address), ret_fd, err);
}

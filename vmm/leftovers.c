#include "leftovers.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Another process may have taken the place since: what answers, or is no socket, is not ours. */
static void remove_dead_socket(const char *path)
{
    _cleanup_close_ int fd = -1;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat st;

    if (strlen(path) >= sizeof(address.sun_path) || lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return;
    memcpy(address.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ||
        errno != ECONNREFUSED)
        return;
    unlink(path);
}

void leftovers_remove(const struct config *config)
{
    if (config->console == CONSOLE_SOCKET)
        remove_dead_socket(config->console_path);
    if (config->virtio_console == CONSOLE_SOCKET)
        remove_dead_socket(config->virtio_console_path);
    if (config->gdb) /* where it is a port, there is no such file */
        remove_dead_socket(config->gdb);
    if (config->api_sock)
        remove_dead_socket(config->api_sock);
    if (config->devices.vsock.cid)
        remove_dead_socket(config->devices.vsock.path);
}

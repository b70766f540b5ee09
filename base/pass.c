#include "base/pass.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/util.h"

/* Aligned as a header has to be. */
union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(PASS_MAX * sizeof(int))];
};

int pass_send(int socket, const void *bytes, size_t len, const int *fds, size_t count, int flags)
{
    union control control = {0};
    struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

    if (count > PASS_MAX)
        return -EINVAL;
    if (count > 0) {
        control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(count * sizeof(int)),
                                          .cmsg_level = SOL_SOCKET,
                                          .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    }
    while (sendmsg(socket, &message, flags | MSG_NOSIGNAL) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

ssize_t pass_receive(int socket, void *buf, size_t size, int *ret_fds, size_t max, int flags)
{
    union control control;
    struct iovec iov = {.iov_base = buf, .iov_len = size};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    const struct cmsghdr *header;
    ssize_t n;

    for (size_t i = 0; i < max; i++)
        ret_fds[i] = -1;
    if (max > PASS_MAX)
        return -EINVAL;
    do {
        message.msg_control = &control;
        message.msg_controllen = CMSG_LEN(max * sizeof(int)); /* padded it may have room for more */
        n = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
        memcpy(ret_fds, CMSG_DATA(header),
               min_u64(header->cmsg_len - CMSG_LEN(0), max * sizeof(int)));
    if (!(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
        return n;
    for (size_t i = 0; i < max; i++)
        close_fd(take_fd(&ret_fds[i]));
    return -EBADMSG;
}

/*
 * Descriptors beside the bytes of a message, over a Unix socket (unix(7), SCM_RIGHTS; cmsg(3)).
 * EINTR is retried. Any thread.
 */
#ifndef OSVM_BASE_PASS_H
#define OSVM_BASE_PASS_H

#include <stddef.h>
#include <sys/types.h>

/* The most that go with one message. */
#define PASS_MAX 2

/**
 * Send a message, with descriptors or without.
 *
 * @fds    still the caller's; the receiver has its own. @count  PASS_MAX at most
 * @flags  of sendmsg(2); MSG_NOSIGNAL is added
 * Returns 0 or a negative errno.
 */
int pass_send(int socket, const void *bytes, size_t len, const int *fds, size_t count, int flags);

/**
 * Receive one.
 *
 * @ret_fds  `max` of them, PASS_MAX at most: close-on-exec, the caller's; -1 for those that did not
 *           come. All -1 where this fails.
 * @flags    of recvmsg(2); MSG_CMSG_CLOEXEC is added
 * Returns its length; 0 at the end; -EBADMSG where there was not room for all of it; or another
 * negative errno.
 */
ssize_t pass_receive(int socket, void *buf, size_t size, int *ret_fds, size_t max, int flags);

#endif

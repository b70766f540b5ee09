/* A tap interface of the host as a back end (Linux, Documentation/networking/tuntap.rst). */
#ifndef OSVM_NET_TAP_H
#define OSVM_NET_TAP_H

#include <stdbool.h>

#include "base/error.h"
#include "net/backend.h"

/**
 * Open a tap by its name, with a header on each packet and all offloads.
 *
 * @name         an interface of this network namespace
 * @create       make it where it is not there (it goes with the back end), and set it up
 * @ret_backend  closed with net_backend_close()
 * @err          says what to do, without the word "tap=" in front
 * Returns 0; -EINVAL where the name cannot be one, or is that of another kind of interface;
 * -ENODEV where there is none; -EPERM, -EBUSY, or another negative errno.
 */
int net_tap_open(const char *name, bool create, struct net_backend **ret_backend,
                 struct error *err);

/**
 * Use a tap that somebody else has opened. It is taken as it is: without IFF_VNET_HDR there is no
 * header and nothing is offloaded. It was opened with IFF_NO_PI; this cannot be found out, as the
 * kernel tells another flag by the same bit.
 *
 * @fd  taken over where the result is 0; made non-blocking and close-on-exec
 * Returns 0; -EBADF; -EINVAL where it is not a tap.
 */
int net_tap_from_fd(int fd, struct net_backend **ret_backend, struct error *err);

#endif

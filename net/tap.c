#include "net/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"

#define TUN_PATH "/dev/net/tun"

#define ALL_OFFLOADS (NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6 | NET_OFFLOAD_ECN)

static unsigned tun_offloads(unsigned offloads)
{
    return (offloads & NET_OFFLOAD_CSUM ? TUN_F_CSUM : 0) |
           (offloads & NET_OFFLOAD_TSO4 ? TUN_F_TSO4 : 0) |
           (offloads & NET_OFFLOAD_TSO6 ? TUN_F_TSO6 : 0) |
           (offloads & NET_OFFLOAD_ECN ? TUN_F_TSO_ECN : 0);
}

/* EBADFD: the interface was deleted under the descriptor. */
static int tap_error(int error)
{
    return error == EBADFD ? -ECONNRESET : -error;
}

static int tap_set_offloads(struct net_backend *backend, unsigned offloads)
{
    if (backend->header_len == 0)
        return offloads ? -EINVAL : 0;
    return ioctl(backend->fd, TUNSETOFFLOAD, tun_offloads(offloads)) < 0 ? tap_error(errno) : 0;
}

static int tap_send(struct net_backend *backend, const struct iovec *iov, unsigned count)
{
    ssize_t n;

    do {
        n = writev(backend->fd, iov, (int)count);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? tap_error(errno) : 0;
}

static ssize_t tap_receive(struct net_backend *backend, const struct iovec *iov, unsigned count)
{
    ssize_t n;

    do {
        n = readv(backend->fd, iov, (int)count);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return tap_error(errno);
    return n <= (ssize_t)backend->header_len ? -ECONNRESET : n;
}

static void tap_close(struct net_backend *backend)
{
    close_fd(backend->fd);
    free(backend);
}

static const struct net_backend_ops tap_ops = {
    .set_offloads = tap_set_offloads,
    .send = tap_send,
    .receive = tap_receive,
    .close = tap_close,
};

/* Settle the header and find out what is offloaded. The tap is attached to `fd`. */
static int tap_setup(int fd, bool header, struct net_backend *backend, struct error *err)
{
    int len = NET_HEADER_LEN, little_endian = 1;

    *backend = (struct net_backend){.ops = &tap_ops, .fd = fd};
    if (!header)
        return 0;
    if (ioctl(fd, TUNSETVNETHDRSZ, &len) < 0 || ioctl(fd, TUNSETVNETLE, &little_endian) < 0)
        return error_set_errno(err, -errno, "cannot set the header of the tap's packets");
    backend->header_len = NET_HEADER_LEN;
    /* A kernel that does not know them all says so; then there are none. */
    if (tap_set_offloads(backend, ALL_OFFLOADS) == 0)
        backend->offloads = ALL_OFFLOADS;
    if (tap_set_offloads(backend, 0) < 0)
        return error_set_errno(err, -errno, "cannot set the offloads of the tap");
    return 0;
}

static int tap_create(int fd, bool header, struct net_backend **ret_backend, struct error *err)
{
    _cleanup_free_ struct net_backend *backend = calloc(1, sizeof(*backend));
    int r;

    if (!backend)
        return error_set_errno(err, -ENOMEM, "no back end for a tap");
    r = tap_setup(fd, header, backend, err);
    if (r < 0)
        return r;
    *ret_backend = take_ptr(backend);
    return 0;
}

/* What the kernel takes as a name; '%' would make it count ("tap%d"). */
static bool is_interface_name(const char *name)
{
    return name[0] && strlen(name) < IFNAMSIZ && !strpbrk(name, "/:% \t\n") &&
           strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int open_tun(struct error *err)
{
    int fd = open(TUN_PATH, O_RDWR | O_NONBLOCK | O_CLOEXEC);

    if (fd >= 0)
        return fd;
    if (errno == ENOENT || errno == ENODEV)
        return error_set(err, -errno,
                         "there is no " TUN_PATH
                         ": load the module (modprobe tun), or give the container this device");
    if (errno == EACCES || errno == EPERM)
        return error_set(err, -errno,
                         "not permitted to open " TUN_PATH
                         ": give this user the device, or start with fd=");
    return error_set_errno(err, -errno, "cannot open " TUN_PATH);
}

/* TUNSETIFF has failed; why, and what to do. */
static int attach_error(const char *name, bool exists, int error, struct error *err)
{
    switch (error) {
    case EPERM:
    case EACCES:
        if (!exists)
            return error_set(err, -EPERM,
                             "there is no tap '%s', and not permitted to make one; as root: ip "
                             "tuntap add dev %s mode tap user %u vnet_hdr",
                             name, name, (unsigned)getuid());
        return error_set(err, -EPERM,
                         "not permitted to use tap '%s': it is another user's; as root, make it "
                         "with: ip tuntap add dev %s mode tap user %u vnet_hdr",
                         name, name, (unsigned)getuid());
    case EBUSY:
        return error_set(err, -EBUSY, "tap '%s' is in use by another program", name);
    case EINVAL:
        return error_set(err, -EINVAL, "'%s' is an interface, but not a tap", name);
    default:
        return error_set_errno(err, -error, "cannot attach to tap '%s'", name);
    }
}

static int attach(int fd, const char *name, bool exists, struct error *err)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};

    memcpy(request.ifr_name, name, strlen(name) + 1); /* it fits: is_interface_name() */
    if (ioctl(fd, TUNSETIFF, &request) == 0)
        return 0;
    if (errno == EINVAL) { /* a tap that was made for several queues is one only with this flag */
        request.ifr_flags |= IFF_MULTI_QUEUE;
        if (ioctl(fd, TUNSETIFF, &request) == 0)
            return 0;
    }
    return attach_error(name, exists, errno, err);
}

/* A tap that is not up loses every packet. */
static int set_up(const char *name, struct error *err)
{
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {0};

    memcpy(request.ifr_name, name, strlen(name) + 1);
    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
        return error_set_errno(err, -errno, "cannot set tap '%s' up", name);
    request.ifr_flags |= IFF_UP;
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        return error_set_errno(err, -errno, "cannot set tap '%s' up", name);
    return 0;
}

int net_tap_open(const char *name, bool create, struct net_backend **ret_backend, struct error *err)
{
    _cleanup_close_ int fd = -1;
    bool exists;
    int r;

    if (!is_interface_name(name))
        return error_set(err, -EINVAL, "'%s' cannot be the name of an interface", name);
    exists = if_nametoindex(name) != 0;
    if (!exists && !create)
        return error_set(err, -ENODEV,
                         "there is no tap '%s'; as root: ip tuntap add dev %s mode tap user %u "
                         "vnet_hdr",
                         name, name, (unsigned)getuid());
    fd = open_tun(err);
    if (fd < 0)
        return fd;
    r = attach(fd, name, exists, err);
    if (r == 0 && !exists)
        r = set_up(name, err);
    if (r == 0)
        r = tap_create(fd, true, ret_backend, err);
    if (r == 0)
        take_fd(&fd);
    return r;
}

int net_tap_from_fd(int fd, struct net_backend **ret_backend, struct error *err)
{
    struct ifreq request = {0};
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return error_set(err, -EBADF, "descriptor %d is not open", fd);
    if (ioctl(fd, TUNGETIFF, &request) < 0)
        return error_set(err, -EINVAL, "descriptor %d is not a tap", fd);
    if (!(request.ifr_flags & IFF_TAP))
        return error_set(err, -EINVAL, "descriptor %d is a tun, not a tap", fd);
    if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return error_set_errno(err, -errno, "cannot make descriptor %d non-blocking", fd);
    return tap_create(fd, request.ifr_flags & IFF_VNET_HDR, ret_backend, err);
}

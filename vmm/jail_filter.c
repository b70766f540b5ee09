#include "jail.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "filters.h"

static unsigned features_of(const struct jail *jail)
{
    const struct config *config = jail->config;
    const struct device_config *devices = &config->devices;
    unsigned features = 0;

    if (devices->disk_count)
        features |= FILTER_DISK;
    if (devices->net_count)
        features |= FILTER_NET;
    if (devices->share_count)
        features |= FILTER_SHARE;
    if (devices->vsock.cid)
        features |= FILTER_VSOCK;
    if (config->console == CONSOLE_SOCKET || config->virtio_console == CONSOLE_SOCKET)
        features |= FILTER_CONSOLE_SOCKET;
    if (devices->rng || devices->balloon.wanted || devices->transport == TRANSPORT_PCI ||
        config->virtio_console != CONSOLE_NONE)
        features |= FILTER_OTHER;
    if (jail->hermit)
        features |= FILTER_HERMIT;
    if (config->api_sock)
        features |= FILTER_API;
    if (config->gdb)
        features |= FILTER_GDB;
    return features;
}

int jail_filter_thread(const struct jail *jail, enum thread_kind kind)
{
    const struct filter *filter;
    struct sock_fprog program;

    if (!jail->closed)
        return 0;
    filter = &filters[kind][features_of(jail)];
    program.len = (unsigned short)(filter->len / sizeof(struct sock_filter));
    /* It is only read. */
    program.filter = (struct sock_filter *)(uintptr_t)(filter_bytes + filter->start);
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}

/* What a VM has that makes its threads call the kernel for more; an index into the filters. */
#ifndef OSVM_VMM_FILTERS_FILTER_SETS_H
#define OSVM_VMM_FILTERS_FILTER_SETS_H

enum filter_feature {
    FILTER_DISK = 1 << 0,
    FILTER_NET = 1 << 1,
    FILTER_VSOCK = 1 << 2,
    FILTER_CONSOLE_SOCKET = 1 << 3,
    FILTER_SHARE = 1 << 4,
    FILTER_OTHER = 1 << 5, /* the PCI transport, rng, balloon, virtio console */
    FILTER_GDB = 1 << 6,
    FILTER_HERMIT = 1 << 7, /* a Hermit image: its file calls are made on its CPUs' threads */
    FILTER_API = 1 << 8,
};
#define FILTER_SETS 512 /* of features */

/* Where a program for seccomp(2) lies: struct sock_filter, of 8 bytes each. */
struct filter {
    unsigned start, len; /* bytes */
};

#endif

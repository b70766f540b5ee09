/*
 * Found with strace over all tests (tests/jail/calls compares them again), and by reading what each
 * thread can come to. A reset or a set-up of a device is the vCPU's that asked for it; all other
 * work of devices is the loop's.
 */
#include "rules.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/futex.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define LOOP  (1U << THREAD_LOOP)
#define VCPU  (1U << THREAD_VCPU)
#define BLOCK (1U << THREAD_BLOCK)
#define FS    (1U << THREAD_FS)
#define ALL   (LOOP | VCPU | BLOCK | FS)

#define DISK    FILTER_DISK
#define NET     FILTER_NET
#define VSOCK   FILTER_VSOCK
#define CLIENT  FILTER_CONSOLE_SOCKET
#define SHARE   FILTER_SHARE
#define OTHER   FILTER_OTHER
#define GDB     FILTER_GDB
#define HERMIT  FILTER_HERMIT
#define API     FILTER_API
#define ANY_ONE (DISK | NET | VSOCK | SHARE | OTHER)

/* An int argument is so. */
#define IS(argument, value)                         \
    {                                               \
        {                                           \
            argument, 0xffffffff, (uint32_t)(value) \
        }                                           \
    }
#define ARE(a, first, b, second)              \
    {                                         \
        {a, 0xffffffff, (uint32_t)(first)},   \
        {                                     \
            b, 0xffffffff, (uint32_t)(second) \
        }                                     \
    }

/* FUTEX_WAIT and the like, whatever their flags. */
#define FUTEX(op)                                                                      \
    {                                                                                  \
        {                                                                              \
            1, 0xffffffff & ~(uint64_t)(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME), op \
        }                                                                              \
    }

#define KICK_SIGNAL 34 /* glibc's SIGRTMIN, guest/vcpu.c */

const struct rule rules[] = {
    /* ---- All threads. ---- */
    {ALL,
     0,
     "write",
     {{0}},
     0,
     "eventfds (interrupts, wake-ups); the console, the log, the record"},
    {ALL, 0, "clock_gettime", {{0}}, 0, "the time, where the vDSO cannot tell it (no stable TSC)"},
    {ALL, 0, "futex", FUTEX(FUTEX_WAIT), 0, "mutexes and condition variables"},
    {ALL, 0, "futex", FUTEX(FUTEX_WAKE), 0, "mutexes and condition variables"},
    {LOOP | BLOCK | FS, 0, "futex", FUTEX(FUTEX_WAIT_BITSET), 0,
     "waiting for a condition, or for a vCPU's end"},
    {VCPU, SHARE, "futex", FUTEX(FUTEX_WAIT_BITSET), 0, "a reset waits for the share's worker"},
    {LOOP | VCPU, 0, "ioctl", IS(1, KVM_IRQ_LINE), 0,
     "interrupts of the serial port, the PIT and devices; PCI's shared lines"},
    {BLOCK | FS, ANY_ONE, "ioctl", IS(1, KVM_IRQ_LINE), 0, "a device's interrupt"},
    {VCPU | FS | BLOCK,
     ANY_ONE,
     "read",
     {{0}},
     0,
     "which interrupts the guest has acknowledged (an ioeventfd's count)"},
    {LOOP | VCPU | FS, 0, "brk", {{0}}, 0, "malloc() and free(); there is no other memory"},
    {LOOP | VCPU | FS, 0, "mmap", {{0}}, ENOMEM, "malloc() where brk() is refused: out of memory"},

    /* ---- A vCPU. ---- */
    {VCPU, 0, "ioctl", IS(1, KVM_RUN), 0, "run the guest"},
    {VCPU, 0, "ioctl", IS(1, KVM_GET_REGS), 0, "say where the guest died"},
    {VCPU, ANY_ONE, "ioctl", IS(1, KVM_IOEVENTFD), 0, "a device's doorbells come and go"},
    {VCPU, NET, "ioctl", IS(1, TUNSETOFFLOAD), 0, "what the driver and the tap agreed on"},
    {VCPU, OTHER, "ioctl", IS(1, KVM_SET_GSI_ROUTING), 0, "the driver moves a message interrupt"},
    {VCPU, 0, "poll", {{0}}, 0, "whether the console takes output; a reset waits for the disk"},
    {VCPU, CLIENT, "sendto", {{0}}, 0, "console output to the socket's client"},
    {VCPU, 0, "rt_sigreturn", {{0}}, 0, "the kick that takes it out of the guest"},
    {VCPU, 0, "rt_sigprocmask", {{0}}, 0, "a thread's end (glibc blocks signals then)"},
    {VCPU, 0, "exit", {{0}}, 0, "a thread's end"},
    {VCPU | LOOP, 0, "madvise", IS(2, MADV_DONTNEED), 0,
     "a thread's end gives its stack back; the start's pages are given back"},
    {VCPU, ANY_ONE, "epoll_ctl", {{0}}, 0, "a device's set-up and reset"},
    {VCPU, 0, "timerfd_settime", {{0}}, 0, "the guest sets the PIT; a device's set-up and reset"},
    {VCPU, DISK, "io_uring_enter", {{0}}, 0, "a reset waits for what is under way"},
    {VCPU, VSOCK | SHARE, "close", {{0}}, 0, "a reset closes what the guest had open"},

    /* ---- The loop. ---- */
    {LOOP, 0, "epoll_wait", {{0}}, 0, "the loop"},
    {LOOP, 0, "epoll_ctl", {{0}}, 0, "what the loop waits for"},
    {LOOP, 0, "timerfd_settime", {{0}}, 0, "timers"},
    {LOOP, 0, "read", {{0}}, 0, "eventfds, timers, signals; console input"},
    {LOOP, 0, "poll", {{0}}, 0, "whether the console takes output"},
    {LOOP, 0, "munmap", {{0}}, 0, "the stacks of very many vCPUs that have ended"},
    {LOOP, 0, "restart_syscall", {{0}}, 0, "a poll() that a stop and go on interrupted"},
    {LOOP, 0, "getpid", {{0}}, 0, "pthread_kill(): a vCPU is kicked"},
    {LOOP, 0, "tgkill", ARE(0, 1, 2, KICK_SIGNAL), 0,
     "a vCPU is kicked: this process (number 1 of its namespace) and this signal alone"},
    {LOOP, 0, "rt_sigprocmask", {{0}}, 0, "pthread_kill() blocks signals meanwhile"},
    {LOOP, 0, "newfstatat", IS(3, AT_EMPTY_PATH), 0,
     "how much memory the guest uses; what kind of stream a console client is"},
    {LOOP, 0, "pread64", {{0}}, 0, "the exit record's figures of /proc/self/status"},
    {LOOP, 0, "exit_group", {{0}}, 0, "the end"},
    {LOOP, CLIENT | VSOCK, "accept4", {{0}}, 0, "clients of the console's or the vsock's socket"},
    {LOOP, 0, "close", {{0}}, 0, "a timer that is over, clients that have gone"},
    {LOOP, CLIENT, "fcntl", IS(1, F_DUPFD_CLOEXEC), 0, "a console client's second direction"},
    {LOOP, CLIENT | VSOCK, "sendto", {{0}}, 0, "console output; the vsock's answer OK"},
    {LOOP, VSOCK | NET, "recvfrom", {{0}}, 0, "the vsock's CONNECT line; frames from passt"},
    {LOOP, VSOCK, "recvmsg", {{0}}, 0, "stream to the guest"},
    {LOOP, VSOCK | NET, "sendmsg", {{0}}, 0, "stream from the guest; frames to passt"},
    {LOOP, VSOCK | NET, "shutdown", {{0}}, 0, "one direction ends; passt is let go"},
    {LOOP, VSOCK, "socket", ARE(0, AF_UNIX, 1, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK), 0,
     "the guest connects to a socket of the host"},
    {LOOP,
     VSOCK,
     "connect",
     {{0}},
     0,
     "the guest connects; of file names there is only the vsock's folder"},
    {LOOP, NET, "readv", {{0}}, 0, "frames from the tap"},
    {LOOP, NET, "writev", {{0}}, 0, "frames to the tap"},
    {LOOP, DISK, "io_uring_enter", {{0}}, 0, "disk requests"},
    {LOOP, OTHER, "ioctl", IS(1, TIOCGWINSZ), 0, "how large the virtio console's terminal is"},
    {LOOP, OTHER, "getrandom", {{0}}, 0, "the guest's random numbers"},
    {LOOP, OTHER, "fallocate", IS(1, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE), 0,
     "memory that the balloon gives back"},

    /* ---- The debugger: everything on the loop while the CPUs stand still. ---- */
    {LOOP, GDB, "accept4", {{0}}, 0, "gdb connects"},
    {LOOP, GDB, "setsockopt", ARE(1, IPPROTO_TCP, 2, TCP_NODELAY), 0, "its packets are small"},
    {LOOP, GDB, "recvfrom", {{0}}, 0, "its packets"},
    {LOOP, GDB, "sendto", {{0}}, 0, "the answers"},
    {LOOP | VCPU, GDB, "ioctl", IS(1, KVM_GET_REGS), 0, "registers"},
    {LOOP | VCPU, GDB, "ioctl", IS(1, KVM_SET_REGS), 0, "registers"},
    {LOOP | VCPU, GDB, "ioctl", IS(1, KVM_GET_SREGS), 0, "registers"},
    {LOOP | VCPU, GDB, "ioctl", IS(1, KVM_SET_SREGS), 0, "registers"},
    {LOOP | VCPU, GDB, "ioctl", IS(1, KVM_GET_FPU), 0, "registers"},
    {LOOP | VCPU, GDB, "ioctl", IS(1, KVM_SET_FPU), 0, "registers"},
    {LOOP | VCPU, GDB, "ioctl", IS(1, KVM_TRANSLATE), 0, "the memory at an address"},
    {LOOP | VCPU, GDB, "ioctl", IS(1, KVM_SET_GUEST_DEBUG), 0, "breakpoints and steps"},
    {VCPU, GDB, "futex", FUTEX(FUTEX_WAIT_BITSET), 0, "it stands still (pthread_cond_wait())"},
    {VCPU, GDB, "ioctl", IS(1, KVM_KVMCLOCK_CTRL), 0, "the guest is told that it stood still"},
    {VCPU,
     GDB,
     "gettid",
     {{0}},
     0,
     "pthread_kill() of itself: it is to stop before its next entry"},
    {VCPU, GDB, "getpid", {{0}}, 0, "pthread_kill(): at a breakpoint, the other CPUs are stopped"},
    {VCPU, GDB, "tgkill", ARE(0, 1, 2, KICK_SIGNAL), 0, "the same"},

    /* ---- The API's commands; that it has no more power than these is the guardian's concern. ----
     */
    {LOOP, API, "recvmsg", {{0}}, 0, "the guardian's commands, with a disk's new file"},
    {LOOP, API, "sendto", {{0}}, 0, "the answers"},
    {VCPU, API, "futex", FUTEX(FUTEX_WAIT_BITSET), 0, "it stands still (pthread_cond_wait())"},
    {VCPU, API, "ioctl", IS(1, KVM_KVMCLOCK_CTRL), 0, "the guest is told that it stood still"},

    /* ---- A Hermit image's calls, each on the thread of the CPU that makes it. ---- */
    {VCPU, HERMIT, "openat2", {{0}}, 0, "open, stat, unlink, mkdir; beneath a mapping's folder"},
    {VCPU, HERMIT, "newfstatat", {{0}}, 0, "what was opened; sizes, for the limit"},
    {VCPU, HERMIT, "close", {{0}}, 0, "close, and what an open looked at"},
    {VCPU, HERMIT, "preadv", {{0}}, 0, "read"},
    {VCPU, HERMIT, "pwritev2", {{0}}, 0, "write at the end"},
    {VCPU, HERMIT, "lseek", {{0}}, 0, "seek to data or holes; a folder's place"},
    {VCPU, HERMIT, "ftruncate", {{0}}, 0, "open that cuts a file off"},
    {VCPU, HERMIT, "getdents64", {{0}}, 0, "read a folder"},
    {VCPU, HERMIT, "mkdirat", {{0}}, 0, "mkdir"},
    {VCPU, HERMIT, "unlinkat", {{0}}, 0, "unlink"},
    {LOOP, HERMIT, "unlinkat", {{0}}, 0, "at the end: marks of where mappings begin"},
    {VCPU, HERMIT, "ioctl", IS(1, KVM_GET_SREGS), 0, "the page tables, of interface 1's buffers"},

    /* ---- Disk requests by threads. ---- */
    {BLOCK, 0, "preadv", {{0}}, 0, "read"},
    {BLOCK, 0, "pwritev", {{0}}, 0, "write (pwritev2() without flags)"},
    {BLOCK, 0, "pwritev2", {{0}}, 0, "write through"},
    {BLOCK, 0, "fdatasync", {{0}}, 0, "flush"},
    {BLOCK, 0, "fallocate", {{0}}, 0, "discard, write zeroes"},

    /* ---- A shared folder's requests, each below a descriptor of the folder. ---- */
    {FS, 0, "openat2", {{0}}, 0, "open, make a file; beneath the folder, without links"},
    {FS, 0, "close", {{0}}, 0, "release, forget"},
    {FS, 0, "newfstatat", {{0}}, 0, "attributes; what kind of file a name is"},
    {FS, 0, "fstatfs", {{0}}, 0, "statfs"},
    {FS, 0, "faccessat2", {{0}}, 0, "access"},
    {FS, 0, "geteuid", {{0}}, 0, "whose a new file is"},
    {FS, 0, "getegid", {{0}}, 0, "whose a new file is"},
    {FS, 0, "fchownat", {{0}}, 0, "whose a file is"},
    {FS, 0, "fchmod", {{0}}, 0, "chmod"},
    {FS, 0, "fchmodat2", {{0}}, 0, "chmod"},
    {FS, 0, "utimensat", {{0}}, 0, "times"},
    {FS, 0, "readlinkat", {{0}}, 0, "read a link"},
    {FS, 0, "symlinkat", {{0}}, 0, "make a link"},
    {FS, 0, "linkat", {{0}}, 0, "make a hard link"},
    {FS, 0, "mkdirat", {{0}}, 0, "make a folder"},
    {FS, 0, "unlinkat", {{0}}, 0, "remove"},
    {FS, 0, "renameat", {{0}}, 0, "rename (renameat2() without flags)"},
    {FS, 0, "renameat2", {{0}}, 0, "rename"},
    {FS, 0, "preadv", {{0}}, 0, "read"},
    {FS, 0, "pwritev", {{0}}, 0, "write"},
    {FS, 0, "ftruncate", {{0}}, 0, "change a file's size"},
    {FS, 0, "fallocate", {{0}}, 0, "allocate"},
    {FS, 0, "lseek", {{0}}, 0, "seek to data or holes; a folder's place"},
    {FS, 0, "getdents64", {{0}}, 0, "read a folder"},
    {FS, 0, "fsync", {{0}}, 0, "fsync"},
    {FS, 0, "fdatasync", {{0}}, 0, "fsync of data"},
    {FS, 0, "fcntl", IS(1, F_DUPFD_CLOEXEC), 0, "flush: what close() of a copy says"},
};

const size_t rule_count = sizeof(rules) / sizeof(rules[0]);

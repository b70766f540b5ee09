/*
 * The host's end of a vsock bench: one figure a run, printed as a number.
 *
 * bench_vsock floor BYTES COUNT                 a round trip by the floor (below), median ns
 * bench_vsock roundtrip PATH PORT BYTES COUNT   the same to a guest that echoes
 * bench_vsock send PATH PORT BYTES              to a guest that swallows: bytes a second
 * bench_vsock receive PATH PORT BYTES           from a guest that is asked for so many: the same
 *
 * The floor is what the kernel asks for the four hand-overs of a round trip, where nothing else is
 * done: the client's process writes to a socketpair; a thread reads from it into guest memory and
 * raises an irqfd; the vCPU comes out of its halt, and touches a port that is an ioeventfd; the
 * thread reads that and writes the answer. The guest's whole program is six instructions.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"

#define BYTES_MAX   65536
#define COUNT_MAX   100000
#define WARM_UP     100
#define STREAM_PART 65536

static void die(const char *what)
{
    fprintf(stderr, "bench_vsock: %s: %s\n", what, strerror(errno));
    exit(1);
}

#define CHECK(call)                  \
    ({                               \
        long result_ = (long)(call); \
        if (result_ < 0)             \
            die(#call);              \
        result_;                     \
    })

static void read_all(int fd, void *to, size_t len)
{
    uint8_t *at = to;

    while (len > 0) {
        ssize_t n = CHECK(read(fd, at, len));

        if (n == 0) {
            errno = EPIPE;
            die("the other end has gone");
        }
        at += n;
        len -= (size_t)n;
    }
}

static void write_all(int fd, const void *from, size_t len)
{
    const uint8_t *at = from;

    while (len > 0) {
        ssize_t n = CHECK(write(fd, at, len));

        at += n;
        len -= (size_t)n;
    }
}

/* ---- The floor: a process with one vCPU, on the other end of `fd`. ---- */

#define GUEST_SIZE   (64 * KIB)
#define GUEST_CODE   0x1000
#define GUEST_RETURN 0x1100
#define GUEST_STACK  0x2000
#define GUEST_DATA   0x8000
#define GUEST_PORT   0x600
#define GUEST_IRQ    5
#define PIC_BASE     0x20 /* its first vector */

/* In real mode: mov $GUEST_PORT, %dx; 1: sti; hlt; cli; out %al, (%dx); jmp 1b */
static const uint8_t guest_code[] = {
    0xba, GUEST_PORT & 0xff, GUEST_PORT >> 8, 0xfb, 0xf4, 0xfa, 0xee, 0xeb, 0xfa};
/* iret */
static const uint8_t guest_return[] = {0xcf};

static void *run_vcpu(void *argument)
{
    int vcpu = *(const int *)argument;

    CHECK(ioctl(vcpu, KVM_RUN, 0));
    errno = ENOEXEC;
    die("the floor's guest came to an end");
    return NULL;
}

/* The interrupt's vector points to an iret; the PIC ends each interrupt by itself. */
static void place_guest(int vm, uint8_t *memory)
{
    const uint16_t vector[] = {GUEST_RETURN, 0};
    struct kvm_irqchip pic = {.chip_id = KVM_IRQCHIP_PIC_MASTER};

    memcpy(memory + GUEST_CODE, guest_code, sizeof(guest_code));
    memcpy(memory + GUEST_RETURN, guest_return, sizeof(guest_return));
    memcpy(memory + (size_t)4 * (PIC_BASE + GUEST_IRQ), vector, sizeof(vector));
    CHECK(ioctl(vm, KVM_GET_IRQCHIP, &pic));
    pic.chip.pic.irq_base = PIC_BASE;
    pic.chip.pic.imr = (uint8_t) ~(1 << GUEST_IRQ);
    pic.chip.pic.auto_eoi = 1;
    pic.chip.pic.init4 = 1;
    CHECK(ioctl(vm, KVM_SET_IRQCHIP, &pic));
}

static int create_vcpu(int vm)
{
    struct kvm_regs regs = {.rip = GUEST_CODE, .rsp = GUEST_STACK, .rflags = 2};
    int vcpu = (int)CHECK(ioctl(vm, KVM_CREATE_VCPU, 0));
    struct kvm_sregs sregs;

    CHECK(ioctl(vcpu, KVM_GET_SREGS, &sregs));
    sregs.cs.base = 0;
    sregs.cs.selector = 0;
    CHECK(ioctl(vcpu, KVM_SET_SREGS, &sregs));
    CHECK(ioctl(vcpu, KVM_SET_REGS, &regs));
    return vcpu;
}

static void serve_floor(int fd, size_t len)
{
    int kvm = (int)CHECK(open("/dev/kvm", O_RDWR | O_CLOEXEC));
    int vm = (int)CHECK(ioctl(kvm, KVM_CREATE_VM, 0));
    int interrupt = (int)CHECK(eventfd(0, 0)), doorbell = (int)CHECK(eventfd(0, 0)), vcpu;
    uint8_t *memory =
        mmap(NULL, GUEST_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct kvm_userspace_memory_region slot = {.memory_size = GUEST_SIZE,
                                               .userspace_addr = (uintptr_t)memory};
    struct kvm_irqfd irqfd = {.fd = (uint32_t)interrupt, .gsi = GUEST_IRQ};
    struct kvm_ioeventfd ioeventfd = {
        .addr = GUEST_PORT, .len = 1, .fd = doorbell, .flags = KVM_IOEVENTFD_FLAG_PIO};
    uint64_t one = 1;
    pthread_t thread;

    if (memory == MAP_FAILED)
        die("mmap");
    CHECK(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot));
    CHECK(ioctl(vm, KVM_CREATE_IRQCHIP, 0));
    CHECK(ioctl(vm, KVM_IRQFD, &irqfd));
    CHECK(ioctl(vm, KVM_IOEVENTFD, &ioeventfd));
    place_guest(vm, memory);
    vcpu = create_vcpu(vm);
    errno = pthread_create(&thread, NULL, run_vcpu, &vcpu);
    if (errno)
        die("pthread_create");
    for (;;) {
        uint64_t count;

        read_all(fd, memory + GUEST_DATA, len);
        write_all(interrupt, &one, sizeof(one));
        read_all(doorbell, &count, sizeof(count));
        write_all(fd, memory + GUEST_DATA, len);
    }
}

static int start_floor(size_t len)
{
    int ends[2];
    pid_t parent = getpid(), child;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    child = (pid_t)CHECK(fork());
    if (child == 0) {
        close(ends[0]);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        serve_floor(ends[1], len);
    }
    close(ends[1]);
    return ends[0];
}

/* ---- The client. ---- */

static int connect_guest(const char *path, const char *port)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = (int)CHECK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    char line[32], c = 0;

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        die(path);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    CHECK(connect(fd, (const struct sockaddr *)&address, sizeof(address)));
    write_all(fd, line, (size_t)snprintf(line, sizeof(line), "CONNECT %s\n", port));
    while (c != '\n')
        read_all(fd, &c, 1);
    return fd;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void round_trips(int fd, size_t len, size_t count)
{
    static uint64_t times[COUNT_MAX];
    static uint8_t sent[BYTES_MAX], received[BYTES_MAX];

    for (size_t i = 0; i < WARM_UP + count; i++) {
        uint64_t begin = clock_monotonic_ns();

        memset(sent, (int)i, len);
        write_all(fd, sent, len);
        read_all(fd, received, len);
        if (i >= WARM_UP)
            times[i - WARM_UP] = clock_monotonic_ns() - begin;
        if (memcmp(sent, received, len) != 0) {
            errno = EBADMSG;
            die("what came back");
        }
    }
    qsort(times, count, sizeof(times[0]), compare_u64);
    printf("%llu\n", (unsigned long long)times[count / 2]);
}

static void print_rate(uint64_t bytes, uint64_t begin_ns)
{
    printf("%.0f\n", (double)bytes * NS_PER_SEC / (double)(clock_monotonic_ns() - begin_ns));
}

/* The guest closes when it has seen the end. */
static void stream_out(int fd, uint64_t bytes)
{
    static uint8_t part[STREAM_PART];
    uint64_t begin = clock_monotonic_ns();
    char end;

    for (uint64_t left = bytes; left > 0; left -= min_u64(left, sizeof(part)))
        write_all(fd, part, min_u64(left, sizeof(part)));
    CHECK(shutdown(fd, SHUT_WR));
    if (CHECK(read(fd, &end, 1)) != 0) {
        errno = EBADMSG;
        die("the end of the stream");
    }
    print_rate(bytes, begin);
}

static void stream_in(int fd, uint64_t bytes)
{
    static uint8_t part[STREAM_PART];
    uint64_t begin = clock_monotonic_ns();

    write_all(fd, &bytes, sizeof(bytes));
    for (uint64_t left = bytes; left > 0;) {
        ssize_t n = CHECK(read(fd, part, min_u64(left, sizeof(part))));

        if (n == 0) {
            errno = EPIPE;
            die("the guest sent too little");
        }
        left -= (uint64_t)n;
    }
    print_rate(bytes, begin);
}

static uint64_t number(const char *text, uint64_t max)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || value == 0 || value > max) {
        fprintf(stderr, "bench_vsock: '%s' is not a number from 1 to %llu\n", text,
                (unsigned long long)max);
        exit(2);
    }
    return value;
}

int main(int argc, char *argv[])
{
    const char *what = argc > 1 ? argv[1] : "";

    if (strcmp(what, "floor") == 0 && argc == 4) {
        size_t len = number(argv[2], GUEST_SIZE - GUEST_DATA);

        round_trips(start_floor(len), len, number(argv[3], COUNT_MAX));
    } else if (strcmp(what, "roundtrip") == 0 && argc == 6) {
        round_trips(connect_guest(argv[2], argv[3]), number(argv[4], BYTES_MAX),
                    number(argv[5], COUNT_MAX));
    } else if (strcmp(what, "send") == 0 && argc == 5) {
        stream_out(connect_guest(argv[2], argv[3]), number(argv[4], INT64_MAX));
    } else if (strcmp(what, "receive") == 0 && argc == 5) {
        stream_in(connect_guest(argv[2], argv[3]), number(argv[4], INT64_MAX));
    } else {
        fprintf(stderr, "usage: bench_vsock floor BYTES COUNT | roundtrip PATH PORT BYTES COUNT | "
                        "send PATH PORT BYTES | receive PATH PORT BYTES\n");
        return 2;
    }
    return 0;
}

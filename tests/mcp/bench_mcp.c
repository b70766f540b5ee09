/*
 * What an MCP server in a unikernel costs, side by side in one run: medians of interleaved rounds.
 *
 * bench_mcp OSVM_VMM MCP_IMAGE MCP_STDIO FLOOR [ROUNDS]
 *
 * The round trip of a tools/call to a running guest, against the same server as a plain process;
 * and from exec to the answer of tools/list, against the floor (tests/bench/floor.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/util.h"
#include "mcp_bridge.h"

extern char **environ;

#define ROUNDS_MAX  1000
#define CALLS       100 /* in a round, so that a round is long enough to be even */
#define ANSWER_SIZE 65536

static const char call_hash[] =
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":"
    "{\"name\":\"hash\",\"arguments\":{\"text\":\"abc\"}}}\n";
static const char list_tools[] = "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\"}\n";

static void die(const char *what)
{
    fprintf(stderr, "bench_mcp: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Start a program with these as its standard input and output; both are closed here. */
static pid_t spawn(char *const argv[], int in, int out)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    errno = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
    if (errno)
        die(argv[0]);
    posix_spawn_file_actions_destroy(&actions);
    close(in);
    if (out != in)
        close(out);
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* Start a program whose output comes to *ret_output, and wait for its first byte. */
static pid_t spawn_to_first_byte(char *const argv[], int *ret_output)
{
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC), ends[2];
    char byte;
    pid_t pid;

    if (nothing < 0 || pipe2(ends, O_CLOEXEC) < 0)
        die("pipe");
    pid = spawn(argv, nothing, ends[1]);
    if (read(ends[0], &byte, 1) != 1) {
        errno = ENODATA;
        die(argv[0]);
    }
    *ret_output = ends[0];
    return pid;
}

/* Ask, and take the whole answer. */
static void ask(int fd, const char *question, const char *wanted)
{
    static char answer[ANSWER_SIZE];
    size_t length = 0;

    if (io_write_all(fd, question, strlen(question)) < 0)
        die("write");
    while (length == 0 || answer[length - 1] != '\n') {
        ssize_t n = read(fd, answer + length, sizeof(answer) - 1 - length);

        if (n <= 0)
            die("read");
        length += (size_t)n;
    }
    answer[length] = 0;
    if (!strstr(answer, wanted)) {
        fprintf(stderr, "bench_mcp: a wrong answer: %.200s\n", answer);
        exit(1);
    }
}

static int connect_to(const char *path)
{
    struct error err;
    int fd;

    if (mcp_bridge_connect(path, MCP_BRIDGE_PORT, 10 * NS_PER_SEC, &fd, &err) < 0) {
        fprintf(stderr, "bench_mcp: %s\n", err.text);
        exit(1);
    }
    return fd;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static double median_us(uint64_t *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare_u64);
    return (double)values[count / 2] / NS_PER_US;
}

static void bench_round_trip(char *const vmm[], const char *path, char *const plain[],
                             unsigned rounds)
{
    static uint64_t took[2][ROUNDS_MAX];
    int pair[2], output, fds[2];
    double guest, process;
    pid_t pids[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        die("socketpair");
    pids[0] = spawn_to_first_byte(vmm, &output);
    pids[1] = spawn(plain, pair[1], pair[1]);
    fds[0] = connect_to(path);
    fds[1] = pair[0];
    for (unsigned round = 0; round < rounds; round++)
        for (unsigned i = 0; i < 2; i++) {
            uint64_t start;

            ask(fds[i], call_hash, "ba7816bf"); /* not the first after a pause */
            start = clock_monotonic_ns();
            for (unsigned n = 0; n < CALLS; n++)
                ask(fds[i], call_hash, "ba7816bf");
            took[i][round] = (clock_monotonic_ns() - start) / CALLS;
        }
    for (unsigned i = 0; i < 2; i++) {
        close(fds[i]);
        end(pids[i]);
    }
    close(output);
    unlink(path);
    guest = median_us(took[0], rounds);
    process = median_us(took[1], rounds);
    printf("%-44s %.0f us / %.0f us (plain process) = %.1f\n", "tools/call, round trip", guest,
           process, guest / process);
}

static uint64_t time_cold(char *const vmm[], const char *path)
{
    uint64_t start = clock_monotonic_ns();
    int output, fd;
    pid_t pid = spawn_to_first_byte(vmm, &output);

    fd = connect_to(path);
    ask(fd, list_tools, "\"calculate\"");
    start = clock_monotonic_ns() - start;
    close(fd);
    close(output);
    end(pid);
    unlink(path);
    return start;
}

static uint64_t time_floor(char *const floor[])
{
    uint64_t start = clock_monotonic_ns();
    int output;
    pid_t pid = spawn_to_first_byte(floor, &output);

    start = clock_monotonic_ns() - start;
    close(output);
    waitpid(pid, NULL, 0);
    return start;
}

static void bench_cold(char *const vmm[], const char *path, char *const floor[], unsigned rounds)
{
    static uint64_t took[2][ROUNDS_MAX];
    double cold, base;

    for (unsigned round = 0; round < rounds; round++) {
        took[0][round] = time_cold(vmm, path);
        took[1][round] = time_floor(floor);
    }
    cold = median_us(took[0], rounds);
    base = median_us(took[1], rounds);
    printf("%-44s %.0f us / %.0f us (floor) = %.1f, goal <= 10: %s\n",
           "exec to the answer of tools/list", cold, base, cold / base,
           cold / base <= 10 ? "met" : "MISSED");
}

int main(int argc, char *argv[])
{
    unsigned rounds = argc > 5 ? (unsigned)strtoul(argv[5], NULL, 10) : 40;
    char folder[] = "/tmp/bench-mcp-XXXXXX", path[64], vsock[96];

    if (argc < 5 || rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: bench_mcp OSVM_VMM MCP_IMAGE MCP_STDIO FLOOR [ROUNDS]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    if (!mkdtemp(folder))
        die(folder);
    snprintf(path, sizeof(path), "%s/v", folder);
    snprintf(vsock, sizeof(vsock), "cid=3,path=%s", path);
    char *const vmm[] = {argv[1],      (char *)"--kernel", argv[2], (char *)"--mem",
                         (char *)"64", (char *)"--vsock",  vsock,   NULL};
    char *const plain[] = {argv[3], NULL};
    char *const floor[] = {argv[4], (char *)"64", NULL};

    printf("%u rounds, medians\n", rounds);
    bench_round_trip(vmm, path, plain, rounds);
    bench_cold(vmm, path, floor, rounds);
    rmdir(folder);
    return 0;
}

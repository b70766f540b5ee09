/*
 * What a start through the API costs beside osvm-vmm alone, and what a question costs: medians of
 * interleaved rounds, as ratios.
 *
 * bench_api OSVM_VMM FIRST_BYTE_IMAGE IDLE_IMAGE [ROUNDS]
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "measure.h"

static char folder[] = "/tmp/osvm-bench-api-XXXXXX";
static char api_socket[64];

/* As soon as it listens. */
static int connect_api(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, api_socket);
    for (unsigned i = 0; i < 100000; i++) {
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
            return fd;
        usleep(50);
    }
    die(api_socket);
}

static void send_request(int fd, const char *line, const char *body)
{
    char text[1024];
    int len = snprintf(text, sizeof(text), "%s HTTP/1.1\r\nContent-Length: %zu\r\n\r\n%s", line,
                       strlen(body), body);

    if (send(fd, text, (size_t)len, 0) != len)
        die("send");
}

/* An answer of this status; it comes in one piece. */
static void expect_answer(int fd, const char *status)
{
    char text[8192];
    ssize_t len = recv(fd, text, sizeof(text) - 1, 0);

    text[len > 0 ? len : 0] = '\0';
    if (strncmp(text, "HTTP/1.1 ", 9) == 0 && strncmp(text + 9, status, 3) == 0)
        return;
    fprintf(stderr, "bench: not %s: %s\n", status, text);
    exit(1);
}

struct start {
    uint64_t exec_ns;    /* exec to the guest's first byte */
    uint64_t request_ns; /* the first request to the guest's first byte */
};

static struct start start_by_api(char *vmm, const char *image)
{
    char *const argv[] = {vmm, (char *)"--api-sock", api_socket, NULL};
    uint64_t begin = clock_monotonic_ns(), asked;
    struct child child = spawn(argv);
    int fd = connect_api();
    struct start start;
    char body[512];

    snprintf(body, sizeof(body), "{\"kernel_image_path\": \"%s\"}", image);
    asked = clock_monotonic_ns();
    send_request(fd, "PUT /boot-source", body);
    expect_answer(fd, "204");
    send_request(fd, "PUT /actions", "{\"action_type\": \"InstanceStart\"}");
    expect_byte(&child, argv[0]);
    start.request_ns = clock_monotonic_ns() - asked;
    start.exec_ns = clock_monotonic_ns() - begin;
    reap(&child, argv[0], 0);
    close(fd);
    return start;
}

static uint64_t start_alone(char *const argv[])
{
    uint64_t begin = clock_monotonic_ns(), end;
    struct child child = spawn(argv);

    expect_byte(&child, argv[0]);
    end = clock_monotonic_ns();
    reap(&child, argv[0], 0);
    return end - begin;
}

static void bench_start(char *vmm, char *image, unsigned rounds)
{
    char *const alone[] = {vmm, (char *)"--kernel", image, NULL};
    char *const both[] = {vmm, (char *)"--kernel", image, (char *)"--api-sock", api_socket, NULL};
    static uint64_t alone_ns[MAX_ROUNDS], both_ns[MAX_ROUNDS], exec_ns[MAX_ROUNDS],
        request_ns[MAX_ROUNDS];
    double base;

    for (unsigned i = 0; i < rounds; i++) {
        struct start start;

        alone_ns[i] = start_alone(alone);
        start = start_by_api(vmm, image);
        exec_ns[i] = start.exec_ns;
        request_ns[i] = start.request_ns;
        both_ns[i] = start_alone(both);
    }
    base = median_us(alone_ns, rounds);
    ratio_row("PUT /boot-source to first guest instruction", median_us(request_ns, rounds), base,
              "alone", 1.2);
    ratio_row("exec to the same, the waiting client included", median_us(exec_ns, rounds), base,
              "alone", 0);
    ratio_row("exec, --kernel and --api-sock together", median_us(both_ns, rounds), base, "alone",
              1.2);
}

static double question_us(int fd, const char *line, const char *body, const char *status,
                          unsigned rounds)
{
    static uint64_t times_ns[MAX_ROUNDS];

    for (unsigned i = 0; i < rounds; i++) {
        uint64_t begin = clock_monotonic_ns();

        send_request(fd, line, body);
        expect_answer(fd, status);
        times_ns[i] = clock_monotonic_ns() - begin;
    }
    return median_us(times_ns, rounds);
}

static void bench_questions(char *vmm, char *image, unsigned rounds)
{
    char *const argv[] = {vmm, (char *)"--kernel", image, (char *)"--api-sock", api_socket, NULL};
    struct child child = spawn(argv);
    int fd = connect_api();
    double base;

    expect_byte(&child, argv[0]);
    base = question_us(fd, "GET /", "", "200", rounds);
    ratio_row("GET /metrics: the machine is asked",
              question_us(fd, "GET /metrics", "", "200", rounds), base, "GET /", 0);
    ratio_row("PATCH /vm Paused: all CPUs stand still",
              question_us(fd, "PATCH /vm", "{\"state\": \"Paused\"}", "204", 1), base, "GET /", 0);
    ratio_row("PATCH /vm Resumed",
              question_us(fd, "PATCH /vm", "{\"state\": \"Resumed\"}", "204", 1), base, "GET /", 0);
    kill(child.pid, SIGTERM);
    reap(&child, argv[0], SIGTERM);
    close(fd);
}

int main(int argc, char *argv[])
{
    unsigned rounds = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 60;

    if (argc < 4 || rounds < 1 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: bench_api OSVM_VMM FIRST_BYTE_IMAGE IDLE_IMAGE [ROUNDS]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!mkdtemp(folder))
        die(folder);
    snprintf(api_socket, sizeof(api_socket), "%s/api", folder);
    printf("%u rounds, medians\n", rounds);
    printf("%-50s %-40s %-12s %s\n", "what", "measured", "goal", "");
    bench_start(argv[1], argv[2], rounds);
    bench_questions(argv[1], argv[3], rounds);
    rmdir(folder);
    return 0;
}

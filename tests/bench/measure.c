#include "measure.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"

extern char **environ;

void die(const char *what)
{
    fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

struct child spawn(char *const argv[])
{
    posix_spawn_file_actions_t actions;
    struct child child;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        die("pipe");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    errno = posix_spawn(&child.pid, argv[0], &actions, NULL, argv, environ);
    if (errno)
        die(argv[0]);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    child.output = ends[0];
    return child;
}

void expect_byte(const struct child *child, const char *who)
{
    char byte;

    if (read(child->output, &byte, 1) != 1 || byte != 'x') {
        fprintf(stderr, "bench: %s did not come to its first byte\n", who);
        exit(1);
    }
}

void reap(struct child *child, const char *who, int expected_signal)
{
    int status;

    close(child->output);
    if (waitpid(child->pid, &status, 0) < 0)
        die("waitpid");
    if (WIFEXITED(status) && WEXITSTATUS(status) == (expected_signal ? 128 + expected_signal : 0))
        return;
    fprintf(stderr, "bench: %s ended with wait status 0x%x\n", who, status);
    exit(1);
}

struct sample {
    uint64_t first_byte_ns; /* exec to the guest's first byte */
    uint64_t end_ns;        /* exec to the end of the process */
};

static struct sample time_run(char *const argv[])
{
    uint64_t begin = clock_monotonic_ns();
    struct child child = spawn(argv);
    struct sample sample;

    expect_byte(&child, argv[0]);
    sample.first_byte_ns = clock_monotonic_ns() - begin;
    reap(&child, argv[0], 0);
    sample.end_ns = clock_monotonic_ns() - begin;
    return sample;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

double median_us(uint64_t *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare_u64);
    return (double)values[count / 2] / NS_PER_US;
}

/* Run two commands alternately; give the medians. */
void compare(char *const a[], char *const b[], unsigned rounds, double ret_first_us[2],
             double ret_end_us[2])
{
    static uint64_t first[2][MAX_ROUNDS], end[2][MAX_ROUNDS];
    char *const *commands[2] = {a, b};

    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < 2; i++) {
            unsigned which = (i + round) % 2; /* neither is always the first */
            struct sample sample = time_run(commands[which]);

            first[which][round] = sample.first_byte_ns;
            end[which][round] = sample.end_ns;
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        ret_first_us[i] = median_us(first[i], rounds);
        ret_end_us[i] = median_us(end[i], rounds);
    }
}

void row(const char *what, const char *figure, const char *goal, bool met)
{
    printf("%-50s %-40s %-12s %s\n", what, figure, goal, met ? "met" : "MISSED");
}

void ratio_row(const char *what, double subject, double base, const char *base_name, double goal)
{
    char figure[80], limit[24];

    snprintf(figure, sizeof(figure), "%.0f us / %.0f us (%s) = %.2f", subject, base, base_name,
             subject / base);
    if (goal == 0) { /* told for comparison */
        printf("%-50s %-40s\n", what, figure);
        return;
    }
    snprintf(limit, sizeof(limit), "<= %.1f", goal);
    row(what, figure, limit, subject / base <= goal);
}

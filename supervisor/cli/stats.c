/* osvm stats and osvm top: what components use. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "client.h"
#include "table.h"

/* Between the two looks that a share of CPU time is told from. */
#define SAMPLE_MS 400
#define TOP_MS    1000

static double number_of(json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

/* A list of what runs and is named. */
static int ask(const struct invocation *invocation, struct client *client, json_t **ret_list)
{
    json_auto_t *answer = NULL;
    json_t *component;
    size_t i;
    int status = client_ask(client, "GET", "/v1/stats", NULL, 0, &answer);

    if (status)
        return status;
    *ret_list = json_array();
    json_array_foreach(answer, i, component)
    {
        if (is_named(invocation, text_of(component, "name")))
            json_array_append(*ret_list, component);
    }
    if (invocation->argument_count > (int)json_array_size(*ret_list)) {
        json_decref(*ret_list);
        return fail(EXIT_FAILED, "one of these components does not run; osvm ps shows them all");
    }
    return 0;
}

/* What it had used at the time of an earlier look; less than 0: it was not there, or is another. */
static double earlier_cpu(json_t *before, json_t *component)
{
    json_t *other;
    size_t i;

    json_array_foreach(before, i, other)
    {
        if (json_equal(json_object_get(other, "id"), json_object_get(component, "id")) &&
            json_equal(json_object_get(other, "pid"), json_object_get(component, "pid")))
            return number_of(other, "cpu_seconds");
    }
    return -1;
}

static void add_bytes(struct table *table, json_t *component, const char *key)
{
    json_t *value = json_object_get(component, key);

    if (json_is_integer(value))
        table_add_bytes(table, (uint64_t)json_integer_value(value));
    else
        table_add(table, TABLE_FAINT, "-");
}

static void add_row(struct table *table, json_t *before, json_t *component, double seconds)
{
    double cpu = number_of(component, "cpu_seconds"), earlier = earlier_cpu(before, component);
    double memory = number_of(component, "memory_bytes");
    double limit = number_of(component, "memory_limit_bytes");
    json_t *exits = json_object_get(component, "exits");

    table_add(table, TABLE_PLAIN, "%s", text_of(component, "name"));
    table_add(table, TABLE_PLAIN, "%s", text_of(component, "level"));
    table_add(table, TABLE_PLAIN, "%.1f", earlier < 0 ? 0 : 100 * (cpu - earlier) / seconds);
    table_add(table, TABLE_PLAIN, "%.2f", cpu);
    add_bytes(table, component, "memory_bytes");
    table_add(table, limit > 0 && memory > 0.9 * limit ? TABLE_WARNING : TABLE_PLAIN, "%.0f",
              limit > 0 ? 100 * memory / limit : 0);
    table_add(table, TABLE_PLAIN, "%.0f", number_of(component, "processes"));
    add_bytes(table, component, "read_bytes");
    add_bytes(table, component, "write_bytes");
    add_bytes(table, component, "received_bytes");
    add_bytes(table, component, "sent_bytes");
    if (json_is_integer(exits))
        table_add(table, TABLE_PLAIN, "%" JSON_INTEGER_FORMAT, json_integer_value(exits));
    else
        table_add(table, TABLE_FAINT, "-");
    table_add(table, TABLE_PLAIN, "%.0f", number_of(component, "restarts"));
    table_add_age(table, number_of(component, "uptime_seconds"));
}

static int print(json_t *before, json_t *list, double seconds)
{
    static const char *const headers[] = {"NAME", "LEVEL", "CPU%",     "CPU s", "MEMORY",
                                          "MEM%", "PROCS", "READ",     "WRITE", "RECEIVED",
                                          "SENT", "EXITS", "RESTARTS", "UP",    NULL};
    struct table table;
    json_t *component;
    size_t i;
    int status;

    table_init(&table, headers, 0x3ffc);
    json_array_foreach(list, i, component)
    {
        add_row(&table, before, component, seconds);
    }
    status = table_print(&table);
    table_free(&table);
    return status;
}

/* Look again, and print it with what has changed since the look before. */
static int show(const struct invocation *invocation, struct client *client, json_t **before,
                uint64_t *looked)
{
    json_t *list;
    int status = ask(invocation, client, &list);
    uint64_t now = clock_monotonic_ns();

    if (status)
        return status;
    status = print(*before, list, (double)(now - *looked) / 1e9);
    json_decref(*before);
    *before = list;
    *looked = now;
    return status;
}

int command_stats(const struct invocation *invocation)
{
    struct client *client;
    json_t *before = NULL;
    int status = client_open(invocation, &client);
    uint64_t looked;

    if (status)
        return status;
    status = ask(invocation, client, &before);
    looked = clock_monotonic_ns();
    if (!status && invocation->json) {
        client_close(client);
        return print_json(before);
    }
    if (!status) {
        poll(NULL, 0, SAMPLE_MS);
        status = show(invocation, client, &before, &looked);
    }
    json_decref(before);
    client_close(client);
    return status;
}

/* Whether q came within the time. */
static bool quits(int timeout_ms)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    uint64_t end = clock_monotonic_ns() + (uint64_t)timeout_ms * NS_PER_MS;

    for (;;) {
        uint64_t now = clock_monotonic_ns();
        char byte;

        if (now >= end || poll(&input, 1, (int)((end - now) / NS_PER_MS) + 1) <= 0)
            return false;
        if (read(STDIN_FILENO, &byte, 1) != 1 || byte == 'q' || byte == 'Q' || byte == 3)
            return true;
    }
}

static int repeat(const struct invocation *invocation, struct client *client)
{
    uint64_t looked = clock_monotonic_ns();
    json_t *before = NULL;
    int status = ask(invocation, client, &before);

    while (!status) {
        fputs("\033[H\033[J", stdout);
        status = show(invocation, client, &before, &looked);
        fputs("\nq quits\n", stdout);
        fflush(stdout);
        if (quits(TOP_MS))
            break;
    }
    json_decref(before);
    return status;
}

int command_top(const struct invocation *invocation)
{
    struct termios found, keys;
    struct client *client;
    int status;

    if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &found) < 0)
        return fail(EXIT_FAILED, "top wants a terminal; osvm stats does without");
    status = client_open(invocation, &client);
    if (status)
        return status;
    keys = found;
    keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG); /* so that Ctrl-C leaves it as it was */
    tcsetattr(STDIN_FILENO, TCSADRAIN, &keys);
    fputs("\033[?1049h\033[?25l", stdout); /* the other screen, no cursor */
    status = repeat(invocation, client);
    fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &found);
    client_close(client);
    return status;
}

/* supervisor/mcp_bridge.h: what passes, and what is said when an end goes. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "mcp_bridge.h"

static const struct log quiet = {.fd = -1};

/* A bridge with pipes on the client's side and a socket pair on the server's. */
struct fixture {
    struct mcp_bridge bridge;
    int client_write, client_read, server;
    int client_in, client_out; /* the bridge's ends, which it borrows */
};

static void begin(struct fixture *f, uint64_t drain_ns)
{
    int in[2], out[2], pair[2];

    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    *f = (struct fixture){
        .bridge = {.client_in = in[0],
                   .client_out = out[1],
                   .server_in = pair[0],
                   .server_out = pair[0],
                   .drain_ns = drain_ns,
                   .log = &quiet},
        .client_write = in[1],
        .client_read = out[0],
        .server = pair[1],
        .client_in = in[0],
        .client_out = out[1],
    };
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void end(struct fixture *f)
{
    close_one(&f->client_write);
    close_one(&f->client_read);
    close_one(&f->server);
    close_one(&f->client_in);
    close_one(&f->client_out);
}

static void put(int fd, const char *text)
{
    assert_int_equal(io_write_all(fd, text, strlen(text)), 0);
}

/* All that comes until the end, or as much as fits. */
static void get(int fd, char *text, size_t size)
{
    size_t length = 0;

    for (ssize_t n; length < size - 1 && (n = read(fd, text + length, size - 1 - length)) > 0;)
        length += (size_t)n;
    text[length] = 0;
}

#define ASK(id)    "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"m\"}\n"
#define ANSWER(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":{}}\n"
#define LOST(id)                                                                              \
    "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"error\":{\"code\":-32000,\"message\":\"the server " \
    "ended before it answered\"}}\n"
#define ERROR(code, text) \
    "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":" code ",\"message\":\"" text "\"}}\n"
#define NOTE "{\"jsonrpc\":\"2.0\",\"method\":\"n\"}\n"

struct row {
    const char *name;
    const char *client; /* what it says; then it closes, unless it stays */
    bool client_stays;
    const char *server; /* what it says; then it closes */
    const char *to_server, *to_client;
    enum mcp_bridge_end end;
};

static const struct row rows[] = {
    {"a request and its answer", ASK("0"), false, ANSWER("0"), ASK("0"), ANSWER("0"),
     MCP_BRIDGE_CLIENT_ENDED},
    {"nothing at all", "", false, "", "", "", MCP_BRIDGE_CLIENT_ENDED},
    {"a notification wants no answer", NOTE, false, "", NOTE, "", MCP_BRIDGE_CLIENT_ENDED},
    {"notifications pass both ways", NOTE ASK("1"), false, NOTE ANSWER("1"), NOTE ASK("1"),
     NOTE ANSWER("1"), MCP_BRIDGE_CLIENT_ENDED},
    {"the server goes in mid-call", ASK("7"), true, "", ASK("7"), LOST("7"),
     MCP_BRIDGE_SERVER_ENDED},
    {"the server goes, the client has said all", ASK("7"), false, "", ASK("7"), LOST("7"),
     MCP_BRIDGE_SERVER_ENDED},
    {"the server goes with nothing open", ASK("7"), true, ANSWER("7"), ASK("7"), ANSWER("7"),
     MCP_BRIDGE_SERVER_ENDED},
    {"one of three is open", ASK("1") ASK("\"x\"") ASK("3"), true, ANSWER("3") ANSWER("1"),
     ASK("1") ASK("\"x\"") ASK("3"), ANSWER("3") ANSWER("1") LOST("\"x\""),
     MCP_BRIDGE_SERVER_ENDED},
    {"a number is not a string", ASK("1"), true, ANSWER("\"1\""), ASK("1"),
     ANSWER("\"1\"") LOST("1"), MCP_BRIDGE_SERVER_ENDED},
    {"one id twice", ASK("1") ASK("1"), true, ANSWER("1"), ASK("1") ASK("1"), ANSWER("1") LOST("1"),
     MCP_BRIDGE_SERVER_ENDED},
    {"an id with quotes and a zero", ASK("\"a\\\"\\u0000\""), true, "", ASK("\"a\\\"\\u0000\""),
     LOST("\"a\\\"\\u0000\""), MCP_BRIDGE_SERVER_ENDED},
    {"an error is an answer", ASK("1"), false,
     "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":1,\"message\":\"\"}}\n", ASK("1"),
     "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":1,\"message\":\"\"}}\n",
     MCP_BRIDGE_CLIENT_ENDED},
    {"a request of the server's is no answer", ASK("1"), true, ASK("1"), ASK("1"),
     ASK("1") LOST("1"), MCP_BRIDGE_SERVER_ENDED},
    {"an answer of the client's is no request", ANSWER("5"), false, "", ANSWER("5"), "",
     MCP_BRIDGE_CLIENT_ENDED},
    {"a batch", "[{\"id\":1,\"method\":\"m\"},{\"id\":2,\"method\":\"m\"}]\n", true,
     "[{\"id\":2,\"result\":1}]\n", "[{\"id\":1,\"method\":\"m\"},{\"id\":2,\"method\":\"m\"}]\n",
     "[{\"id\":2,\"result\":1}]\n" LOST("1"), MCP_BRIDGE_SERVER_ENDED},
    {"what a server prints besides is dropped", ASK("1"), false,
     "Listening…\n\n{\"half\":\n5\n" ANSWER("1"), ASK("1"), ANSWER("1"), MCP_BRIDGE_CLIENT_ENDED},
    {"half of an answer is dropped", ASK("1"), true, "{\"jsonrpc\":\"2.0\",\"id\":1,\"res",
     ASK("1"), LOST("1"), MCP_BRIDGE_SERVER_ENDED},
    {"an answer without its newline", ASK("1"), true, "{\"id\":1,\"result\":2}", ASK("1"),
     "{\"id\":1,\"result\":2}\n", MCP_BRIDGE_SERVER_ENDED},
    {"a request without its newline", "{\"id\":1,\"method\":\"m\"}", false,
     "{\"id\":1,\"result\":2}\n", "{\"id\":1,\"method\":\"m\"}\n", "{\"id\":1,\"result\":2}\n",
     MCP_BRIDGE_CLIENT_ENDED},
    {"rubbish does not reach the server", "rubbish\n" ASK("1"), false, ANSWER("1"), ASK("1"),
     ERROR("-32700", "this is not JSON") ANSWER("1"), MCP_BRIDGE_CLIENT_ENDED},
    {"a number that no 64 bits hold passes", "{\"v\":123456789012345678901234567890}\n", false, "",
     "{\"v\":123456789012345678901234567890}\n", "", MCP_BRIDGE_CLIENT_ENDED},
    {"blank lines and CR", "\r\n \n{\"id\":1,\"method\":\"m\"}\r\n", false,
     "{\"id\":1,\"result\":2}\r\n", "{\"id\":1,\"method\":\"m\"}\r\n",
     "{\"id\":1,\"result\":2}\r\n", MCP_BRIDGE_CLIENT_ENDED},
};

/* The server's end on a thread: it reads what it is to be told, says its part, and goes. */
struct server {
    const struct row *row;
    int fd;
    char got[4096];
};

static void *serve(void *argument)
{
    struct server *server = argument;
    size_t wanted = strlen(server->row->to_server), length = 0;

    for (ssize_t n; length < wanted; length += (size_t)n) {
        n = read(server->fd, server->got + length, wanted - length);
        if (n <= 0)
            break;
    }
    if (write(server->fd, server->row->server, strlen(server->row->server)) < 0)
        return NULL;
    shutdown(server->fd, SHUT_RDWR);
    return NULL;
}

static void test_row(void **state)
{
    const struct row *row = *state;
    struct server server = {.row = row};
    enum mcp_bridge_end how;
    struct fixture f;
    pthread_t thread;
    char text[4096];

    begin(&f, 60 * NS_PER_SEC);
    server.fd = f.server;
    put(f.client_write, row->client);
    if (!row->client_stays)
        close_one(&f.client_write);
    assert_int_equal(pthread_create(&thread, NULL, serve, &server), 0);
    assert_int_equal(mcp_bridge_run(&f.bridge, &how), 0);
    pthread_join(thread, NULL);
    close_one(&f.client_out);
    get(f.client_read, text, sizeof(text));
    assert_string_equal(text, row->to_client);
    assert_string_equal(server.got, row->to_server);
    assert_int_equal(how, row->end);
    end(&f);
}

/* A server that answers never: the client has said all, and the time for answers is over. */
static void test_no_answer(void **state)
{
    enum mcp_bridge_end how;
    struct fixture f;
    char text[256];

    (void)state;
    begin(&f, NS_PER_MS);
    put(f.client_write, ASK("1"));
    close_one(&f.client_write);
    assert_int_equal(mcp_bridge_run(&f.bridge, &how), 0);
    assert_int_equal(how, MCP_BRIDGE_TIMED_OUT);
    close_one(&f.client_out);
    get(f.client_read, text, sizeof(text));
    assert_non_null(strstr(text, "\"id\":1,\"error\":{\"code\":-32000"));
    end(&f);
}

/* A client that reads no more ends it, answers or not. */
static void test_client_gone(void **state)
{
    enum mcp_bridge_end how;
    struct fixture f;

    (void)state;
    begin(&f, 60 * NS_PER_SEC);
    put(f.client_write, ASK("1"));
    close_one(&f.client_read);
    assert_int_equal(mcp_bridge_run(&f.bridge, &how), 0);
    assert_int_equal(how, MCP_BRIDGE_CLIENT_ENDED);
    end(&f);
}

/* Both ends of a large exchange, each on a thread of its own. */
struct pump {
    int fd;
    const char *text; /* to write; NULL: to read, up to `length` bytes */
    char *got;
    size_t length;
    bool close;
};

static void *pump(void *argument)
{
    struct pump *p = argument;
    size_t done = 0;

    while (done < p->length) {
        ssize_t n = p->text ? write(p->fd, p->text + done, p->length - done)
                            : read(p->fd, p->got + done, p->length - done);

        if (n <= 0)
            break;
        done += (size_t)n;
    }
    if (p->close)
        close(p->fd);
    return NULL;
}

static char *message_of(size_t length)
{
    static const char head[] =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":{\"t\":\"";
    char *text = malloc(length + 1);

    memset(text, 'x', length);
    memcpy(text, head, strlen(head));
    memcpy(text + length - 3, "\"}}", 3);
    text[length] = '\n';
    return text;
}

/* 10 MiB pass whole. */
static void test_large(void **state)
{
    size_t length = MCP_BRIDGE_MESSAGE_MAX + 1;
    char *text = message_of(length - 1), *got = malloc(length);
    enum mcp_bridge_end how;
    struct fixture f;
    pthread_t threads[2];

    (void)state;
    begin(&f, 60 * NS_PER_SEC);
    struct pump pumps[2] = {
        {.fd = f.client_write, .text = text, .length = length, .close = true},
        {.fd = f.server, .got = got, .length = length, .close = true},
    };
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, pump, &pumps[i]), 0);
    assert_int_equal(mcp_bridge_run(&f.bridge, &how), 0);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_memory_equal(got, text, length);
    assert_int_equal(how, MCP_BRIDGE_SERVER_ENDED); /* its answer was open */
    f.client_write = f.server = -1;
    end(&f);
    free(text);
    free(got);
}

/* A byte more is refused; what comes behind it passes. */
static void test_too_large(void **state)
{
    static const char next[] = NOTE;
    size_t length = MCP_BRIDGE_MESSAGE_MAX + 2;
    char *text = message_of(length - 1), got[sizeof(next)] = "", said[256];
    enum mcp_bridge_end how;
    struct fixture f;
    pthread_t threads[2];

    (void)state;
    begin(&f, 60 * NS_PER_SEC);
    text = realloc(text, length + sizeof(next));
    memcpy(text + length, next, sizeof(next));
    struct pump pumps[2] = {
        {.fd = f.client_write, .text = text, .length = length + sizeof(next) - 1, .close = true},
        {.fd = f.server, .got = got, .length = sizeof(next) - 1, .close = true},
    };
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, pump, &pumps[i]), 0);
    assert_int_equal(mcp_bridge_run(&f.bridge, &how), 0);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    f.client_write = f.server = -1;
    close_one(&f.client_out);
    get(f.client_read, said, sizeof(said));
    assert_string_equal(got, next);
    assert_string_equal(said, ERROR("-32600", "the message is longer than 10 MiB"));
    end(&f);
    free(text);
}

/* --- the way into a guest -------------------------------------------------------------------- */

struct door_row {
    const char *name, *answer;
    int result;
};

static const struct door_row doors[] = {
    {"it opens", "OK 1073741824\n{\"x\":1}\n", 0},
    {"nobody listens", "", -ECONNREFUSED},
    {"it hangs up in the middle", "OK 10", -ECONNREFUSED},
    {"it says something else", "NO\n", -EPROTO},
    {"it says nothing of a port", "OK\n", -EPROTO},
    {"its line does not end", "OK 00000000000000000000000000000000000000\n", -EPROTO},
};

struct door {
    int fd;
    const char *answer;
    char asked[64];
};

static void *open_door(void *argument)
{
    struct door *door = argument;
    int fd = accept(door->fd, NULL, NULL);

    if (fd < 0)
        return NULL;
    for (size_t n = 0; n < sizeof(door->asked) - 1 && !strchr(door->asked, '\n'); n++)
        if (read(fd, door->asked + n, 1) != 1)
            break;
    if (write(fd, door->answer, strlen(door->answer)) < 0)
        perror("write");
    close(fd);
    return NULL;
}

static void test_door(void **state)
{
    const struct door_row *row = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct door door = {.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
                        .answer = row->answer};
    char folder[] = "/tmp/mcp-bridge-XXXXXX", text[64];
    struct error err = {0};
    pthread_t thread;
    int fd = -1;

    assert_non_null(mkdtemp(folder));
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/v", folder);
    assert_int_equal(bind(door.fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(door.fd, 1), 0);
    assert_int_equal(pthread_create(&thread, NULL, open_door, &door), 0);
    assert_int_equal(mcp_bridge_connect(address.sun_path, 5252, 0, &fd, &err), row->result);
    pthread_join(thread, NULL);
    assert_string_equal(door.asked, "CONNECT 5252\n");
    if (row->result == 0) { /* not a byte of the stream is lost */
        get(fd, text, sizeof(text));
        assert_string_equal(text, "{\"x\":1}\n");
        close(fd);
    } else {
        assert_int_equal(fd, -1);
        assert_non_null(strstr(err.text, folder));
    }
    close(door.fd);
    unlink(address.sun_path);
    rmdir(folder);
}

static void test_no_door(void **state)
{
    struct error err = {0};
    char path[300];
    int fd;

    (void)state;
    assert_int_equal(mcp_bridge_connect("/nonexistent/v", 1, 0, &fd, &err), -ENOENT);
    assert_non_null(strstr(err.text, "cannot connect to '/nonexistent/v'"));
    memset(path, 'a', sizeof(path));
    path[sizeof(path) - 1] = 0;
    assert_int_equal(mcp_bridge_connect(path, 1, 0, &fd, NULL), -ENAMETOOLONG);
}

int main(void)
{
    struct unit unit = {.count = 0};

    signal(SIGPIPE, SIG_IGN);
    unit_add_rows(&unit, rows, test_row);
    unit_add(&unit, "no answer in time", test_no_answer, NULL);
    unit_add(&unit, "the client reads no more", test_client_gone, NULL);
    unit_add(&unit, "10 MiB", test_large, NULL);
    unit_add(&unit, "more than 10 MiB", test_too_large, NULL);
    unit_add_rows(&unit, doors, test_door);
    unit_add(&unit, "no way in", test_no_door, NULL);
    return unit_run(&unit, "mcp_bridge");
}

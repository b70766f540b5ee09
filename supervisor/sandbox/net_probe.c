#include "net_probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

static int say(const char *text)
{
    puts(text);
    return 1;
}

/* RFC 9112, section 4: "HTTP/1.1 200". What answers is hostile: no more is read than is needed. */
static int ask_http(int fd, const char *path)
{
    char text[4200], answer[13] = "";
    size_t have = 0;
    ssize_t n;
    int len = snprintf(text, sizeof(text),
                       "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);

    if (len < 0 || (size_t)len >= sizeof(text) || io_write_all(fd, text, (size_t)len) < 0)
        return say("it does not take a request");
    while (have < sizeof(answer) - 1) {
        n = recv(fd, answer + have, sizeof(answer) - 1 - have, 0);
        if (n <= 0)
            return say("the connection was closed");
        have += (size_t)n;
    }
    if (strncmp(answer, "HTTP/1.", 7) == 0 && (answer[9] == '2' || answer[9] == '3'))
        return 0;
    return say("it answers, but not well");
}

int net_probe(const char *what)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unsigned port;
    int end = 0;

    if (sscanf(what, "tcp:%u%n", &port, &end) != 1 && sscanf(what, "http:%u:%n", &port, &end) != 1)
        return say("--probe: tcp:PORT or http:PORT:PATH is wanted");
    address.sin_port = htons((uint16_t)port);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return say(errno == ECONNREFUSED ? "nobody listens" : strerror(errno));
    return what[0] == 'h' ? ask_http(fd, what + end) : 0;
}
